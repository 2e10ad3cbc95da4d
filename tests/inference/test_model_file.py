from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from meddenoise.config import InferenceConfig, NormaliseConfig
from meddenoise.errors import ModelError
from meddenoise.inference import Denoiser, read_model_info
from meddenoise.networks import build_network
from meddenoise.volume import Volume

OPTIONS = {"channels": [2, 3], "strides": [[2, 2, 1]]}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = build_network("unet", dims=3, **OPTIONS)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    made = Denoiser(
        network,
        normalise=NormaliseConfig(method="fixed", shift=40, scale=200),
        inference=InferenceConfig(flips=True),
        device="cpu",
        info={"network": {"name": "unet", "dims": 3, "options": OPTIONS}, "note": "ü"},
    )
    return made.save(tmp_path / "model.safetensors")


def described(path: Path, change: Any) -> Path:
    """The same weights with another description."""
    info = read_model_info(path)
    change(info)
    save_file(load_file(path), path, metadata={"meddenoise": json.dumps(info)})
    return path


def test_saved_and_loaded_it_denoises_the_same(model: Path, tmp_path: Path) -> None:
    volume = Volume.from_array(np.random.default_rng(0).normal(size=(9, 8, 7)).astype(np.float32))
    one = Denoiser.load(model, device="cpu")
    two = Denoiser.load(one.save(tmp_path / "again.safetensors"), device="cpu")
    assert np.array_equal(one(volume).array, two(volume).array)
    assert one.normalise == NormaliseConfig(method="fixed", shift=40, scale=200)
    assert one.inference.flips
    assert model.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_loading_takes_nothing_from_the_callers_random_numbers(model: Path) -> None:
    before = torch.get_rng_state()
    Denoiser.load(model, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_description_is_read_without_the_weights(model: Path) -> None:
    info = read_model_info(model)
    assert info["network"] == {"name": "unet", "dims": 3, "options": OPTIONS}
    assert info["note"] == "ü"
    assert info["version"] == 1


def test_the_name_in_the_history_has_the_hash_of_the_file(model: Path) -> None:
    import hashlib

    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert Denoiser.load(model, device="cpu").name == f"model.safetensors sha256:{digest}"


@pytest.mark.parametrize(
    "content",
    [b"", b"abc", b"\xff" * 64, b"\x08" + bytes(7) + b"notjson!", b"\x02" + bytes(7) + b"{}"],
)
def test_what_is_no_model_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.safetensors is no"):
        Denoiser.load(tmp_path / "m.safetensors")


def test_a_header_nested_without_end(tmp_path: Path) -> None:
    header = b"[" * 100_000
    (tmp_path / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelError, match="is no meddenoise model"):
        read_model_info(tmp_path / "m.safetensors")


def test_no_file_and_a_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(ModelError, match="cannot be read"):
            Denoiser.load(path)


def test_a_foreign_safetensors_file(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="is no meddenoise model"):
        Denoiser.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("left", [1, 100, 1000])
def test_a_truncated_file(model: Path, left: int) -> None:
    whole = model.read_bytes()
    model.write_bytes(whole[:-left])
    with pytest.raises(ModelError, match="damaged"):
        Denoiser.load(model)


@pytest.mark.parametrize(
    "change",
    [
        lambda info: info.pop("network"),
        lambda info: info.update(network="unet"),
        lambda info: info["network"].update(dims=4),
        lambda info: info["network"].update(dims="3"),
        lambda info: info["network"].update(dims=3.0),
        lambda info: info["network"]["options"].update(dims=3),
        lambda info: info["network"]["options"].update(inputs=1),
        lambda info: info["network"]["options"].update(name="unet"),
        lambda info: info["network"].update(options=[1]),
        lambda info: info["network"].pop("name"),
        lambda info: info.pop("normalise"),
        lambda info: info.update(version="1"),
        lambda info: info.pop("version"),
    ],
)
def test_a_damaged_description(model: Path, change: Any) -> None:
    with pytest.raises(ModelError, match="description is damaged"):
        Denoiser.load(described(model, change))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda info: info["normalise"].update(scale=0), "scale"),
        (lambda info: info["normalise"].update(method="magic"), "method"),
        (lambda info: info["inference"].update(tiles=[3]), "tiles"),
    ],
)
def test_a_description_that_makes_no_sense(model: Path, change: Any, key: str) -> None:
    with pytest.raises(ModelError, match=f"makes no sense: {key}"):
        Denoiser.load(described(model, change))


def test_a_newer_file(model: Path) -> None:
    with pytest.raises(ModelError, match="newer meddenoise: upgrade"):
        Denoiser.load(described(model, lambda info: info.update(version=2)))


def test_weights_of_other_shapes(model: Path) -> None:
    def change(info: dict[str, Any]) -> None:
        info["network"]["options"] = {**OPTIONS, "channels": [2, 4]}

    with pytest.raises(ModelError, match="do not fit the network: size mismatch for"):
        Denoiser.load(described(model, change))


def test_options_that_the_network_does_not_have(model: Path) -> None:
    def change(info: dict[str, Any]) -> None:
        info["network"]["options"] = {"width": 3}

    with pytest.raises(ModelError, match=r"network\.width is no key"):
        Denoiser.load(described(model, change))


def test_weights_that_are_not_finite(model: Path) -> None:
    info = {"meddenoise": json.dumps(read_model_info(model))}
    weights = load_file(model)
    next(iter(weights.values())).view(-1)[0] = torch.nan
    save_file(weights, model, metadata=info)
    with pytest.raises(ModelError, match="not all finite"):
        Denoiser.load(model)


class Own(nn.Module):
    """A network that no registry knows, with a weight that two layers share."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 1, 3, padding=1)
        self.two = nn.Conv2d(1, 1, 3, padding=1)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x))


def test_a_network_that_is_not_registered(tmp_path: Path) -> None:
    info = {"network": {"name": "Own", "dims": 2}}
    made = Denoiser(Own(), dims=2, device="cpu", info=info)
    path = made.save(tmp_path / "own.safetensors")
    with pytest.raises(ModelError, match=r"does not know.*register it first, or pass .*network="):
        Denoiser.load(path)
    again = Denoiser.load(path, network=Own(), device="cpu")
    array = np.random.default_rng(0).normal(size=(8, 8))
    assert np.array_equal(again.denoise_array(array), made.denoise_array(array))


def test_half_precision_is_saved_as_float32(tmp_path: Path) -> None:
    info = {"network": {"name": "Own", "dims": 2}}
    path = Denoiser(Own().bfloat16(), dims=2, device="cpu", info=info).save(
        tmp_path / "h.safetensors"
    )
    assert {value.dtype for value in load_file(path).values()} == {torch.float32}


def test_without_a_name_it_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"info\['network'\]"):
        Denoiser(Own(), dims=2, device="cpu").save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []
