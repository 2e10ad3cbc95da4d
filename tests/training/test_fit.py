from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from meddenoise.errors import ConfigError, GeometryError, InputError, ModelError, ParameterError
from meddenoise.inference import Denoiser
from meddenoise.networks import build_network
from meddenoise.noise import build_noise
from meddenoise.training import Noise2VoidTrainer, SupervisedTrainer, Trainer
from meddenoise.training.trainer import TRAINERS, build_trainer, register_trainer
from meddenoise.volume import Volume

QUICK: dict[str, Any] = {
    "patch": [16, 16], "steps": 3, "batch": 2, "device": "cpu", "validate_batches": 1,
}  # fmt: skip


def clean(*shape: int) -> np.ndarray:
    place = np.meshgrid(*(np.linspace(0, 6, n) for n in shape), indexing="ij")
    return (50 + 40 * np.sin(sum(place))).astype(np.float32)


def noisy(*shape: int, seed: int = 0) -> np.ndarray:
    return clean(*shape) + np.random.default_rng(seed).normal(0, 10, shape).astype(np.float32)


def test_an_array_a_volume_and_a_list() -> None:
    array, volume = noisy(24, 20), Volume.from_array(noisy(20, 24))
    for images in (array, volume, [array, volume], (array,)):
        denoiser = Noise2VoidTrainer().fit(images, **QUICK)
        assert denoiser(volume).array.shape == volume.array.shape


def test_patches_are_no_larger_than_the_smallest_scan() -> None:
    trainer = Noise2VoidTrainer()
    denoiser = trainer.fit([noisy(24, 20), noisy(12, 30)], **QUICK)
    assert denoiser.info["training"]["patch"] == [12, 16]


def test_volumes_by_default_with_a_3d_network() -> None:
    denoiser = Noise2VoidTrainer().fit(noisy(20, 18, 6), steps=1, batch=1, device="cpu")
    assert denoiser.dims == 3
    assert denoiser(Volume.from_array(noisy(8, 9, 5))).shape == (8, 9, 5)


def test_noise2void_learns_from_one_noisy_image() -> None:
    image, truth = noisy(96, 96), clean(96, 96)
    torch.manual_seed(0)
    network = build_network("unet", dims=2, channels=[8, 16])
    denoiser = Noise2VoidTrainer().fit(
        image, network=network, **{**QUICK, "steps": 200, "batch": 8}, learning_rate=4e-3, ema=0.95
    )
    before = np.mean((image - truth) ** 2)
    after = np.mean((denoiser(Volume.from_array(image)).array[0] - truth) ** 2)
    assert after < before / 4  # 6 dB


def test_the_same_seed_gives_the_same_denoiser() -> None:
    image = noisy(24, 24)

    def run(seed: int) -> np.ndarray:
        return Noise2VoidTrainer().fit(image, **QUICK, seed=seed).denoise_array(image)

    assert np.array_equal(run(3), run(3))
    assert not np.array_equal(run(3), run(4))


def test_a_networks_own_draws_follow_from_the_seed() -> None:
    image = noisy(24, 24)

    def run(before: int, seed: int = 0) -> np.ndarray:
        network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Dropout(), nn.Conv2d(8, 1, 1))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(0.1)
        torch.manual_seed(before)
        fitted = Noise2VoidTrainer().fit(image, network=network, **QUICK, seed=seed)
        return fitted.denoise_array(image)

    assert np.array_equal(run(1), run(2))
    assert not np.array_equal(run(1), run(1, seed=1))


def test_what_was_fitted_can_be_saved_and_loaded(tmp_path: Path) -> None:
    image = noisy(24, 24)
    denoiser = Noise2VoidTrainer().fit(image, **QUICK)
    again = Denoiser.load(denoiser.save(tmp_path / "m.safetensors"), device="cpu")
    assert np.array_equal(again.denoise_array(image), denoiser.denoise_array(image))
    assert again.info["training"]["steps"] == 3
    assert again.info["trainer"]["name"] == "noise2void"


class OneLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def test_a_module_of_ones_own(tmp_path: Path) -> None:
    network = OneLayer()
    denoiser = Noise2VoidTrainer().fit(noisy(24, 24), network=network, **QUICK)
    assert isinstance(denoiser.network, OneLayer)
    path = denoiser.save(tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="OneLayer"):
        Denoiser.load(path)
    again = Denoiser.load(path, network=OneLayer(), device="cpu")
    assert np.array_equal(again.denoise_array(noisy(9, 9)), denoiser.denoise_array(noisy(9, 9)))


def test_a_trainer_of_ones_own_in_ten_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRAINERS, "_parts", dict(TRAINERS._parts))

    @register_trainer("noisier2noise")
    class Noisier2Noise(Trainer):
        def __init__(self, sigma: float = 0.1) -> None:
            self.sigma = sigma
            self.options = {"sigma": sigma}

        def training_step(self, network, batch, draws):  # type: ignore[no-untyped-def]
            noise = self.sigma * draws.normal("noise", *batch.image.shape[1:])
            loss = (network(batch.image + noise) - batch.image).square().mean()
            return loss, {"sigma": torch.tensor(self.sigma)}

    denoiser = build_trainer("noisier2noise", sigma=0.2).fit(noisy(24, 24), **QUICK)
    assert denoiser.info["trainer"] == {"name": "noisier2noise", "sigma": 0.2}


