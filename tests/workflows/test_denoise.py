from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import FileError, InputError, OutputError, ParameterError
from meddenoise.workflows.denoise import denoise_files


def noisy(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    denoiser = md.Noise2VoidTrainer().fit(
        noisy(16, 16, 16), patch=[8, 8, 8], batch=1, steps=1, validate_batches=1
    )
    return denoiser.save(tmp_path / "model.safetensors")


@pytest.mark.parametrize("shape", [(20, 24), (20, 24, 16), (2, 20, 24, 16)])
def test_arrays_volumes_and_paths_are_alike(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = noisy(*shape)
    volume = md.Volume.from_array(array)
    by_array = md.denoise(array, method="median")
    assert by_array.array.shape == volume.array.shape
    np.testing.assert_array_equal(md.denoise(volume, method="median").array, by_array.array)
    if len(shape) > 2:
        path = md.write(volume, tmp_path / "scan.nii.gz")
        for name in (path, str(path)):
            np.testing.assert_array_equal(md.denoise(name, method="median").array, by_array.array)


def test_the_input_is_not_changed_and_progress_is_told(model: Path) -> None:
    volume = md.Volume.from_array(noisy(20, 24, 16), units="HU", modality="CT")
    before, told = volume.array.copy(), []
    clean = md.denoise(volume, model=str(model), device="cpu", progress=told.append)
    np.testing.assert_array_equal(volume.array, before)
    assert (clean.units, clean.modality) == ("HU", "CT")
    np.testing.assert_array_equal(clean.affine, volume.affine)
    assert told[-1] == 1
    assert told == sorted(told)
    assert clean.history[-1].startswith("meddenoise")


def test_how_must_be_said_once(model: Path) -> None:
    with pytest.raises(ParameterError, match="not both"):
        md.denoise(noisy(8, 8), model=model, method="median")


@pytest.mark.parametrize("scan", [noisy(8, 8), md.Volume.from_array(noisy(8, 8))])
def test_a_series_is_chosen_among_files(scan: np.ndarray | md.Volume) -> None:
    with pytest.raises(ParameterError, match="series chooses among the files"):
        md.denoise(scan, method="median", series="3")


@pytest.mark.parametrize(("value", "told"), [(7, "constant, 7"), (np.nan, "no voxel is finite")])
def test_there_must_be_something_in_it(value: float, told: str) -> None:
    with pytest.raises(FileError, match=told):
        md.denoise(np.full((8, 8, 8), value), method="median")


def test_only_bad_input_is_survived_in_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        md.write(md.Volume.from_array(noisy(8, 8, 8)), tmp_path / f"in/{name}.nii.gz")
    seen = []
    outcomes = denoise_files(
        tmp_path / "in", tmp_path / "out", method="median", progress=seen.append
    )
    assert [outcome.error for outcome in outcomes] == [None] * 3
    monkeypatch.setattr("meddenoise.workflows.batch.read", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        denoise_files(tmp_path / "in", tmp_path / "other", method="median")
    assert not (tmp_path / "other").exists()


def test_two_scans_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "in").mkdir()
    image = Image.fromarray(noisy(16, 16).astype(np.uint8))
    for name in ("x.jpg", "x.png"):
        image.save(tmp_path / "in" / name)
    one, other = denoise_files(tmp_path / "in", tmp_path / "out", method="median", overwrite=True)
    assert one.output == str(tmp_path / "out/x.png")
    assert "another scan of the same name" in str(other.error)


def test_the_result_of_another_scan_is_not_taken_for_its_own(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "in").mkdir()
    image = Image.fromarray(noisy(16, 16).astype(np.uint8))
    for name in ("x.jpg", "x.png"):
        image.save(tmp_path / "in" / name)
    md.write(md.Volume.from_array(noisy(8, 8, 8)), tmp_path / "in/x.nii.gz")  # sorted between them
    for again in (False, True):
        outcomes = denoise_files(tmp_path / "in", tmp_path / "out", method="median")
        assert [bool(outcome.notes) and again for outcome in outcomes] == [again, again, False]
        assert f"another scan of the same name already, of {tmp_path / 'in/x.jpg'}" in str(
            outcomes[2].error
        )
    [share] = denoise_files(tmp_path / "in", tmp_path / "out", method="median", shard="3/3")
    assert "another scan of the same name" in str(share.error)


@pytest.mark.parametrize("cluster", [None, "local:1"])
def test_a_share_does_not_replace_what_another_share_reads(
    tmp_path: Path, cluster: str | None
) -> None:
    if cluster:
        pytest.importorskip("distributed")
    for name in ("a", "b", "into/a"):
        md.write(md.Volume.from_array(noisy(8, 8, 8)), tmp_path / f"in/{name}.nii")
    before = (tmp_path / "in/into/a.nii").read_bytes()
    [outcome] = denoise_files(
        tmp_path / "in/**/*.nii",
        tmp_path / "in/into",
        method="median",
        shard="1/3",
        cluster=cluster,
        overwrite=True,
    )
    assert "a.nii is another input, and inputs are never overwritten" in str(outcome.error)
    assert (tmp_path / "in/into/a.nii").read_bytes() == before


def test_a_scan_of_another_kind_is_warned_of(model: Path, tmp_path: Path) -> None:
    denoiser = md.Denoiser.load(model)
    denoiser.info["data"] = {"units": "HU", "modality": "CT"}
    ct = denoiser.save(tmp_path / "ct.safetensors")
    with pytest.warns(UserWarning, match="units is HU, and this one's is mm"):
        md.denoise(md.Volume.from_array(noisy(16, 16, 16), units="mm"), model=ct)


def test_faults_are_ours(tmp_path: Path) -> None:
    for source, output, kind in (
        (tmp_path / "none.nii.gz", tmp_path / "x.nii.gz", FileError),
        (md.write(md.Volume.from_array(noisy(8, 8, 8)), tmp_path / "a.nii.gz"),
         tmp_path / "a.nii.gz/x.nii.gz", OutputError),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            denoise_files(source, output, method="median")
        assert isinstance(caught.value, InputError)


def test_masked_voxels_do_not_leak_and_come_out_as_they_were() -> None:
    array = np.random.default_rng(0).normal(100, 10, (20, 20, 12)).astype(np.float32)
    masked = np.zeros(array.shape, dtype=bool)
    masked[5:9, 5:9] = True
    spoilt, holes = np.where(masked, 1e6, array), np.where(masked, np.nan, array)
    result = md.denoise(np.ma.array(spoilt, mask=masked), method="gaussian")
    expected = md.denoise(holes, method="gaussian")
    np.testing.assert_array_equal(result.array[0][masked], 1e6)
    np.testing.assert_array_equal(result.array[0][~masked], expected.array[0][~masked])
    assert result.padding is not None
    np.testing.assert_array_equal(result.padding[0], masked)
    assert md.evaluate(array, np.ma.array(spoilt, mask=masked)).excluded == masked.sum()
