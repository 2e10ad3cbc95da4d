"""One tile through a network: layout, precision, flips, and what its memory allows."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from meddenoise.config import InferenceConfig
from meddenoise.devices import fast_layout
from meddenoise.errors import ModelError, ParameterError
from meddenoise.inference.layers import Launch, continued, layered, sliced
from meddenoise.inference.layout import quicker_layout
from meddenoise.inference.memory import available_memory, bytes_per_voxel, is_out_of_memory
from meddenoise.inference.passing import PassingUNet, can_pass
from meddenoise.inference.quickened import quickened
from meddenoise.inference.tiles import TilePlan, plan_tiles
from meddenoise.networks.layers import is_autocast

__all__ = ["Compute", "Second"]

Second = Literal["shifted", "negative"]
"""A second pass over an image; see :meth:`Compute.planes`."""

# Of what is available, this share is for tiles, and never more than so many bytes: beyond it larger
# tiles save little work, and memory that was never used yet has its price, above all on virtual
# machines. There 2 GiB took three quarters of the time that 4 and 1 took (256 x 256 x 192 voxels).
_SHARE, _MOST = 0.35, 2 * 2**30
# The process takes more than lives at once by so much: what is freed is not given back, and what
# comes next may not fit into it.
_HOLES = 1.2
# For a scan that is streamed: tiles, and the planes of a layer of them.
_LEAN_TILES, _LEAN_PLANES = 700 * 2**20, 550 * 2**20
# Small volumes need no count of what they take.
_SMALL = 2**19
# A second pass counts from so many voxels on, and up to so many before the far end, where it ends
# elsewhere on the grid: nearer to its own borders it is the worse of the two.
_NEAR, _FAR = 2, 3
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Compute:
    """A network on a device, ready to be run over volumes of any size.

    Args:
        network: maps ``(N, inputs, *spatial)`` to ``(N, 1, *spatial)``; moved and frozen.
        dims: 2 or 3.
        device: where it runs.
        settings: tiles, overlap, flips and precision.
        inputs: channels that the network gets.

    Raises:
        ParameterError: a precision that the device does not have, or a network of other axes.
    """

    def __init__(
        self,
        network: nn.Module,
        dims: int,
        device: torch.device,
        settings: InferenceConfig,
        inputs: int = 1,
    ) -> None:
        self.device, self.dims, self.settings = device, dims, settings
        axes = len(getattr(network, "multiple", range(dims)))
        if axes != dims:
            raise ParameterError(
                f"The network is for {axes}-D images and dims is {dims}: give dims={axes}."
            )
        if settings.precision == "fp16" and device.type == "cpu":
            raise ParameterError(
                "inference.precision fp16 needs a GPU: take bf16 or fp32 on a CPU."
            )
        frozen = network.to(device).eval().requires_grad_(False)
        self._passes = frozen if dims == 3 and device.type == "cpu" and can_pass(frozen) else None
        self.network = fast_layout(quickened(frozen, dims, inputs), dims)
        # A network that does not say how it sees is taken for one with three halvings.
        self.multiple = tuple(getattr(self.network, "multiple", (8,) * dims))
        self.halo = tuple(getattr(self.network, "halo", (16,) * dims))
        self._cost: dict[tuple[int, bool], float] = {}
        self._laid: tuple[tuple[int, ...], torch.memory_format] | None = None

    def planes(
        self,
        shape: Sequence[int],
        planes: Callable[[], Iterator[Tensor]],
        *,
        inputs: int = 1,
        lean: bool = False,
        second: Second | None = None,
        flips: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[Tensor]:
        """The network over ``(X, Y, Z)``, or over every plane of it in 2-D.

        Args:
            shape: of the volume.
            planes: begins to give its normalised planes, parts ``(n, inputs, X, Y)`` float32.
            inputs: channels.
            lean: take as little memory as a scan that does not fit in needs.
            second: the mean with what it makes of the image from its second voxel along each axis
                on, where a network with a grid sees it otherwise: ``"shifted"``; and made negative
                before and after: ``"negative"``. Two or three voxels at the borders have but one.
            flips: the mean over all mirrored copies, whatever the settings say.
            progress: called with the finished fraction.

        Yields:
            ``(n, X, Y)`` float32, the result's planes in order, on the CPU.

        Raises:
            ModelError: the network gives another shape.
            ParameterError: not even the smallest tile fits into the memory.
        """
        limit, begun = self._most_voxels(shape, inputs, lean), False
        in_tiles = flips or second is not None
        while True:
            plan = self.plan(shape, limit, inputs=inputs, lean=lean, rim=_FAR if second else 0)
            passing = None if in_tiles else self._passing(plan, limit, inputs, lean)
            try:
                if passing is None:
                    launch = partial(self.launch, second=second, flips=flips)
                    parts = self._over(launch, plan, planes(), shape, limit, progress)
                else:
                    parts = self._passed(*passing, plan, planes(), shape, progress)
                for part in parts:
                    begun = True
                    yield part
                return
            except Exception as fault:
                if not is_out_of_memory(fault):
                    raise
                if passing is None:
                    limit = self._smaller(plan, begun, fault)
                else:
                    self._in_tiles(passing[1], plan, begun, fault)
                    in_tiles = True

    def _in_tiles(self, slab: int, plan: TilePlan, begun: bool, fault: Exception) -> None:
        """Say that planes are not going to pass by, if that is still possible."""
        size = f"{slab} planes of {plan.shape[0]} x {plan.shape[1]} voxels"
        if begun:
            raise ParameterError(
                f"There is not enough memory for {size} at once: free some, or give "
                "inference.tile_voxels, such as 1000000, to denoise in tiles."
            ) from fault
        warnings.warn(
            f"There is not enough memory for {size} at once: tiles are tried instead.",
            stacklevel=3,
        )

    def _smaller(self, plan: TilePlan, begun: bool, fault: Exception) -> int:
        """Half as many voxels a tile, if that is still possible."""
        tile = " x ".join(map(str, plan.tile))
        limit = math.prod(plan.tile) // 2
        if begun or limit < math.prod(self.multiple) or self.settings.tile is not None:
            less = (
                f"inference.tile_voxels at most {limit:,}"
                if self.settings.tile is None
                else "a smaller inference.tile"
            )
            raise ParameterError(
                f"There is not enough memory for tiles of {tile} voxels: free some, or give {less}."
            ) from fault
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        warnings.warn(
            f"There is not enough memory for tiles of {tile} voxels: smaller ones, of at most "
            f"{limit:,} voxels, are tried instead.",
            stacklevel=3,
        )
        return limit

    def plan(
        self,
        shape: Sequence[int],
        voxels: int,
        *,
        inputs: int = 1,
        lean: bool = False,
        rim: int = 0,
    ) -> TilePlan:
        """The tiles of a volume (of a plane in 2-D), padded to the network's coarsest grid.

        What lies less than ``rim`` voxels farther in than the network's halo does not count either.
        """
        size = [-(-n // m) * m for n, m in zip(shape, self.multiple, strict=False)]
        deepest = None
        if lean and self.dims == 3:
            budget = self._lean_share() * _LEAN_PLANES
            deepest = int(budget // (4 * (inputs + 0.5) * size[0] * size[1]))
        return plan_tiles(
            size,
            halo=[reach + rim for reach in self.halo],
            multiple=self.multiple,
            tile=self.settings.tile,
            voxels=voxels,
            deepest=deepest,
            overlap=self.settings.overlap,
        )

    def _lean_share(self) -> float:
        """What is asked for by ``memory``, as a multiple of the least that is planned with."""
        asked = self.settings.memory
        return (
            1.0 if asked is None else max(asked - 0.6, 0.1) * 2**30 / (_LEAN_TILES + _LEAN_PLANES)
        )

    def _most_voxels(self, shape: Sequence[int], inputs: int, lean: bool) -> int:
        """Voxels of a tile that the memory allows."""
        asked = self.settings.tile_voxels
        if asked is not None:
            return asked
        if math.prod(shape[: self.dims]) <= _SMALL and not lean and self.settings.memory is None:
            return _SMALL
        # Whoever calls may compute in another precision than the settings.
        kind = inputs, is_autocast(self.device.type)
        if kind not in self._cost:
            with self._typed():
                self._cost[kind] = bytes_per_voxel(self.network, self.dims, inputs)
        free = available_memory(self.device)
        if lean and self.device.type == "cpu":
            budget = min(self._lean_share() * _LEAN_TILES, _SHARE * free)
        elif self.settings.memory is not None and self.device.type == "cpu":
            budget = max(self.settings.memory - 0.5, 0.1) * 2**30 / _HOLES
        else:
            budget = min(_SHARE * free, _MOST) if self.device.type == "cpu" else 0.8 * free
        return max(int(budget / self._cost[kind]), math.prod(self.multiple))

    def _passing(
        self, plan: TilePlan, most: int, inputs: int, lean: bool
    ) -> tuple[PassingUNet, int] | None:
        """The network for planes that pass by, none of them computed twice, and how many at once.

        ``None`` where it goes in tiles: there is but one, somebody asked for them, it is no such
        network, or its planes are too large.
        """
        asked = self.settings
        if self._passes is None or len(plan) == 1 or asked.flips or asked.tile or asked.tile_voxels:
            return None
        cost = self._cost.get((inputs, is_autocast(self.device.type)))
        if cost is None:  # a small scan, which was not counted
            return None
        budget = most * cost + (self._lean_share() * _LEAN_PLANES if lean else 0)
        passing = PassingUNet(self._passes)
        slab = passing.slab(plan.shape[:2], budget, cost)
        return (passing, slab) if slab else None

    def _passed(
        self,
        passing: PassingUNet,
        slab: int,
        plan: TilePlan,
        planes: Iterator[Tensor],
        shape: Sequence[int],
        progress: Callable[[float], None] | None,
    ) -> Iterator[Tensor]:
        done, depth = 0, shape[2]
        fitted = continued(planes, plan, depth)
        for part in passing.over(fitted, plan.shape[2], slab, self._typed):
            if done < depth:
                yield part[: depth - done, : shape[0], : shape[1]]
            done += len(part)
            if progress:
                progress(min(done / depth, 1.0))

    def _over(
        self,
        launch: Launch,
        plan: TilePlan,
        planes: Iterator[Tensor],
        shape: Sequence[int],
        most: int,
        progress: Callable[[float], None] | None,
    ) -> Iterator[Tensor]:
        depth = shape[2] if len(shape) > 2 else 1
        batches = 1 if self.dims == 3 else -(-depth // max(1, most // math.prod(plan.tile)))
        ends = itertools.count(1)
        tiles = len(plan) * batches

        def told() -> None:
            if progress:
                progress(min(next(ends) / tiles, 1.0))

        fitted = continued(planes, plan, depth)
        if self.dims == 2:
            found = sliced(launch, fitted, plan, most=most, told=told)
        else:
            found = layered(launch, fitted, plan, told=told)
        left = depth
        for part in found:
            if left > 0:
                yield part[:left, : shape[0], : shape[1]]
                left -= len(part)

    def launch(
        self, x: Tensor, second: Second | None = None, flips: bool = False
    ) -> Callable[[], Tensor]:
        """Begin ``(N, C, *tile)``; what comes back waits for ``(N, 1, *tile)`` float32 on the CPU.

        ``second`` and ``flips`` as for :meth:`planes`.
        """
        if self.device.type != "cuda":
            result = self._mean(x.to(self.device), second, flips).cpu()
            return lambda: result
        there = self._mean(x.pin_memory().to(self.device, non_blocking=True), second, flips)
        here = torch.empty(there.shape, dtype=there.dtype, pin_memory=True)
        here.copy_(there, non_blocking=True)
        finished = torch.cuda.Event()
        finished.record(torch.cuda.current_stream(self.device))

        def wait() -> Tensor:
            finished.synchronize()
            return here

        return wait

    def _mean(self, x: Tensor, second: Second | None, flips: bool) -> Tensor:
        axes = range(2, x.ndim)
        most = len(axes) + 1 if flips or self.settings.flips else 1
        mirrors = [c for n in range(most) for c in itertools.combinations(axes, n)]
        total: Tensor | None = None
        with torch.inference_mode(), self._typed():
            x = x.contiguous(memory_format=self._layout(x))
            for mirror in mirrors:
                y = self._once(x.flip(mirror) if mirror else x)
                if second is not None:
                    y = self._shifted(x.flip(mirror) if mirror else x, y, second)
                y = y.flip(mirror) if mirror else y
                # Not in place: a network may give out the very image that it gets.
                total = y if total is None else total + y
        assert total is not None
        return total / len(mirrors) if len(mirrors) > 1 else total

    def _shifted(self, x: Tensor, y: Tensor, second: Second) -> Tensor:
        """The mean of ``y``, which is made of ``x``, with what is made of ``x`` but for its rim."""
        if min(x.shape[2:]) <= _NEAR + _FAR:
            return y
        given = x[self._within(1, 1)]
        if second == "negative":  # the image, not what else the network is told
            given = torch.cat([-given[:, :1], given[:, 1:]], dim=1)
            here = self._once(given).neg_()
        else:
            here = self._once(given)
        mean = y.clone()
        mean[self._within(_NEAR, _FAR)].add_(here[self._within(_NEAR - 1, _FAR - 1)]).mul_(0.5)
        return mean

    def _within(self, near: int, far: int) -> tuple[slice, ...]:
        """All but so many voxels at the ends of each axis of ``(N, C, *tile)``."""
        return (slice(None), slice(None), *[slice(near, -far)] * self.dims)

    def _once(self, x: Tensor) -> Tensor:
        y = self.network(x)
        if y.shape != (len(x), 1, *x.shape[2:]):
            raise ModelError(
                f"The network gives shape {tuple(y.shape)} for an input of {tuple(x.shape)}: it "
                "must keep the shape, for any size, and give one channel."
            )
        return y.float()

    def _layout(self, x: Tensor) -> torch.memory_format:
        """On a CPU the weights are channels-last, and what comes out of them follows."""
        if self.device.type != "cuda":
            return torch.contiguous_format
        shape = tuple(x.shape)
        if self._laid is None or self._laid[0] != shape:
            self._laid = shape, quicker_layout(self.network, x)
        return self._laid[1]

    def _typed(self) -> AbstractContextManager[object]:
        kind = _TYPES.get(self.settings.precision)
        return nullcontext() if kind is None else torch.autocast(self.device.type, dtype=kind)
