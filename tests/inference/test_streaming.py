from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

import meddenoise as md
from meddenoise.config import InferenceConfig, NormaliseConfig, StabiliseConfig
from meddenoise.errors import FileError, OutputError
from meddenoise.inference import Denoiser, streaming
from meddenoise.inference.streaming import Streaming
from meddenoise.io.planes import open_planes
from meddenoise.networks import build_network

SIZE = (28, 36, 90)


def denoiser(dims: int = 3, *, inputs: int = 1, restore: bool = False, **more: Any) -> Denoiser:
    torch.manual_seed(0)
    network = build_network("unet", dims=dims, channels=[3, 4], residual=True, inputs=inputs)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape))
    inference = InferenceConfig(tile_voxels=20_000, restore=restore)
    return Denoiser(
        network, dims=dims, inference=inference, device="cpu", noise_map=inputs == 2, **more
    )


def scan(*shape: int, missing: bool = False) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, shape[-1])
    array = (300 * np.exp(-(x**2)) + rng.normal(100, 20, size=shape)).astype(np.float32)
    if missing:
        array[..., 3, 4, 5] = np.nan
        array[..., 10, 4, -1] = np.inf
    return array


def streamed(run: Denoiser, path: Path, tmp_path: Path, **how: Any) -> md.Volume:
    opened = open_planes(path)
    assert opened is not None
    told: list[float] = []
    stream = Streaming(run, opened, **how)
    parts = [*stream.planes(tmp_path, told.append)]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # no file is left
    whole = np.concatenate(parts, axis=2)
    channels = stream.head.channels
    array = np.stack(np.split(whole, channels, axis=2))
    return stream.head.with_array(array)


def check(run: Denoiser, array: np.ndarray, tmp_path: Path, name: str, **how: Any) -> None:
    path = md.write(md.Volume.from_array(array), tmp_path / name)
    volume = md.read(path)
    whole, found = run(volume, **how), streamed(run, path, tmp_path, **how)
    assert found.history == whole.history
    assert np.array_equal(np.isfinite(found.array), np.isfinite(whole.array))
    inside = np.isfinite(whole.array)
    apart = np.abs(found.array[inside] - whole.array[inside]).max()
    assert apart < 1e-5 * np.ptp(whole.array[inside])
    assert not np.allclose(found.array[inside], volume.array[inside], rtol=1e-3)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("restore", [False, True])
def test_a_stream_gives_what_the_whole_in_memory_gives(
    tmp_path: Path, name: str, restore: bool
) -> None:
    check(denoiser(restore=restore), scan(*SIZE), tmp_path, name)


@pytest.mark.parametrize("restore", [False, True])
def test_voxels_that_are_no_numbers_stay(tmp_path: Path, restore: bool) -> None:
    check(denoiser(restore=restore), scan(*SIZE, missing=True), tmp_path, "scan.nii")


def test_channels_one_after_the_other_and_a_2d_network(tmp_path: Path) -> None:
    array = scan(3, 20, 24, 12)
    array[1] = 7  # a blank one passes
    check(denoiser(2), array, tmp_path, "scan.nii")


def test_a_noise_map_and_percentiles(tmp_path: Path) -> None:
    run = denoiser(inputs=2, normalise=NormaliseConfig(method="percentile"))
    check(run, scan(*SIZE), tmp_path, "scan.nii", sigma=20.0)


def test_a_level_that_is_estimated(tmp_path: Path) -> None:
    check(denoiser(inputs=2), scan(*SIZE), tmp_path, "scan.nii")


def test_a_stabilised_scan(tmp_path: Path) -> None:
    run = denoiser(stabilise=StabiliseConfig(method="rician"))
    check(run, scan(*SIZE), tmp_path, "scan.nii", sigma=20.0)


