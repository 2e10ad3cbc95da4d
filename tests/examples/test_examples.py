"""Every script in ``examples/`` runs, on a scan small enough to take a second or two."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

import meddenoise as md
from meddenoise.data import samples

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """``run("nifti", scan, "--steps", 2)``: what the script printed and what it defined."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    small = (24, 24, 64)
    monkeypatch.setattr(
        md, "sample", lambda name, **_: samples.sample(name, shape=small), raising=False
    )

    def script(name: str, *words: Any) -> tuple[str, dict[str, Any]]:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, words)])
        defined = runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out, defined

    return script


def save_nifti(path: Path) -> Path:
    rng = np.random.default_rng(0)
    header = nib.Nifti1Image(rng.normal(100, 10, (20, 20, 12)).astype("f4"), np.diag([1, 1, 2, 1]))
    header.header["descrip"] = b"kept"
    nib.save(header, path)
    return path


def test_all_are_listed_and_described() -> None:
    scripts = {path.name for path in EXAMPLES.glob("*.py")}
    listed = (EXAMPLES / "README.md").read_text()
    tested = Path(__file__).read_text()
    for name in scripts:
        assert f"[{name}]({name})" in listed
        assert f'run("{name.removesuffix(".py")}"' in tested
        text = (EXAMPLES / name).read_text()
        assert text.startswith('"""')
        assert f"python examples/{name}" in text.split('"""')[1]
        assert name.removesuffix(".py") not in sys.stdlib_module_names  # it would be imported


def test_numpy_array(run: Any) -> None:
    out, defined = run("numpy_array", "--steps", 2)
    assert "denoised: PSNR" in out
    assert defined["clean"].shape == defined["noisy"].shape
    assert np.isfinite(defined["clean"]).all()


def test_nifti(run: Any, tmp_path: Path) -> None:
    scan, output = save_nifti(tmp_path / "mine.nii.gz"), tmp_path / "denoised.nii.gz"
    out, _ = run("nifti", scan, "--output", output, "--steps", 2)
    assert str(output) in out
    before, after = nib.load(scan), nib.load(output)
    assert bytes(after.header["descrip"]).rstrip(b"\0") == b"kept"
    np.testing.assert_array_equal(before.affine, after.affine)
    assert Path(out.split("picture:")[1].strip()).is_file()
    assert "denoised:" in run("nifti", "--steps", 2)[0]  # the embedded sample


def test_look_at_result(run: Any, tmp_path: Path) -> None:
    scan, page = save_nifti(tmp_path / "mine.nii.gz"), tmp_path / "report.html"
    run("look_at_result", scan, scan, "--output", page)
    assert "</html>" in page.read_text()
    out, _ = run("look_at_result")  # the embedded sample
    text = Path(out.removeprefix("wrote ").strip()).read_text()
    assert "PSNR" in text
    with pytest.raises(SystemExit):  # one scan alone is no reason to show another
        run("look_at_result", scan)
    with pytest.raises(SystemExit):  # nor is a truth of another scan
        run("look_at_result", "--reference", scan)


def test_dicom_folder(run: Any, tmp_path: Path) -> None:
    series = tmp_path / "series"
    series.mkdir()
    shutil.copy(get_testdata_file("CT_small.dcm", download=False), series)
    out, _ = run("dicom_folder", series, tmp_path / "out")
    assert "CT of (128, 128, 1) voxels" in out
    assert "HU" in out
    (written,) = (tmp_path / "out").iterdir()
    assert pydicom.dcmread(written).ImageType[0] == "DERIVED"


def test_own_network(run: Any) -> None:
    out, _ = run("own_network", "--steps", 2)
    assert "as a module: meddenoise" in out
    assert "'name': 'two-layers'" in out


def test_own_noise(run: Any) -> None:
    out, defined = run("own_noise", "--steps", 2)
    assert "simulated fading noise, strength 0.25, seed 1" in out
    assert "denoised: PSNR" in out
    change = defined["noisy"].array / np.where(defined["truth"].array, defined["truth"].array, 1)
    assert change[defined["truth"].array > 0].std() == pytest.approx(0.25, rel=0.1)


def test_own_trainer(run: Any) -> None:
    out, defined = run("own_trainer", "--steps", 2)
    assert "denoised: PSNR" in out
    assert defined["denoiser"].info["trainer"]["name"] == "recorrupted"


def test_monai_pipeline(run: Any, tmp_path: Path) -> None:
    scan = save_nifti(tmp_path / "mine.nii.gz")
    out, _ = run("monai_pipeline", scan, "--output", tmp_path / "out", "--steps", 20)
    (written,) = (tmp_path / "out").glob("mine_denoised*")
    assert str(written) in out
    np.testing.assert_array_equal(nib.load(scan).affine, nib.load(written).affine)
    values, clean = (np.asarray(nib.load(p).dataobj) for p in (written, scan))
    assert values.mean() == pytest.approx(clean.mean(), rel=0.05)  # the scan's own units again
