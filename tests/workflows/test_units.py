from __future__ import annotations

import warnings

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import ParameterError
from meddenoise.volume import Volume
from meddenoise.workflows.units import checked_units, hint_of_units, looks_like_hu

SHAPE = (40, 40, 12)


def body(*, sigma: float = 20.0) -> np.ndarray:
    """A round body of fat and soft tissue with a bone, in air, in HU with noise."""
    x, y = np.meshgrid(*[np.arange(n) - n / 2 for n in SHAPE[:2]], indexing="ij")
    away = np.hypot(x, y)
    slice_ = np.select([away < 3, away < 12, away < 15], [700.0, 50.0, -100.0], -1000.0)
    noise = np.random.default_rng(0).normal(0, sigma, SHAPE)
    return (slice_[..., None] + noise).astype(np.float32)


def head() -> np.ndarray:
    """The same as a magnitude image, to 1000."""
    return np.abs(body() + 1000) * np.float32(0.6)


def volume(array: np.ndarray, **said: str) -> Volume:
    return Volume.from_array(array, **said)


def test_ct_is_known_by_air_and_water() -> None:
    assert looks_like_hu(volume(body()))
    assert looks_like_hu(volume(body(), modality="CT"))
    assert "--units HU" in hint_of_units(volume(body()))


@pytest.mark.parametrize(
    "scan",
    [
        volume(head()),
        volume(head() - 300),  # signed
        volume(body(), units="HU"),  # known
        volume(body(), modality="MR"),
        volume(body() + 1000),  # not HU
        volume(body()[14:26, 14:26]),  # no air: cannot be known
        volume(np.random.default_rng(0).uniform(-4096, 4095, SHAPE)),  # a phase
        volume(np.full(SHAPE, np.nan, np.float32)),
    ],
)
def test_what_else_there_is_gets_no_hint(scan: Volume) -> None:
    assert not looks_like_hu(scan)
    assert hint_of_units(scan) == ""


def test_padding_is_no_air() -> None:
    padded = np.where(head() > 100, head(), -1000).astype(np.float32)
    scan = Volume(padded[None], np.eye(4), padding=(padded == -1000)[None])
    assert not looks_like_hu(scan)


def test_units_that_would_change_nothing_are_refused() -> None:
    assert (checked_units(None), checked_units(""), checked_units("HU")) == ("", "", "HU")
    for said in ("hu", "mm", "Hounsfield"):
        with pytest.raises(ParameterError, match=f"--units is {said}: HU is what"):
            checked_units(said)


def test_noise_in_hu_is_that_of_soft_tissue() -> None:
    """Air without noise, as reconstructions clip it, hides the noise where nobody says HU."""
    scan = np.maximum(body(), -1000)
    scan[scan < -700] = -1000
    told = {}
    for units in (None, "HU"):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            told[units] = md.denoise(scan, method="nlmeans", units=units)
        hinted = any("--units HU" in str(w.message) for w in said)
        assert hinted == (units is None)
    assert told["HU"].units == "HU"
    assert told[None].units == ""


def test_a_hint_only_where_noise_is_estimated() -> None:
    for options in ({"method": "median"}, {"method": "nlmeans", "sigma": 20}):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            md.denoise(body(), **options)


def test_a_header_that_says_otherwise() -> None:
    with pytest.raises(ParameterError, match="it is MR"):
        md.denoise(volume(body(), modality="MR"), method="median", units="HU")
