from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def test_two_scans(cli: Any, make_scan: Callable[..., Path], tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    clean = np.zeros((20, 20, 12), np.float32)
    clean[5:15, 5:15] = 100
    one = make_scan("one.nii.gz", clean + draws.normal(0, 9, clean.shape).astype(np.float32))
    two = make_scan("two.nii.gz", clean)
    page = tmp_path / "page.html"
    said = cli("report", one, two, "-o", page, "--figures", tmp_path / "figures")
    assert said.status == 0, said.err
    assert "opens in any browser" in said.out
    assert "one.nii" not in page.read_text()
    assert (tmp_path / "figures" / "residual.pdf").is_file()
    again = cli("report", one, two, "-o", page)
    assert again.status == 2
    assert "--overwrite" in again.sentence


def test_what_does_not_go_together(cli: Any, scan: Path, tmp_path: Path) -> None:
    for words, message in (
        ((scan, "--reference", scan), "for two scans"),
        ((scan, scan, "--scan", "x"), "for a run"),
        ((scan, "--units", "HU"), "for two scans"),
        ((scan, scan, scan), "not 3 paths"),
        ((tmp_path / "none",), "no run directory"),
        ((scan,), "is a file: give a run directory, or two scans"),
        ((scan, scan, "--extended"), "--extended is against a reference"),
    ):
        said = cli("report", *words, "-o", tmp_path / "a.html")
        assert said.status == 2
        assert message in said.sentence
