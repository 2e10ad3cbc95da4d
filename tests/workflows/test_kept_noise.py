"""What was taken away, beside the result."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import OutputError
from meddenoise.workflows.batch import Outcome
from meddenoise.workflows.denoise import denoise_files
from meddenoise.workflows.kept_noise import KeptNoise
from meddenoise.workflows.places import plan


def scan(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).normal(100, 10, (20, 20, 12)).astype(np.float32)
    return md.write(md.Volume.from_array(array, spacing=(1, 1, 2)), path)


def test_input_minus_result(tmp_path: Path) -> None:
    noisy, clean, noise = (tmp_path / name for name in ("a.nii.gz", "b.nii.gz", "c.nii.gz"))
    scan(noisy)
    (outcome,) = denoise_files(noisy, clean, method="median", keep_noise=noise)
    assert outcome.error is None
    assert any(str(noise) in note for note in outcome.notes)
    expected = md.read(noisy).array - md.read(clean).array
    found = md.read(noise)
    np.testing.assert_allclose(found.array, expected, atol=1e-5)
    assert float(found.array.min()) < 0
    np.testing.assert_array_equal(found.affine, md.read(noisy).affine)


def test_of_several_scans_into_a_directory(tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        scan(tmp_path / "in" / f"{name}.nii.gz", seed)
    outcomes = denoise_files(
        tmp_path / "in", tmp_path / "out", method="median", keep_noise=tmp_path / "noise"
    )
    assert [outcome.error for outcome in outcomes] == [None, None]
    for name in ("one", "two"):
        noisy, clean, noise = (
            md.read(tmp_path / place / f"{name}.nii.gz").array for place in ("in", "out", "noise")
        )
        np.testing.assert_allclose(noise, noisy - clean, atol=1e-5)


def test_what_is_in_the_way_is_said_first(tmp_path: Path) -> None:
    noisy, noise = scan(tmp_path / "a.nii.gz"), scan(tmp_path / "c.nii.gz")
    with pytest.raises(OutputError, match="exists"):
        denoise_files(noisy, tmp_path / "b.nii.gz", method="median", keep_noise=noise)
    assert not (tmp_path / "b.nii.gz").exists()
    with pytest.raises(OutputError):
        denoise_files(noisy, tmp_path / "b.nii.gz", method="median", keep_noise=noisy)


def test_a_place_that_is_taken_is_refused(tmp_path: Path) -> None:
    noisy, other = scan(tmp_path / "in/a.nii.gz"), scan(tmp_path / "in/b.nii.gz", 1)
    clean = tmp_path / "clean.nii.gz"
    how = {"method": "median", "overwrite": True}
    with pytest.raises(OutputError, match="place of a result"):
        denoise_files(noisy, clean, keep_noise=clean, **how)
    with pytest.raises(OutputError, match="place of a result"):
        denoise_files(tmp_path / "in", tmp_path / "out", keep_noise=tmp_path / "out", **how)
    with pytest.raises(OutputError, match=r"a\.nii\.gz is an input"):
        denoise_files(f"{tmp_path}/*/*.gz", tmp_path / "out", keep_noise=tmp_path, **how)
    md.write(md.read(other), tmp_path / "in/b.mha")
    shutil.copy(tmp_path / "in/b.mha", tmp_path / "in/b.mhd")
    with pytest.raises(OutputError, match=r"b\.mha would hold .* of two scans"):
        denoise_files(tmp_path / "in", tmp_path / "out", keep_noise=tmp_path / "noise", **how)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_picture_s_noise_in_the_place_of_another_s_is_told(tmp_path: Path) -> None:
    picture = md.Volume.from_array(np.arange(400.0).reshape(20, 20))
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.tif"):
        md.write(picture, tmp_path / "in" / name)
    told = r"noise/a\.tif would hold .*in/a\.png and .*in/a\.tif, as noise of pictures is .* \.tif:"
    with pytest.raises(OutputError, match=told):
        denoise_files(
            tmp_path / "in", tmp_path / "out", method="median", keep_noise=tmp_path / "noise"
        )
    assert not (tmp_path / "out").exists()


def test_results_and_noise_below_the_scans(tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        scan(tmp_path / f"{name}.nii.gz", seed)
    out, noise = tmp_path / "out", tmp_path / "noise"
    for overwrite in (False, False, True):
        outcomes = denoise_files(
            tmp_path, out, method="median", keep_noise=noise, overwrite=overwrite
        )
        assert [Path(outcome.input).name for outcome in outcomes] == ["one.nii.gz", "two.nii.gz"]
        assert not any(outcome.error for outcome in outcomes)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.nii.gz"))
    places = ("noise/one", "noise/two", "one", "out/one", "out/two", "two")
    assert found == [f"{name}.nii.gz" for name in places]


def test_an_interrupted_call_makes_what_is_missing(tmp_path: Path) -> None:
    for seed, name in enumerate(("a", "b", "c")):
        scan(tmp_path / "in" / f"{name}.nii.gz", seed)
    places = tmp_path / "in", tmp_path / "out", tmp_path / "noise"
    denoise_files(*places[:2], method="median", keep_noise=places[2])
    (places[2] / "b.nii.gz").unlink()
    (places[1] / "c.nii.gz").unlink(), (places[2] / "c.nii.gz").unlink()
    before = (places[2] / "a.nii.gz").stat().st_mtime_ns
    outcomes = denoise_files(*places[:2], method="median", keep_noise=places[2])
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert [outcome.output is not None for outcome in outcomes] == [False, False, True]
    told = [any("taken away is in" in note for note in outcome.notes) for outcome in outcomes]
    assert told == [False, True, True]
    assert (places[2] / "a.nii.gz").stat().st_mtime_ns == before
    for name in ("a", "b", "c"):
        noisy, clean, noise = (md.read(place / f"{name}.nii.gz").array for place in places)
        np.testing.assert_allclose(noise, noisy - clean, atol=1e-5)
    (places[1] / "c.nii.gz").unlink()
    with pytest.raises(OutputError, match=r"noise/c\.nii\.gz exists"):
        denoise_files(*places[:2], method="median", keep_noise=places[2])


def test_noise_is_written_after_each_scan(tmp_path: Path) -> None:
    for seed, name in enumerate(("a", "b")):
        scan(tmp_path / "in" / f"{name}.nii.gz", seed)
    seen: list[bool] = []

    def progress(done: float) -> None:
        if done == 0.5:
            seen.append((tmp_path / "noise/a.nii.gz").is_file())
            assert not (tmp_path / "out/b.nii.gz").exists()

    denoise_files(
        tmp_path / "in", tmp_path / "out", method="median", keep_noise=tmp_path / "noise",
        progress=progress,
    )  # fmt: skip
    assert seen[-1]


@pytest.mark.parametrize(
    ("noisy", "clean", "noise"),
    [
        ("g.png", "c.nii.gz", "n.nii.gz"),
        ("g.png", "c.png", "n.tif"),
        ("two.nii.gz", "c.png", "n.tif"),
        ("two.nii.gz", "c.tif", "n.nii.gz"),
        ("one.nii.gz", "c.tif", "n.nii.gz"),
    ],
)
def test_pictures_with_and_without_a_third_axis(
    tmp_path: Path, noisy: str, clean: str, noise: str
) -> None:
    image = np.random.default_rng(0).normal(100, 10, (20, 24)).astype(np.uint8)
    array = image[..., None] if noisy.startswith("one") else image
    md.write(md.Volume.from_array(array), tmp_path / noisy)
    (outcome,) = denoise_files(
        tmp_path / noisy, tmp_path / clean, method="median", keep_noise=tmp_path / noise
    )
    assert outcome.error is None
    found = [md.read(tmp_path / name).array.reshape(20, 24) for name in (noisy, clean, noise)]
    np.testing.assert_allclose(found[2], found[0] - found[1], atol=1e-5)
    assert found[2].min() < 0


def test_a_result_of_another_size_has_no_noise(tmp_path: Path) -> None:
    noisy, other = scan(tmp_path / "a.nii.gz"), tmp_path / "b.nii.gz"
    md.write(md.Volume.from_array(np.zeros((20, 12, 20), np.float32)), other)
    jobs = plan(noisy, other)
    kept = KeptNoise.of(jobs, noisy, tmp_path / "n.nii.gz")
    outcome = kept.keep(jobs[0], Outcome(str(noisy), str(other), 0.0))
    assert "has 1 x 20 x 20 x 12 voxels (channels first) and its result 1 x 20 x 12 x 20" in str(
        outcome.error
    )
    assert not (tmp_path / "n.nii.gz").exists()


@pytest.mark.parametrize("name", ["n.png", "n.jpg"])
def test_a_format_without_a_sign_is_refused(tmp_path: Path, name: str) -> None:
    noisy = md.write(md.Volume.from_array(np.eye(20, dtype=np.uint8)), tmp_path / "a.png")
    with pytest.raises(OutputError, match=r"negative numbers.*\.tif or \.nii\.gz"):
        denoise_files(noisy, tmp_path / "b.png", method="median", keep_noise=tmp_path / name)
    assert not (tmp_path / "b.png").exists()


def test_pictures_in_a_directory_get_a_format_with_a_sign(tmp_path: Path) -> None:
    for seed, name in enumerate(("a", "b")):
        image = np.random.default_rng(seed).normal(100, 10, (20, 24)).astype(np.uint16)
        md.write(md.Volume.from_array(image), tmp_path / "in" / f"{name}.png")
    for made in (True, False):
        outcomes = denoise_files(
            tmp_path / "in", tmp_path / "out", method="median", keep_noise=tmp_path / "noise"
        )
        assert [(o.error, o.output is not None) for o in outcomes] == [(None, made)] * 2
    assert sorted(path.name for path in (tmp_path / "noise").iterdir()) == ["a.tif", "b.tif"]
    noisy, clean = (md.read(tmp_path / place / "b.png").array for place in ("in", "out"))
    np.testing.assert_array_equal(md.read(tmp_path / "noise/b.tif").array, noisy - clean)


@pytest.mark.parametrize("name", ["n.mhd", "n.dcm", "n.bmp"])
def test_a_format_that_is_not_written_is_refused_before_denoising(
    tmp_path: Path, name: str
) -> None:
    md.write(md.Volume.from_array(np.ones((8, 8, 8), np.float32)), tmp_path / "a.nii.gz")
    with pytest.raises(OutputError, match=re.escape(name)):
        denoise_files(
            tmp_path / "a.nii.gz",
            tmp_path / "k.nii.gz",
            method="median",
            keep_noise=tmp_path / name,
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii.gz"]


def test_noise_of_tilted_slices_goes_where_their_result_may(
    shared_data: Path, tmp_path: Path
) -> None:
    tilted, clean, noise = (
        shared_data / "dicom/ct_tilt_philips", tmp_path / "b.nii.gz", tmp_path / "c.nii.gz",
    )  # fmt: skip
    (outcome,) = denoise_files(
        tilted, clean, method="median", keep_noise=noise, allow_irregular=True
    )
    assert outcome.error is None
    found, result = md.read(noise), md.read(clean)
    np.testing.assert_array_equal(found.affine, result.affine)
    np.testing.assert_array_equal(found.array, md.read(tilted).array - result.array)