def test_a_trainer_that_is_not_registered() -> None:
    class Identity(Trainer):
        def training_step(self, network, batch, draws):  # type: ignore[no-untyped-def]
            return (network(batch.image) - batch.image).square().mean(), {}

    assert Identity().fit(noisy(24, 24), **QUICK).info["trainer"]["name"] == "Identity"


def test_pairs_and_injected_noise() -> None:
    SupervisedTrainer().fit([noisy(24, 24)], [clean(24, 24)], **QUICK)
    trainer = SupervisedTrainer(noise=build_noise("gaussian", sigma="5%"))
    trainer.fit(clean(24, 24), clean(24, 24), **QUICK)


def test_two_fits_of_two_precisions_in_one_process() -> None:
    for precision in ("fp32", "bf16", "fp32"):
        denoiser = Noise2VoidTrainer().fit(noisy(24, 24), precision=precision, **QUICK)
        assert np.isfinite(denoiser.denoise_array(noisy(24, 24))).all()


def test_a_directory_keeps_log_and_checkpoint(tmp_path: Path) -> None:
    Noise2VoidTrainer().fit(noisy(24, 24), directory=tmp_path / "run", **QUICK)
    assert (tmp_path / "run" / "checkpoint" / "last.pt").is_file()
    assert (tmp_path / "run" / "log.jsonl").is_file()


def test_without_a_directory_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Noise2VoidTrainer().fit(noisy(24, 24), **QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_single_scan_is_prepared_and_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from meddenoise.config import parse
    from meddenoise.training import fit
    from meddenoise.training.prepare import Prepared, as_items

    asked: list[int] = []
    engines: list[fit.Engine] = []

    def counted(scans: Any, **how: Any) -> Any:
        asked.append(len(scans))
        return as_items(scans, **how)

    class Seen(fit.Engine):
        def __init__(self, *given: Any, **how: Any) -> None:
            super().__init__(*given, **how)
            engines.append(self)

    monkeypatch.setattr(fit, "as_items", counted)
    monkeypatch.setattr(fit, "Engine", Seen)
    scan = Prepared("one", Volume.from_array(noisy(24, 24)), None)
    config = parse(
        {
            "data": {"images": "x", "patch": [16, 16]},
            "trainer": {"name": "noise2void"},
            "training": {"steps": 1, "trackers": []},
        }
    )
    trainer = Noise2VoidTrainer()
    # As a run hands them on: two lists.
    fit.fit_prepared(config, trainer, fit.new_network(config), [scan], [scan], progress=False)
    assert asked == [1]
    one, other = (sampler._voxels for sampler in (engines[0].train, engines[0].val))  # type: ignore
    assert one is other
    assert one._image.data_ptr() == scan.volume.array.ctypes.data


def test_voxels_that_are_not_finite_do_no_harm() -> None:
    image = noisy(24, 24)
    image[3:9, 3:9] = np.nan
    out = Noise2VoidTrainer().fit(image, **QUICK)(Volume.from_array(image)).array[0]
    assert np.array_equal(np.isnan(out), np.isnan(image))


def test_counted_photons_are_stabilised() -> None:
    counts = np.broadcast_to(np.linspace(20, 400, 320)[:, None], (320, 320))
    image = np.random.default_rng(0).poisson(counts).astype(np.float32)
    denoiser = Noise2VoidTrainer().fit(image, **QUICK, stabilise="anscombe")
    assert denoiser.stabilise.method == "anscombe"


@pytest.mark.parametrize(
    ("images", "targets", "options", "error", "message"),
    [
        ([], None, {}, ConfigError, "no image to train on"),
        ("scan.nii", None, {}, ConfigError, r"meddenoise\.read\('scan\.nii'\)"),
        (np.zeros((16, 16)), None, {}, InputError, "constant"),
        (np.zeros(5), None, {}, ParameterError, "axes"),
        (noisy(16, 16), None, {"stepz": 3}, ConfigError, r"training\.stepz .*'steps'"),
        (noisy(16, 16), None, {"patch": [8, 8, 8]}, InputError, "2-D image"),
        (noisy(16, 16), None, {"patch": 8}, ConfigError, r"such as \[64, 64\]: not 8"),
        (noisy(16, 16), None, {"network": "unett"}, ConfigError, "did you mean 'unet'"),
        (noisy(16, 16), None, {"data": {"augmnt": "none"}}, ConfigError, "did you mean 'augment'"),
        ([noisy(16, 16)], [noisy(16, 16)] * 2, {}, ConfigError, "1 images and 2 targets"),
        (noisy(16, 16), noisy(16, 15), {}, GeometryError, "image 0 has shape"),
        (noisy(16, 16), None, {"device": "cuda:9"}, ParameterError, "no device"),
        (noisy(16, 16), None, {"network": build_network("unet")}, ConfigError, "sees 3 axes"),
        (noisy(16, 16), None, {"data": {"units": "HU"}}, ConfigError, r"data\.units is for"),
        (noisy(16, 16), None, {"data": {"targets": "a"}}, ConfigError, r"data\.targets is for"),
        (noisy(16, 16), None, {"coils": 2}, ConfigError, "coils says nothing without stabilise"),
    ],
)
def test_what_cannot_be_fitted(
    images: Any, targets: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Noise2VoidTrainer().fit(images, targets, **{**QUICK, **options})
