"""How steep an image is."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

from meddenoise.noise.slope import slope


def test_of_a_ramp_it_is_its_slope() -> None:
    x, y, z = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in (9, 8, 7)], indexing="ij")
    found = slope(2 * x - y + 2 * z)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[1:-1, 1:-1, 1:-1], 3.0)


def test_is_nearly_that_of_gaussian_derivatives() -> None:
    image = np.random.default_rng(0).standard_normal((40, 30, 20))
    expected = gaussian_gradient_magnitude(image, 1.0)
    found = slope(gaussian_filter(image, 1.0))
    inside = (slice(3, -3),) * 3
    assert np.corrcoef(found[inside].ravel(), expected[inside].ravel())[0, 1] > 0.95


@pytest.mark.parametrize("shape", [(6,), (5, 1), (1, 1, 4), (2, 3, 4)])
def test_short_axes_and_the_image_itself_stay(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).standard_normal(shape)
    before = image.copy()
    found = slope(image)
    assert found.shape == shape
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(image, before)
