from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from meddenoise.errors import GeometryError, ParameterError
from meddenoise.evaluation import bias, compare, default_data_range, mae, psnr, rmse, ssim
from meddenoise.volume import Volume


def pair(*, channels: int = 1, units: str = "HU") -> tuple[Volume, Volume]:
    rng = np.random.default_rng(0)
    reference = rng.uniform(-1000, 1500, (channels, 20, 24, 16)).astype(np.float32)
    image = (reference + 30 * rng.standard_normal(reference.shape)).astype(np.float32)
    return Volume(reference, np.eye(4), units=units), Volume(image, np.eye(4), units=units)


def test_values_and_conventions() -> None:
    reference, image = pair()
    found = compare(reference, image, data_range=4000)
    assert found.psnr == pytest.approx(
        peak_signal_noise_ratio(reference.array, image.array, data_range=4000), rel=1e-6
    )
    assert found.ssim == ssim(reference.array[0], image.array[0], data_range=4000).value
    assert found.rmse == pytest.approx(30, rel=0.03)
    assert found.mae == pytest.approx(30 * math.sqrt(2 / math.pi), rel=0.03)
    assert (found.data_range, found.data_range_source) == (4000, "given")
    assert (found.dimensions, found.voxels, found.excluded) == (3, 20 * 24 * 16, 0)
    assert found.mask_voxels is None
    assert found.units == "HU"


def test_arrays_do_as_well() -> None:
    reference, image = pair()
    by_array = compare(reference.array[0], image.array[0], data_range=4000)
    assert by_array.psnr == compare(reference, image, data_range=4000).psnr
    flat = compare(reference.array[0, :, :, 0], image.array[0, :, :, 0], data_range=4000)
    assert flat.dimensions == 2
    assert flat.ssim_convention.startswith("2-D, Gaussian")


def test_the_default_range_is_the_reference_s_alone() -> None:
    reference, image = pair()
    low, high = np.percentile(reference.array, [0.1, 99.9])
    found = compare(reference, image)
    assert found.data_range == pytest.approx(high - low)
    assert "of the reference" in found.data_range_source
    bright = image.with_array(image.array * 50)
    assert compare(reference, bright).data_range == found.data_range


def test_a_stray_voxel_or_padding_does_not_change_the_range() -> None:
    array = np.linspace(0, 1000, 27000, dtype=np.float32).reshape(1, 30, 30, 30)
    plain = default_data_range(Volume(array, np.eye(4)))
    stray = array.copy()
    stray[0, 0, 0, 0] = 1e7
    assert default_data_range(Volume(stray, np.eye(4))) == pytest.approx(plain, rel=1e-3)
    padded = array.copy()
    padded[0, :3] = -3024
    volume = Volume(padded, np.eye(4), padding=padded == -3024)
    assert default_data_range(volume) == pytest.approx(default_data_range(array[:, 3:]), rel=1e-3)


def test_what_is_masked_or_padding_in_a_mask_or_label_map_does_not_count() -> None:
    reference, image = pair()
    inside = np.zeros(reference.shape, dtype=bool)
    inside[6:14, 6:14, 6:10] = True
    masked = np.ma.masked_array(np.ones(inside.shape, dtype=np.uint8), ~inside)
    padded = Volume(masked.data[None], np.eye(4), padding=~inside[None])
    expected = compare(reference, image, mask=inside, labels=inside.astype(int))
    for given in (masked, padded):
        found = compare(reference, image, mask=given, labels=given)
        assert (found.rmse, found.voxels) == (expected.rmse, expected.voxels)
        assert found.regions == expected.regions


def test_a_window_clips_both_and_is_the_range() -> None:
    reference, image = pair()
    found = compare(reference, image, window=(40, 400))
    clipped = [np.clip(v.array, -160, 240) for v in (reference, image)]
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(*clipped, data_range=400), rel=1e-6)
    assert (found.window, found.data_range) == ((40.0, 400.0), 400.0)
    assert found.rmse == pytest.approx(np.sqrt(np.mean((clipped[0] - clipped[1]) ** 2)), rel=1e-5)


