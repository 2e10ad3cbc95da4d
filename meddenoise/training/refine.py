"""A filter's result made better by what is learnt from the noisy scan alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meddenoise.config import InferenceConfig, TrainingConfig
from meddenoise.data.draws import Draws, generator, seeded
from meddenoise.data.patches import Batch, Item, PatchSampler
from meddenoise.devices import choose_device
from meddenoise.errors import ParameterError
from meddenoise.inference import Denoiser
from meddenoise.networks import build_network
from meddenoise.noise.residual_noise import ENOUGH, ResidualNoise
from meddenoise.training.bounds import Bounds
from meddenoise.training.engine import Engine
from meddenoise.training.recombined import Recombination
from meddenoise.training.trainer import Trainer

__all__ = ["Filter", "Refined", "refine"]

Filter = Callable[[NDArray[np.floating], float], NDArray[np.floating]]
Progress = Callable[[float], None]

# y1 has little more noise than the scan: the filter does with it what it does with the scan.
_ALPHA = 0.15
# So many recorruptions to learn from, and one more, of the part held out, to judge by.
_COPIES = 4
# Noise whose strength differs from what was said by more than that factor is not what it was taken
# for, or there is texture that would pass for noise: nothing is learned. White noise that was added
# to four heads was found to 3 %, in scans filled with zeros to 4 %.
_ALIKE = 1.06
# Filtering the recorruptions may take that share of the time; what does not fit is cut off.
_FILTERING = 0.35
# Of what is then left, the mean over mirror images may take that share; or there is but one image.
_MIRRORING = 0.3
_SMALLEST_PART = 32
# Percent of the longest axis that is held out, and the fewest voxels that tell anything.
_HELD, _NARROWEST = 25, 12
# Standard errors.
_CERTAIN = 2.0
_PATCH = {2: (96, 96), 3: (64, 64, 32)}
_BATCH = {2: 8, 3: 1}
# Over the part that is seen. With many more it learns the noise there: ten minutes on 0.3 Mvoxel
# were no better than the filter on the part held out, and one minute 0.3 dB.
_PASSES = 60
_LOOP = {"learning_rate": 2e-3, "ema": 0.99, "validate_every": 10**9, "checkpoint_every": 10**9}


@dataclass(frozen=True, eq=False)
class Refined:
    """What became of a scan.

    Attributes:
        image: the result, the scan's shape and dtype.
        steps: of training.
        gain: by how much the network lowered the squared error on the part that was held out,
            beyond what a few numbers did, in units of sigma^2.
        refined: it fell by more than chance explains; otherwise the network has no say.
        recombined: the filter's result had some of its residual and of its neighbours added, by
            :class:`meddenoise.training.recombined.Recombination`; otherwise, and without the
            network, ``image`` is the filter's own.
    """

    image: NDArray[np.floating]
    steps: int
    gain: float
    refined: bool
    recombined: bool = False


@dataclass(frozen=True, eq=False)
class _Copy:
    """A recorruption of (a part of) the scan: y1, what the filter makes of it, and y2."""

    noisier: NDArray[np.float32]
    filtered: NDArray[np.float32]
    target: NDArray[np.float32]

    def by(self, few: Recombination, sigma: float) -> _Copy:
        """With a better filter; ``sigma`` is that of the noise in the scan."""
        better = few.of(self.noisier, self.filtered, _noisier(sigma))
        return replace(self, filtered=better)


class _Refiner(Trainer):
    """Learns y2 from y1 and the filtered y1; see :func:`refine`."""

    needs_target = True
    target_is_clean = False

    def __init__(self, guides: PatchSampler, bounds: Bounds, progress: Progress | None) -> None:
        self.guides = guides
        self.bounds = bounds
        self.report = progress

    @property
    def inputs(self) -> int:
        """The filtered image, and the noisy one."""
        return 2

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared error to y2."""
        assert batch.target is not None  # needs_target
        # The same draws choose the same places in scans of the same shapes.
        filtered = self.guides.draw(draws).image
        output = network(torch.cat([filtered, batch.image], dim=1)).float()
        output = self.bounds.keep(filtered, output)
        if self.report and torch.is_grad_enabled():
            self.report(draws.progress)
        return (output - batch.target).square().mean(), {}


