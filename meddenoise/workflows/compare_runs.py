"""Runs side by side: what was different in their configurations, and in their results."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddenoise.errors import ParameterError
from meddenoise.evaluation.statistics import Comparison, Mean, mean_with_interval, paired_comparison
from meddenoise.io.named import path_of
from meddenoise.report.figures import over_runs, read_log, save_figures
from meddenoise.report.html import Page, Table
from meddenoise.workflows.finished import FinishedRun, finished_run
from meddenoise.workflows.hidden import without_paths
from meddenoise.workflows.report import check_figures, free_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ComparedRuns", "compare_runs"]

_METRICS = (("psnr", "PSNR (dB)", ".2f"), ("ssim", "SSIM", ".4f"), ("rmse", "RMSE", ".4g"))
_NOT_A_CHOICE = ("name", "output")
_FEWEST = 2


@dataclass(frozen=True)
class ComparedRuns:
    """What :func:`compare_runs` found.

    Attributes:
        names: of the runs, unique.
        settings: each key that differs, and its value in each run.
        means: by metric, of each run's denoised test scans; ``None`` where it has no number.
        gains: by metric, of each run beside the first on the scans that both have; ``None`` for the
            first, and where they have none.
        costs: seconds of training and weights of each run.
        notes: what makes the comparison unfair, a sentence each.
        page: the HTML file, if one was asked for.
    """

    names: tuple[str, ...]
    settings: Mapping[str, tuple[Any, ...]]
    means: Mapping[str, tuple[Mean | None, ...]]
    gains: Mapping[str, tuple[Comparison | None, ...]]
    costs: Mapping[str, tuple[float | None, ...]]
    notes: tuple[str, ...]
    page: Path | None = None

    def tables(self) -> dict[str, Table]:
        """Settings and results as text, for a terminal or a page."""
        results = []
        for metric, label, form in _METRICS:
            if any(self.means[metric]):
                results.append((label, *(_interval(mean, form) for mean in self.means[metric])))
                if any(self.gains[metric]):
                    told = [_gain(gain, form) for gain in self.gains[metric]]
                    results.append((f"difference to {self.names[0]}", *told))
        for label, values in self.costs.items():
            shown = ["none" if v is None else f"{v:,.6g}" for v in values]
            results.append((label, *shown))
        return {
            "What was different": Table(
                ("key", *self.names),
                [(key, *map(_shown, values)) for key, values in self.settings.items()],
            ),
            "Results": Table(("", *self.names), results),
        }

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""

        def plain(columns: Mapping[str, tuple[Any, ...]]) -> dict[str, list[Any]]:
            return {
                key: [None if one is None else asdict(one) for one in values]
                for key, values in columns.items()
            }

        return {
            "runs": list(self.names),
            "settings": {key: list(values) for key, values in self.settings.items()},
            "means": plain(self.means),
            "gains": plain(self.gains),
            "costs": {key: list(values) for key, values in self.costs.items()},
            "notes": list(self.notes),
        }


def compare_runs(
    runs: Sequence[str | os.PathLike[str]],
    *,
    output: str | os.PathLike[str] | None = None,
    figures: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    seed: int = 0,
) -> ComparedRuns:
    """Compare finished runs with the first of them, scan by scan.

    Means over test scans have 95 % bootstrap intervals; differences are paired, on the scans that
    both runs have with the same voxels, with Wilcoxon's signed-rank test.

    Args:
        runs: run directories, two or more.
        output: an HTML file; it has no names of scans and no paths: runs of one name are numbered.
        figures: a directory for the plots as PNG, SVG and PDF.
        overwrite: replace the page.
        seed: of the bootstrap.

    Raises:
        ParameterError: fewer than two runs, or one twice.
        FileError: a directory without a finished run.
        OutputError: the page exists, or cannot be written, or plots cannot.
    """
    page = None if output is None else free_page(output, overwrite)
    check_figures(figures)
    if len(runs) < _FEWEST:
        raise ParameterError("A comparison needs two runs or more.")
    found = [finished_run(run) for run in runs]
    places = [run.directory.resolve() for run in found]
    for place in places:
        if places.count(place) > 1:
            raise ParameterError(f"{place} stands twice: a run cannot be compared with itself.")
    scores = [_scores(run) for run in found]
    told = ComparedRuns(
        names=_names(places),
        settings=_settings(found),
        means={
            metric: tuple(_mean(one, metric, seed) for one in scores) for metric, *_ in _METRICS
        },
        gains={
            metric: tuple(
                None if n == 0 else _paired(found, scores, n, metric, seed)
                for n in range(len(found))
            )
            for metric, *_ in _METRICS
        },
        costs={
            "training (s)": tuple(run.metrics["train"].get("seconds") for run in found),
            "weights": tuple(run.metrics["train"].get("parameters") for run in found),
        },
        notes=tuple(_notes(found, scores)),
        page=page,
    )
    shown = replace(told, names=_without_parents(told.names))
    logs = {
        n: read_log(run.directory / "log.jsonl") for n, run in zip(shown.names, found, strict=True)
    }
    plots = over_runs(logs)
    if page is not None:
        _write(shown, page, plots, overwrite)
    if figures is not None:
        save_figures(path_of(figures), plots)
    return told


def _names(places: Sequence[Path]) -> tuple[str, ...]:
    """The directories' names; with their parents' where two are the same."""
    for parts in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-parts:]) for place in places]
        if len(set(names)) == len(names):
            break
    return tuple(names)


def _without_parents(names: Sequence[str]) -> tuple[str, ...]:
    """For a page and its plots: equal names are numbered, as parents' may tell of patients."""
    own = [name.rpartition("/")[2] for name in names]
    taken = {name for name in own if own.count(name) == 1}
    shown = []
    for name in own:
        if own.count(name) > 1:
            # A run may have a numbered name of its own.
            numbered = (f"{name} ({n})" for n in itertools.count(1))
            name = next(one for one in numbered if one not in taken)
            taken.add(name)
        shown.append(name)
    return tuple(shown)


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        parts = [_flat(inner, f"{key}.{name}" if key else name) for name, inner in value.items()]
        return {name: inner for part in parts for name, inner in part.items()}
    return {key: value}


