"""Your own way to learn, in ten lines: Recorrupted-to-Recorrupted (Pang et al., CVPR 2021).

A noisy image y with Gaussian noise of known sigma gets more noise n: y + a n goes in, y - n / a
is the target. Their noises are independent, so the network learns the clean image.

    python examples/own_trainer.py
"""

import argparse

import meddenoise as md
from meddenoise.noise import estimate_sigma

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=300, help="training steps")
steps = parser.parse_args().steps


@md.register_trainer("recorrupted")
class Recorrupted(md.Trainer):
    def __init__(self, sigma: float, a: float = 0.5) -> None:
        self.sigma, self.a = sigma, a
        self.options = {"sigma": sigma, "a": a}  # what the model file tells

    def training_step(self, network, batch, draws):
        n = draws.normal("recorruption", *batch.image.shape[1:]) * self.sigma / batch.scale
        loss = (network(batch.image + self.a * n) - (batch.image - n / self.a)).square().mean()
        return loss, {}  # and what else should be logged


truth, noisy = (md.sample(name).array[0, :, :, 60] for name in ("head", "head-noisy"))
trainer = Recorrupted(sigma=estimate_sigma(noisy))
denoiser = trainer.fit(noisy, patch=[64, 64], steps=steps, learning_rate=2e-3, ema=0.98)
clean = denoiser.denoise_array(noisy)

for name, image in {"noisy": noisy, "denoised": clean}.items():
    print(f"{name}: PSNR {md.evaluate(truth, image).psnr:.2f} dB")
