"""The table of a comparison: means over volumes with intervals, and a test against the first."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from meddenoise.evaluation.statistics import (
    Comparison,
    Mean,
    mean_with_interval,
    paired_comparison,
)
from meddenoise.io.atomic import atomic_file

__all__ = ["Cell", "Summary", "markdown", "summarise", "write_csv"]

ALL = "all"
METRICS = ("psnr", "ssim")
_BAR = "\\|"


@dataclass(frozen=True)
class Cell:
    """One method on one volume with one noise.

    Attributes:
        method, volume, noise: names.
        metrics: what :meth:`meddenoise.evaluation.Metrics.as_dict` says; empty if it failed.
        seconds: of denoising, on the clock.
        voxels: in all channels.
        training_seconds: of training, if there was any.
        megabytes: of the model file, if there is one.
        conventions: how the metrics were taken.
        error: why there is no result, or ``""``.
    """

    method: str
    volume: str
    noise: str
    metrics: Mapping[str, Any]
    seconds: float = 0.0
    voxels: int = 0
    training_seconds: float | None = None
    megabytes: float | None = None
    conventions: tuple[str, ...] = ()
    error: str = ""

    @classmethod
    def failed(cls, method: str, volume: str, noise: str, error: str) -> Cell:
        """A cell without a result."""
        return cls(method, volume, noise, {}, error=error)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "conventions": list(self.conventions)}


@dataclass(frozen=True)
class Summary:
    """One method with one noise, or with ``"all"``, over the volumes.

    With ``"all"`` a volume counts once for each noise, and is one volume all the same: intervals
    and tests are over volumes.

    Attributes:
        psnr, ssim: means; ``None`` where no volume has a number.
        psnr_gain, ssim_gain: beside the baseline, on the volumes that both have; ``None`` for the
            baseline itself.
        training_minutes, megabytes: means, where there are any.
        mvoxels_per_second: of denoising; ``None`` for what took no time.
        failed: how many volumes have no result.
    """

    method: str
    noise: str
    psnr: Mean | None
    ssim: Mean | None
    psnr_gain: Comparison | None
    ssim_gain: Comparison | None
    training_minutes: float | None
    megabytes: float | None
    mvoxels_per_second: float | None
    failed: int


def summarise(cells: Sequence[Cell], baseline: str, *, seed: int = 0) -> list[Summary]:
    """A row for each method and noise, and over all noises where there are several."""
    noises = list(dict.fromkeys(cell.noise for cell in cells))
    groups = {noise: [cell for cell in cells if cell.noise == noise] for noise in noises}
    if len(noises) > 1:
        groups[ALL] = list(cells)
    return [
        _summary(method, noise, group, baseline, seed)
        for noise, group in groups.items()
        for method in dict.fromkeys(cell.method for cell in group)
    ]


def _summary(method: str, noise: str, group: Sequence[Cell], baseline: str, seed: int) -> Summary:
    mine = [cell for cell in group if cell.method == method]
    done = [cell for cell in mine if not cell.error]
    means, gains = {}, {}
    for metric in METRICS:
        ours, theirs = _values(group, method, metric), _values(group, baseline, metric)
        means[metric] = _over_volumes(ours, seed)
        both = [place for place in ours if place in theirs]
        gains[metric] = (
            paired_comparison(
                [ours[p] for p in both],
                [theirs[p] for p in both],
                groups=[volume for volume, _ in both],
                seed=seed,
            )
            if both and method != baseline
            else None
        )
    seconds = sum(cell.seconds for cell in done)
    return Summary(
        method=method,
        noise=noise,
        psnr=means["psnr"],
        ssim=means["ssim"],
        psnr_gain=gains["psnr"],
        ssim_gain=gains["ssim"],
        training_minutes=_mean([c.training_seconds / 60 for c in done if c.training_seconds]),
        megabytes=_mean([c.megabytes for c in done if c.megabytes]),
        mvoxels_per_second=sum(c.voxels for c in done) / seconds / 1e6 if seconds else None,
        failed=len(mine) - len(done),
    )


def _values(group: Sequence[Cell], method: str, metric: str) -> dict[tuple[str, str], float]:
    """The metric of each volume and noise, where it is a number."""
    return {
        (cell.volume, cell.noise): cell.metrics[metric]
        for cell in group
        if cell.method == method and cell.metrics.get(metric) is not None
    }


def _over_volumes(values: Mapping[tuple[str, str], float], seed: int) -> Mean | None:
    if not values:
        return None
    volumes = [volume for volume, _ in values]
    return mean_with_interval(list(values.values()), groups=volumes, seed=seed)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def markdown(
    summaries: Sequence[Summary],
    cells: Sequence[Cell],
    baseline: str,
    machine: Mapping[str, Any],
) -> str:
    """The comparison for people."""
    versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items() if v)
    lines = [
        "# Comparison of methods",
        "",
        f"- machine: {machine['processors']} processors, {machine['platform']}",
        f"- versions: {versions}",
        f"- means over volumes, with 95 % bootstrap intervals; differences are to {baseline} on "
        "the same volumes, with Wilcoxon's signed-rank test",
    ]
    lines += [f"- {sentence}" for sentence in _conventions(cells)]
    for noise in dict.fromkeys(summary.noise for summary in summaries):
        rows = [summary for summary in summaries if summary.noise == noise]
        lines += ["", f"## {'All noises' if noise == ALL else noise}", "", _HEAD, _RULE]
        lines += [_row(row) for row in rows]
    failed = [cell for cell in cells if cell.error]
    if failed:
        lines += ["", "## No result", ""]
        lines += [f"- {c.method}, {c.volume}, {c.noise}: {c.error}" for c in failed]
    return "\n".join(lines)


_HEAD = (
    "| method | PSNR (dB) | SSIM | difference (dB) | p | training (min) | model (MB) | Mvoxel/s |"
)
_RULE = "|---" * 8 + "|"


def _row(row: Summary) -> str:
    gain = row.psnr_gain
    p = "" if gain is None else ("–" if gain.p_value is None else f"{gain.p_value:.2g}")
    shown = [
        row.method + (f" ({row.failed} failed)" if row.failed else ""),
        _interval(row.psnr, ".2f"),
        _interval(row.ssim, ".3f"),
        "" if gain is None else _interval(gain.difference, "+.2f"),
        p,
        "" if row.training_minutes is None else f"{row.training_minutes:.1f}",
        "" if row.megabytes is None else f"{row.megabytes:.2g}",
        "" if row.mvoxels_per_second is None else f"{row.mvoxels_per_second:.2g}",
    ]
    # A label may hold what would end its cell.
    return f"| {' | '.join(cell.replace('|', _BAR) for cell in shown)} |"


def _interval(mean: Mean | None, form: str) -> str:
    if mean is None:
        return "–"
    if mean.low is None or mean.high is None:
        return f"{mean.value:{form}}"
    return f"{mean.value:{form}} ({mean.low:{form}} to {mean.high:{form}})"


def _conventions(cells: Sequence[Cell]) -> list[str]:
    """What all cells have in common is said; what differs from volume to volume is in the JSON."""
    told = [cell.conventions for cell in cells if cell.conventions]
    if not told:  # every method failed
        return []
    shared = [sentence for sentence in told[0] if all(sentence in one for one in told)]
    return shared if len(shared) == len(told[0]) else [
        *shared,
        "Data range, window and voxels of each volume are in benchmark.json.",
    ]  # fmt: skip


def write_csv(path: Path, cells: Sequence[Cell]) -> None:
    """A line for every cell."""
    text = io.StringIO()
    columns = ["method", "volume", "noise", "psnr", "ssim", "rmse", "mae", "seconds"]
    columns += ["training_seconds", "megabytes", "error"]
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for cell in cells:
        table.writerow({**asdict(cell), **cell.metrics})
    with atomic_file(path, overwrite=True) as temporary:
        Path(temporary).write_text(text.getvalue(), encoding="utf-8")
