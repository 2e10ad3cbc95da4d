"""A network around which the noise is stabilised."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from meddenoise.config import InferenceConfig, StabiliseConfig
from meddenoise.errors import ModelError, ParameterError
from meddenoise.inference import Denoiser
from meddenoise.inference.model_file import read_model_info, save_model
from meddenoise.networks import build_network
from meddenoise.noise import RicianStabilisation
from meddenoise.volume import Volume

SIGMA = 10.0
RICIAN = StabiliseConfig(method="rician")


class Mean(nn.Module):
    """The mean over 7 x 7 voxels of the first channel."""

    halo = (3, 3)
    multiple = (1, 1)
    given: ClassVar[Tensor]

    def forward(self, x: Tensor) -> Tensor:
        # Of the class: a denoiser runs a copy of the network, with its layers merged.
        type(self).given = x
        return nn.functional.avg_pool2d(x[:, :1], 7, stride=1, padding=3, count_include_pad=False)


def magnitude(*shape: int, snr: float = 1.5, seed: int = 0) -> np.ndarray:
    """One tissue, with some air at its side."""
    clean = np.full(shape, snr * SIGMA)
    clean[: shape[0] // 4] = 0
    noise = np.random.default_rng(seed).normal(0, SIGMA, (2, *shape))
    return np.hypot(clean + noise[0], noise[1]).astype(np.float32)


def denoiser(network: nn.Module | None = None, **options: object) -> Denoiser:
    return Denoiser(network or Mean(), dims=2, device="cpu", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("snr", [1.0, 1.5, 2.0, 3.0])
def test_a_mean_is_brought_back_without_bias(snr: float) -> None:
    volume = Volume.from_array(magnitude(96, 96, snr=snr))
    tissue = (0, slice(32, -4), slice(4, -4))
    plain = denoiser()(volume).array[tissue].mean() / SIGMA - snr
    found = denoiser(stabilise=RICIAN)(volume, sigma=SIGMA)
    assert plain > 0.15
    assert abs(found.array[tissue].mean() / SIGMA - snr) < 0.06
    assert found.history[-1].endswith("in memory, stabilised as Rician noise of sigma 10")


def test_sigma_is_the_scan_s_own_if_nobody_says() -> None:
    volume = Volume.from_array(magnitude(96, 96, 5, snr=3.0))
    own = denoiser(stabilise=RICIAN)
    found = own(volume)
    told = own(volume, sigma=SIGMA)
    np.testing.assert_allclose(found.array, told.array, atol=0.2 * SIGMA)
    assert not np.array_equal(found.array, told.array)
    # And of another scan another.
    twice = own(volume.with_array(2 * volume.array))
    np.testing.assert_allclose(twice.array, 2 * found.array, rtol=1e-4, atol=1e-3)
    alone = own.denoise_array(volume.array[0], sigma=SIGMA)
    np.testing.assert_array_equal(alone, told.array[0])


def test_voxels_that_were_not_measured_stay_and_do_not_leak() -> None:
    array = magnitude(1, 40, 40)
    array[0, 20, 20], array[0, 30:, :5] = np.nan, -3e4
    padding = array == -3e4
    volume = Volume(array, np.eye(4), padding=padding)
    own = denoiser(stabilise=RICIAN)
    out = own(volume, sigma=SIGMA).array[0]
    assert np.isnan(out[20, 20])
    assert (out[30:, :5] == -3e4).all()
    assert np.isfinite(out[volume.valid[0]]).all()
    np.testing.assert_array_equal(
        own.denoise_array(array[0], volume.valid[0], sigma=SIGMA)[volume.valid[0]],
        out[volume.valid[0]],
    )
    # Neighbours see the mean of what the network sees there.
    stabiliser = RicianStabilisation(SIGMA)
    known = np.where(volume.valid[0], array[0], 15)
    seen = stabiliser.forward(known)
    seen[~volume.valid[0]] = seen[volume.valid[0]].mean()
    expected = stabiliser.inverse(Mean()(torch.from_numpy(seen)[None, None])[0, 0].numpy())
    inside = volume.valid[0]
    assert np.allclose(out[inside], expected[inside], atol=1e-2)


def test_blank_channels_pass() -> None:
    array = np.stack([magnitude(32, 32), np.full((32, 32), 7.0), np.full((32, 32), np.nan)])
    array = array[..., None].repeat(4, -1).astype(np.float32)
    out = denoiser(stabilise=RICIAN)(Volume.from_array(array), sigma=SIGMA)
    np.testing.assert_array_equal(out.array[1:], array[1:])
    assert not np.allclose(out.array[0], array[0])


def test_a_noise_map_tells_of_the_stabilised_noise() -> None:
    network = Mean()
    array = magnitude(32, 32)
    own = denoiser(network, stabilise=RICIAN, noise_map=True)
    own(Volume.from_array(array), sigma=SIGMA)
    level = network.given[0, 1]
    spread = RicianStabilisation(SIGMA).forward(array).std()
    assert float(level.min()) == float(level.max()) == pytest.approx(1 / spread, rel=1e-4)


def test_what_is_put_back_from_the_residual_is_stabilised() -> None:
    own = denoiser(stabilise=RICIAN, inference=InferenceConfig(restore=True))
    array = magnitude(96, 96, snr=2.0)
    array[60, 20:80] = 300  # a vessel, one voxel wide
    out = own(Volume.from_array(array), sigma=SIGMA).array[0]
    assert out[60, 20:80].mean() == pytest.approx(300, rel=0.1)
    assert abs(out[32:50, 4:-4].mean() / SIGMA - 2) < 0.1


def test_another_stabilisation_than_the_model_s_own_is_refused() -> None:
    own = denoiser(stabilise=StabiliseConfig(method="rician", coils=4))
    volume = Volume.from_array(magnitude(64, 64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = own(volume, sigma=SIGMA).array
        for way, coils in (("auto", None), ("rician", 4)):
            found = own(volume, sigma=SIGMA, stabilise=way, coils=coils)
            np.testing.assert_array_equal(found.array, expected)
    for way, coils in (("none", None), ("anscombe", None), (None, 1)):
        with pytest.raises(ModelError, match=r"stabilised by 'rician' \(4 coils\)"):
            own(volume, sigma=SIGMA, stabilise=way, coils=coils)


def test_a_model_of_plain_scans_may_be_used_on_stabilised_ones() -> None:
    volume = Volume.from_array(magnitude(96, 96, 4, snr=2.0))
    plain = denoiser()
    with pytest.warns(UserWarning, match=r"one trained with noise\.stabilise does better"):
        asked = plain(volume, stabilise="rician", sigma=SIGMA)
    np.testing.assert_array_equal(
        asked.array, denoiser(stabilise=RICIAN)(volume, sigma=SIGMA).array
    )
    with pytest.warns(UserWarning, match="estimated to be Rician"):
        plain(volume, stabilise="auto")
    signed = volume.with_array(volume.array - 40)
    with pytest.warns(UserWarning, match="nothing is stabilised") as said:
        found = plain(signed, stabilise="auto")
    assert len(said) == 1
    np.testing.assert_array_equal(found.array, plain(signed).array)
    np.testing.assert_array_equal(found.array, plain(signed, stabilise="none").array)


def test_impossible_scans_and_levels() -> None:
    own, volume = denoiser(stabilise=RICIAN), Volume.from_array(magnitude(32, 32))
    with pytest.raises(ParameterError, match="negative values"):
        own(volume.with_array(volume.array - 9), sigma=SIGMA)
    with pytest.raises(ParameterError, match="sigma is one number and no map"):
        own(volume, sigma=np.full((32, 32), SIGMA))
    with pytest.raises(ParameterError, match="finite and above 0"):
        own(volume, sigma=0.0)
    with pytest.raises(ParameterError, match=r"or with a stabilisation.*this has none"):
        denoiser()(volume, sigma=SIGMA)


def test_the_model_file_keeps_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    info = {"network": {"name": "dncnn", "dims": 2, "options": {"depth": 3, "width": 4}}}
    network = build_network("dncnn", dims=2, depth=3, width=4)
    stabilise = StabiliseConfig(method="rician", coils=2)
    file = denoiser(network, stabilise=stabilise, info=info).save(tmp_path / "a.safetensors")
    assert read_model_info(file)["stabilise"] == {"method": "rician", "coils": 2}
    again = Denoiser.load(file, device="cpu")
    assert again.stabilise == stabilise
    volume = Volume.from_array(magnitude(32, 32))
    np.testing.assert_array_equal(
        again(volume, sigma=SIGMA).array,
        denoiser(network, stabilise=stabilise)(volume, sigma=SIGMA).array,
    )
    # A file from before there was any.
    told = {**read_model_info(file)}
    del told["stabilise"]
    save_model(tmp_path / "old.safetensors", network, told)
    assert Denoiser.load(tmp_path / "old.safetensors", device="cpu").stabilise.method == "none"


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        ({"method": "ricain"}, "makes no sense: method"),
        ({"method": "rician", "coils": 0}, "makes no sense: coils"),
        ("rician", "its description is damaged"),
    ],
)
def test_a_damaged_description(tmp_path: Path, damaged: object, told: str) -> None:
    network = build_network("dncnn", dims=2, depth=3, width=4)
    info = {
        "network": {"name": "dncnn", "dims": 2, "options": {"depth": 3, "width": 4}},
        "normalise": {},
        "stabilise": damaged,
    }
    file = save_model(tmp_path / "a.safetensors", network, json.loads(json.dumps(info)))
    with pytest.raises(ModelError, match=told):
        Denoiser.load(file, device="cpu")
