"""What each way to learn from one noisy scan makes of a real brain in the same time.

    python benchmarks/self_supervised.py [--seconds 240] [--crop cit168] [--method NAME ...]

Trains the same U-Net by each self-supervised trainer on a crop with 10 % Gaussian noise (see
``cit168.py``; ``--crop`` takes other volumes by the same recipe), with the noise's level
estimated from the crop where the trainer wants it. The truth is used for the scores only. The
filter ``bm4d``, which needs no training, stands beside them, as it is and refined.

Every method gets so many seconds of CPU time on one thread: its steps are measured first, and as
many taken as fit in. So the figures do not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field, replace
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
# The share of a staged run's steps that belongs to Neighbor2Neighbor. They are fast: it is less of
# the time.
SWITCH = 0.9


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
    "staged, SURE last": Method("staged", {"then": "sure", "switch": SWITCH}),
    "staged, R2R last": Method("staged", {"then": "r2r", "switch": SWITCH}),
}
FILTERS: dict[str, dict[str, Any]] = {"bm4d": {}, "bm4d, refined": {"refine": True}}
QUICK = ("Noise2Void", "Neighbor2Neighbor", "SURE", "staged, SURE last")


def train(
    method: Method, noisy: np.ndarray, spacing: tuple[float, ...], steps: int
) -> tuple[Any, list[float]]:
    """The denoiser after so many steps, and the CPU time at which each step began."""
    import torch

    from meddenoise.networks import build_network
    from meddenoise.training import build_trainer
    from meddenoise.volume import Volume

    torch.manual_seed(0)
    network = build_network("unet", dims=3, **{**NETWORK, **method.network})
    trainer = build_trainer(method.trainer, **method.options)
    plain, began = trainer.training_step, []

    def timed(network: Any, batch: Any, draws: Any) -> Any:
        if isinstance(draws.step, int):  # not in validation
            began.append(time.process_time())
        return plain(network, batch, draws)

    trainer.training_step = timed
    denoiser = trainer.fit(
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
    return denoiser, began


def steps_in(seconds: float, method: Method, noisy: np.ndarray, spacing: tuple[float, ...]) -> int:
    """As many steps as fit in so many seconds of CPU time; staged runs have two kinds of step."""
    parts = [(method, 1.0)]
    if method.trainer == "staged":
        then = replace(method, trainer=method.options["then"], options={})
        first = replace(method, trainer="neighbor2neighbor", options={})
        parts = [(first, SWITCH), (then, 1 - SWITCH)]
    each = 0.0
    for part, share in parts:
        _, began = train(part, noisy, spacing, WARM + TIMED)
        each += share * (began[-1] - began[WARM - 1]) / TIMED
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
    trained, began = train(method, noisy, spacing, steps)
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
    report.add(f"{name}, CPU time of training", began[-1] - began[0], "s")
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
    best, untrained = {}, 0.0
    for name, how in FILTERS.items():
        started = time.process_time()
        filtered = bm4d(noisy, spacing=spacing, **how)
        report.add(f"{name}, CPU time", time.process_time() - started, "s")
        report.add(f"{name}, PSNR", psnr(clean, filtered), "dB")
        report.add(f"{name}, SSIM", ssim(clean, filtered), "")
        untrained = max(untrained, psnr(clean, filtered))
    for name in given.method or (QUICK if given.quick else METHODS):
        print(f"{name} ...", file=sys.stderr, flush=True)
        best[name] = measure(report, name, clean, noisy, spacing, seconds)
        for row in report.rows[-5:]:
            print(f"  {row.name}: {row.value:.4g} {row.unit}", file=sys.stderr, flush=True)
    gain = max(best.values()) - untrained
    report.add("best of the trained above the best filter, PSNR", gain, "dB", at_least=0.0)
    report.finish(given.json)


if __name__ == "__main__":
    main()
