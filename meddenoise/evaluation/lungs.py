"""Where the lungs are in a CT, for foam and clothes have the same values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LUNG", "lungs"]

LUNG = (-950.0, -500.0)
"""HU of lung parenchyma: from the threshold of emphysema (Gevenois et al. 1996) to where vessels
and walls begin."""

_FEWEST = 500  # voxels of a part of a lung
_MOST = 32  # such parts that are looked at, the largest
_THIN = 2  # voxels: half the thickness of a table's shell


def lungs(smooth: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Connected parts below -500 HU that are not mostly air and lie against the body.

    A mattress is connected with the air around it; the foam in a table lies against its shell,
    which is thin. Both have lung's values.

    Args:
        smooth: ``(X, Y)`` or ``(X, Y, Z)``, HU, its noise averaged.

    Returns:
        bool, the same shape: the parts whole, with what vessels and air they have below -500 HU.
    """
    from scipy.ndimage import binary_dilation, binary_opening, find_objects, label

    low, high = LUNG
    dark = smooth < high
    parts, count = label(dark)
    found = np.zeros(smooth.shape, dtype=bool)
    if not count:
        return found
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    air = np.bincount(parts[smooth < low], minlength=count + 1)
    likely = (sizes >= _FEWEST) & (2 * air < sizes)
    likely[0] = False
    bodies, number = label(binary_opening(~dark, iterations=_THIN))
    if not number or not likely.any():
        return found
    body = bodies == 1 + np.argmax(np.bincount(bodies.ravel())[1:])
    places = find_objects(parts)
    reach = _THIN + 2
    for one in sorted(np.flatnonzero(likely), key=lambda k: -sizes[k])[:_MOST]:
        box = tuple(slice(max(0, s.start - reach), s.stop + reach) for s in places[one - 1])
        part = parts[box] == one
        rim = binary_dilation(part) & ~part
        against = binary_dilation(body[box], iterations=reach)[rim]
        if against.size and against.mean() >= 0.5:
            found[box] |= part
    return found
