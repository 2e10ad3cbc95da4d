"""What a tool made of a case, told from the case's truth: nothing here knows which tool it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

PLACE = 0.02  # mm: voxels nearer than this to where they belong are in place
KINDS = ("right", "refuses", "warns", "changes", "wrong", "traceback", "crash", "hang", "cannot")
# Raised by mistakes in a program, not by a program that found one in a file.
MISTAKES = {
    "ArithmeticError", "AssertionError", "AttributeError", "BufferError", "error", "IndexError",
    "KeyError", "MemoryError", "NameError", "OperationalError", "RecursionError",
    "TypeError", "UnboundLocalError", "ZeroDivisionError", "UnicodeDecodeError",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Placed:
    """Voxels and where they belong.

    Attributes:
        values: ``(N,)``, or ``(N, C)`` for several components or times.
        points: ``(N, 3)`` RAS mm of the voxels' centres.
        count: how many voxels there are; more than N if only some are looked at.
        slices: how many slices they make, for sentences.
        tolerance: what values may differ by.
    """

    values: np.ndarray
    points: np.ndarray
    count: int
    slices: int
    tolerance: float = 1e-3

    @classmethod
    def of(cls, array: np.ndarray, affine: np.ndarray, **options: Any) -> Placed:
        """All voxels of ``(X, Y, Z[, C])`` on a grid."""
        indices = np.indices(array.shape[:3]).reshape(3, -1)
        points = (affine[:3, :3] @ indices).T + affine[:3, 3]
        values = array.reshape(len(points), *array.shape[3:])
        return cls(values, points, len(points), array.shape[2], **options)


@dataclass(frozen=True)
class Losses:
    """What differs in a file that was written back.

    Attributes:
        wrong: faults of voxels, their values and places, and of identity.
        changes: elements of the header that were lost or changed.
    """

    wrong: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        told = [*self.wrong, *self.changes]
        return "; ".join(told if len(told) <= 3 else [*told[:2], f"and {len(told) - 2} more"])


@dataclass(frozen=True, eq=False)
class Case:
    """One row of the table.

    Attributes:
        group, name: what stands in the row.
        format: ``"nifti"``, ``"nrrd"``, ``"metaimage"``, ``"dicom"``, or ``"to nifti"``: DICOM
            that is to be written as NIfTI.
        path: the file or directory that is handed to the tool.
        truth: the volumes that it holds; none where the only right answer is to refuse.
        words: a regular expression that a warning or an error matches if it names the fault.
        compare: for what is written back: ``(source, result)`` to what was lost.
        either: any one of ``truth`` is right, instead of all together.
    """

    group: str
    name: str
    format: str
    path: Path
    truth: tuple[Placed, ...] = ()
    words: str = "(?!)"
    compare: Callable[[Path, Path], Losses] | None = None
    either: bool = False

    @property
    def op(self) -> str:
        return "read" if self.compare is None else "return"

    def out(self, place: Path) -> Path:
        """Where the result is to be written."""
        if self.format == "to nifti":
            return place / "out.nii.gz"
        if self.path.is_dir():
            return place / "out"
        return place / f"out{''.join(self.path.suffixes)}"


@dataclass(frozen=True)
class Verdict:
    """One cell: a kind of ``KINDS`` and a few words."""

    kind: str
    text: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def judge(case: Case, place: Path, end: str) -> Verdict:
    """The verdict on what a tool left in ``place``."""
    if end != "done":
        return Verdict("hang" if end == "hang" else "crash", end)
    said = (place / "said").read_text(errors="replace") if (place / "said").exists() else ""
    if (place / "error.json").exists():
        return _refusal(case, *json.loads((place / "error.json").read_text()))
    details = {"said": said.strip()[:500]}
    losses = _losses(case, place) if case.op == "return" else Losses(_misreading(case, place))
    if losses == Losses():
        return Verdict("right", "", details)
    if re.search(case.words, said, re.I):
        return Verdict("warns", losses.text, details)
    return Verdict("wrong" if losses.wrong else "changes", losses.text, details)


def _refusal(case: Case, kind: str, message: str) -> Verdict:
    details = {"said": f"{kind}: {message[:500]}"}
    line = " ".join(message.split())
    if kind in MISTAKES or not line:
        return Verdict("traceback", kind, details)
    clear = case.path.name in message or re.search(case.words, message, re.I)
    return Verdict("refuses", "" if clear else "does not say why", details)


def _misreading(case: Case, place: Path) -> tuple[str, ...]:
    with np.load(place / "volumes.npz") as stored:
        count = len(stored.files) // 2
        volumes = [(stored[f"array{n}"], stored[f"affine{n}"]) for n in range(count)]
    if not case.truth:
        return (f"read as {_shape(volumes[0][0])}, {_range(volumes[0][0])}",)
    faults = []
    for truth in case.truth:
        found = [fault(array, affine, truth) for array, affine in volumes]
        if None not in found:
            faults.append(min((text for text in found if text), key=len))
    if case.either:
        return () if len(faults) < len(case.truth) else tuple(faults[:1])
    if faults and len(case.truth) > 1:
        shapes = ", ".join(_shape(array) for array, _ in volumes)
        return (f"{len(case.truth) - len(faults)} of {len(case.truth)} volumes, read as {shapes}",)
    return tuple(faults)


def _losses(case: Case, place: Path) -> Losses:
    assert case.compare is not None
    out = case.out(place)
    if not out.exists():
        return Losses(("nothing was written",))
    try:
        return case.compare(case.path, out)
    except Exception as error:
        return Losses((f"the result cannot be read ({type(error).__name__}: {error})",))


def fault(array: np.ndarray, affine: np.ndarray, truth: Placed) -> str | None:
    """What is wrong with a volume, in a few words; ``None`` if nothing is."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim < 3 or array.ndim - 3 != truth.values.ndim - 1:
        return f"read as {_shape(array)}"
    voxels = int(np.prod(array.shape[:3]))
    if voxels != truth.count:
        slices = voxels * truth.slices / truth.count
        if slices == int(slices):
            return f"{int(slices)} of {truth.slices} slices"
        return f"read as {_shape(array)}"
    if array.shape[3:] != truth.values.shape[1:]:
        return f"read as {_shape(array)}"
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        return "an affine that puts voxels nowhere"
    size = np.array(array.shape[:3])
    index = (np.linalg.inv(affine[:3, :3]) @ (truth.points - affine[:3, 3]).T).T
    nearest = np.clip(np.rint(index), 0, size - 1).astype(int)
    away = np.linalg.norm((affine[:3, :3] @ nearest.T).T + affine[:3, 3] - truth.points, axis=1)
    there = array[tuple(nearest.T)]
    same = np.isclose(there, truth.values, rtol=1e-5, atol=truth.tolerance, equal_nan=True)
    if away.max() <= PLACE and same.all():
        return None
    return _displaced(array, affine, truth) or _misread(away, there, truth)


