"""What can be told of a denoised scan without its truth: from the noisy scan, or a repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.data_range import chosen_data_range
from meddenoise.evaluation.fields import as_floats, map_values
from meddenoise.evaluation.measured import Measured
from meddenoise.evaluation.residual import LIMIT
from meddenoise.evaluation.taken_away import Denoise, psnr_by_repeat, psnr_by_sure, taken_away
from meddenoise.evaluation.tissue import scan_tissue
from meddenoise.evaluation.tissue_classes import Tissues, bias_by_tissue
from meddenoise.evaluation.volumes import by_kind, mean_of
from meddenoise.noise import NoiseEstimate, estimate
from meddenoise.noise.scan_level import one_channel
from meddenoise.volume import Volume

__all__ = ["Unreferenced", "without_reference"]

# Of the estimated noise; it is told to some percent only.
_MORE, _LESS = 1.15, 0.7
_WIDER = 1.1
_SHIFTED = 0.1


@dataclass(frozen=True)
class Unreferenced:
    """What :func:`without_reference` found, with all that is needed to repeat it.

    Attributes:
        values: by name, each with unit, convention, and the reason where there is none; of
            several volumes the means.
        noise: of the noisy scan (the first of several volumes); ``None`` where it cannot be
            estimated.
        data_range: the peak of the PSNRs, in ``units``.
        data_range_source: where it came from, in words.
        dimensions: 2 or 3.
        voxels: how many count.
        mask_source: what they are, in words.
        mask_fraction: of the image.
        units: of the scan, ``""`` if unknown.
        volumes: of a scan of several volumes what was found of each, by the same data range; else
            empty.
        number: of this volume in its scan, from 1.
        tissues: what denoising moved the mean by in each tissue of the result; ``None`` of several
            volumes, each of which has its own.
    """

    values: Mapping[str, Measured]
    noise: NoiseEstimate | None
    data_range: float
    data_range_source: str
    dimensions: int
    voxels: int
    mask_source: str
    mask_fraction: float
    units: str
    volumes: tuple[Unreferenced, ...] = ()
    number: int = 1
    tissues: Tissues | None = None

    def conventions(self) -> tuple[str, ...]:
        """What the numbers mean: range, mask, dimensionality; a sentence each."""
        unit = f" {self.units}" if self.units else ""
        said: tuple[str, ...] = (
            f"Data range {self.data_range:.6g}{unit}: {self.data_range_source}.",
            f"{self.voxels:,} voxels looked at, in {self.dimensions}-D: {self.mask_source}.",
        )
        if self.volumes:
            said += (f"Each of {len(self.volumes)} volumes by itself, by one data range; means.",)
        return said

    def findings(self) -> tuple[str, ...]:
        """What stands out in the numbers, a sentence each; what they cannot prove, if nothing."""
        if self.volumes:
            said = by_kind([(one.number, one._signs()) for one in self.volumes])
        else:
            said = tuple(self._signs().values())
        if said:
            return said
        edges = self.values["residual_at_edges"]
        if edges.value is None:
            return (f"Whether anatomy is in what was taken away cannot be told: {edges.reason}",)
        return (
            "Nothing of the anatomy is seen in what was taken away. That does not prove that all "
            "of it is there: see --lesions.",
        )

    def _signs(self) -> dict[str, str]:
        """What stands out, by its kind."""

        def of(name: str) -> float | None:
            one = self.values.get(name)
            return None if one is None else one.value

        said = {}
        at_edges, ratio, shift = of("residual_at_edges"), of("residual_ratio"), of("shift")
        if of("residual_sigma") == 0 and not shift:
            return {
                "nothing": "Nothing at all was taken away: both images are the same in all voxels "
                "looked at."
            }
        if of("residual_sigma") == 0:
            # One number was added everywhere, as a lost intercept of CT does.
            unit = f" {self.units}" if self.units else ""
            return {
                "nothing": "No noise at all was taken away: all voxels looked at differ by the "
                f"same {shift:+.6g}{unit}. Check the intercept, or the offset, of both images."
            }
        if at_edges is not None and at_edges > LIMIT:
            said["edges"] = (
                f"At edges what was taken away is {at_edges:.1f} times as strong as elsewhere, "
                "where noise alone would be alike: anatomy went with it. Look at the residual."
            )
        if ratio is not None and ratio > _MORE:
            said["more"] = (
                f"{ratio:.2f} times as much was taken away as the scan's noise is estimated to be."
            )
        if ratio is not None and ratio < _LESS:
            said["less"] = f"Only {ratio:.2f} times the scan's estimated noise was taken away."
        before, after = of("edge_width_before"), of("edge_width_after")
        if before and after and after > _WIDER * before:
            said["wider"] = f"Edges are {100 * (after / before - 1):.0f} % wider than before."
        if shift is not None and self.noise is not None and self.noise.sigma:
            away = shift / self.noise.sigma
            if abs(away) > _SHIFTED:
                said["shift"] = f"The mean moved by {away:+.2f} of the noise's sigma."
        return said

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON; ``volumes`` is there if there are several."""
        told: dict[str, Any] = {
            "values": {name: one.as_dict() for name, one in self.values.items()},
            "noise": None if self.noise is None else self.noise.as_dict(),
            "data_range": self.data_range,
            "data_range_source": self.data_range_source,
            "window": None,
            "dimensions": self.dimensions,
            "voxels": self.voxels,
            "mask": self.mask_source,
            "mask_fraction": self.mask_fraction,
            "units": self.units,
            "tissues": None if self.tissues is None else self.tissues.as_dict(),
            "findings": list(self.findings()),
        }
        if self.volumes:
            told["volumes"] = [{"volume": v.number} | v.as_dict() for v in self.volumes]
        return told


