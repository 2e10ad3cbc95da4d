from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import InputError, ParameterError
from meddenoise.filters import register_filter, registry
from meddenoise.workflows.lesions import NOISY, REFERENCE, check_lesions


@pytest.fixture
def tissue() -> np.ndarray:
    """Smooth tissue about 300, without noise."""
    x = np.arange(40)
    waves = np.sin(x / 9)[:, None, None] * np.cos(x / 11)[None, :, None]
    return (300 + 10 * waves * np.ones(20)).astype(np.float32)


@pytest.fixture
def eraser(monkeypatch: pytest.MonkeyPatch) -> str:
    """A method that gives every voxel about 300: hardly any noise, and no lesion."""
    monkeypatch.setattr(registry._FILTERS, "_parts", dict(registry._FILTERS._parts))

    @register_filter("test_eraser")
    def erase(array: np.ndarray, *, spacing: Any, sigma_noise: Any = None) -> np.ndarray:
        draws = np.random.default_rng(0).normal(0, 0.1, array.shape)
        return (np.full_like(array, 300) + draws).astype(array.dtype)

    return "test_eraser"


KIND: dict[str, Any] = {"sizes": [4], "contrasts": [12], "number": 14}


def by_method(found: Any) -> dict[str, Any]:
    return {score.method: score for score in found.scores}


def test_what_erases_is_told_from_what_keeps(tissue: np.ndarray, eraser: str) -> None:
    found = by_method(
        check_lesions(
            tissue,
            methods=[eraser, "identity"],
            noise="gaussian",
            noise_options={"sigma": 12},
            **KIND,
        )
    )
    assert list(found) == [NOISY, REFERENCE, eraser, "identity"]
    assert found[NOISY].recovery.value == pytest.approx(1, abs=1e-4)
    assert found["identity"].recovery.value == pytest.approx(1, abs=1e-4)
    assert found["identity"].beyond_noisy.value == 0
    assert found[eraser].recovery.value == pytest.approx(0, abs=0.01)
    assert found[eraser].detectability.auc.value < 0.8
    assert found[eraser].beyond_noisy.value < 0
    assert found[eraser].beyond_reference.value < found[eraser].beyond_noisy.value
    # A mean over neighbours takes contrast, and much more of the noise.
    assert found[REFERENCE].recovery.value < 0.8
    assert found[REFERENCE].beyond_noisy.value > 0
    assert found[NOISY].beyond_noisy is None
    assert found[REFERENCE].beyond_reference is None


def test_a_scan_with_noise_of_its_own(tissue: np.ndarray) -> None:
    noisy = tissue + np.random.default_rng(0).normal(0, 12, tissue.shape).astype(np.float32)
    found = check_lesions(noisy, methods=["median"], seed=3, **KIND)
    again = check_lesions(noisy, methods=["median"], seed=3, **KIND)
    assert found.as_dict() == again.as_dict()
    scores = by_method(found)
    assert 0.2 < scores["median"].recovery.value < 0.95
    assert scores[NOISY].recovery.value == pytest.approx(1, abs=1e-4)
    assert "the scan's own noise" in found.conventions[0]
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["lesions"][2]["method"] == "median"
    assert told["lesions"][2]["d_prime_beyond_noisy"]["low"] is not None


def test_options_of_a_method_are_not_those_of_the_reference(tissue: np.ndarray) -> None:
    noisy = tissue + np.random.default_rng(0).normal(0, 12, tissue.shape).astype(np.float32)
    plain = by_method(check_lesions(noisy, methods=["median"], **KIND))
    found = by_method(check_lesions(noisy, methods=["gaussian"], options={"sigma": 3.0}, **KIND))
    assert list(found) == [NOISY, REFERENCE, "gaussian, sigma 3.0"]
    assert found[REFERENCE].recovery == plain[REFERENCE].recovery
    wide = found["gaussian, sigma 3.0"]
    assert wide.recovery.value < 0.5 * found[REFERENCE].recovery.value
    assert wide.beyond_reference.value < 0
    alone = by_method(check_lesions(noisy, methods=["gaussian"], **KIND))
    assert list(alone) == [NOISY, REFERENCE]


