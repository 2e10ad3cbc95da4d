"""What size costs: one scan from small to large, and many small ones.

    python benchmarks/scale.py [--quick] [--threads N] [--json FILE]

- **One scan**: uncompressed NIfTI in float32 from file to file, with the lightweight network and
  drawn weights, in a process of its own each. Scans of 32 million voxels and more are denoised
  plane by plane. Told is CPU time a voxel beside that of the smallest of 128^3 or more, and
  the memory that the process held at most.
- **Packed**: one of 640^3 in ``.nii.gz`` (a GiB in float32), and the most memory that the process
  held as a multiple of it.
- **Many small scans**: a directory of them in one process; throughput beside that of one after the
  first, and how the memory grew from a quarter of the way to the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Report, arguments

SIDES, QUICK_SIDES = (64, 128, 256, 512, 1024), (64, 128, 256)
# The first fifty or so are those over which the heap finds its size.
MANY, QUICK_MANY = 1000, 240
SIDE_OF_MANY = 48
# Large enough that its voxels, and not the tiles and the libraries, would make the difference.
SIDE_PACKED, QUICK_SIDE_PACKED = 640, 320


def write_scan(path: Path, side: int) -> None:
    """A cube of noisy planes, written plane by plane; packed if it is called so."""
    import gzip

    import nibabel as nib
    import numpy as np

    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((side, side, side))
    header["magic"], header["vox_offset"] = b"n+1", 352
    header.set_sform(np.eye(4), code=1)
    x = np.linspace(-1, 1, side, dtype=np.float32)
    drawn = np.random.default_rng(0)
    planes = (100 * np.hypot(x, x[:, None]) + 10 * drawn.standard_normal((8, side, side))).astype(
        np.float32
    )
    packed = path.suffix == ".gz"
    with gzip.open(path, "wb", 1) if packed else open(path, "wb") as file:
        file.write(header.binaryblock + bytes(4))
        for _ in range(side // 8):
            file.write(planes.data)


def measure(wanted: dict[str, Any]) -> dict[str, float]:
    """Denoise what is asked for in this process."""
    import torch

    from meddenoise.workflows.denoise import denoise_files

    if wanted["threads"]:
        torch.set_num_threads(wanted["threads"])
    seen: list[tuple[float, float, float]] = []

    def told(done: float) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        size = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        seen.append((done, size, time.process_time()))

    began = time.perf_counter(), time.process_time()
    outcomes = denoise_files(
        wanted["scan"], wanted["output"], model=wanted["model"], device="cpu", progress=told
    )
    taken = time.perf_counter() - began[0], time.process_time() - began[1]
    if not all(outcome.output for outcome in outcomes):
        raise SystemExit(str(outcomes))
    quarter = max((size for done, size, _ in seen if done <= 0.25), default=0.0)
    # From the end of the first scan on: what is prepared once lies before it.
    count = len(outcomes)
    first = min((t for done, _, t in seen if done >= 1 / count), default=began[1])
    return {
        "wall": taken[0],
        "cpu": taken[1],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "grown": max(size for _, size, _ in seen) - quarter,
        "each": (seen[-1][2] - first) / max(count - 1, 1),
    }


def measured(threads: int | None, scan: Path, output: Path, model: Path) -> dict[str, float]:
    """:func:`measure` in a fresh process."""
    wanted = {"threads": threads, "scan": str(scan), "output": str(output), "model": str(model)}
    done = subprocess.run(
        [sys.executable, __file__, "--measure", json.dumps(wanted)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    told = ", ".join(f"{k} {v:.3g}" for k, v in found.items())
    print(f"{scan.name}: {told}", file=sys.stderr, flush=True)
    return found


def one_scan(report: Report, options: argparse.Namespace, place: Path, model: Path) -> None:
    """From small to large."""
    rates = {}
    for side in options.sides or (QUICK_SIDES if options.quick else SIDES):
        scan, output = place / f"{side}.nii", place / f"{side}-out.nii"
        write_scan(scan, side)
        found = measured(options.threads, scan, output, model)
        scan.unlink()
        output.unlink()
        rates[side] = found["cpu"] / side**3 * 1e6
        report.add(f"{side}^3: CPU time", rates[side], "s a million voxels")
        report.add(f"{side}^3: memory at most", found["peak"] / 1024, "GiB",
                   at_most=2 if side >= 512 else None)  # fmt: skip
    whole = [side for side in rates if side >= 128]
    if len(whole) > 1:
        report.add(f"cost a voxel, {whole[-1]}^3 beside {whole[0]}^3",
                   rates[whole[-1]] / rates[whole[0]], "x", at_most=1.1)  # fmt: skip


def packed_scan(report: Report, options: argparse.Namespace, place: Path, model: Path) -> None:
    """A large ``.nii.gz``."""
    side = QUICK_SIDE_PACKED if options.quick else SIDE_PACKED
    scan, output = place / f"{side}.nii.gz", place / f"{side}-out.nii.gz"
    write_scan(scan, side)
    found = measured(options.threads, scan, output, model)
    scan.unlink()
    output.unlink()
    report.add(f"{side}^3 in .nii.gz: memory at most", found["peak"] / 1024, "GiB")
    report.add(f"{side}^3 in .nii.gz: memory beside its voxels in float32",
               found["peak"] * 2**20 / (4 * side**3), "x",
               at_most=None if options.quick else 2.5)  # fmt: skip
    report.add(f"{side}^3 in .nii.gz: CPU time", found["cpu"] / side**3 * 1e6,
               "s a million voxels")  # fmt: skip


def many_scans(report: Report, options: argparse.Namespace, place: Path, model: Path) -> None:
    """A directory of small ones, and one of one."""
    count = options.many or (QUICK_MANY if options.quick else MANY)
    cohort = place / "cohort"
    cohort.mkdir()
    write_scan(cohort / "0000.nii", SIDE_OF_MANY)
    for number in range(1, count):
        (cohort / f"{number:04}.nii").hardlink_to(cohort / "0000.nii")
    few = place / "few"
    few.mkdir()
    for number in range(5):
        (few / f"{number}.nii").hardlink_to(cohort / "0000.nii")
    single = measured(options.threads, few, place / "few-out", model)
    found = measured(options.threads, cohort, place / "cohort-out", model)
    report.add(f"{count} scans of {SIDE_OF_MANY}^3: throughput beside that of a few",
               100 * single["each"] / found["each"], "%", at_least=95)  # fmt: skip
    report.add(f"{count} scans: memory grown from a quarter to the end", found["grown"], "MiB",
               at_most=20)  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--sides", type=int, nargs="+", help="of the scans (multiples of 8)")
    parser.add_argument("--many", type=int, help="so many small scans")
    parser.add_argument("--only", choices=("one", "packed", "many"), help="a part of the figures")
    parser.add_argument("--place", type=Path, help="where scans are made (at most 9 GiB)")
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    import torch

    import meddenoise as md
    from meddenoise.networks import build_network

    report = Report(f"Denoising by size, {options.threads or os.cpu_count()} threads")
    with tempfile.TemporaryDirectory(dir=options.place) as made:
        place = Path(made)
        torch.manual_seed(0)
        info = {"network": {"name": "light", "dims": 3, "options": {}}}
        model = md.Denoiser(build_network("light", dims=3), info=info, device="cpu")
        file = model.save(place / "model.safetensors")
        if options.only in (None, "one"):
            one_scan(report, options, place, file)
        if options.only in (None, "packed"):
            packed_scan(report, options, place, file)
        if options.only in (None, "many"):
            many_scans(report, options, place, file)
    report.finish(options.json)


if __name__ == "__main__":
    main()
