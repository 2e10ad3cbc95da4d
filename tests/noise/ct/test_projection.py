from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from meddenoise.errors import ConfigError, ParameterError
from meddenoise.noise import build_noise, simulate
from meddenoise.noise.ct import ct_projection, noisy_line_integrals
from meddenoise.noise.ct.kernels import named_kernel, ramp_power
from meddenoise.volume import Volume

MU = 0.0192
SIZE, PIXEL = 96, 2.5
FLAT, SOLID = (PIXEL, PIXEL), (PIXEL, PIXEL, 5.0)
# Wide of the mark of starvation, and quick.
SCAN = {"photons": 1e5, "electronic": 10.0, "views": 180}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_of(hu: Tensor, slices: int, dose: float = 1.0, **how: object) -> Tensor:
    """``(S, N, N)``: the noise of as many scans of one slice."""
    many = hu[:, :, None].expand(-1, -1, slices)
    noisy = ct_projection(many, dose, spacing=SOLID, generator=seeded(), **{**SCAN, **how})
    return (noisy - many).movedim(-1, 0)


def test_noise_on_a_ray_has_the_variance_of_its_photons() -> None:
    photons, electronic = 1e5, 30.0
    for p in (0.0, 3.0, 5.0):
        lines = torch.full((300_000,), p)
        noisy = noisy_line_integrals(
            lines, torch.tensor(photons), electronic=electronic, generator=seeded()
        )
        left = photons * math.exp(-p)
        # At 674 photons the logarithm is a little curved: 1 % more.
        assert noisy.var() == pytest.approx(1 / left * (1 + electronic**2 / left), rel=0.03)
        assert noisy.mean() == pytest.approx(p, abs=3e-3)


def test_electronics_rule_where_few_photons_are_left() -> None:
    lines = torch.tensor([2.0, 8.0])[:, None].expand(2, 100_000)
    quiet, loud = (
        noisy_line_integrals(lines, torch.tensor(1e6), electronic=e, generator=seeded()).std(dim=1)
        for e in (0.0, 20.0)
    )
    assert float(loud[0] / quiet[0]) == pytest.approx(1.0, abs=0.01)
    # 335 photons: sqrt(1 + 400 / 335).
    assert float(loud[1] / quiet[1]) == pytest.approx(math.sqrt(1 + 400 / 335.5), rel=0.03)


@pytest.mark.parametrize("beam", ["parallel", "fan"])
@pytest.mark.parametrize("kernel", ["ramp", "hann"])
def test_the_noise_in_a_disc_of_water_is_the_analytic_one(
    beam: str, kernel: str, disc: Callable[..., Tensor], distance: Callable[..., Tensor]
) -> None:
    radius = 90.0
    noise = noise_of(disc(SIZE, PIXEL, radius), 24, beam=beam, kernel=kernel)
    # Rays through the centre have gone through the whole diameter.
    left = SCAN["photons"] * math.exp(-2 * radius * MU)
    ray = 1 / left * (1 + SCAN["electronic"] ** 2 / left)
    window = named_kernel(kernel, 0.5 / PIXEL)
    pitch = PIXEL / math.sqrt(2)
    predicted = math.pi**2 / SCAN["views"] * pitch * ray * ramp_power(window) * (1000 / MU) ** 2
    centre = noise[:, distance(SIZE, PIXEL) < 18]
    assert float(centre.var()) == pytest.approx(predicted, rel=0.1)


@pytest.mark.parametrize("dose", [0.5, 0.25, 0.1])
def test_sigma_grows_as_one_over_the_root_of_the_dose(
    dose: float, disc: Callable[..., Tensor], distance: Callable[..., Tensor]
) -> None:
    hu, inside = disc(SIZE, PIXEL, 90.0), distance(SIZE, PIXEL) < 80
    how = {"electronic": 0.0, "photons": 1e6}
    full, low = (noise_of(hu, 6, d, **how)[:, inside].std() for d in (1.0, dose))
    assert float(low / full) == pytest.approx(1 / math.sqrt(dose), rel=0.05)


def test_the_mean_is_the_anatomy(
    disc: Callable[..., Tensor], distance: Callable[..., Tensor]
) -> None:
    hu = disc(SIZE, PIXEL, 90.0) + 1.8 * (disc(SIZE, PIXEL, 15.0, 0.0, 40.0) + 1000)
    noise = noise_of(hu, 32, photons=1e6).mean(dim=0)
    away, bone = distance(SIZE, PIXEL), distance(SIZE, PIXEL, 40.0)
    for region in (away < 20, (away > 60) & (away < 80), bone < 12, away > 100):
        assert abs(float(noise[region].mean())) < 2.0


def test_noise_follows_the_longest_way(disc: Callable[..., Tensor]) -> None:
    place = (torch.arange(SIZE) - (SIZE - 1) / 2) * PIXEL
    oval = torch.where((place[:, None] / 110) ** 2 + (place / 60) ** 2 < 1, 0.0, -1000.0)
    noise = noise_of(oval, 12, electronic=0.0)[:, 44:52, 44:52]
    # Rays along the long axis x are the weak ones: streaks along it, steps across it.
    across = (noise[:, :, 1:] - noise[:, :, :-1]).var()
    along = (noise[:, 1:] - noise[:, :-1]).var()
    assert float(across / along) > 1.5


