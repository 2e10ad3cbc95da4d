"""What every trainer has: one method that says what a step is.

An own one, in a research script::

    @register_trainer("mine")
    class Mine(Trainer):
        def training_step(self, network, batch, draws):
            noisier = batch.image + 0.1 * draws.normal("noise", *batch.image.shape[1:])
            loss = (network(noisier) - batch.image).square().mean()
            return loss, {}

    denoiser = Mine().fit(volume, steps=300)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from meddenoise.config.options import check_options
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ParameterError
from meddenoise.networks import with_noise_map
from meddenoise.noise.level import Level
from meddenoise.registry import Registry

if TYPE_CHECKING:
    from meddenoise.config import Config, StabiliseConfig
    from meddenoise.inference import Denoiser
    from meddenoise.training.prepare import Prepared

__all__ = ["Trainer", "build_trainer", "register_trainer", "trainer_names"]

TRAINERS: Registry[type[Trainer]]


class Trainer(ABC):
    """A way to learn. The keyword parameters of ``__init__`` are its options in a configuration."""

    needs_target: bool = False
    """Whether it learns from clean partners."""

    target_is_clean: ClassVar[bool] = True
    """Whether partners, where there are any, are the truth that results are scored against."""

    blind: bool = False
    """Whether its networks guess a voxel from the others, whose noise says nothing of its own: then
    the residual tells what they missed; see ``inference.restore``."""

    turns: bool = True
    """Whether it may learn from quarter turns of a scan; noise with a direction forbids them. Known
    once :meth:`look_at` was called."""

    noise_map: bool = False
    """Whether its networks get the noise's level as a second channel."""

    sigma: Level | None = None
    """What is known of the noise's standard deviation; ``None``: it is estimated, if needed."""

    @property
    def needs_sigma(self) -> bool:
        """Whether it must know the noise's level."""
        return self.noise_map

    @property
    def inputs(self) -> int:
        """Channels of its networks' input."""
        return 2 if self.noise_map else 1

    def network_input(self, batch: Batch) -> Tensor:
        """What the network gets of a batch: its image, and the noise map if there is one.

        Returns:
            ``(B, inputs, *patch)``.

        Raises:
            ParameterError: a noise map of noise whose level is not known.
        """
        if not self.noise_map:
            return batch.image
        if batch.sigma is None:
            raise ParameterError("A noise map needs the batch's sigma, and it is not known.")
        return with_noise_map(batch.image, batch.sigma / batch.scale.flatten())

    @abstractmethod
    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one batch.

        Args:
            network: maps :meth:`network_input` to ``(B, 1, *patch)``; call it once if you can.
            batch: normalised patches; see :class:`meddenoise.data.patches.Batch`.
            draws: the only source of random numbers, so that a run can be repeated.

        Returns:
            The scalar to minimise, and scalars to log beside it.
        """

    def arrange(self, scans: Sequence[Prepared]) -> list[Prepared]:
        """The scans of a run and their partners, as it learns from them.

        Raises:
            ConfigError: it cannot learn from them.
        """
        return list(scans)

    def check(  # noqa: B027, a hook and no duty
        self, config: Config, stabilise: StabiliseConfig
    ) -> None:
        """See how a run is configured, before its scans are normalised.

        Raises:
            ConfigError: it cannot learn so.
        """

    def look_at(self, items: Sequence[Item]) -> None:  # noqa: B027, a hook and no duty
        """See all scans of a run before its first step; what it learns is a function of them.

        Raises:
            ConfigError: it cannot learn from them.
        """

    def independent_axes(self, dims: int) -> tuple[int, ...]:
        """Along which of so many axes it takes noise for independent, and would keep what is not.

        Known once :meth:`look_at` was called.
        """
        return ()

    def schedule(self, progress: float) -> float:
        """How far the learning rate has come, 0 to 1, when that share of the run is done."""
        return progress

    def describe(self) -> dict[str, Any]:
        """The options this trainer was made with, for the model file."""
        return dict(getattr(self, "options", {}))

    def state_dict(self) -> dict[str, Any]:
        """What its next step depends on beside the network, for a checkpoint: plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027, a hook and no duty
        """Go on from what :meth:`state_dict` gave."""

    def fit(self, images: Any, targets: Any = None, **settings: Any) -> Denoiser:
        """Train on scans in memory; see :func:`meddenoise.training.fit.fit`."""
        from meddenoise.training.fit import fit

        return fit(self, images, targets, **settings)


TRAINERS = Registry("trainer", skip=("noise",))


def register_trainer(name: str) -> Any:
    """A class decorator that makes a trainer known to configurations by ``name``."""
    return TRAINERS.register(name)


def trainer_names() -> tuple[str, ...]:
    """The names that ``trainer.name`` may take."""
    return TRAINERS.names()


def build_trainer(name: str, **options: Any) -> Trainer:
    """A trainer by name.

    Raises:
        ConfigError: no such trainer, or an option that it does not have.
    """
    return TRAINERS.get(name)(**check_options(TRAINERS.options(name), options, section="trainer"))
