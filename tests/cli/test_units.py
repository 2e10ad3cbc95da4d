"""``--units HU``: the same words in every command, for CT in a format that has no place for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

HINT = "The values look like HU of a CT"


@pytest.fixture
def ct(make_scan: Any) -> list[Path]:
    """A clean and a noisy body in air that is clipped at -1000, in HU."""
    x, y = np.meshgrid(np.arange(40) - 20, np.arange(40) - 20, indexing="ij")
    clean = np.where(np.hypot(x, y) < 14, 40, -1000).astype(np.float32)
    clean = np.repeat(clean[..., None], 12, axis=2)
    draws = np.random.default_rng(0)
    noisy = clean + 20 * draws.standard_normal(clean.shape).astype(np.float32)
    return [make_scan("clean.nii.gz", clean), make_scan("noisy.nii.gz", np.maximum(noisy, -1000))]


def test_denoise(cli: Any, ct: list[Path]) -> None:
    sigmas = {}
    for words in ((), ("--units", "HU")):
        out = ct[1].with_name(f"out{len(words)}.nii.gz")
        said = cli("denoise", ct[1], out, "--method", "auto", *words)
        assert (said.status, said.err) == (0, "")
        assert (HINT in said.out) == (not words)
        sigmas[words] = float(said.out.split("sigma of ")[1].split()[0].rstrip("."))
    assert sigmas["--units", "HU"] == pytest.approx(20, rel=0.1)
    assert sigmas[()] < 15
    assert nib.load(out).get_data_dtype() == nib.load(ct[1]).get_data_dtype()


def test_info(cli: Any, ct: list[Path]) -> None:
    plain, said = cli("info", ct[1]), cli("info", ct[1], "--units", "HU", "--json")
    assert HINT in plain.out
    told = json.loads(said.out)
    assert told["noise"]["units"] == "HU"
    assert told["noise"]["sigma"] == pytest.approx(20, rel=0.1)
    assert HINT not in said.out


def test_evaluate_and_report(cli: Any, ct: list[Path]) -> None:
    page = ct[0].with_name("page.html")
    for words in ((), ("--units", "HU")):
        for said in (
            cli("evaluate", *ct, *words),
            cli("evaluate", ct[0], "--noisy", ct[1], *words),
        ):
            assert (said.status, said.err) == (0, "")
            assert (HINT in said.out) == (not words)
        assert cli("report", ct[1], ct[0], "-o", page, "--overwrite", *words).status == 0
        assert (HINT in page.read_text()) == (not words)


def test_lesions(cli: Any, ct: list[Path]) -> None:
    words = ("--method", "gaussian", "--size", "3", "--number", "3")
    said = cli("evaluate", "--lesions", ct[0], *words, "--units", "HU")
    assert (said.status, said.err) == (0, "")
    assert "20 HU" in said.out
    assert HINT not in said.out


@pytest.mark.parametrize("command", ["denoise", "evaluate", "report", "simulate", "info"])
def test_a_unit_that_would_change_nothing(cli: Any, ct: list[Path], command: str) -> None:
    out = ct[0].with_name("new.html" if command == "report" else "new.nii.gz")
    words = {
        "denoise": [ct[1], out, "--method", "median"],
        "evaluate": ct,
        "report": [*ct, "-o", out],
        "simulate": [ct[0], out, "--noise", "gaussian", "--sigma", "3"],
        "info": [ct[0]],
    }[command]
    said = cli(command, *words, "--units", "hu")
    assert said.status == 2
    assert "--units is hu: HU is what can be said" in said.sentence
    assert not out.exists()


def test_what_a_header_contradicts(cli: Any, make_series: Any) -> None:
    series = make_series()
    for words in (
        ("denoise", series, series.with_name("out"), "--method", "median"),
        ("info", series),
        ("evaluate", series, series),
    ):
        said = cli(*words, "--units", "HU")
        assert said.status == 2
        assert "it is MR" in said.sentence


def test_a_scan_that_is_streamed(
    cli: Any, ct: list[Path], models: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from meddenoise.workflows import streamed, ways

    seen = []
    monkeypatch.setattr(ways, "_compare_kinds", lambda _, volume: seen.append(volume.units))
    outs = []
    for least in (streamed.STREAM_FROM, 1):
        monkeypatch.setattr(streamed, "STREAM_FROM", least)
        outs.append(ct[0].with_name(f"from{least}.nii.gz"))
        said = cli("denoise", ct[1], outs[-1], "--model", models[3], "--units", "HU")
        assert (said.status, said.err) == (0, "")
    assert seen == ["HU", "HU"]
    one, other = (np.asarray(nib.load(out).dataobj) for out in outs)
    np.testing.assert_allclose(one, other, atol=1e-2)
