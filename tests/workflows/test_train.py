from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.config import load
from meddenoise.errors import ConfigError, OutputError, ParameterError


def settings(images: Any, **data: Any) -> dict[str, Any]:
    return {
        "data": {"images": images, "patch": [8, 8, 8], "batch": 1, **data},
        "trainer": {"name": "noise2void"},
        "network": {"name": "unet", "channels": [4, 8]},
        "training": {"steps": 2, "validate_batches": 1, "trackers": []},
    }


@pytest.fixture
def scan(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    volume = md.Volume.from_array(rng.normal(100, 10, (16, 16, 12)).astype(np.float32))
    return str(md.write(volume, tmp_path / "scan.nii.gz"))


def test_a_dictionary_a_config_and_a_file_are_alike(scan: str, tmp_path: Path) -> None:
    import yaml

    values = settings(scan)
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(values))
    weights = []
    for number, config in enumerate((values, md.Config(**values), file, str(file))):
        run = md.train(config, output=tmp_path / str(number), device="cpu", progress=False)
        assert run is not None
        assert run.directory == tmp_path / str(number)
        weights.append([w.numpy() for w in run.denoiser.network.state_dict().values()])
    for other in weights[1:]:
        for one, two in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_patch_that_nobody_chose_is_cut_to_the_scan_and_written_down(
    scan: str, tmp_path: Path
) -> None:
    values = settings(scan, patch_from=[24, 24, 8])
    del values["data"]["patch"]
    weights = []
    for name, config in (
        ("one", values),
        ("two", md.Config(**values)),
        ("three", tmp_path / "one" / "config.yaml"),  # what a run says of itself, run again
    ):
        run = md.train(config, output=tmp_path / name, device="cpu", progress=False)
        assert run is not None
        told = load(run.directory / "config.yaml").data
        assert (told.patch, told.patch_from) == ([16, 16, 12], [16, 16, 8])
        weights.append([w.numpy() for w in run.denoiser.network.state_dict().values()])
    for other in weights[1:]:
        for one, two in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_the_run_s_denoiser_is_the_model_file_s(scan: str, tmp_path: Path) -> None:
    run = md.train(settings(scan), output=tmp_path / "run", device="cpu", progress=False)
    assert run is not None
    volume = md.read(scan)
    loaded = md.denoise(volume, model=run.directory / "model.safetensors", device="cpu")
    np.testing.assert_array_equal(run.denoiser(volume).array, loaded.array)
    assert run.metrics == json.loads((run.directory / "metrics.json").read_text())


def test_overrides_and_an_own_trainer(scan: str, tmp_path: Path) -> None:
    class Counting(md.Noise2VoidTrainer):
        steps = 0

        def training_step(self, network: Any, batch: Any, draws: Any) -> Any:
            self.steps += isinstance(draws.step, int)
            return super().training_step(network, batch, draws)

    trainer = Counting()
    run = md.train(
        settings("none.nii.gz"),
        overrides=[f"data.images={scan}", "training.steps=3"],
        output=tmp_path / "run",
        progress=False,
        trainer=trainer,
    )
    assert run is not None
    assert run.metrics["train"]["steps"] == 3 == trainer.steps


def test_subjects_never_straddle_and_the_lists_are_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for subject in range(4):
        for scan in range(2):
            volume = md.Volume.from_array(rng.normal(9, 1, (10, 10, 10)).astype(np.float32))
            md.write(volume, tmp_path / f"in/sub-{subject}/scan{scan}.nii.gz")
    run = md.train(settings(str(tmp_path / "in")), output=tmp_path / "run", progress=False)
    assert run is not None
    split = json.loads((run.directory / "splits.json").read_text())
    sides = {side: {case["subject"] for case in cases} for side, cases in split.items()}
    assert sum(map(len, sides.values())) == 4
    assert len(set.union(*sides.values())) == 4
    tested = sorted(path.name for path in (run.directory / "denoised").iterdir())
    assert len(tested) == 2 * len(sides["test"])
    assert not (run.directory / "noisy").exists()  # the scans are in their own files


