"""Your own noise model: a tensor function, known by name to the command line and to training.

python examples/own_noise.py
"""

import argparse

import torch
from torch import Tensor

import meddenoise as md
from meddenoise.noise import build_noise

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=200, help="training steps")
steps = parser.parse_args().steps


@md.register_noise("fading", fractions=("strength",))
def fading(x: Tensor, strength: float, *, generator: torch.Generator) -> Tensor:
    """Multiplicative noise, as of an unsteady source; ``strength`` is a fraction of the intensity.

    All draws come from ``generator``, so that the same seed gives the same noise.
    """
    draws = torch.randn(x.shape, generator=generator, device=x.device)
    return x * (1 + strength * draws)


truth = md.Volume.from_array(md.sample("head").array[0, :, :, 60])
noisy = md.simulate(truth, "fading", strength="25%", seed=1)
print(noisy.history[-1])

# Supervised: the clean scan, with noise of a random strength drawn anew at every step.
trainer = md.SupervisedTrainer(noise=build_noise("fading", strength=["10%", "30%"]))
denoiser = trainer.fit(truth, truth, patch=[64, 64], steps=steps, ema=0.98)

for name, image in {"noisy": noisy, "denoised": denoiser(noisy)}.items():
    print(f"{name}: PSNR {md.evaluate(truth, image).psnr:.2f} dB")
