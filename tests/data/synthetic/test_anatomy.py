from __future__ import annotations

import pytest
import torch

from meddenoise.data.draws import generator
from meddenoise.data.synthetic import Anatomy, make_anatomy
from meddenoise.data.synthetic.anatomy import PATTERNS
from meddenoise.data.synthetic.contrast import ct_contrast, mr_contrast, paint


@pytest.fixture(scope="module")
def anatomies() -> list[Anatomy]:
    return [make_anatomy((32, 32, 32), generator("anatomy", n)) for n in range(8)]


def test_layers_and_patterns(anatomies: list[Anatomy]) -> None:
    for anatomy in anatomies:
        count = len(anatomy.covers)
        assert anatomy.shape == (32, 32, 32)
        assert (len(anatomy.follows), len(anatomy.busy), len(anatomy.kin)) == (count,) * 3
        assert anatomy.patterns.shape == (PATTERNS, 32, 32, 32)
        assert set(anatomy.follows) <= set(range(PATTERNS))
        assert bool((anatomy.covers[0] == 255).all())  # the ground is everywhere
        assert bool(torch.isfinite(anatomy.patterns).all())
    assert len({len(anatomy.covers) for anatomy in anatomies}) > 2  # they differ in kind


def test_an_anatomy_is_a_function_of_the_seed() -> None:
    one, same, other = (make_anatomy((24, 24), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.covers, same.covers)
    assert torch.equal(one.patterns, same.patterns)
    assert torch.equal(one.body, same.body)
    assert one.covers.shape != other.covers.shape or not torch.equal(one.covers, other.covers)


def test_mr_contrasts_lie_between_0_and_1_and_differ(anatomies: list[Anatomy]) -> None:
    whole = [torch.arange(32)] * 3
    spreads = []
    for number, anatomy in enumerate(anatomies):
        contrast = mr_contrast(anatomy, generator("mr", number))
        image, body = paint(anatomy, contrast, whole, in_air=True)
        assert image.shape == body.shape == (32, 32, 32)
        assert bool(torch.isfinite(image).all())
        assert float(image.quantile(0.001)) > -1
        assert float(image.quantile(0.999)) < 2
        assert float(image[body == 0].abs().max() if bool((body == 0).any()) else 0.0) == 0
        spreads.append(float(image.std()))
    assert max(spreads) > 2 * min(spreads)


def test_ct_contrasts_are_hounsfield_units(anatomies: list[Anatomy]) -> None:
    whole = [torch.arange(32)] * 3
    values = []
    for number, anatomy in enumerate(anatomies):
        image, body = paint(
            anatomy, ct_contrast(anatomy, generator("ct", number)), whole, in_air=True
        )
        assert float(image.min()) > -2500
        assert float(image.max()) < 4000
        if bool((body == 0).any()):
            assert bool((image[body == 0] == -1000).all())
        values.append(image.flatten())
    together = torch.cat(values)
    soft = float(((together > -150) & (together < 150)).float().mean())
    assert 0.15 < soft < 0.95
    assert float(together.min()) < -800
    assert float(together.max()) > 200


def test_a_part_of_an_anatomy_is_that_part(anatomies: list[Anatomy]) -> None:
    contrast = mr_contrast(anatomies[0], generator("c"))
    whole, _ = paint(anatomies[0], contrast, [torch.arange(32)] * 3, in_air=False)
    some = [torch.arange(4, 20), torch.arange(31, 15, -1), torch.tensor([30, 31, 0, 1])]
    part, _ = paint(anatomies[0], contrast, some, in_air=False)
    torch.testing.assert_close(part, whole[4:20].flip(1)[:, :16][:, :, some[2]])
