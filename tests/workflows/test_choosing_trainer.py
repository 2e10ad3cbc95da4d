from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import meddenoise as md
from meddenoise.config import Config, parse
from meddenoise.errors import ConfigError
from meddenoise.training.prepare import Prepared
from meddenoise.workflows.choosing_trainer import choose_trainer
from meddenoise.workflows.schema import check_config, config_schema


def config(**sections: Any) -> Config:
    return parse({"data": {"images": "a"}, "trainer": {"name": "auto"}, **sections})


def chosen(volume: md.Volume, **sections: Any) -> tuple[Config, str]:
    found, why = choose_trainer(config(**sections), [Prepared("scan", volume, None)])
    return found, " ".join(why)


def test_white_noise(scans: Any) -> None:
    found, why = chosen(scans.scan("white"))
    assert found.trainer.name == "staged"
    assert found.stabilise == "none"
    assert found.data.patch == [56, 56, 32]
    assert "independent between voxels" in why
    assert "Taken: staged." in why


def test_rician_noise_is_stabilised_unless_somebody_said_otherwise(scans: Any) -> None:
    volume = scans.scan("rician")
    assert chosen(volume)[0].stabilise == "rician"
    assert chosen(volume, noise={"stabilise": "none"})[0].stabilise == "none"


def test_injected_noise_is_kept_and_stabilised(scans: Any) -> None:
    found, _ = chosen(scans.scan("rician"), noise={"name": "rician", "sigma": "5%"})
    assert found.noise is not None
    assert (found.noise.name, found.noise.options) == ("rician", {"sigma": "5%"})
    assert found.stabilise == "rician"


def test_noise_along_one_axis(scans: Any) -> None:
    found, why = chosen(scans.scan("along x"))
    assert found.trainer.name == "struct_noise2void"
    extents = found.trainer.options["extents"]
    assert extents[0] >= 1
    assert extents[1:] == [0, 0]
    assert "correlated along x." in why


def test_noise_along_all_axes_is_for_no_trainer(scans: Any) -> None:
    with pytest.raises(ConfigError, match=r"along x and y and z: no trainer.*--method bm4d"):
        chosen(scans.scan("everywhere"))


def test_slices_of_correlated_noise_learn_from_each_other(scans: Any) -> None:
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(1).standard_normal((56, 56, 40))
    smooth = gaussian_filter(noise, (1, 1, 0), mode="wrap")
    array = (scans.anatomy() + scans.sigma * smooth / smooth.std()).astype(np.float32)
    volume = md.Volume.from_array(array)
    found, why = chosen(volume, data={"images": "a", "patch": [32, 32]})
    assert found.trainer.name == "slice2slice"
    assert "independent noise" in why
    assert chosen(volume)[0].trainer.name == "struct_noise2void"  # in 3-D, across the slices


def test_clean_partners_teach_most(scans: Any) -> None:
    found, _ = chosen(scans.scan("white"), data={"images": "a", "targets": "b"})
    assert found.trainer.name == "supervised"


@pytest.mark.parametrize(
    ("shape", "spacing", "patch"),
    [
        ((100, 100, 100), (1.0, 1.0, 1.0), [64, 64, 32]),
        ((100, 100, 100), (3.0, 1.0, 1.0), [32, 64, 64]),
        ((100, 40, 100), (1.0, 1.0, 1.0), [64, 40, 32]),
        ((100, 100, 5), (1.0, 1.0, 6.0), [64, 64]),
        ((100, 30), (1.0, 1.0), [64, 30]),
        ((1, 100, 30), (6.0, 1.0, 1.0), [64, 30]),  # one sagittal slice
    ],
)
def test_the_patch_suits_the_scan(
    shape: tuple[int, ...], spacing: tuple[float, ...], patch: list[int]
) -> None:
    noise = np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)
    found, _ = chosen(md.Volume.from_array(noise, spacing=spacing))
    assert found.data.patch == patch
    given = {"images": "a", "patch": [16] * len(patch)}
    again, _ = chosen(md.Volume.from_array(noise, spacing=spacing), data=given)
    assert again.data.patch == [16] * len(patch)


def test_options_are_for_a_trainer_by_name(scans: Any) -> None:
    with pytest.raises(ConfigError, match=r"auto has no options \(window\): name a trainer"):
        chosen(scans.scan("white"), trainer={"name": "auto", "window": 5})


def test_options_of_auto_are_refused_before_a_scan_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("data: {images: nowhere}\ntrainer: {name: auto, window: 5}\n")
    for look in (check_config, md.train):
        with pytest.raises(ConfigError, match=r"line 2: trainer: auto has no options \(window\)"):
            look(file)


def test_no_noise_to_learn_from() -> None:
    ramp = np.broadcast_to(np.arange(40.0, dtype=np.float32)[:, None, None], (40, 40, 40))
    with pytest.raises(ConfigError, match="No noise can be seen in scan"):
        chosen(md.Volume.from_array(ramp.copy()))


def test_too_small_to_judge() -> None:
    tiny = np.random.default_rng(0).normal(100, 10, (2, 2, 2)).astype(np.float32)
    with pytest.raises(ConfigError, match=r"cannot judge scan.*Name a trainer"):
        chosen(md.Volume.from_array(tiny))


def test_a_run_says_and_writes_what_was_chosen(scans: Any, tmp_path: Path) -> None:
    file = md.write(scans.scan("white"), tmp_path / "scan.nii.gz")
    values = {
        "data": {"images": str(file), "patch": [16, 16, 16], "batch": 1},
        "trainer": {"name": "auto"},
        "network": {"name": "unet", "channels": [4, 8]},
        "training": {"steps": 2, "validate_batches": 1, "trackers": []},
    }
    with pytest.warns(UserWarning, match="Taken: staged"):
        run = md.train(values, output=tmp_path / "run", device="cpu", progress=False)
    assert run is not None
    written = yaml.safe_load((run.directory / "config.yaml").read_text())
    assert written["trainer"]["name"] == "staged"
    assert run.denoiser.info["trainer"]["name"] == "staged"
    # A finished run that is resumed looks again, and chooses the same.
    with pytest.warns(UserWarning, match="Taken: staged"):
        md.train(values, output=tmp_path / "run", resume=True, device="cpu", progress=False)


def test_it_can_be_checked_without_scans(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("data: {images: a}\ntrainer: {name: auto}\n")
    assert yaml.safe_load(check_config(file))["trainer"] == {"name": "auto"}
    titles = [part["title"] for part in config_schema()["properties"]["trainer"]["oneOf"]]
    assert "auto" in titles
    json.dumps(config_schema())
