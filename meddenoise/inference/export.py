"""A trained network as it is used and saved: without what only training needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from meddenoise.networks.fold import fold_batch_norm

__all__ = ["exported"]


def exported(network: nn.Module, info: Mapping[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """The network with its batch norms folded, and the description that builds that one.

    Only where the description says ``batch_norm: true``: of a module that no registry knows, nobody
    could build the folded one again.
    """
    made = info.get("network") or {}
    options = made.get("options") or {}
    if options.get("batch_norm") is not True:
        return network, dict(info)
    folded = fold_batch_norm(network)
    told = {
        **made,
        "options": {**options, "batch_norm": False},
        "trained_with": {"batch_norm": True},
        "parameters": sum(parameter.numel() for parameter in folded.parameters()),
    }
    return folded, {**info, "network": told}
