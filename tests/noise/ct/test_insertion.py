from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import meddenoise as md
from meddenoise.errors import ParameterError
from meddenoise.noise.ct import ct_insertion, ct_projection, insertion_sigma, measure_noise
from meddenoise.noise.ct.insertion import photons_of
from meddenoise.noise.ct.scan import scanner_for

SIZE, PIXEL = 176, 1.0
SOLID = (PIXEL, PIXEL, 3.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def scan(disc: Callable[..., Tensor]) -> Tensor:
    """Eight slices of a water disc, scanned with 2e5 photons a ray and the Hann kernel."""
    clean = disc(SIZE, PIXEL, 75.0)[..., None].expand(-1, -1, 8)
    return ct_projection(clean, 1.0, spacing=SOLID, photons=2e5, views=180, generator=seeded(5))


def test_the_noise_that_is_inserted_on_a_ray() -> None:
    # e^4 / 1e5 = 5.46e-4 a photon; a quarter of them and 100 photons^2 of electronic noise make a
    # variance of 2.66e-3, of which the scan has 5.76e-4.
    found = insertion_sigma(torch.tensor(4.0), 0.25, 1e5, 10.0)
    assert float(found) == pytest.approx(0.04566, rel=1e-3)
    assert float(found) ** 2 + 5.758e-4 == pytest.approx(2.661e-3, rel=1e-3)


@pytest.mark.parametrize("dose", [0.75, 0.25, 0.05])
@pytest.mark.parametrize("electronic", [0.0, 10.0, 60.0])
def test_with_the_noise_that_is_there_it_makes_that_of_the_lower_dose(
    dose: float, electronic: float
) -> None:
    lines, photons = torch.tensor([0.5, 3.0, 6.0], dtype=torch.float64), 1e6

    def of_a_scan(entering: float) -> Tensor:
        per_photon = lines.exp() / entering
        return per_photon * (1 + electronic**2 * per_photon)

    inserted = insertion_sigma(lines, dose, photons, electronic) ** 2
    assert torch.allclose(of_a_scan(photons) + inserted, of_a_scan(dose * photons), rtol=1e-9)


def test_full_dose_adds_nothing_and_no_photon_does_not_blow_up() -> None:
    assert float(insertion_sigma(torch.tensor(4.0), 1.0, 1e5, 10.0)) == 0.0
    assert float(insertion_sigma(torch.tensor(300.0), 0.1, 1e5, 10.0)) == 2.0


def test_a_scan_tells_how_many_photons_it_had(scan: Tensor) -> None:
    hu = scan.movedim(-1, 0)
    noise = measure_noise(hu.numpy(), PIXEL)
    how = {"beam": "parallel", "views": 180, "source_mm": 595.0, "bowtie_mm": 0.0}
    scanner = scanner_for((SIZE, SIZE), PIXEL, noise.kernel, mu_water=0.0192, **how)
    found = photons_of(scanner, scanner.lines(hu), noise, 10.0, 3.0)
    assert found.shape == (8,)
    np.testing.assert_allclose(found, 2e5, rtol=0.15)


@pytest.mark.parametrize("dose", [0.5, 0.1])
def test_by_itself_it_brings_the_scan_to_the_lower_dose(
    dose: float, scan: Tensor, disc: Callable[..., Tensor], distance: Callable[..., Tensor]
) -> None:
    low = ct_insertion(scan, dose, spacing=SOLID, views=180, generator=seeded())
    clean = disc(SIZE, PIXEL, 75.0)
    real = ct_projection(
        clean[..., None].expand(-1, -1, 8), dose, spacing=SOLID, photons=2e5, views=180,
        generator=seeded(9),
    )  # fmt: skip
    inside = distance(SIZE, PIXEL) < 65
    # Hardly any electronic noise here: 10 against hundreds of photons.
    ratio = (low - clean[..., None])[inside].std() / (real - clean[..., None])[inside].std()
    assert float(ratio) == pytest.approx(1, abs=0.07)


def test_the_mean_is_the_scan_itself(scan: Tensor, distance: Callable[..., Tensor]) -> None:
    one = scan[..., :1].expand(-1, -1, 40)
    added = ct_insertion(one, 0.25, spacing=SOLID, photons=2e5, kernel="hann", views=60) - one
    away = distance(SIZE, PIXEL)
    for region in (away < 20, away < 70, away > 80):
        assert abs(float(added[region].mean())) < 2.0
    assert float(added.std()) > 10


def test_given_photons_and_kernel_nothing_is_measured(disc: Callable[..., Tensor]) -> None:
    # Lung, of which there is nothing to measure on.
    lung = disc(96, 2.5, 100.0, -800.0)
    how = {"spacing": (2.5, 2.5), "photons": 1e4, "kernel": "hann", "views": 60}
    noise = [ct_insertion(lung, d, generator=seeded(), **how) - lung for d in (0.5, 0.2)]
    # sqrt((1 - a) / a) is 1 and 2.
    assert float(noise[1].std() / noise[0].std()) == pytest.approx(2, rel=0.03)
    with pytest.raises(ParameterError, match=r"Pixels of 2.5 mm are too large.*kernel by name"):
        ct_insertion(lung, 0.5, spacing=(2.5, 2.5))
    with pytest.raises(ParameterError, match=r"cannot be measured.*0 patches of 24 mm.*photons"):
        ct_insertion(lung, 0.5, spacing=(1.1, 1.1))


def test_a_scan_without_noise_gets_none_said_plainly(disc: Callable[..., Tensor]) -> None:
    with pytest.raises(ParameterError, match="own noise cannot be measured"):
        ct_insertion(torch.zeros(160, 160), 0.5, spacing=(1.0, 1.0))
    hu = disc(SIZE, PIXEL, 75.0)
    same = ct_insertion(hu + 0.01 * torch.randn(hu.shape, generator=seeded()), 0.5, spacing=(1, 1))
    assert float((same - hu)[40:130, 40:130].std()) < 0.5


def test_a_real_scan_by_its_own_noise(shared_data: Path) -> None:
    place = shared_data / "dicom" / "ct_pelvis_soft"
    if not place.is_dir():
        pytest.skip("the scan of a thigh is not at hand")
    volume = md.read(place)
    # A stretch of muscle, of a scan whose first slices are a knee with hardly any.
    few = md.Volume(volume.array[..., 55:60], volume.affine, units="HU")
    low = md.simulate(few, "ct_insertion", dose=0.25, views=360)
    own = measure_noise(np.where(few.valid[0], few.array[0], -1000).transpose(2, 0, 1), 0.976562)
    added = np.where(few.valid[0], low.array[0] - few.array[0], 0)
    flat = np.array([added[x - 8 : x + 8, y - 8 : y + 8, k].std() for k, x, y in own.where])
    # sqrt(1 / 0.25 - 1), and what little electronics add.
    assert 1.6 < float(np.median(flat / np.sqrt(own.variance))) < 2.1
    assert abs(float(added.mean())) < 0.5


def test_replayed_and_untouched(scan: Tensor) -> None:
    few, kept = scan[..., :2], scan[..., :2].clone()
    once, again, other = (
        ct_insertion(few, 0.5, spacing=SOLID, views=60, generator=seeded(s)) for s in (1, 1, 2)
    )
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(few, kept)
    assert math.isfinite(float(once.sum()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dose": 1.5}, "dose is 1.5.*at most 1.*fraction of the scan's dose"),
        ({"photons": -1.0}, "photons is -1.*above 0.*photons per ray"),
        ({"electronic": -1.0}, "electronic is -1.*standard deviation in photons"),
        ({"kernel": "sharp"}, "kernel is 'sharp'.*'measured'"),
        ({"spacing": (0.7, 0.7)}, "'ct_insertion' needs whole axial slices.*67 x 67 mm"),
    ],
)
def test_impossible_parameters(arguments: dict, message: str) -> None:
    given = {"dose": 0.5, "spacing": (2.0, 2.0), "photons": 1e5, "kernel": "hann", **arguments}
    with pytest.raises(ParameterError, match=message):
        ct_insertion(torch.zeros(96, 96), **given)
