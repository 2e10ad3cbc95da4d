from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from warnings import warn_explicit

import numpy as np
import pytest

import meddenoise as md
from meddenoise.io.quiet import quiet
from meddenoise.workflows import batch as module
from meddenoise.workflows.batch import Batch, Outcome, Way
from meddenoise.workflows.denoise import denoise_files
from meddenoise.workflows.places import Job, plan


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    place = tmp_path / "cohort"
    for number in range(5):
        array = np.random.default_rng(number).normal(100, 10, (6, 7, 8))
        md.write(md.Volume.from_array(array), place / f"{number}.nii.gz")
    return place


def test_what_is_finished_is_passed_over(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    denoise_files(cohort, out, method="median")
    (out / "3.nii.gz").unlink()
    before = (out / "1.nii.gz").stat().st_mtime_ns
    again = denoise_files(cohort, out, method="median")
    assert [outcome.output is not None for outcome in again] == [False, False, False, True, False]
    assert not any(outcome.error for outcome in again)
    assert "1.nii.gz is there already; --overwrite does it again" in again[1].notes[0]
    assert (out / "1.nii.gz").stat().st_mtime_ns == before
    done = denoise_files(cohort, out, method="median", overwrite=True)
    assert all(outcome.output for outcome in done)


def test_what_another_process_has_made_in_the_meantime_is_passed_over(
    cohort: Path, tmp_path: Path
) -> None:
    def run(volume: md.Volume, _: object) -> md.Volume:
        if not (tmp_path / "out/1.nii.gz").exists():
            md.write(volume, tmp_path / "out/1.nii.gz")
        return volume

    outcomes = Batch(Way("nothing", run)).all(plan(cohort, tmp_path / "out")[1:3])
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert "1.nii.gz is there already; --overwrite" in outcomes[0].notes[0]


def test_failures_are_listed_and_stop_nothing(cohort: Path, tmp_path: Path) -> None:
    (cohort / "1.nii.gz").write_bytes((cohort / "0.nii.gz").read_bytes()[:100])
    outcomes = denoise_files(cohort, tmp_path / "out", method="median")
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, True, True]
    assert "1.nii.gz" in str(outcomes[1].error)


