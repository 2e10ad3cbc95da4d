"""A filter's result made better by what is learnt from the noisy scan alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.nlmeans import nlmeans
from meddenoise.noise.residual_noise import ENOUGH, ResidualNoise
from meddenoise.training.corrector import Corrector, passing
from meddenoise.training.recombined import Recombination, powers
from meddenoise.training.recorruption import Copy, Filter, Others, Recorruption, place

__all__ = ["Filter", "Others", "Refined", "refine"]

Progress = Callable[[float], None]

# Pairs of recorruptions to learn from, and one more recorruption of the part held out, to judge by:
# as many as there is time for of the whole, and if for none, one pair of a part. On heads one pair
# was 0.01 to 0.02 dB better than two of parts half as large.
_PAIRS = (2, 1)
# Noise whose strength differs from what was said by more than that factor is not what it was taken
# for, or there is texture that would pass for noise: nothing is learned. White noise that was added
# to four heads was found to 3 %, in scans filled with zeros to 4 %.
_ALIKE = 1.06
# Filtering the recorruptions may take that share of the time, and of what is left of it; what does
# not fit is cut off.
_FILTERING, _OF_WHAT_IS_LEFT = 0.5, 0.7
_SMALLEST_PART = 32
# Percent of the longest axis that is held out, and the fewest voxels that tell anything.
_HELD, _NARROWEST = 25, 12
# Of non-local means; and the noise that may be left in what is filtered, beside what there was.
_SEARCHES, _LEFT = (2, 4), 0.3
# Standard errors.
_CERTAIN = 2.0
# What a few numbers change in the scan has less than so many times the power of what they change in
# the recorruptions: where it has more, the scan is not like the part that they were learned from.
_UNUSUAL = 4.0


@dataclass(frozen=True, eq=False)
class Refined:
    """What became of a scan.

    Attributes:
        image: the result, the scan's shape and dtype.
        steps: of training.
        gain: by how much the network lowered the squared error on the part that was held out,
            beyond what a few numbers did, in units of sigma^2.
        refined: it fell by more than chance explains; otherwise the network has no say.
        recombined: the filter's result had some of its residual and of its neighbours added, by
            :class:`meddenoise.training.recombined.Recombination`; otherwise, and without the
            network, ``image`` is the filter's own.
    """

    image: NDArray[np.floating]
    steps: int
    gain: float
    refined: bool
    recombined: bool = False


def refine(
    array: NDArray[np.floating],
    first: Filter,
    *,
    others: Others | None = None,
    sigma: float,
    seconds: float,
    spacing: Sequence[float],
    seed: int = 0,
    device: str = "auto",
    floor: float | None = None,
    progress: Progress | None = None,
) -> Refined:
    """Denoise by a filter, and spend the rest of the time on learning what it left undone.

    It learns from recorruptions of the scan (R2R: Pang et al., CVPR 2021, equation 8): y1 and y2
    have independent noise, so that y2 is a target for what is made of y1 and of B(y1), B being the
    filter. What they are made with must be like the noise itself, or noise would be left on
    purpose: it is like what the filter took away, and where that is white, as strong as was said
    (:class:`meddenoise.noise.residual_noise.ResidualNoise`).

    First some of the residual, of the neighbours and of what else is made of y is added to B(y), by
    few numbers for all of the scan (:class:`meddenoise.training.recombined.Recombination`).
    Then a small U-Net, which starts as the identity, gets that and the scan and corrects it further
    (:mod:`meddenoise.training.corrector`). A quarter of the scan is held out, for a network might
    learn the very noise of what it sees: where it is no better there than without it, it has no
    say. Where the scan is too small to hold out anything, the filter's result is given. No
    correction has a say in the local mean (:class:`meddenoise.training.bounds.Bounds`), but where
    it fades in above the floor.

    Right for Gaussian noise of a known level that the filter takes away, white or filled with zeros
    from 80 to 95 % of k-space. Where what it took away is stronger or weaker than that by more than
    6 %, the filter's result is given.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite, any unit.
        first: ``(noisy, sigma)`` to the filtered image.
        others: ``(noisy, filtered, sigma)`` to what else may be made of it, beside non-local means:
            each has two numbers, one of them for where there is detail.
        sigma: standard deviation of the noise, in the array's unit, above 0.
        seconds: for all together, the last pass over the scan as well; the first filtering takes as
            long as it takes, and what is added by a few numbers some 6 microseconds a voxel. The
            training ends earlier once it has been over the scan 60 times: it would only learn the
            noise.
        spacing: voxel size in mm per axis.
        seed: of the recorruptions and of training.
        device: for the network.
        floor: where the filtered image is below, nothing is corrected, and up to one sigma above
            only in part.
        progress: called with the finished fraction.

    Raises:
        ParameterError: seconds or sigma not above 0.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise ParameterError(f"seconds is {seconds:g}: it is above 0.")
    if not (math.isfinite(sigma) and sigma > 0):
        raise ParameterError(f"sigma is {sigma:g}: it is above 0, in the image's units.")
    began = time.perf_counter()

    def left() -> float:
        return seconds - (time.perf_counter() - began)

    noisy = np.asarray(array, dtype=np.float32)
    filtered = np.asarray(first(noisy, sigma), dtype=np.float32)
    spent = seconds - left()
    alone = Refined(filtered.astype(array.dtype), 0, 0.0, False)
    axis = int(np.argmax(noisy.shape))
    kept = _HELD * noisy.shape[axis] // 100
    # Measuring the noise takes the filter once more, of large scans over a part.
    if kept < _NARROWEST or spent * (1 + min(ENOUGH / noisy.size, 1)) >= seconds:
        return alone
    seen, unseen = np.split(noisy, [noisy.shape[axis] - kept], axis=axis)
    like = ResidualNoise.measured(noisy, filtered, lambda y: first(y, sigma), floor)
    # What else is made of it takes about as long as the filter, and there is more to do.
    if left() <= spent or not sigma / _ALIKE < like.sigma < sigma * _ALIKE:
        return alone
    made = partial(_others, others, spacing)
    before = left()
    more = made(noisy, filtered, sigma)
    spent += before - left()
    if left() <= 0:
        return alone
    most = min(_FILTERING * seconds, _OF_WHAT_IS_LEFT * left())
    recorruption = Recorruption(first, made, like.settled(sigma), sigma, seed)
    copies, held = _recorrupted(recorruption, seen, unseen, spent * seen.size / noisy.size, most)
    few = _recombined(noisy, filtered, more, recorruption, copies, held, spacing, floor)
    if few is not None:
        filtered, copies, held = few
        alone = Refined(filtered.astype(array.dtype), 0, 0.0, False, True)
    if left() <= 0:
        return alone
    corrector = Corrector.of(
        noisy, sigma=sigma, floor=floor, spacing=spacing, seed=seed, device=device
    )
    one = corrector.seconds(held, noisy.size)
    flips, last = passing(one, 2**array.ndim, left())
    if last >= left():
        return alone
    network, steps = corrector.trained(
        copies, voxels=seen.size, seconds=left() - last, progress=progress
    )
    better = corrector.corrected(held.filtered, held.noisier, network, flips)
    gain, chance = _gained(held, better, recorruption.shared)
    sure = gain > _CERTAIN * chance
    image = corrector.corrected(filtered, noisy, network, flips) if sure else filtered
    return replace(
        alone,
        image=image.astype(array.dtype),
        steps=steps,
        gain=gain / sigma**2,
        refined=sure,
    )


