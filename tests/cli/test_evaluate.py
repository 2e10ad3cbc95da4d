from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def trio(make_scan: Any) -> list[Path]:
    """A reference, and two images with noise of 5 and 20."""
    rng = np.random.default_rng(1)
    clean = rng.uniform(0, 1000, (16, 20, 12)).astype(np.float32)
    return [
        make_scan(f"{name}.nii.gz", clean + sigma * rng.standard_normal(clean.shape).astype("f4"))
        for name, sigma in (("clean", 0), ("good", 5), ("bad", 20))
    ]


def test_a_table_and_its_conventions(cli: Any, trio: list[Path]) -> None:
    said = cli("evaluate", *trio)
    assert (said.status, said.err) == (0, "")
    head, good, bad, *conventions = said.out.splitlines()
    assert head.split() == ["image", "PSNR", "[dB]", "SSIM", "RMSE", "MAE"]
    for row, path, sigma in ((good, trio[1], 5), (bad, trio[2], 20)):
        name, psnr, _, rmse, _ = row.split()
        assert name == str(path)
        assert float(rmse) == pytest.approx(sigma, rel=0.05)
        assert float(psnr) == pytest.approx(20 * np.log10(998 / sigma), abs=0.3)
    told = " ".join(conventions)
    for word in ("Data range 99", "99.9th minus 0.1th percentile of the reference", "3-D",
                 "3,840 voxels", "the whole image", "SSIM: 3-D, Gaussian"):  # fmt: skip
        assert word in told


def test_json_holds_all_numbers(cli: Any, trio: list[Path]) -> None:
    file = trio[0].parent / "new/scores.json"
    assert cli("evaluate", *trio, trio[0], "--json", file).status == 0
    told = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert list(told) == [str(trio[1]), str(trio[2]), str(trio[0])]
    assert told[str(trio[1])]["psnr"] > told[str(trio[2])]["psnr"]
    assert told[str(trio[0])]["psnr"] is None
    assert "identical" in told[str(trio[0])]["notes"]["psnr"]


def test_mask_window_and_range_are_used_and_told(
    cli: Any, trio: list[Path], make_scan: Any
) -> None:
    inside = np.zeros((16, 20, 12), np.float32)
    inside[:8] = 1
    mask = make_scan("mask.nii.gz", inside)
    said = cli("evaluate", *trio[:2], "--mask", mask, "--data-range", "2000")
    assert said.status == 0
    assert "Data range 2000: given." in said.out
    assert "1,920 voxels compared" in said.out
    assert "a mask of 1,920 (50 %)" in said.out
    said = cli("evaluate", *trio[:2], "--window", "40", "400")
    assert said.status == 0
    assert "clipped to centre 40, width 400" in said.out
    assert "Data range 400: width of the window." in said.out


def test_images_with_conventions_of_their_own(cli: Any, trio: list[Path], make_scan: Any) -> None:
    import nibabel as nib

    holed = np.asarray(nib.load(trio[1]).dataobj).copy()
    holed[0, 0, :3] = np.nan
    path = make_scan("holed.nii.gz", holed)
    said = cli("evaluate", *trio, path)
    assert said.status == 0
    (line,) = [line for line in said.out.splitlines() if line.startswith(f"{path}: ")]
    assert "3 left out: not finite" in line


@pytest.mark.parametrize("option", [["--window", "40", "0"], ["--data-range", "-1"]])
def test_impossible_ranges(cli: Any, trio: list[Path], option: list[str]) -> None:
    said = cli("evaluate", *trio[:2], *option)
    assert said.status == 2
    assert said.sentence


def test_images_that_cannot_be_compared(
    cli: Any, trio: list[Path], make_scan: Any, make_series: Any
) -> None:
    file = trio[0].with_name("scores.json")
    small = make_scan("small.nii.gz", np.zeros((8, 8, 8), np.float32))
    for other in (small, make_series(), trio[0].with_name("none.nii.gz")):
        said = cli("evaluate", *trio, other, "--json", file)
        assert said.status == 2
        assert other.name in said.sentence
        assert not file.exists()
    constant = make_scan("constant.nii.gz", np.full((16, 20, 12), 3, np.float32))
    said = cli("evaluate", constant, trio[1])
    assert said.status == 2
    assert "no range" in said.sentence
    empty = make_scan("empty.nii.gz", np.zeros((16, 20, 12), np.float32))
    assert "The mask is empty" in cli("evaluate", *trio[:2], "--mask", empty).sentence
