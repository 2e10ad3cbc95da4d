"""The network that ships with meddenoise, which denoises a scan with no training."""

from __future__ import annotations

from meddenoise.pretrained.weights import ship, shipped_dims, shipped_weights

__all__ = ["ship", "shipped_dims", "shipped_weights"]
