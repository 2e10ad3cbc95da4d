from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest
import torch

from meddenoise.errors import GeometryError, ParameterError
from meddenoise.volume import Volume


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "channels", "spatial"),
    [((4, 5), 1, (4, 5)), ((4, 5, 6), 1, (4, 5, 6)), ((2, 4, 5, 6), 2, (4, 5, 6))],
)
def test_from_array_adds_the_channel(
    shape: tuple[int, ...], channels: int, spatial: tuple[int, ...]
) -> None:
    volume = Volume.from_array(ramp(*shape))
    assert (volume.channels, volume.shape, volume.dims) == (channels, spatial, len(spatial))
    assert np.array_equal(volume.array.reshape(shape), ramp(*shape))


@pytest.mark.parametrize("shape", [(), (3,), (1, 2, 3, 4, 5)])
def test_from_array_refuses_other_numbers_of_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="axes"):
        Volume.from_array(np.zeros(shape))


@pytest.mark.parametrize("make", [Volume.from_array, lambda t: Volume(t[None], np.eye(4))])
def test_a_tensor_gives_its_values(make: Any) -> None:
    tensor = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    for given in (tensor, tensor.clone().requires_grad_(), tensor.bfloat16()):
        volume = make(given)
        assert volume.array.dtype == np.float32
        np.testing.assert_array_equal(volume.array[0], given.detach().float().numpy())


def test_what_makes_no_array_is_refused() -> None:
    for given in ([[1, 2], [3]], torch.eye(3).to_sparse(), [torch.ones(3, requires_grad=True)] * 3):
        with pytest.raises(ParameterError, match=r"make no array \([^.]*\)\.$"):
            Volume.from_array(given)
    imaginary = torch.complex(torch.ones(3, 3), torch.eye(3)).conj().imag
    assert np.array_equal(Volume.from_array(imaginary).array[0], -np.eye(3))


def test_an_empty_array_is_refused() -> None:
    with pytest.raises(ParameterError, match="at least one voxel"):
        Volume.from_array(np.zeros((3, 0, 3)))


def test_spacing_is_read_back_from_the_affine() -> None:
    assert Volume.from_array(ramp(4, 5, 6), spacing=(1, 2, 3.5)).spacing == (1.0, 2.0, 3.5)
    assert Volume.from_array(ramp(4, 5), spacing=(0.5, 2)).spacing == (0.5, 2.0)


def test_spacing_of_an_oblique_grid_is_the_length_of_the_columns() -> None:
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * [1, 2, 3]
    assert Volume.from_array(ramp(2, 2, 2), affine=affine).spacing == pytest.approx((1, 2, 3))


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, -2), (1, 1, np.nan)])
def test_impossible_spacing(spacing: Any) -> None:
    with pytest.raises((ParameterError, GeometryError)):
        Volume.from_array(ramp(2, 2, 2), spacing=spacing)


def test_spacing_and_affine_are_not_both_given() -> None:
    with pytest.raises(ParameterError, match="not both"):
        Volume.from_array(ramp(2, 2), spacing=(1, 1), affine=np.eye(4))


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.full((4, 4), np.nan)])
def test_a_singular_affine_is_a_geometry_error(affine: np.ndarray) -> None:
    with pytest.raises(GeometryError, match="singular or not finite"):
        Volume.from_array(ramp(2, 2, 2), affine=affine)


def test_an_affine_of_another_shape_is_refused() -> None:
    with pytest.raises(ParameterError, match="4x4"):
        Volume.from_array(ramp(2, 2, 2), affine=np.eye(3))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float16, bool, ">f4"])
def test_small_types_become_float32_of_this_machine(kind: Any) -> None:
    volume = Volume.from_array(np.ones((2, 2), dtype=kind))
    assert volume.array.dtype == np.float32
    assert volume.array.dtype.isnative


def test_digits_are_not_lost() -> None:
    odd = 2**24 + 1
    for kind in (np.int32, np.uint32, np.int64, np.float64):
        assert int(Volume.from_array(np.full((2, 2), odd, dtype=kind)).array[0, 0, 0]) == odd
    assert int(Volume.from_array(np.full((2, 2), -odd)).array[0, 0, 0]) == -odd
    assert Volume.from_array(np.full((2, 2), 7, dtype=np.int64)).array.dtype == np.float32


