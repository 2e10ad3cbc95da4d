"""``meddenoise denoise --stabilise`` and ``--debias``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import meddenoise as md

SIGMA = 20.0


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """Air, and two tissues with an SNR of 1.5 and 3."""
    image = np.zeros((48, 48, 24), dtype=np.float32)
    image[6:42, 6:42, 3:21] = 1.5 * SIGMA
    image[24:42, 6:42, 3:21] = 3 * SIGMA
    return image


@pytest.fixture
def rician(make_scan: Any, clean: np.ndarray) -> Path:
    noise = np.random.default_rng(0).normal(0, SIGMA, (2, *clean.shape))
    return make_scan("rician.nii.gz", np.hypot(clean + noise[0], noise[1]).astype(np.float32))


@pytest.fixture(scope="module")
def stabilised(clean: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of stabilised scans, trained for two steps."""
    noise = np.random.default_rng(1).normal(0, SIGMA, (2, *clean.shape))
    denoiser = md.Noise2VoidTrainer().fit(
        np.hypot(clean + noise[0], noise[1]),
        patch=[8, 8, 8],
        batch=1,
        network="dncnn",
        steps=2,
        validate_batches=1,
        stabilise="rician",
    )
    return denoiser.save(tmp_path_factory.mktemp("model") / "model.safetensors")


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def bias(path: Path, clean: np.ndarray) -> np.ndarray:
    """Mean signed error within the two tissues, in sigma."""
    error = (values(path) - clean) / SIGMA
    return np.array([error[10:20, 10:-10, 7:-7].mean(), error[28:38, 10:-10, 7:-7].mean()])


GAUSSIAN = ("--method", "gaussian", "--set", "sigma=1.5")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--stabilise", "auto"), "The noise is estimated to be Rician and is stabilised as such"),
        (("--stabilise", "rician", "--sigma", "20"), ""),
        (("--debias", "--sigma", "20"), ""),
        (("--debias",), ""),
    ],
)
def test_the_bias_is_gone(
    cli: Any, rician: Path, clean: np.ndarray, words: tuple[str, ...], told: str
) -> None:
    plain, output = rician.with_name("plain.nii.gz"), rician.with_name("out.nii.gz")
    assert cli("denoise", rician, plain, *GAUSSIAN).status == 0
    assert bias(plain, clean) == pytest.approx([0.38, 0.18], abs=0.08)
    said = cli("denoise", rician, output, *GAUSSIAN, *words)
    assert (said.status, said.err) == (0, "")
    assert told in said.out
    assert np.abs(bias(output, clean)).max() < 0.1


def test_none_is_as_before(cli: Any, rician: Path) -> None:
    plain, output = rician.with_name("plain.nii.gz"), rician.with_name("out.nii.gz")
    assert cli("denoise", rician, plain, *GAUSSIAN).status == 0
    said = cli("denoise", rician, output, *GAUSSIAN, "--stabilise", "none")
    assert said.out.count("\n") == 1
    np.testing.assert_array_equal(values(plain), values(output))


def test_several_coils(cli: Any, rician: Path) -> None:
    results = []
    for number, words in enumerate(
        [("--stabilise", "rician"), ("--stabilise", "rician", "--coils", "2"), ("--debias",),
         ("--debias", "--coils", "2")]
    ):  # fmt: skip
        output = rician.with_name(f"out{number}.nii.gz")
        said = cli("denoise", rician, output, *GAUSSIAN, *words, "--sigma", "20")
        assert (said.status, said.err) == (0, "")
        results.append(values(output).mean())
    # Of more coils more is bias.
    assert results[1] < results[0]
    assert results[3] < results[2]


def test_a_model_knows_its_own(cli: Any, rician: Path, stabilised: Path) -> None:
    model = ("--model", stabilised, "--device", "cpu")
    results = []
    for number, words in enumerate([(), ("--stabilise", "auto"), ("--stabilise", "rician")]):
        output = rician.with_name(f"out{number}.nii.gz")
        said = cli("denoise", rician, output, *model, *words, "--json")
        assert (said.status, said.err) == (0, "")
        assert json.loads(said.out)[0]["notes"] == []
        results.append(values(output))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    output = rician.with_name("told.nii.gz")
    assert cli("denoise", rician, output, *model, "--sigma", "20").status == 0
    assert values(output).mean() == pytest.approx(results[0].mean(), rel=0.05)
    assert not np.array_equal(values(output), results[0])


