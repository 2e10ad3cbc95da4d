"""meddenoise.data.samples: what every sample promises."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from meddenoise.data import samples
from meddenoise.data.samples import SAMPLES, sample, truth
from meddenoise.data.samples.degrade import CT_DOSE, ct_sigma
from meddenoise.errors import ParameterError

SMALL = (48, 48, 32)
MIDDLE = (80, 80, 64)


@pytest.mark.parametrize("name", SAMPLES)
def test_is_a_centred_float32_volume_of_the_asked_shape(name: str) -> None:
    volume = sample(name, shape=SMALL)
    assert volume.array.dtype == np.float32
    assert volume.shape == SMALL
    assert np.isfinite(volume.array).all()
    middle = volume.affine @ [*((np.array(SMALL) - 1) / 2), 1]
    np.testing.assert_allclose(middle[:3], 0, atol=1e-9)
    assert (volume.modality, volume.units) == (
        ("MR", "") if name.startswith("head") else ("CT", "HU")
    )


@pytest.mark.parametrize("name", SAMPLES)
def test_the_seed_decides_every_voxel(name: str) -> None:
    first = sample(name, 3, SMALL)
    samples._made.cache_clear()
    again = sample(name, 3, SMALL)
    np.testing.assert_array_equal(first.array, again.array)
    other = sample(name, 4, SMALL)
    assert np.mean(first.array != other.array) > 0.3


def test_another_process_makes_the_same_voxels() -> None:
    code = (
        "import sys; from meddenoise.data.samples import sample;"
        "sys.stdout.buffer.write(sample('abdomen-noisy', 2, (32, 32, 24)).array.tobytes())"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert made == sample("abdomen-noisy", 2, (32, 32, 24)).array.tobytes()


@pytest.mark.parametrize("name", SAMPLES)
def test_truth_is_the_clean_sample(name: str) -> None:
    known = truth(name, 5, SMALL)
    clean = sample(name.removesuffix("-noisy"), 5, SMALL)
    assert known is not None
    np.testing.assert_array_equal(known.array, clean.array)
    np.testing.assert_array_equal(known.affine, clean.affine)
    known.check_same_grid(sample(name, 5, SMALL))


def test_what_a_caller_does_to_a_sample_stays_with_the_caller() -> None:
    mine = sample("head", shape=SMALL)
    before = mine.array.copy()
    mine.array[:] = -1
    np.testing.assert_array_equal(sample("head", shape=SMALL).array, before)


@pytest.mark.parametrize("name", ["head", "abdomen"])
def test_the_same_subject_at_another_resolution(name: str) -> None:
    """Averaged down, a finer sample is the coarser one, save for edges and texture."""
    coarse = sample(name, 1, (32, 32, 32)).array[0]
    fine = sample(name, 1, (64, 64, 64)).array[0]
    averaged = fine.reshape(32, 2, 32, 2, 32, 2).mean(axis=(1, 3, 5))
    assert np.corrcoef(coarse.ravel(), averaged.ravel())[0, 1] > 0.95


def test_head_noise_is_gaussian_of_ten_percent() -> None:
    noisy = sample("head-noisy", shape=MIDDLE).array.astype(np.float64)
    clean = sample("head", shape=MIDDLE).array.astype(np.float64)
    sigma = 0.10 * np.percentile(clean, 99.9)
    for part in (clean == 0, clean > 6 * sigma):
        assert part.sum() > 20_000
        assert (noisy - clean)[part].std() == pytest.approx(sigma, rel=0.02)
        assert abs((noisy - clean)[part].mean()) < 0.02 * sigma


def test_abdomen_noise_follows_attenuation() -> None:
    clean = sample("abdomen", shape=MIDDLE).array
    residual = (sample("abdomen-noisy", shape=MIDDLE).array - clean).astype(np.float64)
    for low, high in ((-1001, -999), (-120, -80), (40, 70), (100, 130)):
        tissue = (clean > low) & (clean < high)
        nominal = float(np.sqrt(np.mean(ct_sigma(clean[tissue], CT_DOSE) ** 2)))
        assert residual[tissue].std() == pytest.approx(nominal, rel=0.05)
    soft = (clean > 0) & (clean < 130)
    assert 30 < residual[soft].std() < 40
    assert abs(residual[soft].mean()) < 4


def test_a_noisy_sample_says_so_in_its_history() -> None:
    assert sample("head", shape=SMALL).history == ()
    assert "Gaussian" in sample("head-noisy", shape=SMALL).history[0]
    assert "dose fraction 0.031" in sample("abdomen-noisy", shape=SMALL).history[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("haed",), "no sample 'haed'; there are: head, head-noisy"),
        (("head", -1), "whole number from 0 on, not -1"),
        (("head", 0.5), "whole number from 0 on"),
        (("head", True), "whole number from 0 on"),
        (("head", 0, (48, 48)), "three whole numbers"),
        (("head", 0, (48, 48, 8)), "at least 16"),
        (("head", 0, (48, 48, 31.5)), "three whole numbers"),
    ],
)
def test_impossible_arguments_are_refused(arguments: tuple, message: str) -> None:
    for function in (sample, truth):
        with pytest.raises(ParameterError, match=message):
            function(*arguments)


def test_neither_torch_nor_monai_is_needed() -> None:
    code = (
        "import sys, types; import meddenoise;"
        # The room's own package may import more; the samples stand by themselves.
        "room = types.ModuleType('meddenoise.data');"
        "room.__path__ = [meddenoise.__path__[0] + '/data'];"
        "sys.modules['meddenoise.data'] = room;"
        "import meddenoise.data.samples;"
        "print([m for m in ('torch', 'monai', 'SimpleITK') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
