"""Discs of water, for the tests of CT noise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


def _distance(size: int, pixel_mm: float, x: float = 0.0, y: float = 0.0) -> Tensor:
    place = (torch.arange(size) - (size - 1) / 2) * pixel_mm
    return (place[:, None] - x).hypot(place[None, :] - y)


@pytest.fixture(scope="session")
def distance() -> Callable[..., Tensor]:
    """``(N, N)``: distance in mm of each pixel from a point (x, y) in mm from the centre."""
    return _distance


@pytest.fixture(scope="session")
def disc() -> Callable[..., Tensor]:
    """``(N, N)`` in HU: a disc of (size, pixel, radius, HU, x, y) in air, its rim averaged."""

    def make(
        size: int,
        pixel_mm: float,
        radius_mm: float,
        hu: float = 0.0,
        x: float = 0.0,
        y: float = 0.0,
    ) -> Tensor:
        fine = _distance(4 * size, pixel_mm / 4, x, y) < radius_mm
        share = torch.nn.functional.avg_pool2d(fine[None].float(), 4)[0]
        return -1000.0 + (hu + 1000.0) * share

    return make
