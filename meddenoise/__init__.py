"""Takes the noise out of medical images, on the scan you have, in the format it came in.

    import meddenoise as md

    run = md.train("configs/mri_n2v.yaml", overrides=["data.images=scan.nii.gz"])
    clean = md.denoise("scan.nii.gz", model=run.directory / "model.safetensors")
    md.write(clean, "clean.nii.gz")

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from meddenoise._version import __version__

if TYPE_CHECKING:
    from meddenoise.config import Config
    from meddenoise.data.samples import sample
    from meddenoise.errors import MeddenoiseError
    from meddenoise.inference import Denoiser
    from meddenoise.io import read, write
    from meddenoise.networks import register_network
    from meddenoise.noise import register_noise, simulate
    from meddenoise.training import (
        Noise2VoidTrainer,
        SupervisedTrainer,
        Trainer,
        register_trainer,
    )
    from meddenoise.volume import Volume
    from meddenoise.workflows.denoise import denoise
    from meddenoise.workflows.evaluate import evaluate
    from meddenoise.workflows.train import train

_HOME = {
    "Config": "meddenoise.config",
    "Denoiser": "meddenoise.inference",
    "MeddenoiseError": "meddenoise.errors",
    "Noise2VoidTrainer": "meddenoise.training",
    "SupervisedTrainer": "meddenoise.training",
    "Trainer": "meddenoise.training",
    "Volume": "meddenoise.volume",
    "denoise": "meddenoise.workflows.denoise",
    "evaluate": "meddenoise.workflows.evaluate",
    "read": "meddenoise.io",
    "register_network": "meddenoise.networks",
    "register_noise": "meddenoise.noise",
    "register_trainer": "meddenoise.training",
    "sample": "meddenoise.data.samples",
    "simulate": "meddenoise.noise",
    "train": "meddenoise.workflows.train",
    "write": "meddenoise.io",
}

__all__ = [
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


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'meddenoise' has no attribute '{name}'")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