def test_a_model_of_plain_scans_says_so(cli: Any, rician: Path, models: dict[int, Path]) -> None:
    output = rician.with_name("out.nii.gz")
    words = ("--model", models[3], "--device", "cpu")
    said = cli("denoise", rician, output, *words, "--stabilise", "rician", "--sigma", "20")
    assert (said.status, said.err) == (0, "")
    assert "one trained with noise.stabilise does better" in said.out
    plain, free = rician.with_name("plain.nii.gz"), rician.with_name("free.nii.gz")
    assert cli("denoise", rician, plain, *words).status == 0
    said = cli("denoise", rician, free, *words, "--debias", "--sigma", "20")
    assert (said.status, said.err) == (0, "")
    assert values(free).mean() < values(plain).mean()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--stabilise", "ricain"], "did you mean 'rician'?"),
        (["--stabilise", "auto", "--debias"], "say one of the two"),
        (["--coils", "2"], "--coils is for --stabilise or --debias"),
        (["--debias", "--coils", "0"], "coils is 0"),
        (["--stabilise", "anscombe", "--sigma", "9"], "no one sigma describes it"),
        (["--stabilise", "rician", "--sigma", "0"], "sigma is 0"),
        (["--stabilise", "auto", "--sigma", "-1"], "level"),
    ],
)
def test_what_makes_no_sense(cli: Any, rician: Path, words: list[str], told: str) -> None:
    output = rician.with_name("out.nii.gz")
    said = cli("denoise", rician, output, "--method", "median", *words)
    assert said.status == 2
    assert told in said.sentence
    assert not output.exists()


def test_what_makes_no_sense_of_a_model_or_a_filter(
    cli: Any, rician: Path, stabilised: Path, scan: Path
) -> None:
    output = rician.with_name("out.nii.gz")
    for words, told in (
        (("--model", stabilised, "--stabilise", "none"), "trained on scans stabilised by 'rician'"),
        (("--model", stabilised, "--coils", "4"), "(1 coil), and is for no others"),
        (("--model", stabilised, "--debias"), "leave --debias out"),
        (("--method", "nlmeans", "--set", "rician=true", "--debias"), "say one of the two"),
    ):
        said = cli("denoise", rician, output, *words)
        assert said.status == 2
        assert told in said.sentence
        assert not output.exists()


def test_no_magnitude(cli: Any, make_scan: Any) -> None:
    signed = make_scan("signed.nii.gz", np.random.default_rng(0).normal(0, 9, (24, 24, 24)))
    for way in (("--stabilise", "rician"), ("--debias",)):
        said = cli("denoise", signed, signed.with_name("o.nii.gz"), "--method", "median", *way)
        assert said.status == 2
        assert "negative values, so it is no magnitude image" in said.sentence


def test_the_schema_and_a_run_of_a_configuration(
    cli: Any, rician: Path, tiny: Any, tmp_path: Path
) -> None:
    sections = json.loads(cli("config", "schema").out)["properties"]["noise"]["anyOf"][0]["oneOf"]
    ways = [section["properties"]["stabilise"]["enum"] for section in sections]
    assert ways == [["auto", "none", "rician", "anscombe"]] * len(sections)
    assert any(section["properties"]["name"] == {"type": "null"} for section in sections)
    run = tmp_path / "run"
    words = tiny(f"data.images={rician}", "noise.stabilise=auto", "network.channels=[2, 4]")
    said = cli(*words, "--output", run)
    assert said.status == 0, said.err
    assert "noise.stabilise is auto. The noise is estimated to be Rician" in said.err
    output = tmp_path / "out.nii.gz"
    said = cli("denoise", rician, output, "--model", run / "model.safetensors", "--device", "cpu")
    assert said.status == 0
    np.testing.assert_array_equal(values(output), values(run / "denoised/rician.nii.gz"))
    said = cli("train", *tiny(f"data.images={rician}", "noise.stabilize=auto")[1:])
    assert said.status == 2
    assert "did you mean 'stabilise'" in said.sentence


def test_a_bids_dataset(cli: Any, bids: Path, tmp_path: Path) -> None:
    words = ("denoise", bids, tmp_path / "out", "--bids", "--method", "median")
    said = cli(*words, "--stabilise", "rician", "--sigma", "50", "--participant", "01")
    assert said.status == 0, said.err
    found = values(tmp_path / "out/sub-01/anat/sub-01_desc-denoised_T1w.nii.gz")
    assert cli(*words[:2], tmp_path / "plain", *words[3:], "--participant", "01").status == 0
    plain = values(tmp_path / "plain/sub-01/anat/sub-01_desc-denoised_T1w.nii.gz")
    # At an SNR of 10, by sigma / 20.
    assert (plain.astype(float) - found).mean() == pytest.approx(2.5, abs=1)
