"""How well Noise2Void denoises a real brain after a few minutes of training on it alone.

    python benchmarks/n2v_crop.py [--minutes 3] [--data DIR] [--json FILE]
    python benchmarks/n2v_crop.py --peer careamics --peer-env build/peers

Trains ``configs/mri_n2v.yaml`` as it is, but by the clock and on the CIT168 crop (see
``cit168.py``), through ``meddenoise.train`` as users do: a noisy NIfTI file in, a run directory
out. The truth is used for the scores only. ``--peer careamics`` trains CAREamics 0.3.5 for the
same time on the same array, by its own defaults in 3-D and in 2-D.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from cit168 import load_crop, psnr, ssim
from common import ROOT, Report, add_data, add_peer_env, arguments, call, peer_python

CONFIG = ROOT / "configs" / "mri_n2v.yaml"
TARGET_PSNR = 27.5
# By the clock alone.
ENDLESS = 10**9


def score(report: Report, name: str, clean: np.ndarray, image: np.ndarray, **target: float) -> None:
    """PSNR and SSIM as two rows."""
    report.add(f"{name}, PSNR", psnr(clean, image), "dB", **target)
    report.add(f"{name}, SSIM", ssim(clean, image), "")


def ours(
    report: Report,
    clean: np.ndarray,
    noisy: np.ndarray,
    affine: np.ndarray,
    minutes: float,
    more: list[str],
) -> None:
    """Train and denoise with meddenoise."""
    import meddenoise as md
    from meddenoise.inference import Denoiser

    with tempfile.TemporaryDirectory() as place:
        scan = Path(place) / "noisy.nii.gz"
        md.write(md.Volume.from_array(noisy, affine=affine), scan)
        overrides = [
            f"data.images={scan}",
            f"training.max_minutes={minutes}",
            f"training.steps={ENDLESS}",
            *more,
        ]
        started = time.perf_counter()
        run = md.train(CONFIG, overrides=overrides, output=Path(place) / "run", device="cpu")
        whole = time.perf_counter() - started
        assert run is not None
        volume = md.read(scan)
        trained = run.denoiser
        for flips in (False, True):
            denoiser = Denoiser(
                trained.network,
                dims=trained.dims,
                normalise=trained.normalise,
                inference=trained.inference.model_copy(update={"flips": flips}),
                device="cpu",
            )
            started = time.perf_counter()
            denoised = denoiser(volume).array[0]
            seconds = time.perf_counter() - started
            name = "meddenoise with flips" if flips else "meddenoise"
            used = flips == trained.inference.flips
            score(report, name, clean, denoised, **({"at_least": TARGET_PSNR} if used else {}))
            report.add(f"{name}, denoising", clean.size / seconds / 1e6, "Mvoxel/s")
    made = run.metrics["train"]
    report.add("meddenoise, weights", made["parameters"], "")
    report.add("meddenoise, training", made["seconds"], "s")
    report.add("meddenoise, steps", made["steps"], "")
    report.add("meddenoise, training throughput", made["voxels_per_second"] / 1e6, "Mvoxel/s")
    report.add("meddenoise, whole run with reading, denoising and preview", whole, "s")


def careamics(
    report: Report, clean: np.ndarray, noisy: np.ndarray, env: Path, dims: int, minutes: float
) -> None:
    """Train and predict with CAREamics in its own environment, Z first as it wants."""
    name = f"CAREamics {dims}-D"
    with tempfile.TemporaryDirectory() as place:
        given, made = Path(place) / "noisy.npy", Path(place) / "denoised.npy"
        np.save(given, np.ascontiguousarray(noisy.transpose(2, 0, 1)))
        script = Path(__file__).with_name("careamics_side.py")
        done = call(
            [peer_python(env), script, given, made, "--dims", str(dims), "--minutes", str(minutes)]
        )
        figures = json.loads(done.stdout.strip().splitlines()[-1])
        denoised = np.load(made).transpose(1, 2, 0)
    score(report, name, clean, denoised)
    report.add(f"{name}, training", figures["seconds"], "s")
    report.add(f"{name}, steps", figures["steps"], "")
    report.add(f"{name}, training throughput", figures["voxels_per_second"] / 1e6, "Mvoxel/s")
    report.add(f"{name}, denoising", clean.size / figures["predict_seconds"] / 1e6, "Mvoxel/s")


def main() -> None:
    parser = arguments(__doc__)
    add_data(parser)
    add_peer_env(parser)
    parser.add_argument("--minutes", type=float, help="of training (default 3; quick: 1)")
    parser.add_argument("--peer", choices=["careamics"], help="train this instead of meddenoise")
    parser.add_argument("--dims", type=int, choices=(2, 3), help="of the peer; default: both")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override the configuration"
    )
    options = parser.parse_args()
    minutes = options.minutes or (1.0 if options.quick else 3.0)
    clean, noisy, affine = load_crop(options.data)
    report = Report(f"Noise2Void on the CIT168 crop, {minutes:g} minutes of training")
    score(report, "noisy", clean, noisy)
    if options.peer:
        for dims in [options.dims] if options.dims else [3, 2]:
            print(f"CAREamics {dims}-D ...", file=sys.stderr)
            careamics(report, clean, noisy, options.peer_env, dims, minutes)
    else:
        ours(report, clean, noisy, affine, minutes, options.set)
    report.finish(options.json)


if __name__ == "__main__":
    main()
