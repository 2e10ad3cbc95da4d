"""Methods side by side: a zoomed cut through each result, and what each removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.io.atomic import atomic_file
from meddenoise.report.labels import plain
from meddenoise.report.planes import middle_planes
from meddenoise.report.preview import display_window
from meddenoise.volume import Volume

__all__ = ["Panel", "comparison"]

# A third of the picture in each direction: single voxels are to be seen.
_ZOOM = 3
_FEWEST = 40
_NOISY, _TRUTH = "noisy", "truth"


@dataclass(frozen=True)
class Panel:
    """One column: a name and its image."""

    name: str
    volume: Volume


def comparison(path: str | Path, rows: Mapping[str, Sequence[Panel]]) -> Path:
    """Write a PNG: for each noise a row of zoomed cuts, and below it the residuals.

    The cut is the last of the middle planes (axial), its middle third. A panel called ``truth``
    gives the window, one called ``noisy`` the residuals: noisy minus result, all on one symmetric
    scale, and noisy minus truth beside them. They should look like that noise; edges in them are
    anatomy that was removed.

    Args:
        path: the PNG; replaced if it exists.
        rows: the panels of each noise, on one grid.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(len(panels) for panels in rows.values())
    figure = Figure(
        figsize=(2.4 * columns, 5.2 * len(rows)), facecolor="black", dpi=110, layout="constrained"
    )
    FigureCanvasAgg(figure)
    grid = figure.subplots(2 * len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (noise, panels) in enumerate(rows.items()):
        images = {panel.name: panel.volume for panel in panels}
        low, high = display_window(images.get(_TRUTH, panels[-1].volume))
        noisy = images.get(_NOISY)
        spread = _spread(noisy, panels)
        for column, panel in enumerate(panels):
            top, below = grid[2 * number][column], grid[2 * number + 1][column]
            _show(top, panel.volume, low, high)
            top.set_title(plain(panel.name), color="white", fontsize=9)
            if column == 0:
                below.set_title(plain(noise), color="white", fontsize=9, loc="left")
            # Below the noisy image is the noise itself, where the truth is known.
            removed = images.get(_TRUTH) if panel.name == _NOISY else panel.volume
            if noisy is not None and removed is not None and panel.name != _TRUTH:
                residual = noisy.with_array(noisy.array - removed.array)
                _show(below, residual, -spread, spread)
    with atomic_file(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png", facecolor="black")
    return Path(path)


def _show(axes: Any, volume: Volume, low: float, high: float) -> None:
    plane = list(middle_planes(volume))[-1]
    axes.imshow(
        _middle(plane.image), cmap="gray", vmin=low, vmax=high, aspect=plane.aspect,
        interpolation="nearest",
    )  # fmt: skip


def _middle(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """The middle part of a cut; all of it along an axis with few voxels."""
    cut = []
    for length in image.shape:
        part = max(min(length, _FEWEST), length // _ZOOM)
        first = (length - part) // 2
        cut.append(slice(first, first + part))
    return image[tuple(cut)]


def _spread(noisy: Volume | None, panels: Sequence[Panel]) -> float:
    """Three standard deviations of the most that a method removed."""
    if noisy is None:
        return 1.0
    removed = []
    for panel in panels:
        # One voxel that a method lost would leave no scale for any of the residuals.
        valid = noisy.valid & panel.volume.valid
        if panel.name not in (_NOISY, _TRUTH) and valid.any():
            removed.append(float(np.std((noisy.array - panel.volume.array)[valid])))
    return 3 * max(removed, default=0.0) or 1.0