@pytest.mark.parametrize("kind", ["array", "channels first", "volume"])
def test_a_mask(kind: str) -> None:
    reference, image = pair(channels=2)
    inside = np.zeros(reference.shape, dtype=np.uint8)
    inside[6:14, 6:14, 6:10] = 3
    mask = {
        "array": inside,
        "channels first": inside[None],
        "volume": Volume(inside[None], np.eye(4)),
    }[kind]
    found = compare(reference, image, mask=mask, data_range=2500)
    expected = reference.array[:, inside > 0] - image.array[:, inside > 0]
    assert found.mae == pytest.approx(np.abs(expected).mean(), rel=1e-5)
    assert found.voxels == found.mask_voxels == 2 * 8 * 8 * 4
    assert found.mask_fraction == pytest.approx(8 * 8 * 4 / (20 * 24 * 16))


def test_what_was_not_measured_is_left_out_and_counted() -> None:
    reference, image = pair()
    holed = image.array.copy()
    holed[0, 0, 0, :3] = [np.nan, np.inf, 1e9]
    padding = np.zeros(holed.shape, dtype=bool)
    padding[0, 0, 0, 2] = True
    found = compare(reference, Volume(holed, np.eye(4), padding=padding))
    assert found.excluded == 3
    assert found.voxels == 20 * 24 * 16 - 3
    assert found.rmse == pytest.approx(30, rel=0.03)
    assert 0 < found.ssim < 1


def test_channels_are_averaged() -> None:
    reference, image = pair(channels=2)
    both = compare(reference, image, data_range=2500)
    one, other = (
        compare(reference.array[c], image.array[c], data_range=2500).ssim for c in range(2)
    )
    assert both.ssim == pytest.approx((one + other) / 2)


def test_identical_images_fit_json() -> None:
    reference, _ = pair()
    found = compare(reference, reference)
    assert found.psnr == math.inf
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["psnr"] is None
    assert plain["notes"] == {"psnr": "infinite: the images are identical"}
    assert plain["ssim"] == pytest.approx(1)


def test_an_image_too_small_for_ssim_has_the_rest() -> None:
    reference, image = pair()
    found = compare(reference.array[0, :8, :8], image.array[0, :8, :8], data_range=2500)
    assert math.isnan(found.ssim)
    assert found.rmse == pytest.approx(30, rel=0.1)
    plain = found.as_dict()
    assert plain["ssim"] is None
    assert "at least 11 voxels" in plain["notes"]["ssim"]
    assert plain["notes"]["ssim"] == "SSIM needs at least 11 voxels along two axes"
    json.dumps(plain, allow_nan=False)


def test_grids_that_do_not_match() -> None:
    reference, image = pair()
    moved = Volume(image.array, np.diag([1, 1, 1.5, 1]))
    with pytest.raises(GeometryError, match="the reference and the image lie up to"):
        compare(reference, moved)
    with pytest.raises(GeometryError, match="shape"):
        compare(reference, Volume(image.array[:, 1:], np.eye(4)))
    with pytest.raises(GeometryError, match="the mask"):
        compare(reference, image, mask=moved)
    with pytest.raises(ParameterError, match="must be the same"):
        compare(reference.array[0], image.array[0, 1:])


def test_what_cannot_be_compared() -> None:
    reference, image = pair()
    flat = reference.with_array(np.full_like(reference.array, 7))
    with pytest.raises(ParameterError, match=r"nearly everywhere 7.*give data_range"):
        compare(flat, image)
    assert compare(flat, image, data_range=100).data_range == 100
    with pytest.raises(ParameterError, match="mask is empty"):
        compare(reference, image, mask=np.zeros(reference.shape))
    with pytest.raises(ParameterError, match="data_range is -1"):
        compare(reference, image, data_range=-1)
    with pytest.raises(ParameterError, match=r"data_range is .*e\+30\d.* at most 1e\+150; rescale"):
        compare(*(1e303 * scan.array.astype(np.float64) for scan in (reference, image)))
    with pytest.raises(ParameterError, match="width above 0"):
        compare(reference, image, window=(40, 0))
    with pytest.raises(ParameterError, match="either window or data_range"):
        compare(reference, image, window=(40, 400), data_range=400)
    with pytest.raises(ParameterError, match="finite in both"):
        compare(reference, image.with_array(np.full_like(image.array, np.nan)))
    with pytest.raises(ParameterError, match="mask has shape"):
        compare(reference, image, mask=np.ones((3, 3, 3)))


