from __future__ import annotations

import pytest
import torch

from meddenoise.data.draws import generator
from meddenoise.data.synthetic.tomography import reconstructed

SHAPE = (20, 40, 48)


def noise_of(seed: int, shape: tuple[int, ...] = SHAPE, across: int = 0) -> torch.Tensor:
    noisy, target = reconstructed(torch.zeros(shape), generator(seed), across=across)
    assert noisy.shape == target.shape == torch.Size(shape)
    assert noisy.dtype == target.dtype == torch.float32
    return noisy - target


@pytest.mark.parametrize("shape", [SHAPE, (64, 48)])
def test_its_level_is_known_to_15_percent_and_it_has_no_mean(shape: tuple[int, ...]) -> None:
    for seed in range(6):
        noise = noise_of(seed, shape)
        assert float(noise.std()) == pytest.approx(1, abs=0.35)
        assert abs(float(noise.mean())) < 0.08


def test_it_is_weak_where_it_is_smooth() -> None:
    """White noise has the same power everywhere."""
    radius = torch.fft.fftfreq(40)[:, None].hypot(torch.fft.fftfreq(48)[None])
    shares = []
    for seed in range(20):
        power = torch.fft.fft2(noise_of(seed)).abs().square().mean(0)
        middle = power[(radius > 0.15) & (radius < 0.35)].mean()
        shares.append(float(power[(radius > 0) & (radius < 0.05)].mean() / middle))
    assert max(shares) < 0.95
    assert sum(shares) / len(shares) < 0.5


@pytest.mark.parametrize("across", [0, 1, 2])
def test_slices_are_as_independent_of_each_other_as_they_overlap(across: int) -> None:
    def with_the_next(axis: int, seed: int) -> float:
        noise = noise_of(seed, (30, 30, 30), across)
        pair = noise.narrow(axis, 1, 29) * noise.narrow(axis, 0, 29)
        return float(pair.mean() / noise.square().mean())

    apart = [with_the_next(across, seed) for seed in range(20)]
    assert min(abs(c) for c in apart) < 0.02
    assert all(-0.02 < c < 0.55 for c in apart)
    for seed in range(20):
        # Both axes of a slice are alike.
        one, other = (with_the_next(axis, seed) for axis in range(3) if axis != across)
        assert one == pytest.approx(other, abs=0.06)


def test_the_anatomy_is_seen_through_the_kernel_of_its_noise() -> None:
    ramp = torch.linspace(0, 30, 40)[None, :, None].expand(SHAPE).contiguous()
    edge = torch.zeros(SHAPE)
    edge[:, 20:] = 10.0
    blurs = []
    for seed in range(12):
        smooth = reconstructed(ramp, generator(seed))[1]
        # What is smooth stays, up to the borders, at which the slice is mirrored.
        assert float((smooth - ramp)[:, 6:-6].abs().max()) < 0.3
        seen = reconstructed(edge, generator(seed))[1]
        assert torch.allclose(seen, seen[:1, :, :1].expand(SHAPE), atol=1e-4)
        blurs.append(float(seen[0, 20, 0] - seen[0, 19, 0]))
    assert min(blurs) < 6
    assert max(blurs) > 8


def test_equal_draws_give_equal_scans() -> None:
    assert torch.equal(noise_of(3), noise_of(3))
    assert not torch.equal(noise_of(3), noise_of(4))