def _others(
    given: Others | None,
    spacing: Sequence[float],
    noisy: NDArray[np.floating],
    filtered: NDArray[np.floating],
    sigma: float,
) -> tuple[NDArray[np.floating], ...]:
    """What else is made of an image: by itself poorer, but its errors are others.

    Non-local means from near alone is worth 0.03 dB on four heads, from further away and of the
    filtered image 0.01 dB more each.
    """
    more = () if given is None else given(noisy, filtered, sigma)
    near, far = (
        nlmeans(noisy, spacing=spacing, sigma_noise=sigma, search=search) for search in _SEARCHES
    )
    again = nlmeans(filtered, spacing=spacing, sigma_noise=_LEFT * sigma)
    return (*more, near, far, again)


def _recorrupted(
    recorruption: Recorruption,
    seen: NDArray[np.float32],
    unseen: NDArray[np.float32],
    spent: float,
    seconds: float,
) -> tuple[list[Copy], Copy]:
    """Those to learn from, and the one that is held out.

    Args:
        recorruption: how they are made.
        seen: the part of the scan to learn from.
        unseen: the part that is held out.
        spent, seconds: see :func:`_pairs`.
    """
    pairs, part = _pairs(seen.shape, spent, seconds)
    size = tuple(min(p, n) for p, n in zip(part, unseen.shape, strict=True))
    seed = recorruption.seed
    copies = [
        recorruption.of(seen[place(seen.shape, part, seed, pair)], 2 * pair + one)
        for pair in range(pairs)
        for one in range(2)
    ]
    return copies, recorruption.of(unseen[place(unseen.shape, size, seed, pairs)], 2 * pairs)


