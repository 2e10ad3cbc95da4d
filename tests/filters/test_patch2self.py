from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import patch2self

pytest.importorskip("dipy")
pytest.importorskip("sklearn")


# Few volumes make the test quick.
pytestmark = [
    pytest.mark.filterwarnings("ignore:patch2self has only"),
    pytest.mark.filterwarnings("ignore:.* volumes (is|are) blank"),
]


def scan() -> np.ndarray:
    """8 volumes that mix two patterns, with noise."""
    draws = np.random.default_rng(0)
    mixed = np.tensordot(draws.standard_normal((8, 2)), draws.normal(0, 10, (2, 9, 8, 7)), axes=1)
    return (100 + mixed + draws.standard_normal(mixed.shape)).astype(np.float32)


def predicted(array: np.ndarray) -> np.ndarray:
    """Each volume by least squares from the others and a constant."""
    columns = array.reshape(len(array), -1).T.astype(np.float64)
    result = np.empty_like(columns)
    for k in range(columns.shape[1]):
        others = np.column_stack([np.delete(columns, k, axis=1), np.ones(len(columns))])
        result[:, k] = others @ np.linalg.lstsq(others, columns[:, k], rcond=None)[0]
    return result.T.reshape(array.shape)


def test_each_volume_is_predicted_from_the_others() -> None:
    array = scan()
    filtered = patch2self(array, spacing=(2, 2, 2))
    np.testing.assert_allclose(filtered, predicted(array), atol=0.02)
    assert np.abs(filtered - array).mean() > 0.3


def test_unweighted_volumes_are_a_group_of_their_own(tmp_path: Path) -> None:
    array = scan()
    weights = [0.0, 1000, 1000, 5, 1000, 2000, 0, 1000]
    file = tmp_path / "dwi.bval"
    file.write_text("0 1000 1000 5 1000 2000 0 1000\n")
    filtered = patch2self(array, spacing=(2, 2, 2), b_values=weights)
    unweighted = np.array(weights) < 50
    for group in (unweighted, ~unweighted):
        np.testing.assert_allclose(filtered[group], predicted(array[group]), atol=0.02)
    from_file = patch2self(array, spacing=(2, 2, 2), b_values=str(file))
    np.testing.assert_array_equal(from_file, filtered)


def test_a_single_unweighted_volume_stays() -> None:
    array = scan()
    filtered = patch2self(array, spacing=(2, 2, 2), b_values=[0.0] + [1000.0] * 7)
    np.testing.assert_array_equal(filtered[0], array[0])
    np.testing.assert_allclose(filtered[1:], predicted(array[1:]), atol=0.02)


def test_few_volumes_are_said() -> None:
    with pytest.warns(UserWarning, match="only 8 volumes"):
        patch2self(scan(), spacing=(2, 2, 2))


@pytest.mark.parametrize("b_values", [[0.0, 1000.0], "nowhere.bval"])
def test_b_values_must_fit(b_values: list[float] | str) -> None:
    with pytest.raises(ParameterError, match=r"b-values"):
        patch2self(scan(), spacing=(2, 2, 2), b_values=b_values)


def test_blank_and_repeated_volumes_do_not_predict() -> None:
    array = scan()
    array[5], array[6], array[7] = 0, 3, array[2]
    filtered = patch2self(array, spacing=(2, 2, 2))
    np.testing.assert_allclose(filtered[:5], predicted(array[:5]), atol=0.02)
    np.testing.assert_array_equal(filtered[5:7], array[5:7])
    np.testing.assert_array_equal(filtered[7], filtered[2])


@pytest.mark.parametrize("unit", [2.0**-60, 2.0**90])
def test_the_unit_does_not_matter(unit: float) -> None:
    array = scan()
    filtered = patch2self((array * unit).astype(np.float32), spacing=(2, 2, 2)) / unit
    np.testing.assert_allclose(filtered, patch2self(array, spacing=(2, 2, 2)), rtol=1e-5)


def test_fewer_voxels_than_volumes() -> None:
    with pytest.raises(ParameterError, match="8 volumes by least squares, and they have 8 voxels"):
        patch2self(scan()[:, :2, :2, :2], spacing=(2, 2, 2))


def test_blank_volumes_are_told() -> None:
    array = scan()
    array[2] = 0
    with pytest.warns(UserWarning, match=r"1 of 8 volumes is blank \(3\): kept, .* with it"):
        filtered = patch2self(array, spacing=(2, 2, 2))
    np.testing.assert_array_equal(filtered[2], array[2])


@pytest.mark.parametrize("shape", [(504, 1, 1), (1, 504, 1), (1, 1, 504), (1, 56, 9)])
def test_how_voxels_lie_does_not_matter(shape: tuple[int, ...]) -> None:
    array = scan()
    thin = patch2self(array.reshape(8, *shape), spacing=(2, 2, 2))
    np.testing.assert_allclose(thin.reshape(array.shape), predicted(array), atol=0.02)