def without_reference(
    image: Volume,
    noisy: Volume,
    *,
    repeat: Volume | None = None,
    denoise: Denoise | None = None,
    mask: Volume | NDArray | None = None,
    data_range: float | None = None,
) -> Unreferenced:
    """Judges a result by the noisy scan that it was made of.

    What was taken away should be as strong as the scan's noise (``residual_ratio`` near 1), as
    correlated as it (``residual_correlation``), without a mean (``shift``), and know nothing of the
    anatomy (``structure`` near 0, ``residual_at_edges`` near 1); edges should be no wider after
    than before. None of that proves a result right: what is wrong with these is wrong.

    A scan of several volumes is looked at volume by volume, and means are given; where MP-PCA tells
    its noise (from six volumes on), all have that noise.

    Args:
        image: the denoised scan.
        noisy: on the same grid.
        repeat: a second acquisition on the same grid: gives a PSNR.
        denoise: the method that made the result, an array to an array: gives a PSNR by SURE.
        mask: where to look; the tissue of the noisy scan by default.
        data_range: the peak in the scan's units; by default the 99.9th minus the 0.1th percentile
            of the noisy scan.

    Raises:
        GeometryError: grids that differ.
        ParameterError: units or modalities that differ, an empty mask, or a constant scan.
    """
    if not noisy.valid.any():
        raise ParameterError("The noisy scan has no finite voxel.")
    if not (noisy.valid & image.valid).any():
        raise ParameterError("No voxel is finite in both the noisy scan and the image.")
    peak, told = chosen_data_range(noisy, data_range, None, name="noisy scan")
    noise, why = _noise(noisy)
    if noisy.channels == 1:
        return _one(image, noisy, repeat, denoise, mask, (peak, told), (noise, why))
    masks: list[Volume | NDArray | None] = [mask] * noisy.channels
    if mask is not None and (values := map_values(mask)).shape == noisy.array.shape:
        masks = list(values)
    one_for_all = noise is not None and noise.mppca is not None
    each = []
    for channel in range(noisy.channels):
        part = one_channel(noisy, channel)
        found = _one(
            one_channel(image, channel),
            part,
            None if repeat is None else one_channel(repeat, channel),
            denoise,
            masks[channel],
            (peak, told),
            (noise, why) if one_for_all else _noise(part),
        )
        each.append(replace(found, number=channel + 1))
    return replace(
        each[0],
        values=mean_of([one.values for one in each]),
        voxels=sum(one.voxels for one in each),
        mask_fraction=sum(one.mask_fraction for one in each) / len(each),
        volumes=tuple(each),
        tissues=None,
    )


def _one(
    image: Volume,
    noisy: Volume,
    repeat: Volume | None,
    denoise: Denoise | None,
    mask: Volume | NDArray | None,
    data_range: tuple[float, str],
    noise: tuple[NoiseEstimate | None, str],
) -> Unreferenced:
    """One volume, each given as one of a single channel."""
    shown, first = _first(image), _first(noisy)
    valid = image.valid_in(0) & noisy.valid_in(0)
    other = None
    if repeat is not None:
        other, valid = _first(repeat), valid & repeat.valid_in(0)
    inside, source = _inside(mask, noisy, first, valid)
    peak, told = data_range
    found = taken_away(shown, first, inside, noisy, *noise)
    found["psnr_repeat"] = psnr_by_repeat(shown, first, other, inside, peak)
    found["psnr_sure"] = psnr_by_sure(first, denoise, peak, *noise, noisy)
    return Unreferenced(
        found,
        noise[0],
        peak,
        told,
        noisy.dims,
        int(inside.sum()),
        source,
        float(inside.mean()),
        noisy.units,
        tissues=bias_by_tissue(
            replace(image, units=noisy.units, modality=noisy.modality),
            noisy.array,
            image.array,
            mask=_counted(mask, valid)[None],
            named="the result",
        ),
    )


def _counted(mask: Volume | NDArray | None, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where tissues are looked for: in the mask, or anywhere."""
    return valid if mask is None else valid & _given(mask, valid.shape)


def _first(volume: Volume) -> NDArray[np.floating]:
    return as_floats(volume.array[0])


def _inside(
    mask: Volume | NDArray | None,
    noisy: Volume,
    first: NDArray[np.floating],
    valid: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], str]:
    """The voxels to look at, and what they are."""
    if mask is None:
        inside = scan_tissue(
            np.where(valid, first, np.nan), units=noisy.units, modality=noisy.modality
        )
        return inside, "the tissue of the noisy scan"
    inside = _given(mask, first.shape) & valid
    if not inside.any():
        raise ParameterError("The mask is empty: there is no voxel to look at.")
    return inside, "the mask"


def _given(mask: Volume | NDArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    values = map_values(mask)
    if values.shape == (1, *shape):
        values = values[0]
    if values.shape != shape:
        raise ParameterError(
            f"The mask has shape {values.shape}, the image {shape}: they must be the same."
        )
    return np.asarray(values != 0)


def _noise(noisy: Volume) -> tuple[NoiseEstimate | None, str]:
    try:
        return estimate(noisy), ""
    except ParameterError as fault:
        return None, str(fault)
