"""``describe``: what a scan is, in plain JSON and without anything about the patient."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from meddenoise.io.reading import read
from meddenoise.io.source import HeaderSource
from meddenoise.volume import Volume

__all__ = ["describe", "describe_volume"]


def describe(path: str | os.PathLike[str], series: str | None = None) -> dict[str, Any]:
    """Geometry, stored type, units and value range of a scan, and what is odd about it.

    Returns:
        A dictionary for ``json.dumps``: ``format``, ``shape``, ``channels``, ``spacing`` (mm),
        ``orientation`` (the axes' directions, such as ``"LPS"``), ``affine`` (RAS+ mm),
        ``dtype``, ``slope``, ``intercept``, ``units``, ``modality``, ``range``, ``finite``,
        ``padding``, ``files``, ``oddities``, ``irregular`` and the format's own ``details``.

    Raises:
        FileError, AmbiguousInput, GeometryError: as :func:`~meddenoise.io.read`.
    """
    return describe_volume(read(path, series=series))


def describe_volume(volume: Volume) -> dict[str, Any]:
    """:func:`describe` for a volume that has been read already."""
    valid = volume.valid
    whole = bool(valid.all())
    values = volume.array if whole else volume.array[valid]
    facts: dict[str, Any] = {
        "format": "array",
        "shape": list(volume.shape),
        "channels": volume.channels,
        "spacing": [round(size, 6) for size in volume.spacing],
        "orientation": orientation(volume.affine),
        "affine": [[float(x) for x in row] for row in volume.affine],
        "dtype": str(volume.array.dtype),
        "units": volume.units,
        "modality": volume.modality,
        "range": [_number(values.min()), _number(values.max())] if values.size else None,
        "finite": whole or bool(np.isfinite(volume.array).all()),
        "padding": 0 if volume.padding is None else int(np.count_nonzero(volume.padding)),
    }
    source = volume.source
    if isinstance(source, HeaderSource):
        storage = source.storage
        facts.update(
            format=source.format,
            dtype=str(storage.dtype) if storage else "varies by slice",
            slope=_number(storage.slope) if storage else None,
            intercept=_number(storage.intercept) if storage else None,
            files=len(source.files),
            oddities=list(source.oddities),
            irregular=list(source.irregular),
            details=source.details(),
        )
    return facts


def orientation(affine: np.ndarray) -> str:
    """The anatomical direction in which each voxel axis runs, for example ``"LPS"``."""
    remaining = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    letters = [""] * 3
    for _ in range(3):  # the clearest axis first, so that an oblique grid gets three letters
        row, column = np.unravel_index(np.argmax(remaining), (3, 3))
        letters[column] = ("LR", "PA", "IS")[row][int(affine[row, column] > 0)]
        remaining[row, :] = remaining[:, column] = -1
    return "".join(letters)


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
