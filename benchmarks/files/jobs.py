"""Work for a tool in a process of its own, which may be that of another environment.

    python jobs.py TOOL         # then jobs as JSON lines on stdin, answers as JSON lines on stdout

Every job runs in a forked child with a time limit of its own, so that a crash or a hang costs one
cell of the table. A read answers with a ``.npz``: ``array0``, ``affine0``, ``array1``, ... as
:mod:`files.tools` has them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    # The tools, and what they are beside.
    sys.path[:0] = [str(Path(__file__).resolve().parents[up]) for up in (1, 2)]

from files.tools import TOOLS, Tool

SECONDS = 90


def work(tool: Tool, job: dict[str, Any]) -> None:
    """One job in this process: the answer goes to files in ``job["place"]``."""
    os.chdir(job["place"])
    try:
        if job["op"] == "read":
            volumes = tool.read(Path(job["path"]))
            arrays = {f"array{n}": array for n, (array, _) in enumerate(volumes)}
            affines = {f"affine{n}": affine for n, (_, affine) in enumerate(volumes)}
            np.savez("volumes.npz", **arrays, **affines)
        else:
            tool.give_back(Path(job["path"]), Path(job["out"]))
    except Exception as error:
        Path("error.json").write_text(json.dumps([type(error).__name__, str(error)]))


def run(tool: Tool, job: dict[str, Any]) -> dict[str, Any]:
    """One job in a child: how it ended, ``"done"``, ``"signal 11"`` or ``"hang"``."""
    place = Path(job["place"])
    child = os.fork()
    if child == 0:
        log = os.open(place / "said", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        warnings.simplefilter("always")
        try:
            work(tool, job)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    deadline = time.monotonic() + SECONDS
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            died = os.WIFSIGNALED(status)
            return {"end": f"signal {os.WTERMSIG(status)}" if died else "done"}
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"end": "hang"}
        time.sleep(0.01)


def main(work_on: Callable[[Tool, dict[str, Any]], dict[str, Any]] = run) -> None:
    tool = TOOLS[sys.argv[1]]
    answers = os.fdopen(os.dup(1), "w")  # what libraries print goes elsewhere
    os.dup2(2, 1)
    tool.prepare()
    for line in sys.stdin:
        answers.write(json.dumps(work_on(tool, json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
