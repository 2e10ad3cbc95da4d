"""A filter's result with some of its residual and of its neighbours, by few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from meddenoise.filters.least_squares import least_squares, product_sums
from meddenoise.filters.refine import WIDTHS
from meddenoise.filters.spacing import relative_spacing
from meddenoise.noise.residual_noise import middle_part
from meddenoise.training.bounds import Bounds

__all__ = ["Recombination", "powers"]

Image = NDArray[np.float32]
Example = tuple[Image, Image, Image] | tuple[Image, Image, Image, Sequence[Image]]

# Of the smoothed copies, those that count for themselves where there is detail.
_IN_DETAIL = (0.7, 1.5)
# Detail is what differs from a mean of that width; it is strong beside that share of the noise.
_DETAIL, _STRONG = 1.5, 0.3
# Of the power of a term. Three times as much costs 0.004 dB; without, a scan was lost of whose
# detail the part that was learned from had none.
_RIDGE = 1e-5


@dataclass(frozen=True, eq=False)
class Recombination:
    """What a filter took of the image, brought back, and what it left of the noise, taken away.

    The sum ``f(y) + sum_k a_k F_k(y)`` of the result, the residual ``y - f(y)``, Gaussian smoothed
    copies of both, what other filters make of ``y``, and some of these once more where there is
    detail. The weights are those with the least squared error to a target whose noise is
    independent: with few of them from all voxels, nothing is overfitted. So Stein's estimate has
    them (SURE-LET: Blu and Luisier, IEEE TIP 16:2778, 2007; :mod:`meddenoise.filters.refine`),
    which holds for white noise alone; a recorruption's target holds for noise that neighbours share
    as well.

    Weights are kept small (ridge regression) by what their terms are in the whole scan: what is
    hardly there in the parts that they are learned from, such as detail, could have any weight.

    Attributes:
        weights: of the terms.
        spacing: voxel size in mm per axis.
        floor: where the filtered image is below, nothing is corrected.
    """

    weights: NDArray[np.floating]
    spacing: Sequence[float]
    floor: float

    @classmethod
    def learned(
        cls,
        examples: Iterable[Example],
        *,
        sigma: float,
        spacing: Sequence[float],
        floor: float,
        voxels: float = 1.0,
        powers: Sequence[float] | None = None,
    ) -> Recombination | None:
        """From noisy images, what the filter made of them, and targets with independent noise.

        Args:
            examples: at least one ``(noisy, filtered, target)``, all ``(X, Y)`` or ``(X, Y, Z)``,
                with what other filters make of the noisy image as a fourth, if there are any; of
                large ones the middle tells enough.
            sigma: standard deviation of the noise in the noisy images.
            spacing: voxel size in mm per axis.
            floor: see the class; ``-inf`` for none.
            voxels: among how many voxels the noise of a target is shared.
            powers: of the terms in the scan that it is for, from :func:`powers`; as they are in
                the examples if None.

        Returns:
            ``None`` where the weights would be due to chance (they are expected to do no better
            on another image: Akaike's criterion).
        """
        sums: list[tuple[NDArray[np.floating], NDArray[np.floating]]] = []
        error, count = 0.0, 0
        for example in examples:
            noisy, filtered, target = (middle_part(image) for image in example[:3])
            others = [middle_part(image) for images in example[3:] for image in images]
            found = _terms(noisy, filtered, others, sigma, spacing, floor)
            terms = [term.reshape(-1) for term in found]
            missed = (target - filtered).reshape(-1)
            sums.append(product_sums(terms, missed))
            error += float(np.square(missed, dtype=np.float64).sum())
            count += missed.size
        products, right = (np.sum(parts, axis=0) for parts in zip(*sums, strict=True))
        there = np.diag(products) if powers is None else count * np.asarray(powers)
        weights = least_squares(products + np.diag(_RIDGE * there), right)
        fell = float(2 * weights @ right - weights @ products @ weights)
        free = count - len(weights)
        if free <= 0 or not fell > 2 * len(weights) * voxels * (error - fell) / free:
            return None
        return cls(weights, tuple(spacing), floor)

    def of(
        self, noisy: Image, filtered: Image, sigma: float, others: Sequence[Image] = ()
    ) -> Image:
        """The filtered image, corrected.

        Args:
            noisy: ``(X, Y)`` or ``(X, Y, Z)``.
            filtered: what the filter made of it.
            sigma: standard deviation of the noise in it.
            others: what other filters make of it, those that it was learned from.
        """
        image = filtered.astype(np.float32)
        terms = _terms(noisy, filtered, others, sigma, self.spacing, self.floor)
        for weight, term in zip(self.weights, terms, strict=True):
            image += np.float32(weight) * term
        return image


def powers(
    noisy: Image,
    filtered: Image,
    others: Sequence[Image] = (),
    *,
    sigma: float,
    spacing: Sequence[float],
    floor: float,
) -> list[float]:
    """The mean squares of the terms in a scan; see :meth:`Recombination.learned`."""
    terms = _terms(noisy, filtered, others, sigma, spacing, floor)
    return [float(np.square(term, dtype=np.float64).mean()) for term in terms]


def _terms(
    noisy: Image,
    filtered: Image,
    others: Sequence[Image],
    sigma: float,
    spacing: Sequence[float],
    floor: float,
) -> Iterator[Image]:
    """All that is added, within the bounds of a correction."""
    bounds = Bounds(floor, sigma)
    base = torch.from_numpy(np.ascontiguousarray(filtered, dtype=np.float32))[None, None]
    strong = _strength(filtered, sigma, spacing)
    for width, term in _copies(noisy, filtered, others, spacing):
        again = (strong * term,) if width in (None, *_IN_DETAIL) else ()
        for each in (term, *again):
            correction = torch.from_numpy(each.astype(np.float32))[None, None]
            yield bounds.allowed(base, correction)[0, 0].numpy()


def _copies(
    noisy: Image,
    filtered: Image,
    others: Sequence[Image],
    spacing: Sequence[float],
) -> Iterator[tuple[float | None, Image]]:
    """What may be added, with its width if it is smoothed."""
    residual = noisy - filtered
    yield None, residual
    for other in others:
        yield None, other - filtered
    for width in WIDTHS:
        yield width, _smoothed(residual, width, spacing)
        yield width, _smoothed(filtered, width, spacing) - filtered


def _strength(filtered: Image, sigma: float, spacing: Sequence[float]) -> Image:
    """Of the detail around each voxel, beside the noise: 0 to 1."""
    detail = filtered - _smoothed(filtered, _DETAIL, spacing)
    power = _smoothed(detail * detail, _DETAIL, spacing)
    return np.asarray(power / (power + np.float32(_STRONG * sigma**2)), dtype=np.float32)


def _smoothed(image: Image, width: float, spacing: Sequence[float]) -> Image:
    from scipy.ndimage import gaussian_filter

    widths = [width / ratio for ratio in relative_spacing(spacing)]
    return np.asarray(gaussian_filter(image, widths), dtype=np.float32)
