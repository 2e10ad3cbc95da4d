from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import MissingDependency, ParameterError
from meddenoise.workflows.cluster import check_cluster
from meddenoise.workflows.denoise import denoise_files


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    place = tmp_path / "cohort"
    for number in range(8):
        array = np.random.default_rng(number).normal(100, 10, (24, 25, 26))
        md.write(md.Volume.from_array(array), place / f"{number}.nii.gz")
    return place


@pytest.fixture
def model(tmp_path: Path) -> Path:
    from meddenoise.networks import build_network

    info = {"network": {"name": "unet", "dims": 3, "options": {"channels": [2, 2]}}}
    network = build_network("unet", dims=3, channels=[2, 2])
    return md.Denoiser(network, info=info, device="cpu").save(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "said", ["local", "local:0", "local:two", "tcp://host", "http://host:80", "tcp://a/b:1", ""]
)
def test_no_such_cluster(said: str) -> None:
    with pytest.raises(ParameterError, match="say local:N"):
        check_cluster(said)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    pytest.importorskip("distributed")
    with pytest.raises(MissingDependency, match="slurm needs dask_jobqueue: pip install"):
        check_cluster("slurm")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependency, match=r"pip install \"meddenoise\[cluster\]\""):
        check_cluster("local:2")


def test_a_scheduler_that_does_not_answer(cohort: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(ParameterError, match=r"No Dask scheduler answers at tcp://127.0.0.1:9"):
        denoise_files(cohort, tmp_path / "out", method="median", cluster="tcp://127.0.0.1:9")


def test_a_killed_workers_scans_are_done_again_elsewhere(
    cohort: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    out, killed = tmp_path / "out", []
    (cohort / "3.nii.gz").write_bytes(b"no scan")
    # Slow scans: nothing is finished while its worker is still to be killed.
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "def wait(place=Path(os.environ['WAITING'])):\n"
        "    (place / str(os.getpid())).touch()\n"
        "    while not (place / 'go').exists(): time.sleep(0.02)\n"
        "import importlib.abc, importlib.machinery\n"
        "class Slow(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'meddenoise.inference.compute': wait()\n"
        "import sys; sys.meta_path.insert(0, Slow())\n"
    )
    waiting = tmp_path / "waiting"
    waiting.mkdir()
    monkeypatch.setenv("WAITING", str(waiting))
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(slow), before]))

    def kill() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and len([*waiting.iterdir()]) < 2:
            time.sleep(0.05)
        for first in sorted(waiting.iterdir())[:1]:
            killed.append(int(first.name))
            os.kill(killed[0], signal.SIGKILL)
        (waiting / "go").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    told: list[float] = []
    outcomes = denoise_files(
        cohort, out, model=model, cluster="local:2", device="cpu", progress=told.append
    )
    killer.join()
    assert len(killed) == 1
    assert told == sorted(told)
    assert told[-1] == 1
    assert [outcome.error is None for outcome in outcomes] == [n != 3 for n in range(8)]
    assert "3.nii.gz" in str(outcomes[3].error)
    assert sorted(p.name for p in out.iterdir()) == [f"{n}.nii.gz" for n in range(8) if n != 3]
    done_by = {note for outcome in outcomes for note in outcome.notes if "process" in note}
    assert done_by
    assert not any(note.endswith(f" {killed[0]}") for note in done_by)
    (cohort / "3.nii.gz").unlink()
    here = denoise_files(cohort, tmp_path / "here", model=model, device="cpu")
    for outcome in here:
        name = Path(outcome.input).name
        one, other = md.read(tmp_path / "here" / name), md.read(out / name)
        assert np.allclose(one.array, other.array, atol=1e-3)
