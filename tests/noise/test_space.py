from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.noise import build_noise, register_noise, simulate
from meddenoise.noise.registry import NOISES
from meddenoise.noise.space import axial_axis
from meddenoise.training import SupervisedTrainer
from meddenoise.transforms import AddNoise
from meddenoise.volume import Volume

SAGITTAL = np.array([[0, 0, 3.0, 0], [-0.8, 0, 0, 0], [0, 0.7, 0.1, 0], [0, 0, 0, 1]])


@pytest.fixture
def slicewise(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """A model in HU that adds each slice's number, and keeps what shapes and spacings it saw."""
    monkeypatch.setattr(NOISES, "_parts", dict(NOISES._parts))
    seen: list[tuple] = []

    @register_noise("slicewise", units="HU")
    def model(
        x: torch.Tensor, *, spacing: tuple[float, ...], generator: torch.Generator
    ) -> torch.Tensor:
        seen.append((tuple(x.shape), spacing, float(x.min())))
        return x + torch.arange(x.shape[-1])

    return seen


def test_which_axis_runs_along_the_patient() -> None:
    assert axial_axis(np.eye(4)) == 2
    assert axial_axis(SAGITTAL) == 1
    assert axial_axis(np.diag([1, 1, -5, 1])) == 2
    assert axial_axis(np.array([[0, 0, 1, 0], [0, 1, 0, 0], [-2, 0, 0.5, 0], [0, 0, 0, 1]])) == 0


def test_slices_of_a_volume_are_axial_whatever_its_order(slicewise: list[tuple]) -> None:
    volume = Volume(np.zeros((1, 6, 5, 4)), SAGITTAL, units="HU")
    noisy = simulate(volume, "slicewise").array[0]
    ((shape, spacing, _),) = slicewise
    assert shape == (6, 4, 5)
    assert spacing == pytest.approx((0.8, np.hypot(3, 0.1), 0.7))
    np.testing.assert_array_equal(noisy, np.broadcast_to(np.arange(5)[:, None], (6, 5, 4)))


def test_a_picture_and_an_image_with_channels(slicewise: list[tuple]) -> None:
    simulate(Volume.from_array(np.zeros((6, 5)), spacing=(2, 3), units="HU"), "slicewise")
    image = MetaTensor(torch.zeros(2, 6, 5, 4), affine=torch.from_numpy(SAGITTAL))
    noisy = AddNoise("slicewise")(image)
    assert torch.equal(noisy.as_tensor()[1, 3, :, 2], torch.arange(5.0))
    flat = MetaTensor(torch.zeros(2, 6, 5), affine=torch.diag(torch.tensor([2.0, 3.0, 1.0, 1.0])))
    AddNoise("slicewise")(flat)
    assert [shape for shape, *_ in slicewise] == [(6, 5), (1, 2, 6, 4, 5), (1, 2, 6, 5)]
    assert [spacing for _, spacing, _ in slicewise][::2] == [(2, 3), (2, 3)]


def test_without_an_affine_the_voxel_size_is_asked_for(slicewise: list[tuple]) -> None:
    with pytest.raises(ParameterError, match="'slicewise' needs the voxel size in mm"):
        AddNoise("slicewise")(torch.zeros(1, 4, 4, 4))
    assert not slicewise


def test_what_was_not_measured_is_air_to_a_ct_model(slicewise: list[tuple]) -> None:
    array = np.full((1, 6, 5, 4), 800.0)
    array[0, 0] = np.nan
    volume = Volume(array, np.eye(4), units="HU")
    noisy = simulate(volume, "slicewise").array
    assert slicewise[0][2] == -1000
    assert np.isnan(noisy[0, 0]).all()


def test_training_gives_each_patch_its_own_spacing(slicewise: list[tuple]) -> None:
    target = torch.full((2, 1, 4, 4, 3), 0.5)
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[:, :, 0] = False
    spacing = torch.tensor([[1.0, 1.0, 2.5], [0.5, 0.5, 4.0]])
    one = torch.ones(2, 1, 1, 1, 1)
    given = Batch(target, target, valid, 0 * one, 100 * one, torch.ones(2), spacing)
    trainer = SupervisedTrainer(noise=build_noise("slicewise"))
    made = trainer.inject(given, Draws(0, 0, 2, 0, 1)).image
    assert [(s, low) for _, s, low in slicewise] == [((1, 1, 2.5), -1000), ((0.5, 0.5, 4), -1000)]
    expected = (0.5 + torch.arange(3) / 100).expand(2, 1, 4, 4, 3)
    assert torch.allclose(made, torch.where(valid, expected, target))


def test_users_do_not_set_the_spacing(slicewise: list[tuple]) -> None:
    assert build_noise("slicewise").needs_spacing
    assert not build_noise("gaussian", sigma=1).needs_spacing
    with pytest.raises(ConfigError, match=r"noise\.spacing is no key here"):
        build_noise("slicewise", spacing=(1, 1))
    assert not slicewise
