"""The tissues of a reference, found by its intensities, and the signed error in each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.lungs import LUNG, lungs
from meddenoise.evaluation.tissue import scan_tissue
from meddenoise.volume import Volume

__all__ = ["TissueBias", "Tissues", "bias_by_tissue"]

# HU. Adipose tissue and muscle: Mitsiopoulos et al. 1998; bone: above what contrast-filled vessels
# and marrow have. Between the ranges lie mixtures, which are no tissue.
_HU = (
    ("air", -np.inf, LUNG[0]),
    ("lung", *LUNG),
    ("fat", -190.0, -30.0),
    ("soft tissue", -29.0, 150.0),
    ("bone", 300.0, np.inf),
)
_SHADES = ("dark", "medium", "bright")
# Voxels whose mean says something: noise of 20 HU is known to half a HU.
_FEWEST = 500
# Voxels: the mean over 3 moves a border by one, and a blur in the image reaches one further.
_BORDER = 2
# Of the values that thresholds are found in.
_ENOUGH = 1_000_000

Array = NDArray[np.floating]


# A name with its range in the reference, and where it is.
_Share = tuple[tuple[str, float, float], NDArray[np.bool_]]


@dataclass(frozen=True)
class TissueBias:
    """The signed error within one tissue.

    Attributes:
        name: of the tissue.
        low, high: its range in the reference, image units; ``None`` for no limit.
        voxels: how many.
        reference: their mean in the reference; ``None`` where there are too few.
        bias: mean of image minus reference there.
        error: standard deviation of that difference.
        reason: why there are no numbers, else ``""``.
    """

    name: str
    low: float | None
    high: float | None
    voxels: int
    reference: float | None = None
    bias: float | None = None
    error: float | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON; ``reason`` only where there are no numbers."""
        told = asdict(self)
        if not self.reason:
            del told["reason"]
        return told


@dataclass(frozen=True)
class Tissues:
    """The signed error by tissue.

    Attributes:
        biases: an entry a tissue, also for those that are not there.
        convention: how they were found and what counts, in words.
        reason: why there are none, else ``""``.
        units: of the voxels.
    """

    biases: tuple[TissueBias, ...]
    convention: str
    reason: str = ""
    units: str = ""

    @property
    def places(self) -> tuple[object, ...]:
        """The same for images whose tissues lie at the same places, so that rows are of one."""
        rows = ((one.name, one.low, one.high, one.voxels, one.reference) for one in self.biases)
        return (self.reason, self.convention, *rows)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""
        told: dict[str, Any] = {
            "biases": [one.as_dict() for one in self.biases] or None,
            "units": self.units,
            "convention": self.convention,
        }
        return told | {"reason": self.reason} if self.reason else told


def bias_by_tissue(
    reference: Volume,
    truth: Array,
    image: Array,
    *,
    mask: NDArray[np.bool_],
    named: str = "the reference",
    window: tuple[float, float] | None = None,
) -> Tissues:
    """The signed error within each tissue of the reference, away from its borders.

    CT in HU falls into tissues by fixed ranges, lung also by its place
    (:mod:`meddenoise.evaluation.lungs`). Of other scans what :func:`scan_tissue` finds falls into
    three classes by Otsu's thresholds (Liao et al. 2001), shared by all channels, and the rest is
    the background.

    A voxel belongs to a tissue if the reference's mean over 3 voxels along each axis is in its
    range (so that noise left in a reference does not choose), there and within two steps along
    axes: at borders a class would hold mixtures, and the error there is that of edges.

    Args:
        reference: where the tissues are found.
        truth: what the image is held against, ``(C, X, Y[, Z])``: the reference, or the same in a
            window.
        image: what is judged, the same shape and unit.
        mask: bool, the same shape: what counts; finite in all three.
        named: what the reference is, for the convention.
        window: (lowest, highest) value that both images were clipped to: a tissue beyond it has no
            error that could be told.
    """
    hu = reference.units == "HU"
    how = "ranges of HU" if hu else "Otsu's thresholds"
    about = f"by {how} in {named}'s mean of 3 voxels along each axis, borders of 2 voxels"
    told = {"convention": f"{about} left out", "units": reference.units}
    smooth = _smooth(reference.array)
    try:
        shares = _in_hu(smooth, mask) if hu else _by_shade(reference, smooth, mask)
    except ParameterError as fault:
        return Tissues((), reason=str(fault), **told)
    low, high = window or (-np.inf, np.inf)
    biases = (
        _of(kind, _inner(where), truth, image, outside=kind[2] <= low or kind[1] >= high)
        for kind, where in shares
    )
    return Tissues(tuple(biases), **told)