def test_the_next_scan_is_read_while_one_is_denoised(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = threading.Event()
    whole = module.read

    def reading(path: Path, **how: object) -> md.Volume:
        if path.name == "1.nii.gz":
            began.set()
        return whole(path, **how)  # type: ignore[arg-type]

    def run(volume: md.Volume, _: object) -> md.Volume:
        assert began.wait(10)
        return volume

    monkeypatch.setattr(module, "read", reading)
    outcomes = Batch(Way("nothing", run)).all(plan(cohort, tmp_path / "out"))
    assert all(outcome.output for outcome in outcomes)


def test_notes_stay_with_their_scan_while_the_next_is_read(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reads_quietly(path: Path, **options: object) -> md.Volume:
        with quiet():
            time.sleep(0.05)
            return md.read(path)

    def says(volume: md.Volume, _: object) -> md.Volume:
        time.sleep(0.03)  # the next one is being read now
        warn_explicit("A note.", UserWarning, "way.py", 1, module="meddenoise.way")
        return volume

    monkeypatch.setattr(module, "read", reads_quietly)
    jobs = plan(cohort, tmp_path / "out")
    assert [outcome.notes for outcome in Batch(Way("says", says)).all(jobs)] == [("A note.",)] * 5


def test_one_scan_is_held_and_the_next_one(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[weakref.ref[md.Volume]] = []
    whole = module.read

    def reading(path: Path, **how: object) -> md.Volume:
        volume = whole(path, **how)  # type: ignore[arg-type]
        read.append(weakref.ref(volume))
        return volume

    held: dict[str, list[int]] = {"denoised": [], "after": []}

    def look(when: str) -> None:
        time.sleep(0.1)  # the other thread has read what it may
        held[when].append(sum(one() is not None for one in read))

    def slowly(volume: md.Volume, progress: object) -> md.Volume:
        look("denoised")
        return volume

    def after(job: Job, outcome: Outcome) -> Outcome:
        look("after")
        return outcome

    monkeypatch.setattr(module, "read", reading)
    Batch(Way("slowly", slowly), after=after).all(plan(cohort, tmp_path / "out"))
    assert held == {"denoised": [2, 2, 2, 2, 1], "after": [1, 1, 1, 1, 0]}


def test_reading_counts_in_the_time_that_is_told(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = module.read

    def slowly(path: Path, **how: object) -> md.Volume:
        time.sleep(0.2)
        return whole(path, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "read", slowly)
    way = Way("nothing", lambda volume, _: volume)
    outcomes = Batch(way).all(plan(cohort, tmp_path / "out"))
    assert all(0.2 < outcome.seconds < 5 for outcome in outcomes)


def test_a_result_is_never_another_input(cohort: Path, tmp_path: Path) -> None:
    jobs = plan(cohort, tmp_path / "out")
    jobs[0] = replace(jobs[0], target=jobs[1].scan.path)
    before = jobs[1].scan.path.read_bytes()
    way = Way("nothing", lambda volume, _: volume)
    outcomes = Batch(way, overwrite=True).all(jobs)
    assert "another input" in str(outcomes[0].error)
    assert jobs[1].scan.path.read_bytes() == before


MANY = """
import sys
from pathlib import Path
import torch
from meddenoise.inference import Denoiser
from meddenoise.networks import build_network
from meddenoise.workflows.denoise import denoise_files

torch.set_num_threads(1)
cohort, out = map(Path, sys.argv[1:])
info = {"network": {"name": "unet", "dims": 3, "options": {"channels": [1]}}}
network = build_network("unet", dims=3, channels=[1])
model = Denoiser(network, info=info, device="cpu").save(out.parent / "model.safetensors")
seen = []

def resident(done):
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    seen.append((done, pages * 4096 / 2**20))

outcomes = denoise_files(cohort, out, model=model, device="cpu", progress=resident)
assert all(outcome.output for outcome in outcomes), outcomes[0]
quarter = max(size for done, size in seen if done <= 0.25)
print(max(size for _, size in seen) - quarter)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux for its memory")
def test_memory_stays_flat_over_many_volumes(tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    # A MiB each in float32: keeping one array of each would be 48.
    array = np.random.default_rng(0).normal(100, 10, (64, 64, 64)).astype(np.int16)
    first = md.write(md.Volume.from_array(array), cohort / "000.nii")
    for number in range(1, 64):
        (cohort / f"{number:03}.nii").hardlink_to(first)
    # Every array is given back to the system when it is freed, so that what is resident is in use.
    strict = {
        "MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536"
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", MANY, cohort, tmp_path / "out"],
        env={**os.environ, **strict}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) < 12


@pytest.mark.parametrize(
    ("target", "writing", "match"),
    [
        ("out.mhd", {}, "two files"),
        ("out.png", {}, "one 2-D picture"),
        ("out.dcm", {}, "derived from one"),
        ("out.nii.gz", {"dtype": "float64"}, "dtype is"),
        ("out.nii.gz", {"compress": "rle"}, "compress is for DICOM only"),
        ("out.nii.gz", {"deterministic_uids": True}, "deterministic_uids is for DICOM only"),
    ],
)
def test_what_cannot_be_written_is_not_denoised_first(
    cohort: Path, tmp_path: Path, target: str, writing: dict[str, object], match: str
) -> None:
    def never(volume: md.Volume, progress: object) -> md.Volume:
        raise AssertionError("minutes are spent in vain")

    (job,) = plan(cohort / "0.nii.gz", tmp_path / target)
    outcome = Batch(Way("never", never), writing=writing).tried(job)
    assert match in str(outcome.error)
    assert not (tmp_path / target).exists()


@pytest.mark.parametrize("where", ["reading", "denoising"])
def test_a_scan_that_does_not_fit_stops_no_other(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    whole, read = [], module.read

    def reading(path: Path, **how: object) -> md.Volume:
        if where == "reading" and path.name == "1.nii.gz":
            raise MemoryError
        return read(path, **how)  # type: ignore[arg-type]

    def run(volume: md.Volume, progress: object) -> md.Volume:
        whole.append(volume)
        if where == "denoising" and len(whole) == 2:
            raise MemoryError
        return volume

    monkeypatch.setattr(module, "read", reading)
    outcomes = Batch(Way("short", run)).all(plan(cohort, tmp_path / "out"))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, True, True]
    assert "not enough memory for" in str(outcomes[1].error)
    assert "1.nii.gz" in str(outcomes[1].error)


def test_a_fault_of_ours_is_not_told_as_the_scan_s(cohort: Path, tmp_path: Path) -> None:
    def run(volume: md.Volume, progress: object) -> md.Volume:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Batch(Way("wrong", run)).all(plan(cohort, tmp_path / "out"))
