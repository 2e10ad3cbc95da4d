"""Bias of denoised magnitude MRI at a low SNR: plain, stabilised, and with the bias taken off.

    python benchmarks/bias.py [--quick] [--data DIR] [--json FILE]

Rician noise never averages out to 0: a mean of magnitudes lies above the signal, by 0.55 sigma at
an SNR of 1 and 1.25 sigma without any. Truths:

- a phantom of uniform blocks in air, with an SNR of 1, 1.5, 2 and 3 (signal by sigma);
- 32 axial slices of colin27, the brain in its air, four times: with so much noise that white
  matter has an SNR of 1, 1.5, 2 and 3. The region is what is flat within 10 % over 5 x 5 x 5 voxels
  and as bright as white matter.

Figures are mean signed errors in the middle of such a region, in sigma. In the phantom's air they
are shown without a target: no estimate is below 0 there, so errors do not cancel. Nobody is told
sigma: it is estimated as users have it, and its error is a figure too. The filters choose their
strength by themselves; Noise2Void is trained on the noisy volume alone, for a fixed number of small
steps.
``--quick``: a smaller phantom and one brain, Noise2Void for a quarter of the steps, without BM4D.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from common import Report, add_data, arguments

SNRS = (1.0, 1.5, 2.0, 3.0)
VARIANTS = ("plain", "stabilised", "debiased")
TARGET = 0.2
SLICES, QUICK_SLICES = 32, 16
STEPS, QUICK_STEPS = 400, 100
LEARNED = "noise2void"


@dataclass
class Case:
    """A noisy volume whose truth is known.

    Attributes:
        name: for the tables.
        clean: ``(X, Y, Z)``, in units of sigma.
        regions: where the mean signed error is taken, by name, and its SNR.
    """

    name: str
    clean: np.ndarray
    regions: dict[float, np.ndarray]
    noisy: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        noise = np.random.default_rng(0).standard_normal((2, *self.clean.shape))
        self.noisy = np.hypot(self.clean + noise[0], noise[1]).astype(np.float32)

    def errors(self, image: np.ndarray) -> dict[float, float]:
        """Mean signed error in each region, in sigma."""
        return {
            snr: float((image - self.clean)[where].mean()) for snr, where in self.regions.items()
        }

    def rms(self, image: np.ndarray) -> float:
        """Root mean square error over the whole volume, in sigma."""
        return float(np.sqrt(np.square(image - self.clean).mean()))


def phantom(quick: bool) -> Case:
    """Four blocks in air."""
    edge, depth, rim = (28, 16, 6) if quick else (44, 32, 8)
    gap = 8
    size = 2 * edge + 3 * gap
    clean = np.zeros((size, size, depth + 2 * gap // 2), dtype=np.float32)
    regions: dict[float, np.ndarray] = {}
    for number, snr in enumerate(SNRS):
        corner = [gap + k * (edge + gap) for k in divmod(number, 2)]
        block = (*(slice(c, c + edge) for c in corner), slice(gap // 2, gap // 2 + depth))
        clean[block] = snr
        inside = np.zeros(clean.shape, dtype=bool)
        inside[tuple(slice(s.start + rim, s.stop - rim) for s in block[:2])] = True
        inside[..., : gap // 2 + rim // 2] = inside[..., gap // 2 + depth - rim // 2 :] = False
        regions[snr] = inside
    regions[0.0] = np.zeros(clean.shape, dtype=bool)
    regions[0.0][: gap // 2] = True
    return Case("phantom", clean, regions)


def brains(data: Path, quick: bool) -> Iterator[Case]:
    """A brain at several levels of noise."""
    import nibabel as nib
    from scipy.ndimage import maximum_filter, minimum_filter

    path = data / "mri" / "colin27_t1.nii.gz"
    if not path.exists():
        raise SystemExit(f"There is no {path}: give the directory of the scans by --data.")
    whole = np.clip(np.asanyarray(nib.load(path).dataobj).astype(np.float32), 0, None)
    count, middle = QUICK_SLICES if quick else SLICES, whole.shape[2] // 2
    brain = whole[..., middle - count // 2 : middle + count // 2]
    counts, edges = np.histogram(brain[brain > 0.5 * brain.max()], 100)
    white = float(edges[counts.argmax()])
    brain = brain / white
    flat = maximum_filter(brain, 5) - minimum_filter(brain, 5) < 0.1
    region = flat & (np.abs(brain - 1) < 0.1)
    for snr in (2.0,) if quick else SNRS:
        yield Case(f"colin27 at SNR {snr:g}", snr * brain, {snr: region})


Results = dict[str, np.ndarray]


def by_filter(name: str, case: Case) -> Results:
    """A method without training."""
    import meddenoise as md
    from meddenoise.noise import debias_scan

    volume = md.Volume.from_array(case.noisy, modality="MR")
    plain = md.denoise(volume, method=name)
    return {
        "plain": plain.array[0],
        "stabilised": md.denoise(volume, method=name, stabilise="auto").array[0],
        "debiased": debias_scan(volume, plain).array[0],
    }


def by_noise2void(case: Case, steps: int) -> Results:
    """Trained on the noisy volume, once as it is and once stabilised."""
    import torch

    import meddenoise as md
    from meddenoise.networks import build_network
    from meddenoise.noise import debias_scan

    volume = md.Volume.from_array(case.noisy, modality="MR")
    found: Results = {}
    for variant, stabilise in (("plain", "none"), ("stabilised", "auto")):
        torch.manual_seed(0)
        denoiser = md.Noise2VoidTrainer().fit(
            volume,
            network=build_network("unet", dims=3, channels=[16, 32]),
            patch=[32, 32, min(16, case.clean.shape[2])],
            batch=2,
            stabilise=stabilise,
            steps=steps,
            learning_rate=2e-3,
            ema=0.98,
            validate_every=10**6,
            precision="fp32",
            device="cpu",
        )
        denoised = denoiser(volume)
        found[variant] = denoised.array[0]
        if variant == "plain":
            found["debiased"] = debias_scan(volume, denoised).array[0]
    return found


def measure(
    report: Report, cases: list[Case], methods: dict[str, Callable[[Case], Results]]
) -> None:
    """All methods on all cases; the worst of each goes into the report, all into tables."""
    from meddenoise.noise import estimate

    signed: dict[tuple[str, str], dict[str, float]] = {}
    rms: dict[tuple[str, str], dict[str, float]] = {}
    for case in cases:
        error = 100 * (estimate(case.noisy, modality="MR").sigma - 1)
        report.add(f"{case.name}, error of the estimated sigma", error, "%")
    for name, method in methods.items():
        for case in cases:
            started = time.perf_counter()
            print(f"{case.name}, {name} ...", file=sys.stderr, end=" ", flush=True)
            for variant, image in method(case).items():
                rms.setdefault((name, variant), {})[case.name] = case.rms(image)
                for snr, value in case.errors(image).items():
                    where = f"{case.name.partition(' at')[0]}, SNR {snr:g}"
                    signed.setdefault((name, variant), {})[where] = value
            print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    for name in methods:
        for what in dict.fromkeys(case.name.partition(" at")[0] for case in cases):
            for variant in VARIANTS:
                rows = signed[name, variant].items()
                of = [v for k, v in rows if k.startswith(what) and not k.endswith("SNR 0")]
                target = {} if variant == "plain" else {"at_most": TARGET}
                shown = f"{what}, {name}, {variant}: largest mean signed error, SNR 1 to 3"
                report.add(shown, max(map(abs, of)), "sigma", **target)
    table("Mean signed error in sigma", signed, "{:+.2f}")
    table("Root mean square error over the whole volume, in sigma", rms, "{:.2f}")


def table(title: str, values: dict[tuple[str, str], dict[str, float]], shown: str) -> None:
    """Methods by regions or cases, for reading; printed behind the report."""
    TABLES.append(f"\n## {title}\n")
    columns = list(next(iter(values.values())))
    TABLES.append(f"| method | | {' | '.join(columns)} |")
    TABLES.append("|---" * (len(columns) + 2) + "|")
    for (method, variant), row in values.items():
        cells = " | ".join(shown.format(row[column]) for column in columns)
        TABLES.append(f"| {method} | {variant} | {cells} |")


TABLES: list[str] = []


def main() -> None:
    parser = arguments(__doc__)
    add_data(parser)
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # auto tells every time what it chose
    steps = QUICK_STEPS if options.quick else STEPS
    names = ("gaussian", "nlmeans") if options.quick else ("gaussian", "nlmeans", "bm4d")
    methods: dict[str, Callable[[Case], Results]] = {
        name: (lambda case, name=name: by_filter(name, case)) for name in names
    }
    methods[LEARNED] = lambda case: by_noise2void(case, steps)
    report = Report(f"Bias at a low SNR (Noise2Void: {steps} steps)")
    cases = [phantom(options.quick), *brains(options.data, options.quick)]
    measure(report, cases, methods)
    report.finish(options.json)
    print("\n".join(TABLES))


if __name__ == "__main__":
    main()
