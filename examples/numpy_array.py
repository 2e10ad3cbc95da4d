"""A numpy array in, a denoised array out: Noise2Void on nothing but the noisy array itself.

python examples/numpy_array.py
"""

import argparse

import numpy as np

import meddenoise as md

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=300, help="training steps")
steps = parser.parse_args().steps

# A slice of a clean head, so that the result can be scored; your own array (X, Y[, Z]) takes its
# place. A patch of three numbers makes it a 3-D network.
truth = md.sample("head").array[0, :, :, 60]
noisy = truth + np.random.default_rng(0).normal(0, 80, truth.shape).astype(np.float32)

trainer = md.Noise2VoidTrainer()
denoiser = trainer.fit(noisy, patch=[64, 64], steps=steps, learning_rate=2e-3, ema=0.98)
clean = denoiser.denoise_array(noisy)

for name, image in {"noisy": noisy, "denoised": clean}.items():
    print(f"{name}: PSNR {md.evaluate(truth, image).psnr:.2f} dB")