def _in_hu(smooth: Array, mask: NDArray[np.bool_]) -> list[_Share]:
    shares = []
    for name, low, high in _HU:
        where = mask & (smooth >= low) & (smooth < high)
        if name == "lung" and where.any():
            where &= np.stack([lungs(channel) for channel in smooth])
        shares.append(((name, low, high), where))
    return shares


def _by_shade(reference: Volume, smooth: Array, mask: NDArray[np.bool_]) -> list[_Share]:
    """Background, dark, medium and bright.

    Raises:
        ParameterError: the reference has no three intensities to part.
    """
    from skimage.filters import threshold_multiotsu

    kind = {"units": reference.units, "modality": reference.modality}
    channels = zip(reference.array, mask, strict=True)
    tissue = np.stack([scan_tissue(np.where(w, one, np.nan), **kind) & w for one, w in channels])
    values = smooth[tissue]
    few = values[:: max(1, values.size // _ENOUGH)]
    try:
        # The brightest thousandth (a vessel, an artefact) would widen the histogram's bins.
        few = np.minimum(few, np.percentile(few, 99.9)) if few.size else few
        found = threshold_multiotsu(few, classes=len(_SHADES)) if few.size else None
    except ValueError:
        found = None
    if found is None:
        raise ParameterError(
            f"The reference has no {len(_SHADES)} intensities by which its tissues could be told "
            "apart."
        )
    limits = [-np.inf, *map(float, found), np.inf]
    shares: list[_Share] = []
    if not np.array_equal(tissue, mask):
        shares.append((("background", -np.inf, np.inf), mask & ~tissue))
    for name, low, high in zip(_SHADES, limits[:-1], limits[1:], strict=True):
        shares.append(((name, low, high), tissue & (smooth >= low) & (smooth < high)))
    return shares


def _of(
    kind: tuple[str, float, float],
    where: NDArray[np.bool_],
    truth: Array,
    image: Array,
    *,
    outside: bool,
) -> TissueBias:
    count = int(np.count_nonzero(where))
    name = kind[0]
    low, high = (float(v) if np.isfinite(v) else None for v in kind[1:])
    if count < _FEWEST:
        why = f"{count} voxels away from its borders: at least {_FEWEST} are needed"
        return TissueBias(name, low, high, count, reason=why)
    if outside:
        return TissueBias(name, low, high, count, reason="it lies outside of the window")
    there = truth[where]
    apart = image[where] - there
    mean, bias = (float(values.mean(dtype=np.float64)) for values in (there, apart))
    error = float(apart.std(dtype=np.float64))
    return TissueBias(name, low, high, count, mean, bias, error)


def _smooth(reference: Array) -> NDArray[np.float32]:
    from scipy.ndimage import uniform_filter

    smooth = np.empty(reference.shape, np.float32)
    for one, out in zip(reference, smooth, strict=True):
        known = np.nan_to_num(one.astype(np.float32), copy=False, posinf=0.0, neginf=0.0)
        uniform_filter(known, 3, out, mode="nearest")
    return smooth


def _inner(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without its border; the image's rim is none."""
    from scipy.ndimage import binary_erosion

    return np.stack([binary_erosion(one, iterations=_BORDER, border_value=1) for one in where])
