"""Scores images against a reference, or by the noisy scan they were made of."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation import Metrics, compare
from meddenoise.io import read
from meddenoise.io.source import HeaderSource
from meddenoise.noise.scan_level import one_channel
from meddenoise.volume import Volume
from meddenoise.workflows.units import checked_units

if TYPE_CHECKING:
    from meddenoise.evaluation.unreferenced import Unreferenced

__all__ = ["chosen_volume", "evaluate", "evaluate_without_reference", "name_of"]

Image = Volume | ArrayLike | str | os.PathLike[str]


def evaluate(
    reference: Image,
    image: Image,
    *,
    mask: Image | None = None,
    data_range: float | None = None,
    window: tuple[float, float] | None = None,
    labels: Image | None = None,
    extended: bool = False,
    units: str | None = None,
) -> Metrics:
    """PSNR, SSIM, RMSE, MAE and bias of an image, with the conventions they were taken by.

    A scan of several volumes (times, echoes, directions) gets scores of all, and of each.

    Args:
        reference: the clean image: a volume, an array, or a path.
        image: what is scored, on the same grid.
        mask: only where it is not 0.
        data_range: the peak of PSNR and SSIM; by default from the reference, see
            :func:`meddenoise.evaluation.compare`.
        window: (centre, width) that both are clipped to first.
        labels: a map of regions: bias, CNR and contrast recovery of each; without one the bias is
            that of tissues found in the reference.
        extended: all other metrics as well; seconds to a minute a volume.
        units: ``"HU"`` for CT in a format without a place for it.

    Raises:
        GeometryError: the grids do not match.
        ParameterError: arrays that are no images, units or modalities that differ, an empty mask,
            an image that is constant or has no finite voxel, an impossible range, or a map that is
            no label map.
    """
    inside = None if mask is None else _map(mask)
    regions = None if labels is None else _map(labels)
    truth, judged = (_said(_open(scan), units) for scan in (reference, image))
    names = (name_of(reference, "the reference"), name_of(image, "the image"))
    if isinstance(truth, Volume) and isinstance(judged, Volume):
        truth.check_same_grid(judged, names=names)
    for scan, name in zip((truth, judged), names, strict=True):
        if not _measured(scan).any():
            raise ParameterError(f"No voxel of {name} is finite: there is nothing to compare.")
    _check_contents(judged, names[1])
    return compare(
        truth,
        judged,
        mask=inside,
        data_range=data_range,
        window=window,
        labels=regions,
        extended=extended,
        tissues=labels is None,
    )


def evaluate_without_reference(
    image: Image,
    noisy: Image,
    *,
    repeat: Image | None = None,
    mask: Image | None = None,
    data_range: float | None = None,
    method: str | None = None,
    model: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    units: str | None = None,
) -> Unreferenced:
    """Judges a result without any truth, by what was taken away.

    Args:
        image: the denoised scan: a volume, an array, or a path.
        noisy: the scan that it was made of, on the same grid.
        repeat: a second acquisition on the same grid, which gives a PSNR.
        mask: only where it is not 0; the tissue of the noisy scan by default.
        data_range: the peak of a PSNR; by default from the noisy scan.
        method: the filter that made it, or
        model: the model file: it is run on disturbed parts of the scan, which gives a PSNR by SURE.
        options: the filter's.
        device: for a model.
        units: ``"HU"`` for CT in a format without a place for it.

    Raises:
        GeometryError: the grids do not match.
        ParameterError: units or modalities that differ, an empty mask, or a constant scan.
    """
    from meddenoise.evaluation.unreferenced import without_reference

    judged, before = _as_volume(image, units), _as_volume(noisy, units)
    second = None if repeat is None else _as_volume(repeat, units)
    inside = None if mask is None else _map(mask)
    named = name_of(noisy, "the noisy scan")
    for other, volume, role in ((image, judged, "the image"), (repeat, second, "the repeat")):
        if volume is not None and other is not None:
            before.check_same_grid(volume, names=(named, name_of(other, role)))
            _check_kind(before, volume, role)
    judged_name = name_of(image, "the image")
    if before.valid.any() and not (before.valid & judged.valid).any():
        raise ParameterError(f"No voxel is finite in both {named} and {judged_name}.")
    _check_contents(judged, judged_name)
    if isinstance(inside, Volume):
        one = Volume(before.array[: inside.channels], before.affine)
        one.check_same_grid(inside, names=(named, "the mask"))
    run = None
    if method is not None or model is not None:
        run = _run(before, method, model, options or {}, device)
    return without_reference(
        judged, before, repeat=second, denoise=run, mask=inside, data_range=data_range
    )


def chosen_volume(volume: Volume, number: int, name: str) -> Volume:
    """One volume of a scan of several.

    Args:
        volume: the scan.
        number: which, from 1.
        name: what it is, for messages.

    Raises:
        ParameterError: there is no such volume.
    """
    count = volume.channels
    if not 1 <= number <= count:
        has = "1 volume: leave --volume out" if count == 1 else f"{count} volumes: --volume is 1 "
        said = "" if count == 1 else f"to {count}, not {number}"
        raise ParameterError(f"{name} has {has}{said}.")
    return one_channel(volume, number - 1)


def _run(
    noisy: Volume,
    method: str | None,
    model: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
    device: str,
) -> Callable[[NDArray[np.floating]], NDArray[np.floating]]:
    """The method as a function of arrays, told of the noise of the whole scan."""
    from meddenoise.filters.registry import asks_correlation, asks_noise, checked_options
    from meddenoise.noise import estimate
    from meddenoise.workflows.ways import AUTO, way_to_denoise

    sigma = correlation = None
    if method is not None and method != AUTO:
        checked = checked_options(method, dict(options))
        if asks_noise(method, checked) or asks_correlation(method):
            noise = estimate(noisy)
            sigma = noise.sigma if asks_noise(method, checked) else None
            correlation = noise.correlation
    way = way_to_denoise(
        model, method, device, options=options, sigma=sigma, correlation=correlation
    )

    def run(array: NDArray[np.floating]) -> NDArray[np.floating]:
        part = Volume.from_array(
            array, spacing=noisy.spacing, units=noisy.units, modality=noisy.modality
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said once a block, and meant for whole scans
            return way.run(part, None).array[0]

    return run


def _check_contents(image: Volume | np.ndarray, name: str) -> None:
    """Raise for a constant image: it is the wrong file, or a method that failed."""
    array = image.array if isinstance(image, Volume) else image
    values = array[_measured(image)]
    if values.size > 1 and values.min() == values.max():
        raise ParameterError(
            f"There is nothing to score in {name}: it is constant, {values.flat[0]:g} everywhere."
        )


def _measured(image: Volume | np.ndarray) -> NDArray[np.bool_]:
    return image.valid if isinstance(image, Volume) else np.isfinite(image)


def _check_kind(one: Volume, other: Volume, role: str) -> None:
    for what, a, b in (
        ("units", one.units, other.units),
        ("modalities", one.modality, other.modality),
    ):
        if a and b and a != b:
            raise ParameterError(
                f"The {what} differ: {a} in the noisy scan and {b} in {role}; they cannot be "
                "compared."
            )


def _open(image: Image) -> Volume | np.ndarray:
    if isinstance(image, Volume):
        return image
    if isinstance(image, (str, os.PathLike)):
        return read(image)
    volume = Volume.from_array(image)  # raises for what is no image
    # A volume knows which voxels were masked.
    return volume if isinstance(image, np.ma.MaskedArray) else np.asarray(image)


def _map(image: Image) -> Volume | np.ndarray:
    """A mask or label map; an array lies on the scan's grid, and is 0 where it is masked."""
    if isinstance(image, (Volume, str, os.PathLike)):
        return _open(image)
    return np.asarray(_open(image.filled(0) if isinstance(image, np.ma.MaskedArray) else image))


def _said(scan: Volume | np.ndarray, units: str | None) -> Volume | np.ndarray:
    """In the units that are said, if any are."""
    said = checked_units(units)
    if not said:
        return scan
    volume = scan if isinstance(scan, Volume) else Volume.from_array(scan)
    return volume.in_units(said)


def _as_volume(image: Image, units: str | None) -> Volume:
    opened = _said(_open(image), units)
    return opened if isinstance(opened, Volume) else Volume.from_array(opened)


def name_of(image: Image, role: str) -> str:
    """Where it was read, for messages."""
    if isinstance(image, (str, os.PathLike)):
        return os.fspath(image)
    source = image.source if isinstance(image, Volume) else None
    return str(source.path) if isinstance(source, HeaderSource) else role
