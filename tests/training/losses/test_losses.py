from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from meddenoise.errors import ConfigError, ParameterError
from meddenoise.evaluation import ssim as measured_ssim
from meddenoise.training.losses import Compared, WeightedLoss, loss_names, register_loss
from meddenoise.training.losses.random_features import RandomFeatures
from meddenoise.training.losses.registry import LOSSES

SHIFT, SCALE, RANGE = 300.0, 150.0, 900.0


def pair(*shape: int, rows: int = 2, noise: float = 0.2, seed: int = 0) -> Compared:
    """Smooth random targets and noisy outputs, in normalised units."""
    random = np.random.default_rng(seed)
    smooth = [gaussian_filter(random.normal(size=shape), 2) * 8 for _ in range(rows)]
    target = torch.from_numpy(np.stack(smooth))[:, None].float()
    output = target + noise * torch.from_numpy(random.normal(size=target.shape)).float()
    column = (rows, 1, *(1,) * len(shape))
    numbers = (torch.full(column, SHIFT), torch.full(column, SCALE), torch.full((rows,), RANGE))
    return Compared(output, target, None, *numbers)


def in_units(x: Tensor) -> np.ndarray:
    return (x.double() * SCALE + SHIFT).numpy()


def value(name: str, given: Compared) -> Tensor:
    return LOSSES.get(name)(given)


def difference(given: Compared) -> np.ndarray:
    return (given.output.double() - given.target.double()).numpy()


