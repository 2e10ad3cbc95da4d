"""One HTML file that opens from a disk: text, tables, plots, and a viewer of volumes."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from meddenoise.evaluation.fields import as_floats
from meddenoise.io.atomic import atomic_file
from meddenoise.report.embedded import MOST_VOXELS, across_planes, embed, steps_to_fit
from meddenoise.report.preview import display_window
from meddenoise.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Page", "Scans", "Table"]

# Of the residual in a page, an overlay of colours: its standard deviations that they reach, and how
# many there are. Images are rounded to a share of that deviation, too fine to be seen.
_SPREAD, _COLOURS, _ROUNDED = 4, 64, 32
_AXIAL, _CORONAL, _SAGITTAL, _THREE_PLANES = range(4)
# By the direction that they are stacked along: right, front, head.
_PLANES = ("sagittal", "coronal", "axial")
# Of the longest side: what is thinner is a slab.
_SLAB = 0.4
# NiiVue's shaders widen every window to 0.00001: below the first, voxels are multiplied, by so many
# tens at most. What is finer than the second's part of a window cannot be seen.
_NARROW, _FINEST, _MOST_TENS = 1e-3, 1e5, 300
# Letters of a cell that holds a number, at most; of one that holds words, in small type beyond.
_SHORT, _LONG = 40, 60


@dataclass(frozen=True)
class Table:
    """A table: its head, and rows as long as that; numbers come as text."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Scans:
    """What the viewer shows.

    Attributes:
        noisy, denoised: on one grid, one volume; their difference is the residual.
        reference: the truth, if there is one.
        most: voxels of each that the page may hold.
    """

    noisy: Volume
    denoised: Volume
    reference: Volume | None = None
    most: int = MOST_VOXELS


