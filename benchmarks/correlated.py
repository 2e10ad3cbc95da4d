"""Noise that neighbours share: filters, the network that ships, and what ``--method auto`` takes.

    python benchmarks/correlated.py [--quick] [--resume] [--data DIR] [--peer-env DIR] [--json FILE]

Truths: the central 96 x 96 x 48 voxels of two T1-weighted heads, as in ``filters.py``. The added
noise is Gaussian, of 3 and 10 %, drawn once, filtered, and scaled to that standard deviation:
filled with zeros from 75 and from 50 % of k-space in plane (a matrix of 512 from 256), partial
Fourier of 6/8 with half of k-space tapered, and smoothed by a Gaussian of 0.7 voxels.

Ours are told nothing (``bm4d``, ``nlmeans``, the network that ships, ``auto``). The package of
BM4D's authors is told the true standard deviation, and once more the true power spectrum. PSNR and
SSIM in 3-D over the whole crop, data range 1. What every method gave is kept in
``build/correlated`` case by case: ``--resume`` goes on where a run was cut off. ``--quick``: one
head, 10 %, smaller.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from common import Report, add_data, arguments
from filters import (
    HEADS,
    PEER_BM4D,
    Bench,
    Case,
    Result,
    add_bench,
    baseline,
    costs,
    heads,
    matrix,
    rows,
)
from filters_side import ALONE, READY

TOLD = f"{PEER_BM4D}, told the spectrum"
LEVELS = (0.03, 0.1)


def spectra(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """What passes of each spatial frequency, by name; they broadcast to the shape."""
    from meddenoise.noise.mri.kspace import kspace_filter

    def in_plane(**how: float) -> np.ndarray:
        return np.asarray(kspace_filter(shape[:2], **how).numpy()[..., None])

    along = [np.exp(-2 * (np.pi * 0.7 * np.fft.fftfreq(n)) ** 2) for n in shape[:2]]
    return {
        "zeros from 75 %": in_plane(zero_filling=1 / 0.75),
        "zeros from 50 %": in_plane(zero_filling=2.0),
        "partial Fourier": in_plane(partial_fourier=0.75, apodisation=0.5),
        "smoothed": along[0][:, None, None] * along[1][None, :, None],
    }


def filtered(case: Case, name: str, passes: np.ndarray) -> Case:
    """The case with noise that went through a filter."""
    draws = np.random.default_rng(1)
    drawn = draws.standard_normal(case.clean.shape) + 1j * draws.standard_normal(case.clean.shape)
    noise = np.fft.ifftn(passes * np.fft.fftn(drawn)).real
    noisy = case.clean + case.sigma * noise / noise.std()
    # A real part has half of what passes at a frequency and half of that at its opposite.
    power = np.abs(np.broadcast_to(passes, case.clean.shape)) ** 2
    power = (power + np.roll(power[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))) / 2
    power *= case.sigma**2 * power.size / power.mean()
    told = f"{case.name.replace('Gaussian ', '')}, {name}"
    return replace(case, name=told, noisy=noisy.astype(np.float32), spectrum=power)


def cases_of(data: Path, quick: bool) -> Iterator[Case]:
    """Both heads with each noise."""
    chosen = {name: HEADS[name] for name in ("cit168", "colin27")[: 1 if quick else None]}
    for case in heads(data, quick, chosen):
        if not case.rician and case.sigma in (LEVELS[1:] if quick else LEVELS):
            for name, passes in spectra(case.clean.shape).items():
                yield filtered(case, name, passes)


def above(report: Report, one: str, other: str, results: dict[str, Result], least: float) -> None:
    """The gain of one method over another in all cases."""
    for what, unit in (("psnr", "dB"), ("ssim", "")):
        mine, theirs = (getattr(results[name], what) for name in (one, other))
        gains = [mine[case] - theirs[case] for case in mine]
        told = f"{one} above {other}, {what.upper()}"
        target = {"at_least": least} if what == "psnr" else {}
        report.add(f"{told}, mean over {len(gains)}", float(np.mean(gains)), unit, **target)
        report.add(f"{told}, least", min(gains), unit)


def main() -> None:
    parser = arguments(__doc__)
    add_data(parser)
    add_bench(parser)
    options = parser.parse_args()
    bench = Bench.opened("correlated", options, options.peer_env)
    cases = list(cases_of(options.data, options.quick))
    results = {"noisy": baseline(cases)}
    for name in (f"nlmeans{ALONE}", f"bm4d{ALONE}", READY, "auto", PEER_BM4D, TOLD):
        results[name] = bench.run(name, cases)
    report = Report("Noise that neighbours share")
    above(report, "auto", f"nlmeans{ALONE}", results, 0.5)
    above(report, "auto", READY, results, 0.0)
    above(report, "auto", PEER_BM4D, results, 0.5)
    above(report, "auto", TOLD, results, 0.0)
    above(report, f"bm4d{ALONE}", TOLD, results, -0.2)
    report.finish(None)
    for what, digits in (("psnr", 2), ("ssim", 3)):
        title = "PSNR in dB" if what == "psnr" else "SSIM"
        matrix(title, results, cases, lambda r, case, w=what: getattr(r, w)[case], digits)
    costs({name: result for name, result in results.items() if result.seconds}, cases)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        told = [asdict(row) for row in [*report.rows, *rows(results, cases)]]
        options.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
