"""One call that measures an image against a reference, and says by which conventions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.data_range import PERCENTILES, chosen_data_range
from meddenoise.evaluation.fields import map_values
from meddenoise.evaluation.gather import Region, referenced, regions
from meddenoise.evaluation.measured import Measured
from meddenoise.evaluation.metrics import Errors, psnr_of
from meddenoise.evaluation.ssim import SSIM, ssim
from meddenoise.evaluation.tissue_classes import Tissues, bias_by_tissue
from meddenoise.evaluation.volumes import VolumeScores, mean_of, over_volumes
from meddenoise.volume import Volume

__all__ = ["Metrics", "compare"]

_NO_SSIM = "none: "
_MOST_TOLD = 8


@dataclass(frozen=True)
class Metrics:
    """What :func:`compare` found, with all that is needed to repeat it.

    Attributes:
        psnr: dB; ``inf`` for identical images.
        ssim: mean structural similarity; ``nan`` if the image is too small for its window.
        rmse: in ``units``.
        mae: in ``units``.
        bias: mean of image minus reference, in ``units``.
        data_range: the peak of PSNR and SSIM, in ``units``.
        data_range_source: where it came from, in words.
        window: (centre, width) that both images were clipped to, if any.
        dimensions: 2 or 3.
        ssim_convention: the window of SSIM in words, or why there is none.
        voxels: how many were compared.
        excluded: how many were left out of the image (or the mask) because they are not
            finite or padding in either image.
        mask_voxels: how many the mask held, ``None`` without one.
        mask_fraction: the same as a fraction of the image.
        units: of the reference, ``""`` if unknown.
        extra: the other metrics by name, if they were asked for; of several volumes the means.
        regions: one entry a label, if a map of them was given.
        tissues: the signed error by tissues found in the reference, if that was asked for.
        volumes: of a scan of several volumes (times, echoes, directions) or channels the scores
            of each, by the same data range, window and mask; else empty.
    """

    psnr: float
    ssim: float
    rmse: float
    mae: float
    bias: float
    data_range: float
    data_range_source: str
    window: tuple[float, float] | None
    dimensions: int
    ssim_convention: str
    voxels: int
    excluded: int
    mask_voxels: int | None
    mask_fraction: float | None
    units: str
    extra: Mapping[str, Measured] = field(default_factory=dict)
    regions: tuple[Region, ...] = ()
    volumes: tuple[VolumeScores, ...] = ()
    tissues: Tissues | None = None

    def conventions(self) -> tuple[str, ...]:
        """What the numbers mean: range, window, mask, dimensionality; a sentence each."""
        unit = f" {self.units}" if self.units else ""
        said = [f"Data range {self.data_range:.6g}{unit}: {self.data_range_source}."]
        if self.window is not None:
            centre, width = self.window
            said.append(f"Both images were clipped to centre {centre:g}, width {width:g}{unit}.")
        where = "the whole image"
        if self.mask_voxels is not None and self.mask_fraction is not None:
            where = f"a mask of {self.mask_voxels:,} ({100 * self.mask_fraction:.3g} %)"
        said.append(f"{self.voxels:,} voxels compared, in {self.dimensions}-D, from {where}.")
        if self.excluded:
            said.append(f"{self.excluded:,} left out: not finite or padding in either image.")
        said.append(f"SSIM: {self.ssim_convention}.")
        if self.volumes:
            said.append(
                f"{len(self.volumes)} {self._kind} by one data range; PSNR, RMSE, MAE and bias of "
                f"the scan are over the voxels of all, SSIM is the mean of the {self._kind}."
            )
        return tuple(said)

    @property
    def _kind(self) -> str:
        return "volumes" if self.dimensions == 3 else "channels"

    def as_dict(self) -> dict[str, Any]:
        """Plain values that fit strict JSON.

        JSON has no infinity: a PSNR or SSIM that is no number becomes ``None``, and
        ``notes`` says why, for example ``{"psnr": "infinite: the images are identical"}``.
        ``volumes`` and ``mean_over_volumes`` are there if there are several.
        """
        result: dict[str, Any] = asdict(
            replace(self, extra={}, regions=(), volumes=(), tissues=None)
        )
        del result["volumes"]
        if self.volumes:
            result["volumes"] = [one.as_dict() for one in self.volumes]
            means = over_volumes(self.volumes)
            result["mean_over_volumes"] = {name: one.as_dict() for name, one in means.items()}
        result["extra"] = {name: one.as_dict() for name, one in self.extra.items()}
        result["regions"] = [region.as_dict() for region in self.regions]
        result["tissues"] = None if self.tissues is None else self.tissues.as_dict()
        notes = {}
        if math.isinf(self.psnr):
            result["psnr"] = None
            notes["psnr"] = "infinite: the images are identical"
        if math.isnan(self.ssim):
            result["ssim"] = None
            notes["ssim"] = self.ssim_convention.removeprefix(_NO_SSIM)
        result["window"] = None if self.window is None else list(self.window)
        result["notes"] = notes
        return result


def compare(
    reference: Volume | ArrayLike,
    image: Volume | ArrayLike,
    *,
    mask: Volume | NDArray | None = None,
    data_range: float | None = None,
    window: tuple[float, float] | None = None,
    labels: Volume | NDArray | None = None,
    extended: bool = False,
    tissues: bool = False,
) -> Metrics:
    """PSNR, SSIM, RMSE, MAE and bias of an image against a reference, and if asked all the others.

    All channels count alike: PSNR, RMSE, MAE and bias are over all voxels, SSIM is the mean of the
    channels' by their voxels. Voxels that are not finite or padding in either are left out.

    Args:
        reference: the truth; a volume, or an array ``(X, Y)``, ``(X, Y, Z)`` or
            ``(C, X, Y, Z)``.
        image: what is judged, on the same grid.
        mask: a volume or array on the same grid, with or without channels; voxels that are
            not 0 count, but none that is padding or masked in the mask itself.
        data_range: the peak in the image's units; by default :func:`default_data_range` of
            the reference, never of the judged image.
        window: (centre, width): clip both images to it first, and take the width as the
            data range. Says how a reader at that window sees them.
        labels: a map of regions on the same grid, whole numbers, 0 for none: bias, CNR and
            contrast recovery of each, within the mask.
        extended: MS-SSIM, HFEN, GMSD, VIF, LPIPS, the error's noise power spectrum and structure,
            noise left and edge widths as well (:mod:`meddenoise.evaluation.gather`); seconds to a
            minute a volume.
        tissues: the signed error by tissues that are found in the reference as well
            (:mod:`meddenoise.evaluation.tissue_classes`); a second for five million voxels.

    Raises:
        GeometryError: two volumes whose grids differ.
        ParameterError: shapes, units or modalities that differ, nothing left to compare, a constant
            reference without ``data_range``, a range or width that is not positive, or both
            ``window`` and ``data_range``.
    """
    truth, judged = _volume(reference), _volume(image)
    if isinstance(reference, Volume) and isinstance(image, Volume):
        truth.check_same_grid(judged, names=("the reference", "the image"))
        _check_kind(truth, judged)
    elif truth.array.shape != judged.array.shape:
        raise ParameterError(
            f"The reference has shape {truth.array.shape} and the image {judged.array.shape} "
            "(channels first): they must be the same."
        )
    inside = _mask(mask, truth)
    valid = truth.valid & judged.valid
    compared = valid & inside
    if not inside.any():
        raise ParameterError("The mask is empty: there is no voxel to compare.")
    if not compared.any():
        raise ParameterError("No voxel to compare is finite in both images.")

    peak, peak_source = chosen_data_range(truth, data_range, window)
    x, y = truth.array, judged.array
    if not valid.all():
        x, y = np.where(valid, x, np.nan), np.where(valid, y, np.nan)
    clipped = None if window is None else (window[0] - window[1] / 2, window[0] + window[1] / 2)
    if clipped is not None:
        x, y = np.clip(x, *clipped), np.clip(y, *clipped)
    each, errors, convention = _each(x, y, compared, peak)
    more: dict[str, Measured] = {}
    if extended:
        parts = [
            referenced(
                x[one.number - 1],
                y[one.number - 1],
                mask=compared[one.number - 1],
                data_range=peak,
                low=_low(truth, window),
                spacing=truth.spacing,
                units=truth.units,
            )
            for one in each
        ]
        each = [replace(one, extra=part) for one, part in zip(each, parts, strict=True)]
        kind = "volumes" if truth.dims == 3 else "channels"
        more = mean_of(parts, numbers=[one.number for one in each], kind=kind)
    return Metrics(
        psnr=psnr_of(errors.rmse, peak),
        ssim=math.fsum(one.ssim * one.voxels for one in each) / sum(one.voxels for one in each),
        rmse=errors.rmse,
        mae=errors.mae,
        bias=errors.bias,
        data_range=peak,
        data_range_source=peak_source,
        window=None if window is None else (float(window[0]), float(window[1])),
        dimensions=truth.dims,
        ssim_convention=convention,
        voxels=errors.voxels,
        excluded=int((inside & ~valid).sum()),
        mask_voxels=None if mask is None else int(inside.sum()),
        mask_fraction=None if mask is None else float(inside.mean()),
        units=truth.units,
        extra=more,
        regions=() if labels is None else _regions(labels, truth, x, y, inside),
        volumes=tuple(each) if truth.channels > 1 else (),
        tissues=(bias_by_tissue(truth, x, y, mask=compared, window=clipped) if tissues else None),
    )


def _each(
    x: NDArray, y: NDArray, compared: NDArray[np.bool_], peak: float
) -> tuple[list[VolumeScores], Errors, str]:
    """Scores of each volume that has a voxel to compare, errors of all, and SSIM's window."""
    large = sum(length >= 11 for length in x.shape[1:]) >= 2
    convention = f"{_NO_SSIM}SSIM needs at least 11 voxels along two axes"
    each, errors = [], []
    for number, (one, other, where) in enumerate(zip(x, y, compared, strict=True), 1):
        if not where.any():
            continue
        similarity = math.nan
        if large:
            found: SSIM = ssim(one, other, data_range=peak, mask=where)
            similarity, convention = found.value, found.convention
        apart = Errors.of(one, other, where)
        errors.append(apart)
        each.append(
            VolumeScores(
                number,
                psnr_of(apart.rmse, peak),
                similarity,
                apart.rmse,
                apart.mae,
                apart.bias,
                apart.voxels,
            )
        )
    return each, Errors.over(errors), convention


