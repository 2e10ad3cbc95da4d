"""The level around each voxel, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from meddenoise.networks.local_mean import LocalMean


@pytest.mark.parametrize("shape", [(20, 31), (9, 20, 14), (3, 4, 5)])
def test_it_is_scipys_gaussian(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = LocalMean()(torch.from_numpy(image)[None, None])[0, 0]
    expected = gaussian_filter(image, 2.0, mode="nearest", radius=LocalMean.reach)
    np.testing.assert_allclose(found, expected, atol=1e-6)