def test_voxelwise_losses_by_their_formulas() -> None:
    given = pair(9, 8)
    d = difference(given)
    for name, expected in (
        ("l1", np.abs(d)),
        ("l2", d**2),
        ("charbonnier", np.sqrt(d**2 + 1e-6)),
    ):
        np.testing.assert_allclose(value(name, given), expected.mean((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(24, 31), (16, 13, 12)])
def test_ssim_is_that_of_evaluation_in_the_scan_s_own_units(shape: tuple[int, ...]) -> None:
    given = pair(*shape)
    for row in range(2):
        expected = measured_ssim(
            in_units(given.target[row, 0]), in_units(given.output[row, 0]), data_range=RANGE
        )
        assert float(value("ssim", given)[row]) == pytest.approx(1 - expected.value, abs=1e-5)
        assert 0.02 < 1 - expected.value < 0.95


def test_ssim_of_thin_patches_is_slice_by_slice() -> None:
    given = pair(16, 14, 3)
    slices = [
        measured_ssim(a, b, data_range=RANGE).value
        for a, b in zip(
            np.moveaxis(in_units(given.target[0, 0]), 2, 0),
            np.moveaxis(in_units(given.output[0, 0]), 2, 0),
            strict=True,
        )
    ]
    assert float(value("ssim", given)[0]) == pytest.approx(1 - np.mean(slices), abs=1e-5)


def ms_ssim_by_hand(x: np.ndarray, y: np.ndarray, scales: int) -> float:
    """Wang, Simoncelli and Bovik's formula with SciPy's Gaussian of 11 taps."""
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    inner = (slice(5, -5),) * x.ndim
    product = 1.0
    for scale, weight in enumerate(weights / weights.sum(), start=1):

        def blur(a: np.ndarray) -> np.ndarray:
            return gaussian_filter(a, 1.5, truncate=3.5)[inner]

        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        cs = (2 * cov + 0.03**2) / (vx + vy + 0.03**2)
        lum = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        product *= (cs * lum if scale == scales else cs).mean() ** weight
        halves = tuple(n // 2 for n in x.shape)
        blocks = tuple(k for n in halves for k in (n, 2))
        x, y = (
            a[tuple(slice(2 * n) for n in halves)].reshape(blocks).mean((1, 3, 5)[: a.ndim])
            for a in (x, y)
        )
    return product


@pytest.mark.parametrize(("shape", "scales"), [((48, 53), 3), ((21, 30), 1), ((24, 22, 23), 2)])
def test_ms_ssim_by_its_formula(shape: tuple[int, ...], scales: int) -> None:
    given = pair(*shape, noise=0.5)
    x, y = (in_units(a[0, 0]) / RANGE for a in (given.output, given.target))
    expected = 1 - ms_ssim_by_hand(x, y, scales)
    assert float(value("ms_ssim", given)[0]) == pytest.approx(expected, abs=1e-5)
    assert expected > 0.01


def test_patches_without_room_for_the_window_are_refused() -> None:
    for name in ("ssim", "ms_ssim"):
        with pytest.raises(ParameterError, match=r"\(10, 9\) voxels are too small for SSIM"):
            value(name, pair(10, 9))


def test_frequency_losses_by_their_formulas() -> None:
    given = pair(9, 12)
    spectrum = np.abs(np.fft.fft2(difference(given)[:, 0], norm="ortho"))
    np.testing.assert_allclose(value("frequency", given), spectrum.mean((1, 2)), rtol=1e-4)
    weight = spectrum / spectrum.max((1, 2), keepdims=True)
    focal = (weight * spectrum**2).mean((1, 2))
    np.testing.assert_allclose(value("focal_frequency", given), focal, rtol=1e-4)


def test_a_stronger_error_of_one_frequency_is_found_in_3d() -> None:
    """One wave of amplitude a: two of the N^3 frequencies have a magnitude of a sqrt(N^3) / 2."""
    base = pair(8, 8, 8, rows=1, noise=0.0)
    wave = torch.cos(2 * torch.pi * torch.arange(8) / 4)[None, None, :, None, None]
    given = replace(base, output=base.target + 0.5 * wave)
    assert float(value("frequency", given)) == pytest.approx(2 * 0.25 * 512**0.5 / 512, rel=1e-4)


def test_the_random_features_are_random_and_always_the_same() -> None:
    one, two = RandomFeatures(3), RandomFeatures(3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in one.parameters())
    x = torch.randn(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    sizes = [float(level.square().mean()) for level in one(x)]
    assert all(0.4 < size < 1.6 for size in sizes)  # none of the levels drowns the others
    assert [level.shape[1:] for level in one(x)] == [
        (16, 32, 32, 32), (32, 16, 16, 16), (64, 8, 8, 8)
    ]  # fmt: skip


def test_random_features_by_hand() -> None:
    given = pair(16, 16)
    network = RandomFeatures(2)
    both = [network((x * SCALE + SHIFT) / RANGE) for x in (given.output, given.target)]
    expected = [float((a - b)[0].square().mean()) for a, b in zip(*both, strict=True)]
    assert float(value("random_features", given)[0]) == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.parametrize("name", loss_names())
@pytest.mark.parametrize("shape", [(24, 26), (12, 11, 13)])
def test_every_loss_is_least_at_the_target_and_leads_there(
    name: str, shape: tuple[int, ...]
) -> None:
    given = pair(*shape)
    at_target = value(name, replace(given, output=given.target))
    assert at_target.shape == (2,)
    assert float(at_target.max()) < 2e-3  # charbonnier is 1e-3 there
    output = given.output.clone().requires_grad_()
    first = value(name, replace(given, output=output)).mean()
    (gradient,) = torch.autograd.grad(first, output)
    assert bool(gradient.isfinite().all())
    # Downhill is nearer to the target.
    step = output.detach() - 0.02 * gradient / gradient.norm() * output.numel() ** 0.5
    assert float(value(name, replace(given, output=step)).mean()) < float(first.detach())
    assert float((step - given.target).norm()) < float((given.output - given.target).norm())


@pytest.mark.parametrize("name", loss_names())
def test_what_was_not_measured_has_no_say(name: str) -> None:
    given = pair(24, 26)
    valid = torch.ones(2, 1, 24, 26, dtype=torch.bool)
    valid[:, :, 8:16, 5:20] = False
    output = given.output.clone().requires_grad_()

    def filled(x: Tensor) -> Compared:
        return replace(given, output=torch.where(valid, x, given.target), valid=valid)

    (gradient,) = torch.autograd.grad(value(name, filled(output)).sum(), output)
    assert float(gradient[~valid].abs().max()) == 0
    assert float(gradient[valid].abs().max()) > 0
    # And with nothing measured there is nothing to learn.
    none = replace(given, output=given.target, valid=torch.zeros_like(valid))
    assert float(value(name, none).abs().max()) == 0


@pytest.mark.parametrize("name", loss_names())
def test_each_patch_is_for_itself(name: str) -> None:
    """So that a batch over several processes has the mean of one."""
    given = pair(20, 22, rows=3)
    rows = [
        value(name, Compared(*(None if x is None else x[k : k + 1] for x in vars(given).values())))
        for k in range(3)
    ]
    torch.testing.assert_close(value(name, given), torch.cat(rows), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["ssim", "ms_ssim", "random_features"])
def test_without_a_data_range_it_says_so(name: str) -> None:
    with pytest.raises(ParameterError, match=r"Batch\.data_range"):
        value(name, replace(pair(16, 16), data_range=None))


def test_a_weighted_sum_and_its_terms() -> None:
    given = pair(16, 16)
    total, terms = WeightedLoss({"l1": 1, "ssim": 0.25})(given)
    assert set(terms) == {"l1", "ssim"}
    assert float(total) == pytest.approx(float(terms["l1"] + 0.25 * terms["ssim"]))
    assert float(terms["l1"]) == pytest.approx(float(value("l1", given).mean()))
    alone, nothing = WeightedLoss("l2")(given)
    assert nothing == {}
    assert float(alone) == pytest.approx(float(value("l2", given).mean()))


def test_half_precision_around_it_does_not_touch_the_windows() -> None:
    given = pair(24, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, _ = WeightedLoss({"ssim": 1.0})(given)
    assert float(total) == pytest.approx(float(value("ssim", given).mean()), abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("l3", r"no loss 'l3' \(did you mean 'l2'\?\); there are: charbonnier, focal_frequency"),
        ({}, "There is no loss: give one"),
        ({"l1": 1, "sim": 1}, r"no loss 'sim' \(did you mean 'ssim'\?\)"),
        ({"l1": 0}, "The weight of the loss 'l1' is above 0, not 0"),
        ({"l1": -1.0}, "above 0"),
        ({"l1": True}, "above 0, not True"),
        ({"l1": float("nan")}, "above 0"),
    ],
)
def test_what_is_no_loss(loss: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WeightedLoss(loss)


def test_a_loss_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOSSES, "_parts", dict(LOSSES._parts))

    @register_loss("fourth")
    def fourth(given: Compared) -> Tensor:
        return given.mean((given.output - given.target) ** 4)

    total, _ = WeightedLoss({"fourth": 2.0})(pair(8, 8))
    assert float(total) == pytest.approx(2 * (difference(pair(8, 8)) ** 4).mean(), rel=1e-4)