def _displaced(array: np.ndarray, affine: np.ndarray, truth: Placed) -> str | None:
    """How far voxels are from their places, where all values are different and all are there."""
    if truth.values.ndim > 1 or len(truth.values) != truth.count:
        return None
    flat = array.reshape(-1)
    found, wanted = np.argsort(flat), np.argsort(truth.values)
    if not np.allclose(flat[found], truth.values[wanted], rtol=1e-5, atol=truth.tolerance):
        return None
    if len(np.unique(truth.values)) < truth.count:
        return None
    index = np.stack(np.unravel_index(found, array.shape))
    points = (affine[:3, :3] @ index).T + affine[:3, 3]
    away = np.linalg.norm(points - truth.points[wanted], axis=1).max()
    return f"voxels up to {away:.3g} mm out of place"


def _misread(away: np.ndarray, there: np.ndarray, truth: Placed) -> str:
    if away.max() > PLACE:
        return f"voxels up to {away.max():.3g} mm out of place"
    if _range(there) == _range(truth.values):
        return f"values off by up to {np.nanmax(np.abs(there - truth.values)):.4g}"
    return f"values {_range(there)} instead of {_range(truth.values)}"


def _range(values: np.ndarray) -> str:
    if np.iscomplexobj(values):
        return "complex"
    values = np.asarray(values, float)
    if not np.isfinite(values).any():
        return "all NaN"
    low, high = np.nanmin(values), np.nanmax(values)
    if low == high:
        return f"all {low:.4g}"
    holes = " and NaN" if np.isnan(values).any() else ""
    return f"{low:.4g} to {high:.4g}{holes}"


def _shape(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape))
