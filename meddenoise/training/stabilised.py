"""Learning from scans whose noise is stabilised: which way, and with noise drawn at every step."""

from __future__ import annotations

import inspect
import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meddenoise.config import Config, NormaliseConfig, StabiliseConfig
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.noise import NoiseModel
from meddenoise.noise.anscombe import Anscombe
from meddenoise.noise.registry import NOISES
from meddenoise.noise.rician_vst import RicianStabilisation
from meddenoise.noise.stabilise import Method, Stabiliser, find_stabilisation
from meddenoise.transforms.normalisation import Normalisation

if TYPE_CHECKING:
    from meddenoise.training.prepare import Prepared

__all__ = ["Origin", "choose_stabilisation", "inject_stabilised", "typical_stabiliser"]

# So many scans, evenly spaced, tell what the noise of all is.
_ASKED = 8
# So many intensities stand for a scan where its normalisation is needed at another noise level.
_SAMPLE = 4096
# Noise of less than that fraction of the reference is taken for that much.
_LEAST = 1e-4


@dataclass(frozen=True, eq=False)
class Origin:
    """What a stabilised scan was before, for noise that is drawn anew.

    Attributes:
        stabiliser: that made the scan and its target what they are.
        reference: what percentages of noise levels refer to, in the scan's own units.
        clean: evenly spaced quantiles of the clean scan, in its own units.
        normalise: how intensities are normalised.
    """

    stabiliser: Stabiliser
    reference: float
    clean: NDArray[np.float64]
    normalise: NormaliseConfig

    @classmethod
    def of(
        cls,
        stabiliser: Stabiliser,
        clean: NDArray[np.floating],
        reference: float,
        normalise: NormaliseConfig,
    ) -> Origin:
        """From the measured voxels of the clean scan."""
        places = (np.arange(_SAMPLE) + 0.5) / _SAMPLE
        return cls(stabiliser, reference, np.quantile(clean.astype(np.float64), places), normalise)

    def normalisation(self, stabiliser: Stabiliser) -> Normalisation:
        """That of the whole scan with noise of another level, stabilised."""
        noisy = stabiliser.expected(self.clean) + _standard_normal()
        return Normalisation.fit(noisy, **self.normalise.model_dump())

    def data_range(self, stabiliser: Stabiliser) -> float:
        """That of the whole clean scan, stabilised by noise of another level."""
        low, high = stabiliser.expected(np.percentile(self.clean, (0.1, 99.9)))
        return float(high - low) or 1.0


@lru_cache(maxsize=1)
def _standard_normal() -> NDArray[np.float64]:
    return np.random.default_rng(0).standard_normal(_SAMPLE)


def choose_stabilisation(
    config: Config, noise: NoiseModel | None, scans: Sequence[Prepared]
) -> StabiliseConfig:
    """How all scans of a run are stabilised: one way for one network.

    ``noise.stabilise: auto`` is decided here and stands in the model file; the numbers (sigma, or
    gain and variance) are always those of the scan at hand. Noise that is drawn at every step is
    known by its name; of other scans the commonest answer counts.

    Args:
        config: of the run.
        noise: what the trainer draws at every step, if it does.
        scans: that it learns from.

    Raises:
        ConfigError: the noise that is drawn is of another kind, or has no level that is the same
            everywhere.
    """
    way = config.stabilise
    if way == "none" or config.noise is None:
        return StabiliseConfig()
    coils = int(config.noise.options.get("coils", _coils(config.noise.name)))
    if noise is not None:
        fitting = _FITTING.get(noise.name)
        method: Method = fitting[0] if fitting else "none"
        if way == "auto":
            _say(f", and the noise that is drawn is '{noise.name}': {_follows(method)}")
        elif method != way:
            names = " or ".join(f"'{name}'" for name, (m, _) in _FITTING.items() if m == way)
            raise config.error(
                "noise.stabilise",
                f"'{way}' does not fit noise '{noise.name}' that is drawn anew at every step: take "
                f"{names}, or measured pairs (data.targets), or stabilise: none.",
            )
        coils = int(noise.parameters.get("coils", _coils(noise.name)))
    elif way == "auto":
        method = _commonest(scans, coils)
    else:
        method = cast("Method", way)
    return StabiliseConfig(method=method, coils=coils if method == "rician" else 1)


def _follows(method: Method) -> str:
    return "nothing is stabilised." if method == "none" else f"scans are stabilised by '{method}'."


