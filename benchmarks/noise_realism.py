"""Simulated low-dose CT beside real low-dose CT of the same patients and the same phantom.

    python benchmarks/noise_realism.py [--data DIR] [--picture FILE] [--json FILE]

Full-dose slices are brought to the lower dose by ``meddenoise.simulate`` and compared with the real
lower dose, in patches of soft tissue of 32 x 32 pixels:

- ``pairs/L096`` and ``pairs/L143``: full and quarter dose of two patients (sharp kernel, 3 mm).
  What is compared is the difference from full dose, slice by slice.
- ``pairs/lcd_ct``: a phantom at 100, 55 and 10 % dose, ten realisations of each. What is compared
  is the noise over the realisations. Its noise goes exactly as the root of the dose: it has no
  electronic noise, and the target stands at ``ct_insertion`` without any.

The standard deviation is the median over patches; the NPS is their mean, in rings, smoothed over
five of them before its peak is looked for. Targets stand at the models as they come, which measure
the scan's own noise and kernel; with a kernel by name instead they are told for comparison.
The picture stays in the build directory: the patients' scans are not ours to show.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import ROOT, Report, add_data, arguments
from numpy.typing import NDArray

MODELS: dict[str, dict[str, object]] = {
    "ct_insertion": {},
    "ct_insertion, kernel hann": {"kernel": "hann"},
    "ct_insertion, kernel ramp": {"kernel": "ramp"},
    "ct_insertion, electronic 0": {"electronic": 0.0},
    "ct_insertion, electronic 15": {"electronic": 15.0},
    "ct_nps": {},
    "ct_nps, kernel hann": {"kernel": "hann"},
    "ct_nps, kernel ramp": {"kernel": "ramp"},
}
SIDE = 32
TARGET_SD, TARGET_PEAK, TARGET_MEAN = 20.0, 15.0, 2.0
# The phantom is 200 mm across and 232.7 pixels; its files say 1 mm a pixel.
LCD_PIXEL_MM = 200 / 232.7
LCD_WATER = 1000.0


@dataclass
class Noise:
    """Noise of a set of slices, real or simulated.

    Attributes:
        sd: median over patches, HU.
        frequency: of each ring, 1/mm.
        nps: of each ring, HU^2 mm^2.
    """

    sd: float
    frequency: NDArray[np.float64]
    nps: NDArray[np.float64]

    @property
    def peak(self) -> float:
        """The frequency at which the smoothed NPS is highest, in 1/mm."""
        smooth = np.convolve(self.nps, np.ones(5) / 5, mode="same")
        # Between rings by a parabola through the three highest.
        at = int(np.clip(smooth.argmax(), 1, len(smooth) - 2))
        a, b, c = smooth[at - 1 : at + 2]
        return float(self.frequency[at] + (a - c) / (2 * (a - 2 * b + c)) * self.frequency[1])

    @property
    def centre(self) -> float:
        """Mean frequency, weighted by the NPS."""
        return float((self.frequency * self.nps).sum() / self.nps.sum())


def soft_tissue(image: NDArray[np.float32], pixel_mm: float) -> list[tuple[int, int]]:
    """Corners of the patches that are soft tissue all over, half overlapping."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(image, 2.0 / pixel_mm)
    soft = (smooth > -200) & (smooth < 300)
    steps = [range(0, n - SIDE + 1, SIDE // 2) for n in image.shape]
    return [(i, j) for i in steps[0] for j in steps[1] if soft[i : i + SIDE, j : j + SIDE].all()]


def noise_of(
    images: Iterable[tuple[NDArray[np.float32], list[tuple[int, int]]]], pixel_mm: float
) -> Noise:
    """Of images of noise, in their patches."""
    f = np.fft.fftfreq(SIDE, pixel_mm)
    radius = np.hypot(f[:, None], f)
    ring = np.rint(radius * SIDE * pixel_mm).astype(int).ravel()
    sds, spectra = [], []
    for image, corners in images:
        for i, j in corners:
            patch = image[i : i + SIDE, j : j + SIDE].astype(np.float64)
            patch -= patch.mean()
            sds.append(patch.std())
            power = np.abs(np.fft.fft2(patch)) ** 2 * (pixel_mm / SIDE) ** 2
            spectra.append(np.bincount(ring, power.ravel()) / np.bincount(ring))
    frequency = np.bincount(ring, radius.ravel()) / np.bincount(ring)
    return Noise(float(np.median(sds)), frequency, np.mean(spectra, axis=0))


def compare(
    report: Report,
    name: str,
    real: Noise,
    model: str,
    made: Noise,
    *,
    asked: bool,
    mean: float | None = None,
) -> None:
    """A model's rows, with targets if they are asked for."""
    about = f"{name}, {model}"
    report.add(f"{about}: sd", made.sd, "HU")
    off = 100 * abs(made.sd / real.sd - 1)
    report.add(f"{about}: sd off by", off, "%", **({"at_most": TARGET_SD} if asked else {}))
    report.add(f"{about}: NPS peak", made.peak, "1/mm")
    off = 100 * abs(made.peak / real.peak - 1)
    limit = {"at_most": TARGET_PEAK} if asked else {}
    report.add(f"{about}: NPS peak off by", off, "%", **limit)
    report.add(f"{about}: NPS mean frequency", made.centre, "1/mm")
    if mean is not None and asked:
        report.add(f"{about}: mean added, absolute", abs(mean), "HU", at_most=TARGET_MEAN)


def say_real(report: Report, name: str, real: Noise) -> None:
    report.add(f"{name}, real: sd", real.sd, "HU")
    report.add(f"{name}, real: NPS peak", real.peak, "1/mm")
    report.add(f"{name}, real: NPS mean frequency", real.centre, "1/mm")


def simulated(volume: object, model: str, dose: float) -> NDArray[np.float32]:
    """``(X, Y, Z)`` of a volume at a lower dose."""
    import meddenoise as md

    noisy = md.simulate(volume, model.split(",")[0], dose=dose, seed=0, **MODELS[model])
    return noisy.array[0]


def patient(
    report: Report, data: Path, name: str, models: Iterable[str], most: int | None
) -> dict[str, NDArray[np.float32]]:
    """Quarter dose of a patient; gives the pictures of the last slice."""
    import meddenoise as md

    place = data / "pairs" / name
    if not place.is_dir():
        raise SystemExit(f"There are no pairs of doses in {place}: say --data DIR.")
    volume = md.read(place / "full_3mm_sharp_sorted")
    quarter = md.read(place / "quarter_3mm_sharp_sorted")
    volume.check_same_grid(quarter)
    full, pixel = volume.array[0], volume.spacing[0]
    chosen = range(full.shape[2])[:most]
    corners = [soft_tissue(full[:, :, k], pixel) for k in chosen]
    added = {"real": quarter.array[0] - full}
    seconds = {}
    for model in models:
        print(f"{name} {model} ...", file=sys.stderr)
        started = time.process_time()
        added[model] = simulated(volume, model, 0.25) - full
        seconds[model] = (time.process_time() - started) / full.shape[2]
    found = {
        model: noise_of([(noise[:, :, k], c) for k, c in zip(chosen, corners, strict=True)], pixel)
        for model, noise in added.items()
    }
    title = f"{name}, quarter dose"
    report.add(f"{title}: soft tissue patches", sum(map(len, corners)), "")
    say_real(report, title, found["real"])
    for model in models:
        means = [_mean(added[model][:, :, k], c) for k, c in zip(chosen, corners, strict=True) if c]
        compare(
            report,
            title,
            found["real"],
            model,
            found[model],
            asked=not MODELS[model],
            mean=float(np.mean(means)),
        )
    for model in ("ct_insertion", "ct_nps"):
        report.add(f"{title}, {model}: processor time a slice", seconds[model], "s")
    shown = max(chosen, key=lambda k: len(corners[k]))
    return {"full": full[:, :, shown]} | {m: noise[:, :, shown] for m, noise in added.items()}


def _mean(image: NDArray[np.float32], corners: list[tuple[int, int]]) -> float:
    return float(np.mean([image[i : i + SIDE, j : j + SIDE].mean() for i, j in corners]))


def phantom(report: Report, data: Path, models: Iterable[str], count: int) -> None:
    """The phantom's lower doses, from realisations at full dose."""
    import meddenoise as md

    def realisations(dose: str) -> NDArray[np.float32]:
        file = data / "pairs" / "lcd_ct" / "fbp" / f"dose_{dose}" / "signal_absent"
        return md.read(file / "signal_absent.mhd").array[0][:, :, :count] - LCD_WATER

    full = realisations("100")
    affine = np.diag([LCD_PIXEL_MM, LCD_PIXEL_MM, 1.0, 1.0])
    volume = md.Volume.from_array(full, affine=affine, units="HU", modality="CT")
    corners = soft_tissue(full.mean(axis=2), LCD_PIXEL_MM)
    # What varies over realisations is noise, whatever the mean; one is lost to the mean.
    spread = np.sqrt(count / (count - 1))

    def noise(images: NDArray[np.float32]) -> Noise:
        alone = (images - images.mean(axis=2, keepdims=True)) * spread
        return noise_of(((alone[..., k], corners) for k in range(count)), LCD_PIXEL_MM)

    say_real(report, "lcd_ct, full dose", noise(full))
    for dose in ("055", "010"):
        title = f"lcd_ct, {int(dose)} % dose"
        real = noise(realisations(dose))
        say_real(report, title, real)
        for model in models:
            print(f"{title} {model} ...", file=sys.stderr)
            made = noise(simulated(volume, model, int(dose) / 100))
            asked = model in ("ct_insertion, electronic 0", "ct_nps")
            compare(report, title, real, model, made, asked=asked)


def draw(file: Path, found: Mapping[str, Mapping[str, NDArray[np.float32]]]) -> None:
    """Full dose, real and simulated quarter dose, and what was added, of a slice each."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = ["full", "real", "ct_insertion", "ct_nps", "ct_insertion, kernel hann"]
    figure, axes = plt.subplots(
        2 * len(found), len(columns), figsize=(4 * len(columns), 8 * len(found)), squeeze=False
    )
    for row, pictures in enumerate(found.values()):
        full = pictures["full"]
        for column, name in enumerate(columns):
            upper, lower = axes[2 * row : 2 * row + 2, column]
            added = 0 * full if name == "full" else pictures[name]
            upper.imshow((full + added).T, cmap="gray", vmin=-240, vmax=320)
            lower.imshow(added.T[140:370, 140:370], cmap="gray", vmin=-250, vmax=250)
            upper.set_title(name if name in ("full", "real") else f"{name} 25 %")
    for axis in axes.flat:
        axis.axis("off")
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=70)
    plt.close(figure)


def main() -> None:
    parser = arguments(__doc__)
    add_data(parser)
    parser.add_argument(
        "--picture",
        type=Path,
        default=ROOT / "build" / "noise_realism.png",
        help="where the pictures go (default: build/noise_realism.png)",
    )
    options = parser.parse_args()
    report = Report("Simulated low-dose CT beside real low-dose CT")
    few = ["ct_insertion", "ct_insertion, electronic 0", "ct_nps", "ct_insertion, kernel hann"]
    models = few if options.quick else [*MODELS]
    names = ["L096"] if options.quick else ["L096", "L143"]
    most = 2 if options.quick else None
    seen = {name: patient(report, options.data, name, models, most) for name in names}
    phantom(report, options.data, models, 5 if options.quick else 10)
    draw(options.picture, seen)
    report.finish(options.json)


if __name__ == "__main__":
    main()
