"""What every noise model promises that works without the geometry of a scanner."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from meddenoise.noise import NoiseModel, build_noise, noise_names
from meddenoise.noise.registry import NOISES

NEEDED: dict[str, dict[str, Any]] = {
    "poisson": {"dose": "25%"},
    "thinning": {"dose": "25%"},
    "poisson_gaussian": {"gain": "2%", "sigma": "1%"},
    "pet": {},
    "salt_and_pepper": {"density": "10%"},
}
MODELS = [
    name
    for name in noise_names()
    if NOISES.get(name).__module__.startswith("meddenoise.") and not NOISES.takes(name, "spacing")
]


def model(name: str) -> NoiseModel:
    return build_noise(name, **NEEDED.get(name, {"sigma": "10%"}))


def noisy(name: str, x: torch.Tensor, device: str = "cpu", seed: int = 0) -> torch.Tensor:
    generator = torch.Generator(device).manual_seed(seed)
    return model(name).apply(x, reference=100.0, generator=generator)


@pytest.fixture
def image(request: pytest.FixtureRequest) -> torch.Tensor:
    """Whole numbers, as counts are."""
    return (
        torch.arange(2 * 12 * 10 * 8, dtype=torch.float32).remainder(101).reshape(2, 1, 12, 10, 8)
    )


def check(name: str, image: torch.Tensor, device: str) -> None:
    """Seeded, untouched, and the result like the image, for every kind of image."""
    for x in (image, image[:, :, :, :, 0], image[0, 0], image[0, 0, 0], image.double()):
        here = x.to(device)
        before = here.clone()
        y = noisy(name, here, device)
        assert (y.shape, y.dtype, y.device) == (here.shape, here.dtype, here.device)
        assert torch.equal(here, before)
        assert bool(y.isfinite().all())
        assert not torch.equal(y, here)
        assert torch.equal(y, noisy(name, here, device))
        assert not torch.equal(y, noisy(name, here, device, seed=1))


@pytest.mark.parametrize("name", MODELS)
def test_seeded_in_shape_and_type(name: str, image: torch.Tensor) -> None:
    check(name, image, "cpu")


@pytest.mark.parametrize("name", MODELS)
def test_samples_of_a_batch_have_noise_of_their_own(name: str, image: torch.Tensor) -> None:
    y = noisy(name, image[:1].expand(2, -1, -1, -1, -1))
    assert not torch.equal(y[0], y[1])


@pytest.mark.gpu
def test_on_a_gpu_and_a_generator_of_the_cpu_gives_it_the_same_noise(image: torch.Tensor) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    for name in MODELS:
        check(name, image, "cuda")
        there, here = noisy(name, image.cuda()).cpu(), noisy(name, image)
        torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-2)
