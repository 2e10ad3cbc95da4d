"""One loss, or several with weights, as a configuration names them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from meddenoise.errors import ConfigError
from meddenoise.training.losses.compared import Compared
from meddenoise.training.losses.registry import LOSSES

__all__ = ["LossOption", "WeightedLoss"]


class WeightedLoss:
    """``"l2"``, or ``{"l1": 1, "ssim": 0.2}``.

    Args:
        loss: a name, or weights by name.

    Raises:
        ConfigError: no such loss, none at all, or a weight that is not above 0.
    """

    def __init__(self, loss: str | Mapping[str, float]) -> None:
        weights = {loss: 1.0} if isinstance(loss, str) else dict(loss)
        if not weights:
            raise ConfigError("There is no loss: give one, such as l2.")
        for name, weight in weights.items():
            LOSSES.get(name)
            number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            if not number or not (math.isfinite(weight) and weight > 0):
                raise ConfigError(
                    f"The weight of the loss '{name}' is above 0, not {weight!r}: leave out what "
                    "is not to count."
                )
        self.weights = weights

    def __call__(self, pair: Compared) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum's mean over the batch, and each loss without its weight if there are
        several."""
        # Windows and spectra in half precision would be their own noise.
        with torch.autocast(pair.output.device.type, enabled=False):
            values = {name: LOSSES.get(name)(pair).mean() for name in self.weights}
        total = torch.stack([w * values[name] for name, w in self.weights.items()]).sum()
        return total, values if len(values) > 1 else {}


def _checked(loss: str | dict[str, float]) -> str | dict[str, float]:
    try:
        WeightedLoss(loss)
    except ConfigError as fault:
        raise ValueError(str(fault)) from None
    return loss


def _with_names(schema: dict[str, Any]) -> None:
    """The names of all losses, for editors."""
    names = list(LOSSES.names())
    for branch in schema["anyOf"]:
        if branch["type"] == "string":
            branch["enum"] = names
        else:
            branch["propertyNames"] = {"enum": names}


LossOption: TypeAlias = Annotated[
    str | dict[str, float], AfterValidator(_checked), Field(json_schema_extra=_with_names)
]
"""A trainer's option that :class:`WeightedLoss` takes."""
