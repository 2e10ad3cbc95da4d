"""How close a denoised image is to the truth: metrics that say what they measured."""

from __future__ import annotations

from meddenoise.evaluation.compare import Metrics, compare, default_data_range
from meddenoise.evaluation.metrics import mae, psnr, rmse
from meddenoise.evaluation.ssim import SSIM, ssim

__all__ = ["SSIM", "Metrics", "compare", "default_data_range", "mae", "psnr", "rmse", "ssim"]
