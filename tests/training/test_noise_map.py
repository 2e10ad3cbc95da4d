"""Training with the noise's level as a second channel, from a step to a model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import meddenoise as md
from meddenoise.config import InferenceConfig
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ConfigError, ModelError, ParameterError
from meddenoise.inference import Denoiser
from meddenoise.inference.model_file import read_model_info
from meddenoise.networks import build_network
from meddenoise.noise import build_noise
from meddenoise.noise.scan_level import scan_sigma
from meddenoise.training import SupervisedTrainer
from meddenoise.volume import Volume


def batch(rows: int = 3, **changes: Any) -> Batch:
    """Clean 100 everywhere, normalised by shift 50 and scale 10, 20, ..."""
    scale = 10.0 * torch.arange(1, rows + 1).view(-1, 1, 1, 1)
    shift = torch.full((rows, 1, 1, 1), 50.0)
    target = (torch.full((rows, 1, 64, 64), 100.0) - shift) / scale
    given = Batch(
        target, target, None, shift, scale, torch.full((rows,), 200.0), torch.ones(rows, 2)
    )
    return replace(given, **changes)


def draws(rows: int = 3) -> Draws:
    return Draws(0, 0, rows)


class Recorder(nn.Module):
    """Keeps what it was given, and gives the image back."""

    def forward(self, x: Tensor) -> Tensor:
        self.given = x
        return x[:, :1]


def seen(trainer: SupervisedTrainer, given: Batch) -> Tensor:
    """The noise map's levels, in image units."""
    network = Recorder()
    trainer.training_step(network, given, draws())
    levels = network.given[:, 1]
    assert float(levels.amax((1, 2)).sub(levels.amin((1, 2))).max()) == 0
    return levels[:, 0, 0] * given.scale.flatten()


def test_added_noise_is_known_exactly() -> None:
    noise = build_noise("rician", sigma=["5%", "20%"])
    levels = seen(SupervisedTrainer(noise=noise, noise_map=True), batch())
    places = draws().uniform("noise level")
    torch.testing.assert_close(levels, 200 * (0.05 + 0.15 * places))
    alone = seen(SupervisedTrainer(noise=build_noise("gaussian", sigma=7), noise_map=True), batch())
    torch.testing.assert_close(alone, torch.full((3,), 7.0))


def test_of_noise_without_one_deviation_it_is_what_was_added() -> None:
    noise = build_noise("poisson_gaussian", gain=4.0, sigma=3.0)
    levels = seen(SupervisedTrainer(noise=noise, noise_map=True), batch())
    assert levels.tolist() == pytest.approx([(400 + 9) ** 0.5] * 3, rel=0.05)
    noise = build_noise("parallel_imaging", sigma=2.0, acceleration=9.0, g_max=1.0)
    levels = seen(SupervisedTrainer(noise=noise, noise_map=True), batch())
    assert levels.tolist() == pytest.approx([6.0] * 3, rel=0.05)


def test_of_pairs_it_is_that_of_the_scan() -> None:
    trainer = SupervisedTrainer(noise_map=True)
    given = batch(sigma=torch.tensor([1.0, 5.0, 9.0]))
    torch.testing.assert_close(seen(trainer, given), given.sigma)
    with pytest.raises(ParameterError, match="needs the batch's sigma"):
        trainer.training_step(Recorder(), batch(), draws())


def test_without_a_map_the_network_gets_the_image_alone() -> None:
    network = Recorder()
    SupervisedTrainer(noise=build_noise("gaussian", sigma=1)).training_step(
        network, batch(), draws()
    )
    assert network.given.shape == (3, 1, 64, 64)


def clean(*shape: int) -> np.ndarray:
    place = np.meshgrid(*(np.linspace(0, 6, n) for n in shape), indexing="ij")
    return (50 + 40 * np.sin(sum(place))).astype(np.float32)


def textured(seed: int) -> np.ndarray:
    """A texture may be noise or not, unless one is told how much noise there is."""
    texture = np.random.default_rng(seed).normal(0, 10, (24, 26)).astype(np.float32)
    return clean(24, 26) + texture


def configuration(images: Path, **changes: Any) -> dict[str, Any]:
    return {
        "data": {"images": str(images), "patch": [16, 16], "batch": 8},
        "trainer": {"name": "supervised", "noise_map": True},
        "noise": {"name": "gaussian", "sigma": ["1%", "30%"]},
        "network": {"name": "unet", "channels": [8, 8], "residual": True},
        "training": {"steps": 150, "learning_rate": 5e-3, "ema": 0.9, "trackers": []},
        **changes,
    }


