from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from meddenoise.errors import ConfigError, ParameterError
from meddenoise.noise import (
    build_noise,
    gaussian,
    noise_names,
    parse_level,
    poisson_ct,
    register_noise,
    rician,
)
from meddenoise.noise.registry import NOISES


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def own_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test register models that are gone afterwards."""
    monkeypatch.setattr(NOISES, "_parts", dict(NOISES._parts))


def test_built_in_names() -> None:
    # Other tests may have registered their own beside them.
    assert {"gaussian", "poisson", "rician"} <= set(noise_names())


def test_a_model_is_its_function() -> None:
    x = torch.linspace(0, 1000, 64).reshape(4, 16)
    by_name = build_noise("gaussian", sigma="10%").apply(x, reference=500, generator=seeded())
    assert torch.equal(by_name, gaussian(x, 50.0, generator=seeded()))
    by_name = build_noise("rician", sigma=7).apply(x, reference=500, generator=seeded())
    assert torch.equal(by_name, rician(x, 7.0, generator=seeded()))
    by_name = build_noise("poisson", dose="25%", photons=1e6).apply(
        x, reference=500, generator=seeded()
    )
    assert torch.equal(by_name, poisson_ct(x, 0.25, photons=1e6, generator=seeded()))


def test_a_range_is_drawn_by_place_or_by_generator() -> None:
    model = build_noise("gaussian", sigma=["2%", "12%"])
    assert model.ranges == ("sigma",)
    assert model.draw(reference=100.0, u=0.5) == {"sigma": pytest.approx(7.0)}
    x = torch.zeros(200_000)
    assert model.apply(x, reference=100.0, generator=seeded(), u=0.5).std() == pytest.approx(
        7.0, rel=0.01
    )
    spreads = [float(model.apply(x, reference=100.0, generator=seeded(s)).std()) for s in range(20)]
    assert 2 <= min(spreads) < 5
    assert 9 < max(spreads) <= 12.1


def test_a_range_needs_a_place() -> None:
    with pytest.raises(ParameterError, match="sigma of the noise model 'rician' is a range"):
        build_noise("rician", sigma=[1, 2]).draw(reference=1.0)


def test_one_level_for_each_sample_of_a_batch() -> None:
    model = build_noise("gaussian", sigma=["0%", "10%"])
    x = torch.zeros(2, 1, 40, 40, 40)
    y = model.apply(
        x, reference=torch.tensor([100.0, 200.0]), generator=seeded(), u=torch.tensor([0.5, 0.9])
    )
    assert y[0].std() == pytest.approx(5.0, rel=0.02)
    assert y[1].std() == pytest.approx(18.0, rel=0.02)


def test_what_was_drawn_replays_the_noise() -> None:
    model = build_noise("rician", sigma=[1, 9])
    x = torch.linspace(0, 100, 1000)
    drawn = model.draw(reference=1.0, u=0.3)
    once = model.apply(x, reference=1.0, generator=seeded(8), u=0.3)
    assert torch.equal(once, model.run(x, drawn, generator=seeded(8)))


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'rician'"):
        build_noise("ricain", sigma=1)
    with pytest.raises(ConfigError, match=r"noise\.sgima is no key here \(did you mean 'sigma'"):
        build_noise("gaussian", sgima=1)
    with pytest.raises(ConfigError, match=r"noise\.sigma is no key here"):
        build_noise("poisson", sigma=1, dose=0.5)


def test_a_missing_parameter() -> None:
    with pytest.raises(ConfigError, match=r"noise\.sigma is missing"):
        build_noise("gaussian")


@pytest.mark.parametrize("dose", [0, 1.2, "120%", [0, 0.5]])
def test_a_fraction_is_checked_when_the_model_is_built(dose: object) -> None:
    with pytest.raises(ConfigError, match=r"noise\.dose is .*above 0 and at most 1"):
        build_noise("poisson", dose=dose)


def test_a_number_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"noise\.photons is impossible: 'many' is no finite"):
        build_noise("poisson", dose=1, photons="many")


@pytest.mark.usefixtures("own_models")
def test_a_model_of_ones_own() -> None:
    @register_noise("impulse", fractions=("density",))
    def impulse(x: torch.Tensor, density: float, *, generator: torch.Generator) -> torch.Tensor:
        hit = torch.rand(x.shape, generator=generator, device=x.device) < density
        return torch.where(hit, x.max(), x)

    assert "impulse" in noise_names()
    y = build_noise("impulse", density="10%").apply(
        torch.arange(10_000.0), reference=1.0, generator=seeded()
    )
    assert (y == 9999).double().mean() == pytest.approx(0.1, abs=0.015)


@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize(
    ("makes", "told"),
    [
        (lambda x: x[..., :2], r"made a Tensor of shape \(3, 2\) of a tensor of shape \(3, 4\)"),
        (lambda x: x.numpy(), r"made a ndarray of shape \(3, 4\) of a tensor"),
        (lambda x: None, r"made a NoneType of a tensor of shape \(3, 4\)"),
    ],
)
def test_a_model_that_makes_no_image(makes: Callable[[torch.Tensor], Any], told: str) -> None:
    @register_noise("broken")
    def broken(x: torch.Tensor, *, generator: torch.Generator) -> Any:
        return makes(x)

    with pytest.raises(ParameterError, match=f"'broken' {told}.*of the same shape"):
        build_noise("broken").apply(torch.zeros(3, 4), reference=1.0, generator=seeded())


@pytest.mark.usefixtures("own_models")
def test_every_range_has_a_place_of_its_own_and_what_the_program_gives_is_no_option() -> None:
    seen = {}

    @register_noise("told", levels=("sigma",), maps=("where",))
    def told(
        x: torch.Tensor, sigma: float, *, power: float = 1.0, where: object = None,
        count: int = 3, reference: float = 1.0, generator: torch.Generator,
    ) -> torch.Tensor:  # fmt: skip
        seen.update(sigma=sigma, power=power, where=where, count=count, reference=reference)
        return x

    x, where = torch.zeros(2, 1, 4, 4), torch.ones(4, 4)
    model = build_noise("told", sigma=["0%", "10%"], power=[-2, 2], where=where)
    assert model.ranges == ("sigma", "power")
    model.apply(x, reference=50.0, generator=seeded(), u=[0.5, 0.25])
    assert seen.pop("where") is where
    assert seen == pytest.approx({"sigma": 2.5, "power": -1.0, "count": 3, "reference": 50.0})
    model.apply(x, reference=50.0, generator=seeded())
    assert seen["sigma"] / 5 != pytest.approx((seen["power"] + 2) / 4)
    levels = torch.tensor([0.0, 0.5])
    model.apply(x, reference=50.0, generator=seeded(), u=[levels, 0.5])
    assert seen["sigma"].flatten().tolist() == pytest.approx([0, 2.5])
    assert seen["sigma"].shape == (2, 1, 1, 1)
    with pytest.raises(ParameterError, match="u has 1 places and the noise model 'told' 2 ranges"):
        model.draw(reference=1.0, u=[0.5])
    for option, told_so in (
        ({"reference": 3}, r"noise\.reference is no key here"),
        ({"where": "map.nii"}, r"noise\.where is impossible: 'map.nii' is no map"),
        ({"count": 1.5}, r"noise\.count must be a whole number"),
        ({"power": "SNR 3"}, r"noise\.power is impossible"),
    ):
        with pytest.raises(ConfigError, match=told_so):
            build_noise("told", sigma=1, **option)


@pytest.mark.usefixtures("own_models")
def test_a_taken_name_and_a_model_that_cannot_be_replayed() -> None:
    with pytest.raises(ConfigError, match="already"):
        register_noise("rician")(lambda x, sigma, *, generator: x)
    with pytest.raises(ParameterError, match="generator"):
        register_noise("other")(lambda x, sigma: x)


def test_a_model_reads_as_it_was_set() -> None:
    assert str(build_noise("gaussian", sigma=parse_level(["2%", "15%"]))) == (
        "gaussian, sigma 2% to 15%"
    )


def test_building_a_model_needs_no_torch() -> None:
    script = (
        "import sys; from meddenoise.noise import build_noise; build_noise('poisson', dose=.5); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
