"""Runs cases in a process that may die: started by the campaign, tells it a JSON line for each.

What a case may do is bounded here: memory by the system's limit on this process, everything that
a library warns, logs or prints counts as a fault, as does any exception but ours.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).parent))

from corpus import FORMATS, Sample
from mutations import mutated

#: Bytes that a case on a file of some thousand bytes may take.
MEMORY = 1 << 29


class Fault(Exception):
    """A case that gave neither a valid result nor a proper error."""


class Listener(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"{record.name}: {record.getMessage()}")


def limit_memory(more: int) -> None:
    """Allow ``more`` bytes beyond what is mapped now, where the system can."""
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (used + more, hard))
    except (ImportError, OSError, ValueError):
        return


def keep_codecs() -> None:
    """One set of codec processes for all cases, impatient: starting them takes most of a case."""
    from meddenoise.io import isolated

    shared = isolated.Codecs()
    isolated.Codecs.__enter__ = lambda _: shared  # type: ignore[method-assign]
    isolated.Codecs.__exit__ = lambda *_: None  # type: ignore[method-assign]
    isolated._SECONDS = 5.0


def check(volume: Any) -> None:
    """What holds of every volume."""
    import numpy as np

    from meddenoise.io.describing import describe_volume

    if volume.array.dtype not in (np.float32, np.float64) or volume.array.ndim not in (3, 4):
        raise Fault(f"a volume of {volume.array.dtype} {volume.array.shape}")
    if not np.isfinite(volume.affine).all() or min(volume.spacing) <= 0:
        raise Fault(f"a volume whose affine is {volume.affine.tolist()}")
    json.dumps(describe_volume(volume), allow_nan=False)


def same(one: Any, other: Any) -> bool:
    """Whether two volumes have the same voxels in the same place."""
    import numpy as np

    scale = float(np.abs(one.affine).max())
    return (
        one.array.shape == other.array.shape
        and np.array_equal(one.array, other.array, equal_nan=True)
        and np.allclose(one.affine, other.affine, rtol=1e-4, atol=1e-5 * scale)
    )


def use(place: Path, out: Path, depth: int) -> str:
    """What a command would do with a file; what came of it.

    Args:
        place: the file.
        out: where to write.
        depth: 0: read and describe it; 1: write it, too; 2: also list and convert it.

    Raises:
        Fault: a result that does not hold.
    """
    from meddenoise import io
    from meddenoise.errors import MeddenoiseError, OutputError

    if depth == 2:
        try:
            io.list_scans(place.parent)
        except MeddenoiseError as error:
            check_message(error, place)
    try:
        volume = io.read(place)
    except MeddenoiseError as error:
        check_message(error, place)
        return "refused"
    try:
        check(volume)
    except MeddenoiseError as error:
        check_message(error, place)
        return "not described"
    if depth == 0:
        return "read"
    files = getattr(volume.source, "files", ())
    extension = io.extension_for(volume) or (".dcm" if len(files) == 1 else "")
    written = out / f"a{extension}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", io.ClippingWarning)
            report = io.write_report(volume, written, overwrite=True)
    except OutputError:
        return "not written"
    again = io.read(written)
    if not report.clipped and not same(volume, again):
        raise Fault("what was written is not what was read")
    if depth == 2:
        convert(volume, out / "a.nii.gz")
    return "read"


def convert(volume: Any, path: Path) -> None:
    """To another format; what cannot be held may be refused."""
    from meddenoise import io
    from meddenoise.errors import InputError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", io.ClippingWarning)
            io.write(volume, path, overwrite=True, allow_irregular=True)
    except InputError:
        return
    io.read(path)


def check_message(error: Exception, place: Path) -> None:
    """One of our errors names the file, is short, and no trick on a terminal."""
    message = str(error)
    if str(place.parent) not in message:
        raise Fault(f"an error that names no file: {message!r}")
    if len(message) > 1500 or any(ord(sign) < 32 and sign != "\n" for sign in message):
        raise Fault(f"an error that is no sentence: {message[:2000]!r}")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            raise Fault(f"took memory that the file does not warrant: {message!r}")
        cause = cause.__cause__ or cause.__context__


def run_case(sample: Sample, chance: Random, place: Path, out: Path, number: int) -> str:
    """Write the damaged files, and use them."""
    for name, content in mutated(sample, chance).items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content)
    return use(place / sample.main, out, depth=(2, 0, 1, 0)[number % 4])


@dataclass
class Judge:
    """Runs cases and says what came of each."""

    samples: list[Sample]
    name: str
    seed: int
    scratch: Path
    prints: IO[bytes]
    listener: Listener

    def case(self, number: int) -> dict[str, Any]:
        """``outcome`` and ``fault``, which is empty where there is none."""
        chance = Random(f"{self.seed} {self.name} {number}")
        sample = chance.choice(self.samples)
        place, out = self.scratch / "in", self.scratch / "out"
        place.mkdir()
        out.mkdir()
        started = time.monotonic()
        self.listener.heard.clear()
        before = os.fstat(self.prints.fileno()).st_size
        outcome = "fault"
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                outcome = run_case(sample, chance, place, out, number)
                fault = self._noise(warned, before)
            except Fault as error:
                fault = str(error)
            except Exception:
                fault = traceback.format_exc()
        seconds = time.monotonic() - started
        shutil.rmtree(place)
        shutil.rmtree(out)
        outcome = "fault" if fault else outcome
        return {"case": number, "outcome": outcome, "fault": fault, "seconds": seconds}

    def _noise(self, warned: list[warnings.WarningMessage], before: int) -> str:
        if warned:
            told = warned[0]
            kind = told.category.__name__
            return f"warned: {kind}: {told.message} ({told.filename}:{told.lineno})"
        if self.listener.heard:
            return f"logged: {self.listener.heard[0]}"
        if os.fstat(self.prints.fileno()).st_size > before:
            self.prints.seek(before)
            return f"printed: {self.prints.read()[:500]!r}"
        return ""


def try_whole(samples: list[Sample], scratch: Path) -> None:
    """Use every sample as it is: all must be valid, and what they need is imported after it."""
    for number, sample in enumerate(samples):
        place = scratch / str(number)
        for name, content in sample.files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        out = scratch / f"{number} out"
        out.mkdir()
        result = use(place / sample.main, out, depth=2)
        if result != "read":
            raise SystemExit(f"sample {number} is {result}")


def main() -> None:
    request = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    listener = Listener()
    logging.getLogger().addHandler(listener)
    keep_codecs()
    os.fsync = lambda _: None  # a disk's patience is not what is tried here
    samples = FORMATS[request["format"]]()
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as prints:
        try_whole(samples, Path(scratch))
        if request["plant"]:
            exec(Path(request["plant"]).read_text(), {})
        faulthandler.enable(os.dup(2))  # a crash, and what the watchdog ends, say where they were
        answers.write("{}\n")
        os.dup2(prints.fileno(), 1)
        os.dup2(prints.fileno(), 2)
        limit_memory(MEMORY)
        judge = Judge(samples, request["format"], request["seed"], Path(scratch), prints, listener)
        for number in range(request["first"], request["first"] + request["cases"]):
            answers.write(json.dumps(judge.case(number)) + "\n")


if __name__ == "__main__":
    main()
