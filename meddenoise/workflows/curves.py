"""Noise power and transfer of edges as curves, from scans to a table or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import OutputError, ParameterError
from meddenoise.evaluation.curves import Curve, curves_of
from meddenoise.evaluation.data_range import chosen_data_range
from meddenoise.evaluation.fields import map_values
from meddenoise.evaluation.scope import Scope
from meddenoise.evaluation.tissue import scan_tissue
from meddenoise.io import atomic_file
from meddenoise.io.named import path_of
from meddenoise.volume import Volume
from meddenoise.workflows.evaluate import name_of

__all__ = ["ScanCurves", "check_curves_file", "scan_curves", "write_curves"]

_HEAD = ("image", "volume", "curve", "of", "region", "frequency_per_mm", "value", "unit")


@dataclass(frozen=True)
class ScanCurves:
    """Curves of a scan, with what they were taken over.

    Attributes:
        curves: of each of several volumes.
        scope: range, window, mask and dimensions.
    """

    curves: tuple[Curve, ...]
    scope: Scope

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""
        return {**self.scope.as_dict(), "curves": [curve.as_dict() for curve in self.curves]}


def scan_curves(
    image: Volume,
    *,
    reference: Volume | None = None,
    noisy: Volume | None = None,
    mask: Volume | None = None,
    labels: Volume | None = None,
    data_range: float | None = None,
    window: tuple[float, float] | None = None,
    volume: int | None = None,
) -> ScanCurves:
    """Curves of a scan beside its reference, its noisy scan, or both; of each of several volumes.

    Noise power of noisy - denoised and of denoised - reference; the transfer of the strongest edges
    (of the reference, else of the denoised scan) in each, and what is kept of those of the first;
    with a label map noise power and transfer of each label.

    Args:
        image: the denoised scan, or what is judged.
        reference: the truth, on the same grid.
        noisy: the scan that it was made of, on the same grid; one of the two is needed.
        mask: where noise power and edges are looked for; by default the tissue of the reference or
            the noisy scan.
        labels: whole numbers, 0 for none.
        data_range: the scale that is told with the curves, none of which depends on it; by default
            the 99.9th minus the 0.1th percentile of the reference or the noisy scan.
        window: (centre, width) that all are clipped to first: as a reader at that window sees them.
        volume: which one of a scan of several was given, to be told.

    Raises:
        GeometryError: grids that differ.
        ParameterError: neither a reference nor a noisy scan, no voxel to look at, a constant scan,
            or an impossible range or window.
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
            if one.channels not in (1, base.channels):
                raise ParameterError(
                    f"{role.capitalize()} has {one.channels} volumes and {named} {base.channels}: "
                    "give it one, which is for all, or as many."
                )
            grid = Volume(base.array[: one.channels], base.affine)
            grid.check_same_grid(one, names=(named, role))
    regions = None if labels is None else map_values(labels)
    role = "noisy scan" if reference is None else "reference"
    peak, source = chosen_data_range(base, data_range, window, name=role)
    found: list[Curve] = []
    counted = 0
    for channel in range(base.channels):
        roles = {"reference": reference, "noisy": noisy, "image": image}
        whole = {name: _values(v, channel) for name, v in roles.items() if v is not None}
        arrays = {name: _clipped(values, window) for name, values in whole.items()}
        inside = _inside(base, channel, mask) & np.all(
            [np.isfinite(values) for values in arrays.values()], axis=0
        )
        if not inside.any():
            which = f"volume {channel + 1} of {named}" if base.channels > 1 else named
            raise ParameterError(
                f"There is no voxel to look at for curves in {which}: give another mask or scan."
            )
        counted += int(inside.sum())
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
            labels=None if regions is None else regions[min(channel, len(regions) - 1)],
            units=base.units,
        )
        several = base.channels > 1
        found += [replace(curve, volume=channel + 1) if several else curve for curve in told]
    which = "the mask" if mask is not None else f"the tissue of the {role}"
    scope = Scope(
        data_range=peak,
        data_range_source=source,
        window=None if window is None else (float(window[0]), float(window[1])),
        mask=which,
        voxels=counted,
        mask_fraction=counted / base.array.size,
        dimensions=base.dims,
        units=base.units,
        volume=volume,
    )
    return ScanCurves(tuple(found), scope)


def check_curves_file(path: Path | None) -> None:
    """Whether curves can be written under this name.

    Raises:
        OutputError: it ends neither in .json nor in .csv.
    """
    if path is not None and path.suffix.lower() not in (".json", ".csv"):
        raise OutputError(f"{path} is no name for curves: let it end in .json or .csv.")


def write_curves(path: Path, curves: Mapping[str, ScanCurves]) -> None:
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
        told = {name: found.as_dict() for name, found in curves.items()}
        text = json.dumps(told, indent=2, allow_nan=False) + "\n"
    else:
        buffer = io.StringIO()
        table = csv.writer(buffer, lineterminator="\n")
        table.writerow(_HEAD)
        for name, found in curves.items():
            for curve in found.curves:
                which = "" if curve.volume is None else curve.volume
                region = "" if curve.region is None else curve.region
                for f, value in zip(curve.frequencies, curve.values, strict=True):
                    cells = (name, which, curve.name, curve.of, region)
                    table.writerow((*cells, f"{f:.6g}", f"{value:.6g}", curve.unit))
        text = buffer.getvalue()
    with atomic_file(path_of(path), overwrite=True) as temporary:
        # Names are written as the file system has them, in whatever encoding that is.
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def _values(volume: Volume, channel: int) -> NDArray[np.float64]:
    return np.where(volume.valid_in(channel), volume.array[channel], np.nan).astype(np.float64)


def _clipped(
    values: NDArray[np.float64], window: tuple[float, float] | None
) -> NDArray[np.float64]:
    if window is None:
        return values
    centre, width = window
    return np.clip(values, centre - width / 2, centre + width / 2)


def _inside(base: Volume, channel: int, mask: Volume | None) -> NDArray[np.bool_]:
    if mask is not None:
        return np.asarray(map_values(mask)[min(channel, mask.channels - 1)] != 0)
    return scan_tissue(_values(base, channel), units=base.units, modality=base.modality)
