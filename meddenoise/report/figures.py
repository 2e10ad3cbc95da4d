"""The plots of a report, for a page and for papers."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.io.atomic import atomic_file
from meddenoise.report.labels import plain
from meddenoise.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from meddenoise.evaluation.curves import Curve
    from meddenoise.evaluation.nps import NoisePowerSpectrum

__all__ = [
    "FORMATS",
    "histograms",
    "importance",
    "over_runs",
    "read_log",
    "residuals",
    "save_figures",
    "spectra",
    "svg",
    "training_curves",
    "transfers",
]

_COLOURS = {
    "noisy": "#888888",
    "denoised": "#0060a8",
    "reference": "#2a8a3a",
    "residual": "#b03030",
    "error": "#2a8a3a",
}
_BINS = 160
FORMATS = ("png", "svg", "pdf")


def training_curves(log: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """A plot for each kind of number in ``log.jsonl`` that says how a training went.

    Args:
        log: its lines; ``step``, ``kind`` (``"train"`` or ``"val"``) and numbers by name.
    """
    figures = {}
    for title, names, scale in (
        ("loss", ("loss",), "log"),
        ("psnr", ("psnr", "psnr_noisy"), "linear"),
        ("risk", ("risk",), "linear"),
    ):
        lines = {
            f"{kind} {name}": _points(log, kind, name)
            for kind in ("train", "val")
            for name in names
        }
        lines = {name: points for name, points in lines.items() if points}
        if not lines:
            continue
        figure, axes = _plot("step", {"psnr": "PSNR (dB)"}.get(title, title))
        for name, points in lines.items():
            x, y = zip(*points, strict=True)
            axes.plot(x, y, label=name, marker="." if len(x) < 30 else None, linewidth=1.2)
        if scale == "log" and all(y > 0 for points in lines.values() for _, y in points):
            axes.set_yscale("log")
        axes.legend(frameon=False)
        figures[f"training_{title}"] = figure
    return figures


def over_runs(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Figure]:
    """Validation of several runs, a line each: for each number that any of them has."""
    figures = {}
    for name, label in (("loss", "loss"), ("psnr", "PSNR (dB)"), ("risk", "risk")):
        lines = {run: _points(log, "val", name) for run, log in logs.items()}
        if any(lines.values()):
            figure, axes = _plot("step", f"validation {label}")
            for run, points in lines.items():
                if points:
                    x, y = zip(*points, strict=True)
                    axes.plot(x, y, label=plain(run), marker=".", linewidth=1.2)
            axes.legend(frameon=False, fontsize=8)
            figures[f"validation_{name}"] = figure
    return figures


def _points(log: Sequence[Mapping[str, Any]], kind: str, name: str) -> list[tuple[int, float]]:
    return [
        (row["step"], row[name])
        for row in log
        if row.get("kind") == kind and isinstance(row.get(name), (int, float))
    ]


def histograms(images: Mapping[str, Volume]) -> Figure:
    """How often each intensity occurs, in the first channel of each image; log scale."""
    values = {name: volume.array[0][volume.valid_in(0)] for name, volume in images.items()}
    some = np.concatenate([v[:: max(v.size // 200_000, 1)] for v in values.values()])
    low, high = np.percentile(some, [0.05, 99.95])
    units = next(iter(images.values())).units
    figure, axes = _plot(f"intensity{f' ({units})' if units else ''}", "voxels")
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    for name, value in values.items():
        counts, _ = np.histogram(value, edges)
        axes.stairs(counts, edges, label=name, color=_COLOURS.get(name), linewidth=1.2)
    axes.set_yscale("log")
    axes.legend(frameon=False)
    return figure


def residuals(
    residual: NDArray[np.floating],
    error: NDArray[np.floating] | None = None,
    *,
    units: str = "",
) -> Figure:
    """The distribution of noisy minus denoised, a Gaussian of its mean and deviation beside it.

    Args:
        residual: values that count, any shape.
        error: denoised minus reference, where a reference is known.
        units: of both.
    """
    mean = float(residual.mean(dtype=np.float64))
    sigma = float(residual.std(dtype=np.float64)) or 1.0
    edges = np.linspace(mean - 5 * sigma, mean + 5 * sigma, _BINS + 1)
    if (residual == np.rint(residual)).all():
        # Of whole numbers, each bin holds as many: else there would be teeth.
        width = max(int(np.ceil(10 * sigma / _BINS)), 1)
        edges = np.arange(np.floor(edges[0]) - 0.5, edges[-1] + width, width)
    figure, axes = _plot(f"difference ({units or 'units of the image'})", "density")
    for name, values in (("residual", residual), ("error", error)):
        if values is not None:
            counts, _ = np.histogram(values, edges)
            density = counts / (values.size * np.diff(edges))
            label = {"residual": "noisy - denoised", "error": "denoised - reference"}[name]
            axes.stairs(density, edges, label=label, color=_COLOURS[name], linewidth=1.2)
    middles = (edges[1:] + edges[:-1]) / 2
    bell = np.exp(-0.5 * ((middles - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    label = f"Gaussian, mean {mean:.3g}, deviation {sigma:.3g}"
    axes.plot(middles, bell, "k--", linewidth=0.9, label=label)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def spectra(found: Mapping[str, NoisePowerSpectrum], *, units: str = "") -> Figure:
    """Noise power by spatial frequency, a line a name."""
    figure, axes = _plot("spatial frequency (1/mm)", f"noise power ({units or 'unit'}² mm²)")
    colours = {"noisy - denoised": "residual", "denoised - reference": "error"}
    for name, one in found.items():
        colour = _COLOURS[colours.get(name, "noisy")]
        axes.plot(one.frequencies, one.power, label=name, color=colour, linewidth=1.2)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def transfers(found: Sequence[Curve]) -> Figure:
    """Transfer of edges, or what is kept of them, by spatial frequency; a line a curve.

    A dashed line is at 1; the frequency where a curve falls to a half stands in the legend.
    """
    figure, axes = _plot("spatial frequency (1/mm)", "edges kept" if found else "")
    for curve in found:
        f50 = curve.numbers.get("f50")
        said = "" if f50 is None or f50.value is None else f", half at {f50.value:.3g}/mm"
        colour = _COLOURS.get(curve.of.partition(" / ")[0])
        axes.plot(
            curve.frequencies, curve.values, label=f"{curve.of}{said}", color=colour, linewidth=1.2
        )
    axes.axhline(1, color="black", linestyle="--", linewidth=0.8)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def importance(shares: Mapping[str, float]) -> Figure:
    """Bars: how much of the objective's variance each key explains."""
    names = sorted(shares, key=lambda name: shares[name])
    figure, axes = _plot("share of the objective's variance", "")
    axes.barh(
        [plain(name) for name in names],
        [shares[name] for name in names],
        color=_COLOURS["denoised"],
    )
    axes.set_xlim(0, 1)
    return figure


def svg(figure: Figure) -> str:
    """A figure as SVG text, the same every time."""
    buffer = io.StringIO()
    _write(figure, buffer, "svg")
    return buffer.getvalue()


def save_figures(directory: str | Path, figures: Mapping[str, Figure]) -> list[Path]:
    """Each figure as PNG (300 dpi), SVG and PDF, for papers.

    Raises:
        OutputError: they cannot be written there.
    """
    made = []
    for name, figure in figures.items():
        for kind in FORMATS:
            path = Path(directory) / f"{name}.{kind}"
            with atomic_file(path, overwrite=True) as temporary:
                _write(figure, temporary, kind)
            made.append(path)
    return made


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a ``log.jsonl``; what a killed run left half-written is passed over."""
    rows = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                rows.append(row)
    return rows


def _plot(x: str, y: str) -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_xlabel(plain(x))
    axes.set_ylabel(plain(y))
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _write(figure: Figure, place: Any, kind: str) -> None:
    import matplotlib

    undated: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with matplotlib.rc_context({"svg.hashsalt": "meddenoise", "svg.fonttype": "none"}):
        figure.savefig(place, format=kind, dpi=300, metadata=undated)
