"""The training loop, the same for every trainer; built on Hugging Face Accelerate.

Read it top down: ``run`` is the loop, ``_step`` one step, ``_save`` and ``_restore`` the
checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import broadcast
from numpy.typing import NDArray
from torch import Tensor, nn

from meddenoise.config import TrainingConfig
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Sampler
from meddenoise.devices import choose_device
from meddenoise.errors import ConfigError, MeddenoiseError
from meddenoise.inference.memory import is_out_of_memory
from meddenoise.training.accelerator import make_accelerator
from meddenoise.training.arithmetic import Arithmetic, choose_arithmetic
from meddenoise.training.average import WeightAverage
from meddenoise.training.checkpoint import Checkpoint
from meddenoise.training.exact_gradients import exact_gradients
from meddenoise.training.growth import Growth
from meddenoise.training.interrupt import StopRequest
from meddenoise.training.lock import run_lock
from meddenoise.training.memory_advice import memory_advice
from meddenoise.training.monitor import Monitor
from meddenoise.training.output_shape import check_shape_once
from meddenoise.training.patience import Patience
from meddenoise.training.pictures import validation_pictures
from meddenoise.training.same_run import check_same_run, settings_of
from meddenoise.training.schedule import ema_decay, learning_rate
from meddenoise.training.trainer import Trainer
from meddenoise.training.validate import validate

__all__ = ["Diverged", "Engine", "Interrupted", "Result"]


class Diverged(MeddenoiseError):
    """The loss became infinite or not a number."""


class Interrupted(MeddenoiseError):
    """The user stopped the run; its checkpoint is saved."""

    exit_status = 130


@dataclass(frozen=True)
class Result:
    """What came out of a run.

    Attributes:
        network: the moving average of the weights, in evaluation mode.
        steps: done in all.
        seconds: spent training, validation included, over all resumptions.
        voxels_per_second: that went through the network in training steps of this process
            group since it was started; ``None`` if it made no step.
        validation: the last validation's values.
        stopped_early: validations no longer became better (``training.patience``).
        arithmetic: in which precision and memory layout it was computed.
    """

    network: nn.Module
    steps: int
    seconds: float
    voxels_per_second: float | None
    validation: dict[str, float]
    stopped_early: bool = False
    arithmetic: Arithmetic | None = None


class Engine:
    """Trains a network.

    Args:
        trainer: says what a step is.
        network: its weights are trained in place.
        train: where training patches come from.
        val: where validation patches come from; they and their noise are the same every time.
        settings: steps, learning rate and the like.
        batch: patches a step, over all processes together.
        patch_from: voxels per axis of the patches at the start, which then grow; ``None`` for no
            growth.
        seed: every random number is a function of it and of the step.
        directory: for checkpoints and logs; ``None`` keeps nothing on disk.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        progress: show a progress bar.
        config: what else must be the same when it is resumed, as JSON; ``""`` for nothing.
        arithmetic: how to compute, if that is known already (of a run that is resumed); else it is
            chosen.

    Raises:
        ConfigError: the trainer needs clean partners and there are none, or the batch does not
            divide among the processes.
    """

    def __init__(
        self,
        trainer: Trainer,
        network: nn.Module,
        train: Sampler,
        *,
        val: Sampler | None = None,
        settings: TrainingConfig | None = None,
        batch: int = 4,
        patch_from: Sequence[int] | None = None,
        seed: int = 0,
        directory: Path | None = None,
        device: str = "auto",
        progress: bool = True,
        config: str = "",
        arithmetic: Arithmetic | None = None,
    ) -> None:
        self.settings = settings or TrainingConfig()
        self.arithmetic = arithmetic or choose_arithmetic(
            self.settings,
            choose_device(device),
            network,
            (batch, trainer.inputs, *train.patch),
        )
        self.accelerator = make_accelerator(
            self.arithmetic.precision,
            device,
            trackers=self.settings.trackers,
            directory=directory,
        )
        self.trainer, self.seed = trainer, seed
        self.train = train.to(self.accelerator.device)
        self.val = None if val is None else val.to(self.accelerator.device)
        self.world = self.accelerator.num_processes
        if trainer.needs_target and not train.has_target:
            raise ConfigError(
                f"{type(trainer).__name__} learns from clean partners and there are none: give "
                "data.targets, or clean data.images with a noise section, or take noise2void."
            )
        if batch % self.world:
            raise ConfigError(f"data.batch {batch} does not divide among {self.world} processes.")
        self.batch = batch // self.world
        self.growth = Growth(self.train, patch_from, self.batch)
        self.patience = Patience(self.settings.patience)
        self.directory = directory
        network = self.arithmetic.lay_out(network.to(self.accelerator.device), len(train.patch))
        if not any(p.requires_grad for p in network.parameters()):
            raise ConfigError("The network has no weights to train.")
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=1e-3, weight_decay=self.settings.weight_decay
        )
        self.average = WeightAverage(network)
        check_shape_once(network)
        self.network, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.step, self.seconds = 0, 0.0
        self._validation: dict[str, float] = {}
        self._looks = self.settings.validate_batches
        self._config = config
        self._progress = progress

    def run(self, *, resume: bool = False) -> Result:
        """Train to the last step.

        Args:
            resume: go on from the checkpoint in ``directory``, if there is one; on a CPU the
                result is then the same to the bit as that of an uninterrupted run.

        Raises:
            Diverged: the loss is no finite number; the last good checkpoint is kept.
            Interrupted: by Ctrl-C or SIGTERM; a checkpoint was saved.
            ConfigError: the checkpoint is of a run with other settings, or a step has no memory.
            FileError: the checkpoint is damaged.
            OutputError: the directory cannot be written, or another run is writing to it.
            ModelError: the network does not keep the shape of its input.
        """
        mine = self.directory is not None and self.accelerator.is_main_process
        with run_lock(self.directory) if mine and self.directory else nullcontext():
            try:
                return self._run(resume)
            except (MemoryError, RuntimeError) as fault:
                if not is_out_of_memory(fault):
                    raise
                raise ConfigError(self._too_large()) from fault

    def _run(self, resume: bool) -> Result:
        if resume:
            self._restore()
        voxels = 0
        monitor = Monitor(
            self.accelerator, self.directory, self.settings, self.step, self._progress
        )
        first, busy, began = self.step, 0.0, time.perf_counter() - self.seconds
        exact = exact_gradients(self.network, self.accelerator.device)
        with monitor, exact, StopRequest() as stop:
            while not self._finished():
                started = time.perf_counter()
                patches, batch = self.growth.at(self.progress)
                loss, terms = self._step(patches, batch)
                self.step += 1
                voxels += batch * self.world * math.prod(patches.patch)
                busy += time.perf_counter() - started
                self._elapse(time.perf_counter() - began)
                last, stopping = self._finished(), self._anywhere(stop.requested)
                looking = last or self.step % self.settings.validate_every == 0
                saving = last or stopping or self.step % self.settings.checkpoint_every == 0
                if not self._finite(loss, certainly=saving or looking):
                    raise self._diverged()
                monitor.step(self.step, self.progress, loss, terms, voxels / busy)
                if self.val and looking:
                    self._validation = self._validate(self.val)
                    monitor.validation(self.step, self._validation)
                    if monitor.takes_pictures:
                        monitor.pictures(self.step, self._pictures(self.val))
                    self.patience.look(self._validation)
                    last = last or self.patience.over
                if saving or last:
                    self._save()
                if stopping and not last:
                    raise Interrupted(self._stopped())
        # A module of the user's goes back without the precision that Accelerate put around it.
        self.accelerator.unwrap_model(self.network, keep_fp32_wrapper=False)
        return Result(
            self.average.network,
            self.step,
            self.seconds,
            voxels / busy if self.step > first else None,
            self._validation,
            self.patience.over and self.progress < 1,
            self.arithmetic,
        )

    @property
    def progress(self) -> float:
        """The share of the run that is done, 0 to 1: by steps, or by the clock if that is ahead."""
        done = self.step / self.settings.steps
        if self.settings.max_minutes is not None:
            done = max(done, self.seconds / (60 * self.settings.max_minutes))
        return min(done, 1.0)

    def _finished(self) -> bool:
        return self.progress >= 1 or self.patience.over

    def _draws(self, step: int | str, batch: int) -> Draws:
        rank = self.accelerator.process_index
        device = self.accelerator.device
        return Draws(self.seed, step, batch, rank, self.world, device, self.progress)

    def _validate(self, patches: Sampler) -> dict[str, float]:
        """A look at the frozen patches."""
        frozen = (self._draws(f"validation {n}", self.batch) for n in range(self._looks))
        return validate(
            self.trainer,
            self.average.network,
            patches,
            frozen,
            self.accelerator,
            risk=self.patience.limit is not None,
        )

    def _pictures(self, patches: Sampler) -> dict[str, NDArray[np.uint8]]:
        """What the network makes of the first of the frozen patches."""
        batch = patches.draw(self._draws("validation 0", self.batch))
        with self.accelerator.autocast():
            return validation_pictures(self.trainer, self.average.network, batch)

    def _step(self, patches: Sampler, batch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """One update of the weights, by so many patches."""
        rate = learning_rate(
            self.trainer.schedule(self.progress),
            peak=self.settings.learning_rate,
            warmup=self.settings.warmup,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        draws = self._draws(self.step, batch)
        drawn = patches.draw(draws)
        with self.accelerator.autocast(), draws.seeded():
            loss, terms = self.trainer.training_step(self.network, drawn, draws)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        if self.settings.clip is not None:
            self.accelerator.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimizer.step()
        decay = ema_decay(self.step, decay=self.settings.ema)
        self.average.update(self.accelerator.unwrap_model(self.network), decay)
        return loss.detach(), {name: term.detach() for name, term in terms.items()}

    def _finite(self, loss: Tensor, *, certainly: bool) -> bool:
        """Whether the run is sound; before a checkpoint the weights are asked as well."""
        # Asked of the CPU at every step; of a GPU only now and then, not to stall its queue.
        if loss.device.type != "cpu" and self.step % 20 and not certainly:
            return True
        sound = bool(torch.isfinite(loss))
        if certainly:
            norms = torch._foreach_norm(list(self.average.network.parameters()))
            sound = sound and bool(torch.isfinite(torch.stack(norms)).all())
        return not self._anywhere(not sound)

    def _anywhere(self, flag: bool) -> bool:
        """Whether the flag is up on any process, so that all do the same."""
        if self.world == 1:
            return flag
        mine = torch.tensor(float(flag), device=self.accelerator.device)
        return bool(self.accelerator.reduce(mine, reduction="sum") > 0)

    def _elapse(self, seconds: float) -> None:
        self.seconds = seconds
        if self.world > 1 and self.settings.max_minutes is not None:
            clock = torch.tensor(seconds, device=self.accelerator.device, dtype=torch.float64)
            self.seconds = float(broadcast(clock))

    def _diverged(self) -> Diverged:
        return Diverged(
            f"The loss or the weights are not finite at step {self.step}. Lower "
            "training.learning_rate, or check the scan's value range with 'meddenoise info'."
            f"{Checkpoint.kept_in(self.directory)}"
        )

    def _too_large(self) -> str:
        return memory_advice(
            self.batch * self.world,
            self.train.patch,
            processes=self.world,
            step=self.step,
            directory=self.directory,
        )

    def _stopped(self) -> str:
        if self.directory is None:
            return f"Stopped at step {self.step} of {self.settings.steps}."
        return (
            f"Stopped at step {self.step} of {self.settings.steps}; the checkpoint is saved: run "
            "the same command with --resume to go on."
        )

    def _save(self) -> None:
        if self.directory is None or not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        Checkpoint(
            step=self.step,
            seconds=self.seconds,
            network=self.accelerator.unwrap_model(self.network).state_dict(),
            average=self.average.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            scaler=None if scaler is None else scaler.state_dict(),
            validation=self._validation,
            settings=self._settings(),
            trainer=self.trainer.state_dict(),
            patience=self.patience.state_dict(),
            arithmetic=self.arithmetic.as_dict(),
        ).save(self.directory / "checkpoint")

    def _restore(self) -> None:
        if self.directory is None:
            raise ConfigError("A run without a directory has no checkpoint to resume from.")
        saved = Checkpoint.load(self.directory / "checkpoint", self.accelerator.device)
        if self._anywhere(saved is None):
            if self._anywhere(saved is not None):
                raise ConfigError(
                    f"Not every process finds the checkpoint in {self.directory}: it must be on a "
                    "file system that all of them see."
                )
            return
        assert saved is not None
        check_same_run(self.directory, saved.settings, self._settings())
        if saved.arithmetic and not self.arithmetic.same(Arithmetic.from_dict(saved.arithmetic)):
            told = [f"training.{key}={saved.arithmetic[key]}" for key in ("precision", "layout")]
            raise ConfigError(
                f"The checkpoint in {self.directory} was computed otherwise than this device would "
                f"by itself: resume with {' and '.join(told)}."
            )
        self.accelerator.unwrap_model(self.network).load_state_dict(saved.network)
        self.average.network.load_state_dict(saved.average)
        self.optimizer.load_state_dict(saved.optimizer)
        if saved.scaler is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(saved.scaler)
        self.trainer.load_state_dict(saved.trainer)
        if saved.patience:
            self.patience.load_state_dict(saved.patience)
        self.step, self.seconds = saved.step, saved.seconds
        self._validation = saved.validation

    def _settings(self) -> str:
        return settings_of(
            self._config,
            self.settings,
            self.trainer,
            self.average.network,
            seed=self.seed,
            batch=self.batch * self.world,
        )
