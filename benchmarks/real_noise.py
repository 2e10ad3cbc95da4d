"""Denoising judged on real noise: repeats of diffusion MRI, and CT at a quarter of the dose.

    python benchmarks/real_noise.py [--quick] [--only dti|ct] [--json FILE]

**Diffusion** (``pairs/dti_2x11``, ten directions scanned twice, 2 mm). A method sees the first
repeat only, or learns from both repeats of the first five directions (``noise2noise``); it is
judged on the last five by the second repeat, whose noise it has not seen: the mean squared
difference from it in the brain, less sigma^2, is the error to the unknown truth, but for what moved
between the repeats (about 0.08 voxels). Sigma is what the two repeats say: the robust standard
deviation of their difference, over the root of 2. The gain is the error of the noisy scan, sigma^2,
over that of the result, in dB.

**CT** (``pairs/L096`` and ``L143``, full and quarter dose, 3 mm, sharp kernel). A supervised
network learns from the pairs of one patient and is judged on the other; filters see the quarter
dose alone. PSNR and SSIM in 2-D slice by slice against the full dose (which has noise of its own,
half as strong), once cut to [-160, 240] HU with a data range of 400 HU, once whole with that of the
full dose's slices; bias is the mean error in patches of soft tissue of 32 x 32 pixels.

All networks: the moving average of the weights at the last step.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import Report, add_data, arguments
from noise_realism import SIDE, soft_tissue
from numpy.typing import NDArray

Image = NDArray[np.float32]
DIRECTIONS = range(1, 11)
LEARNED, JUDGED = range(1, 6), range(6, 11)
# Differences of repeats are N(0, 2 sigma^2), and half of |N(0, 1)| lies below that.
MEDIAN = 0.6745
WINDOW = (-160.0, 240.0)
NETWORK: dict[str, Any] = {"channels": [16, 32, 64]}


def timed(name: str, run: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and the CPU time."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    started = time.process_time()
    return run(), time.process_time() - started


def training(steps: int, **more: Any) -> dict[str, Any]:
    """The loop, with a network of its own."""
    return {
        "steps": steps,
        "learning_rate": 2e-3,
        "ema": 0.98,
        "validate_every": 10**9,
        "validate_batches": 1,
        "device": "cpu",
        **more,
    }


def network(dims: int, **options: Any) -> Any:
    import torch

    from meddenoise.networks import build_network

    torch.manual_seed(0)
    return build_network("unet", dims=dims, **NETWORK, **options)


def dti(report: Report, data: Path, quick: bool) -> None:
    """Scores of each method on the second repeat."""
    from skimage.filters import threshold_otsu

    import meddenoise as md

    scan = md.read(data / "pairs" / "dti_2x11.nii.gz")
    one, two = scan.array[:11], scan.array[11:]
    brain = (one[0] + two[0]) / 2
    brain = brain > threshold_otsu(brain)
    gap = (one[list(DIRECTIONS)] - two[list(DIRECTIONS)])[:, brain]
    sigma = float(np.median(np.abs(gap)) / MEDIAN / np.sqrt(2))
    report.add("dti: voxels of the brain", int(brain.sum()), "")
    report.add("dti: sigma by the repeats", sigma, "")
    judged = list(JUDGED)[: 1 if quick else None]

    def volume(k: int) -> Any:
        return md.Volume.from_array(one[k], affine=scan.affine, modality="MR")

    def each(**how: Any) -> Callable[[], dict[int, Image]]:
        return lambda: {k: md.denoise(volume(k), **how).array[0] for k in judged}

    def jointly(method: str) -> dict[int, Image]:
        series = md.Volume.from_array(one, affine=scan.affine, modality="MR")
        denoised = md.denoise(series, method=method).array
        return {k: denoised[k] for k in judged}

    def learned(name: str, steps: int, images: Any, targets: Any = None) -> dict[int, Image]:
        from meddenoise.training import build_trainer

        how = training(steps // 10 if quick else steps, patch=[48, 48, 32], batch=2)
        denoiser = build_trainer(name).fit(images, targets, network=network(3), **how)
        return {k: denoiser(volume(k)).array[0] for k in judged}

    def repeats() -> dict[int, Image]:
        def second(k: int) -> Any:
            return md.Volume.from_array(two[k], affine=scan.affine, modality="MR")

        pairs = [(volume(k), second(k)) for k in LEARNED]
        return learned("noise2noise", 600, [a for a, _ in pairs], [b for _, b in pairs])

    methods: dict[str, Callable[[], dict[int, Image]]] = {
        "median": each(method="median"),
        "nlmeans": each(method="nlmeans", stabilise="auto"),
        "bm4d": each(method="bm4d", stabilise="auto"),
        "auto": each(method="auto"),
        "mppca, 11 volumes": lambda: jointly("mppca"),
        "patch2self, 11 volumes": lambda: jointly("patch2self"),
        "neighbor2neighbor": lambda: learned(
            "neighbor2neighbor", 1500, [volume(k) for k in DIRECTIONS]
        ),
        "noise2noise": repeats,
    }
    if not quick:
        methods["auto, 60 s each"] = each(method="auto", budget=60)
    best: dict[str, float] = {}
    for name, run in methods.items():
        results, spent = timed(f"dti: {name}", run)
        errors = [float(np.mean((results[k] - two[k])[brain] ** 2)) - sigma**2 for k in judged]
        error = float(np.mean(errors))
        report.add(f"dti, {name}: squared error, of sigma^2", error / sigma**2, "")
        best[name] = gain = 10 * float(np.log10(sigma**2 / max(error, 1e-9)))
        report.add(f"dti, {name}: gain over the input", gain, "dB")
        bias = float(np.mean([(results[k] - two[k])[brain].mean() for k in judged]))
        report.add(f"dti, {name}: bias", bias / sigma, "sigma")
        report.add(f"dti, {name}: CPU time a volume", spent / len(judged), "s")
    ours = max(gain for name, gain in best.items() if name not in ("median", "nlmeans", "bm4d"))
    for name in ("nlmeans", "bm4d"):
        report.add(f"dti: our best above {name}", ours - best[name], "dB", at_least=0.0)


def pairs(data: Path, name: str) -> tuple[Any, Any]:
    """Quarter and full dose of a patient."""
    import meddenoise as md

    place = data / "pairs" / name
    if not place.is_dir():
        raise SystemExit(f"There are no pairs of doses in {place}: say --data DIR.")
    quarter, full = (md.read(place / f"{dose}_3mm_sharp_sorted") for dose in ("quarter", "full"))
    full.check_same_grid(quarter)
    return quarter, full


def ct(report: Report, data: Path, quick: bool) -> None:
    """One patient teaches, the other judges; both ways."""
    import meddenoise as md

    scans = {name: pairs(data, name) for name in ("L096", "L143")}
    for judge, teacher in (("L143", "L096"), ("L096", "L143"))[: 1 if quick else None]:
        quarter, full = scans[judge]

        def supervised(teacher: str = teacher, quarter: Any = quarter) -> Image:
            from meddenoise.training import build_trainer

            how = training(
                40 if quick else 800,
                patch=[96, 96],
                batch=8,
                data={"normalise": {"method": "fixed", "shift": 40.0, "scale": 400.0}},
            )
            low, high = scans[teacher]
            trainer = build_trainer("supervised")
            denoiser = trainer.fit(low, high, network=network(2, residual=True), **how)
            return denoiser(quarter).array[0]

        def by(method: str, quarter: Any = quarter) -> Image:
            return md.denoise(quarter, method=method).array[0]

        gained: dict[str, float] = {}
        methods: dict[str, Callable[[], Image]] = {
            "quarter dose": lambda quarter=quarter: quarter.array[0],
            "nlmeans": lambda: by("nlmeans"),
            "bm4d": lambda: by("bm4d"),
            f"U-Net taught by {teacher}": supervised,
        }
        for name, run in methods.items():
            image, spent = timed(f"{judge}: {name}", run)
            told = f"{judge}, {name}"
            for kind, psnr, ssim in scores(full.array[0], image):
                report.add(f"{told}: PSNR, {kind}", psnr, "dB")
                report.add(f"{told}: SSIM, {kind}", ssim, "")
                gained.setdefault(name, psnr)
            bias = hu_bias(full.array[0], image, full.spacing[0])
            limit = {"at_most": 1.0} if "U-Net" in name else {}
            report.add(f"{told}: bias in soft tissue, absolute", abs(bias), "HU", **limit)
            report.add(f"{told}: CPU time", spent, "s")
        ours = gained.pop(f"U-Net taught by {teacher}")
        for name, psnr in gained.items():
            what = f"{judge}: U-Net above {name}, windowed PSNR"
            report.add(what, ours - psnr, "dB", at_least=0.0)


def scores(full: Image, image: Image) -> Iterator[tuple[str, float, float]]:
    """Means over slices: what is shown, PSNR, SSIM."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    for kind, window in (("[-160, 240] HU", WINDOW), ("full range", None)):
        found = []
        for k in range(full.shape[2]):
            a, b = full[..., k], image[..., k]
            if window is not None:
                a, b = np.clip(a, *window), np.clip(b, *window)
            span = float(a.max() - a.min()) if window is None else window[1] - window[0]
            found.append(
                (
                    peak_signal_noise_ratio(a, b, data_range=span),
                    structural_similarity(a, b, data_range=span),
                )
            )
        psnr, ssim = np.mean(found, axis=0)
        yield kind, float(psnr), float(ssim)


def hu_bias(full: Image, image: Image, pixel_mm: float) -> float:
    """Mean error in patches of soft tissue."""
    means = [
        (image - full)[i : i + SIDE, j : j + SIDE, k].mean()
        for k in range(full.shape[2])
        for i, j in soft_tissue(full[..., k], pixel_mm)
    ]
    return float(np.mean(means))


def main() -> None:
    parser = arguments(__doc__)
    add_data(parser)
    parser.add_argument("--only", choices=["dti", "ct"], help="a part of it")
    options = parser.parse_args()
    report = Report("Real noise: repeats of diffusion MRI, CT at a quarter of the dose")
    if options.only != "ct":
        dti(report, options.data, options.quick)
    if options.only != "dti":
        ct(report, options.data, options.quick)
    report.finish(options.json)


if __name__ == "__main__":
    main()
