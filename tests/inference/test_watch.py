from __future__ import annotations

import subprocess
import sys

DENOISES = """
import sys
import numpy as np
from meddenoise.inference import Denoiser
from meddenoise.networks import build_network

denoiser = Denoiser(build_network("unet", dims=3), device="cpu")
denoiser.denoise_array(np.zeros((96, 96, 64), np.float32))  # enough for its memory to be counted
sys.exit("torch._dynamo" in sys.modules)
"""


def test_torchs_compiler_is_not_imported() -> None:
    assert subprocess.run([sys.executable, "-c", DENOISES], check=False).returncode == 0