def _settings(runs: Sequence[FinishedRun]) -> dict[str, tuple[Any, ...]]:
    flat = [_flat(run.config.model_dump(mode="json")) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    rows = {key: tuple(one.get(key) for one in flat) for key in keys if key not in _NOT_A_CHOICE}
    return {key: values for key, values in rows.items() if any(v != values[0] for v in values)}


def _scores(run: FinishedRun) -> dict[str, dict[str, float]]:
    """Of the denoised test scans: metric, scan, number."""
    found: dict[str, dict[str, float]] = {}
    for scan, side, metric, value in run.scores():
        if side == "denoised":
            found.setdefault(metric, {})[scan] = value
    return found


def _mean(scores: Mapping[str, Mapping[str, float]], metric: str, seed: int) -> Mean | None:
    values = list(scores.get(metric, {}).values())
    return mean_with_interval(values, seed=seed) if values else None


def _paired(
    runs: Sequence[FinishedRun],
    scores: Sequence[Mapping[str, Mapping[str, float]]],
    number: int,
    metric: str,
    seed: int,
) -> Comparison | None:
    ours, theirs = scores[number].get(metric, {}), scores[0].get(metric, {})
    data, first = (runs[n].made_with.get("data") or {} for n in (number, 0))
    # Of older runs there are no hashes: the name must do.
    both = [scan for scan in ours if scan in theirs and _same(data.get(scan), first.get(scan))]
    if not both:
        return None
    return paired_comparison([ours[s] for s in both], [theirs[s] for s in both], seed=seed)


def _same(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _notes(
    runs: Sequence[FinishedRun], scores: Sequence[Mapping[str, Mapping[str, float]]]
) -> list[str]:
    notes = []
    tested = [{row["name"] for row in run.metrics["test"]["volumes"]} for run in runs]
    if any(one != tested[0] for one in tested):
        notes.append("The runs were not tested on the same scans: means are of different ones.")
    if not all(scores):
        notes.append("Where the truth is not known there are no scores, and nothing to compare.")
    hashes = [run.made_with.get("data") or {} for run in runs]
    shared = set.intersection(*tested)
    if any(not _same(h.get(s), hashes[0].get(s)) for h in hashes for s in shared):
        notes.append(
            "Test scans of the same name do not hold the same voxels (data, noise or seed): they "
            "are not paired."
        )
    versions = [run.made_with.get("versions", {}).get("meddenoise") for run in runs]
    commits = [run.made_with.get("git") for run in runs]
    if len(set(versions)) > 1 or len(set(commits)) > 1:
        notes.append("The runs were made by different versions of meddenoise.")
    return notes


def _interval(mean: Mean | None, form: str, sign: str = "") -> str:
    if mean is None:
        return "none"
    value = f"{mean.value:{sign}{form}}"
    if mean.low is None or mean.high is None:
        return value
    return f"{value} ({mean.low:{sign}{form}} to {mean.high:{sign}{form}})"


def _gain(gain: Comparison | None, form: str) -> str:
    if gain is None:
        return ""
    p = f"p {gain.p_value:.2g}" if gain.p_value is not None else gain.reason
    return f"{_interval(gain.difference, form, '+')}, n {gain.difference.count}, {p}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value


def _write(told: ComparedRuns, path: Path, plots: Mapping[str, Figure], overwrite: bool) -> None:
    page = Page("Comparison of runs")
    for title, table in told.tables().items():
        page.heading(title)
        if title == "What was different":
            # Paths may tell of patients.
            shown = {
                key: tuple(without_paths(value, key) for value in values)
                for key, values in told.settings.items()
            }
            if shown != told.settings:
                page.note("Paths and names of scans are not shown.")
            table = Table(table.head, [(key, *map(_shown, each)) for key, each in shown.items()])
        if table.rows:
            page.table(table)
        else:
            page.text("Nothing.")
    for sentence in told.notes:
        page.note(sentence)
    page.note(
        "Means over test scans with 95 % bootstrap intervals; differences are on the same scans, "
        "with Wilcoxon's signed-rank test."
    )
    if plots:
        page.heading("Training")
        page.plots(plots, {name: name.replace("_", " ") for name in plots})
    page.write(path, overwrite=overwrite)
