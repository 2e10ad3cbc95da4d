"""Scores images against a reference."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import ArrayLike

from meddenoise.evaluation import Metrics, compare
from meddenoise.io import read
from meddenoise.io.source import HeaderSource
from meddenoise.volume import Volume

__all__ = ["evaluate"]

Image = Volume | ArrayLike | str | os.PathLike[str]


def evaluate(
    reference: Image,
    image: Image,
    *,
    mask: Image | None = None,
    data_range: float | None = None,
    window: tuple[float, float] | None = None,
) -> Metrics:
    """PSNR, SSIM, RMSE and MAE of an image, with the conventions they were taken by.

    Args:
        reference: the clean image: a volume, an array, or a path.
        image: what is scored, on the same grid.
        mask: only where it is above 0.
        data_range: the peak of PSNR and SSIM; by default from the reference, see
            :func:`meddenoise.evaluation.compare`.
        window: (centre, width) that both are clipped to first.

    Raises:
        GeometryError: the grids do not match.
        ParameterError: an empty mask, a constant reference, an impossible range.
    """
    inside = None if mask is None else _open(mask)
    truth, judged = _open(reference), _open(image)
    if isinstance(truth, Volume) and isinstance(judged, Volume):
        names = (_name(reference, "the reference"), _name(image, "the image"))
        truth.check_same_grid(judged, names=names)
    return compare(truth, judged, mask=inside, data_range=data_range, window=window)


def _open(image: Image) -> Volume | np.ndarray:
    if isinstance(image, Volume):
        return image
    return read(image) if isinstance(image, (str, os.PathLike)) else np.asarray(image)


def _name(image: Image, role: str) -> str:
    """Where it was read, for messages."""
    if isinstance(image, (str, os.PathLike)):
        return os.fspath(image)
    source = image.source if isinstance(image, Volume) else None
    return str(source.path) if isinstance(source, HeaderSource) else role
