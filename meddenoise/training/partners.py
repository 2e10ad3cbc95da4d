"""Whether scans and their partners show the same, in the same units: said before hours of it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np

from meddenoise.training.prepare import Prepared

__all__ = ["warn_if_unlike"]

# So many voxels of a scan tell.
_SAMPLE = 2**18
# Noise leaves the slope at 1; that of a magnitude lowers it to 0.4 where it is half of the scan's
# brightest.
_LOWEST, _LARGEST = 0.35, 2.8
# In standard deviations of the partner; and where nothing is below 0, of what the line leaves, as
# magnitudes of noise alone have a mean of 1.9 times their standard deviation.
_ASIDE, _ASIDE_OF_NOISE = 1.0, 2.0


def warn_if_unlike(scans: Sequence[Prepared], *, clean: bool) -> None:
    """Warn of scans that are no noisy version of what they are to become, or that very thing.

    A partner in stored values beside an image in HU, one that was normalised, and one of somebody
    else are found by the line that fits the scan's voxels over its partner's: with noise of mean 0
    it has a slope of 1, and both have the same mean.

    Args:
        scans: those with a partner that was not made from them count.
        clean: the partners have no noise. Of two noisy ones only the spreads are compared, for
            noise along the abscissa flattens the line.
    """
    with_partner = [scan for scan in scans if scan.truth is not None and not scan.made]
    same = next((scan.name for scan in with_partner if _is_same(scan)), None)
    if same is not None:
        warnings.warn(
            f"{same} is its own partner, voxel by voxel: there is no noise to learn from. Are "
            "data.images and data.targets what they should be?",
            stacklevel=3,
        )
    unlike = [(scan.name, *found) for scan in with_partner if (found := _unlike(scan, clean))]
    if not unlike:
        return
    name, slope, above = unlike[0]
    others = f" So it is with {len(unlike)} of {len(with_partner)} scans." if unlike[1:] else ""
    warnings.warn(
        f"{name} differs from its partner by more than noise: where the partner's values rise by "
        f"1, its own rise by {slope:.3g}, and in the mean they lie {above:.3g} higher.{others} Are "
        "they of the same scan, and in the same units?",
        stacklevel=3,
    )


def _is_same(scan: Prepared) -> bool:
    assert scan.truth is not None
    one, other = scan.volume, scan.truth
    return np.array_equal(one.array, other.array, equal_nan=True)


def _unlike(scan: Prepared, clean: bool) -> tuple[float, float] | None:
    """Slope and difference of the means, where they are not those of one scan."""
    assert scan.truth is not None
    # An odd step takes voxels from everywhere: an even one is often a multiple of the rows' length.
    every = max(1, scan.volume.array.size // _SAMPLE) | 1
    known = scan.volume.valid.flat[::every] & scan.truth.valid.flat[::every]
    x, y = (
        volume.array.flat[::every][known].astype(np.float64) for volume in (scan.truth, scan.volume)
    )
    if x.size < 2 or x.std() == 0 or y.std() == 0:
        return None  # a constant, of which others tell
    slope = float(np.cov(x, y)[0, 1] / x.var(ddof=1)) if clean else float(y.std() / x.std())
    above = float(y.mean() - x.mean())
    aside = _ASIDE * float(x.std())
    if min(x.min(), y.min()) >= 0:
        aside = max(aside, _ASIDE_OF_NOISE * float(np.std(y - slope * x)))
    if _LOWEST <= slope <= _LARGEST and math.fabs(above) <= aside:
        return None
    return slope, above
