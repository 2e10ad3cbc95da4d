from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import meddenoise as md
from meddenoise.config import DataConfig
from meddenoise.data import find_cases
from meddenoise.data.voxel_cache import VoxelCache
from meddenoise.errors import ConfigError, InputError
from meddenoise.training import cohort
from meddenoise.training.cohort import load_scans
from meddenoise.training.prepare import Prepared, prepare


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two subjects' scans, one with a voxel that was not measured."""
    random = np.random.default_rng(0)
    for number in range(2):
        array = random.normal(100, 10, (14, 12, 10)).astype(np.float32)
        array[number, 0, 0] = np.nan if number else 100
        md.write(md.Volume.from_array(array), tmp_path / f"images/sub-{number}.nii.gz")
    return tmp_path / "images"


def settings(images: Path, name: str = "noise2void", **data: Any) -> dict[str, Any]:
    clean = name == "supervised"
    return {
        "data": {"images": str(images), "patch": [8, 8, 8], "batch": 2, **data},
        "trainer": {"name": name},
        "noise": {"name": "gaussian", "sigma": "5%"} if clean else None,
        "network": {"name": "unet", "channels": [2, 4]},
        "training": {"steps": 4, "validate_every": 2, "validate_batches": 1, "trackers": []},
    }


def trained(config: dict[str, Any], output: Path, **how: Any) -> md.Denoiser:
    run = md.train(config, output=output, device="cpu", progress=False, **how)
    assert run is not None
    return run.denoiser


def same_weights(one: md.Denoiser, other: md.Denoiser) -> bool:
    mine, theirs = (each.network.state_dict() for each in (one, other))
    return all(bool((mine[key] == theirs[key]).all()) for key in mine)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("noise2void", {}),
        ("noise2void", {"patch": [8, 8]}),
        ("supervised", {}),
        ("slice2slice", {"patch": [8, 8]}),
    ],
)
def test_a_run_from_the_disk_is_that_from_memory(
    images: Path, tmp_path: Path, name: str, data: dict[str, Any]
) -> None:
    runs = [
        trained(settings(images, name, cache=cache, **data), tmp_path / cache)
        for cache in ("ram", "disk")
    ]
    assert same_weights(*runs)
    written = sorted(path.name for path in (tmp_path / "disk/denoised").iterdir())
    assert written  # in the scans' own format, with their own headers
    for file in written:
        one, other = (nib.load(tmp_path / cache / "denoised" / file) for cache in ("ram", "disk"))
        np.testing.assert_array_equal(one.get_fdata(), other.get_fdata())
        assert one.header == other.header
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "images", "ram"]


def decoded(cases: Any, data: DataConfig, run: Path) -> tuple[dict[str, Prepared], Any]:
    with load_scans(cases, lambda c, cache: prepare(c, None, 0, cache), data, run) as loaded:
        return loaded


def test_a_named_directory_serves_the_next_run(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meddenoise.data import cases

    data = {"cache": "disk", "cache_directory": str(tmp_path / "cache")}
    first = trained(settings(images, **data), tmp_path / "one")
    read, times = cases.read, []

    def counted(*given: Any, **how: Any) -> md.Volume:
        times.append(given)
        return read(*given, **how)

    monkeypatch.setattr(cases, "read", counted)
    assert same_weights(first, trained(settings(images, **data), tmp_path / "two"))
    # Only what is tested is read again, for its header.
    again = {Path(given[0]).name for given in times}
    assert again == {path.name for path in (tmp_path / "two/denoised").iterdir()}
    assert len(again) == 1


def test_what_does_not_fit_goes_to_the_disk(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = find_cases(str(images))
    size = 2 * 4 * 14 * 12 * 10
    data = DataConfig(images=str(images))
    for scans, on_disk in ((2.1, False), (1.9, True)):
        monkeypatch.setattr(cohort, "available_memory", lambda scans=scans: int(2 * scans * size))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            loaded, cache = decoded(cases, data, tmp_path / "run")
        assert (cache is not None) == on_disk
        assert ("they are mapped from" in str([each.message for each in told])) == on_disk
        assert len(loaded) == 2
    monkeypatch.setattr(cohort, "available_memory", lambda: 0)
    assert decoded(cases, DataConfig(images="x", cache="ram"), tmp_path / "run")[1] is None
    # Processes share the memory of a machine.
    monkeypatch.setattr(cohort, "available_memory", lambda: int(2 * 2.1 * size))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.warns(UserWarning, match="they are mapped from"):
        assert decoded(cases, data, tmp_path / "run")[1] is not None


def test_an_impossible_run_leaves_no_cache(images: Path, tmp_path: Path) -> None:
    (images / "sub-2.nii.gz").write_bytes(b"no scan")
    with pytest.raises(InputError):
        trained(settings(images, cache="disk"), tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_an_interrupted_run_keeps_it_and_goes_on(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    class Stopped(md.Noise2VoidTrainer):
        def training_step(self, network: Any, batch: Any, draws: Any) -> Any:
            if draws.step == 1:
                signal.raise_signal(signal.SIGINT)
            return super().training_step(network, batch, draws)

    straight = trained(settings(images), tmp_path / "straight", trainer=md.Noise2VoidTrainer())
    config, run = settings(images, cache="disk"), tmp_path / "run"
    with pytest.raises(md.MeddenoiseError, match="Stopped"):
        trained(config, run, trainer=Stopped())
    assert (tmp_path / "run.voxels").is_dir()
    config["data"]["cache"] = "auto"  # where scans lie may change
    monkeypatch.delattr(Stopped, "training_step")
    resumed = trained(config, run, trainer=Stopped(), resume=True)
    assert same_weights(straight, resumed)
    assert not (tmp_path / "run.voxels").exists()


def test_what_has_to_be_made_of_a_scan_is_mapped_too(images: Path, tmp_path: Path) -> None:
    from meddenoise.config import NormaliseConfig
    from meddenoise.training.prepare import as_items

    cache = VoxelCache(tmp_path / "cache")
    scans = [prepare(case, None, 0, cache) for case in find_cases(str(images))]
    entries = len(list(cache.directory.iterdir()))
    items = as_items(scans, NormaliseConfig(), 3, cache=cache)
    # The first is as it was read; of the second, the hole is filled, and has a mask.
    assert np.shares_memory(items[0].image.numpy(), scans[0].volume.array)
    assert items[0].valid is None
    assert items[1].valid is not None
    assert len(list(cache.directory.iterdir())) == entries + 2


def test_fit_has_its_scans_in_memory() -> None:
    with pytest.raises(ConfigError, match=r"data\.cache disk is for scans in files"):
        md.Noise2VoidTrainer().fit(np.eye(8), steps=1, data={"cache": "disk"})
