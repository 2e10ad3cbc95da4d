"""Learning from scans whose noise is stabilised, from a step to a model file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import meddenoise as md
from meddenoise.config import Config, NoiseConfig, NormaliseConfig, StabiliseConfig, load, parse
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, PatchSampler
from meddenoise.errors import ConfigError, InputError, ParameterError
from meddenoise.inference.model_file import read_model_info
from meddenoise.noise import Anscombe, NoiseModel, RicianStabilisation, build_noise
from meddenoise.noise.level import parse_level
from meddenoise.training import SupervisedTrainer
from meddenoise.training.prepare import Prepared, as_items
from meddenoise.training.stabilised import choose_stabilisation
from meddenoise.transforms.normalisation import Normalisation
from meddenoise.volume import Volume

SIGMA = 10.0
RICIAN = StabiliseConfig(method="rician")


def clean(*shape: int) -> np.ndarray:
    """Air, and a tissue whose SNR goes from 1 to 3."""
    image = np.linspace(1, 3, shape[0])[:, None].repeat(shape[1], 1) * SIGMA
    image[:, : shape[1] // 4] = 0
    return image[(..., *[None] * (len(shape) - 2))].repeat(shape[-1], -1) if shape[2:] else image


def magnitude(image: np.ndarray, seed: int = 0, sigma: float = SIGMA) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, (2, *image.shape))
    return np.hypot(image + noise[0], noise[1]).astype(np.float32)


def scan(truth: bool = True, name: str = "a scan", seed: int = 0) -> Prepared:
    image = clean(64, 64, 8).astype(np.float32)
    noisy = Volume.from_array(magnitude(image, seed))
    return Prepared(name, noisy, Volume.from_array(image) if truth else None, made=True)


def items(prepared: Prepared, dims: int = 3, **options: Any) -> list[Any]:
    return as_items([prepared], NormaliseConfig(), dims, stabilise=RICIAN, **options)


def test_the_stabilised_scan_is_what_is_normalised_and_its_mean_the_target() -> None:
    given = scan()
    (item,) = items(given, with_sigma=True, sigma=parse_level(SIGMA))
    stabiliser = RicianStabilisation(SIGMA)
    image = stabiliser.forward(given.volume.array[0])
    np.testing.assert_array_equal(item.image, image)
    assert given.truth is not None
    np.testing.assert_array_equal(item.target, stabiliser.expected(given.truth.array[0]))
    fitted = Normalisation.fit(image)
    assert (item.shift, item.scale) == (fitted.shift, fitted.scale)
    assert item.sigma == 1
    assert item.reference == pytest.approx(np.percentile(item.target, 99.9), rel=1e-5)
    # On average the image is the target, and nowhere does it scatter more or less than 1.
    difference = (item.image - item.target).numpy()
    assert np.abs(difference.mean((1, 2))).max() < 0.25
    assert difference.std() == pytest.approx(1, abs=0.03)


def test_sigma_is_each_scan_s_own() -> None:
    given = scan(truth=False)
    (one,) = items(given)
    (two,) = items(replace(given, volume=given.volume.with_array(3 * given.volume.array)))
    np.testing.assert_allclose(one.image, two.image, atol=2e-3)
    assert one.target is None
    assert one.origin is None


def test_slices_and_holes() -> None:
    given = scan()
    array = given.volume.array.copy()
    array[0, 5, 5, 5] = np.nan
    holed = replace(given, volume=given.volume.with_array(array))
    slices = items(holed, dims=2, sigma=parse_level(SIGMA))
    (whole,) = items(holed, sigma=parse_level(SIGMA))
    assert len(slices) == 8
    for k, item in enumerate(slices):
        np.testing.assert_array_equal(item.image, whole.image[..., k])
        assert (item.shift, item.scale) == (whole.shift, whole.scale)
    assert not bool(whole.valid[5, 5, 5])
    assert float(whole.image[5, 5, 5]) == pytest.approx(whole.shift, abs=1e-3)
    assert bool(torch.isfinite(whole.image).all())


def test_a_second_noisy_scan_is_stabilised_as_the_first() -> None:
    given = scan()
    assert given.truth is not None
    repeat = replace(given, truth=given.truth.with_array(magnitude(given.truth.array, seed=5)))
    (item,) = items(repeat, sigma=parse_level(SIGMA), target_is_clean=False)
    difference = (item.image - item.target).numpy()
    assert difference.std() == pytest.approx(2**0.5, abs=0.05)
    assert abs(difference.mean()) < 0.03


def test_what_cannot_be_stabilised_is_named() -> None:
    given = scan()
    signed = replace(given, volume=given.volume.with_array(given.volume.array - 30))
    with pytest.raises(ParameterError, match="a scan: The image has negative values"):
        items(signed)
    counts = StabiliseConfig(method="anscombe")
    with pytest.raises(InputError, match=r"a scan: The noise is to be stabilised.*leave sigma"):
        as_items([given], NormaliseConfig(), 3, stabilise=counts, sigma=parse_level(3.0))


def config(**noise: Any) -> Config:
    values = {"data": {"images": "nothing"}, "trainer": {"name": "supervised"}}
    return parse({**values, "noise": noise or None})


def chosen(noise: NoiseModel | None, scans: Sequence[Prepared], **keys: Any) -> StabiliseConfig:
    return choose_stabilisation(config(**keys), noise, scans)


def test_the_choice_is_one_for_a_network() -> None:
    rician, signed = scan(), scan()
    signed = replace(signed, volume=signed.volume.with_array(signed.volume.array - 30))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_stabilisation(config(), None, [rician]) == StabiliseConfig()
        given = config(name="rician", sigma="5%")
        assert (
            choose_stabilisation(given, build_noise("rician", sigma=3), [rician]).method == "none"
        )
        assert chosen(None, [signed], stabilise="rician") == RICIAN
        found = chosen(None, [rician], stabilise="rician", coils=4)
        assert found == StabiliseConfig(method="rician", coils=4)
    with pytest.warns(UserWarning, match=r"is auto\. The noise is estimated to be Rician"):
        assert chosen(None, [rician], stabilise="auto") == RICIAN
    with pytest.warns(UserWarning, match="estimated to be Gaussian: nothing is stabilised"):
        assert chosen(None, [signed], stabilise="auto").method == "none"
    with pytest.warns(UserWarning, match=r"2 of 3 scans.*by 'rician'\..*look at the others"):
        assert chosen(None, [rician, signed, rician], stabilise="auto") == RICIAN


@pytest.mark.parametrize(
    ("name", "parameters", "found"),
    [
        ("rician", {"sigma": "5%"}, RICIAN),
        ("noncentral_chi", {"sigma": 3.0}, StabiliseConfig(method="rician", coils=8)),
        ("noncentral_chi", {"sigma": 3.0, "coils": 2}, StabiliseConfig(method="rician", coils=2)),
        ("poisson_gaussian", {"gain": 4.0}, StabiliseConfig(method="anscombe")),
        ("gaussian", {"sigma": 3.0}, StabiliseConfig()),
        ("kspace", {"sigma": 3.0}, StabiliseConfig()),
    ],
)
def test_noise_that_is_drawn_is_known(
    name: str, parameters: dict[str, Any], found: StabiliseConfig
) -> None:
    noise = build_noise(name, **parameters)
    keys = {"name": name, **parameters}
    with pytest.warns(UserWarning, match=f"the noise that is drawn is '{name}'"):
        assert chosen(noise, [], stabilise="auto", **keys) == found
    if found.method == "none":
        with pytest.raises(ConfigError, match=rf"noise\.stabilise.*does not fit noise '{name}'"):
            chosen(noise, [], stabilise="rician", **keys)
    else:
        assert chosen(noise, [], stabilise=found.method, **keys) == found


class Recorder(nn.Module):
    """Keeps what it was given, and gives nothing but 0."""

    def forward(self, x: Tensor) -> Tensor:
        self.given = x
        return 0 * x[:, :1]


def injected(noise: NoiseModel, stabilise: StabiliseConfig, **options: Any) -> tuple[Batch, Batch]:
    """A batch of whole scans, and what the trainer makes of it."""
    image = clean(64, 64, 16).astype(np.float32)
    truth = Volume.from_array(image)
    given = as_items(
        [Prepared("a scan", truth, truth)],
        NormaliseConfig(),
        3,
        stabilise=stabilise,
        drawn=noise,
        **options,
    )
    draws = Draws(0, 0, 6)
    batch = PatchSampler(given, (64, 64, 16), augment="none").draw(draws)
    return batch, SupervisedTrainer(noise=noise, noise_map=True).noisy(batch, draws)


@pytest.mark.parametrize(
    ("noise", "stabilise"),
    [
        (build_noise("rician", sigma=["10%", "60%"]), RICIAN),
        (
            build_noise("noncentral_chi", sigma=["10%", "60%"], coils=3),
            StabiliseConfig(method="rician", coils=3),
        ),
        (
            build_noise("poisson_gaussian", gain=["5%", "40%"], sigma=2.0, offset=-5.0),
            StabiliseConfig(method="anscombe"),
        ),
    ],
)
def test_fresh_noise_is_stabilised_by_its_own_level(
    noise: NoiseModel, stabilise: StabiliseConfig
) -> None:
    batch, noisy = injected(noise, stabilise)
    assert noisy.target is not None
    places = Draws(0, 0, 6).uniform("noise level", len(noise.ranges))
    image = clean(64, 64, 16).astype(np.float32)
    reference = float(np.percentile(image, 99.9))
    for row in range(6):
        drawn = noise.draw(reference=reference, u=places[row].tolist())
        stabiliser: Any = (
            Anscombe(drawn["gain"], 4 + 5 * drawn["gain"])
            if stabilise.method == "anscombe"
            else RicianStabilisation(drawn["sigma"], stabilise.coils)
        )
        shift, scale = noisy.shift[row], noisy.scale[row]
        back = (noisy.target[row] * scale + shift).numpy()[0]
        np.testing.assert_allclose(back, stabiliser.expected(image), atol=0.01)
        stabilised = (noisy.image[row] * scale + shift).numpy()[0]
        assert (stabilised - back).std() == pytest.approx(1, abs=0.1)
        assert abs((stabilised - back).mean()) < 0.02
        # Normalised as the whole scan with that noise will be when it is denoised. Of few photons
        # the stabilised noise is a little below 1.
        fitted = Normalisation.fit(stabilised)
        assert float(scale) == pytest.approx(fitted.scale, rel=0.08)
        assert float(shift) == pytest.approx(fitted.shift, abs=0.06 * fitted.scale)
    assert noisy.sigma is not None
    assert noisy.sigma.tolist() == [1.0] * 6
    assert len({round(float(s), 6) for s in noisy.scale}) == 6
    assert torch.equal(batch.image, injected(noise, stabilise)[0].image)
    assert torch.equal(noisy.image, injected(noise, stabilise)[1].image)


def test_the_network_gets_the_level_of_the_stabilised_noise() -> None:
    noise = build_noise("rician", sigma=["10%", "60%"])
    batch, noisy = injected(noise, RICIAN)
    network = Recorder()
    trainer = SupervisedTrainer(noise=noise, noise_map=True)
    loss, _ = trainer.training_step(network, batch, Draws(0, 0, 6))
    levels = network.given[:, 1].amax((1, 2, 3))
    torch.testing.assert_close(levels, 1 / noisy.scale.flatten())
    assert noisy.target is not None
    torch.testing.assert_close(loss, noisy.target.square().mean())


def quick(**changes: Any) -> dict[str, Any]:
    return {
        "network": {"name": "unet", "channels": [8, 8]},
        "training": {
            "steps": 150,
            "learning_rate": 4e-3,
            "ema": 0.97,
            "trackers": [],
            "precision": "fp32",
        },
        **changes,
    }


def bias(volume: Volume, truth: np.ndarray) -> float:
    """Mean signed error where the SNR is 1 to 2, in sigma."""
    error = volume.array.reshape(truth.shape) - truth
    return float(error[4 : len(truth) // 2, len(truth) // 3 : -4].mean()) / SIGMA


def test_noise2void_from_a_scan_to_a_model_file(tmp_path: Path) -> None:
    truth = clean(72, 72)
    file = md.write(Volume.from_array(magnitude(truth), modality="MR"), tmp_path / "scan.nii.gz")
    noisy = md.read(file)
    data = {"images": str(file), "patch": [24, 24], "batch": 8}
    values = quick(
        data=data,
        trainer={"name": "noise2void"},
        noise={"stabilise": "auto"},
    )
    with pytest.warns(UserWarning, match=r"noise\.stabilise is auto.*estimated to be Rician"):
        run = md.train(values, output=tmp_path / "run", device="cpu", progress=False)
    assert run is not None
    model = run.directory / "model.safetensors"
    assert read_model_info(model)["stabilise"] == {"method": "rician", "coils": 1}
    assert read_model_info(model)["noise"] == {"name": None, "stabilise": "auto"}
    found = md.denoise(noisy, model=model, device="cpu")
    assert "stabilised as Rician noise of sigma" in found.history[-1]
    written = md.read(run.directory / "denoised/scan.nii.gz")
    np.testing.assert_allclose(found.array, written.array, atol=1e-3)
    assert not (run.directory / "noisy").exists()  # nothing was injected
    told = md.denoise(noisy, model=model, device="cpu", sigma=SIGMA)
    assert abs(bias(told, truth)) < 0.1
    plain = md.train(
        {**values, "noise": None}, output=tmp_path / "plain", device="cpu", progress=False
    )
    assert plain is not None
    assert bias(plain.denoiser(noisy), truth) > 0.3
    again = md.denoise(noisy, model=plain.directory / "model.safetensors", device="cpu",
                       debias=True, sigma=SIGMA)  # fmt: skip
    assert abs(bias(again, truth)) < 0.15
    # The run's own configuration says the same.
    assert load(run.directory / "config.yaml").noise == NoiseConfig(name=None, stabilise="auto")


def test_injected_and_stabilised(tmp_path: Path) -> None:
    truth = clean(72, 72)
    file = md.write(Volume.from_array(truth), tmp_path / "scan.nii.gz")
    data = {"images": str(file), "patch": [24, 24], "batch": 8}
    noise = {"name": "rician", "sigma": SIGMA, "stabilise": "auto"}
    values = quick(data=data, trainer={"name": "supervised"}, noise=noise)
    with pytest.warns(UserWarning, match="noise that is drawn is 'rician': scans are stabilised"):
        run = md.train(values, output=tmp_path / "run", device="cpu", progress=False)
    assert run is not None
    told = read_model_info(run.directory / "model.safetensors")
    assert told["noise"] == {**noise, "sigma": SIGMA}
    assert told["stabilise"]["method"] == "rician"
    scores = run.metrics["test"]
    assert scores["denoised"]["psnr"] > scores["noisy"]["psnr"] + 3
    found = run.denoiser(Volume.from_array(magnitude(truth, seed=9)), sigma=SIGMA)
    assert abs(bias(found, truth)) < 0.15


def test_in_memory() -> None:
    truth = clean(48, 48).astype(np.float32)
    settings = {"patch": [16, 16], "steps": 2, "validate_batches": 1, "device": "cpu"}
    for trainer, targets in ((md.Noise2VoidTrainer(), None), (md.SupervisedTrainer(), truth)):
        denoiser = trainer.fit(magnitude(truth), targets, stabilise="rician", **settings)  # type: ignore[attr-defined]
        assert denoiser.stabilise == RICIAN
    with pytest.raises(ConfigError, match=r"noise\.stabilise must be.*did you mean 'rician'"):
        md.Noise2VoidTrainer().fit(magnitude(truth), stabilise="ricain", **settings)
