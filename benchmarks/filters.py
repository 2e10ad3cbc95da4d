"""The filters without training beside their peers: quality, speed and memory.

    python benchmarks/filters.py [--quick] [--data DIR] [--peer-env DIR] [--json FILE]

Truths: the central 128 x 128 x 64 voxels of three T1-weighted heads, clipped at 0 and divided by
their 99.9th percentile, with Gaussian and Rician noise of 3, 10 and 20 %; and of a pelvic CT, of
which a quarter of the dose is simulated by noise insertion. ``--quick``: the first head, smaller,
without some of the noises.

Every method runs in a process of its own, one after the other. On heads all are told the noise's
true standard deviation (ANTs always finds it itself), on CT what ``meddenoise`` estimates.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, Report, Row, add_data, arguments, call
from filters_side import PEERS

HEADS = {"cit168": "cit168_t1", "colin27": "colin27_t1", "seg3d": "seg3d_t1"}
LEVELS = (0.03, 0.1, 0.2)
CROP, QUICK_CROP = (128, 128, 64), (64, 64, 48)
CT_CROP, QUICK_CT_CROP = (128, 128, 64), (64, 64, 16)
# What a reader of abdominal CT looks at, in HU; the scores see no more.
WINDOW = (-160.0, 240.0)
SIDE = Path(__file__).with_name("filters_side.py")
PEER_BM4D = "bm4d package"


@dataclass
class Case:
    """A truth and its noisy copy.

    Attributes:
        name: such as ``"cit168, Gaussian 10 %"``.
        clean: ``(X, Y, Z)``.
        noisy: the same shape.
        sigma: what methods are told.
        rician: the noise is.
        spacing: voxel size in mm.
        window: values beyond are cut off before scoring; its width is the data range.
    """

    name: str
    clean: np.ndarray
    noisy: np.ndarray
    sigma: float
    rician: bool = False
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    window: tuple[float, float] | None = None

    def scores(self, image: np.ndarray) -> tuple[float, float]:
        """PSNR in dB and SSIM, by scikit-image with its defaults in 3-D."""
        from skimage.metrics import peak_signal_noise_ratio, structural_similarity

        clean, span = self.clean, 1.0
        if self.window is not None:
            clean, image = (np.clip(a, *self.window) for a in (clean, image))
            span = self.window[1] - self.window[0]
        return (
            float(peak_signal_noise_ratio(clean, image, data_range=span)),
            float(structural_similarity(clean, image, data_range=span)),
        )


@dataclass
class Result:
    """What a method did to all cases."""

    psnr: dict[str, float]
    ssim: dict[str, float]
    seconds: dict[str, float]
    cpu: dict[str, float]
    memory: float

    def speed(self, cases: Sequence[Case], *, cpu: bool = False) -> float:
        """Mvoxel/s over all cases."""
        spent = self.cpu if cpu else self.seconds
        return sum(case.clean.size for case in cases) / sum(spent[c.name] for c in cases) / 1e6


def central(array: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The middle of an image."""
    cut = [(n // 2 - k // 2, n // 2 - k // 2 + k) for n, k in zip(array.shape, size, strict=True)]
    return np.ascontiguousarray(array[tuple(slice(*c) for c in cut)], dtype=np.float32)


def heads(data: Path, quick: bool) -> Iterator[Case]:
    """Heads with noise that is the same everywhere."""
    import nibabel as nib

    for name, file in list(HEADS.items())[: 1 if quick else None]:
        path = data / "mri" / f"{file}.nii.gz"
        if not path.exists():
            raise SystemExit(f"There is no {path}: give the directory of the scans by --data.")
        whole = np.clip(np.asanyarray(nib.load(path).dataobj).astype(np.float32), 0, None)
        clean = central(whole / np.percentile(whole, 99.9), QUICK_CROP if quick else CROP)
        for sigma in LEVELS:
            draws = np.random.default_rng(0)
            real = clean + sigma * draws.standard_normal(clean.shape)
            level = f"{sigma * 100:.0f} %"
            yield Case(f"{name}, Gaussian {level}", clean, real.astype(np.float32), sigma)
            if quick and sigma != 0.1:
                continue
            magnitude = np.hypot(real, sigma * draws.standard_normal(clean.shape))
            yield Case(f"{name}, Rician {level}", clean, magnitude.astype(np.float32), sigma, True)


def ct(data: Path, quick: bool) -> Case:
    """A pelvis and a quarter of its dose."""
    import meddenoise as md
    from meddenoise.noise import estimate_sigma

    scan = md.read(data / "dicom" / "ct_pelvis_soft")
    size = QUICK_CT_CROP if quick else CT_CROP
    depth = scan.array.shape[-1]
    slices = slice(depth // 2 - size[2] // 2, depth // 2 + size[2] // 2)
    part = md.Volume(scan.array[..., slices], scan.affine, units=scan.units, modality="CT")
    low = md.simulate(part, "ct_insertion", dose=0.25, seed=0)
    clean, noisy = (central(volume.array[0], size) for volume in (part, low))
    sigma = estimate_sigma(noisy)
    return Case("CT, 1/4 dose", clean, noisy, sigma, spacing=scan.spacing, window=WINDOW)


def run(python: Path, method: str, cases: Sequence[Case]) -> Result:
    """All cases by one method in a process of its own."""
    print(f"{method} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as place:
        orders: list[dict[str, Any]] = []
        for number, case in enumerate(cases):
            noisy, out = (f"{place}/{what}{number}.npy" for what in ("noisy", "out"))
            np.save(noisy, case.noisy)
            span = 1.0 if case.window is None else case.window[1] - case.window[0]
            told = {"sigma": case.sigma, "rician": case.rician, "spacing": case.spacing}
            orders.append({"noisy": noisy, "out": out, "range": span, **told})
        listed = Path(place) / "cases.json"
        listed.write_text(json.dumps(orders))
        done = call([python, SIDE, method, listed])
        measured = json.loads(done.stdout.strip().splitlines()[-1])
        scores = {
            case.name: case.scores(np.load(order["out"]))
            for case, order in zip(cases, orders, strict=True)
        }
    named = dict(zip((case.name for case in cases), measured["cases"], strict=True))
    return Result(
        {name: psnr for name, (psnr, _) in scores.items()},
        {name: ssim for name, (_, ssim) in scores.items()},
        {name: told["seconds"] for name, told in named.items()},
        {name: told["cpu"] for name, told in named.items()},
        measured["memory"],
    )


def targets(report: Report, ours: Sequence[Result], peer: Result, cases: Sequence[Case]) -> None:
    """BM4D beside the package of its authors; ours ran before and after it."""
    speed = float(np.mean([result.speed(cases) for result in ours]))
    cpu = float(np.mean([result.speed(cases, cpu=True) for result in ours]))
    report.add("bm4d, times the bm4d package's speed", speed / peer.speed(cases), "x", at_least=10)
    ratio = cpu / peer.speed(cases, cpu=True)
    report.add("bm4d, times the bm4d package's speed by CPU time", ratio, "x")
    for case in cases:
        if "Gaussian" in case.name:
            gain = ours[0].psnr[case.name] - peer.psnr[case.name]
            report.add(f"bm4d, PSNR above the package's: {case.name}", gain, "dB", at_least=-0.5)


def matrix(
    title: str,
    results: dict[str, Result],
    cases: Sequence[Case],
    value: Callable[[Result, str], float],
    digits: int,
) -> None:
    """A table of methods by cases."""
    print(f"\n## {title}\n\n| method | {' | '.join(case.name for case in cases)} |")
    print("|---" * (len(cases) + 1) + "|")
    for method, result in results.items():
        shown = (f"{value(result, case.name):.{digits}f}" for case in cases)
        print(f"| {method} | {' | '.join(shown)} |")


def baseline(cases: Sequence[Case]) -> Result:
    """The noisy images as they are."""
    scores = {case.name: case.scores(case.noisy) for case in cases}
    psnr, ssim = ({name: pair[k] for name, pair in scores.items()} for k in (0, 1))
    return Result(psnr, ssim, {}, {}, 0.0)


def main() -> None:
    parser = arguments(__doc__)
    add_data(parser)
    parser.add_argument(
        "--peer-env",
        type=Path,
        default=ROOT / "build" / "filter-peers",
        help="what make_filter_env.sh made (default: build/filter-peers)",
    )
    options = parser.parse_args()
    peers = options.peer_env / "bin" / "python"
    if not peers.exists():
        raise SystemExit(f"There is no {peers}: run benchmarks/make_filter_env.sh first.")
    from meddenoise.filters import filter_names, is_joint

    cases = [*heads(options.data, options.quick), ct(options.data, options.quick)]
    names = [name for name in filter_names() if name != "identity" and not is_joint(name)]
    results = {"noisy": baseline(cases)}
    results |= {name: run(Path(sys.executable), name, cases) for name in names}
    results |= {name: run(peers, name, cases) for name in PEERS}
    again = run(Path(sys.executable), "bm4d", cases)

    report = Report("Filters without training, and their peers")
    targets(report, (results["bm4d"], again), results[PEER_BM4D], cases)
    for name in [*names, *PEERS]:
        report.add(f"{name}, speed", results[name].speed(cases), "Mvoxel/s")
        report.add(f"{name}, by CPU time", results[name].speed(cases, cpu=True), "Mvoxel/s")
        report.add(f"{name}, memory", results[name].memory, "MiB")
    report.finish(None)
    matrix("PSNR in dB", results, cases, lambda result, case: result.psnr[case], 2)
    matrix("SSIM", results, cases, lambda result, case: result.ssim[case], 3)
    if options.json is not None:
        rows = list(report.rows)
        for name, result in results.items():
            for case in cases:
                rows.append(
                    Row(f"{name}, {case.name}, PSNR", result.psnr[case.name], None, "dB", None)
                )
                rows.append(
                    Row(f"{name}, {case.name}, SSIM", result.ssim[case.name], None, "", None)
                )
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