def _low(truth: Volume, window: tuple[float, float] | None) -> float:
    """Where the data range begins."""
    if window is not None:
        return window[0] - window[1] / 2
    return float(np.percentile(truth.array[truth.valid], PERCENTILES[0]))


def _check_kind(truth: Volume, judged: Volume) -> None:
    """Raise where headers say that two volumes are not of one kind; what is not said fits all."""
    for what, one, other in (
        ("units", truth.units, judged.units),
        ("modalities", truth.modality, judged.modality),
    ):
        if one and other and one != other:
            raise ParameterError(
                f"The {what} differ: {one} in the reference and {other} in the image; they cannot "
                "be compared."
            )


def _regions(
    labels: Volume | NDArray, truth: Volume, x: NDArray, y: NDArray, inside: NDArray[np.bool_]
) -> tuple[Region, ...]:
    """Each label's scores; a warning tells of those without a voxel that counts."""
    whole = np.broadcast_to(_on_grid(labels, truth, "label map"), truth.array.shape)
    found = regions(x, y, _counted(whole, inside))
    lost = sorted(
        {int(label) for label in np.unique(whole)} - {region.bias.label for region in found} - {0}
    )
    if lost:
        rest = f" and {len(lost) - _MOST_TOLD} more" if len(lost) > _MOST_TOLD else ""
        numbers = ", ".join(map(str, lost[:_MOST_TOLD]))
        warnings.warn(
            f"Of label {numbers}{rest} no voxel is finite in both images and within the mask: it "
            "is left out of the regions.",
            stacklevel=3,
        )
    return found


