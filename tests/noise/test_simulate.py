from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ConfigError, ParameterError
from meddenoise.noise import build_noise, simulate
from meddenoise.volume import Volume


def scan(units: str = "") -> Volume:
    array = np.full((2, 40, 40, 40), 500.0, dtype=np.float32)
    array[1] = 1000.0
    return Volume(array, np.eye(4), units=units)


def test_each_channel_has_noise_of_its_own_and_one_level() -> None:
    clean = scan()
    noisy = simulate(clean, "gaussian", sigma="2%", seed=3)
    noise = noisy.array - clean.array
    np.testing.assert_allclose(noise.std(axis=(1, 2, 3)), [20, 20], rtol=0.02)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.02
    assert noisy.array.dtype == np.float32
    assert noisy.history == ("simulated gaussian noise, sigma 20, seed 3",)
    assert (clean.array[0] == 500).all()


def test_a_channel_is_the_same_whatever_is_beside_it() -> None:
    both = simulate(scan(), "rician", sigma=12.0, seed=1)
    first = Volume(scan().array[:1], np.eye(4))
    np.testing.assert_array_equal(
        simulate(first, "rician", sigma=12.0, seed=1).array, both.array[:1]
    )


@pytest.mark.parametrize("shape", [(20, 20), (20, 20, 20), (2, 20, 20, 20)])
def test_an_array_works_as_well(shape: tuple[int, ...]) -> None:
    array = np.full(shape, 500.0, dtype=np.float32)
    noisy = simulate(array, "gaussian", sigma=5.0, seed=2)
    expected = simulate(Volume.from_array(array), "gaussian", sigma=5.0, seed=2)
    np.testing.assert_array_equal(noisy.array, expected.array)
    assert (array == 500).all()


def test_the_seed_decides() -> None:
    one, same, other = (
        simulate(scan(), build_noise("gaussian", sigma=[5, 50]), seed=s) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.array, same.array)
    assert one.history == same.history != other.history
    assert not np.array_equal(one.array, other.array)


def test_what_was_not_measured_is_not_touched() -> None:
    array = np.full((1, 30, 30, 30), 40.0, dtype=np.float32)
    array[0, 0] = np.nan
    array[0, 1] = -3024
    padding = array == -3024
    clean = Volume(array, np.eye(4), units="HU", padding=padding)
    noisy = simulate(clean, "poisson", dose=0.5)
    np.testing.assert_array_equal(noisy.array[0, :2], array[0, :2])
    assert (noisy.array[0, 2:] != 40).mean() > 0.99
    assert noisy.history[-1] == "simulated poisson noise, dose 0.5, seed 0"


def test_a_level_is_of_the_valid_voxels() -> None:
    array = np.full((1, 30, 30, 30), 100.0, dtype=np.float32)
    array[0, 0] = 60000
    clean = Volume(array, np.eye(4), padding=array == 60000)
    noisy = simulate(clean, "gaussian", sigma="10%")
    assert noisy.array[0, 1:].std() == pytest.approx(10, rel=0.03)


def test_an_image_of_two_dimensions_and_double_precision() -> None:
    clean = Volume.from_array(np.zeros((200, 200)), spacing=(1, 1))
    noisy = simulate(clean, "gaussian", sigma=1.0)
    assert noisy.array.dtype == np.float64
    assert noisy.array.std() == pytest.approx(1.0, rel=0.02)


def test_a_ct_model_on_an_mr_scan() -> None:
    with pytest.raises(ParameterError, match=r"'poisson' is for CT only.*HU.*without a unit"):
        simulate(scan(), "poisson", dose=0.5)
    with pytest.raises(ParameterError, match="in 'Bq/ml'"):
        simulate(scan("Bq/ml"), "poisson", dose=0.5)


def test_impossible_arguments() -> None:
    with pytest.raises(ConfigError, match=r"noise\.sigma is impossible: -3 is no noise level"):
        simulate(scan(), "gaussian", sigma=-3)
    with pytest.raises(ConfigError, match="did you mean 'gaussian'"):
        simulate(scan(), "gausian", sigma=3)
    with pytest.raises(ParameterError, match="seed is -1"):
        simulate(scan(), "gaussian", sigma=3, seed=-1)
    with pytest.raises(ParameterError, match="belong to the noise model"):
        simulate(scan(), build_noise("gaussian", sigma=1), sigma=3)
