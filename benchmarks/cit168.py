"""The CIT168 crop: a T1-weighted template with added noise that is the same everywhere.

``mri/cit168_t1.nii.gz``, clipped at 0 and divided by its 99.9th percentile; the central
128 x 128 x 64 voxels; noise 0.1 * N(0, 1) from numpy's ``default_rng(0)``. Scores are
scikit-image's with its defaults (SSIM: uniform window of 7, in 3-D), data range 1.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

__all__ = ["crop_of", "load_crop", "psnr", "ssim"]

HALF = (64, 64, 32)
SIGMA = 0.1


def load_crop(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(clean, noisy, affine)``; ends the program with a clear message without the file."""
    return crop_of(data / "mri" / "cit168_t1.nii.gz")


def crop_of(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of another volume."""
    if not file.exists():
        raise SystemExit(f"There is no {file}: give the directory of the public scans by --data.")
    image = nib.load(file)
    whole = np.clip(np.asanyarray(image.dataobj).astype(np.float32), 0, None)
    whole = whole / np.percentile(whole, 99.9)
    corner = [n // 2 - half for n, half in zip(whole.shape, HALF, strict=True)]
    cut = tuple(slice(c, c + 2 * half) for c, half in zip(corner, HALF, strict=True))
    clean = np.ascontiguousarray(whole[cut], dtype=np.float32)
    drawn = np.random.default_rng(0).standard_normal(clean.shape)
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3, 3] += affine[:3, :3] @ corner
    return clean, (clean + SIGMA * drawn).astype(np.float32), affine


def psnr(clean: np.ndarray, image: np.ndarray) -> float:
    """In dB."""
    from skimage.metrics import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(clean, image, data_range=1.0))


def ssim(clean: np.ndarray, image: np.ndarray) -> float:
    """Of the whole crop in 3-D."""
    from skimage.metrics import structural_similarity

    return float(structural_similarity(clean, image, data_range=1.0))
