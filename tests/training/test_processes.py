"""What only real processes show: a run that is killed, and two that train together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from meddenoise.io import write
from meddenoise.volume import Volume
from meddenoise.workflows.train import train

ROOT = Path(__file__).parents[2]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A noisy scan and its clean partner."""
    random = np.random.default_rng(0)
    clean = random.normal(size=(20, 18, 12)).cumsum(0).astype(np.float32)
    noisy = clean + random.normal(size=clean.shape).astype(np.float32)
    noisy[5:8, 5:8, 5:8] = np.nan  # unmeasured voxels must not tell the processes apart
    write(Volume.from_array(noisy), tmp_path / "noisy.nii")
    write(Volume.from_array(clean), tmp_path / "clean.nii")
    return tmp_path


# Such as let every part of a trainer have its turn within a few steps.
OPTIONS: dict[str, dict[str, Any]] = {
    "neighbor2neighbor": {"gamma": 1.0},
    "staged": {"sigma": 1.0, "switch": 0.5},
    "struct_noise2void": {"extents": [1, 0, 0]},
}


def config(images: Path, trainer: str, **training: Any) -> dict[str, Any]:
    noisy = trainer not in ("supervised", "adversarial")
    options = {"steps": 6, "validate_every": 3, "validate_batches": 1, "checkpoint_every": 3}
    return {
        "data": {
            "images": str(images / ("noisy.nii" if noisy else "clean.nii")),
            "patch": [8, 8, 8],
            "batch": 4,
        },
        "trainer": {"name": trainer, **OPTIONS.get(trainer, {})},
        "noise": None if noisy else {"name": "gaussian", "sigma": ["1%", "10%"]},
        "network": {"name": "unet", "channels": [2, 3]},
        # In half precision the order of sums would tell the processes apart.
        "training": {
            "trackers": [],
            "learning_rate": 0.01,
            "precision": "fp32",
            **options,
            **training,
        },
    }


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def checkpoint(directory: Path) -> dict[str, Any]:
    return torch.load(directory / "checkpoint" / "last.pt", weights_only=True)


def test_a_run_that_was_killed_goes_on_to_the_same_weights(images: Path) -> None:
    import yaml

    file, killed, straight = images / "run.yaml", images / "killed", images / "straight"
    file.write_text(yaml.safe_dump(config(images, "noise2void", steps=150, checkpoint_every=7)))
    command = [sys.executable, "-m", "meddenoise", "train", str(file), "--device", "cpu"]
    run = subprocess.Popen([*command, "-o", str(killed)], env=environment(), cwd=images)
    try:
        end = time.monotonic() + 180
        while not (killed / "checkpoint" / "last.pt").exists() and time.monotonic() < end:
            assert run.poll() is None
            time.sleep(0.02)
        time.sleep(0.1)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    done = checkpoint(killed)["step"]
    assert 0 < done < 150
    assert not (killed / "model.safetensors").exists()
    subprocess.run(
        [*command, "-o", str(killed), "--resume"], env=environment(), cwd=images, check=True
    )

    # In one thread, as the processes were: threads change the order of sums.
    assert train(file, output=straight, device="cpu", progress=False) is not None
    one, two = checkpoint(killed), checkpoint(straight)
    for part in ("network", "average"):
        assert all(torch.equal(one[part][key], two[part][key]) for key in two[part])
    assert one["validation"] == two["validation"]
    assert (killed / "model.safetensors").exists()


TOGETHER = """
import json, os, sys
from meddenoise.workflows.train import train

configs = json.loads(sys.argv[1])

def only_reads(event, arguments):
    # The second process may look at the runs, and must not touch them.
    if event in ("open", "os.mkdir", "os.rename", "os.remove") and "together" in str(arguments[0]):
        flags = arguments[2] if event == "open" else os.O_WRONLY
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            os.write(2, f"the second process writes {arguments}".encode())
            os._exit(3)

if os.environ["RANK"] == "1":
    sys.addaudithook(only_reads)
for output, config in configs.items():
    finished = train(config, output=output, device="cpu", progress=False)
    assert (finished is None) == (os.environ["RANK"] == "1")
print("clean exit", os.environ["RANK"])
"""


def test_two_processes_train_the_weights_of_one(images: Path) -> None:
    import json

    names = ("noise2void", "supervised", "adversarial", "unsure", "zs_n2n", *OPTIONS)
    configs = {name: config(images, name) for name in names}
    script = images / "train_both.py"
    script.write_text(TOGETHER)
    told = json.dumps({str(images / f"together-{name}"): configs[name] for name in names})
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--standalone",
    ]
    ran = subprocess.run(
        [*launch, str(script), told],
        env=environment(), cwd=images, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert {"clean exit 0", "clean exit 1"} <= set(ran.stdout.splitlines())
    for name in names:
        train(configs[name], output=images / f"alone-{name}", device="cpu", progress=False)
        one, two = checkpoint(images / f"alone-{name}"), checkpoint(images / f"together-{name}")
        assert one["step"] == two["step"] == 6
        for part in ("network", "average"):
            for key, value in one[part].items():
                assert torch.allclose(value, two[part][key], rtol=1e-3, atol=1e-5), (name, key)
        for key, value in one["trainer"].get("critic", {}).items():
            # Adam's first steps are as large for a gradient that is nearly 0, rounding and all.
            other = two["trainer"]["critic"][key]
            assert float((value - other).norm()) < 0.01 * float(value.norm()), key
        assert two["validation"]["loss"] == pytest.approx(one["validation"]["loss"], rel=1e-4)
        # Not equal for lack of training:
        assert any(
            float(value.abs().max()) > 0 for k, value in two["network"].items() if "out." in k
        )
