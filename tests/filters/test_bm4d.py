from __future__ import annotations

import importlib
import math
import warnings

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.filters import bm4d, gaussian
from meddenoise.filters.blocks import Blocks, haar_matrix, kaiser_window, match_blocks
from meddenoise.filters.bm4d import around
from meddenoise.noise import estimate_sigma
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.mri.kspace import kspace_filter


def picture(shape: tuple[int, ...]) -> np.ndarray:
    """Stripes and boxes: much is alike, and edges are sharp."""
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    stripes = 20 * (np.sin(sum(grid) / 4) > 0)
    box = 60 * np.all(
        [(g > n / 4) & (g < 3 * n / 4) for g, n in zip(grid, shape, strict=True)], axis=0
    )
    return (stripes + box).astype(np.float32)


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    return float(10 * np.log10(80**2 / np.mean((image.astype(np.float64) - clean) ** 2)))


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((40, 36, 30), (1, 1, 1)), ((40, 36, 12), (0.5, 0.5, 3)), ((96, 80), (1, 1))],
    ids=["cubes", "thick slices", "2-D"],
)
def test_noise_goes_and_edges_stay(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    clean = picture(shape)
    noisy = clean + 10 * np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    filtered = bm4d(noisy, spacing=spacing, sigma_noise=10)
    blurred = max(psnr(gaussian(noisy, spacing=spacing, sigma=s), clean) for s in (0.5, 0.7, 1.0))
    assert psnr(filtered, clean) > psnr(noisy, clean) + 6
    assert psnr(filtered, clean) > blurred + 2
    assert filtered.dtype == noisy.dtype


def test_the_noise_is_estimated_if_nobody_says() -> None:
    clean = picture((40, 36, 30))
    noisy = clean + 10 * np.random.default_rng(1).standard_normal(clean.shape).astype(np.float32)
    told = bm4d(noisy, spacing=(1, 1, 1), sigma_noise=10)
    found = bm4d(noisy, spacing=(1, 1, 1))
    assert psnr(found, clean) == pytest.approx(psnr(told, clean), abs=0.5)


@pytest.mark.parametrize("shape", [(40, 36, 30), (96, 80)])
def test_around_a_better_estimate_it_is_better(shape: tuple[int, ...]) -> None:
    clean = picture(shape)
    noisy = clean + 10 * np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    how = {"spacing": (1,) * len(shape), "sigma_noise": 10}
    plain = bm4d(noisy, **how)
    for group in (16, 32):
        found = around(noisy, clean, **how, group=group)
        assert (found.shape, found.dtype) == (noisy.shape, noisy.dtype)
        assert psnr(found, clean) > psnr(plain, clean) + 0.5


def zero_filled(shape: tuple[int, ...]) -> tuple[np.ndarray, Correlation]:
    """Noise of 10 with the 60 % lowest frequencies of its first two axes, and its correlation."""
    h = kspace_filter(shape[:2], zero_filling=1 / 0.6).numpy()
    h = h.reshape(*h.shape, *[1] * (len(shape) - 2))
    drawn = np.random.default_rng(0).standard_normal(shape)
    noise = np.fft.ifftn(h * np.fft.fftn(drawn)).real
    lags = np.sinc(0.6 * np.arange(1, 4))
    along = [lags if axis < 2 else np.zeros(3) for axis in range(len(shape))]
    return 10 * noise / noise.std(), Correlation(tuple(tuple(map(float, axis)) for axis in along))


@pytest.mark.parametrize("shape", [(48, 44, 30), (96, 80)], ids=["3-D", "2-D"])
def test_correlated_noise_goes_where_it_is_told_of(shape: tuple[int, ...]) -> None:
    clean = picture(shape)
    noise, along = zero_filled(shape)
    noisy = (clean + noise).astype(np.float32)
    how = {"spacing": (1,) * len(shape), "sigma_noise": 10.0}
    told, untold = bm4d(noisy, correlation=along, **how), bm4d(noisy, **how)
    assert psnr(told, clean) > psnr(untold, clean) + 1
    white = Correlation(((0.03, 0.0, 0.0),) * len(shape))
    assert np.array_equal(bm4d(noisy, correlation=white, **how), untold)


def test_correlated_noise_is_not_refined() -> None:
    noise, along = zero_filled((24, 24, 24))
    noisy = (picture(noise.shape) + noise).astype(np.float32)
    how = {"spacing": (1, 1, 1), "sigma_noise": 10.0}
    # Filled from 90 %, and as good as white.
    for less, warned in ((along, True), (Correlation(((0.1,),) * 3), True),
                         (Correlation(((0.05,),) * 3), False)):  # fmt: skip
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = bm4d(noisy, correlation=less, refine=True, **how)
        assert bool(said) is warned
        assert np.array_equal(found, bm4d(noisy, correlation=less, **how)) is warned


def test_the_level_of_correlated_noise_is_estimated_as_such() -> None:
    noise, along = zero_filled((48, 44, 30))
    assert estimate_sigma(noise) < 5
    sigma = estimate_sigma(noise, correlation=along)
    assert sigma == pytest.approx(10, rel=0.05)
    told = bm4d(noise, spacing=(1, 1, 1), sigma_noise=sigma, correlation=along)
    assert np.array_equal(bm4d(noise, spacing=(1, 1, 1), correlation=along), told)


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((40, 35, 38), (1, 1, 1)), ((40, 44, 9), (0.5, 0.5, 3)), ((120, 90), (1, 1))],
    ids=["cubes", "thick slices", "2-D"],
)
def test_tiles_give_what_one_piece_gives(
    shape: tuple[int, ...], spacing: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = picture(shape)
    noisy += 10 * np.random.default_rng(2).standard_normal(noisy.shape).astype(np.float32)
    whole = bm4d(noisy, spacing=spacing, sigma_noise=10)
    module = importlib.import_module("meddenoise.filters.bm4d")
    monkeypatch.setattr(module, "_TILE_VOXELS", noisy.size // 7)
    # A coefficient may fall on the other side of the threshold by rounding.
    assert np.abs(bm4d(noisy, spacing=spacing, sigma_noise=10) - whole).max() < 0.05 * 10


def test_tiles_share_the_reference_blocks() -> None:
    size, blocks = (40, 31, 22), Blocks((4, 4, 4), (3, 3, 3), (3, 3, 2))
    counts = np.zeros(blocks.references(size), int)
    for tile in blocks.tiles(size, 3000):
        assert math.prod(len(refs) for refs in tile.own) * 27 <= 3000
        at = []
        for seen, refs, n in zip(tile.seen, tile.own, size, strict=True):
            first = seen.start // 3 + refs.start
            at.append(slice(first, first + len(refs)))
            # All that a reference block may be like is there, or the image ends.
            assert seen.start % 3 == 0
            assert seen.start <= max(0, 3 * first - 2)
            assert seen.stop >= min(n, 3 * (first + len(refs) - 1) + 4 + 2)
        counts[tuple(at)] += 1
    assert (counts == 1).all()


@pytest.mark.parametrize("shape", [(4, 4, 4), (5, 40, 3), (4, 4), (33, 6)])
def test_small_images_keep_their_shape(shape: tuple[int, ...]) -> None:
    noisy = np.random.default_rng(3).standard_normal(shape)
    filtered = bm4d(noisy, spacing=(1,) * len(shape), sigma_noise=1)
    assert filtered.shape == shape
    assert filtered.dtype == np.float64
    assert filtered.std() < noisy.std()


def test_hounsfield_units_far_from_zero_are_kept() -> None:
    noisy = 5 * np.random.default_rng(4).standard_normal((24, 24, 24)) - 1000
    filtered = bm4d(noisy, spacing=(1, 1, 1), sigma_noise=5)
    assert filtered.mean() == pytest.approx(noisy.mean(), abs=0.05)
    assert filtered.std() < 1


def test_without_noise_nothing_changes() -> None:
    flat = np.full((16, 16, 16), 7.0, np.float32)
    assert np.array_equal(bm4d(flat, spacing=(1, 1, 1)), flat)


@pytest.mark.parametrize(("option", "value"), [("search", 0), ("group", 12), ("group", 0)])
def test_impossible_options(option: str, value: int) -> None:
    with pytest.raises(ParameterError, match=option):
        bm4d(np.zeros((8, 8, 8)), spacing=(1, 1, 1), sigma_noise=1.0, **{option: value})


def test_blocks_come_back() -> None:
    image = torch.randn(9, 8, 7)
    blocks = Blocks((4, 2, 3), (1, 1, 1), (1, 1, 1))
    window = kaiser_window(blocks.shape)
    coefficients = blocks.analyse(image)
    # Blocks that reach beyond the border hold made-up voxels, which are cut off.
    weight = blocks.spread(torch.ones(image.shape), window)
    back = blocks.synthesise(coefficients, window, image.shape) / weight
    torch.testing.assert_close(back, image)
    # Orthonormal: a block has the energy of its coefficients.
    block = image[2:6, 3:5, 1:4]
    row = (2 * 8 + 3) * 7 + 1
    torch.testing.assert_close(coefficients[row].square().sum(), block.square().sum())


def test_the_most_similar_blocks_are_found() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(12, 10, 9, generator=generator)
    image[5:8, 4:7, 3:6] = image[3:6, 3:6, 3:6].clone()
    blocks = Blocks((2, 3, 3), (3, 3, 3), (2, 1, 2))
    found = match_blocks(image, blocks, 3, [range(n) for n in blocks.references(image.shape)])
    reference = (3 * 10 + 3) * 9 + 3
    row = next(r for r in found.tolist() if reference in r and (5 * 10 + 4) * 9 + 3 in r)

    # By brute force, for the same reference.
    def at(x: int, y: int, z: int) -> torch.Tensor:
        return image[x : x + 2, y : y + 3, z : z + 3]

    near = {
        (x * 10 + y) * 9 + z: float((at(x, y, z) - at(3, 3, 3)).square().sum())
        for x in range(1, 6) for y in range(2, 5) for z in range(1, 6)
    }  # fmt: skip
    assert set(row) == set(sorted(near, key=near.__getitem__)[:3])


def test_the_haar_transform_is_orthonormal() -> None:
    matrix = haar_matrix(8)
    torch.testing.assert_close(matrix @ matrix.t(), torch.eye(8))
    torch.testing.assert_close(matrix[0], torch.full((8,), 8**-0.5))


@pytest.mark.parametrize("sigma", [3e-7, 1e-9, 1e-30])
@pytest.mark.parametrize("shape", [(16, 16, 16), (24, 24)])
def test_hardly_any_noise_leaves_the_image_as_it_is(shape: tuple[int, ...], sigma: float) -> None:
    array = np.random.default_rng(0).uniform(0, 2, shape)
    filtered = bm4d(array, spacing=(1,) * len(shape), sigma_noise=sigma)
    np.testing.assert_allclose(filtered, array, rtol=0, atol=2e-6)


def test_a_voxel_of_another_size_does_not_keep_the_noise_of_all_others() -> None:
    clean = np.broadcast_to(np.linspace(0, 1000, 24), (24, 24, 24))
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape)
    noisy[2, 2, 2] = 1e11
    filtered = bm4d(noisy, spacing=(1, 1, 1), sigma_noise=20)
    away = np.s_[12:, 12:, 12:]
    assert np.std((filtered - clean)[away]) < 0.3 * np.std((noisy - clean)[away])
