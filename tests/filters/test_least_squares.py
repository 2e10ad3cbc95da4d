from __future__ import annotations

import numpy as np
import pytest

from meddenoise.filters import least_squares as module
from meddenoise.filters.least_squares import least_squares, product_sums


def test_the_weights_of_a_sum_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 64)
    images = np.random.default_rng(0).standard_normal((3, 200)).astype(np.float32)
    images[1] *= 1e4
    wanted = np.array([2.0, -3e-4, 0.5])
    products, right = product_sums(list(images), wanted @ images)
    np.testing.assert_allclose(products, images.astype(float) @ images.T, rtol=1e-5)
    np.testing.assert_allclose(least_squares(products, right), wanted, rtol=1e-3)


def test_images_that_are_alike_share_their_weight_and_empty_ones_have_none() -> None:
    one = np.random.default_rng(1).standard_normal(100)
    weights = least_squares(*product_sums([one, one, np.zeros(100)], 4 * one))
    np.testing.assert_allclose(weights, [2, 2, 0], atol=1e-9)
