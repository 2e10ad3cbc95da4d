"""What each network costs, and what it makes of a real brain in the same time.

    python benchmarks/networks.py [--seconds 180] [--crop cit168] [--trainer NAME]
    python benchmarks/networks.py --cost

Every network of the list below is trained by one trainer (default Neighbor2Neighbor) on a crop with
10 % Gaussian noise (see ``cit168.py``), without the truth, which is used for the scores only. Each
gets so many seconds of CPU time on one thread: its steps are measured first, and as many taken as
fit in. So the figures do not depend on what else the machine does.

The cost is that of 3-D networks with their default options, MONAI's included: weights,
floating-point operations per voxel, and voxels per second of CPU time on one thread, in float32,
channels-last.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from typing import Any

import numpy as np
from cit168 import psnr, ssim
from common import Report, add_data, arguments
from self_supervised import CROPS, TIMED, WARM, load

# Options that make the networks of about the same size, where their defaults are not.
TRAINED: dict[str, tuple[str, dict[str, Any]]] = {
    "unet": ("unet", {}),
    "unet, 5 times the weights": ("unet", {"channels": [32, 64, 128]}),
    "unet, blur, no top skip": ("unet", {"pool": "blur", "top_skip": False}),
    "unet with attention gates": ("unet", {"attention": True}),
    "drunet": ("drunet", {"blocks": 1}),
    "nafnet": ("nafnet", {"residual": False}),
    "light": ("light", {}),
    "autoencoder": ("autoencoder", {}),
    "dncnn, 8 layers": ("dncnn", {"depth": 8, "width": 24}),
    "red_cnn, 3 voxels": ("red_cnn", {"kernel": 3, "width": 24}),
    "slab_unet": ("slab_unet", {"channels": [16, 32, 64]}),
    "monai_basic_unet without norms": (
        "monai_basic_unet",
        {"features": [16, 16, 32, 64, 128, 16], "norm": "none", "residual": False},
    ),
}
QUICK = ("unet", "light")
PATCH = (64, 64, 32)
# CPU time of the timed passes.
PASSES = 3.0


def fitted(
    what: str, trainer: str, noisy: np.ndarray, spacing: tuple[float, ...], steps: int
) -> tuple[Any, float]:
    """The denoiser after so many steps, and the CPU time they took."""
    import torch

    from meddenoise.networks import build_network
    from meddenoise.training import build_trainer
    from meddenoise.volume import Volume

    name, options = TRAINED[what]
    torch.manual_seed(0)
    network = build_network(name, dims=3, **options)
    started = time.process_time()
    denoiser = build_trainer(trainer).fit(
        Volume.from_array(noisy, spacing=spacing),
        network=network,
        patch=PATCH,
        batch=1,
        steps=steps,
        learning_rate=2e-3,
        ema=0.98,
        validate_every=10**9,
        validate_batches=1,
        device="cpu",
        precision="fp32",
    )
    return denoiser, time.process_time() - started


def measure_training(
    report: Report,
    what: str,
    trainer: str,
    clean: np.ndarray,
    noisy: np.ndarray,
    spacing: tuple[float, ...],
    seconds: float,
) -> None:
    """Train for the time, denoise and score."""
    from meddenoise.volume import Volume

    fitted(what, trainer, noisy, spacing, 1)  # imports, and first calls of the libraries
    _, short = fitted(what, trainer, noisy, spacing, WARM)
    _, longer = fitted(what, trainer, noisy, spacing, WARM + TIMED)
    steps = max(1, int(seconds * TIMED / max(longer - short, 1e-3)))
    trained, spent = fitted(what, trainer, noisy, spacing, steps)
    started = time.process_time()
    result = trained(Volume.from_array(noisy, spacing=spacing)).array[0]
    denoising = time.process_time() - started
    weights = sum(parameter.numel() for parameter in trained.network.parameters())
    report.add(f"{what}, PSNR", psnr(clean, result), "dB")
    report.add(f"{what}, SSIM", ssim(clean, result), "")
    report.add(f"{what}, weights", weights, "")
    report.add(f"{what}, steps", steps, "")
    report.add(f"{what}, CPU time of training", spent, "s")
    report.add(f"{what}, denoising", clean.size / denoising / 1e6, "Mvoxel/s")


def measure_cost(report: Report, name: str) -> None:
    """Of the default network in 3-D."""
    import torch

    from meddenoise.devices import fast_layout
    from meddenoise.networks import build_network
    from meddenoise.networks.cost import flops_per_voxel

    network = build_network(name, dims=3).eval()
    weights = sum(parameter.numel() for parameter in network.parameters())
    flops = flops_per_voxel(network, 3)
    # So many voxels as take about a second at 20 GFLOP/s, in whole cells of the grid.
    side = (20e9 / flops) ** (1 / 3)
    multiple = getattr(network, "multiple", (1, 1, 1))
    shape = [max(m, round(min(side, 64) / m) * m) for m in multiple]
    network = fast_layout(network, 3)
    x = torch.randn(1, 1, *shape)
    with torch.inference_mode():
        network(x)
        best, started = math.inf, time.process_time()
        while best == math.inf or time.process_time() - started < PASSES:
            began = time.process_time()
            network(x)
            best = min(best, time.process_time() - began)
    rate = math.prod(shape) / best / 1e6
    report.add(f"{name}, weights", weights, "")
    report.add(f"{name}, operations", flops, "FLOP/voxel")
    report.add(f"{name}, throughput", rate, "Mvoxel/s")
    report.add(f"{name}, arithmetic", rate * flops / 1e3, "GFLOP/s")


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    add_data(parser)
    parser.add_argument(
        "--seconds", type=float, help="CPU time of each training (default 180; quick: 15)"
    )
    parser.add_argument("--crop", choices=list(CROPS), default="cit168")
    parser.add_argument("--trainer", default="neighbor2neighbor", help="that needs no clean scan")
    parser.add_argument("--network", action="append", choices=list(TRAINED), help="only these")
    parser.add_argument("--cost", action="store_true", help="the cost alone, no training")
    return parser.parse_args()


def main() -> None:
    given = options()
    import torch

    from meddenoise.networks import network_names
    from meddenoise.networks.registry import axes_of

    torch.set_num_threads(1)
    seconds = given.seconds or (15.0 if given.quick else 180.0)
    title = "Networks in 3-D: cost on one thread"
    if not given.cost:
        title += f", and {seconds:g} s of {given.trainer} on one noisy scan ({given.crop})"
    report = Report(title)
    for name in QUICK if given.quick else network_names():
        if 3 in axes_of(name):
            print(f"cost of {name} ...", file=sys.stderr, flush=True)
            measure_cost(report, name)
    if not given.cost:
        clean, noisy, spacing = load(given.data, given.crop)
        report.add("noisy, PSNR", psnr(clean, noisy), "dB")
        for what in given.network or (QUICK if given.quick else TRAINED):
            print(f"training {what} ...", file=sys.stderr, flush=True)
            measure_training(report, what, given.trainer, clean, noisy, spacing, seconds)
    report.finish(given.json)


if __name__ == "__main__":
    main()
