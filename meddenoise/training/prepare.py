"""From cases to scans in memory: read, noise injected once, normalised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from meddenoise.config import NormaliseConfig
from meddenoise.data.cases import Case
from meddenoise.data.draws import generator
from meddenoise.data.patches import Item
from meddenoise.errors import InputError
from meddenoise.noise import NoiseModel, reference_intensity, simulate
from meddenoise.noise.level import Level
from meddenoise.noise.scan_level import scan_sigma
from meddenoise.transforms.normalisation import Normalisation
from meddenoise.volume import Volume

__all__ = ["Prepared", "as_items", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """One scan of a run, in memory.

    Attributes:
        name: of the case.
        volume: what is denoised; with the injected noise, if there is any.
        truth: the clean partner, if there is one.
        made: the noisy scan exists in no file (a sample, or injected noise).
    """

    name: str
    volume: Volume
    truth: Volume | None
    made: bool = False


def prepare(case: Case, noise: NoiseModel | None, seed: int) -> Prepared:
    """Read a case and, if asked, add noise to it: once, as a function of seed and name.

    Raises:
        GeometryError: the clean partner lies on another grid.
    """
    volume, truth = case.read_image(), case.read_target()
    if truth is not None:
        volume.check_same_grid(truth, names=(case.name, f"its clean partner {case.partner}"))
    if noise is None:
        return Prepared(case.name, volume, truth, made=case.is_sample)
    drawn = int(generator(seed, "noise", case.name).initial_seed() % 2**31)
    noisy = simulate(volume, noise, seed=drawn)
    return Prepared(case.name, noisy, volume if truth is None else truth, made=True)


def as_items(
    scans: Iterable[Prepared],
    normalise: NormaliseConfig,
    dims: int,
    *,
    with_sigma: bool = False,
    sigma: Level | None = None,
) -> list[Item]:
    """The scans as the patch sampler takes them: a channel each, and a slice each in 2-D.

    Args:
        scans: of one run.
        normalise: how intensities are normalised.
        dims: of a patch, 2 or 3.
        with_sigma: the noise's level is needed as well.
        sigma: that level, one for all scans; estimated from each if ``None``.

    Raises:
        InputError: a scan that cannot be learned from (constant, no finite voxel, too few axes), or
            whose noise cannot be estimated.
    """
    items: list[Item] = []
    for scan in scans:
        if scan.volume.dims < dims:
            raise InputError(
                f"{scan.name} is a {scan.volume.dims}-D image and data.patch has {dims} axes: "
                f"give data.patch {scan.volume.dims} numbers."
            )
        channels = [c for c in range(scan.volume.channels) if not _is_blank(scan.volume, c)]
        if not channels:
            raise InputError(
                f"{scan.name} is constant, or has no finite voxel: there is nothing to learn from."
            )
        for channel in channels:
            level = _sigma(scan, channel, sigma) if with_sigma else None
            items += _channel(scan, channel, normalise, dims, level)
    return items


def _is_blank(volume: Volume, channel: int) -> bool:
    """Whether a channel (a dropped time point) has nothing in it."""
    values = volume.array[channel][volume.valid[channel]]
    return values.size == 0 or bool(values.min() == values.max())


def _sigma(scan: Prepared, channel: int, known: Level | None) -> float:
    """In the scan's units."""
    try:
        if known is None:
            return scan_sigma(scan.volume, channel)
        best = scan.volume if scan.truth is None else scan.truth
        values = best.array[channel][best.valid[channel]]
        return known.draw(0.0, reference_intensity(values) if known.unit else 1.0)
    except InputError as fault:
        raise type(fault)(f"{scan.name}: {fault}") from None


def _channel(
    scan: Prepared, channel: int, normalise: NormaliseConfig, dims: int, sigma: float | None
) -> list[Item]:
    array = scan.volume.array[channel]
    valid = scan.volume.valid[channel]
    try:
        fitted = Normalisation.fit(array[valid], **normalise.model_dump())
    except InputError as fault:
        raise type(fault)(f"{scan.name}: {fault}") from None
    whole, measured = bool(valid.all()), valid
    mean = float(array[valid].mean(dtype=np.float64))
    image = array if whole else np.where(valid, array, mean)
    truth, best = None, array[valid]
    if scan.truth is not None:
        # Where the truth is unknown there is nothing to learn.
        known = scan.truth.valid[channel]
        measured, best = measured & known, scan.truth.array[channel][known]
        truth = np.where(measured, scan.truth.array[channel], image)
    spacing, reference = scan.volume.spacing, reference_intensity(best)
    mask = None if bool(measured.all()) else measured

    def item(cut: tuple[slice | int, ...]) -> Item:
        return Item(
            image=_tensor(image[cut]),
            target=None if truth is None else _tensor(truth[cut]),
            shift=fitted.shift,
            scale=fitted.scale,
            spacing=spacing[:dims],
            reference=reference,
            valid=None if mask is None else torch.from_numpy(np.ascontiguousarray(mask[cut])),
            sigma=sigma,
        )

    if array.ndim == dims:
        return [item((slice(None),) * dims)]
    return [item((slice(None), slice(None), k)) for k in range(array.shape[2])]


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
