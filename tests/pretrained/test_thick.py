from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.inference.sums import Sums
from meddenoise.pretrained.assumed import thick_axis
from meddenoise.pretrained.ready import ReadyDenoiser
from meddenoise.pretrained.thick import ThickSliced, ready_for


@pytest.fixture(scope="module")
def networks() -> dict[int, ReadyDenoiser]:
    return {dims: ReadyDenoiser.load(dims, "cpu") for dims in (2, 3)}


def scene(contrast: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    """Solids in slices that are four times as thick, and unit noise."""
    draws = np.random.default_rng(0)
    fine = contrast * (gaussian_filter(draws.normal(size=(48, 48, 64)), 4) > 0)
    clean = fine.reshape(48, 48, 16, 4).mean(-1).astype(np.float32)
    return clean, (clean + draws.normal(size=clean.shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [
        ((1, 1, 1), None),
        ((1, 1, 2.4), None),
        ((0.5, 0.5, 5), 2),
        ((4, 1, 1.2), 0),
        ((1, 3, 3), None),
        ((1, 9), None),
    ],
)
def test_the_axis_across_thick_slices(spacing: tuple[float, ...], axis: int | None) -> None:
    assert thick_axis(spacing) == axis


def test_what_is_for_a_scan(networks: dict[int, ReadyDenoiser]) -> None:
    assert ready_for(networks, (1, 1, 1), (9, 9, 9)) is networks[3]
    assert ready_for(networks, (1, 1), (9, 9)) is networks[2]
    both = ready_for(networks, (1, 5, 1), (9, 9, 9))
    assert isinstance(both, ThickSliced)
    assert both.axis == 1
    assert "slice by slice" in both.note
    few = ready_for(networks, (1, 1, 1), (9, 9, 2))
    assert isinstance(few, ThickSliced)
    assert few.axis == 2
    assert ready_for(networks, (1, 1, 1), (9, 9, 3)) is networks[3]
    assert ready_for({3: networks[3]}, (1, 1, 5), (9, 9, 9)) is networks[3]
    assert ready_for({2: networks[2]}, (1, 1, 5), (9, 9, 9)) is None


@pytest.mark.parametrize("axis", [0, 2])
def test_it_is_the_mean_of_both_and_better_than_two_passes(
    networks: dict[int, ReadyDenoiser], axis: int
) -> None:
    clean, noisy = scene()
    clean, noisy = (np.moveaxis(image, 2, axis) for image in (clean, noisy))
    given = noisy.copy()
    found = ThickSliced(networks[3], networks[2], axis)(noisy)
    assert np.array_equal(noisy, given)
    slices = [-networks[2](-s, second=None) for s in np.moveaxis(noisy, axis, 0)]
    flat = np.moveaxis(np.stack(slices), 0, axis)
    expected = (networks[3](noisy, second=None) + flat) / 2
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert float(np.abs(found - expected).mean()) < 0.01

    def error(image: np.ndarray) -> float:
        return float(np.mean((image - clean) ** 2))

    assert error(found) < 0.9 * error(networks[3](noisy))


def test_what_was_not_measured_has_no_say(networks: dict[int, ReadyDenoiser]) -> None:
    _, noisy = scene()
    valid = np.ones(noisy.shape, dtype=bool)
    valid[:4] = False
    damaged = noisy.copy()
    damaged[:4] = 1e4
    both = ThickSliced(networks[3], networks[2], 2)
    np.testing.assert_allclose(both(noisy, valid)[4:], both(damaged, valid)[4:], atol=1e-3)


@pytest.mark.parametrize("second", ["negative", "shifted"])
def test_plane_by_plane_it_is_the_same(networks: dict[int, ReadyDenoiser], second: str) -> None:
    _, noisy = scene()
    both = ThickSliced(networks[3], networks[2], 2)

    def parts() -> Iterator[np.ndarray]:
        return (noisy[..., k : k + 3] for k in range(0, noisy.shape[2], 3))

    told: list[float] = []
    sums = Sums.of(parts())
    found = np.concatenate(
        [*both.planes(noisy.shape, parts, sums, second=second, progress=told.append)],  # type: ignore[arg-type]
        axis=-1,
    )
    whole = both(noisy, second=second)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, whole, atol=0.02)
    assert told[-1] == 1


def test_progress_ends_at_1(networks: dict[int, ReadyDenoiser]) -> None:
    told: list[float] = []
    ThickSliced(networks[3], networks[2], 2)(scene()[1], progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