def test_train_save_load_denoise(tmp_path: Path) -> None:
    images = tmp_path / "images"
    for seed in range(4):
        md.write(Volume.from_array(textured(seed)), images / f"{seed}.nii.gz")
    run = md.train(configuration(images), output=tmp_path / "run", device="cpu", progress=False)
    assert run is not None
    model = run.directory / "model.safetensors"
    assert read_model_info(model)["network"]["inputs"] == 2
    assert read_model_info(model)["trainer"]["noise_map"] is True

    denoiser = Denoiser.load(model, device="cpu")
    assert denoiser.noise_map
    rng = np.random.default_rng(0)
    truth = textured(9)
    array = truth + rng.normal(0, 9, truth.shape).astype(np.float32)
    noisy = Volume.from_array(array)
    told = denoiser(noisy, sigma=9.0).array[0]
    assert np.mean((told - truth) ** 2) < 0.8 * np.mean((array - truth) ** 2)
    # What it is told counts: without noise there is less to remove.
    removed = [np.std(denoiser(noisy, sigma=s).array[0] - array) for s in (1.0, 9.0, 25.0)]
    assert 1.5 * removed[0] < removed[1] < removed[2]
    # By itself it estimates, the same in a map as in a number.
    level = scan_sigma(noisy)
    np.testing.assert_array_equal(denoiser(noisy).array, denoiser(noisy, sigma=level).array)
    by_map = denoiser(noisy, sigma=np.full(array.shape, level))
    np.testing.assert_allclose(by_map.array, denoiser(noisy).array, atol=1e-4)
    by_hand = md.denoise(noisy, model=model, device="cpu", sigma="10%")
    level = 0.1 * np.percentile(array, 99.9)
    np.testing.assert_allclose(by_hand.array, denoiser(noisy, sigma=level).array, atol=1e-4)
    # Saved once more it is the same, and tiles and slices carry the map along.
    again = Denoiser.load(denoiser.save(tmp_path / "again.safetensors"), device="cpu")
    np.testing.assert_array_equal(again(noisy, sigma=9.0).array[0], told)
    stack = Volume.from_array(np.stack([array, array], axis=2))
    np.testing.assert_allclose(again(stack, sigma=9.0).array[0, :, :, 1], told, atol=1e-4)

    for sigma, message in (
        (-1.0, "at least 0"),
        (np.nan, "finite"),
        (np.ones((3, 3)), r"one number, or a map of the scan's shape \(24, 26\)"),
    ):
        with pytest.raises(ParameterError, match=message):
            denoiser(noisy, sigma=sigma)


def test_tiles_carry_the_map_along() -> None:
    torch.manual_seed(0)
    network = build_network("dncnn", dims=2, inputs=2, depth=3, width=4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    array = clean(64, 48)
    level = np.linspace(0, 9, array.size, dtype=np.float32).reshape(array.shape)
    outputs = []
    for tile in (None, [24, 24]):
        inference = InferenceConfig(tile=tile, flips=True)
        denoiser = Denoiser(network, dims=2, device="cpu", noise_map=True, inference=inference)
        outputs.append(denoiser.denoise_array(array, sigma=level))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-3)


def test_a_model_without_a_map_takes_no_sigma(tmp_path: Path) -> None:
    plain = Denoiser(nn.Identity(), dims=2, device="cpu")
    with pytest.raises(ParameterError, match="this has none"):
        plain(Volume.from_array(clean(9, 9)), sigma=1.0)
    model = md.Noise2VoidTrainer().fit(
        clean(16, 16), patch=[8, 8], steps=1, validate_batches=1, device="cpu"
    ).save(tmp_path / "model.safetensors")  # fmt: skip
    with pytest.raises(
        ParameterError, match=r"--sigma is for --method, or for a model with a noise map"
    ):
        md.denoise(clean(16, 16), model=model, device="cpu", sigma=3.0)


def test_a_network_that_gives_its_two_channels_back() -> None:
    with pytest.raises(ModelError, match="give one channel"):
        Denoiser(nn.Identity(), dims=2, device="cpu", noise_map=True)(
            Volume.from_array(clean(9, 9))
        )
    with pytest.raises(ModelError, match="give one channel"):
        SupervisedTrainer(noise_map=True).fit(
            clean(16, 16),
            clean(16, 16),
            network=nn.Conv2d(2, 2, 1),
            patch=[8, 8],
            steps=1,
            device="cpu",
        )


def test_a_scan_too_small_to_estimate_is_named(tmp_path: Path) -> None:
    file = md.write(Volume.from_array(clean(5, 5)), tmp_path / "small.nii.gz")
    config = configuration(file, noise=None)
    config["data"] |= {"patch": [4, 4], "targets": str(file)}
    with pytest.raises(ParameterError, match=r"small.*too little image"):
        md.train(config, output=tmp_path / "run", device="cpu", progress=False)


def test_a_typo_in_the_configuration(tmp_path: Path) -> None:
    config = configuration(tmp_path, trainer={"name": "supervised", "noise_mop": True})
    with pytest.raises(ConfigError, match=r"trainer\.noise_mop.*did you mean 'noise_map'"):
        md.train(config, output=tmp_path / "run", device="cpu", progress=False)
