"""Damaged files of each format give a volume or one of our errors: nothing else, and soon.

What a fault is reported with repeats it: ``python tests/io/fuzzing --seed S --first N --cases 1``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZING = Path(__file__).with_name("fuzzing")
CASES = 2000
FORMATS = [
    "dicom", "dicom-rle", "dicom-jpegls", "dicom-jpeg2000", "dicom-enhanced", "dicomdir", "nifti",
    "nifti-gz", "nifti2", "nrrd", "nrrd-gz", "nhdr", "mha", "mhd", "png", "tiff", "jpeg",
]  # fmt: skip


def campaign(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(FUZZING), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_an_error_of_ours_or_harmless(name: str) -> None:
    status, said = campaign("--cases", str(CASES), name)
    assert status == 0, said
    counts = {what: int(count) for count, what in re.findall(r"(\d+) (read|refused)\b[,;]", said)}
    assert min(counts["read"], counts["refused"]) > CASES / 20, said
    assert sum(int(count) for count in re.findall(r"(\d+) [a-z]", said)) >= CASES, said


def test_all_formats_are_tried() -> None:
    _, said = campaign("--cases", "1")
    assert [line.split(":")[0] for line in said.splitlines()] == FORMATS


PLANT = """
from meddenoise import io
from meddenoise.errors import FileError
from meddenoise.volume import Volume

whole, seen = io.read, []

def read(path):
    seen.append(path)
    if len(seen) > 1:
        return whole(path)
    volume = Volume.from_array([[1.0, 2.0]])
    {fault}
    return volume

io.read = read
"""


@pytest.mark.parametrize(
    ("fault", "reported"),
    [
        ("raise ValueError('no number')", "ValueError: no number"),
        ("import time; time.sleep(600)", "did not end in time:.*in read"),
        ("import os; os.abort()", "ended with status -6:.*Aborted"),
        ("import warnings; warnings.warn('odd')", "warned: UserWarning: odd"),
        ("import logging; logging.getLogger('x').warning('odd')", "logged: x: odd"),
        ("import os; os.write(2, b'odd')", "printed: b'odd'"),
        ("bytes(1 << 40)", "MemoryError"),
        ("raise FileError('odd')", "names no file: 'odd'"),
        ("raise FileError(f'{path}') from MemoryError()", "took memory"),
        ("volume.affine[0, 0] = float('nan')", "a volume whose affine is"),
    ],
)
def test_each_kind_of_fault_is_found_and_the_others_go_on(
    tmp_path: Path, fault: str, reported: str
) -> None:
    plant = tmp_path / "plant.py"
    plant.write_text(PLANT.replace("{fault}", fault))
    status, said = campaign(
        "--plant", str(plant), "--cases", "3", "--first", "1", "--seconds", "2", "mha"
    )
    assert status == 1
    assert re.search(reported, said, re.DOTALL), said
    assert "--seed 0 --first 1 --cases 1 mha" in said
    ends = "ended" in reported or "end in time" in reported
    assert said.count("FAULT") == (3 if ends else 1)  # the next worker is planted anew
