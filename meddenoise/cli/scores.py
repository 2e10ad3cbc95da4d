"""How scores are printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from meddenoise.report.labels import LABELS, range_in_words

if TYPE_CHECKING:
    from meddenoise.evaluation import Measured, Metrics
    from meddenoise.evaluation.lesion_scores import LesionCheck
    from meddenoise.evaluation.statistics import Mean
    from meddenoise.evaluation.tissue_classes import Tissues
    from meddenoise.evaluation.unreferenced import Unreferenced
    from meddenoise.workflows.curves import ScanCurves

__all__ = ["print_curves", "print_lesions", "print_metrics", "print_unreferenced"]

NONE = "none"
_PLAIN = ("psnr", "ssim", "rmse", "mae", "bias")


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
                *(_say(told[key], "{:.4g}") for key in _PLAIN[2:]),
            ]
        )
    _print_rows(rows)
    for name, m in results.items():
        for key, reason in m.as_dict()["notes"].items():
            print(f"{name}: {key.upper()} {NONE}: {reason}")
    _print_volumes(results)
    _print_measured({name: m.extra for name, m in results.items()})
    _print_regions(results)
    _print_tissues({name: m.tissues for name, m in results.items()}, "bias")
    _print_conventions({name: m.conventions() for name, m in results.items()})


def print_unreferenced(results: Mapping[str, Unreferenced]) -> None:
    """A row a number, a column an image; then what follows from them."""
    _print_volumes_looked_at(results)
    _print_measured({name: found.values for name, found in results.items()})
    _print_tissues({name: found.tissues for name, found in results.items()}, "shift")
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
    print("\n".join((*check.scope.sentences(), *check.conventions)))


def print_curves(curves: Mapping[str, ScanCurves]) -> None:
    """A row a curve: what is read off it, or why there is none."""
    keys = ("f50", "f10", "peak", "mean", "sigma")
    for name, found in curves.items():
        print(f"curves of {name}")
        rows = [["curve", "of", *(f"{key} [1/mm]" for key in keys[:-1]), keys[-1]]]
        reasons: dict[str, list[str]] = {}
        for curve in found.curves:
            place = "" if curve.region is None else f", region {curve.region}"
            place += "" if curve.volume is None else f", volume {curve.volume}"
            if curve.reason:
                reasons.setdefault(curve.reason, []).append(f"{curve.name} of {curve.of}{place}")
                continue
            cells = [
                "" if key not in curve.numbers else _say(curve.numbers[key].value, "{:.4g}")
                for key in keys
            ]
            rows.append([f"{curve.name}{place}", curve.of, *cells])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for one, of, *cells in rows:
            print(
                "  ".join([one.ljust(widths[0]), of.ljust(widths[1]), *_right(cells, widths[2:])])
            )
        for reason, which in reasons.items():
            print(f"{NONE}: {'; '.join(which)}: {reason}")
    if any(
        "f50" in c.numbers or "f10" in c.numbers for found in curves.values() for c in found.curves
    ):
        print(f"{NONE} under f50 or f10: it does not fall that far below the Nyquist frequency.")

    _print_conventions({name: found.scope.sentences() for name, found in curves.items()})


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
        named = LABELS.get(key, key)
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


def _print_volumes(results: Mapping[str, Metrics]) -> None:
    """Of 4-D scans a row a volume, and their mean."""
    from meddenoise.evaluation.volumes import over_volumes

    for name, m in results.items():
        if not m.volumes:
            continue
        unit = f" [{m.units}]" if m.units else ""
        kind = "volume" if m.dimensions == 3 else "channel"
        print(f"{kind}s of {name}")
        forms = {"psnr": "{:.2f}", "ssim": "{:.4f}"}
        rows = [[kind, "PSNR [dB]", "SSIM", f"RMSE{unit}", f"MAE{unit}", f"bias{unit}"]]
        for one in m.volumes:
            told = one.as_dict()
            cells = [_say(told[key], forms.get(key, "{:.4g}")) for key in _PLAIN]
            rows.append([str(one.number), *cells])
        means = over_volumes(m.volumes)
        rows.append(["mean", *(_say(means[k].value, forms.get(k, "{:.4g}")) for k in _PLAIN)])
        _print_rows(rows)
        reasons = [(one.number, one.as_dict()["notes"]) for one in m.volumes]
        for number, notes in reasons:
            for key, reason in notes.items():
                print(f"{NONE}: {key.upper()} of {kind} {number}: {reason}")


def _print_volumes_looked_at(results: Mapping[str, Unreferenced]) -> None:
    """Of 4-D scans a row a volume with the numbers that tell most; JSON has all."""
    for name, found in results.items():
        if not found.volumes:
            continue
        print(f"volumes of {name}")
        keys = ("residual_ratio", "noise_reduction", "residual_at_edges", "psnr_repeat")
        rows = [["volume", *(LABELS[key] for key in keys)]]
        for one in found.volumes:
            cells = [_say(one.values[key].value, "{:.4g}") for key in keys]
            rows.append([str(one.number), *cells])
        _print_rows(rows)
        print("means of the volumes:")


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
        for reason in dict.fromkeys(
            one.reason
            for region in m.regions
            for one in (region.cnr, region.contrast_recovery)
            if one.value is None and (region.background is not None or behind is None)
        ):
            print(f"{NONE}: {reason}")


def _print_tissues(results: Mapping[str, Tissues | None], what: str) -> None:
    """The signed error by tissue: a row a tissue, a column an image."""
    found = {name: tissues for name, tissues in results.items() if tissues is not None}
    if not found:
        return
    if len({tissues.places for tissues in found.values()}) > 1:
        # Found in each image by itself, or over other voxels: no row is of the same place in all.
        for name, tissues in found.items():
            print(f"tissues of {name}")
            _print_one_place({name: tissues}, what)
        return
    _print_one_place(found, what)


def _print_one_place(found: Mapping[str, Tissues], what: str) -> None:
    """Of images whose tissues are the same."""
    first = next(iter(found.values()))
    if first.reason:
        print(f"{what} by tissue {NONE}: {first.reason}")
        return
    unit = f" [{first.units}]" if first.units else ""
    short = [str(number) for number in range(1, len(found) + 1)]
    if len(found) > 1:
        for number, name in zip(short, found, strict=True):
            print(f"{number}: {name}")
    columns = [f"{what}{unit}", *(["std"] if len(found) == 1 else [])]
    if len(found) > 1:
        columns = [f"{what} of {number}{unit}" for number in short]
    rows = [["tissue", "range", "voxels", f"mean{unit}", *columns]]
    for place, one in enumerate(first.biases):
        every = [tissues.biases[place] for tissues in found.values()]
        cells = [_say(each.bias, "{:+.3g}") for each in every]
        if len(found) == 1:
            cells.append(_say(one.error, "{:.4g}"))
        where = range_in_words(one.low, one.high)
        rows.append([one.name, where, f"{one.voxels:,}", _say(one.reference, "{:.4g}"), *cells])
    _print_rows(rows)
    for one in first.biases:
        if one.reason:
            print(f"{NONE}: {one.name}: {one.reason}")
    print(f"Tissues: {first.convention}.")


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
