from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.noise.anscombe import Anscombe
from meddenoise.noise.rician_vst import RicianStabilisation
from meddenoise.noise.stabilise import Stabilisation, check_way, find_stabilisation
from meddenoise.volume import Volume

DRAWS = np.random.default_rng(0)


def head(*shape: int, sigma: float = 20.0, scale: float = 1.0) -> np.ndarray:
    """Two tissues in air, with Rician noise."""
    clean = np.zeros(shape)
    clean[tuple(slice(n // 6, -(n // 6)) for n in shape)] = 60
    clean[tuple(slice(n // 3, -(n // 3)) for n in shape)] = 100
    noise = np.random.default_rng(0).normal(0, sigma, (2, *shape))
    return (scale * np.hypot(clean + noise[0], noise[1])).astype(np.float32)


def counted(*shape: int, gain: float = 4.0) -> np.ndarray:
    place = np.meshgrid(*(np.linspace(0, 6, n) for n in shape), indexing="ij")
    counts = np.random.default_rng(0).poisson((100 + 90 * np.sin(sum(place))) / gain)
    return (gain * counts).astype(np.float32)


MR = Volume.from_array(head(48, 48, 32))
XRAY = Volume.from_array(counted(256, 256), modality="XA")


def test_auto_takes_a_magnitude_for_rician() -> None:
    found = find_stabilisation(MR, "auto")
    assert found.method == "rician"
    (stabiliser,) = found.stabilisers
    assert isinstance(stabiliser, RicianStabilisation)
    assert stabiliser.sigma == pytest.approx(20, rel=0.04)
    assert "estimated to be Rician" in found.why
    assert f"sigma {stabiliser.sigma:.4g}" in found.why
    assert found.noise == f"Rician noise of sigma {stabiliser.sigma:.4g}"


def test_auto_takes_counts_for_poisson_gaussian() -> None:
    found = find_stabilisation(XRAY, "auto")
    assert found.method == "anscombe"
    (stabiliser,) = found.stabilisers
    assert isinstance(stabiliser, Anscombe)
    assert stabiliser.gain == pytest.approx(4, rel=0.15)
    assert "counted photons" in found.why
    assert f"gain of {stabiliser.gain:.4g}" in found.why


@pytest.mark.parametrize(
    ("volume", "told"),
    [
        (Volume.from_array(head(48, 48, 32) - 50), "estimated to be Gaussian"),
        (
            Volume.from_array(head(48, 48, 32), modality="CT", units="HU"),
            "estimated to be Gaussian",
        ),
        (Volume.from_array(head(48, 48, 32), modality="US"), "No model is known"),
        (Volume.from_array(head(48, 48, 32, sigma=0.0)), "no noise to be seen"),
    ],
)
def test_auto_leaves_other_noise_as_it_is(volume: Volume, told: str) -> None:
    found = find_stabilisation(volume, "auto")
    assert (found.method, found.stabilisers) == ("none", (None,))
    assert told in found.why
    array = volume.array[0]
    assert found.forward(array) is array
    assert found.inverse(array) is array


def test_a_method_that_is_given_is_taken_and_nothing_said() -> None:
    plain = find_stabilisation(MR, "none")
    assert plain == Stabilisation("none", (None,))
    # Whatever the header says: of an unknown kind, or ultrasound.
    for modality in ("", "US", "MR"):
        found = find_stabilisation(replace(MR, modality=modality), "rician")
        assert found.why == ""
        assert found.stabilisers[0].sigma == pytest.approx(20, rel=0.04)  # type: ignore[union-attr]
    found = find_stabilisation(replace(XRAY, modality="OT"), "anscombe")
    assert found.stabilisers[0].gain == pytest.approx(4, rel=0.15)  # type: ignore[union-attr]


def test_sigma_and_coils_may_be_told() -> None:
    told = find_stabilisation(MR, "auto", sigma=17.0, coils=3)
    assert told.stabilisers == (RicianStabilisation(17.0, 3),)
    assert "the sigma given, 17" in told.why
    # Nothing need be estimated then: of such an image it could not be.
    tiny = Volume.from_array(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert find_stabilisation(tiny, "rician", sigma=2.0).stabilisers == (RicianStabilisation(2.0),)


def test_above_the_floor_stabilised_noise_is_gaussian() -> None:
    from scipy.stats import skew

    found = find_stabilisation(MR, "rician", sigma=20.0)
    floor = found.floor()
    assert floor is not None
    noise = np.random.default_rng(0).normal(0, 20, (2, 200_000))
    told = {snr: found.forward(np.hypot(20 * snr + noise[0], noise[1])) for snr in (1, 2, 3)}
    assert told[1].mean() < floor < told[3].mean()
    assert told[2].mean() == pytest.approx(floor, abs=0.01)
    assert abs(skew(told[3])) < 0.1 < 0.3 < abs(skew(told[1]))
    assert find_stabilisation(MR, "none").floor() is None
    assert find_stabilisation(XRAY, "anscombe").floor() is None


def test_every_channel_has_its_own_sigma_and_blank_ones_none() -> None:
    one = head(48, 48, 32)
    array = np.stack([np.zeros_like(one), one, np.full_like(one, np.nan), 3 * one])
    found = find_stabilisation(Volume.from_array(array), "auto")
    first, second = found.stabilisers[1], found.stabilisers[3]
    assert (found.stabilisers[0], found.stabilisers[2]) == (None, None)
    assert first.sigma == pytest.approx(20, rel=0.04)  # type: ignore[union-attr]
    assert second.sigma == pytest.approx(3 * first.sigma, rel=0.01)  # type: ignore[union-attr]
    assert "in the first of 2 channels" in found.noise
    np.testing.assert_array_equal(found.forward(array[0], 0), array[0])
    np.testing.assert_array_equal(found.forward(array[1], 1), first.forward(one))  # type: ignore[union-attr]


def test_a_series_has_one_sigma() -> None:
    draws = np.random.default_rng(0)
    signal = np.full((8, 24, 24, 16), 200.0)
    noise = draws.normal(0, 10, (2, *signal.shape))
    array = np.hypot(signal + noise[0], noise[1])
    array[3] = 0
    for way in ("rician", "auto"):
        found = find_stabilisation(Volume.from_array(array, modality="MR"), way)
        assert found.stabilisers[3] is None  # a volume that was dropped
        others = {each for k, each in enumerate(found.stabilisers) if k != 3}
        assert len(others) == 1
        assert others.pop().sigma == pytest.approx(10, rel=0.1)  # type: ignore[union-attr]


def test_holes_and_padding_say_nothing() -> None:
    array, padding = head(48, 48, 32)[None], np.zeros((1, 48, 48, 32), dtype=bool)
    array[0, 20:24, 20:24, 20], array[0, :3], padding[0, :3] = np.nan, -2000, True
    found = find_stabilisation(Volume(array, np.eye(4), padding=padding), "rician")
    assert found.stabilisers[0].sigma == pytest.approx(20, rel=0.04)  # type: ignore[union-attr]


def test_a_sigma_that_is_said_is_taken_for_noise_that_seems_to_have_none() -> None:
    assert find_stabilisation(XRAY, "auto").method == "anscombe"
    found = find_stabilisation(XRAY, "auto", sigma=3.0)
    assert found.method == "none"
    assert "looks like that of counted photons" in found.why


def test_what_cannot_be_stabilised() -> None:
    negative = Volume.from_array(head(48, 48, 32) - 50)
    with pytest.raises(ParameterError, match="negative values, so it is no magnitude"):
        find_stabilisation(negative, "rician", sigma=3.0)
    even = Volume.from_array(100 + 9 * DRAWS.standard_normal((128, 128)))
    with pytest.raises(ParameterError, match="not seen to grow in a line"):
        find_stabilisation(even, "anscombe")
    with pytest.raises(ParameterError, match="no one sigma describes it"):
        find_stabilisation(XRAY, "anscombe", sigma=3.0)
    with pytest.raises(ParameterError, match="finite and above 0"):
        find_stabilisation(MR, "rician", sigma=0.0)
    with pytest.raises(ParameterError, match="no noise to be seen in the scan"):
        find_stabilisation(Volume.from_array(head(48, 48, 32, sigma=0.0)), "rician")
    with pytest.raises(ParameterError, match=r"too small.* So say which stabilisation"):
        find_stabilisation(Volume.from_array(np.eye(3)), "auto")


def test_a_way_that_there_is_not() -> None:
    with pytest.raises(ParameterError, match=r"'ricain' \(did you mean 'rician'\?\); there are:"):
        check_way("ricain")
    with pytest.raises(ParameterError, match="coils is 0"):
        check_way("rician", 0)