def test_scaled_integers(tmp_path: Path) -> None:
    import nibabel as nib

    image = nib.Nifti1Image(scan(*SIZE).astype(np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, -100)
    nib.save(image, tmp_path / "scan.nii")
    run = denoiser()
    whole = run(md.read(tmp_path / "scan.nii")).array
    found = streamed(run, tmp_path / "scan.nii", tmp_path).array
    assert found.dtype == whole.dtype
    assert np.abs(found - whole).max() < 1e-5 * np.ptp(whole)


@pytest.mark.parametrize(
    ("inputs", "how"), [(1, "standard"), (1, "percentile"), (2, "standard"), (2, "percentile")]
)
def test_of_many_volumes_one_is_held(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inputs: int,
    how: Literal["standard", "percentile"],
) -> None:
    monkeypatch.setattr(streaming, "scan_sigma", lambda volume, channel=0: 20.0)
    array = scan(60, 24, 28, 20)
    path = md.write(md.Volume.from_array(array), tmp_path / "scan.nii")
    opened = open_planes(path)
    assert opened is not None
    run = denoiser(inputs=inputs, normalise=NormaliseConfig(method=how))
    passed = lambda shape, planes, **_: (part[:, 0] for part in planes())  # noqa: E731
    monkeypatch.setattr(run.compute, "planes", passed)
    tracemalloc.start()
    try:
        stream = Streaming(run, opened)
        for part in stream.planes(tmp_path):
            del part
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < array.nbytes / 2


def test_a_file_that_ends_early_is_an_error(tmp_path: Path) -> None:
    path = md.write(md.Volume.from_array(scan(*SIZE)), tmp_path / "scan.nii.gz")
    path.write_bytes(path.read_bytes()[:-9000])
    opened = open_planes(path)
    assert opened is not None
    with pytest.raises(FileError, match="truncated"):
        Streaming(denoiser(), opened)


def test_no_place_for_what_restoring_needs(tmp_path: Path) -> None:
    path = md.write(md.Volume.from_array(scan(*SIZE)), tmp_path / "scan.nii")
    opened = open_planes(path)
    assert opened is not None
    stream = Streaming(denoiser(restore=True), opened)
    with pytest.raises(OutputError, match="cannot be written to"):
        next(stream.planes(tmp_path / "none"))


LARGE = """
import re, sys, threading
import numpy as np, torch
from pathlib import Path
from meddenoise.config import InferenceConfig
from meddenoise.inference import Denoiser
from meddenoise.networks import build_network
from meddenoise.workflows import streamed
from meddenoise.workflows.denoise import denoise_files

torch.set_num_threads(1)
place, restore = Path(sys.argv[1]), sys.argv[2] == "True"
network = build_network("unet", dims=3, channels=[1])
settings = InferenceConfig(tile_voxels=2**20, memory=0.75, restore=restore)
info = {"network": {"name": "unet", "dims": 3, "options": {"channels": [1]}}}
Denoiser(network, info=info, inference=settings, device="cpu").save(place / "model.safetensors")
streamed.STREAM_FROM = 1

def anonymous():  # what is mapped from files does not count: the system takes it back at will
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

def run(scan):
    most, done = [0.0], threading.Event()
    def watch():
        while not done.wait(0.002):
            most[0] = max(most[0], anonymous())
    watcher = threading.Thread(target=watch)
    watcher.start()
    [made] = denoise_files(scan, place / "out.nii", model=place / "model.safetensors",
                           overwrite=True)
    done.set()
    watcher.join()
    assert made.error is None, made
    return most[0]

run(place / "small.nii")  # sets things up
before = run(place / "small.nii")
print(run(place / "large.nii") - before)
"""


@pytest.mark.parametrize("restore", [False, True])
def test_memory_does_not_grow_with_the_scan(tmp_path: Path, restore: bool) -> None:
    import nibabel as nib

    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    part = np.random.default_rng(0).normal(100, 10, (60, 200, 200)).astype(np.float32)
    for name, repeats in (("small", 4), ("large", 12)):
        header.set_data_shape((200, 200, 60 * repeats))
        with open(tmp_path / f"{name}.nii", "wb") as file:
            header["magic"], header["vox_offset"] = b"n+1", 352
            file.write(header.binaryblock + bytes(4))
            for _ in range(repeats):
                file.write(part.data)
    done = subprocess.run(
        [sys.executable, "-c", LARGE, tmp_path, str(restore)],
        # What is given back at once is not measured: pools fill up as threads happen to run.
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # The large scan has 73 MiB more in float32; read and denoised in memory it takes them 4 times.
    assert float(done.stdout.splitlines()[-1]) < 25
    assert (tmp_path / "out.nii").stat().st_size == (tmp_path / "large.nii").stat().st_size
