from __future__ import annotations

import base64
import gzip

import nibabel as nib
import numpy as np
import pytest

from meddenoise.report.embedded import Embedded, embed, steps_to_fit
from meddenoise.volume import Volume


def opened(made: Embedded) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(made.base64)))


def test_another_reader_sees_the_same_values_in_the_same_place() -> None:
    draws = np.random.default_rng(0)
    affine = np.array([[-2, 0.1, 0, 5], [0, 1.5, 0, 6], [0, 0, 3, -7], [0, 0, 0, 1]], dtype=float)
    values = draws.normal(-500, 400, (1, 7, 6, 5))
    image = opened(embed(Volume(values, affine)))
    assert np.abs(image.get_fdata() - values[0]).max() <= np.ptp(values) / 120_000
    assert np.allclose(image.affine, affine, atol=1e-6)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_nothing_of_a_header_goes_along() -> None:
    volume = Volume(np.ones((1, 4, 4, 4)), np.eye(4), modality="MR", history=("SENTINEL",))
    header = opened(embed(volume)).header
    assert all(not header[key].tobytes().strip(b"\0") for key in ("descrip", "db_name", "aux_file"))


def test_what_is_not_finite_is_the_least_and_a_constant_stays() -> None:
    values = np.full((1, 4, 4, 4), 5.0)
    values[0, 0, 0, 0] = np.nan
    assert np.allclose(opened(embed(Volume(values, np.eye(4)))).get_fdata(), 5)


def test_whole_planes_are_left_out_across_the_coarsest_axis() -> None:
    assert steps_to_fit((100, 100, 60), (1, 1, 5), 600_000) == (1, 1, 1)
    assert steps_to_fit((100, 100, 60), (1, 1, 5), 599_999) == (1, 1, 2)
    assert steps_to_fit((100, 100, 60), (1, 1, 5), 200_000) == (1, 1, 3)
    assert steps_to_fit((60, 100, 100), (1, 0.5, 0.5), 200_000) == (3, 1, 1)
    assert steps_to_fit((100, 100, 100), (1, 1, 1), 500_000) == (1, 1, 2)


def test_voxels_within_planes_only_where_few_would_remain() -> None:
    assert steps_to_fit((100, 100, 20), (1, 1, 5), 100_000) == (2, 1, 1)
    assert steps_to_fit((100, 100, 16), (1, 1, 5), 100_000) == (2, 1, 1)
    assert steps_to_fit((100, 100, 8), (1, 1, 5), 10_000) == (4, 2, 1)
    assert steps_to_fit((100, 100), (1, 0.5), 5_000) == (1, 2)
    assert steps_to_fit((3, 3), (1, 1), 1) == (4, 4)
    assert steps_to_fit((3, 3, 3), (1, 1, 1), 1) == (4, 4, 4)


def test_whole_numbers_stay_as_they_are() -> None:
    values = np.random.default_rng(0).integers(-1024, 3000, (1, 9, 8, 7)).astype(float)
    for step in (0.0, 0.3):
        made = embed(Volume(values, np.eye(4)), step=step)
        assert made.step == 1
        np.testing.assert_array_equal(opened(made).get_fdata(), values[0])
    coarse = embed(Volume(values, np.eye(4)), step=8)
    assert coarse.step == 8
    assert np.abs(opened(coarse).get_fdata() - values[0]).max() <= 4
    assert len(coarse.base64) < len(made.base64)


def test_left_out_voxels_leave_the_others_in_place() -> None:
    values = np.arange(8 * 6 * 4, dtype=float).reshape(1, 8, 6, 4)
    image = opened(embed(Volume(values, np.diag([1, 2, 3, 1.0])), (2, 1, 2)))
    assert np.allclose(image.get_fdata(), values[0, ::2, :, ::2], atol=0.01)
    assert np.allclose(image.affine, np.diag([2, 2, 6, 1]))


@pytest.mark.parametrize("step", [0, 0.01])
def test_a_picture_stands_upright(step: float) -> None:
    values = np.zeros((1, 6, 4))
    values[0, :, 0] = 1  # the first row
    image = opened(embed(Volume(values, np.eye(4)), step=step))
    assert image.shape == (6, 4, 1)
    assert np.allclose(image.get_fdata()[:, -1], 1, atol=0.01)  # is at the top
