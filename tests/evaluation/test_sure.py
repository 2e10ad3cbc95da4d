from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.errors import ParameterError
from meddenoise.evaluation.metrics import psnr
from meddenoise.evaluation.sure import sure_psnr


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_it_is_the_psnr_to_the_truth(width: float) -> None:
    x, y = np.meshgrid(np.arange(64), np.arange(60), indexing="ij")
    clean = np.repeat((100 + 50 * np.sin(x / 4) * np.cos(y / 5))[..., None], 12, axis=2)
    noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)

    def filtered(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, width)

    found = sure_psnr(filtered, noisy, sigma=10, data_range=200)
    assert found == pytest.approx(psnr(clean, filtered(noisy), data_range=200), abs=0.4)


def test_what_it_cannot_tell() -> None:
    noisy = np.random.default_rng(0).normal(0, 1, (40, 40))
    with pytest.raises(ParameterError, match="above 0, and it is 0"):
        sure_psnr(lambda a: a, noisy, sigma=0, data_range=1)
    with pytest.raises(ParameterError, match="not above 0"):
        sure_psnr(np.zeros_like, noisy, sigma=5, data_range=1)
    with pytest.raises(ParameterError, match="data_range"):
        sure_psnr(lambda a: a, noisy, sigma=1, data_range=0)
