"""Knowledge distillation: a small network learns what a large one does."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meddenoise.config import Config, StabiliseConfig
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.devices import fast_layout
from meddenoise.errors import ParameterError
from meddenoise.hashing import file_hash
from meddenoise.inference.model_file import load_model
from meddenoise.networks import with_noise_map
from meddenoise.noise import NoiseModel
from meddenoise.training.known_model import check_same_numbers
from meddenoise.training.losses import Compared, LossOption
from meddenoise.training.supervised import SupervisedTrainer
from meddenoise.training.trainer import register_trainer

__all__ = ["DistillationTrainer"]


@register_trainer("distillation")
class DistillationTrainer(SupervisedTrainer):
    """The result of a trained model is the target (Hinton, Vinyals and Dean, 2015, for regression).

    Needs no clean scans: the teacher says of every noisy patch what it makes of it, and a small
    student that runs many times faster comes close. On clean scans noise is drawn anew at every
    step, so that the student sees the teacher at many levels. It is no better than the teacher,
    but a target without noise is learned faster than one with noise.

    Args:
        teacher: a model file, of the same number of axes, normalisation and stabilisation.
        share: of the loss that the teacher has, above 0 and at most 1; the rest is the distance
            to the clean partner, and 1 needs none.
        loss: the distance, to both; as for ``supervised``.
        noise: added to the target to make the input; ``None`` takes the scan's own image.
        noise_map: give the student the noise's standard deviation as a second channel; the teacher
            gets it as it was trained.

    Raises:
        ModelError: the teacher cannot be read.
        ParameterError: an impossible share.
    """

    def __init__(
        self,
        teacher: str,
        share: float = 1.0,
        loss: LossOption = "l2",
        noise: NoiseModel | None = None,
        noise_map: bool = False,
    ) -> None:
        super().__init__(loss, noise, noise_map)
        if not 0 < share <= 1:
            raise ParameterError(f"share is above 0 and at most 1, not {share}.")
        self.share = share
        self.teacher, self.info = load_model(teacher)
        self.teacher.requires_grad_(False)
        self.teacher_map = self.info["network"].get("inputs", 1) == 2
        # A student that copies a network which ignores a voxel's own value ignores it, too.
        self.blind = bool(self.info.get("inference", {}).get("restore"))
        # Of the file its hash: a name may tell of a patient.
        self.options |= {"teacher": file_hash(teacher), "share": share}

    @property
    def needs_target(self) -> bool:  # type: ignore[override]
        """For its share of the loss, and to draw noise on."""
        return self.share < 1 or self.noise is not None

    @property
    def needs_sigma(self) -> bool:
        """The teacher may need the noise's level where the student does not."""
        return self.noise_map or self.teacher_map

    def check(self, config: Config, stabilise: StabiliseConfig) -> None:
        """The teacher must know the same axes and intensities.

        Raises:
            ConfigError: it does not.
        """
        check_same_numbers(self.info, config, stabilise, key="trainer.teacher")

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The distance to the teacher's result, and its share of the clean partner's."""
        batch = self.noisy(batch, draws)
        taught = self._teach(batch)
        output = network(self.network_input(batch))
        loss, terms = self.distance(Compared.of(output, batch, target=taught))
        if self.share == 1:
            return loss, terms
        truth, _ = self.distance(Compared.of(output, batch))
        told = {"to_teacher": loss, "to_truth": truth}
        return self.share * loss + (1 - self.share) * truth, told

    @torch.no_grad()
    def _teach(self, batch: Batch) -> Tensor:
        """What the teacher makes of the batch, float32."""
        x = batch.image
        parameter = next(self.teacher.parameters(), None)
        if parameter is not None and parameter.device != x.device:
            self.teacher = fast_layout(self.teacher.to(x.device), x.ndim - 2)
        if self.teacher_map:
            assert batch.sigma is not None  # needs_sigma: it was asked for
            x = with_noise_map(x, batch.sigma / batch.scale.flatten())
        taught: Tensor = self.teacher(x).float()
        return taught
