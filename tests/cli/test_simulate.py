from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from meddenoise import io


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_noise_of_the_asked_strength_and_seed(cli: Any, make_scan: Any) -> None:
    scan = make_scan(array=np.arange(32 * 32 * 16, dtype=np.int16).reshape(32, 32, 16))
    made = []
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        output = scan.with_name(f"{name}.nii.gz")
        words = ("--noise", "gaussian", "--sigma", "25", "--seed", seed)
        said = cli("simulate", scan, output, *words)
        assert (said.status, said.err) == (0, "")
        assert f"{scan} -> {output}" in said.out
        assert f"sigma 25, seed {seed}" in said.out
        made.append(values(output))
    noise = made[0] - values(scan)
    assert made[0].dtype == np.float32  # noise around 0 is not clipped, nor rounded
    assert noise.std() == pytest.approx(25, rel=0.02)
    assert abs(noise.mean()) < 0.6
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_a_percentage_is_of_the_99_9th_percentile(cli: Any, scan: Path) -> None:
    output = scan.with_name("out.nii.gz")
    said = cli("simulate", scan, output, "--noise", "rician", "--sigma", "10%")
    reference = np.percentile(values(scan), 99.9)
    assert said.status == 0
    assert float(said.out.split("sigma ")[1].split(",")[0]) == pytest.approx(0.1 * reference, 1e-4)
    assert values(output).min() >= 0


def test_dicom_becomes_a_series_that_says_so(cli: Any, make_series: Any) -> None:
    import pydicom

    series = make_series()
    output = series.with_name("noisy")
    said = cli("simulate", series, output, "--noise", "gaussian", "--sigma", "5")
    assert said.status == 0, said.err
    first = pydicom.dcmread(next(output.iterdir()))
    assert first.ImageType[0] == "DERIVED"
    assert "simulated gaussian noise" in first.DerivationDescription
    assert (io.read(output).array - io.read(series).array).std() == pytest.approx(5, rel=0.1)


def test_clipped_voxels_are_said(cli: Any, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.full((40, 40), 250, np.uint8)).save(tmp_path / "image.png")
    words = ("--noise", "gaussian", "--sigma", "20")
    said = cli("simulate", tmp_path / "image.png", tmp_path / "out/", *words)
    assert said.status == 0
    assert (tmp_path / "out/image.png").is_file()
    assert "were clipped" in said.sentence


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--noise", "gauss", "--sigma", "5"], "did you mean 'gaussian'"),
        (["--noise", "gaussian"], "needs its parameter 'sigma'"),
        (["--noise", "gaussian", "--sigma", "5", "--dose", "0.5"], "no parameter 'dose'"),
        (["--noise", "gaussian", "--sigma", "-5"], "no noise level"),
        (["--noise", "gaussian", "--sigma", "lots"], "no noise level"),
        (["--noise", "poisson", "--dose", "0.5"], "needs voxels in HU"),
        (["--noise", "poisson", "--dose", "4"], "at most 1"),
        (["--noise", "rician", "--sigma", "5", "--seed", "-1"], "seed is -1"),
    ],
)
def test_impossible_noise(cli: Any, scan: Path, contents: Any, words: list[str], told: str) -> None:
    before = contents(scan.parent)
    said = cli("simulate", scan, scan.with_name("out.nii.gz"), *words)
    assert said.status == 2
    assert told in said.sentence
    assert contents(scan.parent) == before


def test_inputs_and_outputs_are_kept(cli: Any, scan: Path, contents: Any) -> None:
    other = scan.with_name("other.nii.gz")
    other.write_text("precious")
    before = contents(scan.parent)
    noise = ("--noise", "gaussian", "--sigma", "5")
    assert "exists" in cli("simulate", scan, other, *noise).sentence
    said = cli("simulate", scan, scan, *noise, "--overwrite")
    assert "is the input itself" in said.sentence
    assert "holds 2 scans" in cli("simulate", scan.parent, scan.parent / "out", *noise).sentence
    assert contents(scan.parent) == before
