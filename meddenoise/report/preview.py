"""One picture of a result: noisy, denoised, what was removed, and the truth where it is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meddenoise.io.atomic import atomic_file
from meddenoise.volume import Volume

__all__ = ["preview"]

_PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class _Plane:
    """A cut through the middle, turned as a radiologist looks at it.

    Attributes:
        name: ``"axial"``, ...
        image: ``(rows, columns)``.
        aspect: height of a pixel over its width.
    """

    name: str
    image: NDArray[np.floating]
    aspect: float


def preview(
    path: str | Path,
    noisy: Volume,
    denoised: Volume,
    truth: Volume | None = None,
    *,
    captions: dict[str, str] | None = None,
) -> Path:
    """Write a PNG: a row a plane (one for 2-D images), a column an image.

    All columns but the residual share one window: from the truth, or else from the denoised
    scan, between its 1st and 99.7th percentile (CT: centre 50, width 400 HU). The residual,
    noisy minus denoised, is shown on its own symmetric scale: it should look like noise.

    Args:
        path: the PNG; replaced if it exists.
        noisy: the input.
        denoised: the result, on the same grid.
        truth: the clean scan, if known.
        captions: a line below a column's title, by ``"noisy"``, ``"denoised"``, ``"truth"``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = {"noisy": noisy, "denoised": denoised}
    residual = noisy.with_array(noisy.array - denoised.array)
    low, high = _window(truth or denoised)
    spread = 3 * _spread(residual)
    shown = [(name, volume, low, high) for name, volume in columns.items()]
    shown.append(("residual", residual, -spread, spread))
    if truth is not None:
        shown.append(("truth", truth, low, high))

    rows = list(_planes(noisy))
    heights = [p.image.shape[0] * p.aspect / p.image.shape[1] for p in rows]
    width = 3.2
    figure = Figure(
        figsize=(width * len(shown), width * sum(heights) + 0.75), facecolor="black", dpi=110
    )
    FigureCanvasAgg(figure)
    top = 1 - 0.6 / figure.get_figheight()
    grid = figure.add_gridspec(
        len(rows), len(shown), height_ratios=heights,
        left=0.005, right=0.995, bottom=0.005, top=top, wspace=0.02, hspace=0.03,
    )  # fmt: skip
    for column, (name, volume, low, high) in enumerate(shown):
        for row, plane in enumerate(_planes(volume)):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(
                plane.image, cmap="gray", vmin=low, vmax=high, aspect=plane.aspect,
                interpolation="nearest",
            )  # fmt: skip
            axes.set_axis_off()
            if row == 0:
                caption = (captions or {}).get(name, f"±{spread:.3g}" if name == "residual" else "")
                axes.set_title(f"{name}\n{caption}", color="white", fontsize=10)
    with atomic_file(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png", facecolor="black")
    return Path(path)


def _planes(volume: Volume) -> Iterator[_Plane]:
    """The middle sagittal, coronal and axial cut of the first channel; one image if 2-D."""
    if volume.dims == 2:
        # Rasters and flat volumes: columns run along x, rows down along y.
        yield _Plane("image", volume.array[0].T, volume.spacing[1] / volume.spacing[0])
        return
    array, spacing = _to_ras(volume)
    for axis, name in enumerate(_PLANES):
        across, up = [a for a in range(3) if a != axis]
        if min(array.shape[across], array.shape[up]) < 8:
            continue  # a cut through a few thick slices shows nothing
        cut = array.take(array.shape[axis] // 2, axis=axis)
        yield _Plane(name, cut.T[::-1], spacing[up] / spacing[across])


def _to_ras(volume: Volume) -> tuple[NDArray[np.floating], tuple[float, ...]]:
    """The first channel with its axes turned to the nearest of right, anterior, superior.

    The picture is as seen from behind or above, the patient's left on the left (neurological).
    """
    directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    order: list[int] = []
    for row in range(3):
        strength = [-1.0 if a in order else abs(directions[row, a]) for a in range(3)]
        order.append(int(np.argmax(strength)))
    array = volume.array[0].transpose(order)
    for axis, source in enumerate(order):
        if directions[axis, source] < 0:
            array = np.flip(array, axis)
    return array, tuple(volume.spacing[a] for a in order)


def _window(volume: Volume) -> tuple[float, float]:
    if volume.units == "HU":
        return -150.0, 250.0
    values = volume.array[0][volume.valid[0]]
    low, high = np.percentile(values, [1, 99.7])
    return float(low), float(high if high > low else low + 1)


def _spread(residual: Volume) -> float:
    values = residual.array[0][residual.valid[0]]
    changed = values[values != 0]
    return float(changed.std()) if changed.size else 1.0
