"""The two anatomies at full size, made once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from meddenoise.data.samples import sample
from meddenoise.volume import Volume

Probe = Callable[[Volume, tuple[float, float, float], float], np.ndarray]


@pytest.fixture(scope="session")
def head() -> Volume:
    return sample("head")


@pytest.fixture(scope="session")
def abdomen() -> Volume:
    return sample("abdomen")


@pytest.fixture(scope="session")
def probe() -> Probe:
    """The voxels within a radius (mm) of a place (RAS mm)."""

    def voxels(volume: Volume, place: tuple[float, float, float], radius: float) -> np.ndarray:
        axes = [
            volume.affine[i, i] * np.arange(n) + volume.affine[i, 3]
            for i, n in enumerate(volume.shape)
        ]
        x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
        near = (x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2 <= radius**2
        return volume.array[0][near]

    return voxels