def test_the_figures_of_a_known_crop(shared_data: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    head = np.asarray(nibabel.load(shared_data / "mri/cit168_t1.nii.gz").dataobj, np.float32)
    head = head.clip(0) / np.percentile(head, 99.9)
    middle = zip(head.shape, (128, 128, 64), strict=True)
    crop = head[tuple(slice((n - k) // 2, (n - k) // 2 + k) for n, k in middle)]
    noisy = crop + 0.1 * np.random.default_rng(0).standard_normal(crop.shape)
    found = compare(crop, noisy, data_range=1)
    assert found.psnr == pytest.approx(19.99, abs=0.01)


def test_all_metrics_of_a_volume_fit_json(scene: Callable[..., Any]) -> None:
    clean, noisy = (image[None].astype(np.float32) for image in scene((48, 46, 24)))
    found = compare(Volume(clean, np.eye(4)), Volume(noisy, np.eye(4)), extended=True)
    assert found.bias == pytest.approx(0, abs=0.2)
    values = {name: one.value for name, one in found.extra.items()}
    for name in ("ms_ssim", "hfen", "gmsd", "vif", "error_nps_mean", "edge_width"):
        assert values[name] is not None
        assert found.extra[name].convention
    assert values["noise_left"] == pytest.approx(12, rel=0.1)
    assert values["error_nps_sigma"] == pytest.approx(12, rel=0.05)
    assert abs(values["error_structure"]) < 0.1
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["extra"]["hfen"]["value"] == values["hfen"]
    assert set(told["extra"]["hfen"]) == {"value", "unit", "convention"}
    assert compare(clean, noisy).extra == {}


def test_what_is_undefined_has_a_reason_and_no_value() -> None:
    reference, image = pair()
    found = compare(reference, image, extended=True, data_range=2500)
    vif = found.as_dict()["extra"]["vif"]
    assert vif["value"] is None
    assert "at least 41 x 41" in vif["reason"]
    same = compare(reference, reference, extended=True).as_dict()["extra"]
    assert same["hfen"]["value"] == 0
    assert same["error_nps_peak"]["value"] is None
    assert same["error_structure"]["value"] is None
    json.dumps(same, allow_nan=False)


def test_channels_of_all_metrics_are_averaged(scene: Callable[..., Any]) -> None:
    clean, noisy = scene((40, 36, 12))
    both = [np.stack([image, image]) for image in (clean, noisy)]
    both[1][1] = clean + 2 * (noisy - clean)
    found = compare(*both, data_range=255, extended=True).extra["hfen"]
    parts = [compare(clean, b, data_range=255, extended=True).extra["hfen"] for b in both[1]]
    assert found.value == pytest.approx((parts[0].value + parts[1].value) / 2)
    assert "mean of 2 volumes" in found.convention


def test_regions() -> None:
    reference = np.full((1, 20, 20, 20), 100, np.float32)
    reference[0, :5] = 40
    draws = np.random.default_rng(0)
    image = reference + draws.normal(0, 2, reference.shape).astype(np.float32)
    image[0, :5] += 30
    labels = np.full((20, 20, 20), 2)
    labels[:5] = 1
    volumes = [Volume(a, np.eye(4), units="HU") for a in (reference, image)]
    found = compare(*volumes, labels=Volume(labels[None], np.eye(4)), data_range=1000)
    small, large = found.regions
    assert small.bias.bias == pytest.approx(30, abs=0.2)
    assert small.background == 2
    assert small.contrast_recovery.value == pytest.approx(0.5, abs=0.01)
    assert small.cnr.value == pytest.approx(15, rel=0.05)
    assert (large.background, large.cnr.value) == (None, None)
    assert found.as_dict()["regions"][1]["cnr"]["reason"] == "it is the background itself"
    with pytest.raises(ParameterError, match="label map has shape"):
        compare(*volumes, labels=labels[1:], data_range=1000)
    with pytest.raises(GeometryError, match="the label map"):
        compare(*volumes, labels=Volume(labels[None], np.diag([2, 1, 1, 1])), data_range=1000)


def test_units_and_modalities_that_differ() -> None:
    reference, image = pair()
    with pytest.raises(ParameterError, match="units differ: HU in the reference and SUV"):
        compare(reference, Volume(image.array, np.eye(4), units="SUV"))
    one = Volume(reference.array, np.eye(4), modality="MR")
    with pytest.raises(ParameterError, match="modalities differ: MR in the reference and CT"):
        compare(one, Volume(image.array, np.eye(4), modality="CT"))
    assert compare(one, Volume(image.array, np.eye(4))).rmse == pytest.approx(30, rel=0.03)


def test_each_volume_has_scores_of_its_own() -> None:
    draws = np.random.default_rng(0)
    clean = draws.uniform(0, 100, (3, 16, 14, 12)).astype(np.float32)
    noisy = clean.copy()
    for number, sigma in enumerate((2, 8)):
        noisy[number] += draws.normal(0, sigma, clean.shape[1:])
    found = compare(clean, noisy, data_range=100)
    assert [one.number for one in found.volumes] == [1, 2, 3]
    assert [one.rmse for one in found.volumes] == pytest.approx([2, 8, 0], rel=0.05)
    # By themselves they have the same scores, by the same range.
    alone = compare(clean[1], noisy[1], data_range=100)
    assert found.volumes[1].psnr == alone.psnr
    assert found.volumes[1].ssim == alone.ssim
    assert alone.volumes == ()
    assert found.ssim == pytest.approx(np.mean([one.ssim for one in found.volumes]))
    assert found.rmse == pytest.approx(np.sqrt(np.mean([one.rmse**2 for one in found.volumes])))
    whole = {"rmse": rmse, "mae": mae, "bias": bias}
    assert {name: getattr(found, name) for name in whole} == pytest.approx(
        {name: score(clean, noisy) for name, score in whole.items()}, rel=1e-9
    )
    assert found.psnr == pytest.approx(psnr(clean, noisy, data_range=100))
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["volumes"][2]["psnr"] is None
    mean = told["mean_over_volumes"]["psnr"]
    assert mean["value"] == pytest.approx((found.volumes[0].psnr + alone.psnr) / 2)
    assert "volume 3 has none" in mean["convention"]
    assert "volumes" not in alone.as_dict()


def test_regions_are_those_within_the_mask() -> None:
    reference, image = pair()
    labels, mask = np.ones(reference.shape, dtype=int), np.zeros(reference.shape, dtype=bool)
    labels[10:], mask[:, :12] = 2, True
    image.array[:, :, 12:] += 500
    found = compare(reference, image, labels=labels, mask=mask)
    assert [region.bias.voxels for region in found.regions] == [10 * 12 * 16] * 2
    assert all(abs(region.bias.bias) < 5 for region in found.regions)
    mask[:] = False
    mask[0, 0, 0], labels[0, 0, 0] = True, 0
    with pytest.raises(ParameterError, match="leaves no voxel of the label map"):
        compare(reference, image, labels=labels, mask=mask)


def test_a_label_of_which_nothing_counts_is_told() -> None:
    reference = np.random.default_rng(0).normal(100, 10, (20, 20, 20))
    image, labels = reference + 1, np.ones(reference.shape, dtype=int)
    labels[10:], labels[:2] = 2, 5
    image[10:] = np.nan
    mask = np.ones(reference.shape, dtype=bool)
    mask[:3] = False
    with pytest.warns(UserWarning, match=r"Of label 2, 5 no voxel is finite in both images"):
        found = compare(reference, image, labels=labels, mask=mask)
    assert [region.bias.label for region in found.regions] == [1]
