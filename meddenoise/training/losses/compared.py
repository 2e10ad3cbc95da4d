"""What a loss is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from meddenoise.data.patches import Batch
from meddenoise.errors import ParameterError

__all__ = ["Compared"]


@dataclass(frozen=True)
class Compared:
    """A prediction beside its target.

    Attributes:
        output: ``(B, 1, *patch)`` float32, normalised. Where nothing was measured it is the
            target, so that a window that reaches there finds no difference.
        target: the same.
        valid: ``(B, 1, *patch)`` bool, or ``None`` if all voxels were measured.
        shift: ``(B, 1, ...)``, to return to the scan's units: x * scale + shift.
        scale: see ``shift``.
        data_range: ``(B,)``: 99.9th minus 0.1th percentile of each patch's clean scan, in its
            units; ``None`` if it is not known.
    """

    output: Tensor
    target: Tensor
    valid: Tensor | None
    shift: Tensor
    scale: Tensor
    data_range: Tensor | None

    @classmethod
    def of(cls, output: Tensor, batch: Batch, target: Tensor | None = None) -> Compared:
        """A network's output for a batch, beside the batch's target or another one."""
        wanted = batch.target if target is None else target
        assert wanted is not None  # the engine has checked that there are targets
        output = output.float()
        if batch.valid is not None:
            output = torch.where(batch.valid, output, wanted)
        return cls(output, wanted, batch.valid, batch.shift, batch.scale, batch.data_range)

    def mean(self, values: Tensor) -> Tensor:
        """``(B,)`` from ``(B, 1, *patch)``: means over all voxels, 0 where nothing was measured.

        Not over the measured ones: so the mean over a batch is the mean over processes, too.
        """
        counted = values if self.valid is None else values * self.valid
        return counted.flatten(1).mean(1)

    def in_ranges(self) -> tuple[Tensor, Tensor]:
        """Output and target with the data range as the unit, and 0 where the scan has it.

        Raises:
            ParameterError: the data range is not known.
        """
        if self.data_range is None:
            raise ParameterError("This loss needs the data range of each scan: Batch.data_range.")
        unit = self.data_range.view_as(self.scale)
        return (
            (self.output * self.scale + self.shift) / unit,
            (self.target * self.scale + self.shift) / unit,
        )
