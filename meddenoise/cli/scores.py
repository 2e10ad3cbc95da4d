"""How scores are printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meddenoise.evaluation import Measured, Metrics
    from meddenoise.evaluation.lesion_scores import LesionCheck
    from meddenoise.evaluation.statistics import Mean
    from meddenoise.evaluation.unreferenced import Unreferenced

__all__ = ["print_lesions", "print_metrics", "print_unreferenced"]

NONE = "none"

_NAMES = {
    "ms_ssim": "MS-SSIM",
    "hfen": "HFEN",
    "gmsd": "GMSD",
    "vif": "VIF",
    "lpips": "LPIPS",
    "error_nps_sigma": "error's noise power: sigma",
    "error_nps_peak": "error's noise power: peak",
    "error_nps_mean": "error's noise power: mean",
    "noise_left": "noise left in flat places",
    "error_structure": "structure in the error",
    "edge_width_reference": "width of edges, reference",
    "edge_width": "width of edges",
    "noise_sigma": "noise of the scan, estimated",
    "residual_sigma": "taken away",
    "residual_ratio": "taken away / noise",
    "shift": "shift of the mean",
    "noise_before": "noise in flat places, before",
    "noise_after": "noise in flat places, after",
    "noise_reduction": "noise reduction",
    "residual_correlation_x": "residual's correlation, x",
    "residual_correlation_y": "residual's correlation, y",
    "residual_correlation_z": "residual's correlation, z",
    "structure": "structure in the residual",
    "residual_at_edges": "residual at edges / elsewhere",
    "residual_nps_peak": "residual's noise power: peak",
    "residual_nps_mean": "residual's noise power: mean",
    "edge_width_before": "width of edges, before",
    "edge_width_after": "width of edges, after",
    "psnr_repeat": "PSNR by the repeat",
    "psnr_sure": "PSNR by Stein's estimate",
}


def print_metrics(results: Mapping[str, Metrics]) -> None:
    """A row an image, all other metrics in columns, regions, and the conventions."""
    some = next(iter(results.values()))
    unit = f" [{some.units}]" if some.units else ""
    rows = [["image", "PSNR [dB]", "SSIM", f"RMSE{unit}", f"MAE{unit}", f"bias{unit}"]]
    for name, m in results.items():
        told = m.as_dict()
        rows.append(
            [
                name,
                _say(told["psnr"], "{:.2f}"),
                _say(told["ssim"], "{:.4f}"),
                *(_say(told[key], "{:.4g}") for key in ("rmse", "mae", "bias")),
            ]
        )
    _print_rows(rows)
    for name, m in results.items():
        for key, reason in m.as_dict()["notes"].items():
            print(f"{name}: {key.upper()} {NONE}: {reason}")
    _print_measured({name: m.extra for name, m in results.items()})
    _print_regions(results)
    _print_conventions({name: m.conventions() for name, m in results.items()})


def print_unreferenced(results: Mapping[str, Unreferenced]) -> None:
    """A row a number, a column an image; then what follows from them."""
    _print_measured({name: found.values for name, found in results.items()})
    _print_conventions({name: found.conventions() for name, found in results.items()})
    for name, found in results.items():
        for sentence in found.findings():
            print(sentence if len(results) == 1 else f"{name}: {sentence}")


def print_lesions(check: LesionCheck) -> None:
    """A row for each kind of lesion and method."""
    unit = f" {check.units}" if check.units else ""
    rows = [["lesion", "method", "contrast left", "d'", "AUC", "d' - noisy", "d' - gaussian"]]
    for score in check.scores:
        seen = score.detectability
        rows.append(
            [
                f"{score.diameter:g} mm, {score.contrast:.4g}{unit}",
                score.method,
                _interval(score.recovery),
                _interval(None if seen is None else seen.d_prime),
                _interval(None if seen is None else seen.auc),
                _interval(score.beyond_noisy, sign="+"),
                _interval(score.beyond_reference, sign="+"),
            ]
        )
    _print_rows(rows)
    for reason in dict.fromkeys(score.reason for score in check.scores if score.reason):
        print(f"{NONE}: {reason}")
    print("\n".join(check.conventions))


def _interval(mean: Mean | None, sign: str = "") -> str:
    if mean is None:
        return "-"
    value = f"{mean.value:{sign}.2f}"
    if mean.low is None or mean.high is None:
        return value
    return f"{value} [{mean.low:{sign}.2f}, {mean.high:{sign}.2f}]"


def _print_measured(columns: Mapping[str, Mapping[str, Measured]]) -> None:
    """A row a metric; where it is undefined, why."""
    first = next(iter(columns.values()))
    if not first:
        return
    short = [str(number) for number in range(1, len(columns) + 1)]
    if len(columns) > 1:
        for number, name in zip(short, columns, strict=True):
            print(f"{number}: {name}")
    rows = [["", *short]] if len(columns) > 1 else []
    reasons: dict[str, list[str]] = {}
    for key, one in first.items():
        unit = f" [{one.unit}]" if one.unit else ""
        named = _NAMES.get(key, key)
        row = [f"{named}{unit}"]
        for number, column in zip(short, columns.values(), strict=True):
            found = column[key]
            row.append(NONE if found.value is None else f"{found.value:.4g}")
            if found.value is None:
                where = f" ({number})" if len(columns) > 1 else ""
                reasons.setdefault(found.reason, []).append(f"{named}{where}")
        rows.append(row)
    _print_rows(rows)
    for reason, names in reasons.items():
        print(f"{NONE}: {', '.join(names)}: {reason}")


def _print_regions(results: Mapping[str, Metrics]) -> None:
    for name, m in results.items():
        if not m.regions:
            continue
        unit = f" [{m.units}]" if m.units else ""
        print(f"regions of {name}")
        rows = [["label", "voxels", f"mean{unit}", f"bias{unit}", "std", "CNR", "contrast left"]]
        for region in m.regions:
            b = region.bias
            rows.append(
                [
                    str(b.label),
                    f"{b.voxels:,}",
                    *(f"{value:.4g}" for value in (b.reference, b.bias, b.error)),
                    _say(region.cnr.value, "{:.3g}"),
                    _say(region.contrast_recovery.value, "{:.3f}"),
                ]
            )
        _print_rows(rows)
        behind = next((r.background for r in m.regions if r.background is not None), None)
        if behind is not None:
            print(f"CNR and contrast are against label {behind}, the largest.")


def _print_conventions(said: Mapping[str, Sequence[str]]) -> None:
    """Once if they are the same for all."""
    some = next(iter(said.values()))
    if all(tuple(one) == tuple(some) for one in said.values()):
        print("\n".join(some))
        return
    for name, one in said.items():
        print(f"{name}: {' '.join(one)}")


def _print_rows(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        print("  ".join([name.ljust(widths[0]), *_right(cells, widths[1:])]))


def _right(cells: Iterable[str], widths: Iterable[int]) -> Iterable[str]:
    return map(str.rjust, cells, widths)


def _say(value: float | None, form: str) -> str:
    return NONE if value is None else form.format(value)
