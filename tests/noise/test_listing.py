from __future__ import annotations

import pytest
import torch

from meddenoise.noise import register_noise
from meddenoise.noise.listing import NoiseParameter, list_noises
from meddenoise.noise.registry import NOISES

ours = [n for n in list_noises() if NOISES.get(n.name).__module__.startswith("meddenoise.")]


@pytest.mark.parametrize("noise", ours, ids=lambda noise: noise.name)
def test_every_model_and_each_of_its_parameters_is_described(noise: object) -> None:
    assert len(noise.about) > 20
    assert "`" not in noise.about
    for parameter in noise.parameters:
        assert len(parameter.about) > 2, parameter.name
        assert "\n" not in parameter.about


def test_a_model_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NOISES, "_parts", dict(NOISES._parts))

    @register_noise("own", fractions=("part",), units="HU")
    def own(
        x: torch.Tensor, sigma: float, *, part: float = 0.5, count: int = 3,
        generator: torch.Generator,
    ) -> torch.Tensor:  # fmt: skip
        """Noise of ``mine``.

        Args:
            sigma: as strong as
                that; and more.
            part: of it.

        Returns:
            sigma: is no parameter here.
        """
        return x

    (found,) = (noise for noise in list_noises() if noise.name == "own")
    assert (found.about, found.units) == ("Noise of mine", "HU")
    assert found.parameters == (
        NoiseParameter("sigma", "level", None, True, "as strong as that"),
        NoiseParameter("part", "fraction", 0.5, False, "of it"),
        NoiseParameter("count", "whole number", 3, False, ""),
    )
    assert found.as_dict()["parameters"][2]["name"] == "count"
