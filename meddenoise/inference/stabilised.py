"""The stabilisation around a trained network: its own, or one that is asked for."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from meddenoise.config import StabiliseConfig
from meddenoise.errors import ModelError, ParameterError
from meddenoise.inference.planes import as_level
from meddenoise.noise.stabilise import Stabilisation, find_stabilisation
from meddenoise.volume import Volume

__all__ = ["check_asked", "stabilisation_around"]


def stabilisation_around(
    volume: Volume,
    trained: StabiliseConfig,
    *,
    sigma: float | NDArray[np.floating] | None = None,
    asked: str | None = None,
    coils: int | None = None,
) -> Stabilisation:
    """What is done to a scan before the network, and undone after it.

    Args:
        volume: the scan.
        trained: how the scans were stabilised that the network learned from.
        sigma: of Rician noise, in the scan's units; estimated if ``None``.
        asked: ``"auto"``, ``"none"``, ``"rician"`` or ``"anscombe"``; the network's own if
            ``None``.
        coils: whose sum of squares the magnitude is; as in training if ``None``.

    Raises:
        ModelError: the network has one of its own, and another is asked for.
        ParameterError: a map of sigma; as :func:`meddenoise.noise.find_stabilisation`.
    """
    check_asked(trained, asked, coils)
    way = trained.method
    asked = way if way != "none" or asked is None else asked
    if asked == "none":
        return find_stabilisation(volume, "none")
    if sigma is not None and np.ndim(sigma) > 0:
        raise ParameterError("Where noise is stabilised, sigma is one number and no map.")
    around = find_stabilisation(
        volume,
        asked,
        sigma=None if sigma is None else float(as_level(sigma, ())),
        coils=coils or trained.coils,
    )
    if around.why:
        warnings.warn(around.why, stacklevel=3)
    if around.method != way:
        warnings.warn(
            "The model was trained on scans as they are and is used on a stabilised one: one "
            "trained with noise.stabilise does better.",
            stacklevel=3,
        )
    return around


def check_asked(trained: StabiliseConfig, asked: str | None, coils: int | None = None) -> None:
    """Raise if a network with a stabilisation of its own is asked for another.

    Raises:
        ModelError: names the network's own.
    """
    way = trained.method
    if way != "none" and (asked not in (None, "auto", way) or coils not in (None, trained.coils)):
        several = "s" if trained.coils > 1 else ""
        raise ModelError(
            f"This model was trained on scans stabilised by '{way}' ({trained.coils} "
            f"coil{several}), and is for no others: leave the stabilisation to it."
        )
