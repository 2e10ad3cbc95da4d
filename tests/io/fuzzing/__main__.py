"""Damaged files of each format: every one gives a valid volume or one of our errors, and soon.

    python tests/io/fuzzing [--cases N] [--seed N] [--first N] [FORMAT ...]

A case is a function of (seed, format, number): what a fault is reported with repeats it. Cases
run in a worker process that a watchdog stands over, so that a hang, a crash or a fit of the
memory names the case too. Exit status 1 if there was any fault.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
#: A case that takes longer hangs; usual ones take milliseconds.
SECONDS, SECONDS_TO_START = 30, 120
MOST_FAULTS = 20


@dataclass
class Tally:
    """What came of the cases of one format."""

    format: str
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str]] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)


class Worker:
    """A worker process, and its answers one by one."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.child = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), json.dumps(request)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        )
        assert self.child.stdout is not None
        self.stream = self.child.stdout
        os.set_blocking(self.stream.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.stream, selectors.EVENT_READ)
        self.pending = b""

    def answer(self, seconds: int) -> dict[str, Any] | None:
        """The next answer; ``None`` when the process has ended.

        Raises:
            TimeoutError: there is none in time.
        """
        while b"\n" not in self.pending:
            # Second by second: a machine that sleeps meanwhile costs one, not all.
            if not any(self.selector.select(1) for _ in range(seconds)):
                raise TimeoutError
            block = os.read(self.stream.fileno(), 1 << 16)
            if not block:
                return None
            self.pending += block
        line, _, self.pending = self.pending.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self, *, hangs: bool = False) -> str:
        """End it with all its children; how it ended by itself, or where it hung."""
        if hangs:
            self.child.send_signal(signal.SIGABRT)  # it tells where it is
        try:
            status: int | None = self.child.wait(5)
        except subprocess.TimeoutExpired:
            status = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.selector.close()
        said = (
            self.child.stderr.read().decode(errors="replace")[-2000:] if self.child.stderr else ""
        )
        if hangs or status is None:
            return f"did not end in time: {said}"
        return f"ended with status {status}: {said}" if status else ""


def run(name: str, cases: int, seed: int, first: int, plant: str, seconds: int) -> Tally:
    """The cases ``first`` to ``first + cases`` of a format."""
    tally = Tally(name)
    todo, end = first, first + cases
    while todo < end and len(tally.faults) < MOST_FAULTS:
        request = {"format": name, "seed": seed, "first": todo, "cases": end - todo, "plant": plant}
        worker = Worker(request)
        if worker.answer(SECONDS_TO_START) is None:
            raise SystemExit(f"{name}: the worker does not start: {worker.end()}")
        try:
            while (answer := worker.answer(seconds)) is not None:
                todo = answer["case"] + 1
                tally.counts[answer["outcome"]] += 1
                tally.slowest = max(tally.slowest, (answer["seconds"], answer["case"]))
                if answer["fault"]:
                    tally.faults.append((answer["case"], answer["fault"]))
            fate = worker.end()
        except TimeoutError:
            fate = worker.end(hangs=True)
        if todo < end:
            tally.counts["fault"] += 1
            tally.faults.append((todo, fate))
            todo += 1
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help="which formats; all")
    parser.add_argument("--cases", type=int, default=2000, help="how many of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="what a case may take")
    parser.add_argument("--plant", default="", help="Python to run in the worker first")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    from corpus import FORMATS

    faulty = False
    for name in options.formats or FORMATS:
        tally = run(
            name, options.cases, options.seed, options.first, options.plant, options.seconds
        )
        counts = ", ".join(f"{count} {what}" for what, count in sorted(tally.counts.items()))
        slow, case = tally.slowest
        print(f"{name}: {counts}; slowest {slow:.2f} s (case {case})", flush=True)
        for case, fault in tally.faults:
            faulty = True
            print(f"  FAULT: --seed {options.seed} --first {case} --cases 1 {name}\n    "
                  + "\n    ".join(fault.strip().splitlines()), flush=True)  # fmt: skip
    return int(faulty)


if __name__ == "__main__":
    sys.exit(main())
