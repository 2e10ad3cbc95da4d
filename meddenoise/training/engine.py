"""The training loop, the same for every trainer; built on Hugging Face Accelerate.

Read it top down: ``run`` is the loop, ``_step`` one step, ``_validate`` a look at frozen
patches, ``_save`` and ``_restore`` the checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate.utils import broadcast
from torch import Tensor, nn

from meddenoise.config import TrainingConfig
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, PatchSampler
from meddenoise.devices import fast_layout
from meddenoise.errors import ConfigError, MeddenoiseError
from meddenoise.training.accelerator import make_accelerator
from meddenoise.training.average import WeightAverage
from meddenoise.training.checkpoint import Checkpoint
from meddenoise.training.interrupt import StopRequest
from meddenoise.training.monitor import Monitor
from meddenoise.training.schedule import ema_decay, learning_rate
from meddenoise.training.trainer import Trainer

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
    """

    network: nn.Module
    steps: int
    seconds: float
    voxels_per_second: float | None
    validation: dict[str, float]


class Engine:
    """Trains a network.

    Args:
        trainer: says what a step is.
        network: its weights are trained in place.
        train: where training patches come from.
        val: where validation patches come from; they and their noise are the same every time.
        settings: steps, learning rate and the like.
        batch: patches a step, over all processes together.
        seed: every random number is a function of it and of the step.
        directory: for checkpoints and logs; ``None`` keeps nothing on disk.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        progress: show a progress bar.

    Raises:
        ConfigError: the trainer needs clean partners and there are none, or the batch does not
            divide among the processes.
    """

    def __init__(
        self,
        trainer: Trainer,
        network: nn.Module,
        train: PatchSampler,
        *,
        val: PatchSampler | None = None,
        settings: TrainingConfig | None = None,
        batch: int = 4,
        seed: int = 0,
        directory: Path | None = None,
        device: str = "auto",
        progress: bool = True,
        fingerprint: str = "",
    ) -> None:
        self.settings = settings or TrainingConfig()
        self.accelerator = make_accelerator(
            self.settings.precision,
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
        self.directory = directory
        network = fast_layout(network.to(self.accelerator.device), len(train.patch))
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=1e-3, weight_decay=self.settings.weight_decay
        )
        self.average = WeightAverage(network)
        self.network, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.step, self.seconds = 0, 0.0
        self._validation: dict[str, float] = {}
        self._fingerprint = fingerprint
        self._progress = progress

    def run(self, *, resume: bool = False) -> Result:
        """Train to the last step.

        Args:
            resume: go on from the checkpoint in ``directory``, if there is one; on a CPU the
                result is then the same to the bit as that of an uninterrupted run.

        Raises:
            Diverged: the loss is no finite number; the last good checkpoint is kept.
            Interrupted: by Ctrl-C or SIGTERM; a checkpoint was saved.
            ConfigError: the checkpoint is of a run with other settings.
        """
        if resume:
            self._restore()
        voxels = self.batch * self.world * math.prod(self.train.patch)
        monitor = Monitor(
            self.accelerator, self.directory, self.settings, self.step, self._progress
        )
        first, busy, began = self.step, 0.0, time.perf_counter() - self.seconds
        with monitor, StopRequest() as stop:
            while not self._finished():
                started = time.perf_counter()
                loss, terms = self._step()
                self.step += 1
                busy += time.perf_counter() - started
                self._elapse(time.perf_counter() - began)
                rate = voxels * (self.step - first) / busy
                if not self._finite(loss):
                    raise self._diverged()
                monitor.step(self.step, self.progress, loss, terms, rate)
                last = self._finished()
                if self.val and (last or self.step % self.settings.validate_every == 0):
                    self._validation = self._validate()
                    monitor.validation(self.step, self._validation)
                stopping = self._anywhere(stop.requested)
                if last or stopping or self.step % self.settings.checkpoint_every == 0:
                    self._save()
                if stopping and not last:
                    raise Interrupted(self._stopped())
        made = self.step - first
        return Result(
            self.average.network,
            self.step,
            self.seconds,
            voxels * made / busy if made else None,
            self._validation,
        )

    @property
    def progress(self) -> float:
        """The share of the run that is done, 0 to 1: by steps, or by the clock if that is ahead."""
        done = self.step / self.settings.steps
        if self.settings.max_minutes is not None:
            done = max(done, self.seconds / (60 * self.settings.max_minutes))
        return min(done, 1.0)

    def _finished(self) -> bool:
        return self.progress >= 1

    def _draws(self, step: int | str) -> Draws:
        rank = self.accelerator.process_index
        return Draws(self.seed, step, self.batch, rank, self.world, self.accelerator.device)

    def _step(self) -> tuple[Tensor, dict[str, Tensor]]:
        """One update of the weights."""
        rate = learning_rate(
            self.progress, peak=self.settings.learning_rate, warmup=self.settings.warmup
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        draws = self._draws(self.step)
        batch = self.train.draw(draws)
        with self.accelerator.autocast():
            loss, terms = self.trainer.training_step(self.network, batch, draws)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        if self.settings.clip is not None:
            self.accelerator.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimizer.step()
        decay = ema_decay(self.step, decay=self.settings.ema)
        self.average.update(self.accelerator.unwrap_model(self.network), decay)
        return loss.detach(), {name: term.detach() for name, term in terms.items()}

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """The averaged weights on frozen patches: the loss, and PSNR where truth is known."""
        assert self.val is not None
        sums: dict[str, float] = {}
        for index in range(self.settings.validate_batches):
            draws = self._draws(f"validation {index}")
            batch = self.val.draw(draws)
            with self.accelerator.autocast():
                loss, _ = self.trainer.training_step(self.average.network, batch, draws)
                values = {"loss": loss}
                if batch.target is not None:
                    values |= _squared_errors(self.average.network(batch.image), batch)
            for name, value in values.items():
                whole = self.accelerator.reduce(value.detach().float(), reduction="mean")
                sums[name] = sums.get(name, 0.0) + float(whole)
        means = {name: value / self.settings.validate_batches for name, value in sums.items()}
        return {
            name.replace("mse", "psnr"): -10 * math.log10(value) if "mse" in name else value
            for name, value in means.items()
            if "mse" not in name or value > 0
        }

    def _finite(self, loss: Tensor) -> bool:
        # Asked of the CPU at every step; of a GPU only now and then, not to stall its queue.
        if loss.device.type != "cpu" and self.step % 20 and not self._finished():
            return True
        return not self._anywhere(not bool(torch.isfinite(loss)))

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
        kept = f"; the checkpoint before it is kept in {self.directory}" if self.directory else ""
        return Diverged(
            f"The loss is not finite at step {self.step}{kept}. Lower training.learning_rate, or "
            "check the scan's value range with 'meddenoise info'."
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
            settings=self._settings(),
        ).save(self.directory / "checkpoint")

    def _restore(self) -> None:
        if self.directory is None:
            raise ConfigError("A run without a directory has no checkpoint to resume from.")
        saved = Checkpoint.load(self.directory / "checkpoint", self.accelerator.device)
        if saved is None:
            return
        if saved.settings != self._settings():
            raise ConfigError(
                f"The checkpoint in {self.directory} is of a run with another configuration: "
                "resume with the same one, or choose another --output."
            )
        self.accelerator.unwrap_model(self.network).load_state_dict(saved.network)
        self.average.network.load_state_dict(saved.average)
        self.optimizer.load_state_dict(saved.optimizer)
        if saved.scaler is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(saved.scaler)
        self.step, self.seconds = saved.step, saved.seconds

    def _settings(self) -> str:
        """A fingerprint of all that must stay the same between a run and its resumption."""
        shapes = [tuple(p.shape) for p in self.average.network.parameters()]
        loop = self.settings.model_dump(
            mode="json", exclude={"trackers", "checkpoint_every", "validate_every"}
        )
        told = json.dumps([self._fingerprint, self.seed, self.batch * self.world, loop, shapes])
        return hashlib.sha256(told.encode()).hexdigest()


def _squared_errors(output: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Mean squared error of output and input, in units of the scan's 99.9th percentile."""
    target = batch.target
    assert target is not None
    share = batch.scale / batch.reference.view_as(batch.scale)
    valid = 1.0 if batch.valid is None else batch.valid.float()
    count = target.numel() if batch.valid is None else batch.valid.sum().clamp(min=1)

    def mse(x: Tensor) -> Tensor:
        return (((x.float() - target) * share).square() * valid).sum() / count

    return {"mse": mse(output), "mse_noisy": mse(batch.image)}