def _recombined(
    noisy: NDArray[np.float32],
    filtered: NDArray[np.float32],
    others: Sequence[NDArray[np.floating]],
    recorruption: Recorruption,
    copies: Sequence[Copy],
    held: Copy,
    spacing: Sequence[float],
    floor: float | None,
) -> tuple[NDArray[np.float32], list[Copy], Copy] | None:
    """The filtered scan and what is filtered of its recorruptions, corrected by a few numbers.

    ``None`` where they would be due to chance, have lost on the part that was held out, or change
    much more in the scan than in what they were learned from.
    """
    sigma, noisier = recorruption.sigma, recorruption.noisier
    how: dict[str, Any] = {"spacing": spacing, "floor": -math.inf if floor is None else floor}
    few = Recombination.learned(
        ((copy.noisier, copy.filtered, copy.target, copy.others) for copy in copies),
        sigma=noisier,
        voxels=recorruption.shared,
        powers=powers(noisy, filtered, others, sigma=sigma, **how),
        **how,
    )
    if few is None:
        return None
    image = few.of(noisy, filtered, sigma, others)
    *mended, other = [copy.by(few, noisier) for copy in (*copies, held)]
    usual = max(_power(b.filtered - c.filtered) for b, c in zip(mended, copies, strict=True))
    gain, chance = _gained(held, other.filtered, recorruption.shared)
    if gain > -_CERTAIN * chance and _power(image - filtered) < _UNUSUAL * usual:
        return image, mended, other
    return None


def _gained(held: Copy, better: NDArray[np.float32], shared: float) -> tuple[float, float]:
    """How much smaller the squared error is on the part held out, and its standard error."""
    fell = np.square(held.filtered - held.target) - np.square(better - held.target)
    gain, chance = float(fell.mean(dtype=np.float64)), float(fell.std(dtype=np.float64))
    return gain, chance / math.sqrt(fell.size / shared)


def _power(image: NDArray[np.floating]) -> float:
    return float(np.square(image, dtype=np.float64).mean())


def _pairs(shape: Sequence[int], spent: float, seconds: float) -> tuple[int, tuple[int, ...]]:
    """How many pairs of recorruptions, and their size.

    Args:
        shape: of what they are cut from.
        spent: seconds that filtering all of it takes.
        seconds: that filtering them and the one that is held out may take.
    """
    for pairs in _PAIRS:
        share = seconds / ((2 * pairs + _HELD / (100 - _HELD)) * max(spent, 1e-9))
        if share >= 1:
            return pairs, tuple(shape)
    # Axes that are short stay as they are.
    shrink = share ** (1 / max(1, sum(n > _SMALLEST_PART for n in shape)))
    return pairs, tuple(min(n, max(_SMALLEST_PART, int(n * shrink))) for n in shape)
