"""What ``meddenoise evaluate`` does with its options: scans in, tables and files out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "draw_curves",
    "opened_as_said",
    "score_lesions",
    "score_with_reference",
    "score_without_reference",
    "write_numbers",
]


def opened_as_said(
    path: Path | None, *, units: str, volume: int | None, of_values: bool = True
) -> Any:
    """A scan as the options say; of a mask or label map (``of_values`` false) units are nothing."""
    from meddenoise.io import read
    from meddenoise.workflows.evaluate import chosen_volume

    if path is None:
        return None
    scan = read(path)
    if units and of_values:
        scan = scan.in_units(units)
    if volume is None or (scan.channels == 1 and not of_values):
        return scan  # a mask or label map of one volume is that of all
    return chosen_volume(scan, volume, str(path))


def score_lesions(scan: Path, *, file: Path | None, **options: Any) -> None:
    """Put lesions into a scan, and print what methods leave of them."""
    from meddenoise.cli.progress import progress_bar
    from meddenoise.cli.scores import print_lesions
    from meddenoise.workflows.lesions import check_lesions

    with progress_bar("looking for lesions") as progress:
        found = check_lesions(scan, progress=progress, **options)
    print_lesions(found)
    write_numbers(file, found.as_dict())


def score_with_reference(
    opened: Callable[..., Any],
    reference: Path,
    images: list[Path],
    mask: Path | None,
    roi: Path | None,
    data_range: float | None,
    window: tuple[float, float] | None,
    extended: bool,
    told: dict[str, dict[str, Any]],
) -> None:
    """Print each image's scores against the reference, and add them to ``told``."""
    from meddenoise.cli.scores import print_metrics
    from meddenoise.workflows.evaluate import evaluate as score

    clean = opened(reference)
    inside = opened(mask, of_values=False)
    labels = opened(roi, of_values=False)
    results = {
        str(image): score(
            clean,
            opened(image),
            mask=inside,
            data_range=data_range,
            window=window,
            labels=labels,
            extended=extended,
        )
        for image in images
    }
    print_metrics(results)
    _hint(clean)
    for name, metrics in results.items():
        told[name] |= metrics.as_dict()


def score_without_reference(
    opened: Callable[..., Any],
    noisy: Path,
    images: list[Path],
    repeat: Path | None,
    mask: Path | None,
    data_range: float | None,
    run: Mapping[str, Any],
    told: dict[str, dict[str, Any]],
) -> None:
    """Print what was taken away from the noisy scan, and add it to ``told``."""
    from meddenoise.cli.scores import print_unreferenced
    from meddenoise.workflows.evaluate import evaluate_without_reference

    before, second, inside = opened(noisy), opened(repeat), opened(mask, of_values=False)
    results = {
        str(image): evaluate_without_reference(
            opened(image), before, repeat=second, mask=inside, data_range=data_range, **run
        )
        for image in images
    }
    print_unreferenced(results)
    _hint(before)
    for name, found in results.items():
        told[name]["without_reference"] = found.as_dict()


def _hint(scan: Any) -> None:
    """A word on a scan that looks like CT in HU, where nobody says so."""
    from meddenoise.workflows.units import hint_of_units

    if hint := hint_of_units(scan):
        print(hint)


def draw_curves(
    opened: Callable[..., Any],
    file: Path,
    images: list[Path],
    reference: Path | None,
    noisy: Path | None,
    mask: Path | None,
    roi: Path | None,
    data_range: float | None,
    window: tuple[float, float] | None,
    volume: int | None,
) -> None:
    """Write the curves of each image, and print what is read off them."""
    from meddenoise.cli.scores import print_curves
    from meddenoise.workflows.curves import scan_curves, write_curves

    truth, before = opened(reference), opened(noisy)
    inside, labels = opened(mask, of_values=False), opened(roi, of_values=False)
    found = {
        str(image): scan_curves(
            opened(image),
            reference=truth,
            noisy=before,
            mask=inside,
            labels=labels,
            data_range=data_range,
            window=window,
            volume=volume,
        )
        for image in images
    }
    write_curves(file, found)
    print_curves(found)
    print(f"{file}  all points")


def write_numbers(file: Path | None, values: Mapping[str, Any]) -> None:
    """All numbers as JSON, which has neither infinity nor NaN."""
    if file is None:
        return
    from meddenoise.io import atomic_file
    from meddenoise.io.named import path_of

    text = json.dumps(values, indent=2, allow_nan=False)
    with atomic_file(path_of(file), overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
