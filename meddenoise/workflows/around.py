"""What is done about the bias of a scan's noise, around any way of denoising."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from meddenoise.errors import ParameterError
from meddenoise.volume import Volume
from meddenoise.workflows.way import Progress, Way

__all__ = ["Around"]


@dataclass(frozen=True)
class Around:
    """What is done about the bias of a scan's noise.

    Attributes:
        stabilise: as in :func:`meddenoise.workflows.ways.way_to_denoise`.
        debias: as in :func:`meddenoise.workflows.ways.way_to_denoise`.
        coils: as in :func:`meddenoise.workflows.ways.way_to_denoise`.
    """

    stabilise: str | None
    debias: bool
    coils: int | None

    @property
    def stabilises(self) -> bool:
        """Whether a stabilisation is asked for."""
        return self.stabilise not in (None, "none")

    def check(self) -> None:
        """Raise for what can never be."""
        from meddenoise.noise.stabilise import check_way

        check_way(self.stabilise or "none", 1 if self.coils is None else self.coils)
        if self.coils is not None and self.stabilise == "anscombe":
            raise ParameterError(
                "--coils is for magnitude MRI, and --stabilise anscombe for counted photons: leave "
                "one of the two out."
            )
        if self.debias and self.stabilises:
            raise ParameterError(
                "--stabilise brings the result back without bias, so there is none left for "
                "--debias to take away: say one of the two."
            )

    def check_method(self, own: str, name: str) -> None:
        """Raise for what a method or a model with that stabilisation of its own does not need."""
        if self.debias and own != "none":
            raise ParameterError(
                f"{name} was trained on stabilised scans and brings them back without bias: "
                "leave --debias out."
            )
        if self.coils is not None and not (self.debias or self.stabilises or own != "none"):
            raise ParameterError("--coils is for --stabilise or --debias.")

    def debiased(self, way: Way, level: Callable[[Volume], float | None]) -> Way:
        """The way, with the bias taken off its result if that was asked for."""
        if not self.debias:
            return way
        from meddenoise.noise.debias import debias_scan

        def run(volume: Volume, progress: Progress | None) -> Volume:
            denoised = way.run(volume, progress)
            return debias_scan(volume, denoised, sigma=level(volume), coils=self.coils or 1)

        return replace(way, run=run, stream=None)
