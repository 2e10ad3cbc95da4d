"""What OME-NGFF says of an image: its axes, and where its voxels are.

Versions 0.4 and 0.5 (https://ngff.openmicroscopy.org) know the size and shift of voxels along named
axes, and nothing of how these lie in a patient. For that there are ``orientation`` in the axes
(RFC-4, as ITK and ngff-zarr write it) and, for oblique grids, our own ``meddenoise`` beside it; an
image with neither is taken for LPS, as ITK takes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import AmbiguousInput, DamagedScan, FileError
from meddenoise.io.ngff.store import Attributes, groups_in

__all__ = ["OURS", "Image", "axis_metadata", "image_of", "multiscale_of", "transformations"]

OURS = "meddenoise"
_SPATIAL = ("x", "y", "z")
_MILLIMETRES = {
    "angstrom": 1e-7, "nanometer": 1e-6, "micrometer": 1e-3, "millimeter": 1.0, "centimeter": 10.0,
    "decimeter": 100.0, "meter": 1000.0, "inch": 25.4,
}  # fmt: skip
# Where an index leads that grows, as RFC-4 has it: the axis of RAS+, and its sign.
_TOWARDS = {
    "left-to-right": (0, 1), "right-to-left": (0, -1),
    "posterior-to-anterior": (1, 1), "anterior-to-posterior": (1, -1),
    "inferior-to-superior": (2, 1), "superior-to-inferior": (2, -1),
}  # fmt: skip
_LPS = {"x": (0, -1), "y": (1, -1), "z": (2, 1)}


@dataclass(frozen=True)
class Image:
    """One image of a store.

    Attributes:
        dataset: the array of its full resolution.
        axes: names of the array's axes, slowest first.
        affine: ``(4, 4)``, voxel index to RAS+ mm.
        units, modality: of the voxels, where we wrote them; else ``""``.
        oddities: what was assumed, a sentence each.
    """

    dataset: str
    axes: tuple[str, ...]
    affine: NDArray[np.float64]
    units: str = ""
    modality: str = ""
    oddities: tuple[str, ...] = ()

    @property
    def dims(self) -> int:
        """2 or 3."""
        return sum(name in _SPATIAL for name in self.axes)


def multiscale_of(attributes: Attributes) -> dict[str, Any] | None:
    """The first image in the attributes of a group; ``None`` if there is none."""
    ome = attributes.get("ome")
    held = ome if isinstance(ome, dict) else attributes
    found = held.get("multiscales")
    if isinstance(found, list) and found and isinstance(found[0], dict):
        return found[0]
    return None


def image_of(attributes: Attributes, path: Path) -> Image:
    """What a group says of its image.

    Raises:
        FileError: there is none, or not of two or three axes in space.
        AmbiguousInput: there are several in groups of their own.
        DamagedScan: what it says makes no sense.
    """
    multiscale = multiscale_of(attributes)
    if multiscale is None:
        inner = groups_in(path)
        if inner:
            names = ", ".join(inner[:5]) + (" ..." if len(inner) > 5 else "")
            raise AmbiguousInput(f"{path} is a collection: name the image in it, of {names}.")
        raise FileError(f"{path} is a zarr store without an OME-NGFF image.")
    try:
        dataset = multiscale["datasets"][0]
        said = [_axis(axis) for axis in multiscale["axes"]]
        axes = tuple(str(axis["name"]) for axis in said)
        sizes, shifts = _placed(
            [*dataset["coordinateTransformations"],
             *(multiscale.get("coordinateTransformations") or [])],
            len(axes),
        )  # fmt: skip
        name = str(dataset["path"])
    except (KeyError, IndexError, TypeError, ValueError) as fault:
        raise DamagedScan(
            f"{path}: what it says of its axes and voxel sizes makes no sense ({fault!r})."
        ) from fault
    _check_axes(axes, path)
    oddities: list[str] = []
    affine = _affine(said, axes, sizes, shifts, oddities)
    ours = attributes.get(OURS)
    ours = ours if isinstance(ours, dict) else {}
    affine = _oblique(ours.get("affine"), affine, oddities)
    return Image(
        name, axes, affine, str(ours.get("units", "")), str(ours.get("modality", "")),
        tuple(oddities),
    )  # fmt: skip


def _axis(said: Any) -> dict[str, Any]:
    return {"name": said} if isinstance(said, str) else dict(said)


def _placed(steps: list[Any], count: int) -> tuple[list[float], list[float]]:
    """Size and shift along each axis by all transformations, one after the other."""
    sizes, shifts = [1.0] * count, [0.0] * count
    for step in steps:
        kind = step["type"]
        if kind == "identity":
            continue
        numbers = [float(number) for number in step[kind]]
        if kind not in ("scale", "translation") or len(numbers) != count:
            raise ValueError(f"{kind} of {len(numbers)} numbers")
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"a {kind} that is not finite")
        if kind == "scale":
            if min(numbers) <= 0:
                raise ValueError("a scale that is not above 0")
            sizes = [one * two for one, two in zip(sizes, numbers, strict=True)]
            shifts = [one * two for one, two in zip(shifts, numbers, strict=True)]
        else:
            shifts = [one + two for one, two in zip(shifts, numbers, strict=True)]
    return sizes, shifts


def _check_axes(axes: tuple[str, ...], path: Path) -> None:
    known = {*_SPATIAL, "t", "c"}
    if len(set(axes)) < len(axes) or not {"x", "y"} <= set(axes) <= known:
        raise FileError(
            f"{path} has axes {', '.join(axes)}: y and x, with z, t and c or without, are read."
        )


def _affine(
    said: list[dict[str, Any]],
    axes: tuple[str, ...],
    sizes: list[float],
    shifts: list[float],
    oddities: list[str],
) -> NDArray[np.float64]:
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    towards = _orientation(said, oddities)
    unnamed = []
    for name in _SPATIAL:
        row, sign = towards[name]
        column = _SPATIAL.index(name)
        if name not in axes:
            affine[row, column] = sign
            continue
        place = axes.index(name)
        unit = str(said[place].get("unit") or "")
        if unit not in _MILLIMETRES:
            unnamed.append(f"{name} ({unit})" if unit else name)
        factor = _MILLIMETRES.get(unit, 1.0)
        affine[row, column] = sign * sizes[place] * factor
        affine[row, 3] = sign * shifts[place] * factor
    if unnamed:
        oddities.append(f"No known unit of length along {', '.join(unnamed)}: taken for mm.")
    return affine


def _orientation(said: list[dict[str, Any]], oddities: list[str]) -> dict[str, tuple[int, int]]:
    """Where each axis leads: as it is said, or all of them to LPS."""
    found = {}
    for axis in said:
        told = axis.get("orientation") or axis.get("anatomicalOrientation")
        value = told.get("value") if isinstance(told, dict) else None
        if axis["name"] in _SPATIAL and isinstance(value, str) and value in _TOWARDS:
            found[str(axis["name"])] = _TOWARDS[value]
    spatial = [axis["name"] for axis in said if axis["name"] in _SPATIAL]
    if len(found) == len(spatial):
        left = [row for row in range(3) if row not in {row for row, _ in found.values()}]
        for name in _SPATIAL:
            if name not in found and left:
                found[name] = (left.pop(), 1)
        if len({row for row, _ in found.values()}) == 3:
            return found
    oddities.append("It does not say how it lies in the patient: taken for LPS.")
    return _LPS


def _oblique(told: Any, affine: NDArray[np.float64], oddities: list[str]) -> NDArray[np.float64]:
    """Our own affine, if there is one for voxels of the same sizes."""
    if told is None:
        return affine
    try:
        own = np.asarray(told, dtype=np.float64)
        sizes, known = (np.linalg.norm(a[:3, :3], axis=0) for a in (own, affine))
        fits = own.shape == (4, 4) and np.allclose(sizes, known, rtol=1e-4)
    except (TypeError, ValueError, IndexError):
        fits = False
    if not fits:
        oddities.append("Its affine by meddenoise is of other voxel sizes, and is not used.")
        return affine
    oddities[:] = [one for one in oddities if "lies in the patient" not in one]
    return own


def axis_metadata(
    affine: NDArray[np.float64], dims: int, *, channels: bool
) -> list[dict[str, Any]]:
    """The axes of a new image ``([c,] [z,] y, x)``, each with where it leads, as near as it is."""
    towards = {place: value for value, place in _TOWARDS.items()}
    axes: list[dict[str, Any]] = [{"name": "c", "type": "channel"}] if channels else []
    for name in reversed(_SPATIAL[:dims]):
        row, sign = _nearest(affine)[_SPATIAL.index(name)]
        axes.append(
            {
                "name": name,
                "type": "space",
                "unit": "millimeter",
                "orientation": {"type": "anatomical", "value": towards[row, sign]},
            }
        )
    return axes


def transformations(
    affine: NDArray[np.float64], dims: int, *, channels: bool
) -> tuple[list[dict[str, Any]], bool]:
    """Size and shift of a new image's voxels, and whether they say all of the affine."""
    nearest = _nearest(affine)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    shifts = [sign * affine[row, 3] for row, sign in nearest]
    said = np.zeros((4, 4))
    said[3, 3] = 1.0
    for column, (row, sign) in enumerate(nearest):
        said[row, column] = sign * sizes[column]
        said[row, 3] = sign * shifts[column]
    order = list(reversed(range(dims)))
    whole = bool(np.allclose(said, affine, rtol=1e-7, atol=1e-9)) and dims == 3
    before = [1.0] if channels else []
    return [
        {"type": "scale", "scale": [*before, *(float(sizes[axis]) for axis in order)]},
        {
            "type": "translation",
            "translation": [*(0.0 for _ in before), *(float(shifts[axis]) for axis in order)],
        },
    ], whole


def _nearest(affine: NDArray[np.float64]) -> list[tuple[int, int]]:
    """For each voxel axis the axis of RAS+ that it runs along most, and its sign."""
    left = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    found = [(0, 1)] * 3
    for _ in range(3):
        row, column = np.unravel_index(np.argmax(left), (3, 3))
        found[column] = (int(row), 1 if affine[row, column] > 0 else -1)
        left[row, :] = left[:, column] = -1
    return found
