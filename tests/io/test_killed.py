"""Killed at any moment, a writer leaves an output that is whole, or none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from meddenoise import io
from meddenoise.volume import Volume

# A child writes one value after another to the same place; it is killed after a while, and what is
# there is read. It prints the value that all voxels have, or "none"; anything else fails here.
ARENA = """
import itertools, os, shutil, signal, sys, time
from pathlib import Path
import numpy as np
from meddenoise import io

source, target = sys.argv[1], Path(sys.argv[2])
volume = io.read(source)
io.write(volume, target)

def write_on():
    for value in itertools.count(2):
        io.write(volume.with_array(volume.array * 0 + value % 200), target, overwrite=True)

for wait in np.linspace(0.002, 0.2, 12):
    child = os.fork()
    if child == 0:
        write_on()
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not target.exists():
        print("none")
        continue
    there = io.read(target)
    assert there.shape == volume.shape
    (value,) = np.unique(there.array)
    print(value)
    shutil.rmtree(target) if target.is_dir() else target.unlink()
"""


def outcomes(source: Path, target: Path) -> list[str]:
    command = [sys.executable, "-c", ARENA, str(source), str(target)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writer is killed in a forked process")
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "series"])
def test_what_a_killed_writer_leaves_is_whole(
    make_series: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    if name == "series":
        source = make_series(np.ones((20, 32, 32), np.uint16))
    else:
        volume = Volume.from_array(np.ones((60, 60, 40), np.float32))
        source = io.write(volume, tmp_path / "in.nii")
    found = outcomes(source, tmp_path / "out" / name)
    assert len(found) == 12
    assert len(set(found)) > 1  # not always killed before the first was written
