"""Magnitude images without their bias: noise never averages out to 0 in them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.noise.moments import check_coils, snr_of_mean
from meddenoise.noise.rician_vst import RicianStabilisation
from meddenoise.noise.stabilise import find_stabilisation
from meddenoise.volume import Volume

__all__ = ["debias", "debias_scan"]


def debias(
    denoised: ArrayLike,
    sigma: float | ArrayLike,
    *,
    coils: int = 1,
    of: Literal["mean", "square"] = "mean",
) -> NDArray[np.float32]:
    """The clean signal A from a denoised magnitude image.

    A denoiser estimates an expectation, and that of a Rician or noncentral chi magnitude lies above
    A: by 1.25 sigma where there is no signal, 0.55 at an SNR of 1, 0.17 at 3 (one coil). So:

    - ``of="mean"``: ``denoised`` is E[M], what filters and networks trained with squared error
      give. A is what has that mean: the exact inverse (Koay and Basser, J Magn Reson 179:317,
      2006), by a table.
    - ``of="square"``: ``denoised`` is E[M^2], of a denoised *squared* image.
      ``A = sqrt(max(0, E[M^2] - 2 n sigma^2))`` (Nowak, IEEE TIP 8:1408, 1999; for n coils
      Constantinides et al., Magn Reson Med 38:852, 1997).

    Use it after denoising, never on noisy voxels: what is left of the noise is bent by it, and the
    more the weaker the signal.

    Args:
        denoised: any shape, image units (squared, for ``"square"``); may hold not-a-numbers.
        sigma: standard deviation of the noise in each of the real and imaginary channels, image
            units, above 0; a number or an array that broadcasts, such as a map.
        coils: n, whose sum of squares the magnitude is.
        of: what ``denoised`` estimates.

    Returns:
        A in image units, float32, nowhere negative; 0 where ``denoised`` is no more than noise.

    Raises:
        ParameterError: sigma not above 0, or coils not a whole number of at least 1.
    """
    n = check_coils(coils)
    level = np.asarray(sigma, dtype=np.float64)
    if not (np.isfinite(level).all() and (level > 0).all()):
        raise ParameterError("sigma must be finite and above 0: it is the noise in image units.")
    values = np.asarray(denoised, dtype=np.float64)
    if of == "square":
        return np.sqrt(np.maximum(values - 2 * n * level**2, 0)).astype(np.float32)
    if of != "mean":
        raise ParameterError(f"of is {of!r}: say 'mean' or 'square'.")
    return np.asarray(level * snr_of_mean(values / level, n), dtype=np.float32)


def debias_scan(
    noisy: Volume, denoised: Volume, *, sigma: float | None = None, coils: int = 1
) -> Volume:
    """A denoised magnitude scan without its bias; ``denoised`` is taken for E[M].

    Args:
        noisy: the scan as it was measured.
        denoised: the same scan, denoised.
        sigma: as for :func:`debias`, a number; estimated from ``noisy`` if ``None``.
        coils: whose sum of squares the magnitude is.

    Returns:
        ``denoised`` with a line of history. Voxels that are not finite or padding are kept, and so
        are channels that were constant.

    Raises:
        ParameterError: ``noisy`` has negative values, or its noise cannot be estimated; as for
            :func:`debias`.
        GeometryError: the two do not lie on one grid.
    """
    noisy.check_same_grid(denoised, names=("the noisy scan", "the denoised one"))
    found = find_stabilisation(noisy, "rician", sigma=sigma, coils=coils)
    array = denoised.array.copy()
    for channel, rician in enumerate(found.stabilisers):
        if isinstance(rician, RicianStabilisation):
            inside = noisy.valid_in(channel)
            array[channel][inside] = debias(array[channel][inside], rician.sigma, coils=coils)
    return denoised.with_array(array, note=f"bias of {found.noise} taken away")
