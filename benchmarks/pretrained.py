"""The network that ships with meddenoise beside filters: on added noise and on real noise.

    python benchmarks/pretrained.py [--quick] [--resume] [--adapt SECONDS] [--data DIR]
        [--peer-env DIR] [--json FILE]

**Added noise.** The central 96 x 96 x 48 voxels of four heads (``filters.py`` has three of them and
says how they are made), Gaussian and Rician noise of 3, 10 and 20 %; a pelvic CT of which a quarter
of the dose is simulated, and an abdominal CT, resampled to 3 mm, with white noise of 26 HU; scored
in a window of [-160, 240] HU. Ours is told nothing but the modality, and finds the noise itself;
and once more with ``--adapt``. The filters are told the true standard deviation of what was added,
which in a scan with noise of its own is less than there is (``told sigma``: ours is told the same;
``bm4d alone``: told nothing, it estimates the noise as ours does). On Rician noise
our BM4D and the median are run as they are, NLMeans in its Rician mode, and BM4D once more inside
the stabilisation (``bm4d, stabilised``), which is the fairest to compare with. The references have
noise of their own, and who takes that away as well loses by it: ``an image without any noise`` is
what one would score that has none at all, by the noise that is estimated in the reference. That is
what there is to win.

**Real noise.** ``pairs/dti_2x11``: three directions, judged by the second scan of the same, as
``real_noise.py`` does. ``pairs/L096`` and ``L143``: the quarter dose, judged by the full dose in
2-D slice by slice. ``dicom/mr_t1_siemens`` and ``ms_raw``, which have no second scan: whether
structure is in the residual (:mod:`meddenoise.evaluation.residual`: 1 for noise alone), in units of
the noise, stabilised and by its map, as that test wants it and the tool itself does it: in the
Siemens scan the noise is 4.8 at one end and 17.6 at the other. In the image's own units, where that
counts as structure, beside it.

Nothing real was trained on. The T1- and T2-weighted heads at 10 % helped to choose settings of the
generator; see ``docs/model_card.md``. ``--quick``: two smaller heads at 10 %, one direction, L096.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import Report, add_data, arguments
from filters import (
    CT_CROP,
    HEADS,
    WINDOW,
    Bench,
    Case,
    add_bench,
    central,
    ct,
    heads,
)
from filters_side import ALONE, READY, TOLD_SIGMA

FOUR = {**HEADS, "t2": "t2"}
OURS = READY
STABILISED = "bm4d, stabilised"
PEER = "bm4d package"
FILTERS = ("bm4d", STABILISED, "nlmeans", "median")
DIRECTIONS = (6, 7, 8)
SLOWER = 50.0


def abdomen(data: Path) -> Case:
    """A quarter of the dose of an abdominal CT that was resampled to 3 mm."""
    import meddenoise as md

    scan = md.read(data / "ct" / "abdomen_3mm.nii.gz")
    scan = replace(scan, units="HU", modality="CT")
    shape = scan.array.shape[1:]
    size = [min(a, b) for a, b in zip(shape, CT_CROP, strict=True)]
    clean = central(scan.array[0], size)
    part = md.Volume.from_array(clean, spacing=scan.spacing, units="HU", modality="CT")
    # Resampled noise has no kernel to be measured: what is added is white, of the strength that
    # three quarters less dose add to 15 HU.
    sigma = 15 * 3**0.5
    noisy = md.simulate(part, "gaussian", sigma=sigma, seed=0).array[0]
    return Case(
        "abdomen, 1/4 dose",
        clean,
        noisy,
        sigma,
        spacing=scan.spacing,
        units="HU",
        modality="CT",
        window=WINDOW,
    )


def added(report: Report, bench: Bench, cases: Sequence[Case], seconds: float) -> None:
    """Noise that was added, and its targets."""
    adapted = f"{OURS}, adapted for {seconds:g} s"
    alone = f"bm4d{ALONE}"
    methods = [OURS, adapted, TOLD_SIGMA, *FILTERS, alone, PEER]
    results = {name: bench.run(name, cases) for name in methods}
    ours = results[OURS]
    for name, result in results.items():
        for case in cases:
            report.add(f"{name}, {case.name}: PSNR", result.psnr[case.name], "dB")
            report.add(f"{name}, {case.name}: SSIM", result.ssim[case.name], "")
        report.add(f"{name}: speed by CPU time", result.speed(cases, cpu=True), "Mvoxel/s")
    noiseless = {case.name: without_noise(case) for case in cases}
    for case in cases:
        report.add(f"an image without any noise, {case.name}: PSNR", noiseless[case.name], "dB")
    kinds = {
        "Gaussian": [c.name for c in cases if not c.rician and c.modality == "MR"],
        "Rician": [c.name for c in cases if c.rician],
        "CT": [c.name for c in cases if c.modality == "CT"],
    }
    for kind, names in kinds.items():
        if not names:
            continue
        most = mean(noiseless, names)
        for peer in ("bm4d", "nlmeans"):
            row = f"{kind}: an image without any noise, above {peer}, mean PSNR"
            report.add(row, most - mean(results[peer].psnr, names), "dB")
        for peer in (*FILTERS, PEER):
            least = 2.0 if (kind, peer) == ("CT", "nlmeans") else 0.5 if "bm4d" in peer else None
            row = f"{kind}: above {peer}, mean PSNR"
            report.add(row, mean(ours.psnr, names) - mean(results[peer].psnr, names), "dB",
                       at_least=least)  # fmt: skip
        told = results[TOLD_SIGMA].psnr
        for what, one, other in (
            ("told the same, above a stabilised bm4d", told, results[STABILISED].psnr),
            ("told the same, above the bm4d package", told, results[PEER].psnr),
            ("above bm4d that is told nothing either", ours.psnr, results[alone].psnr),
        ):
            report.add(f"{kind}: {what}, mean PSNR", mean(one, names) - mean(other, names), "dB")
        gap = mean(ours.ssim, names) - mean(results["bm4d"].ssim, names)
        report.add(f"{kind}: above bm4d, mean SSIM", gap, "", at_least=0.0)
    gains = [results[adapted].psnr[case.name] - ours.psnr[case.name] for case in cases]
    report.add(f"--adapt {seconds:g}: mean gain in PSNR", float(np.mean(gains)), "dB", at_least=0.3)
    report.add(f"--adapt {seconds:g}: least gain in PSNR", min(gains), "dB", at_least=-0.05)
    for peer in ("bm4d", STABILISED, PEER):
        more = [results[adapted].psnr[case.name] - results[peer].psnr[case.name] for case in cases]
        report.add(f"--adapt {seconds:g}: above {peer}, mean PSNR", float(np.mean(more)), "dB")
    times = ours.speed(cases, cpu=True) / results["bm4d"].speed(cases, cpu=True)
    report.add("faster than bm4d by CPU time", times, "x", at_least=SLOWER)
    times = ours.speed(cases, cpu=True) / results[PEER].speed(cases, cpu=True)
    report.add("faster than the bm4d package by CPU time", times, "x", at_least=SLOWER)


def without_noise(case: Case) -> float:
    """PSNR, against a reference with noise of its own, of what the reference is without it."""
    import meddenoise as md
    from meddenoise.noise import estimate

    given = {"spacing": case.spacing, "units": case.units, "modality": case.modality}
    own = estimate(md.Volume.from_array(case.clean, **given)).sigma
    noise = own * np.random.default_rng(0).standard_normal(case.clean.shape)
    return case.scores(case.clean + noise.astype(np.float32))[0]


def mean(scores: dict[str, float], names: Sequence[str]) -> float:
    return float(np.mean([scores[name] for name in names]))


def by(name: str, volume: Any) -> Any:
    """One volume by ours or by a filter, Rician noise of magnitude MRI stabilised around it."""
    import meddenoise as md

    started = time.process_time()
    if name == OURS:
        done = md.denoise(volume)
    else:
        stabilise = "auto" if volume.modality == "MR" and name != "median" else None
        done = md.denoise(volume, method=name, stabilise=stabilise)
    print(f"  {name}: {time.process_time() - started:.1f} s", file=sys.stderr, flush=True)
    return done


def dti(report: Report, data: Path, quick: bool) -> None:
    """By the second scan of the same direction."""
    from skimage.filters import threshold_otsu

    import meddenoise as md

    scan = md.read(data / "pairs" / "dti_2x11.nii.gz")
    one, two = scan.array[:11], scan.array[11:]
    brain = (one[0] + two[0]) / 2
    brain = brain > threshold_otsu(brain)
    gap = (one[1:] - two[1:])[:, brain]
    variance = float(np.median(np.abs(gap)) / 0.6745) ** 2 / 2
    gains = {}
    for name in (OURS, "bm4d", "nlmeans", "median"):
        errors = []
        for k in DIRECTIONS[: 1 if quick else None]:
            volume = md.Volume.from_array(one[k], affine=scan.affine, modality="MR")
            residual = (by(name, volume).array[0] - two[k])[brain]
            errors.append(float(np.mean(residual**2)) - variance)
        gains[name] = 10 * float(np.log10(variance / max(float(np.mean(errors)), 1e-9)))
        limit = {"at_least": 0.0} if name == OURS else {}
        report.add(f"dti_2x11, {name}: gain over the input", gains[name], "dB", **limit)
    best = max(gain for name, gain in gains.items() if name != OURS)
    report.add("dti_2x11: above the best filter", gains[OURS] - best, "dB", at_least=0.0)


def doses(report: Report, data: Path, quick: bool) -> None:
    """The quarter dose, by the full dose."""
    import meddenoise as md

    for name in ("L096", "L143")[: 1 if quick else None]:
        place = data / "pairs" / name
        quarter, full = (
            md.read(place / f"{dose}_3mm_sharp_sorted") for dose in ("quarter", "full")
        )
        part = (slice(None), slice(128, 384), slice(128, 384)) if quick else (slice(None),)
        low, truth = quarter.array[part], full.array[part]
        seen = md.Volume.from_array(low[0], spacing=quarter.spacing, units="HU", modality="CT")
        found = {"the quarter dose": score(truth[0], low[0])}
        for method in (OURS, "bm4d", "nlmeans", "median"):
            found[method] = score(truth[0], by(method, seen).array[0])
        for method, psnr in found.items():
            report.add(f"{name}, {method}: PSNR in the window", psnr, "dB")
        most = score(truth[0], truth[0] + own_noise(truth[0], full))
        report.add(f"{name}: PSNR of an image without any noise", most, "dB")
        ours = found.pop(OURS)
        gain = ours - found["the quarter dose"]
        report.add(f"{name}: above the quarter dose", gain, "dB", at_least=0.0)
        report.add(f"{name}: above the best filter", ours - max(found.values()), "dB", at_least=0.0)


def own_noise(array: np.ndarray, scan: Any) -> np.ndarray:
    """White noise as strong, place by place, as a scan is seen to have it."""
    import meddenoise as md
    from meddenoise.noise import estimate

    volume = md.Volume.from_array(array, spacing=scan.spacing, units="HU", modality="CT")
    found = estimate(volume, with_map=True)
    noise = found.map * np.random.default_rng(0).standard_normal(array.shape)
    return np.asarray(noise, dtype=np.float32)


def score(full: np.ndarray, image: np.ndarray) -> float:
    """Mean PSNR over slices, in the window."""
    a, b = np.clip(full, *WINDOW), np.clip(image, *WINDOW)
    errors = np.mean((a - b) ** 2, axis=(0, 1))
    return float(np.mean(10 * np.log10((WINDOW[1] - WINDOW[0]) ** 2 / errors)))


def residuals(report: Report, data: Path, quick: bool) -> None:
    """Real scans without a second one."""
    import meddenoise as md
    from meddenoise.errors import ParameterError
    from meddenoise.evaluation.residual import LIMIT, residual_structure
    from meddenoise.pretrained.assumed import assume

    scans = {"mr_t1_siemens": data / "dicom" / "mr_t1_siemens"}
    if not quick:
        found = sorted((data / "mri" / "ms_raw").glob("*.nii*"))
        scans |= {f"ms_raw, {path.name.split('.')[0]}": path for path in found}
    for name, path in scans.items():
        scan = md.read(path)
        middle = central(
            scan.array[0], [min(n, 128 if n > 64 else n) for n in scan.array.shape[1:]]
        )
        volume = md.Volume.from_array(middle, spacing=scan.spacing, modality="MR")
        noise = assume(volume)
        for method in (OURS, "bm4d", "median"):
            clean = by(method, volume).array[0]
            pair = [noise.forward(np.maximum(image, 0)) for image in (middle, clean)]
            limit = {"at_most": LIMIT} if method == OURS else {}
            for what, images, more in (
                ("residual at edges by elsewhere", pair, limit),
                ("the same, noise of any strength", (middle, clean), {}),
            ):
                try:
                    ratio = residual_structure(*images, mask=middle > 0).ratio
                except ParameterError as fault:
                    # A median within thick slices leaves every ninth voxel as it is.
                    if method == OURS:
                        raise
                    print(f"  {name}, {method}: {fault}", file=sys.stderr, flush=True)
                    continue
                report.add(f"{name}, {method}: {what}", ratio, "", **more)


def main() -> None:
    parser = arguments(__doc__)
    add_data(parser)
    add_bench(parser)
    parser.add_argument("--adapt", type=float, help="seconds (default: 60; --quick: 15)")
    options = parser.parse_args()
    seconds = options.adapt or (15.0 if options.quick else 60.0)
    bench = Bench.opened("pretrained", options, options.peer_env)
    cases = list(heads(options.data, False, FOUR))
    cases += [ct(options.data, False), abdomen(options.data)]
    if options.quick:
        kept = [c for c in cases if c.modality == "CT" or "10 %" in c.name]
        cases = [smaller(c) for c in kept if not c.name.startswith(("colin27", "seg3d"))]
    report = Report("The network that ships with meddenoise, and filters")
    added(report, bench, cases, seconds)
    dti(report, options.data, options.quick)
    doses(report, options.data, options.quick)
    residuals(report, options.data, options.quick)
    # What is looked for first stands first.
    report.rows.sort(key=lambda row: row.met is None)
    report.finish(options.json)


def smaller(case: Case) -> Case:
    """Its middle."""
    size = [min(n, 64) for n in case.clean.shape]
    return replace(case, clean=central(case.clean, size), noisy=central(case.noisy, size))


if __name__ == "__main__":
    main()
