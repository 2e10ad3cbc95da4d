from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import meddenoise as md
from meddenoise.config import NormaliseConfig
from meddenoise.errors import ConfigError, ModelError
from meddenoise.inference import Denoiser, read_model_info
from meddenoise.networks import build_network
from meddenoise.training import Noise2VoidTrainer

OPTIONS = {"channels": [3, 4]}


def scan() -> np.ndarray:
    return np.random.default_rng(0).normal(100, 20, (20, 20)).astype(np.float32)


def model(place: Path, *, noise_map: bool = False, **settings: Any) -> Path:
    torch.manual_seed(1)
    network = build_network("light", dims=2, inputs=1 + noise_map, **OPTIONS)
    info = {"network": {"name": "light", "dims": 2, "options": OPTIONS}}
    made = Denoiser(network, dims=2, device="cpu", info=info, noise_map=noise_map, **settings)
    return made.save(place / "Doe^Jane.safetensors")


def configuration(file: Path, **changes: Any) -> dict[str, Any]:
    data = {"images": str(file.parent / "scan.nii.gz"), "patch": [8, 8], "batch": 1}
    md.write(md.Volume.from_array(scan()), data["images"], overwrite=True)
    return {
        "data": {**data, **changes.pop("data", {})},
        "trainer": {"name": "noise2void"},
        "network": {"name": "light", **OPTIONS},
        "training": {
            "steps": 1, "learning_rate": 1e-12, "trackers": [], "validate_batches": 1,
            "start_from": str(file),
        },
        **changes,
    }  # fmt: skip


def trained(config: dict[str, Any], place: Path) -> Denoiser:
    run = md.train(config, output=place, device="cpu", progress=False)
    assert run is not None
    return run.denoiser


def test_a_run_goes_on_from_the_weights_of_a_model(tmp_path: Path) -> None:
    file = model(tmp_path)
    made = trained(configuration(file), tmp_path / "run")
    old = Denoiser.load(file, device="cpu").network.state_dict()
    new = made.network.state_dict()
    assert all(torch.allclose(old[key], new[key], atol=1e-6) for key in old)
    # Without it, they would be others; and their average began there as well.
    config = configuration(file)
    del config["training"]["start_from"]
    other = trained(config, tmp_path / "other").network.state_dict()
    assert not all(torch.allclose(old[key], other[key], atol=1e-2) for key in old)


def test_in_python_too_and_the_model_tells_no_path(tmp_path: Path) -> None:
    file = model(tmp_path)
    network = build_network("light", dims=2, **OPTIONS)
    with pytest.raises(ConfigError, match=r"the model is of network 'light' and this run trains"):
        Noise2VoidTrainer().fit(
            scan(), network=network, patch=[8, 8], steps=1, start_from=str(file)
        )
    run = trained(configuration(file), tmp_path / "run")
    told = read_model_info(run.save(tmp_path / "new.safetensors"))
    assert told["training"]["settings"]["start_from"].startswith("sha256:")
    assert "Doe" not in str(told)


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        ({}, {"network": {"name": "unet"}}, r"of network 'light' and this run trains 'unet'"),
        ({}, {"data": {"patch": [8, 8, 8]}}, "the model is 2-D"),
        ({"noise_map": True}, {}, r"the model has a noise map: make trainer\.noise_map agree"),
        (
            {"normalise": NormaliseConfig(method="fixed", shift=0, scale=200)},
            {},
            r"by \{method: fixed, shift: 0, scale: 200\}",
        ),
    ],
)
def test_a_model_that_does_not_fit(
    tmp_path: Path, settings: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    config = configuration(model(tmp_path, **settings), **changes)
    if len(config["data"]["patch"]) == 3:
        md.write(md.Volume.from_array(np.stack([scan()] * 9, 2)), config["data"]["images"],
                 overwrite=True)  # fmt: skip
    with pytest.raises(ConfigError, match=rf"training\.start_from.*{message}"):
        trained(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_options_of_the_same_network(tmp_path: Path) -> None:
    config = configuration(model(tmp_path), network={"name": "light", "channels": [3, 5]})
    with pytest.raises(ModelError, match="do not fit the network: size mismatch"):
        trained(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"residual": True}, r"other options: give network\.residual: false"),
        ({"strides": [3]}, r"other options: give network\.strides: null"),
        ({"residual": True, "cell": 2}, r"give network\.residual: false\."),
    ],
)
def test_options_with_which_the_same_weights_mean_something_else(
    tmp_path: Path, option: dict[str, Any], message: str
) -> None:
    config = configuration(model(tmp_path), network={"name": "light", **OPTIONS, **option})
    with pytest.raises(ConfigError, match=rf"training\.start_from.*{message}"):
        trained(config, tmp_path / "run")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        trained(configuration(tmp_path / "none.safetensors"), tmp_path / "run")


def test_a_model_with_folded_batch_norm_says_what_to_do(tmp_path: Path) -> None:
    options = {"depth": 3, "width": 3, "batch_norm": True}
    network = build_network("dncnn", dims=2, **options)
    info = {"network": {"name": "dncnn", "dims": 2, "options": options}}
    file = Denoiser(network, dims=2, device="cpu", info=info).save(tmp_path / "m.safetensors")
    config = configuration(file, network={"name": "dncnn", **options})
    with pytest.raises(ConfigError, match=r"folded into its convolutions.*batch_norm: false"):
        trained(config, tmp_path / "run")
    config["network"]["batch_norm"] = False
    trained(config, tmp_path / "run")


def test_a_supervised_model_with_a_noise_map_goes_on_with_one(tmp_path: Path) -> None:
    file = model(tmp_path, noise_map=True)
    clean = md.Volume.from_array(scan())
    config = configuration(file, trainer={"name": "supervised", "noise_map": True})
    config |= {"noise": {"name": "gaussian", "sigma": 5}}
    md.write(clean, config["data"]["images"], overwrite=True)
    made = trained(config, tmp_path / "run")
    assert made.noise_map
    old, new = Denoiser.load(file, device="cpu").network, made.network
    for one, two in zip(old.parameters(), new.parameters(), strict=True):
        torch.testing.assert_close(one.data, two.data, atol=1e-6, rtol=0)