def _counted(values: NDArray, inside: NDArray[np.bool_]) -> NDArray:
    """A label map, 0 outside of the mask."""
    if inside.all():
        return values
    if values.any() and not values[inside].any():
        raise ParameterError("The mask leaves no voxel of the label map: no region is in both.")
    return np.where(inside, values, 0)


def _mask(mask: Volume | NDArray | None, truth: Volume) -> NDArray[np.bool_]:
    """The mask for every channel."""
    if mask is None:
        return np.ones(truth.array.shape, dtype=bool)
    return np.broadcast_to(_on_grid(mask, truth, "mask") != 0, truth.array.shape)


def _on_grid(mask: Volume | NDArray, truth: Volume, name: str) -> NDArray:
    """A mask's or label map's values, checked to lie on the reference's grid."""
    if isinstance(mask, Volume):
        one = Volume(truth.array[: mask.channels], truth.affine)
        one.check_same_grid(mask, names=("the reference", f"the {name}"))
    values = map_values(mask)
    if values.shape not in (truth.array.shape, truth.shape, (1, *truth.shape)):
        raise ParameterError(
            f"The {name} has shape {values.shape}, the image {truth.shape}: they must be the same."
        )
    return values


def _volume(image: Volume | ArrayLike) -> Volume:
    return image if isinstance(image, Volume) else Volume.from_array(image)
