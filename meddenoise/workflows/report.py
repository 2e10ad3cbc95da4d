"""A page about a run, or about any two scans: numbers, plots, and slices to look at."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddenoise.config import Config
from meddenoise.config.load import dump_values
from meddenoise.data import find_cases
from meddenoise.errors import FileError, OutputError, ParameterError
from meddenoise.io import read
from meddenoise.io.atomic import check_output
from meddenoise.io.formats import format_of_name
from meddenoise.io.named import path_of
from meddenoise.report.embedded import MOST_VOXELS
from meddenoise.report.figures import FORMATS, read_log, save_figures, training_curves
from meddenoise.report.html import Page, Table
from meddenoise.volume import Volume
from meddenoise.workflows.finished import finished_run
from meddenoise.workflows.hidden import without_paths
from meddenoise.workflows.scan_page import CAPTIONS, add_scan, number
from meddenoise.workflows.units import checked_units

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Reported", "check_figures", "free_page", "report_run", "report_scans"]


@dataclass(frozen=True)
class Reported:
    """What was written: the page, and figures for papers if they were asked for."""

    page: Path
    figures: tuple[Path, ...] = ()


def report_scans(
    noisy: str | os.PathLike[str] | Volume,
    denoised: str | os.PathLike[str] | Volume,
    output: str | os.PathLike[str],
    *,
    reference: str | os.PathLike[str] | Volume | None = None,
    units: str | None = None,
    volume: int | None = None,
    extended: bool = False,
    figures: str | os.PathLike[str] | None = None,
    names: bool = False,
    most_voxels: int = MOST_VOXELS,
    overwrite: bool = False,
) -> Reported:
    """A page about two scans, ours or not.

    Args:
        noisy: the scan before.
        denoised: the same after, on the same grid.
        output: the HTML file.
        reference: the truth, on the same grid.
        units: ``"HU"`` for CT in a format without a place for it.
        volume: which one of 4-D scans to show, from 1; the first by default.
        extended: all metrics against the reference; seconds to a minute a scan.
        figures: a directory for the plots as PNG, SVG and PDF.
        names: show paths; they may tell of the patient.
        most_voxels: of a volume in the page; of larger ones whole slices are left out.
        overwrite: replace the page.

    Raises:
        FileError, GeometryError, ParameterError: scans that cannot be read or compared.
        OutputError: the page exists, is an input, or cannot be written, or plots cannot, or would
            replace an input.
    """
    said = checked_units(units)
    page_path = free_page(output, overwrite, noisy, denoised, reference)
    check_figures(figures, noisy, denoised, reference)
    before, after, truth = _open(noisy), _open(denoised), None
    if reference is not None:
        truth = _open(reference)
    if said:
        before, after = before.in_units(said), after.in_units(said)
        truth = None if truth is None else truth.in_units(said)
    page = Page("Denoising report")
    if names:
        given = {"noisy": noisy, "denoised": denoised, "reference": reference}
        rows = [(n, os.fspath(p)) for n, p in given.items() if isinstance(p, (str, os.PathLike))]
        page.table(Table(("scan", "file"), rows))
    plots = add_scan(page, before, after, truth, volume=volume, extended=extended, most=most_voxels)
    return _written(page, page_path, overwrite, figures, plots)


def report_run(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    scan: str | None = None,
    volume: int | None = None,
    extended: bool = False,
    figures: str | os.PathLike[str] | None = None,
    names: bool = False,
    most_voxels: int = MOST_VOXELS,
    overwrite: bool = False,
) -> Reported:
    """A page about a training run: its curves, its numbers, and one of its test scans.

    Args:
        run: the run directory.
        output: the HTML file.
        scan: which test scan to show, by the name in ``metrics.json``; the first by default.
        volume, extended, figures, names, most_voxels, overwrite: see :func:`report_scans`. Without
            ``names`` the command, the paths in the configuration and the names of scans are left
            out.

    Raises:
        FileError: no finished run is there, or its scans are gone.
        ParameterError: no such test scan, or ``extended`` where its truth is not known.
        OutputError: the page exists, or cannot be written, or plots cannot.
    """
    directory = path_of(run)
    page_path = free_page(output, overwrite)
    check_figures(figures)
    done = finished_run(directory)
    metrics, config = done.metrics, done.config
    tested = [row["name"] for row in metrics["test"]["volumes"]]
    if not tested:
        raise FileError(f"{directory} has no test scan: give NOISY and DENOISED instead.")
    shown = tested[0] if scan is None else scan
    if shown not in tested:
        raise ParameterError(
            f"{directory} has no test scan {shown!r}; it has: {', '.join(tested)}."
        )
    before, after, truth = _test_scans(directory, config, shown)
    if extended and truth is None:
        raise ParameterError(
            f"Of the test scan of {directory} the truth is not known, which --extended is against: "
            "leave it out."
        )

    page = Page("Training report" if config.name is None or not names else f"Run {config.name}")
    page.heading("Run")
    page.table(Table(("", ""), _about(metrics, config)))
    summary = _test_table(metrics, names)
    if summary is not None:
        page.heading("Test scans")
        page.table(summary)
    plots: dict[str, Figure] = training_curves(read_log(directory / "log.jsonl"))
    if plots:
        page.heading("Training")
        page.plots(plots, CAPTIONS)
    page.heading(f"Test scan {shown if names else tested.index(shown) + 1}")
    plots |= add_scan(
        page, before, after, truth, volume=volume, extended=extended, most=most_voxels
    )
    page.heading("How it was made")
    page.code(_configuration(config, names))
    made = dict(metrics["run"])
    if not names:
        for told in ("command", "data"):
            made.pop(told, None)
    page.code(json.dumps(made, indent=2))
    return _written(page, page_path, overwrite, figures, plots)


def free_page(output: str | os.PathLike[str], overwrite: bool, *inputs: object) -> Path:
    """Where the page goes, before minutes are spent on it."""
    path = path_of(output)
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{path} is no name for a page: let it end in .html.")
    check_output(path)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists: choose another --output, or replace it by --overwrite.")
    for given in inputs:
        if isinstance(given, (str, os.PathLike)) and Path(given).resolve() == path.resolve():
            raise OutputError(f"{path} is an input: choose another --output.")
    return path


def check_figures(figures: str | os.PathLike[str] | None, *inputs: object) -> None:
    """Whether plots can be written there, or the page would be made and the command fail."""
    if figures is None:
        return
    directory = path_of(figures)
    check_output(directory / "histogram.png")
    for given in inputs:
        if not isinstance(given, (str, os.PathLike)):
            continue
        place = path_of(given).resolve()
        plot = place.stem in CAPTIONS and place.suffix.removeprefix(".") in FORMATS
        if plot and place.parent == directory.resolve():
            raise OutputError(
                f"A plot in {directory} would replace {given}, which is an input: choose another "
                "directory for --figures."
            )


def _open(scan: str | os.PathLike[str] | Volume) -> Volume:
    return scan if isinstance(scan, Volume) else read(scan)


def _test_scans(directory: Path, config: Config, name: str) -> tuple[Volume, Volume, Volume | None]:
    """Noisy, denoised and truth of a test scan, as the run left or read them."""
    denoised = _kept(directory / "denoised", name)
    if denoised is None:
        raise FileError(f"{directory / 'denoised'} does not hold the test scan any more.")
    noisy, truth = _kept(directory / "noisy", name), _kept(directory / "truth", name)
    if noisy is None:
        data = config.data
        cases = {
            case.name: case
            for case in find_cases(
                data.images, data.targets, series=data.series, units=data.units or ""
            )
        }
        if name not in cases:
            raise FileError(
                f"The test scan of {directory} is no longer where data.images says: give NOISY "
                "and DENOISED instead."
            )
        noisy, truth = cases[name].read_image(), cases[name].read_target()
    if noisy.units and not denoised.units:
        denoised = denoised.in_units(noisy.units)
    return noisy, denoised, truth


def _kept(directory: Path, name: str) -> Volume | None:
    """A scan that a run has written under this name, in whatever format."""
    if not directory.is_dir():
        return None
    for path in sorted(directory.iterdir()):
        known, extension = format_of_name(path)
        # The whole name, or that of scan.b1.nii.gz would do for scan.
        if path.name in (name, name.replace(".", "_")) or (
            known is not None and path.name[: -len(extension)] == name
        ):
            return read(path)
    return None


def _about(metrics: Mapping[str, Any], config: Config) -> list[tuple[str, str]]:
    train = metrics["train"]
    rows = [
        ("trainer", config.trainer.name),
        ("network", f"{config.network.name}, {train['parameters']:,} weights"),
        ("steps", f"{train['steps']}{' (stopped early)' if train.get('stopped_early') else ''}"),
        ("minutes", f"{train['seconds'] / 60:.1f}"),
        ("seed", str(config.seed)),
        ("device", str(metrics["run"].get("device"))),
    ]
    return [*rows, *((f"validation {k}", number(v)) for k, v in metrics["validation"].items())]


def _test_table(metrics: Mapping[str, Any], names: bool) -> Table | None:
    rows = []
    for place, row in enumerate(metrics["test"]["volumes"], 1):
        if "denoised" in row:
            cells = [row["name"] if names else f"scan {place}"]
            for key, form in (("psnr", ".2f"), ("ssim", ".4f"), ("rmse", ".4g"), ("bias", ".3g")):
                cells += [number(row[side].get(key), form) for side in ("noisy", "denoised")]
            rows.append(cells)
    head = [
        f"{m} {s}" for m in ("PSNR (dB)", "SSIM", "RMSE", "bias") for s in ("noisy", "denoised")
    ]
    return Table(("", *head), rows) if rows else None


def _configuration(config: Config, names: bool) -> str:
    """The configuration; its paths and name only if they may be shown."""
    values = config.model_dump(mode="json")
    if not names:
        for key in ("name", "output"):
            values.pop(key)
        values = without_paths(values)
    return dump_values(values)


def _written(
    page: Page,
    path: Path,
    overwrite: bool,
    figures: str | os.PathLike[str] | None,
    plots: Mapping[str, Figure],
) -> Reported:
    page.note(
        "Made by meddenoise. The page holds the voxels that it shows; nothing else is loaded."
    )
    written = page.write(path, overwrite=overwrite)
    made = [] if figures is None else save_figures(path_of(figures), plots)
    return Reported(written, tuple(made))