@pytest.mark.filterwarnings("ignore::meddenoise.io.ClippingWarning")
def test_rasters_train_in_2d(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(3):
        image = Image.fromarray(rng.integers(0, 255, (20 + number, 24), dtype=np.uint8))
        image.save(tmp_path / f"{number}.png")
    images = settings(str(tmp_path / "*.png"), patch=[16, 16])
    images["noise"] = {"name": "gaussian", "sigma": 20}
    run = md.train(images, output=tmp_path / "run", progress=False)
    assert run is not None
    assert run.denoiser.dims == 2
    for part in ("noisy", "denoised", "truth"):
        assert [path.suffix for path in (run.directory / part).iterdir()] == [".png"]


def test_a_series_whose_name_has_a_dot(tmp_path: Path) -> None:
    import shutil

    from pydicom.data import get_testdata_file

    series = tmp_path / "head.axial"
    series.mkdir()
    shutil.copy(get_testdata_file("CT_small.dcm", download=False), series)
    values = settings(str(series), patch=[16, 16])
    run = md.train(values, output=tmp_path / "run", progress=False)
    assert run is not None
    (written,) = (run.directory / "denoised").iterdir()
    assert md.read(written).units == "HU"


def test_what_cannot_be_leaves_nothing(scan: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        md.train({**settings(scan), "trainer": {"name": "supervised"}}, output=tmp_path / "run")
    with pytest.raises(OutputError, match="holds the input"):
        md.train(settings(scan), output=tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]


def test_ct_of_a_format_without_units_learns_from_photon_noise(scan: str, tmp_path: Path) -> None:
    config = settings(scan) | {
        "trainer": {"name": "supervised"},
        "noise": {"name": "poisson", "dose": [0.1, 0.5]},
    }
    where = {"output": tmp_path / "run", "device": "cpu", "progress": False}
    with pytest.raises(ParameterError, match=r"without a unit.*data\.units"):
        md.train(config, **where)
    run = md.train(config, overrides=["data.units=HU"], **where)
    assert run is not None
    assert run.denoiser.info["data"]["units"] == "HU"


def test_a_method_without_training_is_no_trainer(scan: str, tmp_path: Path) -> None:
    config = {**settings(scan), "trainer": {"name": "patch2self"}}
    with pytest.raises(ConfigError, match=r"without training: use .*--method patch2self"):
        md.train(config, output=tmp_path / "run", device="cpu", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_the_scans_that_it_began_with(tmp_path: Path) -> None:
    def put(name: str, seed: int) -> None:
        array = np.random.default_rng(seed).normal(100, 10, (16, 16, 12)).astype(np.float32)
        md.write(md.Volume.from_array(array), tmp_path / "in" / name, overwrite=True)

    for number in range(3):
        put(f"{number}.nii.gz", number)
    values = settings(str(tmp_path / "in"))
    again: dict[str, Any] = {"output": tmp_path / "run", "progress": False, "resume": True}
    first = md.train(values, output=tmp_path / "run", progress=False)
    assert first is not None
    lists = (tmp_path / "run/splits.json").read_text()
    put("3.nii.gz", 3)
    with pytest.raises(ConfigError, match="began with other scans"):
        md.train(values, **again)
    (tmp_path / "in/3.nii.gz").unlink()
    train = json.loads(lists)["train"][0]["name"]
    put(f"{train}.nii.gz", 9)
    with pytest.raises(ConfigError, match=f"have changed since it began: {train}"):
        md.train(values, **again)
    put(f"{train}.nii.gz", int(train))
    second = md.train({**values, "name": "another"}, **again)  # what it is called is no matter
    assert second is not None
    assert second.metrics["test"] == first.metrics["test"]
    assert (tmp_path / "run/splits.json").read_text() == lists


def test_a_truth_without_a_range_costs_its_scores_and_not_the_run(tmp_path: Path) -> None:
    truth = np.zeros((20, 20, 20), dtype=np.float32)
    truth[10, 10, 8:12] = 100
    noisy = truth + np.random.default_rng(0).normal(0, 5, truth.shape).astype(np.float32)
    for name, array in (("noisy", noisy), ("truth", truth)):
        md.write(md.Volume.from_array(array), tmp_path / name / "a.nii.gz")
    values = settings(str(tmp_path / "noisy"), targets=str(tmp_path / "truth"))
    with pytest.warns(UserWarning, match="a has no scores.*nearly everywhere 0"):
        run = md.train(values, output=tmp_path / "run", progress=False)
    assert run is not None
    (row,) = json.loads((run.directory / "metrics.json").read_text())["test"]["volumes"]
    assert row["name"] == "a"
    assert "nearly everywhere 0" in row["no_scores"]
    assert (run.directory / "denoised/a.nii.gz").is_file()
    assert (run.directory / "preview.png").is_file()
