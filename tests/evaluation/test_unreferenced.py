from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.errors import ParameterError
from meddenoise.evaluation.metrics import psnr
from meddenoise.evaluation.unreferenced import without_reference
from meddenoise.volume import Volume


def volume(array: np.ndarray) -> Volume:
    return Volume.from_array(array.astype(np.float32))


@pytest.fixture(scope="module")
def scans() -> dict[str, np.ndarray]:
    """A head-like ball with a core, and two acquisitions with noise of sigma 10."""
    grid = np.meshgrid(*[np.arange(n) - n / 2 for n in (56, 56, 40)], indexing="ij")
    away = np.sqrt(sum(g**2 for g in grid))
    clean = gaussian_filter(np.where(away < 18, 300.0, np.where(away < 12, 100.0, -50.0)), 0.7)
    clean[away < 11] = 150
    draws = np.random.default_rng(0)
    return {
        "clean": clean,
        "noisy": clean + draws.normal(0, 10, clean.shape),
        "repeat": clean + draws.normal(0, 10, clean.shape),
    }


def test_a_result_that_took_noise_only(scans: dict[str, np.ndarray]) -> None:
    good = scans["clean"] + 0.3 * (scans["noisy"] - scans["clean"])
    found = without_reference(volume(good), volume(scans["noisy"]), mask=np.ones(good.shape))
    values = {name: one.value for name, one in found.values.items()}
    assert values["residual_ratio"] == pytest.approx(0.7, abs=0.06)
    assert values["noise_reduction"] == pytest.approx(1 / 0.3, rel=0.1)
    assert values["shift"] == pytest.approx(0, abs=0.1)
    for axis in "xyz":
        assert abs(values[f"residual_correlation_{axis}"]) < 0.03
    assert abs(values["structure"]) < 0.1
    assert values["residual_at_edges"] == pytest.approx(1, abs=0.3)
    assert values["edge_width_after"] == pytest.approx(values["edge_width_before"], rel=0.1)
    assert values["psnr_repeat"] is None
    assert found.values["psnr_repeat"].reason == "there is no repeat"
    assert values["psnr_sure"] is None
    assert "the method is needed" in found.values["psnr_sure"].reason
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["values"]["psnr_sure"]["value"] is None
    assert told["noise"]["model"] == "gaussian"
    assert (told["dimensions"], told["mask"], told["mask_fraction"]) == (3, "the mask", 1)
    assert "of the noisy scan" in " ".join(found.conventions())


def test_a_result_that_took_anatomy_is_seen(scans: dict[str, np.ndarray]) -> None:
    bad = gaussian_filter(scans["noisy"], 1.5)
    found = without_reference(volume(bad), volume(scans["noisy"]))
    values = {name: one.value for name, one in found.values.items()}
    assert values["residual_ratio"] > 1.3
    assert values["structure"] > 0.5
    assert values["residual_at_edges"] > 1.5
    assert values["edge_width_after"] > 1.5 * values["edge_width_before"]


def test_an_offset_is_not_told_as_no_change(scans: dict[str, np.ndarray]) -> None:
    whole = np.rint(scans["noisy"])
    (said,) = without_reference(volume(whole), volume(whole)).findings()
    assert "both images are the same" in said
    (said,) = without_reference(volume(whole - 1024), volume(whole)).findings()
    assert "differ by the same -1024" in said
    assert "both images are the same" not in said
    # Nor is what was done elsewhere.
    half = np.zeros(whole.shape)
    half[:, :, 20:] = 1
    changed = np.where(half, whole, whole / 2)
    (said,) = without_reference(volume(changed), volume(whole), mask=half).findings()
    assert "the same in all voxels looked at" in said


def test_a_repeat_and_a_method_tell_the_psnr(scans: dict[str, np.ndarray]) -> None:
    def method(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, 0.5)

    shown = method(scans["noisy"].astype(np.float32))
    found = without_reference(
        volume(shown),
        volume(scans["noisy"]),
        repeat=volume(scans["repeat"]),
        denoise=method,
        mask=np.ones(shown.shape),
        data_range=400,
    )
    expected = psnr(scans["clean"], shown, data_range=400)
    assert found.values["psnr_repeat"].value == pytest.approx(expected, abs=0.2)
    assert found.values["psnr_sure"].value == pytest.approx(expected, abs=0.5)
    assert (found.data_range, found.data_range_source) == (400, "given")


def test_correlated_noise_has_no_sure_and_says_its_own_correlation(
    scans: dict[str, np.ndarray],
) -> None:
    noise = gaussian_filter(np.random.default_rng(3).standard_normal(scans["clean"].shape), 0.8)
    noisy = scans["clean"] + 10 / noise.std() * noise
    found = without_reference(
        volume(scans["clean"]), volume(noisy), denoise=lambda a: a, mask=np.ones(noisy.shape)
    )
    assert "correlated" in found.values["psnr_sure"].reason
    across = found.values["residual_correlation_x"]
    assert across.value == pytest.approx(0.68, abs=0.05)
    assert "the noise's own 0." in across.convention


