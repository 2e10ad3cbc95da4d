"""Curves over spatial frequency: noise power, and transfer of edges and of labelled inserts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.bias import checked_labels
from meddenoise.evaluation.fields import as_floats
from meddenoise.evaluation.measured import Measured, undefined
from meddenoise.evaluation.nps import NoisePowerSpectrum, noise_power_spectrum
from meddenoise.evaluation.region_transfer import region_transfer
from meddenoise.evaluation.resolution import edge_transfer, find_edges
from meddenoise.evaluation.transfer import Transfer, falls_to

__all__ = ["Curve", "curves_of", "edge_curves", "noise_power", "region_curves"]

NOISE_POWER, TRANSFER, KEPT = "noise power", "transfer of edges", "edges kept"
INSERT = "transfer of an insert"
# Below that share of the largest, an edge's spectrum says nothing about what became of it.
_LEAST = 0.1
_NO_STEP = (
    "the mean profile across the edges is that of lines and not of steps: at frequency 0, which "
    "its spectrum would be held against, there is next to nothing"
)
_SIDES = (32, 16, 8)

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Curve:
    """One curve over spatial frequency.

    Attributes:
        name: what it is.
        of: the image or difference that it is of.
        frequencies: in cycles per mm; empty where there is no curve.
        values: at each frequency.
        unit: of the values; ``""`` for a pure number.
        numbers: what is read off it, by name.
        convention: how it was measured, in words.
        reason: why there is no curve, else ``""``.
        region: the label that it is of, if any.
        volume: of a scan of several, from 1.
    """

    name: str
    of: str
    frequencies: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    unit: str = ""
    numbers: Mapping[str, Measured] = field(default_factory=dict)
    convention: str = ""
    reason: str = ""
    region: int | None = None
    volume: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON; without a curve they are ``None``, with the reason."""
        there = not self.reason
        told: dict[str, Any] = {"curve": self.name, "of": self.of}
        if self.region is not None:
            told["region"] = self.region
        if self.volume is not None:
            told["volume"] = self.volume
        told |= {
            "frequencies_per_mm": list(self.frequencies) if there else None,
            "values": list(self.values) if there else None,
            "unit": self.unit,
            "numbers": {name: one.as_dict() for name, one in self.numbers.items()},
            "convention": self.convention,
        }
        return told if there else told | {"reason": self.reason}


def curves_of(
    images: Mapping[str, Array],
    differences: Mapping[str, Array],
    *,
    guide: str,
    spacing: Sequence[float],
    mask: NDArray[np.bool_],
    labels: Array | None = None,
    units: str = "",
) -> tuple[Curve, ...]:
    """All curves of images of one thing: noise power of differences, edges, and labelled inserts.

    Args:
        images: by name, ``(X, Y)`` or ``(X, Y, Z)``, image units; that which the others are held
            against comes first.
        differences: by name, the same shape: noise, what was taken away, or errors.
        guide: the name of the image whose strongest edges are looked at in all: the truth, or
            else the one with least noise.
        spacing: voxel size in mm per axis.
        mask: bool, the same shape: where noise power and edges are looked for; finite in all.
        labels: whole numbers, the same shape, 0 for none: noise power and transfer of each region.
        units: of the voxels.

    Raises:
        ParameterError: a label map that is none.
    """
    found = [
        noise_power(values, of, spacing=spacing, mask=mask, units=units)
        for of, values in differences.items()
    ]
    found += edge_curves(images, guide=guide, spacing=spacing, mask=mask, units=units)
    if labels is not None:
        found += region_curves(images, labels, spacing=spacing, units=units)
    return tuple(found)


def noise_power(
    values: Array,
    of: str,
    *,
    spacing: Sequence[float],
    mask: NDArray[np.bool_],
    units: str = "",
    sides: Sequence[int] = _SIDES[:1],
) -> Curve:
    """The radial noise power spectrum as a curve, or why there is none.

    Args:
        values: noise alone, or an image whose mask holds uniform material; image units.
        of: what it is.
        spacing: voxel size in mm per axis.
        mask: bool, the same shape.
        units: of the voxels.
        sides: of the regions in voxels; the first that fits is taken.
    """
    unit = f"{units or 'unit'}^2 mm^2"
    spectrum: NoisePowerSpectrum | None = None
    reason = ""
    for side in sides:
        try:
            spectrum = noise_power_spectrum(values, spacing=spacing, mask=mask, side=side)
            break
        except ParameterError as fault:
            reason = str(fault)
    if spectrum is None:
        return Curve(NOISE_POWER, of, unit=unit, reason=reason)
    numbers = {
        "sigma": Measured(spectrum.variance**0.5, units, "root of the integral"),
        "peak": Measured(spectrum.peak, "1/mm", "highest ring but that at 0"),
        "mean": Measured(spectrum.mean, "1/mm", "frequencies weighed by their power"),
    }
    return Curve(
        NOISE_POWER, of, spectrum.frequencies, spectrum.power, unit, numbers,
        f"{spectrum.dims}-D, {spectrum.regions} regions of {spectrum.side} voxels without a fitted "
        "parabola, radial mean",
    )  # fmt: skip


