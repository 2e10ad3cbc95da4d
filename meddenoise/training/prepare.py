"""From cases to scans in memory: read, noise injected once, normalised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from meddenoise.config import NormaliseConfig, StabiliseConfig
from meddenoise.data.cases import Case
from meddenoise.data.draws import generator
from meddenoise.data.patches import Item
from meddenoise.data.voxel_cache import VoxelCache
from meddenoise.errors import InputError
from meddenoise.noise import NoiseModel, reference_intensity, simulate
from meddenoise.noise.level import Level
from meddenoise.noise.scan_level import one_channel, scan_sigma
from meddenoise.noise.stabilise import Stabiliser, find_stabilisation
from meddenoise.training.stabilised import Origin, typical_stabiliser
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


def prepare(
    case: Case, noise: NoiseModel | None, seed: int, cache: VoxelCache | None = None
) -> Prepared:
    """Read a case and, if asked, add noise to it: once, as a function of seed and name.

    Args:
        case: which.
        noise: what is added, if anything.
        seed: of the run.
        cache: where the voxels are put, to be mapped from there; in memory if ``None``. Then the
            volumes have no headers to be written back with.

    Raises:
        GeometryError: the clean partner lies on another grid.
    """
    volume, truth = case.read_image(cache), case.read_target(cache)
    if truth is not None:
        volume.check_same_grid(truth, names=(case.name, f"its clean partner {case.partner}"))
    if noise is None:
        return Prepared(case.name, volume, truth, made=case.is_sample)
    drawn = int(generator(seed, "noise", case.name).initial_seed() % 2**31)
    noisy = simulate(volume, noise, seed=drawn)
    if cache is not None:
        noisy = cache.kept(noisy)
    return Prepared(case.name, noisy, volume if truth is None else truth, made=True)


def as_items(
    scans: Iterable[Prepared],
    normalise: NormaliseConfig,
    dims: int,
    *,
    with_sigma: bool = False,
    sigma: Level | None = None,
    stabilise: StabiliseConfig | None = None,
    drawn: NoiseModel | None = None,
    target_is_clean: bool = True,
    cache: VoxelCache | None = None,
) -> list[Item]:
    """The scans as the patch sampler takes them: a channel each, and a slice each in 2-D.

    Of scans that are stabilised, the image is the stabilised scan, whose noise has a sigma of 1,
    and that is what is normalised. The target is what the stabilised image of the clean partner
    would be in the mean over the noise (or that of a noisy partner is): a network that learns it is
    brought back without bias.

    Percentages of a noise level are of the whole scan, as :func:`meddenoise.simulate` has them: the
    noise of dark volumes of a series is as strong as that of bright ones.

    Args:
        scans: of one run.
        normalise: how intensities are normalised.
        dims: of a patch, 2 or 3.
        with_sigma: the noise's level is needed as well.
        sigma: that level, one for all scans; estimated from each if ``None``.
        stabilise: how the noise is stabilised, by each scan's own numbers; not at all if ``None``.
        drawn: noise that is drawn at every step; a scan that has none is stabilised by its numbers.
        target_is_clean: otherwise it is a second noisy scan, stabilised as the first is.
        cache: where what is made of the scans is put, to be mapped from there.

    Raises:
        InputError: a scan that cannot be learned from (constant, no finite voxel, too few axes),
            whose noise cannot be estimated, or that is not of the kind that is to be stabilised.
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
        truth = scan.truth
        if truth is not None:
            # Of a channel whose partner is unknown everywhere there is nothing to learn.
            channels = [c for c in channels if _measured(truth, c)[1].any()]
            if not channels:
                raise InputError(
                    f"The clean partner of {scan.name} has no finite voxel: give another."
                )
        reference = _reference(scan)
        stabilisers = _stabilisers(
            scan, channels, stabilise or StabiliseConfig(), sigma, drawn, reference
        )
        for channel, stabiliser in zip(channels, stabilisers, strict=True):
            level = None
            if with_sigma:
                level = _sigma(scan, channel, sigma, reference) if stabiliser is None else 1.0
            items += _channel(
                scan,
                channel,
                normalise,
                dims,
                level,
                stabiliser,
                reference,
                target_is_clean=target_is_clean,
                cache=cache,
            )
    return items


def _is_blank(volume: Volume, channel: int) -> bool:
    """Whether a channel (a dropped time point) has nothing in it."""
    array, valid = _measured(volume, channel)
    values = array[valid]
    return values.size == 0 or bool(values.min() == values.max())


def _measured(volume: Volume, channel: int) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """A channel, and which of its voxels count; of a long series no other is looked at."""
    alone = one_channel(volume, channel)
    return alone.array[0], alone.valid_in(0)


def _sigma(scan: Prepared, channel: int, known: Level | None, reference: float) -> float:
    """In the scan's units."""
    try:
        if known is None:
            return scan_sigma(scan.volume, channel)
        return known.draw(0.0, reference)
    except InputError as fault:
        raise type(fault)(f"{scan.name}: {fault}") from None


def _reference(scan: Prepared) -> float:
    """What percentages of a noise level are of, for all channels: the truth's, if there is one."""
    best = scan.volume if scan.truth is None else scan.truth
    return reference_intensity(best.array[best.valid])


