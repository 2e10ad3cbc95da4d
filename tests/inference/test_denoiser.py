from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from meddenoise.config import InferenceConfig, NormaliseConfig, StabiliseConfig
from meddenoise.errors import ConfigError, ModelError, ParameterError
from meddenoise.inference import Denoiser
from meddenoise.networks import build_network
from meddenoise.volume import Volume


def unet(dims: int = 3, *, stir: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    network = build_network("unet", dims=dims, channels=[3, 4, 4], residual=True)
    if stir:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(stir * torch.randn(parameter.shape))
    return network


def denoiser(network: nn.Module | None = None, dims: int = 3, **inference: Any) -> Denoiser:
    return Denoiser(
        network or unet(dims), dims=dims, inference=InferenceConfig(**inference), device="cpu"
    )


def scan(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, size=shape).astype(np.float32)


class Blur(nn.Module):
    """The mean over 5 voxels an axis: what a voxel spoils, it spoils 2 voxels around."""

    halo = (2, 2)
    multiple = (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 5, stride=1, padding=2, count_include_pad=False)


@pytest.mark.parametrize(
    "normalise",
    [
        NormaliseConfig(),
        NormaliseConfig(method="percentile"),
        NormaliseConfig(method="fixed", shift=0, scale=200),
    ],
)
@pytest.mark.parametrize("flips", [False, True])
def test_the_identity_gives_hu_back(normalise: NormaliseConfig, flips: bool) -> None:
    hu = np.random.default_rng(0).uniform(-1024, 3071, size=(9, 10, 11)).astype(np.float32)
    run = Denoiser(
        unet(), normalise=normalise, inference=InferenceConfig(flips=flips), device="cpu"
    )
    out = run(Volume.from_array(hu, units="HU"))
    assert np.abs(out.array[0] - hu).max() < 1e-3
    assert out.array.dtype == np.float32
    assert out.units == "HU"


def test_grid_header_and_input_are_kept_and_history_tells() -> None:
    volume = Volume.from_array(scan(8, 9, 10), spacing=(1, 2, 3), modality="MR")
    before = volume.array.copy()
    out = denoiser(unet(stir=0.3))(volume)
    assert np.array_equal(volume.array, before)
    assert not np.allclose(out.array, before)
    assert np.array_equal(out.affine, volume.affine)
    assert out.modality == "MR"
    assert len(out.history) == 1
    assert "denoised with" in out.history[0]


@pytest.mark.parametrize(
    ("size", "tiles"),
    [
        ((96, 140), {"tile": [88, 96]}),
        ((97, 141), {"tile": [83, 96]}),
        ((97, 141), {"tile_voxels": 12000}),
        ((98, 131), {"tile_voxels": 9000, "flips": True}),
        ((20, 70, 19), {"tile_voxels": 27000}),
        ((9, 83, 10), {"tile_voxels": 9000, "flips": True}),
    ],
)
def test_the_result_does_not_depend_on_the_tiles(
    size: tuple[int, ...], tiles: dict[str, Any]
) -> None:
    network, array = unet(len(size), stir=0.3), scan(*size)
    flips = tiles.pop("flips", False)
    whole = denoiser(network, len(size), flips=flips).denoise_array(array)
    run = denoiser(network, len(size), flips=flips, **tiles)
    told: list[float] = []
    tiled = run.denoise_array(array, progress=told.append)
    assert len(told) > 1  # there were tiles
    assert np.abs(tiled - whole).max() < 1e-5 * np.ptp(whole)
    assert not np.allclose(tiled, array)


def test_tiles_smaller_than_the_halo_still_give_nearly_the_same() -> None:
    network, array = unet(2, stir=0.3), scan(96, 96)
    whole = denoiser(network, 2).denoise_array(array)
    tiled = denoiser(network, 2, tile=[32, 32]).denoise_array(array)
    apart = np.abs(tiled - whole)
    assert 0 < apart.mean() < 0.05 * whole.std()


def test_flips_make_the_result_follow_a_mirrored_scan() -> None:
    array = scan(24, 20)
    run = denoiser(unet(2, stir=0.3), 2, flips=True)
    assert np.allclose(
        run.denoise_array(array[::-1].copy()), run.denoise_array(array)[::-1], atol=1e-3
    )


def test_voxels_that_were_not_measured_stay_and_do_not_leak() -> None:
    array = scan(1, 20, 20)
    array[0, 10, 10], array[0, 3, 3] = np.nan, np.inf
    padding = np.zeros(array.shape, dtype=bool)
    array[0, 15:, :5], padding[0, 15:, :5] = -3e4, True
    volume = Volume(array, np.eye(4), padding=padding)
    out = denoiser(Blur(), 2)(volume).array[0]
    assert np.isnan(out[10, 10])
    assert out[3, 3] == np.inf
    assert np.all(out[15:, :5] == -3e4)
    assert np.isfinite(out[volume.valid[0]]).all()
    # Measured neighbours see the mean of the scan there, not the marks.
    filled = np.where(volume.valid[0], array[0], array[volume.valid].mean())
    expected = Blur()(torch.from_numpy(filled)[None, None])[0, 0].numpy()
    assert np.allclose(out[volume.valid[0]], expected[volume.valid[0]], atol=1e-3)


class FromABuffer(nn.Module):
    """Gives out what is its own."""

    halo = (0, 0)
    multiple = (1, 1)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("made", torch.full((1, 1, 8, 8), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.made.expand(len(x), 1, 8, 8)


def test_what_a_network_gave_is_not_written_to() -> None:
    run, array = denoiser(FromABuffer(), dims=2), scan(8, 8)
    first = run.denoise_array(array)
    assert np.array_equal(run.denoise_array(array), first)


@pytest.mark.parametrize("tile_voxels", [2**21, 3000])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dims", [2, 3])
def test_how_voxels_lie_in_memory_does_not_matter(dims: int, order: str, tile_voxels: int) -> None:
    array = scan(12, 14, 70)
    run = denoiser(unet(dims, stir=0.1), dims=dims, tile_voxels=tile_voxels)
    expected = run.denoise_array(array)
    given = array.copy(order=order)  # type: ignore[call-overload]
    before = given.copy()
    np.testing.assert_allclose(run.denoise_array(given), expected, rtol=0, atol=1e-3)
    assert np.array_equal(given, before)


@pytest.mark.parametrize("scale", [1e39, 1e-42])
def test_float64_of_any_magnitude(scale: float) -> None:
    array = scan(8, 9, 7).astype(np.float64) * scale
    np.testing.assert_allclose(denoiser().denoise_array(array), array, rtol=1e-6)


@pytest.mark.parametrize("blank", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_x_is_fastest_in_the_result_as_in_files(channels: int, blank: bool) -> None:
    volume = Volume.from_array(scan(channels, 8, 9, 7) * (0 if blank else 1))
    out = denoiser()(volume).array
    assert out.strides[1:] == (4, 4 * 8, 4 * 8 * 9)
    np.testing.assert_allclose(out, volume.array, atol=1e-3)


def test_a_constant_scan_has_no_noise() -> None:
    volume = Volume.from_array(np.full((8, 8, 8), 7.0))
    for normalise in (NormaliseConfig(), NormaliseConfig(method="fixed", scale=3)):
        run = Denoiser(unet(stir=0.3), normalise=normalise, device="cpu")
        assert np.array_equal(run(volume).array, volume.array)


def test_a_scan_with_hardly_any_contrast_is_an_error_not_silence() -> None:
    array = np.zeros((10, 10, 10), dtype=np.float32)
    array[0, 0, 0] = 1
    run = Denoiser(unet(), normalise=NormaliseConfig(method="percentile"), device="cpu")
    with pytest.raises(ParameterError, match="constant, or nearly"):
        run(Volume.from_array(array))


def test_a_blank_time_point_passes_and_the_others_are_denoised() -> None:
    array = scan(4, 8, 9, 7)
    array[1], array[2] = 0, np.nan
    network = unet(stir=0.3)
    out = denoiser(network)(Volume.from_array(array)).array
    assert np.array_equal(out[1:3], array[1:3], equal_nan=True)
    for k in (0, 3):  # each for itself
        assert np.array_equal(out[k], denoiser(network).denoise_array(array[k]))
        assert not np.allclose(out[k], array[k])


@pytest.mark.parametrize("tile_voxels", [2**21, 200, 50])
def test_a_2d_network_takes_a_volume_slice_by_slice(tile_voxels: int) -> None:
    array = scan(12, 14, 5)
    out = denoiser(Blur(), 2, tile_voxels=tile_voxels)(Volume.from_array(array)).array[0]
    blurred = Blur()(torch.from_numpy(array).movedim(-1, 0)[:, None])[:, 0].movedim(0, -1).numpy()
    assert np.allclose(out, blurred, atol=1e-3)


def test_a_3d_network_refuses_an_image() -> None:
    with pytest.raises(ModelError, match="denoises 3-D scans and the image is 2-D"):
        denoiser()(Volume.from_array(scan(8, 8)))


def test_float64_keeps_its_digits() -> None:
    array = scan(8, 8, 8).astype(np.float64) + 1e8
    out = denoiser()(Volume.from_array(array))
    assert out.array.dtype == np.float64
    assert np.abs(out.array[0] - array).max() < 1e-3


@pytest.mark.parametrize("size", [(1, 1, 2), (1, 5, 3), (3, 2, 1)])
def test_tiny_scans(size: tuple[int, ...]) -> None:
    array = scan(*size)
    assert np.allclose(denoiser(flips=True)(Volume.from_array(array)).array[0], array, atol=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("tile_voxels", [2**21, 600])
def test_progress_rises_to_one(dims: int, tile_voxels: int) -> None:
    told: list[float] = []
    volume = Volume.from_array(scan(2, 16, 16, 12))
    denoiser(dims=dims, tile_voxels=tile_voxels)(volume, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    assert max(told) <= 1 + 1e-9


def test_a_network_that_gives_nonsense_is_found_out() -> None:
    class NotANumber(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / 0 * 0

    class Smaller(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[..., 1:]

    volume = Volume.from_array(scan(8, 8, 8))
    with pytest.raises(ModelError, match="not finite"):
        denoiser(NotANumber())(volume)
    with pytest.raises(ModelError, match="must keep the shape"):
        denoiser(Smaller())(volume)


def test_a_tile_of_another_number_of_axes() -> None:
    with pytest.raises(ConfigError, match="2 axes and the network 3"):
        denoiser(tile=[8, 8])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_an_image_along_any_axis(axis: int) -> None:
    image = scan(40, 36)
    sigma = np.linspace(5, 15, image.size, dtype=np.float32).reshape(image.shape)
    torch.manual_seed(0)
    network = build_network("unet", dims=2, inputs=2, channels=[3, 4])
    run = Denoiser(network, dims=2, noise_map=True, device="cpu")
    expected = run(Volume.from_array(image), sigma=sigma).array[0]
    volume = Volume.from_array(np.expand_dims(image, axis))
    found = run(volume, sigma=np.expand_dims(sigma, axis)).array[0]
    assert found.shape == volume.shape
    np.testing.assert_allclose(found.squeeze(axis), expected, atol=1e-3)
    with pytest.raises(ParameterError, match="a map of the scan's shape"):
        run(volume, sigma=sigma[:5])


def test_an_array_of_whole_numbers_is_denoised_in_float32() -> None:
    whole = scan(12, 10, 8).astype(np.int16)
    found = denoiser().denoise_array(whole)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, denoiser().denoise_array(whole.astype(np.float32)))


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"shape \(1, 4, 4, 4\): give several"):
        denoiser().denoise_array(np.zeros((1, 4, 4, 4), np.float32))
    with pytest.raises(ParameterError, match=r"valid is of shape \(2, 2\) and the image of"):
        denoiser().denoise_array(scan(8, 8, 8), np.ones((2, 2), bool))
    with pytest.raises(ParameterError, match=r"not ndarray: give Volume\.from_array"):
        denoiser()(scan(8, 8, 8))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(16, 12), (12, 10, 8)])
def test_what_is_not_finite_in_an_array_was_not_measured(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = build_network("unet", dims=len(shape), channels=[3, 4])
    run = Denoiser(network, dims=len(shape), device="cpu")
    array = scan(*shape)
    array[2, 3], array[5, 1] = np.nan, np.inf
    found = run.denoise_array(array)
    expected = run(Volume.from_array(array)).array[0]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found[2, 3], array[2, 3])
    # Beside a mask as well, of which the rest is the network's.
    valid = np.ones(shape, bool)
    valid[7:9] = False
    masked = run.denoise_array(array, valid)
    np.testing.assert_array_equal(np.isfinite(masked), np.isfinite(array))


def test_what_is_masked_in_an_array_was_not_measured_and_stays() -> None:
    array = scan(12, 10, 8)
    given = np.ma.masked_array(array.copy(), mask=np.zeros(array.shape, bool))
    given[:2] = 1e6
    given[:2] = np.ma.masked
    run = denoiser(unet(stir=0.1))
    found = run.denoise_array(given)
    np.testing.assert_array_equal(found, run(Volume.from_array(given)).array[0])
    np.testing.assert_array_equal(found[:2], 1e6)
    assert np.abs(found[2:]).max() < 1e3


@pytest.mark.parametrize("kind", ["f2", ">f4", ">f8", "g"])
def test_floats_of_any_width_are_those_of_a_volume(kind: str) -> None:
    """Half precision does not hold the difference of two of its numbers."""
    array = np.random.default_rng(0).uniform(-60_000, 60_000, size=(24, 24, 12)).astype(kind)
    run = Denoiser(
        unet(stir=0.1),
        normalise=NormaliseConfig(method="percentile"),
        inference=InferenceConfig(restore=True),
        device="cpu",
    )
    found = run.denoise_array(array)
    expected = run(Volume.from_array(array)).array[0]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_network_of_other_axes_is_named() -> None:
    with pytest.raises(ParameterError, match=r"for 2-D images and dims is 3: give dims=2\."):
        Denoiser(unet(2), device="cpu")


@pytest.mark.parametrize("way", ["none", "rician"])
def test_a_sigma_in_words_is_named(way: Any) -> None:
    network = build_network("unet", dims=3, channels=[2, 2], inputs=2)
    run = Denoiser(network, noise_map=True, stabilise=StabiliseConfig(method=way), device="cpu")
    with pytest.raises(ParameterError, match="number in the scan's units, not '5%'"):
        run(Volume.from_array(scan(16, 16, 16)), sigma="5%")  # type: ignore[arg-type]
