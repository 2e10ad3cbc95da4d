"""The filters without training beside their peers: quality, speed and memory.

    python benchmarks/filters.py [--quick] [--resume] [--data DIR] [--peer-env DIR] [--json FILE]

Truths: the central 96 x 96 x 48 voxels of three T1-weighted heads, clipped at 0 and divided by
their 99.9th percentile, with Gaussian and Rician noise of 3, 10 and 20 %; and 128 x 128 x 32 voxels
of a pelvic CT, of which a quarter of the dose is simulated by noise insertion. BM4D stands its
targets besides on the CIT168 crop (``cit168.py``). ``--quick``: the first head, smaller, without
some of the noises.

Every method runs in a process of its own, one after the other. On heads all are told the noise's
true standard deviation (ANTs always finds it itself), on CT what ``meddenoise.noise.estimate``
finds; ours run once more ``alone``, told nothing but what a file's header says.

What every method gave is kept in ``build/filters`` (``build/filters-quick``) case by case:
``--resume`` goes on where a run was cut off. Without it all is measured anew.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cit168 import SIGMA, load_crop
from common import ROOT, Report, Row, add_data, arguments
from filters_side import ALONE, PEERS

HEADS = {"cit168": "cit168_t1", "colin27": "colin27_t1", "seg3d": "seg3d_t1"}
LEVELS = (0.03, 0.1, 0.2)
CROP, QUICK_CROP = (96, 96, 48), (64, 64, 48)
CT_CROP, QUICK_CT_CROP = (128, 128, 32), (64, 64, 16)
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
        units: as in a volume.
        modality: as in a volume.
        window: values beyond are cut off before scoring; its width is the data range.
        spectrum: of correlated noise its power at each frequency, as ``numpy.fft.fftn`` has them;
            the mean is sigma^2 times the voxels.
    """

    name: str
    clean: np.ndarray
    noisy: np.ndarray
    sigma: float
    rician: bool = False
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    units: str = ""
    modality: str = "MR"
    window: tuple[float, float] | None = None
    spectrum: np.ndarray | None = None

    @property
    def span(self) -> float:
        """The data range."""
        return 1.0 if self.window is None else self.window[1] - self.window[0]

    def scores(self, image: np.ndarray) -> tuple[float, float]:
        """PSNR in dB and SSIM, by scikit-image with its defaults in 3-D."""
        from skimage.metrics import peak_signal_noise_ratio, structural_similarity

        clean = self.clean
        if self.window is not None:
            clean, image = (np.clip(a, *self.window) for a in (clean, image))
        return (
            float(peak_signal_noise_ratio(clean, image, data_range=self.span)),
            float(structural_similarity(clean, image, data_range=self.span)),
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


def heads(data: Path, quick: bool, files: Mapping[str, str] = HEADS) -> Iterator[Case]:
    """Heads with noise that is the same everywhere."""
    import nibabel as nib

    for name, file in list(files.items())[: 1 if quick else None]:
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
    from meddenoise.noise import estimate

    scan = md.read(data / "dicom" / "ct_pelvis_soft")
    size = QUICK_CT_CROP if quick else CT_CROP
    depth = scan.array.shape[-1]
    slices = slice(depth // 2 - size[2] // 2, depth // 2 + size[2] // 2)
    part = md.Volume(scan.array[..., slices], scan.affine, units=scan.units, modality="CT")
    low = md.simulate(part, "ct_insertion", dose=0.25, seed=0)
    clean, noisy = (central(volume.array[0], size) for volume in (part, low))
    seen = md.Volume.from_array(noisy, spacing=scan.spacing, units="HU", modality="CT")
    return Case(
        "CT, 1/4 dose",
        clean,
        noisy,
        estimate(seen).sigma,
        spacing=scan.spacing,
        units="HU",
        modality="CT",
        window=WINDOW,
    )


def crop(data: Path, quick: bool) -> Case:
    """The CIT168 crop, or its middle."""
    clean, noisy, _ = load_crop(data)
    if quick:
        clean, noisy = central(clean, QUICK_CROP), central(noisy, QUICK_CROP)
    return Case("the CIT168 crop", clean, noisy, SIGMA)


@dataclass
class Bench:
    """Runs methods, and keeps what they gave.

    Attributes:
        place: the directory where.
        peers: the interpreter of their environment.
    """

    place: Path
    peers: Path

    @classmethod
    def opened(cls, name: str, options: argparse.Namespace, peers: Path) -> Bench:
        """In ``build/``, emptied unless ``--resume`` says otherwise.

        Args:
            name: of the directory there; that of a quick run ends with ``-quick``.
            options: ``quick`` and ``resume``.
            peers: the environment of the peers.
        """
        python = peers / "bin" / "python"
        if not python.exists():
            raise SystemExit(f"There is no {python}: run benchmarks/make_filter_env.sh first.")
        place = ROOT / "build" / (f"{name}-quick" if options.quick else name)
        if not options.resume:
            shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        return cls(place, python)

    def run(self, method: str, cases: Sequence[Case], turn: str = "") -> Result:
        """All cases by one method in a process of its own; ``turn`` tells runs of it apart."""
        print(f"{method} {turn}", file=sys.stderr, flush=True)
        there = self.place / re.sub(r"\W+", "_", f"{method} {turn}").strip("_")
        there.mkdir(parents=True, exist_ok=True)
        orders = [self._order(case, there / _file_name(case)) for case in cases]
        listed = there / "cases.json"
        listed.write_text(json.dumps(orders))
        python = self.peers if method in PEERS else Path(sys.executable)
        done = subprocess.run([python, SIDE, method, listed], check=False)
        if done.returncode:
            raise SystemExit(f"{method} failed; --resume goes on from here.")
        told = {
            case.name: json.loads(Path(order["told"]).read_text())
            for case, order in zip(cases, orders, strict=True)
        }
        scores = {
            case.name: case.scores(np.load(order["out"]))
            for case, order in zip(cases, orders, strict=True)
        }
        return Result(
            {name: psnr for name, (psnr, _) in scores.items()},
            {name: ssim for name, (_, ssim) in scores.items()},
            {name: each["seconds"] for name, each in told.items()},
            {name: each["cpu"] for name, each in told.items()},
            max(each["memory"] for each in told.values()),
        )

    def _order(self, case: Case, stem: Path) -> dict[str, Any]:
        inputs = self.place / "inputs"
        inputs.mkdir(exist_ok=True)
        noisy, clean, spectrum = (
            inputs / f"{stem.name}_{what}.npy" for what in ("noisy", "clean", "spectrum")
        )
        if not clean.exists():
            np.save(noisy, case.noisy)
            if case.spectrum is not None:
                np.save(spectrum, case.spectrum)
            np.save(clean, case.clean)
        return {
            "name": case.name,
            "noisy": str(noisy),
            "clean": str(clean),
            "spectrum": str(spectrum),
            "out": f"{stem}.npy",
            "told": f"{stem}.json",
            "sigma": case.sigma,
            "rician": case.rician,
            "spacing": case.spacing,
            "units": case.units,
            "modality": case.modality,
            "range": case.span,
        }


def _file_name(case: Case) -> str:
    return re.sub(r"\W+", "_", case.name)


def targets(
    report: Report,
    bench: Bench,
    case: Case,
    results: dict[str, Result],
    cases: Sequence[Case],
) -> None:
    """BM4D beside the package of its authors; ours runs before and after it."""
    ours = [bench.run("bm4d", [case], "before")]
    peer = bench.run(PEER_BM4D, [case], "between")
    ours.append(bench.run("bm4d", [case], "after"))
    name = case.name
    for told, cpu, target in (("", False, {"at_least": 10}), (" by CPU time", True, {})):
        speeds = [result.speed([case], cpu=cpu) for result in ours]
        ratio = float(np.mean(speeds)) / peer.speed([case], cpu=cpu)
        report.add(f"bm4d, times the bm4d package's speed{told}: {name}", ratio, "x", **target)
    report.add(f"bm4d, speed: {name}", ours[-1].speed([case]), "Mvoxel/s")
    report.add(f"bm4d package, speed: {name}", peer.speed([case]), "Mvoxel/s")
    report.add(f"bm4d: {name}", ours[0].psnr[name], "dB")
    report.add(f"bm4d package: {name}", peer.psnr[name], "dB")
    report.add(f"bm4d, SSIM: {name}", ours[0].ssim[name], "")
    report.add(f"bm4d package, SSIM: {name}", peer.ssim[name], "")
    gains = {name: ours[0].psnr[name] - peer.psnr[name]}
    gains |= {
        each.name: results["bm4d"].psnr[each.name] - results[PEER_BM4D].psnr[each.name]
        for each in cases
    }
    for each, gain in gains.items():
        report.add(f"bm4d, PSNR above the package's: {each}", gain, "dB", at_least=-0.5)


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


def costs(results: dict[str, Result], cases: Sequence[Case]) -> None:
    """A table of what methods take."""
    print("\n## Speed and memory over all cases\n")
    print("| method | Mvoxel/s | Mvoxel per CPU second | memory, MiB |\n|---|---|---|---|")
    for name, result in results.items():
        speeds = [result.speed(cases, cpu=cpu) for cpu in (False, True)]
        print(f"| {name} | {speeds[0]:.3g} | {speeds[1]:.3g} | {result.memory:.0f} |")


def baseline(cases: Sequence[Case]) -> Result:
    """The noisy images as they are."""
    scores = {case.name: case.scores(case.noisy) for case in cases}
    psnr, ssim = ({name: pair[k] for name, pair in scores.items()} for k in (0, 1))
    return Result(psnr, ssim, {}, {}, 0.0)


def rows(results: dict[str, Result], cases: Sequence[Case]) -> Iterator[Row]:
    """All scores and costs, for the JSON file."""
    for name, result in results.items():
        for case in cases:
            yield Row(f"{name}, {case.name}, PSNR", result.psnr[case.name], None, "dB", None)
            yield Row(f"{name}, {case.name}, SSIM", result.ssim[case.name], None, "", None)
        if result.seconds:
            yield Row(f"{name}, speed", result.speed(cases), None, "Mvoxel/s", None)
            used = result.speed(cases, cpu=True)
            yield Row(f"{name}, by CPU time", used, None, "Mvoxel/s", None)
            yield Row(f"{name}, memory", result.memory, None, "MiB", None)


def add_bench(parser: argparse.ArgumentParser, env: str = "--peer-env") -> None:
    """What :meth:`Bench.opened` is told: where the peers of filters are, and ``--resume``."""
    parser.add_argument(
        env,
        type=Path,
        default=ROOT / "build" / "filter-peers",
        help="what make_filter_env.sh made (default: build/filter-peers)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was cut off, in build/"
    )


def main() -> None:
    parser = arguments(__doc__)
    add_data(parser)
    add_bench(parser)
    options = parser.parse_args()
    from meddenoise.filters import filter_names, is_joint

    bench = Bench.opened("filters", options, options.peer_env)
    cases = [*heads(options.data, options.quick), ct(options.data, options.quick)]
    names = [name for name in filter_names() if name != "identity" and not is_joint(name)]
    methods = [*names, *(name + ALONE for name in names), *PEERS]
    results = {name: bench.run(name, cases) for name in methods}

    report = Report("Filters without training, and their peers")
    targets(report, bench, crop(options.data, options.quick), results, cases)
    report.finish(None)
    shown = {"noisy": baseline(cases)} | results
    matrix("PSNR in dB", shown, cases, lambda result, case: result.psnr[case], 2)
    matrix("SSIM", shown, cases, lambda result, case: result.ssim[case], 3)
    costs(results, cases)
    if options.json is not None:
        told = [asdict(row) for row in (*report.rows, *rows(shown, cases))]
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
