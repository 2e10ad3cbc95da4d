"""How long scans take to read and write, against the bare libraries.

    python benchmarks/io_speed.py [--quick] [--json FILE] [--data DIR]

A DICOM series is read and written, against ``pydicom.dcmread`` and ``pixel_array`` of each file,
and against reading and writing each file with pydicom; a 256x256x192 int16 ``.nii.gz``, against
nibabel's ``load`` with ``get_fdata`` in float32, and ``save`` at gzip level 1. Runs take turns and
the fastest of each counts. Peak memory is that of a process of its own that reads and then writes,
above what the imports take, as a multiple of the float32 volume.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import Report, add_data, arguments, call

MOST_TIME, MOST_MEMORY = 1.5, 2.5
# Reads a path and writes it to another, and tells the peaks above the imports in volumes.
SPY = """
import re, sys
import numpy, pydicom, pydicom.pixels, nibabel
from meddenoise import io
import meddenoise.io.dicom.writing
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
volume = io.read(sys.argv[1])
reading = peak()
io.write(volume, sys.argv[2])
print(*((at - before) / (volume.array.size * 4) for at in (reading, peak())))
"""


def fastest(runs: int, **steps: Callable[[], object]) -> dict[str, float]:
    """Seconds of the fastest run of each step; they take turns, so that load hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(runs):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            taken[name].append(time.perf_counter() - started)
    return {name: min(seconds) for name, seconds in taken.items()}


def dicom(report: Report, place: Path, runs: int, scratch: Path) -> None:
    import pydicom

    from meddenoise import io

    paths = sorted(path for path in place.iterdir() if path.is_file())
    (scratch / "bare").mkdir()
    volume = io.read(place)

    def decode() -> None:
        for path in paths:
            pydicom.dcmread(path).pixel_array  # noqa: B018

    def rewrite() -> None:
        for path in paths:
            ds = pydicom.dcmread(path)
            ds.PixelData = ds.pixel_array.tobytes()
            pydicom.dcmwrite(scratch / "bare" / path.name, ds)

    taken = fastest(
        runs,
        decode=decode,
        read=lambda: io.read(place),
        rewrite=rewrite,
        write=lambda: io.write(volume, scratch / "ours", overwrite=True),
    )
    name = f"{len(paths)}-slice DICOM series"
    add(report, f"{name}, read", taken["read"], taken["decode"])
    add(report, f"{name}, write", taken["write"], taken["rewrite"])
    memory(report, name, place, scratch / "again")


def nifti(report: Report, runs: int, scratch: Path) -> None:
    import nibabel as nib
    import numpy as np
    from nibabel.openers import Opener

    from meddenoise import io

    Opener.default_compresslevel = 1
    place = scratch / "noisy.nii.gz"
    z, y, x = np.ogrid[:256, :256, :192]
    smooth = 600 * np.exp(-((z - 128) ** 2 + (y - 128) ** 2 + (x - 96) ** 2) / 6000)
    noise = 20 * np.random.default_rng(0).standard_normal((256, 256, 192), dtype=np.float32)
    image = nib.Nifti1Image((smooth + noise).astype(np.int16), np.eye(4))
    nib.save(image, place)
    volume = io.read(place)
    taken = fastest(
        runs,
        load=lambda: nib.load(place).get_fdata(dtype=np.float32, caching="unchanged"),
        read=lambda: io.read(place),
        save=lambda: nib.save(image, scratch / "bare.nii.gz"),
        write=lambda: io.write(volume, scratch / "ours.nii.gz", overwrite=True),
    )
    name = "256x256x192 .nii.gz"
    add(report, f"{name}, read", taken["read"], taken["load"])
    add(report, f"{name}, write", taken["write"], taken["save"])
    memory(report, name, place, scratch / "again.nii.gz")


def add(report: Report, name: str, ours: float, bare: float) -> None:
    report.add(f"{name} / bare library", ours / bare, "times", at_most=MOST_TIME)
    report.add(name, ours, "s")
    report.add(f"{name}, bare library", bare, "s")


def memory(report: Report, name: str, place: Path, again: Path) -> None:
    if not Path("/proc/self/status").exists():
        return  # only Linux tells the peak
    told = call([sys.executable, "-c", SPY, place, again]).stdout
    for what, peak in zip(("reading", "reading and writing"), told.split(), strict=True):
        report.add(f"{name}, peak memory of {what}", float(peak), "volumes", at_most=MOST_MEMORY)


def main() -> None:
    parser: argparse.ArgumentParser = arguments(__doc__)
    add_data(parser)
    options = parser.parse_args()
    runs = 3 if options.quick else 9
    series = options.data / "dicom" / "mr_t1_siemens"
    if not series.is_dir():
        raise SystemExit(f"There is no series {series}: name its parent with --data.")
    report = Report(f"Reading and writing ({runs} runs of each, the fastest counts)")
    with tempfile.TemporaryDirectory() as scratch:
        dicom(report, series, runs, Path(scratch))
        nifti(report, runs, Path(scratch))
    report.finish(options.json)


if __name__ == "__main__":
    main()
