"""CAREamics 0.3.5 driven through its own API; imported only in the peer environment.

Run as a script it trains Noise2Void on an array for some minutes and saves the prediction:

    python careamics_side.py NOISY.npy OUT.npy --dims 3 --minutes 3

and prints one JSON line: steps, seconds, voxels_per_second, predict_seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from careamics import CAREamist
from careamics.config import create_advanced_n2v_config
from careamics.models.unet import UNet
from common import BATCH, PATCH
from lightning.pytorch import Callback

AXES = {2: "SYX", 3: "ZYX"}

warnings.filterwarnings("ignore")
for _name in ("lightning", "lightning.pytorch", "lightning.fabric", "careamics"):
    logging.getLogger(_name).setLevel(logging.ERROR)


class StepTimes(Callback):
    """When each training step ended; what lies between two of them is a whole step.

    Attributes:
        ends: seconds by the clock and of this process's CPU time.
    """

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.ends.append((time.perf_counter(), time.process_time()))


def configuration(dims: int, **more: Any) -> Any:
    """Noise2Void with CAREamics' defaults; see its ``create_advanced_n2v_config``."""
    return create_advanced_n2v_config(
        experiment_name="benchmark",
        data_type="array",
        axes=AXES[dims],
        patch_size=PATCH[dims],
        batch_size=BATCH[dims],
        seed=1,
        **more,
    )


def unet(dims: int) -> torch.nn.Module:
    """The U-Net that this configuration trains, freshly initialised."""
    torch.manual_seed(0)
    return UNet(**configuration(dims).algorithm_config.model.model_dump())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No output of the trainer on the terminal."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def step_seconds(
    array: np.ndarray, dims: int, *, steps: int, warmup: int, workers: int | None
) -> tuple[float, float]:
    """Seconds a training step after ``warmup`` steps, data loading included: clock and CPU.

    The array must hold enough patches for all steps to lie in one epoch, so that neither
    validation nor checkpoints are timed. ``workers=None`` is CAREamics' own choice.
    """
    times = StepTimes()
    with tempfile.TemporaryDirectory() as place, quiet():
        config = configuration(
            dims,
            num_epochs=1,
            num_steps=warmup + steps,
            num_workers=-1 if workers is None else workers,
            trainer_params={"accelerator": "cpu"},
        )
        careamist = CAREamist(config, work_dir=place, callbacks=[times], enable_progress_bar=False)
        careamist.train(train_data=array)
        made = careamist.trainer.global_step
    del careamist  # and with it its worker processes
    gc.collect()
    if made != warmup + steps or len(times.ends) != made:
        raise SystemExit(f"CAREamics made {made} steps of {warmup + steps}: give it more patches.")
    first, last = times.ends[warmup - 1], times.ends[-1]
    return (last[0] - first[0]) / steps, (last[1] - first[1]) / steps


class LoopTime(Callback):
    """How long the training loop took, with all that it did between its steps."""

    def on_train_start(self, *_: Any) -> None:
        self.started = time.perf_counter()

    def on_train_end(self, *_: Any) -> None:
        self.seconds = time.perf_counter() - self.started


def run_seconds(
    array: np.ndarray, dims: int, *, seconds: float, val_patches: int = 8
) -> tuple[int, float]:
    """Train for about so many seconds; the steps made and the exact time of the loop.

    Epochs are as long as the array gives patches for, each with its validation, log and
    checkpoint, as in any run. ``val_patches=8`` is CAREamics' default.
    """
    loop = LoopTime()
    with tempfile.TemporaryDirectory() as place, quiet():
        config = configuration(
            dims,
            num_epochs=100_000,
            n_val_patches=val_patches,
            trainer_params={"accelerator": "cpu", "max_time": timedelta(seconds=seconds)},
        )
        careamist = CAREamist(config, work_dir=place, callbacks=[loop], enable_progress_bar=False)
        careamist.train(train_data=array)
        steps = careamist.trainer.global_step
    del careamist
    gc.collect()
    return steps, loop.seconds


def train_and_predict(
    array: np.ndarray, dims: int, minutes: float, *, n2v2: bool = False
) -> tuple[np.ndarray, dict]:
    """Train on ``(Z, Y, X)`` for some minutes, then predict all of it without tiles."""
    # One batch of patches to validate on, which suits CAREamics: its default of 8 patches would
    # take half of the 16 that this volume has in 3-D away from the training.
    config = configuration(
        dims,
        num_epochs=100_000,
        n_val_patches=min(8, BATCH[dims]),
        trainer_params={"accelerator": "cpu", "max_time": timedelta(minutes=minutes)},
        use_n2v2=n2v2,
    )
    with tempfile.TemporaryDirectory() as place, quiet():
        careamist = CAREamist(config, work_dir=place, enable_progress_bar=False)
        started = time.perf_counter()
        careamist.train(train_data=array)
        trained = time.perf_counter()
        steps = careamist.trainer.global_step
        predicted, _ = careamist.predict(array, batch_size=1, tile_size=None, num_workers=0)
        done = time.perf_counter()
    voxels = int(np.prod(PATCH[dims])) * BATCH[dims]
    figures = {
        "steps": steps,
        "seconds": trained - started,
        "voxels_per_second": steps * voxels / (trained - started),
        "predict_seconds": done - trained,
    }
    return np.asarray(predicted[0], dtype=np.float32).reshape(array.shape), figures


def main(given: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("noisy", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--dims", type=int, choices=(2, 3), required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--n2v2", action="store_true", help="Noise2Void2 instead")
    options = parser.parse_args(given)
    predicted, figures = train_and_predict(
        np.load(options.noisy), options.dims, options.minutes, n2v2=options.n2v2
    )
    np.save(options.output, predicted)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