def test_a_picture_a_mask_and_few_lesions(tissue: np.ndarray) -> None:
    draws = np.random.default_rng(0)
    picture = md.Volume.from_array(
        np.tile(tissue[..., 0], (2, 2)) - 300 + draws.normal(0, 5, (80, 80)), units="HU"
    )
    mask = np.zeros((80, 80))
    mask[:40, :30] = 1
    found = check_lesions(picture, methods=["median"], mask=mask, sizes=[4], number=6)
    assert (found.scores[0].contrast, found.units) == (20, "HU")
    assert found.scores[0].detectability is None
    assert "at least 12 patches" in found.scores[0].reason
    assert found.as_dict()["lesions"][0]["d_prime"] is None
    assert "in the mask" in found.conventions[0]


def test_one_volume_of_several(tissue: np.ndarray) -> None:
    scans = np.stack([tissue[::-1], tissue])
    noise: dict[str, Any] = {"noise": "gaussian", "noise_options": {"sigma": 12}}
    found = check_lesions(scans, methods=["median"], volume=2, **noise, **KIND)
    alone = check_lesions(tissue, methods=["median"], **noise, **KIND)
    told, by_itself = found.as_dict(), alone.as_dict()
    assert told["lesions"] == by_itself["lesions"]
    assert (told["volume"], by_itself["volume"]) == (2, None)
    assert any("Volume 2" in sentence for sentence in found.scope.sentences())


def test_what_the_numbers_were_taken_over(tissue: np.ndarray) -> None:
    mask = np.zeros(tissue.shape)
    mask[:20] = 1
    told = check_lesions(
        md.Volume.from_array(tissue, units="AU"), methods=["median"], mask=mask, **KIND
    ).as_dict()
    low, high = np.percentile(tissue, (0.1, 99.9))
    assert told["data_range"] == pytest.approx(high - low)
    assert "of the scan; no number here depends on it" in told["data_range_source"]
    assert (told["window"], told["mask"], told["mask_fraction"]) == (None, "the mask", 0.5)
    assert (told["voxels"], told["dimensions"], told["units"]) == (16_000, 3, "AU")


def test_what_cannot_be_done(tissue: np.ndarray, tmp_path: Path) -> None:
    def refused(match: str, scan: Any = tissue, **options: Any) -> None:
        with pytest.raises(InputError, match=match):
            check_lesions(scan, **{"methods": ["median"], **KIND, **options})

    refused("Which method", methods=[])
    refused("not clear for which", methods=["median", "mean"], options={"size": 3})
    refused("contrast is 'much'", contrasts=["much"])
    refused("percentile, but that is -.*in image units", tissue - 5000, contrasts=["5%"])
    refused("percentile, but that is 0.*in image units", np.minimum(tissue - 300, 0), contrasts=())
    refused("no meaning in HU", md.Volume.from_array(tissue - 300, units="HU"), contrasts=["5%"])
    refused("needs voxels in HU|for CT only", noise="ct_nps", noise_options={"dose": 0.25})
    refused("room for .* lesions", sizes=[18])
    refused("mask is empty", mask=np.zeros(tissue.shape))
    refused("mask has shape", mask=np.zeros((3, 3, 3)))
    refused("has 2: choose one by --volume", np.stack([tissue, tissue]))
    refused("has 2 volumes: --volume is 1 to 2", np.stack([tissue, tissue]), volume=3)
    refused("has 1 volume: leave --volume out", volume=2)
    refused("seed is -1: it must be an integer of at least 0", seed=-1)
    refused("constant", np.ones_like(tissue))
    refused("no finite voxel", np.full_like(tissue, np.nan))
    refused("nothing.nii.gz", tmp_path / "nothing.nii.gz")
    with pytest.raises(ParameterError, match="at least 3"):
        check_lesions(tissue, methods=["median"], number=2)
