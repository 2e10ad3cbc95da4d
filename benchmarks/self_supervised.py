"""What each way to learn from one noisy scan makes of a real brain in the same time.

    python benchmarks/self_supervised.py [--seconds 240] [--crop cit168] [--method NAME ...]

Trains the same U-Net by each self-supervised trainer on a crop with 10 % Gaussian noise (see
``cit168.py``; ``--crop`` takes other volumes by the same recipe), with the noise's level
estimated from the crop where the trainer wants it. The truth is used for the scores only. The
filter ``bm4d``, which needs no training, stands beside them.

Every method gets so many seconds of CPU time on one thread: its steps are measured first, and as
many taken as fit in. So the figures do not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from cit168 import crop_of, load_crop, psnr, ssim
from common import Report, add_data, arguments

CROPS = {"cit168": "cit168_t1", "colin27": "colin27_t1", "seg3d": "seg3d_t1", "t2": "t2"}
NETWORK: dict[str, Any] = {"channels": [16, 32, 64]}
# Steps that are timed before a run; the first ones are slower.
WARM, TIMED = 2, 6


@dataclass(frozen=True)
class Method:
    """A trainer, its options, and how its patches are drawn."""

    trainer: str
    options: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    patch: tuple[int, int, int] = (64, 64, 32)
    batch: int = 1


METHODS = {
    "Noise2Void": Method("noise2void"),
    "Noise2Void2": Method(
        "noise2void", {"replacement": "median"}, {"pool": "blur", "top_skip": False}
    ),
    "Neighbor2Neighbor": Method("neighbor2neighbor"),
    "Neighbor2Neighbor, gamma 1": Method("neighbor2neighbor", {"gamma": 1.0}),
    "SURE": Method("sure"),
    "UNSURE": Method("unsure"),
    "R2R": Method("r2r"),
    "staged, SURE last": Method("staged", {"then": "sure"}),
    "staged, R2R last": Method("staged", {"then": "r2r"}),
}
QUICK = ("Noise2Void", "Neighbor2Neighbor", "SURE", "staged, SURE last")


def train(method: Method, noisy: np.ndarray, spacing: tuple[float, ...], steps: int) -> Any:
    """The denoiser after so many steps, and the CPU time they took."""
    import torch

    from meddenoise.networks import build_network
    from meddenoise.training import build_trainer
    from meddenoise.volume import Volume

    torch.manual_seed(0)
    network = build_network("unet", dims=3, **{**NETWORK, **method.network})
    started = time.process_time()
    denoiser = build_trainer(method.trainer, **method.options).fit(
        Volume.from_array(noisy, spacing=spacing),
        network=network,
        patch=method.patch,
        batch=method.batch,
        steps=steps,
        learning_rate=2e-3,
        ema=0.98,
        validate_every=10**9,
        validate_batches=1,
        device="cpu",
    )
    return denoiser, time.process_time() - started


def steps_in(seconds: float, method: Method, noisy: np.ndarray, spacing: tuple[float, ...]) -> int:
    """As many steps as fit in so many seconds of CPU time; staged runs have two kinds of step."""
    parts = [(method, 1.0)]
    if method.trainer == "staged":
        then = Method(method.options["then"], patch=method.patch, batch=method.batch)
        first = Method("neighbor2neighbor", patch=method.patch, batch=method.batch)
        parts = [(first, 0.7), (then, 0.3)]
    each = 0.0
    for part, share in parts:
        _, short = train(part, noisy, spacing, WARM)
        _, longer = train(part, noisy, spacing, WARM + TIMED)
        each += share * max(longer - short, 1e-3) / TIMED
    return max(1, int(seconds / each))


def measure(
    report: Report,
    name: str,
    clean: np.ndarray,
    noisy: np.ndarray,
    spacing: tuple[float, ...],
    seconds: float,
) -> float:
    """Train, denoise and score; the PSNR with flips."""
    from meddenoise.inference import Denoiser
    from meddenoise.volume import Volume

    method = METHODS[name]
    steps = steps_in(seconds, method, noisy, spacing)
    trained, spent = train(method, noisy, spacing, steps)
    scores = {}
    for flips in (False, True):
        denoiser = Denoiser(
            trained.network,
            normalise=trained.normalise,
            inference=trained.inference.model_copy(update={"flips": flips}),
            device="cpu",
        )
        scores[flips] = denoiser(Volume.from_array(noisy, spacing=spacing)).array[0]
    best = psnr(clean, scores[True])
    report.add(f"{name}, PSNR", psnr(clean, scores[False]), "dB")
    report.add(f"{name}, PSNR with flips", best, "dB")
    report.add(f"{name}, SSIM with flips", ssim(clean, scores[True]), "")
    report.add(f"{name}, steps", steps, "")
    report.add(f"{name}, CPU time of training", spent, "s")
    return best


def load(data: Path, crop: str) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """``(clean, noisy, spacing)``."""
    if crop == "cit168":
        clean, noisy, affine = load_crop(data)
    else:
        clean, noisy, affine = crop_of(data / "mri" / f"{CROPS[crop]}.nii.gz")
    return clean, noisy, tuple(float(s) for s in nib.affines.voxel_sizes(affine))


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    add_data(parser)
    parser.add_argument(
        "--seconds", type=float, help="CPU time of each training (default 240; quick: 15)"
    )
    parser.add_argument("--crop", choices=list(CROPS), default="cit168")
    parser.add_argument("--method", action="append", choices=list(METHODS), help="only these")
    return parser.parse_args()


def main() -> None:
    given = options()
    import torch

    from meddenoise.filters.bm4d import bm4d

    torch.set_num_threads(1)
    seconds = given.seconds or (15.0 if given.quick else 240.0)
    clean, noisy, spacing = load(given.data, given.crop)
    report = Report(
        f"One noisy scan ({given.crop}), {seconds:g} s of CPU time of training on one thread"
    )
    report.add("noisy, PSNR", psnr(clean, noisy), "dB")
    started = time.process_time()
    filtered = bm4d(noisy, spacing=spacing)
    report.add("bm4d, CPU time", time.process_time() - started, "s")
    report.add("bm4d, PSNR", psnr(clean, filtered), "dB")
    report.add("bm4d, SSIM", ssim(clean, filtered), "")
    best = {}
    for name in given.method or (QUICK if given.quick else METHODS):
        print(f"{name} ...", file=sys.stderr, flush=True)
        best[name] = measure(report, name, clean, noisy, spacing, seconds)
    gain = max(best.values()) - psnr(clean, filtered)
    report.add("best of the trained above bm4d, PSNR", gain, "dB", at_least=0.0)
    report.finish(given.json)


if __name__ == "__main__":
    main()
