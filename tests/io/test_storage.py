from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meddenoise.errors import OutputError
from meddenoise.io.storage import Storage

INTEGERS = ["i1", "u1", "i2", "u2", "i4", "u4"]


@pytest.mark.parametrize("dtype", INTEGERS)
@given(
    slope=st.floats(1e-4, 1e3) | st.floats(-1e3, -1e-4),
    intercept=st.floats(-5000, 5000),
    seed=st.integers(0, 100),
)
def test_encoding_undoes_decoding(dtype: str, slope: float, intercept: float, seed: int) -> None:
    storage = Storage.of(dtype, slope, intercept)
    low, high = storage.limits
    stored = np.random.default_rng(seed).integers(low, high, (3, 4), endpoint=True).astype(dtype)
    again, clipped = storage.encode(storage.decode(stored))
    np.testing.assert_array_equal(again, stored)
    assert clipped == 0


def test_values_are_rounded_to_nearest_and_clips_counted() -> None:
    values = np.array([[-1.0, 0.4, 0.6, 254.6, 255.4, 300.0]], dtype=np.float32)
    stored, clipped = Storage.of("u1").encode(values)
    assert stored.tolist() == [[0, 0, 1, 255, 255, 255]]
    assert clipped == 2


def test_only_the_bits_that_count_are_used() -> None:
    storage = Storage(np.dtype("i2"), 1.0, 0.0, bits=12)
    assert storage.limits == (-2048, 2047)
    stored, clipped = storage.encode(np.array([[5000.0, -5000.0]]))
    assert stored.tolist() == [[2047, -2048]]
    assert clipped == 2


def test_the_largest_64_bit_integers_do_not_wrap() -> None:
    stored, clipped = Storage.of("i8").encode(np.array([[1e30, -1e30, 5.0]]))
    assert stored[0, 0] > 2**62
    assert stored[0, 1] == -(2**63)
    assert clipped == 2


def test_integers_refuse_what_is_not_finite_and_floats_keep_it() -> None:
    values = np.array([[1.0, np.nan, np.inf]], dtype=np.float32)
    with pytest.raises(OutputError, match="NaN"):
        Storage.of("i2").encode(values)
    stored, clipped = Storage.of("f4").encode(values)
    np.testing.assert_array_equal(stored, values)
    assert clipped == 0


def test_float32_is_used_where_it_keeps_every_digit() -> None:
    assert Storage.of("i2", 1.0, -1024.0).working_dtype == np.float32
    assert Storage.of("i4").working_dtype == np.float64
    assert Storage.of("f8").working_dtype == np.float64
    small = np.array([[-1000, 3000]], dtype=np.int32)
    assert Storage.of("i4").decode(small).dtype == np.float32
    large = np.array([[2**30 + 1]], dtype=np.int32)
    assert Storage.of("i4").decode(large)[0, 0] == 2**30 + 1
    assert Storage.of("i2", 1e-7, 1000.0).working_dtype == np.float64


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        (Storage(np.dtype("u2"), 1.0, -1024.0, 12), "int16"),
        (Storage(np.dtype("u2"), 1.0, 0.0, 12), "uint16"),
        (Storage(np.dtype("u2"), 1.0, -1024.0, 16), "int32"),
        (Storage(np.dtype("i2"), 0.5, 0.0), "float32"),
        (Storage(np.dtype("f4")), "float32"),
    ],
)
def test_formats_without_a_scale_get_a_type_wide_enough(storage: Storage, expected: str) -> None:
    plain = storage.without_scale()
    assert plain.dtype == expected
    assert not plain.is_scaled


@pytest.mark.parametrize("slope", [1e37, 1e-42])
def test_scales_beyond_float32_are_worked_on_in_float64(slope: float) -> None:
    storage = Storage.of("i2", slope)
    stored = np.array([[-32768, 0, 1, 32767]], np.int16)
    values = storage.decode(stored)
    np.testing.assert_array_equal(values, stored * slope)
    assert storage.decode(stored.astype("i4")).dtype == np.float64
    np.testing.assert_array_equal(storage.encode(values)[0], stored)


@pytest.mark.parametrize("shape", [(1, 7, 5, 3), (2, 3, 4), (11,), (4, 40)])
@pytest.mark.parametrize("dtype", ["i2", "f4"])
def test_parts_are_the_whole(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: str
) -> None:
    values = np.random.default_rng(0).normal(0, 6e4, shape).T.astype(np.float32)
    storage = Storage.of(dtype, 1.5, -3.0)
    whole, clipped = storage.encode(values)
    monkeypatch.setattr("meddenoise.io.storage._PART_VOXELS", 12)
    parts = list(storage.encode_in_parts(values))
    assert len(parts) > 1 or values.size <= 12
    assert all(part.size <= 12 for part, _ in parts)
    np.testing.assert_array_equal(
        np.concatenate([part.ravel() for part, _ in parts]), whole.ravel()
    )
    assert sum(here for _, here in parts) == clipped
    again, same = storage.encode(values)
    np.testing.assert_array_equal(again, whole)
    assert same == clipped
    np.testing.assert_allclose(storage.decode(whole), (whole * 1.5 - 3.0), rtol=1e-6)