def refine(
    array: NDArray[np.floating],
    first: Filter,
    *,
    sigma: float,
    seconds: float,
    spacing: Sequence[float],
    seed: int = 0,
    device: str = "auto",
    floor: float | None = None,
    progress: Progress | None = None,
) -> Refined:
    """Denoise by a filter, and spend the rest of the time on learning what it left undone.

    It learns from recorruptions of the scan (R2R: Pang et al., CVPR 2021, equation 8): y1 and y2
    have independent noise, so that y2 is a target for what is made of y1 and of B(y1), B being the
    filter. What they are made with must be like the noise itself, or noise would be left on
    purpose: it is like what the filter took away, and where that is white, as strong as was said
    (:class:`meddenoise.noise.residual_noise.ResidualNoise`).

    First some of the residual and of the neighbours is added to B(y), by 18 numbers for all of the
    scan (:class:`meddenoise.training.recombined.Recombination`): 0.2 dB on four heads with 3 and
    10 % of noise, B being the mean of BM4D and the network that ships. Then a small U-Net, which
    starts as the identity, gets that and the scan and corrects it further. A quarter of the scan
    is held out, for a network might learn the very noise of what it sees: where it is no better
    there than without it, it has no say. Where the scan is too small to hold out anything, the
    filter's result is given. No correction has a say in the local mean
    (:class:`meddenoise.training.bounds.Bounds`), but where it fades in above the floor.

    Right for Gaussian noise of a known level that the filter takes away, white or filled with zeros
    from 80 to 95 % of k-space. Where what it took away is stronger or weaker than that by more than
    6 %, the filter's result is given.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite, any unit.
        first: ``(noisy, sigma)`` to the filtered image.
        sigma: standard deviation of the noise, in the array's unit, above 0.
        seconds: for all together, the last pass over the scan as well; the first filtering takes as
            long as it takes, and what is added by a few numbers some 2 microseconds a voxel. The
            training ends earlier once it has been over the scan 60 times: it would only learn the
            noise.
        spacing: voxel size in mm per axis.
        seed: of the recorruptions and of training.
        device: for the network.
        floor: where the filtered image is below, nothing is corrected, and up to one sigma above
            only in part.
        progress: called with the finished fraction.

    Raises:
        ParameterError: seconds or sigma not above 0.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise ParameterError(f"seconds is {seconds:g}: it is above 0.")
    if not (math.isfinite(sigma) and sigma > 0):
        raise ParameterError(f"sigma is {sigma:g}: it is above 0, in the image's units.")
    began = time.perf_counter()
    noisy = np.asarray(array, dtype=np.float32)
    filtered = np.asarray(first(noisy, sigma), dtype=np.float32)
    spent = time.perf_counter() - began
    alone = Refined(filtered.astype(array.dtype), 0, 0.0, False)
    axis = int(np.argmax(noisy.shape))
    kept = _HELD * noisy.shape[axis] // 100
    if kept < _NARROWEST:
        return alone
    seen, unseen = np.split(noisy, [noisy.shape[axis] - kept], axis=axis)
    # Measuring the noise takes the filter once more, of large scans over a part.
    if spent * (1 + min(ENOUGH / noisy.size, 1)) >= seconds:
        return alone
    like = ResidualNoise.measured(noisy, filtered, lambda y: first(y, sigma), floor)
    left = seconds - (time.perf_counter() - began)
    if left <= 0 or not sigma / _ALIKE < like.sigma < sigma * _ALIKE:
        return alone
    like = like.settled(sigma)
    part = _part(seen.shape, spent, min(_FILTERING * seconds, left / 2))
    copies = [
        _recorrupted(seen[_place(seen.shape, part, seed, k)], first, sigma, like, seed, k)
        for k in range(_COPIES)
    ]
    size = tuple(min(p, n) for p, n in zip(part, unseen.shape, strict=True))
    place = _place(unseen.shape, size, seed, _COPIES)
    held = _recorrupted(unseen[place], first, sigma, like, seed, _COPIES)
    # Of noise that neighbours share, voxels count for less.
    shared = float(np.square(like.covariance / like.sigma**2).sum())
    few = Recombination.learned(
        ((copy.noisier, copy.filtered, copy.target) for copy in copies),
        sigma=_noisier(sigma),
        spacing=spacing,
        floor=-math.inf if floor is None else floor,
        voxels=shared,
    )
    if few is not None:
        copies, held = [copy.by(few, sigma) for copy in copies], held.by(few, sigma)
        filtered = few.of(noisy, filtered, sigma)
        alone = Refined(filtered.astype(array.dtype), 0, 0.0, False, True)
    left = seconds - (time.perf_counter() - began)
    if left <= 0:
        return alone
    shift, scale = float(noisy.mean(dtype=np.float64)), float(noisy.std(dtype=np.float64))
    patch = [min(p, n) for p, n in zip(_PATCH[array.ndim], part, strict=True)]
    low = -math.inf if floor is None else (floor - shift) / scale
    bounds = Bounds(low, sigma / scale)

    def sampler(name: str) -> PatchSampler:
        return PatchSampler([_item(copy, name, shift, scale, spacing) for copy in copies], patch)

    def corrected(
        clean: NDArray[np.float32], raw: NDArray[np.float32], network: nn.Module, flips: bool
    ) -> NDArray[np.float32]:
        denoiser = Denoiser(
            network, dims=array.ndim, inference=InferenceConfig(flips=flips), device=device
        )
        x = torch.from_numpy((np.stack([clean, raw]) - np.float32(shift)) / np.float32(scale))
        with torch.inference_mode():
            y = bounds.keep(x[None, :1].float(), denoiser.run(x[None].float())[None])[0, 0].numpy()
        return np.asarray(y * np.float32(scale) + np.float32(shift))

    untrained = _network(array.ndim, spacing, seed)
    # The first time sets things up, on a GPU for seconds.
    corrected(held.filtered, held.noisier, untrained, False)
    began_passing = time.perf_counter()
    corrected(held.filtered, held.noisier, untrained, False)
    one = (time.perf_counter() - began_passing) * (1 + noisy.size / held.noisier.size)
    left = seconds - (time.perf_counter() - began)
    flips, passing = _passing(one, 2**array.ndim, left)
    if passing >= left:
        return alone
    result = Engine(
        _Refiner(sampler("filtered").to(choose_device(device)), bounds, progress),
        _network(array.ndim, spacing, seed),
        sampler("noisier"),
        settings=TrainingConfig(
            steps=_steps(seen.size, patch),
            max_minutes=(left - passing) / 60,
            trackers=[],
            **_LOOP,  # type: ignore[arg-type]
        ),
        batch=_BATCH[array.ndim],
        seed=seed,
        device=device,
        progress=False,
    ).run()
    better = corrected(held.filtered, held.noisier, result.network, flips)
    fell = np.square(held.filtered - held.target) - np.square(better - held.target)
    gain = float(fell.mean(dtype=np.float64))
    # By more than it might by chance.
    count = fell.size / shared
    sure = gain > _CERTAIN * float(fell.std(dtype=np.float64)) / math.sqrt(count)
    image = corrected(filtered, noisy, result.network, flips) if sure else filtered
    return replace(
        alone,
        image=image.astype(array.dtype),
        steps=result.steps,
        gain=gain / sigma**2,
        refined=sure,
    )


def _network(dims: int, spacing: Sequence[float], seed: int) -> nn.Module:
    """Two levels; a thick slice axis is left alone between them."""
    strides = [[2 if size < 2 * min(spacing) else 1 for size in spacing[:dims]]]
    with seeded(seed):
        return build_network(
            "unet", dims=dims, inputs=2, channels=[16, 32], strides=strides, residual=True
        )


def _steps(voxels: int, patch: Sequence[int]) -> int:
    """At most so many, however long they may take."""
    return math.ceil(_PASSES * voxels / (_BATCH[len(patch)] * math.prod(patch)))


def _passing(one: float, mirrored: int, left: float) -> tuple[bool, float]:
    """Whether the result is the mean over mirror images, and the seconds to keep for it.

    Args:
        one: seconds of a pass over the whole scan and the part that is held out.
        mirrored: images that there are.
        left: seconds for training and for that.
    """
    flips = mirrored * one <= _MIRRORING * left
    return flips, mirrored * one if flips else one


def _part(shape: Sequence[int], spent: float, seconds: float) -> tuple[int, ...]:
    """The size of the recorruptions, cut so that filtering them takes no more than so long."""
    share = seconds / ((_COPIES + 1) * max(spent, 1e-9))
    if share >= 1:
        return tuple(shape)
    shrink = share ** (1 / len(shape))
    return tuple(min(n, max(_SMALLEST_PART, int(n * shrink))) for n in shape)


def _place(shape: Sequence[int], part: Sequence[int], seed: int, number: int) -> tuple[slice, ...]:
    """Where a recorruption is cut from: somewhere else each time."""
    draws = torch.rand(len(shape), generator=generator(seed, "part", number)).tolist()
    corner = [int(u * (n - p + 1)) for u, n, p in zip(draws, shape, part, strict=True)]
    return tuple(slice(c, c + p) for c, p in zip(corner, part, strict=True))


def _noisier(sigma: float) -> float:
    """The standard deviation of the noise in y1."""
    return sigma / math.sqrt(1 - _ALPHA)


def _recorrupted(
    noisy: NDArray[np.float32],
    first: Filter,
    sigma: float,
    like: ResidualNoise,
    seed: int,
    number: int,
) -> _Copy:
    """y1 = y + sqrt(a / (1 - a)) w and y2 = y - sqrt((1 - a) / a) w, w like the scan's noise."""
    noise = like.draw(noisy.shape, generator(seed, "recorruption", number))
    ratio = math.sqrt(_ALPHA / (1 - _ALPHA))
    noisier = noisy + np.float32(ratio) * noise
    filtered = first(noisier, _noisier(sigma)).astype(np.float32)
    return _Copy(noisier, filtered, noisy - noise / np.float32(ratio))


def _item(copy: _Copy, name: str, shift: float, scale: float, spacing: Sequence[float]) -> Item:
    return Item(
        image=torch.from_numpy(np.ascontiguousarray(getattr(copy, name))),
        target=torch.from_numpy(copy.target) if name == "noisier" else None,
        shift=shift,
        scale=scale,
        spacing=tuple(spacing)[: copy.target.ndim],
    )