@dataclass
class Page:
    """A report in the making: add to it from the top down, then write it."""

    title: str
    parts: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Start a section."""
        self.parts.append(f"<h2>{html.escape(text)}</h2>")

    def note(self, text: str) -> None:
        """A sentence in small type."""
        self.parts.append(f'<p class="note">{html.escape(text)}</p>')

    def text(self, text: str) -> None:
        """A sentence."""
        self.parts.append(f"<p>{html.escape(text)}</p>")

    def code(self, text: str) -> None:
        """Lines as they are."""
        self.parts.append(f"<pre>{html.escape(text)}</pre>")

    def table(self, table: Table) -> None:
        """A table; numbers stand at the right, how they were found in small type."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.head)
        told = [cell.startswith("how") for cell in table.head]
        rows = "".join(
            f"<tr>{''.join(_cell(c, said=t) for c, t in zip(row, told, strict=True))}</tr>"
            for row in table.rows
        )
        self.parts.append(f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>')

    def plots(self, figures: Mapping[str, Figure], captions: Mapping[str, str]) -> None:
        """Plots as pictures within the page, each with its caption."""
        from meddenoise.report.figures import svg

        shown = []
        for name, figure in figures.items():
            data = base64.b64encode(svg(figure).encode()).decode()
            caption = html.escape(captions.get(name, name))
            shown.append(
                f'<figure><img alt="{caption}" src="data:image/svg+xml;base64,{data}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        self.parts.append(f'<div class="plots">{"".join(shown)}</div>')

    def viewer(self, scans: Scans) -> None:
        """Linked slices of the scans; the page then holds their voxels."""
        noisy, denoised = scans.noisy, scans.denoised
        images = {"noisy": noisy, "denoised": denoised}
        if scans.reference is not None:
            images["reference"] = scans.reference
        steps = steps_to_fit(noisy.shape, noisy.spacing, scans.most)
        residual, spread = _residual(noisy, denoised)
        low, high = display_window(scans.reference or denoised)
        scale = _scale(max(spread, (high - low) / _FINEST))
        step = spread / _SPREAD / _ROUNDED
        made = {
            name: embed(_scaled(volume, scale), steps, step=step * scale)
            for name, volume in images.items()
        }
        note = _left_out(noisy, steps, scans.most)
        note += _rounded(max(one.step for one in made.values()) / scale, noisy.units)
        spread = spread * scale or 1.0
        told = {
            "images": {
                name: {"nifti": one.base64, "shape": one.shape} for name, one in made.items()
            },
            "residual": {
                "nifti": embed(_scaled(residual, scale), steps, step=2 * spread / _COLOURS).base64
            },
            "spread": spread,
            "scale": scale,
            "level": _in_steps((low + high) / 2, high - low),
            "window": _in_steps(high - low, high - low),
            "flat": noisy.dims == 2,
            "plane": _first_view(noisy),
            # A pixel or two on a screen, whatever the field of view.
            "crosshair": max(n * s for n, s in zip(noisy.shape, noisy.spacing, strict=True)) / 400,
        }
        self.parts.append(Template(_read("viewer.html")).substitute(note=html.escape(note)))
        self.scripts += [
            f'<script type="application/json" id="scans">{_json(told)}</script>',
            "<script>\n"
            f"/* NiiVue 0.69.0\n{_vendored('LICENSE.txt')}\n{_vendored('BUNDLED.txt')}\n*/\n"
            f"{_vendored('niivue.umd.js')}\n</script>",
            f"<script>\n{_read('viewer.js')}\n</script>",
        ]

    def write(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """The finished file.

        Raises:
            OutputError: it exists and may not be replaced, or cannot be written.
        """
        whole = Template(_read("page.html")).substitute(
            title=html.escape(self.title),
            style=_read("style.css"),
            body="\n".join(self.parts),
            scripts="\n".join(self.scripts),
        )
        with atomic_file(path, overwrite=overwrite) as temporary:
            # The name of a file may be no text: bytes of another encoding.
            temporary.write_text(whole, encoding="utf-8", errors="backslashreplace")
        return Path(path)


def _first_view(volume: Volume) -> int:
    """How the page opens, by NiiVue's numbers: three planes, or a slab's own plane alone.

    Beside a slab's own plane the two others are stripes, and the swipe would run between them.
    """
    if volume.dims == 2:
        return _AXIAL
    extent = [n * s for n, s in zip(volume.shape, volume.spacing, strict=True)]
    thin = int(np.argmin(extent))
    if extent[thin] > _SLAB * max(extent):
        return _THREE_PLANES
    # The slab's normal is nearest to left-right, front-back or head-feet.
    return (_SAGITTAL, _CORONAL, _AXIAL)[int(np.argmax(np.abs(volume.affine[:3, thin])))]


def _residual(noisy: Volume, denoised: Volume) -> tuple[Volume, float]:
    """Noisy minus denoised within a few deviations, and how far colours reach; 0 if nowhere."""
    apart = as_floats(noisy.array[:1]) - denoised.array[:1]
    valid = (noisy.valid_in(0) & denoised.valid_in(0))[None]
    changed = apart[valid & (apart != 0)]
    spread = _SPREAD * float(changed.std(dtype=np.float64)) if changed.size > 1 else 0.0
    reach = spread or 1.0
    apart[~valid] = 0
    return Volume(apart.clip(-reach, reach, out=apart), noisy.affine), spread


def _scale(width: float) -> float:
    """What voxels in the page are multiplied by, so that NiiVue tells so small a range apart."""
    return 1.0 if width >= _NARROW else 10.0 ** min(math.ceil(-math.log10(width)), _MOST_TENS)


def _scaled(volume: Volume, scale: float) -> Volume:
    if scale == 1:
        return volume
    return volume.with_array(volume.array.astype(np.float64) * scale)


def _in_steps(value: float, width: float) -> float:
    """As fine as a display of that width asks for."""
    return round(value, 4 - math.floor(math.log10(width)))


def _left_out(volume: Volume, steps: tuple[int, ...], most: int) -> str:
    """What of a large scan is not in the page, a sentence."""
    if max(steps) == 1:
        return ""
    said = f"The scan of {' x '.join(map(str, volume.shape))} voxels is too large for the page "
    said += f"(at most {most:,}, --voxels): "
    across = across_planes(volume.spacing) if volume.dims == 3 else -1
    inside = [step for axis, step in enumerate(steps) if axis != across]
    if across >= 0 and steps[across] > 1:
        kind = _PLANES[int(np.argmax(np.abs(volume.affine[:3, across])))]
        said += f"of its {volume.shape[across]} {kind} slices one in {steps[across]} is here, "
        said += "whole" if max(inside) == 1 else f"with one voxel of {' x '.join(map(str, inside))}"
    else:
        said += f"one voxel of {' x '.join(map(str, steps))} is here"
    return f"{said}. Nothing is averaged, and the numbers are of all voxels. "


def _rounded(step: float, units: str) -> str:
    unit = f" {units}" if units else ""
    return f"Intensities in the page are rounded to {step:.2g}{unit}."


def _cell(text: str, *, said: bool) -> str:
    kind = ""
    if said or len(text) > _LONG:
        kind = ' class="said"'
    elif text == "none" or (
        text[:1] in "0123456789+-–" and len(text) < _SHORT and " to " not in text
    ):
        kind = ' class="number"'
    return f"<td{kind}>{html.escape(text)}</td>"


def _json(value: object) -> str:
    """JSON that cannot end the script it stands in."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _read(name: str) -> str:
    return (files("meddenoise.report") / "page" / name).read_text(encoding="utf-8")


def _vendored(name: str) -> str:
    return (files("meddenoise.report") / "vendor" / "niivue" / name).read_text(encoding="utf-8")