def test_nothing_taken_away_and_nothing_to_see(scans: dict[str, np.ndarray]) -> None:
    same = without_reference(volume(scans["noisy"]), volume(scans["noisy"]))
    for name in ("structure", "residual_correlation_x", "residual_nps_peak", "residual_at_edges"):
        assert same.values[name].value is None, name
        assert same.values[name].reason
    assert same.values["residual_sigma"].value == 0
    json.dumps(same.as_dict(), allow_nan=False)
    flat = volume(np.full(scans["clean"].shape, 7.0))
    with pytest.raises(ParameterError, match="no range"):
        without_reference(flat, flat)
    with pytest.raises(ParameterError, match="mask is empty"):
        without_reference(flat, volume(scans["noisy"]), mask=np.zeros(scans["clean"].shape))
    with pytest.raises(ParameterError, match="mask has shape"):
        without_reference(flat, volume(scans["noisy"]), mask=np.ones((3, 3, 3)))


def test_every_volume_of_a_4d_scan_is_looked_at(scans: dict[str, np.ndarray]) -> None:
    clean, noisy = scans["clean"], scans["noisy"]
    good = clean + 0.3 * (noisy - clean)
    bad = gaussian_filter(noisy, 1.5)
    both = volume(np.stack([noisy, noisy]))
    again = volume(np.stack([scans["repeat"]] * 2))
    found = without_reference(volume(np.stack([good, bad])), both, repeat=again, data_range=400)
    apart = [
        without_reference(
            volume(one), volume(noisy), repeat=volume(scans["repeat"]), data_range=400
        )
        for one in (good, bad)
    ]
    assert [one.number for one in found.volumes] == [1, 2]
    for name in ("residual_ratio", "edge_width_after", "psnr_repeat"):
        each = [one.values[name].value for one in apart]
        assert [one.values[name].value for one in found.volumes] == pytest.approx(each)
        assert found.values[name].value == pytest.approx(np.mean(each))
        assert "mean of 2 volumes" in found.values[name].convention
    assert any(said.startswith("1 of 2 volumes (2); of volume 2: ") for said in found.findings())
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert [one["volume"] for one in told["volumes"]] == [1, 2]
    assert "Each of 2 volumes" in " ".join(found.conventions())


def test_a_volume_of_nothing_does_not_spoil_the_others(scans: dict[str, np.ndarray]) -> None:
    noisy = scans["noisy"][:, :, :16]
    holes = volume(np.stack([noisy, np.full(noisy.shape, np.nan)]))
    found = without_reference(holes, holes)
    assert found.volumes[1].values["shift"].value is None
    assert "volume 2 has none (no tissue" in found.values["shift"].convention


def test_what_cannot_be_told_is_not_called_clean(scans: dict[str, np.ndarray]) -> None:
    noisy = volume(scans["noisy"])
    tiny = np.zeros(noisy.shape)
    tiny[20:26, 20:26, 20:26] = 1
    (said,) = without_reference(volume(scans["repeat"]), noisy, mask=tiny).findings()[-1:]
    assert "Nothing of the anatomy" not in said
    nothing = volume(np.full(noisy.shape, np.nan))
    with pytest.raises(ParameterError, match="finite in both the noisy scan and the image"):
        without_reference(nothing, noisy)
    with pytest.raises(ParameterError, match="The noisy scan is nearly everywhere 3"):
        without_reference(noisy, volume(np.full(noisy.shape, 3.0)))


def test_a_mask_has_one_volume_or_as_many(scans: dict[str, np.ndarray]) -> None:
    noisy = Volume(np.stack([scans["noisy"], scans["repeat"], scans["noisy"]]), np.eye(4))
    image = Volume(np.stack([scans["clean"]] * 3), np.eye(4))
    masks = np.ones((3, *scans["clean"].shape), dtype=np.float32)
    masks[1, :20] = 0
    found = without_reference(image, noisy, mask=Volume(masks, np.eye(4)))
    assert len({one.voxels for one in found.volumes}) == 2
    for two in (masks[:2], Volume(masks[:2], np.eye(4))):
        with pytest.raises(ParameterError, match="The mask has shape"):
            without_reference(image, noisy, mask=two)


def test_memory_is_a_few_times_the_scan() -> None:
    draws = np.random.default_rng(0)
    clean = 4000 * gaussian_filter(draws.normal(size=(128, 128, 64)), 4).clip(0)
    clean[30:] += 500
    noisy, denoised = (
        Volume.from_array((clean + draws.normal(0, sigma, clean.shape)).astype(np.float32))
        for sigma in (20, 5)
    )
    without_reference(denoised, noisy)  # imports
    tracemalloc.start()
    try:
        without_reference(denoised, noisy)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 12 times; 26 in double precision.
    assert peak < 16 * noisy.array.nbytes
