"""The 2-D network that ships with meddenoise, on photographs, which it never saw.

    python benchmarks/pretrained_2d.py [--quick] [--data DIR] [--json FILE]

BSD68 in grey with Gaussian noise of 15, 25 and 50 of 255, drawn once and not clipped; the level is
told. PSNR in 2-D over whole images, data range 255, the mean over images. The targets are 0.8 dB
below what DnCNN's authors report (Zhang et al., IEEE TIP 26:3142, 2017: 31.73, 29.23 and 26.23 dB),
who trained on photographs. ``--quick`` takes every fifth image, and ``bm4d`` beside.
"""

from __future__ import annotations

import sys

import numpy as np
from bsd68 import pictures, psnr
from common import Report, add_data, arguments

DNCNN = {15: 31.73, 25: 29.23, 50: 26.23}
BELOW = 0.8


def main() -> None:
    """Print the table."""
    from meddenoise.filters import get_filter
    from meddenoise.pretrained.ready import ReadyDenoiser

    parser = arguments(__doc__)
    add_data(parser)
    options = parser.parse_args()
    clean = pictures(options.data / "natural" / "BSD68", None)[:: 5 if options.quick else 1]
    ready, bm4d = ReadyDenoiser.load(2, "cpu"), get_filter("bm4d")
    report = Report(f"The 2-D network that ships, on {len(clean)} images of BSD68")
    for sigma, dncnn in DNCNN.items():
        draws = np.random.default_rng(0)
        noisy = [
            (image + sigma * draws.standard_normal(image.shape)).astype(np.float32)
            for image in clean
        ]
        found = psnr(clean, [ready(image / sigma, second="negative") * sigma for image in noisy])
        report.add(f"sigma {sigma}, PSNR", found, "dB", at_least=round(dncnn - BELOW, 2))
        print(f"  sigma {sigma}: {found:.2f} dB", file=sys.stderr, flush=True)
        if options.quick:
            filtered = [
                np.asarray(bm4d(image, spacing=(1, 1), sigma_noise=sigma)) for image in noisy
            ]
            report.add(f"bm4d, sigma {sigma}, PSNR", psnr(clean, filtered), "dB")
    report.finish(options.json)


if __name__ == "__main__":
    main()