def test_a_bowtie_filter_costs_the_rim_its_photons(
    disc: Callable[..., Tensor], distance: Callable[..., Tensor]
) -> None:
    hu, away = disc(SIZE, PIXEL, 60.0), distance(SIZE, PIXEL)
    plain, shaped = (noise_of(hu, 4, electronic=0.0, bowtie_mm=b) for b in (0.0, 160.0))
    centre, rim = away < 10, (away > 80) & (away < 100)
    assert float(shaped[:, centre].std() / plain[:, centre].std()) < 1.35
    assert float(shaped[:, rim].std() / plain[:, rim].std()) > 1.5


def test_slices_of_any_arrangement(disc: Callable[..., Tensor]) -> None:
    two = torch.stack([disc(48, 4.0, 60.0), disc(48, 4.0, 80.0)], -1)
    how = {"photons": 1e5, "views": 60}
    together = ct_projection(two, 1.0, spacing=(4, 4, 5), generator=seeded(), **how)
    batched = ct_projection(two[None, None], 1.0, spacing=(4, 4, 5), generator=seeded(), **how)
    assert torch.equal(batched[0, 0], together)
    generator = seeded()
    for k in range(2):
        alone = ct_projection(two[..., k], 1.0, spacing=(4, 4), generator=generator, **how)
        assert torch.allclose(alone, together[..., k], atol=1e-2)
    doses = torch.tensor([1.0, 0.01]).reshape(2, 1, 1, 1, 1)
    both = ct_projection(two.expand(2, 1, -1, -1, -1), doses, spacing=(4, 4, 5), **how) - two
    assert float(both[1].std() / both[0].std()) > 5
    oblong = ct_projection(two[:40, :, 0].double(), 0.5, spacing=(4, 4), **how)
    assert oblong.shape == (40, 48)
    assert oblong.dtype == torch.float64


def test_what_is_not_finite_is_air_and_stays(disc: Callable[..., Tensor]) -> None:
    hu = disc(48, 4.0, 60.0)
    hu[0, :3] = torch.tensor([float("nan"), float("inf"), -3024.0])
    kept = hu.clone()
    noisy = ct_projection(hu, 1.0, spacing=(4, 4), views=60, generator=seeded())
    assert torch.equal(hu.nan_to_num(), kept.nan_to_num())
    assert noisy[0, :2].isfinite().tolist() == [False, False]
    assert noisy[0, 2] == pytest.approx(-3024, abs=50)
    assert noisy[1:].isfinite().all()


def test_by_name_on_a_volume(disc: Callable[..., Tensor]) -> None:
    array = disc(48, 4.0, 60.0)[:, None, :].expand(-1, 3, -1).numpy()
    affine = torch.tensor([[4.0, 0, 0, 0], [0, 0, 4, 0], [0, 5, 0, 0], [0, 0, 0, 1]]).numpy()
    volume = Volume.from_array(array, affine=affine, units="HU")
    one, same, other = (
        simulate(volume, "ct_projection", dose="50%", photons=1e5, views=60, seed=s)
        for s in (0, 0, 1)
    )
    assert (one.array == same.array).all()
    assert (one.array != other.array).any()
    middle = (one.array - volume.array)[0, 20:28, :, 20:28]
    assert 5 < middle.std() < 500
    assert one.history[-1].startswith("simulated ct_projection noise, dose 0.5, photons 100000")
    with pytest.raises(ParameterError, match=r"for CT only.*HU"):
        simulate(Volume.from_array(array, affine=affine), "ct_projection", dose=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dose": 0.0}, r"dose is 0.*above 0 and at most 1.*fraction"),
        ({"dose": 2.0}, r"dose is 2.*at most 1"),
        ({"photons": 0.0}, r"photons is 0.*above 0.*photons per ray"),
        ({"electronic": -1.0}, r"electronic is -1.*at least 0.*standard deviation in photons"),
        ({"mu_water": 0.0}, r"mu_water is 0.*\(1/mm\)"),
        ({"bowtie_mm": -5.0}, r"bowtie_mm is -5.*\(mm\)"),
        ({"bowtie_mm": 1e30}, r"bowtie_mm is 1e\+30: .* lets no photon through"),
        ({"kernel": "measured"}, "kernel is 'measured'.*ramp"),
        ({"beam": "cone"}, "beam is 'cone'"),
        ({"dose": torch.ones(96, 96)}, "dose must be the same all over a slice"),
        ({"spacing": (1.0, 1.5)}, "square pixels.*1 x 1.5 mm"),
        ({"spacing": (1.0,)}, "spacing has 1 numbers"),
        ({"spacing": (1.0, 1.0)}, r"whole axial slices.*96 x 96 mm.*ct_nps"),
    ],
)
def test_impossible_parameters(arguments: dict, message: str) -> None:
    given = {"dose": 1.0, "spacing": FLAT, "views": 60, **arguments}
    with pytest.raises(ParameterError, match=message):
        ct_projection(torch.zeros(96, 96), **given)


def test_options_are_checked_when_the_model_is_built() -> None:
    with pytest.raises(ConfigError, match="beam"):
        build_noise("ct_projection", dose=1, beam="cone")
    with pytest.raises(ConfigError, match="dose"):
        build_noise("ct_projection", dose=1.2)
    assert build_noise("ct_projection", dose=1).needs_spacing
