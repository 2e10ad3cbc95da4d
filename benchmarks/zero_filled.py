"""Training on a scan whose k-space was filled with zeros: whether it puts noise back.

    python benchmarks/zero_filled.py [--quick] [--seconds S] [--data DIR] [--json FILE]

Truths: the central 96 x 96 x 48 voxels of two T1-weighted heads, as in ``auto.py``. The added noise
is Gaussian, of 3 and 10 %, drawn once, and then without the frequencies beyond 95 and 90 % of the
first two axes, at the same standard deviation: a voxel's noise is correlated with its neighbours'
by 0.05 to 0.13, which passes for white. ``--method auto`` is told nothing, and runs with and
without ``--budget``. PSNR in 3-D over the whole crop, data range 1. ``--quick``: one head, 10 %.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from common import Report, add_data, arguments
from filters import HEADS, heads

PARTS = (1.0, 0.95, 0.9)


def noise(shape: tuple[int, ...], part: float, seed: int = 1) -> np.ndarray:
    """Of standard deviation 1, without the frequencies beyond ``part`` of the first two axes."""
    from meddenoise.noise.mri import kspace_filter

    measured = kspace_filter(shape[:2], zero_filling=1 / part).numpy()[..., None]
    drawn = np.random.default_rng(seed).standard_normal(shape)
    found = np.fft.ifftn(measured * np.fft.fftn(drawn)).real
    return np.asarray(found / found.std())


def main() -> None:
    import meddenoise as md

    parser = arguments(__doc__)
    add_data(parser)
    parser.add_argument("--seconds", type=float, default=60.0, help="of --budget (default: 60)")
    options = parser.parse_args()
    chosen = {name: HEADS[name] for name in ("cit168", "colin27")[: 1 if options.quick else None]}
    levels = (0.1,) if options.quick else (0.03, 0.1)
    report = Report("Scans filled with zeros, and training on them")
    data: Path = options.data
    for case in heads(data, False, chosen):
        if case.rician or case.sigma not in levels:
            continue
        for part in PARTS:
            noisy = (case.clean + case.sigma * noise(case.clean.shape, part)).astype(np.float32)
            volume = md.Volume.from_array(noisy, spacing=case.spacing, modality="MR")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                plain = md.denoise(volume, method="auto").array[0]
                trained = md.denoise(volume, method="auto", budget=options.seconds).array[0]
            before, after = (case.scores(image)[0] for image in (plain, trained))
            told = f"{case.name}, {part:.0%} of k-space"
            report.add(f"{told}: auto, PSNR", before, "dB")
            gain = f"{told}: gain of {options.seconds:g} s"
            report.add(gain, after - before, "dB", at_least=-0.1)
    report.finish(options.json)


if __name__ == "__main__":
    main()
