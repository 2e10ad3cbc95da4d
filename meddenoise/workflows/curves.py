"""Noise power and transfer of edges as curves, from scans to a table or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import OutputError, ParameterError
from meddenoise.evaluation.curves import Curve, curves_of
from meddenoise.evaluation.tissue import scan_tissue
from meddenoise.io import atomic_file
from meddenoise.volume import Volume
from meddenoise.workflows.evaluate import name_of

__all__ = ["check_curves_file", "scan_curves", "write_curves"]

_HEAD = ("image", "volume", "curve", "of", "region", "frequency_per_mm", "value", "unit")


def scan_curves(
    image: Volume,
    *,
    reference: Volume | None = None,
    noisy: Volume | None = None,
    mask: Volume | None = None,
    labels: Volume | None = None,
) -> tuple[Curve, ...]:
    """Curves of a scan beside its reference, its noisy scan, or both; of each of several volumes.

    Noise power of noisy - denoised and of denoised - reference; the transfer of the strongest edges
    (of the reference, else of the denoised scan) in each, and what is kept of those of the first;
    with a label map noise power and transfer of each label. Intensities are as they are: a display
    window is not applied.

    Args:
        image: the denoised scan, or what is judged.
        reference: the truth, on the same grid.
        noisy: the scan that it was made of, on the same grid; one of the two is needed.
        mask: where noise power and edges are looked for; by default the tissue of the reference or
            the noisy scan.
        labels: whole numbers, 0 for none.

    Raises:
        GeometryError: grids that differ.
        ParameterError: neither a reference nor a noisy scan, or no voxel to look at.
    """
    base = reference if reference is not None else noisy
    if base is None:
        raise ParameterError("Curves want a reference or the noisy scan beside the image.")
    named = name_of(base, "the scan")
    for other, role in ((image, "the image"), (noisy, "the noisy scan")):
        if other is not None:
            base.check_same_grid(other, names=(named, name_of(other, role)))
    for one, role in ((mask, "the mask"), (labels, "the label map")):
        if one is not None:
            grid = Volume(base.array[: one.channels], base.affine)
            grid.check_same_grid(one, names=(named, role))
    found: list[Curve] = []
    for channel in range(base.channels):
        roles = {"reference": reference, "noisy": noisy, "image": image}
        arrays = {name: _values(v, channel) for name, v in roles.items() if v is not None}
        inside = _inside(base, channel, mask) & np.all(
            [np.isfinite(values) for values in arrays.values()], axis=0
        )
        if not inside.any():
            raise ParameterError("There is no voxel to look at for curves: give another mask.")
        differences = {}
        if noisy is not None:
            differences["noisy - image"] = arrays["noisy"] - arrays["image"]
        if reference is not None:
            differences["image - reference"] = arrays["image"] - arrays["reference"]
        told = curves_of(
            arrays,
            differences,
            guide="image" if reference is None else "reference",
            spacing=base.spacing,
            mask=inside,
            labels=None if labels is None else labels.array[min(channel, labels.channels - 1)],
            units=base.units,
        )
        several = base.channels > 1
        found += [replace(curve, volume=channel + 1) if several else curve for curve in told]
    return tuple(found)


def check_curves_file(path: Path | None) -> None:
    """Whether curves can be written under this name.

    Raises:
        OutputError: it ends neither in .json nor in .csv.
    """
    if path is not None and path.suffix.lower() not in (".json", ".csv"):
        raise OutputError(f"{path} is no name for curves: let it end in .json or .csv.")


def write_curves(path: Path, curves: Mapping[str, Sequence[Curve]]) -> None:
    """Write the curves of each image: JSON with all that is known of them, or a CSV of points.

    In a CSV each point is a row, and a curve that there is none of is not there; in JSON it is
    ``null``, with the reason.

    Args:
        path: ends in ``.json`` or ``.csv``.
        curves: by image.

    Raises:
        OutputError: another ending, or the file cannot be written.
    """
    check_curves_file(path)
    if path.suffix.lower() == ".json":
        told: dict[str, Any] = {
            name: [curve.as_dict() for curve in found] for name, found in curves.items()
        }
        text = json.dumps(told, indent=2, allow_nan=False) + "\n"
    else:
        buffer = io.StringIO()
        table = csv.writer(buffer, lineterminator="\n")
        table.writerow(_HEAD)
        for name, found in curves.items():
            for curve in found:
                which = "" if curve.volume is None else curve.volume
                region = "" if curve.region is None else curve.region
                for f, value in zip(curve.frequencies, curve.values, strict=True):
                    cells = (name, which, curve.name, curve.of, region)
                    table.writerow((*cells, f"{f:.6g}", f"{value:.6g}", curve.unit))
        text = buffer.getvalue()
    with atomic_file(path.expanduser(), overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _values(volume: Volume, channel: int) -> NDArray[np.float64]:
    return np.where(volume.valid[channel], volume.array[channel], np.nan).astype(np.float64)


def _inside(base: Volume, channel: int, mask: Volume | None) -> NDArray[np.bool_]:
    if mask is not None:
        values = mask.array[min(channel, mask.channels - 1)]
        return np.asarray(np.isfinite(values) & (values != 0))
    return scan_tissue(_values(base, channel), units=base.units, modality=base.modality)
