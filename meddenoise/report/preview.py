"""One picture of a result: noisy, denoised, what was removed, and the truth where it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from meddenoise.io.atomic import atomic_file
from meddenoise.report.planes import Plane, middle_planes
from meddenoise.volume import Volume

__all__ = ["display_window", "preview"]


def preview(
    path: str | Path,
    noisy: Volume,
    denoised: Volume,
    truth: Volume | None = None,
    *,
    captions: dict[str, str] | None = None,
) -> Path:
    """Write a PNG: a row a plane (one for 2-D images), a column an image.

    Planes are shown by the radiological convention, the patient's right on the left, with the
    directions marked (R, A, S). Of a 4-D scan the first channel is shown.

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
    low, high = display_window(truth or denoised)
    spread = 3 * _spread(residual)
    shown = [(name, volume, low, high) for name, volume in columns.items()]
    shown.append(("residual", residual, -spread, spread))
    if truth is not None:
        shown.append(("truth", truth, low, high))

    rows = list(middle_planes(noisy))
    # A long, narrow cut gets empty sides rather than a picture metres high.
    heights = [min(p.image.shape[0] * p.aspect / p.image.shape[1], 2.0) for p in rows]
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
        for row, plane in enumerate(middle_planes(volume)):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(
                plane.image, cmap="gray", vmin=low, vmax=high, aspect=plane.aspect,
                interpolation="nearest",
            )  # fmt: skip
            axes.set_axis_off()
            if column == 0:
                _mark(axes, plane)
            if row == 0:
                caption = (captions or {}).get(name, f"±{spread:.3g}" if name == "residual" else "")
                axes.set_title(f"{name}\n{caption}", color="white", fontsize=10)
    with atomic_file(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png", facecolor="black")
    return Path(path)


def _mark(axes: Any, plane: Plane) -> None:
    """Say which side of the patient is where."""
    style: dict[str, Any] = {"color": "yellow", "fontsize": 9, "transform": axes.transAxes}
    axes.text(0.01, 0.5, plane.left, ha="left", va="center", **style)
    axes.text(0.5, 0.99, plane.top, ha="center", va="top", **style)


def display_window(volume: Volume) -> tuple[float, float]:
    """Between which values a scan is shown: soft tissue of CT, else percentiles of channel 0."""
    if volume.units == "HU":
        return -150.0, 250.0
    values = volume.array[0][volume.valid_in(0)]
    if values.size == 0:  # a volume that was lost, in front of others
        return 0.0, 1.0
    low, high = np.percentile(values, [1, 99.7])
    # Of very large numbers the next one is more than 1 away.
    return float(low), float(high if high > low else max(low + 1, np.nextafter(low, np.inf)))


def _spread(residual: Volume) -> float:
    values = residual.array[0][residual.valid_in(0)]
    changed = values[values != 0]
    return float(changed.std()) if changed.size else 1.0