def _commonest(scans: Sequence[Prepared], coils: int) -> Method:
    """By what the noise of some scans is estimated to be; says what was found."""
    step = max(1, -(-len(scans) // _ASKED))
    found = [find_stabilisation(scan.volume, "auto", coils=coils) for scan in scans[::step]]
    (method, count), *others = Counter(each.method for each in found).most_common()
    said = found[0].why if len(found) == 1 else f"{count} of {len(found)} scans say so: "
    told = said if len(found) == 1 else said + _follows(method)
    if others:
        told += " Scans of one kind make a better network: look at the others."
    _say(f". {told}")
    return method


def _say(told: str) -> None:
    """What was chosen, once for all processes."""
    if os.environ.get("RANK", "0") == "0":
        warnings.warn(f"noise.stabilise is auto{told}", stacklevel=3)


def _coils(name: str | None) -> int:
    """What a noise model has if nobody says; 1 for one that knows of no coils."""
    if name is None:
        return 1
    parameter = inspect.signature(NOISES.get(name)).parameters.get("coils")
    return 1 if parameter is None else int(parameter.default)


def _rician(drawn: Mapping[str, Any], least: float) -> Stabiliser:
    return RicianStabilisation(max(float(drawn["sigma"]), least))


def _noncentral_chi(drawn: Mapping[str, Any], least: float) -> Stabiliser:
    coils = int(drawn.get("coils", _coils("noncentral_chi")))
    return RicianStabilisation(max(float(drawn["sigma"]), least), coils)


def _poisson_gaussian(drawn: Mapping[str, Any], least: float) -> Stabiliser:
    gain, offset = float(drawn["gain"]), float(drawn.get("offset", 0.0))
    return Anscombe(gain, float(drawn.get("sigma", 0.0)) ** 2 - gain * offset)


# Noise models whose noise one stabilisation fits everywhere, and that stabilisation.
_FITTING: dict[str, tuple[Method, Callable[[Mapping[str, Any], float], Stabiliser]]] = {
    "rician": ("rician", _rician),
    "noncentral_chi": ("rician", _noncentral_chi),
    "poisson_gaussian": ("anscombe", _poisson_gaussian),
}


def typical_stabiliser(noise: NoiseModel, reference: float) -> Stabiliser:
    """For noise at the middle of its ranges, on a scan with that reference in its own units."""
    drawn = noise.draw(reference=reference, u=[0.5] * len(noise.ranges))
    return _stabiliser(noise, drawn, reference)


def _stabiliser(noise: NoiseModel, drawn: Mapping[str, Any], reference: float) -> Stabiliser:
    return _FITTING[noise.name][1](drawn, _LEAST * reference)


def inject_stabilised(noise: NoiseModel, batch: Batch, draws: Draws) -> Batch:
    """A stabilised batch with fresh noise on its clean targets, at levels drawn anew.

    Each target is taken back to the scan's own units, and noise of another level drawn on it.
    Image and target are then stabilised by that level, and normalised as the whole scan would be
    with so much noise, which is what a network gets when it denoises. The target is the mean of the
    stabilised image, so that the inverse brings the network's result back without bias.

    Args:
        noise: one of those that :func:`choose_stabilisation` lets through.
        batch: with its ``origins``.
        draws: random numbers.

    Returns:
        The batch with new image, target, shift and scale, and a sigma of 1.
    """
    assert batch.target is not None
    assert batch.origins is not None
    stabilised = batch.target * batch.scale + batch.shift
    places = draws.uniform("noise level", len(noise.ranges))
    rows: list[tuple[Tensor, Tensor]] = []
    numbers: list[tuple[float, float, float]] = []
    for row, generator in enumerate(draws.generators("noise")):
        origin = batch.origins[row]
        clean = _by(origin.stabiliser.inverse, stabilised[row : row + 1])
        drawn = noise.draw(reference=origin.reference, u=places[row].tolist())
        spacing = batch.spacing[row].tolist()
        noisy = noise.run(clean, drawn, generator=generator, spacing=spacing)
        stabiliser = _stabiliser(noise, drawn, origin.reference)
        fitted = origin.normalisation(stabiliser)
        both = (_by(stabiliser.forward, noisy), _by(stabiliser.expected, clean))
        rows.append((fitted.apply(both[0]), fitted.apply(both[1])))
        numbers.append((fitted.shift, fitted.scale, origin.data_range(stabiliser)))
    three = torch.tensor(numbers, dtype=torch.float32, device=batch.image.device)
    shift, scale, data_range = three.unbind(1)
    return replace(
        batch,
        image=torch.cat([image for image, _ in rows]),
        target=torch.cat([target for _, target in rows]),
        shift=shift.view_as(batch.shift),
        scale=scale.view_as(batch.scale),
        sigma=torch.ones_like(shift),
        data_range=data_range,
    )


def _by(function: Callable[[NDArray[Any]], NDArray[Any]], x: Tensor) -> Tensor:
    """A tensor through a function of arrays."""
    return torch.from_numpy(function(x.cpu().numpy())).to(x.device)
