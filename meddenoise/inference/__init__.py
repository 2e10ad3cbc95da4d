"""A model file and a scan in, a denoised scan out."""

from meddenoise.inference.denoiser import Denoiser
from meddenoise.inference.model_file import read_model_info

__all__ = ["Denoiser", "read_model_info"]
