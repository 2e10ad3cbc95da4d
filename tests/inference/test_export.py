from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from meddenoise.inference import Denoiser, read_model_info
from meddenoise.inference.export import exported
from meddenoise.networks import build_network

OPTIONS = {"depth": 4, "width": 3, "batch_norm": True}


def trained() -> nn.Module:
    torch.manual_seed(0)
    network = build_network("dncnn", dims=2, **OPTIONS)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
        network.train()
        network(2 + 3 * torch.randn(4, 1, 16, 16))
    return network.eval()


def test_a_model_file_has_its_batch_norm_folded(tmp_path: Path) -> None:
    network = trained()
    info = {"network": {"name": "dncnn", "dims": 2, "options": OPTIONS, "parameters": 1}}
    made = Denoiser(network, dims=2, device="cpu", info=info)
    model = made.save(tmp_path / "model.safetensors")
    told = read_model_info(model)["network"]
    assert told["options"] == {**OPTIONS, "batch_norm": False}
    assert told["trained_with"] == {"batch_norm": True}
    assert told["parameters"] == sum(p.numel() for p in made.network.parameters())
    again = Denoiser.load(model, device="cpu")
    assert not any("Batch" in type(module).__name__ for module in again.network.modules())
    array = np.random.default_rng(0).normal(100, 20, (24, 21)).astype(np.float32)
    np.testing.assert_array_equal(again.denoise_array(array), made.denoise_array(array))
    # And it is what was trained.
    x = torch.from_numpy((array - array.mean()) / array.std())[None, None]
    expected = network(x)[0, 0].detach().numpy() * array.std() + array.mean()
    np.testing.assert_allclose(again.denoise_array(array), expected, atol=1e-2)
    assert np.abs(expected - array).max() > 1


def test_an_older_file_with_batch_norm_is_folded_when_it_is_loaded(tmp_path: Path) -> None:
    from meddenoise.inference.model_file import save_model

    network = trained()
    info = {"network": {"name": "dncnn", "dims": 2, "options": OPTIONS}}
    normalise = {"method": "standard"}
    file = save_model(tmp_path / "old.safetensors", network, {**info, "normalise": normalise})
    loaded = Denoiser.load(file, device="cpu")
    assert not any("Batch" in type(module).__name__ for module in loaded.network.modules())
    x = torch.randn(1, 1, 9, 9)
    torch.testing.assert_close(loaded.network(x), network(x), rtol=1e-4, atol=1e-5)


def test_of_an_unregistered_module_nothing_is_folded() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    same, info = exported(network, {"network": {"name": "Own", "dims": 2}, "note": 1})
    assert same is network
    assert info == {"network": {"name": "Own", "dims": 2}, "note": 1}
    assert exported(network, {}) == (network, {})