@pytest.mark.parametrize("kind", [complex, object, "U3"])
def test_what_is_no_real_number_is_refused(kind: Any) -> None:
    with pytest.raises(ParameterError, match="real numbers"):
        Volume.from_array(np.ones((2, 2)).astype(kind))


def test_valid_leaves_out_what_is_not_finite_and_padding() -> None:
    array = ramp(1, 2, 3)
    array[0, 0, 0], array[0, 0, 1] = np.nan, np.inf
    padding = np.zeros((1, 2, 3), dtype=bool)
    padding[0, 1, 2] = True
    volume = Volume(array, np.eye(4), padding=padding)
    assert volume.valid.tolist() == [[[False, False, True], [True, True, False]]]
    assert volume.valid_in(0).tolist() == volume.valid[0].tolist()


@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_what_a_masked_array_masks_was_not_measured(kind: Any) -> None:
    values = np.arange(24, dtype=kind).reshape(2, 3, 4)
    masked = np.ma.array(values, mask=values < 5)
    volume = Volume.from_array(masked)
    np.testing.assert_array_equal(volume.array[0], values)
    np.testing.assert_array_equal(volume.valid[0], values >= 5)
    both = Volume(masked[None], np.eye(4), padding=values[None] > 20)
    np.testing.assert_array_equal(both.valid[0], (values >= 5) & (values <= 20))
    assert Volume.from_array(np.ma.array(values)).padding is None


def test_padding_has_the_shape_of_the_array() -> None:
    with pytest.raises(ParameterError, match="padding"):
        Volume(ramp(1, 2, 3), np.eye(4), padding=np.zeros((2, 3), dtype=bool))


def test_with_array_keeps_the_rest_and_notes_what_was_done() -> None:
    volume = Volume.from_array(ramp(2, 3), units="HU", modality="CT")
    other = volume.with_array(volume.array + 1, note="one more")
    assert (other.units, other.modality, other.history) == ("HU", "CT", ("one more",))
    assert volume.history == ()
    assert np.array_equal(volume.array[0], ramp(2, 3))


def test_with_array_refuses_another_grid() -> None:
    with pytest.raises(GeometryError, match="shape"):
        Volume.from_array(ramp(2, 3)).with_array(ramp(1, 3, 2))


def moved(volume: Volume, millimetres: float) -> Volume:
    affine = volume.affine.copy()
    affine[0, 3] += millimetres
    return Volume(volume.array, affine)


def test_same_grid_allows_a_hundredth_of_a_voxel() -> None:
    volume = Volume.from_array(ramp(4, 4, 4), spacing=(2, 2, 2))
    volume.check_same_grid(moved(volume, 0.019))
    with pytest.raises(GeometryError, match=r"this and that lie up to 0\.021 mm apart"):
        volume.check_same_grid(moved(volume, 0.021), names=("this", "that"))


def test_same_grid_looks_at_the_far_corner() -> None:
    volume = Volume.from_array(ramp(100, 4, 4))
    stretched = volume.affine.copy()
    stretched[0, 0] *= 1.0002  # nothing at the origin, 0.0198 mm at the hundredth voxel
    with pytest.raises(GeometryError, match="apart"):
        volume.check_same_grid(Volume(volume.array, stretched))


def test_same_grid_refuses_another_shape() -> None:
    with pytest.raises(GeometryError, match="resample"):
        Volume.from_array(ramp(2, 3)).check_same_grid(Volume.from_array(ramp(3, 2)))


def test_units_that_a_header_does_not_say() -> None:
    volume = Volume.from_array(np.zeros((2, 2, 2)))
    said = volume.in_units("HU")
    assert (volume.units, said.units) == ("", "HU")
    assert said.in_units("HU").units == "HU"
    with pytest.raises(ParameterError, match="header says Bq/ml"):
        Volume.from_array(np.zeros((2, 2, 2)), units="Bq/ml").in_units("HU")
    with pytest.raises(ParameterError, match="header says that it is MR"):
        Volume.from_array(np.zeros((2, 2, 2)), modality="MR").in_units("HU")


def test_torch_that_another_thread_still_imports_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    volume = Volume.from_array(np.ones((2, 3, 4), np.float32))
    assert volume.shape == (2, 3, 4)
