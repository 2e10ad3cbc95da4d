"""A channelised Hotelling observer: whether a faint thing can still be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import check_spacing
from meddenoise.evaluation.statistics import Mean

__all__ = ["Detectability", "detectability_gain", "hotelling_observer", "laguerre_gauss"]

_CHANNELS = 5
_RESAMPLES = 999
_TAILS = (2.5, 97.5)
# Each class wants twice as many patches as there are channels, or covariances are guesswork.
_PATCHES_PER_CHANNEL = 2
_MOST = 300

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Detectability:
    """How well an observer tells patches with a signal from those without.

    Attributes:
        d_prime: ``sqrt(2) mean / std`` of the differences of an observer's response to a patch
            with and one without the signal, with its 95 % bootstrap interval; 0 for guessing.
        auc: the share of pairs that it tells apart, with its interval; 0.5 for guessing.
        present, absent: how many patches.
        differences: ``(present, absent)`` responses, NaN for pairs of one place.
        paired: patch i of both is of one place.
    """

    d_prime: Mean
    auc: Mean
    present: int
    absent: int
    differences: Array
    paired: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            name: {"value": m.value, "low": m.low, "high": m.high}
            for name, m in (("d_prime", self.d_prime), ("auc", self.auc))
        } | {"present": self.present, "absent": self.absent}


def laguerre_gauss(
    shape: Sequence[int],
    *,
    width: float,
    spacing: Sequence[float] | None = None,
    count: int = _CHANNELS,
) -> Array:
    """Round channels ``exp(-pi r^2 / a^2) L_p(2 pi r^2 / a^2)``, p = 0, 1, ...

    Gallas and Barrett, J Opt Soc Am A 20:1725, 2003, for signals that are round; in 3-D with the
    associated polynomials of order 1/2, which makes them orthogonal there as well.

    Args:
        shape: of a patch, ``(X, Y)`` or ``(X, Y, Z)``; the middle is that of the patch.
        width: a in mm; about the signal's diameter.
        spacing: voxel size in mm per axis; 1 mm by default.
        count: how many.

    Returns:
        ``(count, *shape)``, each of norm 1.

    Raises:
        ParameterError: a width that is not positive, or a patch of another number of axes.
    """
    from scipy.special import eval_genlaguerre

    if not (math.isfinite(width) and width > 0) or len(shape) not in (2, 3) or count < 1:
        raise ParameterError(
            f"Channels for a patch of shape {tuple(shape)}, width {width:g} mm, {count} of them: "
            "a patch has 2 or 3 axes, and width and count are above 0."
        )
    sizes = check_spacing(spacing, len(shape))
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, sizes, strict=True)]
    square = sum(a**2 for a in np.meshgrid(*axes, indexing="ij")) * (math.pi / width**2)
    order = len(shape) / 2 - 1
    made = np.stack(
        [np.exp(-square) * eval_genlaguerre(p, order, 2 * square) for p in range(count)]
    )
    norms = np.sqrt((made**2).sum(axis=tuple(range(1, made.ndim)), keepdims=True))
    return np.asarray(made / norms)


def hotelling_observer(
    present: ArrayLike,
    absent: ArrayLike,
    channels: ArrayLike,
    *,
    paired: bool = False,
    seed: int = 0,
) -> Detectability:
    """The channelised Hotelling observer (Myers and Barrett, J Opt Soc Am A 4:2447, 1987).

    Its template is ``S^-1 (mean present - mean absent)`` of the channels' outputs, S their
    covariance, pooled over both kinds. Each pair of a patch with and one without the signal is
    judged by a template learnt from all other patches (leave-pair-out), so that it is not flattered
    by having seen them. Intervals are from resampling the patches, with the learnt templates as
    they are.

    Args:
        present: ``(n, *shape)`` patches with the signal in the middle, any unit.
        absent: ``(m, *shape)`` without.
        channels: ``(c, *shape)``, of :func:`laguerre_gauss`.
        paired: patch i of both is of one place (and noise): such pairs are not judged, and a place
            that is judged is learnt from in neither form.
        seed: of the resampling. The same seed and numbers give the same resamples.

    Raises:
        ParameterError: shapes that do not match, a patch that is not finite, fewer than twice as
            many patches of a kind as channels (and 2 more), or patches that are all alike.
    """
    filters = np.asarray(channels, dtype=np.float64)
    there, gone = (_outputs(patches, filters) for patches in (present, absent))
    if paired and len(there) != len(gone):
        raise ParameterError(
            f"Paired patches are as many with as without: {len(there)} and {len(gone)}."
        )
    count = filters.shape[0]
    least = _PATCHES_PER_CHANNEL * count + 2
    if min(len(there), len(gone)) < least:
        raise ParameterError(
            f"An observer of {count} channels wants at least {least} patches with the signal and "
            f"as many without, and there are {len(there)} and {len(gone)}."
        )
    there, gone = there[:_MOST], gone[:_MOST]
    scale = np.sqrt((there.var(axis=0) + gone.var(axis=0)) / 2)
    if not (scale > 0).all():
        raise ParameterError("The patches are all alike: there is no noise to see through.")
    # Channels of one size, about 0: the solution is the same, the arithmetic better.
    middle = (there.mean(axis=0) + gone.mean(axis=0)) / 2
    differences = _leave_pair_out((there - middle) / scale, (gone - middle) / scale, paired)
    d_prime, auc = _scores(differences)
    if not math.isfinite(d_prime):
        raise ParameterError("The observer's responses do not vary: no detectability.")
    resampled = _resampled(differences, paired, seed)
    lows, highs = np.percentile(resampled, _TAILS, axis=0)
    means = [
        Mean(value, float(low), float(high), len(there))
        for value, low, high in zip((d_prime, auc), lows, highs, strict=True)
    ]
    return Detectability(means[0], means[1], len(there), len(gone), differences, paired)


def detectability_gain(one: Detectability, other: Detectability, *, seed: int = 0) -> Mean:
    """The d' of one minus that of another, with the interval of the same patches resampled alike.

    Args:
        one: of an image.
        other: of another image of the same patches in the same order.
        seed: of the resampling.

    Raises:
        ParameterError: other numbers of patches.
    """
    if one.differences.shape != other.differences.shape or one.paired != other.paired:
        raise ParameterError("Two detectabilities are compared over the same patches.")
    apart = (
        _resampled(one.differences, one.paired, seed)[:, 0]
        - _resampled(other.differences, other.paired, seed)[:, 0]
    )
    low, high = np.percentile(apart, _TAILS)
    value = one.d_prime.value - other.d_prime.value
    return Mean(value, float(low), float(high), one.present)


def _outputs(patches: ArrayLike, filters: Array) -> Array:
    values = np.asarray(patches, dtype=np.float64)
    if values.shape[1:] != filters.shape[1:]:
        raise ParameterError(
            f"The patches have shape {values.shape[1:]}, the channels {filters.shape[1:]}."
        )
    if not np.isfinite(values).all():
        raise ParameterError("A patch holds a voxel that is not finite.")
    return np.asarray(values.reshape(len(values), -1) @ filters.reshape(len(filters), -1).T)


def _leave_pair_out(there: Array, gone: Array, paired: bool) -> Array:
    """``(n, m)`` response to patch i minus response to patch j, learnt from the others."""
    n, m = len(there), len(gone)
    found = np.full((n, m), np.nan)
    everywhere = np.ones(m)
    for i in range(n):
        if paired:
            # Neither place i nor place j, in either form.
            other = (np.arange(m) != i).astype(np.float64)
            (mean_1, spread_1), (mean_0, spread_0) = (
                _learnt(values, values[i], values, other) for values in (there, gone)
            )
        else:
            mean_1, spread_1 = _learnt(there, there[i], gone, 0 * everywhere)
            mean_0, spread_0 = _learnt(gone, None, gone, everywhere)
        pooled = spread_1 + spread_0
        count = pooled.shape[1]
        size = np.trace(pooled, axis1=1, axis2=2)[:, None, None] / count
        apart = mean_1 - mean_0
        template = np.linalg.solve(pooled + 1e-9 * size * np.eye(count), apart[..., None])[..., 0]
        length = np.sqrt(np.maximum((template * apart).sum(axis=1), 1e-300))
        found[i] = ((there[i] - gone) * template).sum(axis=1) / length
        if paired:
            found[i, i] = np.nan
    return found


def _learnt(
    values: Array, always: Array | None, each: Array, weights: Array
) -> tuple[Array, Array]:
    """``(m, c)`` means and ``(m, c, c)`` scatters about them of the values without some of them.

    Args:
        values: ``(n, c)``.
        always: ``(c,)``: one of them that is left out in all.
        each: ``(m, c)``: of which row j is left out in j,
        weights: ``(m,)``: where this is 1 rather than 0.
    """
    out = each * weights[:, None]
    square = out[:, :, None] * out[:, None, :]
    kept = len(values) - weights
    if always is not None:
        out, square, kept = out + always, square + np.outer(always, always), kept - 1
    mean = (values.sum(axis=0) - out) / kept[:, None]
    total = values.T @ values - square
    return mean, total - kept[:, None, None] * (mean[:, :, None] * mean[:, None, :])


def _scores(differences: Array) -> tuple[float, float]:
    known = differences[np.isfinite(differences)]
    spread = float(known.std())
    mean = float(known.mean())
    # No response at all: there is nothing left to see, so it guesses.
    d_prime = math.sqrt(2) * mean / spread if spread > 0 else (0.0 if mean == 0 else math.nan)
    return d_prime, float((known > 0).mean() + 0.5 * (known == 0).mean())


def _resampled(differences: Array, paired: bool, seed: int) -> Array:
    """``(resamples, 2)``: d' and AUC of patches drawn anew."""
    draws = np.random.default_rng(seed)
    n, m = differences.shape
    # NaN where a place would meet itself; weights instead of copies keep that simple and fast.
    known = np.isfinite(differences)
    values = np.where(known, differences, 0.0)
    told = np.where(known, (differences > 0) + 0.5 * (differences == 0), 0.0)
    found = np.empty((_RESAMPLES, 2))
    for k in range(_RESAMPLES):
        rows = np.bincount(draws.integers(n, size=n), minlength=n).astype(np.float64)
        columns = rows
        if not paired:
            columns = np.bincount(draws.integers(m, size=m), minlength=m).astype(np.float64)
        weight = rows @ known @ columns
        mean = rows @ values @ columns / weight
        spread = math.sqrt(max(rows @ values**2 @ columns / weight - mean**2, 1e-300))
        found[k] = math.sqrt(2) * mean / spread, rows @ told @ columns / weight
    return found
