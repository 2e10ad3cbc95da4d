"""Denoising beside CAREamics' ``predict``: part of ``speed.py``, which explains and starts it.

CAREamics gets the largest tiles that the memory allows, found from what it takes for two whole
volumes; among the tiles that fit, those with the least work. Ours gets half of what the faster of
its runs took.
"""

from __future__ import annotations

import argparse
import itertools
import math
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from common import Report

#: GiB that CAREamics' process may hold.
LIMIT = 4.0
SHAPE, QUICK_SHAPE = (256, 256, 192), (192, 192, 160)
#: By which tiles overlap: CAREamics' default, and the least that does not look wrong at once.
OVERLAPS = {"its default overlap of 48": 48, "an overlap of 16, with seams": 16}
_PROBES = (64, 96)
#: How far the network sees that counts; half of CAREamics' default overlap.
HALO = 24


def same_network() -> Any:
    """CAREamics' default 3-D U-Net, layer by layer, so that ours need not import CAREamics."""
    import torch
    from torch import Tensor, nn

    class Block(nn.Module):
        def __init__(self, inputs: int, between: int, outputs: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv3d(inputs, between, 3, padding=1)
            self.conv2 = nn.Conv3d(between, outputs, 3, padding=1)
            self.batch_norm1, self.batch_norm2 = nn.BatchNorm3d(between), nn.BatchNorm3d(outputs)
            self.activation = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            x = self.activation(self.batch_norm1(self.conv1(x)))
            return self.activation(self.batch_norm2(self.conv2(x)))

    class Whole(nn.Module):
        multiple, halo = (4, 4, 4), (HALO,) * 3

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Block(1, 32, 32), Block(32, 64, 64)
            self.lowest = Block(64, 128, 64)
            self.fourth, self.fifth = Block(128, 64, 32), Block(64, 32, 32)
            self.pool = nn.MaxPool3d(2)
            self.up = nn.Upsample(scale_factor=2, mode="trilinear")
            self.last = nn.Conv3d(32, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            one = self.first(x)
            two = self.second(self.pool(one))
            y = self.up(self.lowest(self.pool(two)))
            y = self.fourth(torch.cat([y, two], 1))
            y = self.up(y)
            return self.last(self.fifth(torch.cat([y, one], 1)))

    torch.manual_seed(0)
    return Whole().eval()


def check_same(theirs: Any) -> None:
    """End the program unless :func:`same_network` is what CAREamics builds."""
    import torch

    ours = same_network()
    weights = list(theirs.state_dict().values())
    if [w.shape for w in weights] != [w.shape for w in ours.state_dict().values()]:
        raise SystemExit("CAREamics' default network is another one by now: mend same_network().")
    ours.load_state_dict(dict(zip(ours.state_dict(), weights, strict=True)))
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        if not torch.allclose(ours(x), theirs.eval()(x), atol=1e-5):
            raise SystemExit("CAREamics' default network is another one by now.")


def measure_careamics(
    array: Any, repeats: int, tile: Sequence[int] | None, overlap: int
) -> dict[str, float]:
    """CAREamics' ``predict`` of ``(Z, Y, X)``, after one step of training, which it asks for."""
    from careamics import CAREamist
    from careamics_side import configuration, quiet, unet

    check_same(unet(3))
    with tempfile.TemporaryDirectory() as place, quiet():
        config = configuration(3, num_epochs=1, num_steps=1, n_val_patches=1,
                               trainer_params={"accelerator": "cpu"})  # fmt: skip
        side = CAREamist(config, work_dir=place, enable_progress_bar=False)
        side.train(train_data=array[:32, :128, :128].copy())
        tiles: dict[str, Any] = {"tile_size": None}
        if tile is not None:
            tiles = {"tile_size": tuple(tile), "tile_overlap": (overlap,) * 3}
        taken = []
        for _ in range(repeats):
            began = time.perf_counter(), time.process_time()
            found, _ = side.predict(array, batch_size=1, num_workers=0, **tiles)
            taken.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    if found[0].size != array.size:
        raise SystemExit(f"CAREamics gave {found[0].shape} for {array.shape}.")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": min(taken)[0], "cpu": min(cpu for _, cpu in taken), "peak": peak}


def work_of(shape: Sequence[int], tile: Sequence[int], overlap: int) -> int:
    """Voxels that go through the network with such tiles, whose last ones are moved inwards."""
    counts = [
        1 if t >= n else math.ceil((n - overlap) / (t - overlap))
        for n, t in zip(shape, tile, strict=True)
    ]
    return math.prod(t * c for t, c in zip(tile, counts, strict=True))


def best_tile(shape: Sequence[int], most: float, overlap: int) -> tuple[int, ...]:
    """The tile of at most so many voxels with the least work: multiples of 8, with Y as X."""
    choices = [[n, *range(n // 8 * 8 - 8, overlap + 7, -8)] for n in shape]
    fitting = [
        tile
        for tile in itertools.product(*choices)
        if math.prod(tile) <= most and tile[1] == tile[2]
    ]
    return min(fitting, key=lambda tile: (work_of(shape, tile, overlap), -math.prod(tile)))


def beside_careamics(
    report: Report,
    options: argparse.Namespace,
    measured: Callable[..., dict[str, float]],
) -> None:
    """Throughput and memory of both, and their ratios.

    Args:
        report: gets the figures.
        options: ``quick``, ``threads``, ``peer_env``.
        measured: ``speed.measured``.
    """
    python = options.peer_env / "bin" / "python"
    shape = QUICK_SHAPE if options.quick else SHAPE
    voxels = math.prod(shape)

    def theirs(size: Sequence[int], tile: Sequence[int] | None, overlap: int) -> dict[str, float]:
        return measured(
            python, "careamics", options.threads, shape=size, repeats=1, tile=tile, overlap=overlap
        )

    probes = [(side**3, theirs((side,) * 3, None, 0)["peak"]) for side in _PROBES]
    (few, least), (many, larger) = probes
    each = (larger - least) / (many - few)
    base = least - few * each + 4 * 4 * voxels / 2**20  # with the volume, its copy and its result
    found: dict[str, dict[str, float]] = {}
    for name, overlap in OVERLAPS.items():
        most = (1024 * LIMIT - base) / each
        tile = best_tile(shape[::-1], most, overlap)
        here = theirs(shape, tile, overlap)
        # What it took tells better than the probes did how large a tile may be.
        most = math.prod(tile) * (1000 * LIMIT - base) / (here["peak"] - base)
        other = best_tile(shape[::-1], most, overlap)
        if other != tile:
            again = theirs(shape, other, overlap)
            if again["peak"] <= 1024 * LIMIT and (
                again["cpu"] < here["cpu"] or here["peak"] > 1024 * LIMIT
            ):
                tile, here = other, again
        found[name] = here | {"work": work_of(shape[::-1], tile, overlap) / voxels}
        size = " x ".join(map(str, tile))
        report.add(f"CAREamics, tiles of {size}, {name}", voxels / 1e6 / here["cpu"],
                   "Mvoxel/s of CPU time")  # fmt: skip
        report.add(f"CAREamics, {name}: voxels through the network", found[name]["work"],
                   "of the scan's")  # fmt: skip
        report.add(f"CAREamics, {name}: memory at most", here["peak"] / 1024, "GiB")
    best = min(found.values(), key=lambda one: one["cpu"])
    equal = found[next(iter(OVERLAPS))]
    for precision, target in (("bf16", 4.0), ("fp32", None)):
        ours = measured(
            python, "ours", options.threads, name="careamics", shape=shape, device="cpu",
            repeats=1, precision=precision, memory=best["peak"] / 2048,
        )  # fmt: skip
        report.add(f"ours in {precision}, same network", voxels / 1e6 / ours["cpu"],
                   "Mvoxel/s of CPU time")  # fmt: skip
        report.add(
            f"ours in {precision}: voxels through the network", ours["work"], "of the scan's"
        )
        report.add(f"ours in {precision}: memory beside the faster of CAREamics'",
                   ours["peak"] / best["peak"], "x", at_most=0.5)  # fmt: skip
        report.add(f"ratio of CPU time to CAREamics' default overlap, {precision}",
                   equal["cpu"] / ours["cpu"], "x")  # fmt: skip
        report.add(f"ratio of CPU time to CAREamics' fastest, {precision}",
                   best["cpu"] / ours["cpu"], "x", at_least=target)  # fmt: skip
