"""BSD68, grey, sigma 25: the table that photographs are denoised for, in the time that there is.

    python benchmarks/bsd68.py [--quick] [--steps N ...] [--method NAME ...] [--json FILE]

Noise of sigma 25 of 255, drawn once for each image and neither cut off nor rounded. ``supervised``
learns from the clean images of Train400, with noise drawn anew at every step, as DnCNN did; the
self-supervised trainers from the noisy images of Train400, as Noise2Void did, or from the noisy
BSD68 itself (``on the test set``), as N2V2 did. Filters see each image alone and are told sigma.
``from ours`` begins with the 2-D network that ships with meddenoise, which never saw a photograph,
and takes less of a learning rate. PSNR is the mean over the 68 images, data range 255, over
whole images; weights are the moving average at the last step; ``with flips`` is the mean over the
four mirror images, as ``inference.flips`` gives it.

Published figures need 10 to 100 times the steps that a CPU makes in minutes; ``--steps`` can be
given several times, each a run of its own, for the curve.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common import Report, add_data, arguments
from numpy.typing import NDArray

Image = NDArray[np.float32]
SIGMA = 25.0
NETWORK: dict[str, Any] = {"channels": [32, 64, 128]}


@dataclass(frozen=True)
class Method:
    """A trainer, what it learns from, and what the literature makes a target of."""

    trainer: str
    target: float
    options: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    on_test: bool = False
    from_ours: bool = False


METHODS = {
    "supervised": Method("supervised", 29.0, network={"residual": True}),
    "Noise2Void": Method("noise2void", 27.7),
    "N2V2, on the test set": Method(
        "noise2void",
        28.2,
        {"replacement": "median"},
        {"pool": "blur", "top_skip": False},
        on_test=True,
    ),
    "R2R": Method("r2r", 28.9, {"sigma": SIGMA}, {"residual": True}),
    "Neighbor2Neighbor": Method("neighbor2neighbor", 28.9),
    "supervised, from ours": Method("supervised", 29.0, from_ours=True),
    "R2R, from ours": Method("r2r", 28.9, {"sigma": SIGMA}, from_ours=True),
    "SURE, from ours": Method("sure", 28.9, {"sigma": SIGMA}, from_ours=True),
}


def pictures(place: Path, most: int | None) -> list[Image]:
    """``(X, Y)``, 0 to 255."""
    import meddenoise as md

    files = sorted(place.glob("*.png"))[:most]
    if not files:
        raise SystemExit(f"There are no pictures in {place}: say --data DIR.")
    return [md.read(file).array[0] for file in files]


def noisy_copies(images: list[Image], seed: int) -> list[Image]:
    """The same with noise."""
    draws = np.random.default_rng(seed)
    return [(im + SIGMA * draws.standard_normal(im.shape)).astype(np.float32) for im in images]


def psnr(clean: list[Image], images: list[Image]) -> float:
    """The mean over images, dB."""
    errors = [float(np.mean((a - b) ** 2)) for a, b in zip(clean, images, strict=True)]
    return float(np.mean([10 * np.log10(255**2 / error) for error in errors]))


def unet(options: dict[str, Any]) -> Any:
    """A U-Net with new weights."""
    from meddenoise.networks import build_network

    return build_network("unet", dims=2, **{**NETWORK, **options})


def ours() -> Any:
    """The 2-D network that ships, to be trained on."""
    from meddenoise.networks import build_network
    from meddenoise.pretrained.ready import ReadyDenoiser

    ready = ReadyDenoiser.load(2, device="cpu")
    network = build_network("lapped", dims=2, **ready.denoiser.info["network"]["options"])
    network.load_state_dict(ready.network.state_dict())
    return network


def learned(
    method: Method, steps: int, train: tuple[list[Image], list[Image]], test: list[Image]
) -> tuple[list[Image], list[Image], float]:
    """The test images denoised, the same with flips, and the CPU time of the training."""
    import torch

    from meddenoise.inference import Denoiser
    from meddenoise.noise import build_noise
    from meddenoise.training import build_trainer
    from meddenoise.volume import Volume

    clean, noisy = train
    torch.manual_seed(0)
    network = ours() if method.from_ours else unet(method.network)
    trainer = build_trainer(method.trainer, **method.options)
    images = test if method.on_test else noisy
    targets = None
    if method.trainer == "supervised":
        trainer.noise = build_noise("gaussian", sigma=SIGMA)
        targets = clean
    started = time.process_time()
    denoiser = trainer.fit(
        images,
        targets,
        network=network,
        patch=[64, 64],
        batch=16,
        steps=steps,
        learning_rate=7e-4 if method.from_ours else 1e-3,
        ema=0.99,
        validate_every=10**9,
        validate_batches=1,
        device="cpu",
        # The network that ships wants units of the noise.
        data={
            "normalise": {
                "method": "fixed",
                "shift": 127.5,
                "scale": SIGMA if method.from_ours else 127.5,
            }
        },
    )
    spent = time.process_time() - started
    flipped = Denoiser(
        denoiser.network,
        dims=2,
        normalise=denoiser.normalise,
        inference=denoiser.inference.model_copy(update={"flips": True}),
        device="cpu",
    )
    plain, averaged = (
        [run(Volume.from_array(image)).array[0] for image in test] for run in (denoiser, flipped)
    )
    return plain, averaged, spent


def main() -> None:
    parser = arguments(__doc__)
    add_data(parser)
    parser.add_argument(
        "--steps", type=int, action="append", help="of each training (default 300 and 3000)"
    )
    parser.add_argument("--method", action="append", choices=list(METHODS), help="only these")
    options = parser.parse_args()
    steps = options.steps or ([60] if options.quick else [300, 3000])
    natural = options.data / "natural"
    few = 8 if options.quick else None
    clean = pictures(natural / "BSD68", few)
    test = noisy_copies(clean, 0)
    whole = pictures(natural / "Train400", None)
    train = whole, noisy_copies(whole, 1)
    report = Report(f"BSD68, {len(clean)} images, sigma 25, data range 255")
    report.add("noisy, PSNR", psnr(clean, test), "dB")
    import meddenoise as md

    filters: dict[str, Callable[[Image], Image]] = {
        name: lambda x, name=name: md.denoise(x, method=name, sigma=SIGMA).array[0]
        for name in ("nlmeans", "bm4d")
    }
    for name, run in filters.items():
        print(f"{name} ...", file=sys.stderr, flush=True)
        report.add(f"{name}, PSNR", psnr(clean, [run(image) for image in test]), "dB")
    for name in options.method or METHODS:
        for count in steps:
            print(f"{name}, {count} steps ...", file=sys.stderr, flush=True)
            method = METHODS[name]
            images, averaged, spent = learned(method, count, train, test)
            told = f"{name}, {count} steps"
            last = count == max(steps)
            limit = {"at_least": method.target} if last else {}
            report.add(f"{told}, PSNR", psnr(clean, images), "dB", **limit)
            report.add(f"{told}, PSNR with flips", psnr(clean, averaged), "dB", **limit)
            report.add(f"{told}, CPU time of the training", spent, "s")
            print(f"  {report.rows[-3].value:.2f} dB", file=sys.stderr, flush=True)
    report.finish(options.json)


if __name__ == "__main__":
    main()