def edge_curves(
    images: Mapping[str, Array],
    *,
    guide: str,
    spacing: Sequence[float],
    mask: NDArray[np.bool_],
    units: str = "",
) -> list[Curve]:
    """Transfer of the strongest edges of the guide in all images, and what is kept of the first's.

    What is kept is the magnitude of the mean line spread's spectrum by that of the first image: 1
    at a frequency where edges are as in it. Anatomy is in both, and so it falls out.

    Args:
        images, guide, spacing, mask, units: see :func:`curves_of`.
    """
    base = next(iter(images))
    whole = {name: _finite(image, mask) for name, image in images.items()}
    slices = "2-D" if mask.ndim == 2 else "2-D slices across the coarsest axis"
    try:
        edges = find_edges(whole[guide], spacing=spacing, mask=mask)
    except ParameterError as fault:
        return [Curve(TRANSFER, name, reason=str(fault)) for name in images] + [
            Curve(KEPT, f"{name} / {base}", reason=str(fault)) for name in images if name != base
        ]
    about = f"{slices}, {len(edges.places):,} of the strongest edges of {guide}, mean line spread"
    found, strength = [], {}
    for name, image in whole.items():
        try:
            transfer, strength[name] = edge_transfer(image, edges, spacing=spacing)
            frequencies = np.array(transfer.frequencies)
            found.append(
                _transfer(TRANSFER, name, transfer, about, units)
                if strength[name][0] >= _LEAST * strength[name].max()
                else Curve(TRANSFER, name, convention=about, reason=_NO_STEP)
            )
        except ParameterError as fault:
            found.append(Curve(TRANSFER, name, convention=about, reason=str(fault)))
    for name in list(images)[1:]:
        of = f"{name} / {base}"
        if base not in strength or name not in strength:
            found.append(Curve(KEPT, of, reason="one of them has no transfer function"))
            continue
        band = _band(strength[base])
        share = strength[name][band] / strength[base][band]
        f = frequencies[band]
        numbers = _falls(share, f)
        found.append(
            Curve(KEPT, of, tuple(map(float, f)), tuple(map(float, share)), "", numbers,
                  f"{about}; spectrum's magnitude by that of {base}")
        )  # fmt: skip
    return found


def _band(strength: NDArray[np.float64]) -> slice:
    """The frequencies about the strongest at which the edges still say something."""
    known = strength >= _LEAST * strength.max()
    top = int(np.argmax(strength))
    below, above = np.flatnonzero(~known[:top]), np.flatnonzero(~known[top:])
    first = int(below[-1]) + 1 if below.size else 0
    return slice(first, top + int(above[0]) if above.size else len(known))


def region_curves(
    images: Mapping[str, Array], labels: Array, *, spacing: Sequence[float], units: str = ""
) -> list[Curve]:
    """Of each label: the noise power within it, and the transfer of its rim or edge.

    Noise power is of the image itself, with a parabola taken away: for uniform material; anatomy
    in the region counts as noise.

    Args:
        images, spacing, units: see :func:`curves_of`.
        labels: whole numbers, the same shape, 0 for none.

    Raises:
        ParameterError: as :func:`meddenoise.evaluation.bias.checked_labels`.
    """
    numbers = checked_labels(labels, next(iter(images.values())).shape)
    found: list[Curve] = []
    for label in np.unique(numbers[numbers != 0]):
        region = numbers == label
        told = [
            noise_power(image, name, spacing=spacing, mask=region, units=units, sides=_SIDES)
            for name, image in images.items()
        ]
        try:
            transfers, about = region_transfer(images, region, spacing=spacing)
            told += [
                _transfer(INSERT, name, transfer, about, units)
                for name, transfer in transfers.items()
            ]
        except ParameterError as fault:
            told += [Curve(INSERT, name, reason=str(fault)) for name in images]
        found += [replace(curve, region=int(label)) for curve in told]
    return found


def _transfer(name: str, of: str, found: Transfer, about: str, units: str) -> Curve:
    f, values = np.array(found.frequencies), np.array(found.transfer)
    numbers = _falls(values, f) | {"contrast": Measured(found.contrast, units, "of the edge")}
    return Curve(name, of, found.frequencies, found.transfer, "", numbers, about)


def _falls(values: NDArray[np.float64], f: NDArray[np.float64]) -> dict[str, Measured]:
    told = {}
    for name, level in (("f50", 0.5), ("f10", 0.1)):
        where = falls_to(level, f, values)
        about = f"where it falls to {level:g}"
        told[name] = (
            undefined(f"it does not fall to {level:g}", unit="1/mm", convention=about)
            if where is None
            else Measured(where, "1/mm", about)
        )
    return told


def _finite(image: Array, mask: NDArray[np.bool_]) -> Array:
    values = as_floats(np.asarray(image))
    finite = np.isfinite(values)
    if finite.all():
        return values
    inside = finite & mask
    mean = values[inside].mean(dtype=np.float64) if inside.any() else 0.0
    return np.where(finite, values, values.dtype.type(mean))
