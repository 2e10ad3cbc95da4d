from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.evaluation.bias import bias, bias_by_region


def test_signed_and_within_a_mask() -> None:
    truth = np.zeros((6, 6))
    image = truth + 2
    image[:3] = -4
    assert bias(truth, image) == pytest.approx(-1)
    assert bias(truth, image, mask=np.arange(6)[:, None] + 0 * truth > 2) == pytest.approx(2)


def test_by_region() -> None:
    labels = np.zeros((8, 8, 2), np.float32)
    labels[:4], labels[4:6] = 3, 7
    truth = np.where(labels == 3, 50.0, 1000.0)
    image = truth + np.where(labels == 3, 1.5, -30.0)
    image[0, 0, 0] = np.nan
    three, seven = bias_by_region(truth, image, labels)
    assert (three.label, three.voxels, seven.label, seven.voxels) == (3, 63, 7, 32)
    assert (three.bias, seven.bias) == (pytest.approx(1.5), pytest.approx(-30))
    assert (three.reference, three.image) == (pytest.approx(50), pytest.approx(51.5))
    assert three.error == pytest.approx(0, abs=1e-9)


def test_labels_of_any_kind() -> None:
    image = np.random.default_rng(0).normal(size=(40, 40))
    labels = np.zeros((40, 40), dtype=np.int16)
    labels[10:20] = 1
    expected = bias_by_region(0 * image, image, labels)
    hidden = np.ma.masked_array(np.ones_like(labels), labels == 0)
    for kind in (np.uint8, bool, np.float32, np.uint64):
        assert bias_by_region(0 * image, image, labels.astype(kind)) == expected
    assert bias_by_region(0 * image, image, hidden) == expected


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros((40, 40)), "no label but 0"),
        (np.full((40, 40), 0.5), "fractions"),
        (np.full((40, 40), 1e30), r"holds 1e\+30: that is no label"),
        (np.full((40, 40), 2**63 + 5, dtype=np.uint64), "that is no label"),
        (np.arange(1600).reshape(40, 40), "1599 values"),
        (np.ones((3, 3)), "shape"),
    ],
)
def test_what_is_no_label_map(labels: np.ndarray, said: str) -> None:
    image = np.zeros((40, 40))
    with pytest.raises(ParameterError, match=said):
        bias_by_region(image, image, labels)
    with pytest.raises(ParameterError, match="shape"):
        bias_by_region(image, image[1:], np.ones((40, 40)))
