from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import meddenoise as md
from meddenoise.config import InferenceConfig
from meddenoise.errors import FileError, OutputError
from meddenoise.networks import build_network
from meddenoise.workflows.denoise import denoise_files


def small_model(place: Path, *, restore: bool = True) -> Path:
    torch.manual_seed(0)
    network = build_network("unet", dims=3, channels=[2, 3])
    info = {"network": {"name": "unet", "dims": 3, "options": {"channels": [2, 3]}}}
    settings = InferenceConfig(tile_voxels=8000, restore=restore)
    made = md.Denoiser(network, info=info, inference=settings, device="cpu")
    return made.save(place / "model.safetensors")


def test_a_large_scan_is_denoised_from_file_to_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meddenoise.workflows import batch, streamed

    array = np.random.default_rng(0).normal(100, 20, (20, 24, 30)).astype(np.float32)
    array[3, 4, 5] = np.nan
    scan = md.write(md.Volume.from_array(array, spacing=(1, 2, 3)), tmp_path / "scan.nii")
    model = small_model(tmp_path)
    [whole] = denoise_files(scan, tmp_path / "whole.nii", model=model)

    def no_reading(*_: object, **__: object) -> None:
        raise AssertionError("it was read as a whole")

    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    monkeypatch.setattr(batch, "read", no_reading)
    told: list[float] = []
    [made] = denoise_files(scan, tmp_path / "made.nii", model=model, progress=told.append)
    assert told[-1] == pytest.approx(1)
    assert (made.voxels, made.untouched, made.clipped) == (array.size, 1, 0)
    one, other = md.read(tmp_path / "whole.nii").array, md.read(tmp_path / "made.nii").array
    assert np.allclose(one, other, atol=1e-3, equal_nan=True)
    assert not np.allclose(np.nan_to_num(other[0]), np.nan_to_num(array), atol=1)
    assert whole.untouched == made.untouched

    constant = md.write(md.Volume.from_array(np.full((8, 8, 8), 7.0)), tmp_path / "flat.nii")
    with pytest.raises(FileError, match="constant, 7 everywhere"):
        denoise_files(constant, tmp_path / "none.nii", model=model)
    damaged = tmp_path / "damaged.nii.gz"
    md.write(md.Volume.from_array(array), damaged)
    damaged.write_bytes(damaged.read_bytes()[:-3000])
    with pytest.raises(FileError, match="truncated"):
        denoise_files(damaged, tmp_path / "none.nii", model=model)
    assert {p.name for p in tmp_path.iterdir()} == {
        "scan.nii", "whole.nii", "made.nii", "flat.nii", "damaged.nii.gz", "model.safetensors"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("restore", "told"),
    [(True, "has no room for the scan in float32"), (False, "cannot be written")],
)
def test_a_full_disk_stops_it_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restore: bool, told: str
) -> None:
    resource = pytest.importorskip("resource")
    from meddenoise.workflows import streamed

    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    array = np.random.default_rng(0).normal(100, 20, (20, 24, 30)).astype(np.float32)
    scan = md.write(md.Volume.from_array(array), tmp_path / "scan.nii")
    model = small_model(tmp_path, restore=restore)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OutputError, match=told):
            denoise_files(scan, tmp_path / "out.nii", model=model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors", "scan.nii"]
