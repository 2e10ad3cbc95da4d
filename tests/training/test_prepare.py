from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meddenoise.config import NormaliseConfig, StabiliseConfig
from meddenoise.data import find_cases
from meddenoise.data.draws import Draws
from meddenoise.data.patches import PatchSampler
from meddenoise.errors import GeometryError, InputError
from meddenoise.evaluation.data_range import default_data_range
from meddenoise.io import write
from meddenoise.noise import build_noise, simulate
from meddenoise.noise.level import parse_level
from meddenoise.training import SupervisedTrainer
from meddenoise.training.prepare import Prepared, as_items, prepare
from meddenoise.volume import Volume


def noisy(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


def items(volume: Volume, truth: Volume | None = None, dims: int = 3, **normalise: object) -> list:
    config = NormaliseConfig(**normalise)  # type: ignore[arg-type]
    return as_items([Prepared("a scan", volume, truth)], config, dims)


def test_a_volume_is_one_item_in_its_own_units() -> None:
    array = noisy(4, 5, 6)
    (item,) = items(Volume.from_array(array, spacing=(1, 2, 3)))
    assert np.array_equal(item.image.numpy(), array)
    assert item.spacing == (1, 2, 3)
    assert item.shift == pytest.approx(array.mean(), rel=1e-5)
    assert item.scale == pytest.approx(array.std(), rel=1e-4)
    assert item.reference == pytest.approx(np.percentile(array, 99.9))
    assert item.target is None
    assert item.valid is None


def test_an_array_that_may_not_be_written_to_is_copied() -> None:
    # Torch would warn of it, and share its memory all the same.
    array = noisy(4, 5, 6)
    array.flags.writeable = False
    (item,) = items(Volume.from_array(array))
    assert np.array_equal(item.image.numpy(), array)
    assert not np.shares_memory(item.image.numpy(), array)


def test_the_data_range_is_that_of_evaluation() -> None:
    truth = Volume.from_array(noisy(6, 7, 8, seed=1))
    scan = Volume.from_array(noisy(6, 7, 8) * 3)
    (item,) = items(scan, truth)
    assert item.data_range == pytest.approx(default_data_range(truth), rel=1e-5)
    (item,) = items(scan)
    assert item.data_range == pytest.approx(default_data_range(scan), rel=1e-5)
    drawn = PatchSampler([item], (4, 4, 4)).draw(Draws(0, 0, 2))
    assert drawn.data_range is not None
    assert drawn.data_range.tolist() == pytest.approx([item.data_range] * 2)


def test_stabilised_scans_have_a_range_at_every_level() -> None:
    clean = Volume.from_array(np.linspace(0, 1000, 4096, dtype=np.float32).reshape(16, 16, 16))
    noise = build_noise("rician", sigma=[10, 100])
    scan = Prepared("a scan", simulate(clean, build_noise("rician", sigma=20), seed=0), clean)
    stabilise = StabiliseConfig(method="rician")
    found = as_items([scan], NormaliseConfig(), 3, stabilise=stabilise, drawn=noise)
    batch = PatchSampler(found, (8, 8, 8)).draw(Draws(0, 0, 4))
    fresh = SupervisedTrainer(noise=noise).inject(batch, Draws(0, 0, 4))
    levels = 10 + 90 * Draws(0, 0, 4).uniform("noise level", 1)[:, 0]
    # With a standard deviation of 1, a scan spans as many as fit in its intensities.
    assert fresh.data_range is not None
    assert fresh.data_range.tolist() == pytest.approx((1000 / levels).tolist(), rel=0.1)


def test_a_2d_network_gets_the_slices_of_a_volume() -> None:
    array = noisy(4, 5, 6)
    found = items(Volume.from_array(array, spacing=(1, 2, 3)), dims=2)
    assert len(found) == 6
    assert all(np.array_equal(item.image.numpy(), array[..., k]) for k, item in enumerate(found))
    assert found[0].spacing == (1, 2)
    assert len({item.shift for item in found}) == 1  # of the volume, as at inference


def test_channels_are_items_of_their_own_and_blank_ones_are_left_out() -> None:
    array = noisy(4, 4, 5, 6)
    array[1], array[2] = 0, np.nan
    found = items(Volume.from_array(array))
    assert [item.image.mean().item() for item in found] == pytest.approx(
        [array[0].mean(), array[3].mean()], rel=1e-5
    )


def test_voxels_that_were_not_measured_are_filled_and_marked() -> None:
    array = noisy(4, 5, 6)
    array[0, 0, 0] = np.nan
    (item,) = items(Volume.from_array(array))
    assert item.image[0, 0, 0].item() == pytest.approx(np.nanmean(array), rel=1e-5)
    assert item.valid is not None
    assert not item.valid[0, 0, 0]
    assert item.valid.sum() == 119
    assert item.shift == pytest.approx(np.nanmean(array), rel=1e-5)


def test_where_the_truth_is_unknown_there_is_nothing_to_learn() -> None:
    truth = noisy(4, 5, 6, seed=1)
    truth[1, 1, 1] = np.inf
    (item,) = items(Volume.from_array(noisy(4, 5, 6)), Volume.from_array(truth))
    assert item.target is not None
    assert bool(item.target.isfinite().all())
    assert item.valid is not None
    assert not item.valid[1, 1, 1]
    assert item.valid.sum() == 119


def test_a_channel_whose_truth_is_unknown_everywhere_is_left_out() -> None:
    truth = noisy(2, 4, 5, 6, seed=1)
    truth[0] = np.nan
    volume = Volume.from_array(noisy(2, 4, 5, 6))
    (item,) = items(volume, Volume.from_array(truth))
    assert np.array_equal(item.image.numpy(), volume.array[1])
    with pytest.raises(InputError, match="clean partner of a scan has no finite voxel"):
        items(volume, Volume.from_array(np.full_like(truth, np.nan)))


def test_of_a_long_series_each_volume_is_looked_at_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[int] = []
    valid = Volume.valid.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(
        Volume, "valid", property(lambda self: (looked.append(self.channels), valid(self))[1])
    )
    volume = Volume.from_array(noisy(20, 4, 5, 6))
    items(volume, volume)
    assert sum(looked) <= 5 * 20


def test_the_reference_is_of_the_clean_scan_where_there_is_one() -> None:
    truth = noisy(4, 5, 6, seed=1)
    (item,) = items(Volume.from_array(3 * noisy(4, 5, 6)), Volume.from_array(truth))
    assert item.reference == pytest.approx(np.percentile(truth, 99.9))


def two_volumes() -> Volume:
    """The second a fifth as bright as the first, as with a diffusion weighting."""
    bright = np.random.default_rng(3).uniform(0, 1000, (24, 24, 12)).astype(np.float32)
    return Volume.from_array(np.stack([bright, bright / 5]))


def test_a_dark_volume_of_a_series_has_noise_as_strong_as_the_frozen_one() -> None:
    clean, noise = two_volumes(), build_noise("gaussian", sigma="5%")
    frozen = simulate(clean, noise, seed=0)
    scan = Prepared("a series", frozen, clean)
    found = as_items([scan], NormaliseConfig(), 3, with_sigma=True, sigma=parse_level("5%"))
    sigma = 0.05 * np.percentile(clean.array, 99.9)
    for channel, item in enumerate(found):
        batch = PatchSampler([item], (16, 16, 8)).draw(Draws(0, 0, 4))
        fresh = SupervisedTrainer(noise=noise).inject(batch, Draws(0, 0, 4))
        assert fresh.target is not None
        drawn = (fresh.image - fresh.target) * batch.scale
        assert (frozen.array - clean.array)[channel].std() == pytest.approx(sigma, rel=0.03)
        assert float(drawn.std()) == pytest.approx(sigma, rel=0.03)
        assert item.sigma == pytest.approx(sigma)
        # The loss goes by the intensities of the volume itself.
        own = Volume.from_array(clean.array[channel])
        assert item.data_range == pytest.approx(default_data_range(own), rel=1e-5)


def test_a_dark_volume_is_stabilised_for_the_noise_of_the_whole_series() -> None:
    clean, noise = two_volumes(), build_noise("rician", sigma="5%")
    stabilise = StabiliseConfig(method="rician")
    scan = Prepared("a series", clean, clean)
    found = as_items([scan], NormaliseConfig(), 3, stabilise=stabilise, drawn=noise)
    sigma = 0.05 * np.percentile(clean.array, 99.9)
    for item in found:
        assert item.origin.stabiliser.sigma == pytest.approx(sigma)
        assert item.origin.reference == pytest.approx(np.percentile(clean.array, 99.9))


@pytest.mark.parametrize("value", [7.0, np.nan])
@pytest.mark.parametrize("method", ["standard", "fixed"])
def test_nothing_to_learn_from(value: float, method: str) -> None:
    with pytest.raises(InputError, match=r"a scan is constant, or has no finite voxel"):
        items(Volume.from_array(np.full((4, 4, 4), value)), method=method)


def test_hardly_any_contrast_names_the_scan() -> None:
    array = np.zeros((10, 10, 10))
    array[0, 0, 0] = 1
    with pytest.raises(InputError, match="a scan: The image is constant, or nearly"):
        items(Volume.from_array(array), method="percentile")


@pytest.mark.parametrize("unit", [1e60, -1e60, 1e-60])
@pytest.mark.parametrize("method", ["standard", "fixed"])
def test_values_that_single_precision_does_not_hold(unit: float, method: str) -> None:
    array = unit * np.random.default_rng(0).normal(10, 1, (8, 8, 8))
    with pytest.raises(InputError, match=r"a scan has values from .*e.\d\d to .*float32.*rescale"):
        items(Volume.from_array(array), method=method)


def test_a_partner_that_single_precision_does_not_hold() -> None:
    scan, array = noisy(8, 8, 8), noisy(8, 8, 8).astype(np.float64)
    with pytest.raises(InputError, match=r"clean partner of a scan has values from .*rescale"):
        items(Volume.from_array(scan), Volume.from_array(1e60 * array))
    with pytest.raises(InputError, match=r"a scan has values from .*rescale"):
        items(Volume.from_array(1e200 * array))


def test_an_image_for_a_3d_network() -> None:
    with pytest.raises(InputError, match=r"2-D image and data\.patch has 3 axes"):
        items(Volume.from_array(noisy(4, 5)))


def test_injected_noise_is_frozen_and_the_scan_becomes_the_truth(tmp_path: Path) -> None:
    clean = noisy(6, 6, 6)
    write(Volume.from_array(clean), tmp_path / "a.nii")
    (case,) = find_cases(str(tmp_path / "a.nii"))
    noise = build_noise("gaussian", sigma=5.0)
    one, two = prepare(case, noise, seed=1), prepare(case, noise, seed=1)
    assert np.array_equal(one.volume.array, two.volume.array)
    assert not np.array_equal(one.volume.array, prepare(case, noise, seed=2).volume.array)
    assert one.truth is not None
    assert np.array_equal(one.truth.array[0], clean)
    assert (one.volume.array - clean).std() == pytest.approx(5, rel=0.2)
    assert one.made


def test_a_file_without_noise_is_taken_as_it_is(tmp_path: Path) -> None:
    write(Volume.from_array(noisy(6, 6, 6)), tmp_path / "a.nii")
    (case,) = find_cases(str(tmp_path / "a.nii"))
    ready = prepare(case, None, seed=1)
    assert np.array_equal(ready.volume.array[0], noisy(6, 6, 6))
    assert ready.truth is None
    assert not ready.made


def test_a_target_on_another_grid(tmp_path: Path) -> None:
    write(Volume.from_array(noisy(6, 6, 6)), tmp_path / "a.nii")
    write(Volume.from_array(noisy(6, 6, 6), spacing=(1, 1, 2)), tmp_path / "b.nii")
    (case,) = find_cases(str(tmp_path / "a.nii"), str(tmp_path / "b.nii"))
    with pytest.raises(GeometryError, match=r"a and .*b\.nii.* apart in space"):
        prepare(case, None, seed=0)
