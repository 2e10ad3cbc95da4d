"""``meddenoise denoise --adapt``: the network that ships, with time to look at one scan longer."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.workflows.ensemble import Both, Effort
from meddenoise.workflows.refined import NOT_LEARNT, why_not_learnt
from meddenoise.workflows.way import Progress

if TYPE_CHECKING:
    from meddenoise.pretrained.assumed import Assumed
    from meddenoise.pretrained.ready import ReadyDenoiser
    from meddenoise.pretrained.thick import ThickSliced

__all__ = ["adapted", "check_adapt"]


def check_adapt(seconds: float | None, method: str | None, model: object) -> None:
    """Raise for seconds that cannot be, or that nothing takes.

    Raises:
        ParameterError: not above 0, or beside a method or a model.
    """
    if seconds is None:
        return
    if not (math.isfinite(seconds) and seconds > 0):
        raise ParameterError(f"--adapt is {seconds:g}: it is above 0, in seconds.")
    if method is not None or model is not None:
        raise ParameterError(
            "--adapt is for the network that ships: leave --method and --model out. (--method auto "
            "has --budget, and a model goes on learning by training.start_from.)"
        )


def adapted(
    z: NDArray[np.floating],
    network: ReadyDenoiser | ThickSliced,
    noise: Assumed,
    *,
    spacing: Sequence[float],
    seconds: float,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """A scan by the network that ships, by BM4D, and by what can be learnt from it alone.

    The mean of the first two is better than either. Then some thirty numbers, and a small network
    where it holds on a part that it did not see, are learnt from recorruptions of the scan: they
    bring back what the mean took of the image, and take away what it left of the noise
    (:func:`meddenoise.training.refine.refine`). To train the network that ships itself on the scan
    gained less in that time: 0.02 to 0.04 dB a minute on two heads, and lost at higher rates.

    Args:
        z: ``(X, Y)`` or ``(X, Y, Z)``, with noise of standard deviation 1.
        network: for so many axes.
        noise: of the scan.
        spacing: voxel size in mm per axis.
        seconds: for all of it; the two as they are take as long as they take.
        progress: called with the finished fraction.

    Returns:
        float32 of the same shape; with a warning the mean of the two, where the noise is correlated
        between voxels, as it would be learnt for anatomy, and where nothing was learnt of any use.
    """

    def both(learns: bool) -> Both:
        effort = Effort.within(z.shape, seconds, learns=learns)
        return Both(network, spacing, noise.floor, noise.second, noise.correlation, effort)

    noisy = z.astype(np.float32)
    if not noise.white:
        warnings.warn(NOT_LEARNT, stacklevel=3)
        return both(learns=False).mean(noisy, 1.0)
    from meddenoise.training.refine import refine

    asked = both(learns=True)
    found = refine(
        noisy,
        asked.mean,
        others=asked.others_within(z.shape, seconds),
        sigma=1.0,
        seconds=seconds,
        spacing=spacing,
        device=str(network.denoiser.device),
        floor=noise.floor,
        progress=progress,
    )
    if not (found.refined or found.recombined):
        warnings.warn(why_not_learnt(found), stacklevel=3)
    return np.asarray(found.image, dtype=np.float32)
