"""Does a method erase what matters? Lesions are put into a scan, and looked for afterwards."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.data_range import chosen_data_range
from meddenoise.evaluation.fields import map_values
from meddenoise.evaluation.lesion_scores import LesionCheck, LesionScore
from meddenoise.evaluation.lesions import (
    find_sites,
    lesion_contrast,
    lesion_patches,
    lesion_signal,
)
from meddenoise.evaluation.observer import (
    detectability_gain,
    hotelling_observer,
    laguerre_gauss,
)
from meddenoise.evaluation.scope import Scope
from meddenoise.evaluation.statistics import Mean, mean_with_interval
from meddenoise.io import read
from meddenoise.noise import build_noise, reference_intensity, simulate
from meddenoise.noise.simulate import check_seed
from meddenoise.noise.tissue import tissue_mask
from meddenoise.volume import Volume
from meddenoise.workflows.evaluate import chosen_volume
from meddenoise.workflows.units import checked_units, hint_of_units
from meddenoise.workflows.ways import Way, way_to_denoise

__all__ = ["NOISY", "REFERENCE", "LesionCheck", "LesionScore", "check_lesions"]

NOISY = "noisy"
"""The name of the scan before any method."""

REFERENCE = "gaussian"
"""The filter that every method is held against."""

_FEWEST = 3
Progress = Callable[[float], None]
Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class _Group:
    """Lesions of one kind: ``centres`` (n, d) in voxels, and the contrast that each then has."""

    diameter: float
    contrast: float
    centres: NDArray[np.float64]
    ideal: NDArray[np.float64]


def check_lesions(
    scan: Volume | ArrayLike | str | os.PathLike[str],
    *,
    methods: Iterable[str] = (),
    models: Iterable[str | os.PathLike[str]] = (),
    options: Mapping[str, Any] | None = None,
    noise: str | None = None,
    noise_options: Mapping[str, Any] | None = None,
    sizes: Sequence[float] = (4.0, 8.0),
    contrasts: Sequence[str | float] = (),
    number: int = 24,
    mask: Volume | ArrayLike | str | os.PathLike[str] | None = None,
    units: str | None = None,
    volume: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> LesionCheck:
    """Puts low-contrast lesions into a scan before the noise, denoises, and looks for them.

    Balls (discs in a picture) with soft edges are added at places drawn in flat tissue, two
    diameters apart, between voxels. The scan with and the scan without them get the same noise and
    go through each method. What the lesions add to the results, by what they added to the scan, is
    the contrast recovery. A channelised Hotelling observer tells patches with from those without,
    on the slice through the middle; where noise is simulated, the scan without noise is subtracted
    (the background is known), else the anatomy is in its way as it is in a reader's.

    Args:
        scan: a volume, an array, or a path.
        methods: names as ``meddenoise denoise --method`` takes.
        models: model files.
        options: of the method, if there is one only.
        noise: the name of a noise model, whose noise is added after the lesions; without it the
            scan is taken as it is, with its own noise.
        noise_options: the noise model's parameters.
        sizes: diameters in mm.
        contrasts: in image units, or ``"5%"`` of the 99.9th percentile (not for HU); negative for
            dark lesions. By default 5 %, or 20 HU.
        number: how many lesions of each size and contrast.
        mask: where they may lie, with their surroundings; by default tissue, in HU soft tissue.
        units: what the voxels are in (``"HU"``), where the header does not say.
        volume: which one of a scan of several, from 1; it is then a scan by itself, also for the
            methods.
        seed: of places, noise and intervals.
        device: for models.
        progress: called with the finished fraction.

    Raises:
        ParameterError: no method, an impossible size, contrast, number or seed, a scan of several
            channels, one that is constant, or no room for three lesions of each kind.
        InputError: a scan, model, method or noise that cannot be used.
    """
    check_seed(seed)
    ways = _ways(list(methods), list(models), options, device)
    named = os.fspath(scan) if isinstance(scan, (str, os.PathLike)) else "the scan"
    one = _volume(scan, units)
    chosen = one if volume is None else chosen_volume(one, volume, named)
    values = _values(chosen, named)
    levels = [_contrast(c, chosen) for c in contrasts or (("20",) if _hu(chosen) else ("5%",))]
    inside, where = _mask(mask, chosen, values)
    model = None if noise is None else build_noise(noise, **dict(noise_options or {}))
    groups = _groups(chosen, values, inside, _sizes(sizes), levels, _number(number), seed)
    pair = [_with_lesions(chosen, groups), chosen]
    if model is not None:
        pair = [simulate(one, model, seed=seed) for one in pair]
    known = None if model is None else values
    scored: dict[str, list[LesionScore]] = {}
    for count, (name, way) in enumerate(ways.items()):
        results = []
        for half, one in enumerate(pair):
            results.append((one if way is None else way.run(one, None)).array[0].astype(np.float64))
            if progress:
                progress((2 * count + half + 1) / (2 * len(ways)))
        scored[name] = [
            _score(name, group, (results[0], results[1]), known, chosen.spacing, seed)
            for group in groups
        ]
    scores = [
        _beside(scored[name][k], scored[NOISY][k], scored[REFERENCE][k], seed)
        for k in range(len(groups))
        for name in ways
    ]
    said = _conventions(groups, model is not None, noise or "", where, chosen)
    if hint := hint_of_units(chosen):
        said += (hint,)
    return LesionCheck(tuple(scores), said, _scope(chosen, inside, where, volume))


def _ways(
    methods: list[str],
    models: list[str | os.PathLike[str]],
    options: Mapping[str, Any] | None,
    device: str,
) -> dict[str, Way | None]:
    """The noisy scan, the reference filter, and the methods; wrong names are said at once."""
    if not methods and not models:
        raise ParameterError(
            "Which method is to be checked for lesions? Say --method NAME or --model FILE."
        )
    if options and (len(methods), len(models)) != (1, 0):
        raise ParameterError("--set is for one --method: with several, it is not clear for which.")
    ways: dict[str, Way | None] = {NOISY: None}
    ways[REFERENCE] = way_to_denoise(None, REFERENCE, device)
    for method in methods:
        # What every method is held against keeps its own options.
        set_apart = options if method == REFERENCE else None
        name = _with_options(method, set_apart) if set_apart else method
        ways[name] = way_to_denoise(None, method, device, options=options)
    for name in dict.fromkeys(os.fspath(model) for model in models):
        ways[f"./{name}" if name in ways else name] = way_to_denoise(name, None, device)
    return ways


def _with_options(method: str, options: Mapping[str, Any]) -> str:
    return ", ".join((method, *(f"{key} {value}" for key, value in options.items())))


def _volume(scan: Volume | ArrayLike | str | os.PathLike[str], units: str | None) -> Volume:
    if isinstance(scan, (str, os.PathLike)):
        volume = read(scan)
    else:
        volume = scan if isinstance(scan, Volume) else Volume.from_array(scan)
    said = checked_units(units)
    return volume.in_units(said) if said else volume


def _values(volume: Volume, named: str) -> NDArray[np.float64]:
    if volume.channels != 1:
        raise ParameterError(
            f"Lesions are put into one volume, and {named} has {volume.channels}: choose one by "
            "--volume."
        )
    values = np.where(volume.valid_in(0), volume.array[0], np.nan).astype(np.float64)
    if not np.isfinite(values).any():
        raise ParameterError(f"There is no finite voxel in {named} to put a lesion at.")
    if np.nanmin(values) == np.nanmax(values):
        raise ParameterError(f"The image is constant, {named}: there is no tissue for a lesion.")
    return values


def _hu(volume: Volume) -> bool:
    return volume.units == "HU"


def _contrast(text: str | float, volume: Volume) -> float:
    """In image units; of the sign that was given."""
    said = str(text).strip()
    share = said.endswith("%")
    try:
        value = float(said.rstrip("%"))
    except ValueError:
        value = 0.0
    if not np.isfinite(value) or value == 0:
        raise ParameterError(
            f"A lesion's contrast is {text!r}: give a number in image units, negative for a dark "
            "lesion, or a percentage of the 99.9th percentile (5%), but not 0."
        )
    if share and _hu(volume):
        raise ParameterError(
            f"A contrast of {said} has no meaning in HU, whose zero is water: give it in HU."
        )
    if not share:
        return value
    whole = reference_intensity(volume.array[volume.valid])
    if whole <= 0:
        raise ParameterError(
            f"A lesion's contrast of {said} refers to the image's 99.9th percentile, but that is "
            f"{whole:g}: give the contrast in image units instead."
        )
    return value / 100 * whole


def _sizes(sizes: Sequence[float]) -> list[float]:
    wrong = [size for size in sizes if not (np.isfinite(size) and size > 0)]
    if wrong or not sizes:
        raise ParameterError(f"A lesion's size is {wrong[:1] or 'missing'}: it is above 0, in mm.")
    return [float(size) for size in sizes]


def _number(number: int) -> int:
    if number < _FEWEST:
        raise ParameterError(f"--number is {number}: at least {_FEWEST} lesions of each kind.")
    return number


def _mask(
    mask: Volume | ArrayLike | str | os.PathLike[str] | None,
    volume: Volume,
    values: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], str]:
    if mask is None:
        kind = "soft tissue (-200 to 200 HU)" if _hu(volume) else "the tissue"
        return tissue_mask(values, units=volume.units) & np.isfinite(values), kind
    opened: Any = read(mask) if isinstance(mask, (str, os.PathLike)) else mask
    if isinstance(opened, Volume):
        volume.check_same_grid(opened, names=("the scan", "the mask"))
    inside = map_values(opened)
    if isinstance(opened, Volume):
        inside = inside[0]
    if inside.shape != values.shape:
        raise ParameterError(f"The mask has shape {inside.shape}, the scan {values.shape}.")
    inside = (inside != 0) & np.isfinite(values)
    if not inside.any():
        raise ParameterError("The mask is empty: there is no place for a lesion.")
    return inside, "the mask"


def _groups(
    volume: Volume,
    values: NDArray[np.float64],
    inside: NDArray[np.bool_],
    sizes: list[float],
    levels: list[float],
    number: int,
    seed: int,
) -> list[_Group]:
    """Each place has one lesion; kinds take their turns, so that each has its share."""
    kinds = list(itertools.product(sizes, levels))
    sites = find_sites(
        values,
        diameter=max(sizes),
        count=number * len(kinds),
        mask=inside,
        spacing=volume.spacing,
        seed=seed,
    )
    if len(sites) < _FEWEST * len(kinds):
        raise ParameterError(
            f"There is room for {len(sites)} lesions of {max(sizes):g} mm with their surroundings, "
            f"and {_FEWEST} of each of {len(kinds)} kinds are needed: give smaller ones (--size), "
            "fewer kinds, or a larger --mask."
        )
    groups = []
    for turn, (diameter, contrast) in enumerate(kinds):
        centres = sites[turn :: len(kinds)]
        options: dict[str, Any] = {"diameter": diameter, "spacing": volume.spacing}
        signal = lesion_signal(volume.shape, centres, contrast=contrast, **options)
        ideal = lesion_contrast(signal, centres, **options)
        groups.append(_Group(diameter, contrast, centres, ideal))
    return groups


def _with_lesions(scan: Volume, groups: list[_Group]) -> Volume:
    added = sum(
        lesion_signal(
            scan.shape,
            group.centres,
            diameter=group.diameter,
            contrast=group.contrast,
            spacing=scan.spacing,
        )
        for group in groups
    )
    return scan.with_array((scan.array + added).astype(scan.array.dtype))


def _score(
    name: str,
    group: _Group,
    pair: tuple[Array, Array],
    known: Array | None,
    spacing: tuple[float, ...],
    seed: int,
) -> LesionScore:
    options: dict[str, Any] = {"diameter": group.diameter, "spacing": spacing}
    left = lesion_contrast(pair[0] - pair[1], group.centres, **options) / group.ideal
    recovery = mean_with_interval(left.tolist(), seed=seed)
    background: Array | float = 0.0 if known is None else np.nan_to_num(known)
    cut = [
        lesion_patches(np.nan_to_num(image - background), group.centres, **options)
        for image in pair
    ]
    (with_it, sizes), (without, _) = cut
    seen, reason = None, ""
    try:
        channels = laguerre_gauss(with_it.shape[1:], width=group.diameter, spacing=sizes)
        seen = hotelling_observer(with_it, without, channels, paired=True, seed=seed)
    except ParameterError as fault:
        reason = str(fault)
    return LesionScore(
        name, group.diameter, group.contrast, len(group.centres), recovery, seen, reason
    )


def _beside(
    score: LesionScore, noisy: LesionScore, reference: LesionScore, seed: int
) -> LesionScore:
    """The score with what it has beyond the noisy scan and the reference filter."""
    gains: list[Mean | None] = []
    for other in (noisy, reference):
        one, there = score.detectability, other.detectability
        if one is None or there is None or other.method == score.method:
            gains.append(None)
        else:
            gains.append(detectability_gain(one, there, seed=seed))
    return replace(score, beyond_noisy=gains[0], beyond_reference=gains[1])


def _conventions(
    groups: list[_Group], simulated: bool, noise: str, where: str, volume: Volume
) -> tuple[str, ...]:
    slices = "the picture" if volume.dims == 2 else "the slice through each middle"
    count = sum(len(group.centres) for group in groups)
    background = (
        f"{noise} noise was added after them, the same without them; the observer knows the "
        "background"
        if simulated
        else "the scan's own noise, the same without them; the observer does not know the anatomy"
    )
    return (
        f"{count} lesions in {where}, soft edges of half a voxel; {background}.",
        "Contrast recovery: what they add within 0.8 radii minus within 1.4 to 2 radii, by what "
        "was put in; mean and 95 % bootstrap interval over lesions.",
        f"d': channelised Hotelling observer on {slices}, 5 Laguerre-Gauss channels as wide as the "
        "lesion, leave-pair-out; 95 % bootstrap interval over lesions; 0 is guessing.",
    )


def _scope(scan: Volume, inside: NDArray[np.bool_], where: str, number: int | None) -> Scope:
    peak, source = chosen_data_range(scan, None, None, name="scan")
    return Scope(
        data_range=peak,
        data_range_source=f"{source}; no number here depends on it",
        window=None,
        mask=where,
        voxels=int(inside.sum()),
        mask_fraction=float(inside.mean()),
        dimensions=scan.dims,
        units=scan.units,
        volume=number,
    )
