"""The part of a report that is about one scan: numbers, slices to look at, plots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from meddenoise.errors import ParameterError
from meddenoise.evaluation import Measured, Metrics, noise_power_spectrum
from meddenoise.evaluation.curves import KEPT, Curve, edge_curves
from meddenoise.evaluation.data_range import PERCENTILES
from meddenoise.evaluation.fields import as_floats
from meddenoise.evaluation.tissue import scan_tissue
from meddenoise.evaluation.tissue_classes import Tissues
from meddenoise.report.figures import histograms, residuals, spectra, transfers
from meddenoise.report.html import Page, Scans, Table
from meddenoise.report.labels import LABELS, range_in_words
from meddenoise.volume import Volume
from meddenoise.workflows.evaluate import (
    chosen_volume,
    evaluate,
    evaluate_without_reference,
    name_of,
)
from meddenoise.workflows.units import hint_of_units

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CAPTIONS", "add_scan", "number"]

CAPTIONS = {
    "training_loss": "Loss of training and validation.",
    "training_psnr": "PSNR of validation patches, and of their noisy input.",
    "training_risk": "Stein's estimate of the error, in units of the noise's variance.",
    "histogram": "Intensities. A denoised scan has narrower peaks at the same places.",
    "residual": "What was taken away. Noise of MRI and CT is close to a Gaussian with mean 0.",
    "spectrum": "Noise power. What is taken from low frequencies alone is anatomy or drift.",
    "edges": "Edges: the spectrum of the mean line spread over the strongest edges, the same in "
    "all images, by that of the first. Below 1 they have become wider or weaker.",
}

_ROWS = (
    ("psnr", "PSNR", "dB", ".2f"),
    ("ssim", "SSIM", "", ".4f"),
    ("rmse", "RMSE", "unit", ".4g"),
    ("mae", "MAE", "unit", ".4g"),
    ("bias", "bias", "unit", ".3g"),
)
_WITHOUT_A_ROW = ("psnr_repeat", "psnr_sure")

# Squares of larger numbers leave single precision, which pages and plots are in.
_LARGEST = 1e18


def add_scan(
    page: Page,
    noisy: Volume,
    denoised: Volume,
    truth: Volume | None,
    *,
    volume: int | None = None,
    extended: bool = False,
    most: int,
) -> dict[str, Figure]:
    """Numbers, viewer and plots of one scan; of a 4-D one a table of all volumes, and one of them.

    Args:
        page: what is added to.
        noisy, denoised, truth: on one grid.
        volume: which of several to show, from 1; the first by default.
        extended: all metrics against the truth.
        most: voxels of each that the page may hold.

    Returns:
        The plots by name.

    Raises:
        ParameterError: no such volume, no room for a voxel, or scans that cannot be judged.
    """
    if most < 1:
        raise ParameterError(f"A page cannot hold {most} voxels of a scan: give 1 or more.")
    named = name_of(noisy, "the noisy scan")
    for other, role in ((denoised, "the denoised scan"), (truth, "the reference")):
        if other is not None:
            noisy.check_same_grid(other, names=(named, name_of(other, role)))
    _check_values(noisy, denoised, truth)
    if volume is not None:
        chosen_volume(noisy, volume, named)
    if noisy.channels > 1:
        _volumes(page, noisy, denoised, truth)
        chosen = 1 if volume is None else volume
        page.heading(f"Volume {chosen} of {noisy.channels}")
        page.text(
            f"All that follows is of volume {chosen} of {noisy.channels}: numbers, slices, plots. "
            "--volume chooses another."
        )
        noisy, denoised = (chosen_volume(v, chosen, named) for v in (noisy, denoised))
        truth = None if truth is None else chosen_volume(truth, chosen, named)
        _check_values(noisy, denoised, truth)
    if truth is not None:
        _against(page, noisy, denoised, truth, extended)
    _taken_away(page, noisy, denoised)
    page.viewer(Scans(noisy, denoised, truth, most))
    plots = _plots(noisy, denoised, truth)
    page.heading("Plots")
    page.plots(plots, CAPTIONS)
    return plots


def _check_values(noisy: Volume, denoised: Volume, truth: Volume | None) -> None:
    """Raise for scans that no score or plot can be made of; what is not finite is said later."""
    scans = {"the noisy scan": noisy, "the denoised scan": denoised, "the reference": truth}
    for role, scan in scans.items():
        values = np.zeros(0) if scan is None else scan.array[scan.valid]
        if scan is None or values.size == 0:
            continue
        name = name_of(scan, role)
        low, high = float(values.min()), float(values.max())
        if max(-low, high) > _LARGEST:
            raise ParameterError(
                f"{name} has values from {low:.3g} to {high:.3g}, too large to be shown: rescale "
                "all scans of the report."
            )
        # The denoised scan is scored by the range of the others.
        low, high = np.percentile(values, PERCENTILES)
        if scan is not denoised and high <= low:
            other = "another reference, or none" if scan is truth else "another scan"
            raise ParameterError(
                f"{name} is nearly everywhere {low:g}, so it has no range to score by: give "
                f"{other}."
            )


def number(value: float | None, form: str = ".4g") -> str:
    """A number for a table; ``none`` where it is undefined."""
    return "none" if value is None else f"{value:{form}}"


def _volumes(page: Page, noisy: Volume, denoised: Volume, truth: Volume | None) -> None:
    """A row a volume, of what is told fast."""
    from meddenoise.evaluation import default_data_range, psnr

    rows = []
    peak = None if truth is None else default_data_range(truth)
    for k in range(noisy.channels):
        valid = noisy.valid_in(k) & denoised.valid_in(k)
        cells = [f"volume {k + 1}"]
        if truth is not None and peak is not None:
            valid &= truth.valid_in(k)
            for scan in (noisy, denoised):
                pair = truth.array[k][valid], scan.array[k][valid]
                value = psnr(*pair, data_range=peak) if valid.any() else None
                cells.append(number(None if value == np.inf else value, ".2f"))
        apart = (noisy.array[k].astype(np.float64) - denoised.array[k])[valid]
        for value in (apart.std(), -apart.mean()) if apart.size else (None, None):
            cells.append(number(value))
        rows.append(cells)
    unit = f" ({noisy.units})" if noisy.units else ""
    scored = () if truth is None else ("PSNR noisy (dB)", "PSNR denoised (dB)")
    page.heading("Volumes")
    page.table(Table(("", *scored, f"taken away{unit}", f"shift of the mean{unit}"), rows))
    if peak is not None:
        page.note(
            f"Data range {peak:.6g}{f' {noisy.units}' if noisy.units else ''}, of all volumes of "
            f"the reference; all voxels, in {noisy.dims}-D."
        )


def _against(page: Page, noisy: Volume, denoised: Volume, truth: Volume, extended: bool) -> None:
    scores = {
        name: evaluate(truth, volume, extended=extended)
        for name, volume in (("noisy", noisy), ("denoised", denoised))
    }
    page.heading("Against the reference")
    told = {name: one.as_dict() for name, one in scores.items()}
    rows = []
    for key, label, unit, form in _ROWS:
        unit = truth.units if unit == "unit" else unit
        cells = [number(row[key], form) for row in told.values()]
        rows.append((f"{label} ({unit})" if unit else label, *cells, ""))
    rows += _extra_rows(scores)
    head = ("", *told, "how, or why there is none") if extended else ("", *told)
    page.table(Table(head, [row[: len(head)] for row in rows]))
    _by_tissue(page, {name: one.tissues for name, one in scores.items()}, "bias")
    for sentence in scores["denoised"].conventions():
        page.note(sentence)
    for name, row in told.items():
        for key, why in row["notes"].items():
            page.note(f"{name}: {key.upper()} none: {why}.")


def _extra_rows(scores: Mapping[str, Metrics]) -> list[tuple[str, ...]]:
    """The other metrics, each with its convention, or the reason where there is none."""
    rows = []
    for name, first in scores["denoised"].extra.items():
        every = [one.extra[name] for one in scores.values()]
        why = next((one.reason for one in every if one.value is None), "")
        label = LABELS.get(name, name.replace("_", " "))
        unit = f" ({first.unit})" if first.unit else ""
        cells = [number(one.value) for one in every]
        rows.append((f"{label}{unit}", *cells, why or first.convention))
    return rows


def _taken_away(page: Page, noisy: Volume, denoised: Volume) -> None:
    found = evaluate_without_reference(denoised, noisy)
    page.heading("What was taken away")
    for sentence in found.findings():
        page.text(sentence)
    rows = [
        (LABELS.get(name, name), number(one.value), one.unit, _how(one))
        for name, one in found.values.items()
        if name not in _WITHOUT_A_ROW
    ]
    page.table(Table(("", "value", "unit", "how, or why there is none"), rows))
    _by_tissue(page, {"denoised": found.tissues}, "shift")
    for sentence in (*found.conventions(), hint_of_units(noisy)):
        if sentence:
            page.note(sentence)


def _by_tissue(page: Page, found: Mapping[str, Tissues | None], what: str) -> None:
    """The signed error by tissue, a row a tissue."""
    every = {name: one for name, one in found.items() if one is not None}
    if len({one.places for one in every.values()}) > 1:  # over other voxels, where some are none
        for name, tissues in every.items():
            _by_tissue(page, {name: tissues}, what)
        return
    first = next(iter(every.values()), None)
    if first is None:
        return
    if first.reason:
        page.note(f"{what} by tissue: none: {first.reason}")
        return
    unit = f" ({first.units})" if first.units else ""
    rows = []
    for place, one in enumerate(first.biases):
        cells = [number(each.biases[place].bias, "+.3g") for each in every.values()]
        about = one.reason or f"{one.voxels:,} voxels"
        rows.append(
            (one.name, range_in_words(one.low, one.high), number(one.reference), *cells, about)
        )
    columns = [f"{what} {name}{unit}" for name in every]
    page.table(Table(("tissue", "range", f"mean{unit}", *columns, "how many"), rows))
    page.note(f"Tissues: {first.convention}.")


def _how(one: Measured) -> str:
    return one.convention if one.value is not None else one.reason


def _plots(noisy: Volume, denoised: Volume, truth: Volume | None) -> dict[str, Figure]:
    valid = noisy.valid_in(0) & denoised.valid_in(0)
    if truth is not None:
        valid &= truth.valid_in(0)
    first = as_floats(noisy.array[0])
    seen = first if valid.all() else np.where(valid, first, np.nan)
    inside = scan_tissue(seen, units=noisy.units, modality=noisy.modality)
    del seen
    if not inside.any():
        inside = valid
    images = {"noisy": noisy, "denoised": denoised}
    apart = {"noisy - denoised": first - denoised.array[0]}
    if truth is not None:
        images["reference"] = truth
        apart["denoised - reference"] = as_floats(denoised.array[0]) - truth.array[0]
    within = [values[inside] for values in apart.values()]
    plots = {
        "histogram": histograms(images),
        "residual": residuals(*within, units=noisy.units),
    }
    power = {}
    for name, values in apart.items():
        try:
            power[name] = noise_power_spectrum(values, spacing=noisy.spacing, mask=inside)
        except ParameterError:
            continue  # the table says why there is none
    del apart, within
    if power:
        plots["spectrum"] = spectra(power, units=noisy.units)
    kept = _edges(images, valid & inside, noisy)
    if kept:
        plots["edges"] = transfers(kept)
    return plots


def _known(volume: Volume) -> np.ndarray:
    valid = volume.valid_in(0)
    return volume.array[0] if valid.all() else np.where(valid, volume.array[0], np.nan)


def _edges(images: Mapping[str, Volume], mask: np.ndarray, noisy: Volume) -> list[Curve]:
    """What is kept of the edges of the reference, or else of the noisy scan."""
    order = [name for name in ("reference", "noisy", "denoised") if name in images]
    arrays = {name: _known(images[name]) for name in order}
    guide = "reference" if "reference" in images else "denoised"
    found = edge_curves(arrays, guide=guide, spacing=noisy.spacing, mask=mask, units=noisy.units)
    return [curve for curve in found if curve.name == KEPT and not curve.reason]