def _stabilisers(
    scan: Prepared,
    channels: list[int],
    stabilise: StabiliseConfig,
    known: Level | None,
    drawn: NoiseModel | None,
    reference: float,
) -> list[Stabiliser | None]:
    """One a channel; by a known level of the noise, or by what the scan says."""
    way, coils = stabilise.method, stabilise.coils
    if way == "none":
        return [None] * len(channels)
    try:
        if drawn is not None and not scan.made:
            return [typical_stabiliser(drawn, reference)] * len(channels)
        if known is None:
            found = find_stabilisation(scan.volume, way, coils=coils).stabilisers
            return [found[channel] for channel in channels]
        parts = ((one_channel(scan.volume, c), _sigma(scan, c, known, reference)) for c in channels)
        return [
            find_stabilisation(part, way, sigma=sigma, coils=coils).stabilisers[0]
            for part, sigma in parts
        ]
    except InputError as fault:
        raise type(fault)(f"{scan.name}: {fault}") from None


def _channel(
    scan: Prepared,
    channel: int,
    normalise: NormaliseConfig,
    dims: int,
    sigma: float | None,
    stabiliser: Stabiliser | None,
    reference: float,
    *,
    target_is_clean: bool,
    cache: VoxelCache | None,
) -> list[Item]:
    array, valid = _measured(scan.volume, channel)
    measured, truth, best, origin = valid, None, array[valid], None
    if scan.truth is not None:
        # Where the truth is unknown there is nothing to learn.
        truth, known = _measured(scan.truth, channel)
        measured, best = measured & known, truth[known]
    if stabiliser is not None:
        array = stabiliser.forward(_filled(array, valid))
        if truth is not None:
            origin = Origin.of(stabiliser, best, reference, normalise)
            by = stabiliser.expected if target_is_clean else stabiliser.forward
            truth = by(_filled(truth, known))
        best = array[valid] if truth is None else truth[known]
    _check_single(scan.name, array[valid])
    if truth is not None:
        _check_single(f"The clean partner of {scan.name}", best, least=0.0)
    try:
        fitted = Normalisation.fit(array[valid], **normalise.model_dump())
    except InputError as fault:
        raise type(fault)(f"{scan.name}: {fault}") from None
    image = _filled(array, valid)
    if truth is not None and not measured.all():
        truth = np.where(measured, truth, image)
    spacing, own = scan.volume.spacing, reference
    if stabiliser is not None or scan.volume.channels > 1:
        own = reference_intensity(best)
    data_range = own - float(np.percentile(best, 0.1))
    numbers: dict[str, Any] = {
        "shift": fitted.shift,
        "scale": fitted.scale,
        "spacing": spacing[:dims],
        "reference": reference if stabiliser is None else own,
        "sigma": sigma,
        "origin": origin,
        "data_range": data_range if data_range > 0 else 1.0,  # of a constant there is none
    }
    parts = [
        None if part is None else _tensor(part, kind, array.ndim > dims, cache, scan)
        for part, kind in (
            (image, np.float32),
            (truth, np.float32),
            (None if bool(measured.all()) else measured, np.bool_),
        )
    ]

    def item(parts: Sequence[torch.Tensor | None]) -> Item:
        whole: dict[str, Any] = dict(zip(("image", "target", "valid"), parts, strict=True))
        return Item(**whole, **numbers)

    if array.ndim == dims:
        return [item(parts)]
    return [item([x if x is None else x[k] for x in parts]) for k in range(array.shape[2])]


_SINGLE = np.finfo(np.float32)


def _check_single(
    name: str, values: NDArray[np.floating], *, least: float = float(_SINGLE.tiny)
) -> None:
    """Raise for intensities that are infinite or all alike in what a network computes in."""
    low, high = float(values.min()), float(values.max())
    if max(-low, high) > float(_SINGLE.max) or high - low < least:
        raise InputError(
            f"{name} has values from {low:.3g} to {high:.3g}, which float32 (1e-38 to 3e38) cannot "
            "hold apart: rescale it."
        )


def _filled(array: NDArray[np.floating], valid: NDArray[np.bool_]) -> NDArray[np.floating]:
    """With the mean of what was measured where nothing was."""
    if valid.all():
        return array
    mean = float(array[valid].mean(dtype=np.float64))
    return np.where(valid, array, mean).astype(array.dtype)


def _tensor(
    array: NDArray[Any],
    kind: type[np.generic],
    slices: bool,
    cache: VoxelCache | None,
    scan: Prepared,
) -> torch.Tensor:
    """A channel as it is, or its slices along the first axis; in the cache, if there is one."""
    # Writeable, or torch warns: an array that may not be written to (np.load with mmap_mode) is
    # copied.
    ours = np.require(np.moveaxis(array, 2, 0) if slices else array, kind, ["C", "W"])
    if cache is not None and not any(
        np.may_share_memory(ours, volume.array)  # it is there already
        for volume in (scan.volume, scan.truth)
        if volume is not None
    ):
        ours = cache.array(ours)
    return torch.from_numpy(ours)
