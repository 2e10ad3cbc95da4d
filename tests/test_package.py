from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import meddenoise as md

PUBLIC = [
    "Config",
    "Denoiser",
    "MeddenoiseError",
    "Noise2VoidTrainer",
    "SupervisedTrainer",
    "Trainer",
    "Volume",
    "__version__",
    "denoise",
    "evaluate",
    "read",
    "register_network",
    "register_noise",
    "register_trainer",
    "sample",
    "simulate",
    "train",
    "write",
]

# One process runs all paths one after the other, the lightest first, and says after each which of
# the heavy libraries have been imported so far.
PATHS = """
import contextlib, io, json, sys

HEAVY = ("torch", "monai", "nibabel", "pydicom", "SimpleITK", "pydantic", "scipy", "skimage",
         "matplotlib", "accelerate")
found = {}

def look(name):
    found[name] = [library for library in HEAVY if library in sys.modules]

def run(*words):
    sys.argv = ["meddenoise", *words]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as left:
            assert not left.code, (words, left.code)

scan, model, out = sys.argv[1:]
import meddenoise
look("import")
from meddenoise.cli import run as main  # not in a process started anew
run("--version")
run("--help")
run("denoise", "--help")
look("help")
run("info", scan)
look("info")
for method in ("median", "mean", "gaussian", "wavelet", "total_variation"):
    run("denoise", scan, out + "/" + method + ".nii.gz", "--method", method)
look("filters")
run("methods")
look("methods")
run("denoise", scan, out + "/model.nii.gz", "--model", model)
look("model")
print(json.dumps(found))
"""


def test_the_public_names_are_these() -> None:
    assert md.__all__ == PUBLIC
    assert dir(md) == sorted(PUBLIC)
    assert set(md._HOME) == set(PUBLIC) - {"__version__"}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_described(name: str) -> None:
    value = getattr(md, name)
    assert value is getattr(md, name)
    if name != "__version__":
        assert value.__doc__
        assert value.__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'denoize'"):
        _ = md.denoize


def test_light_paths_import_nothing_heavy(tmp_path: Path) -> None:
    from meddenoise.networks import build_network

    rng = np.random.default_rng(0)
    scan = md.write(
        md.Volume.from_array(rng.normal(100, 10, (16, 16, 12))), tmp_path / "scan.nii.gz"
    )
    network = build_network("unet", dims=3, channels=[4, 8])
    info = {"network": {"name": "unet", "dims": 3, "options": {"channels": [4, 8]}}}
    model = md.Denoiser(network, info=info, device="cpu").save(tmp_path / "model.safetensors")

    asked = subprocess.run(
        [sys.executable, "-c", PATHS, scan, model, tmp_path],
        capture_output=True,
        text=True,
        cwd=Path(md.__file__).parents[1],
    )
    assert asked.returncode == 0, asked.stderr
    assert asked.stderr == ""
    found = {name: set(names) for name, names in json.loads(asked.stdout).items()}
    assert found["import"] == set()
    assert found["help"] <= {"pydantic"}  # recent Typers bring it along
    for path in ("info", "filters", "methods"):
        assert not found[path] & {"torch", "monai", "SimpleITK", "accelerate"}
    assert "torch" in found["model"]  # or the test looks at nothing
    assert not found["model"] & {"monai", "accelerate", "matplotlib", "SimpleITK"}
