"""A trained network taught the very scan: ``meddenoise denoise --adapt SECONDS``."""

from __future__ import annotations

import copy
import warnings
from functools import partial

import numpy as np
from numpy.typing import NDArray

from meddenoise.filters.risk import expected_error
from meddenoise.inference import Denoiser
from meddenoise.pretrained.ready import ReadyDenoiser
from meddenoise.volume import Volume

__all__ = ["adapt"]

_PATCH = (48, 48, 48)
# Lower than from nothing: the weights are good already, and a few steps are to stay near them.
_RATE = 3e-4
# Shortest side that a network with its halvings learns from.
_LEAST = 16


def adapt(
    ready: ReadyDenoiser,
    array: NDArray[np.floating],
    seconds: float,
    *,
    valid: NDArray[np.bool_],
    seed: int = 0,
) -> ReadyDenoiser:
    """The network after a self-supervised training on one scan, if it became better by it.

    Recorrupted-to-recorrupted (:class:`meddenoise.training.r2r.R2RTrainer`) at the noise's known
    level. The judge is Stein's unbiased estimate of the error on the scan
    (:func:`meddenoise.filters.risk.expected_error`): where the training did not lower it, the
    weights stay as they were.

    Args:
        ready: the network; not changed.
        array: ``(X, Y, Z)`` with white Gaussian noise of standard deviation 1.
        seconds: of training.
        valid: bool, the voxels that were measured.
        seed: of all random numbers.
    """
    from meddenoise.training.r2r import R2RTrainer

    if min(array.shape) < _LEAST:
        warnings.warn(
            f"The scan has fewer than {_LEAST} voxels along an axis: the network is not adapted.",
            stacklevel=2,
        )
        return ready
    scan = np.where(valid, array - array[valid].mean(dtype=np.float64), np.nan).astype(np.float32)
    fitted = R2RTrainer(sigma=1.0).fit(
        Volume.from_array(scan),
        network=copy.deepcopy(ready.network).requires_grad_(True).train(),
        patch=_PATCH,
        batch=2,
        seed=seed,
        device=str(ready.denoiser.device),
        data={"normalise": {"method": "fixed"}},
        steps=10**9,
        max_minutes=seconds / 60,
        learning_rate=_RATE,
        warmup=0.05,
        ema=0.98,
        validate_every=10**9,
        checkpoint_every=10**9,
    )
    denoiser = Denoiser(
        fitted.network,
        dims=ready.denoiser.dims,
        normalise=ready.denoiser.normalise,
        inference=ready.denoiser.inference,
        device=ready.denoiser.device,
    )
    denoiser.name = f"{ready.denoiser.name}, adapted to the scan"
    adapted = ReadyDenoiser(denoiser)
    filled = np.where(valid, scan, 0).astype(np.float32)
    before, after = (
        expected_error(partial(one, exact=True), filled, 1.0) for one in (ready, adapted)
    )
    if after < before:
        gain = 10 * np.log10(max(before, 1e-6) / max(after, 1e-6))
        warnings.warn(
            f"The network was adapted to the scan for {seconds:g} s: {gain:.2f} dB better, by an "
            "unbiased estimate.",
            stacklevel=2,
        )
        return adapted
    warnings.warn(
        f"{seconds:g} s of adapting to the scan made nothing better: the network is taken as it "
        "was.",
        stacklevel=2,
    )
    return ready
