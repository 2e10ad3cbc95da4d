"""How good a denoised image is: metrics that say what they measured.

:func:`compare` gathers those against a reference; each is also a plain function of arrays in a
module of its own, and says when it is undefined.
"""

from __future__ import annotations

from meddenoise.evaluation.bias import bias, bias_by_region
from meddenoise.evaluation.compare import Metrics, compare
from meddenoise.evaluation.contrast import cnr, contrast_recovery
from meddenoise.evaluation.data_range import default_data_range
from meddenoise.evaluation.gmsd import gmsd
from meddenoise.evaluation.hfen import hfen
from meddenoise.evaluation.measured import Measured
from meddenoise.evaluation.metrics import mae, psnr, rmse
from meddenoise.evaluation.ms_ssim import ms_ssim
from meddenoise.evaluation.nps import noise_power_spectrum
from meddenoise.evaluation.ssim import SSIM, ssim
from meddenoise.evaluation.transfer import disc_ttf, edge_mtf
from meddenoise.evaluation.vif import vif

__all__ = [
    "SSIM",
    "Measured",
    "Metrics",
    "bias",
    "bias_by_region",
    "cnr",
    "compare",
    "contrast_recovery",
    "default_data_range",
    "disc_ttf",
    "edge_mtf",
    "gmsd",
    "hfen",
    "mae",
    "ms_ssim",
    "noise_power_spectrum",
    "psnr",
    "rmse",
    "ssim",
    "vif",
]
