"""Training throughput beside CAREamics 0.3.5: the same U-Net, patch, batch and method.

    benchmarks/make_peer_env.sh build/peers
    python benchmarks/throughput.py [--quick] [--json FILE]

Both sides train CAREamics' own default U-Net by Noise2Void with 0.2 % blind spots: 2-D on 16
patches of 64 x 64 and 3-D on 2 patches of 16 x 64 x 64. They take turns, each measurement in a
process of its own with the same number of threads; ours starts as ``meddenoise train`` starts
itself (``meddenoise/cli/allocator.py``). Each is timed from the end of one step to the end of a
later one, after a warm-up: patches drawn, augmented and masked, forward, backward, update, and
each side's own default log. Progress bars are off on both sides, validation and checkpoints are
not timed.
Both sides compute by their defaults: CAREamics in float32, ours in bfloat16 where the processor has
it natively (AVX-512 BF16, AMX), which the second row of ours leaves out.
CAREamics loads its patches by its default number of worker processes, and by none; the ratio is
to the faster of the two. The CPU time of the process is less moved by what else the machine
does than the clock, above all with ``--threads 1``.

The ceiling is the fastest of several large float32 matrix products in the same run. With the
floating-point operations of one step (counted by torch) it says how much of the machine each side
uses, and what ratio could be reached at all with the same arithmetic.

Whole runs follow: both train by the clock on one volume of 128 x 128 x 64 voxels, with all that
they do by default between steps (epochs, validation, logs, checkpoints). There CAREamics
validates on its default of 8 patches, and on one batch.

``--part scaling``: ours alone, one process of one thread, one process of two threads, and two
processes (gloo, started by torchrun) of one thread each, the same patches in all. Efficiency is the
speed-up over the first by the two cores. By the clock, so it needs two cores that are free; what
counts is the fastest of the repeats.

``--part places``: ours alone, one thread, with the scans in memory, mapped from files, and mapped
from files of which nothing is in memory before each step, as in a cohort much larger than it. Where
there is no CAREamics, both of these parts take our default U-Net.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import BATCH, PATCH, Report, add_peer_env, arguments, run_in_peer_env

SHAPE = (192, 256, 256)
SCAN = (64, 128, 128)
# Timed steps and repeats; the first steps fill caches and start workers.
FULL = {2: (30, 5), 3: (12, 5)}
QUICK = {2: (6, 3), 3: (2, 3)}
# Seconds and repeats of whole runs.
RUNS, QUICK_RUNS = (60, 3), (15, 1)
# Ours alone: timed steps by dimensions, and repeats of each.
ALONE_STEPS, ALONE_REPEATS = {2: 12, 3: 6}, 3
PARTS = ("peers", "scaling", "places")
WARMUP = 3
TARGET = 3.0
OURS, PEER, ALONE = "meddenoise", "CAREamics", "CAREamics without workers"
SINGLE = "meddenoise in float32"


def same_unet(dims: int) -> Any:
    """CAREamics' U-Net; where that is not installed, as ours alone needs it not, our own."""
    try:
        from careamics_side import unet
    except ModuleNotFoundError:
        from meddenoise.networks import build_network

        return build_network("unet", dims=dims)
    return unet(dims)


def engine(
    trainer: Any, array: Any, dims: int, place: Path, *, mapped: bool = False, **training: Any
) -> Any:
    """meddenoise's engine, on ``(Z, Y, X)`` or on its slices."""
    import torch

    from meddenoise.config import TrainingConfig
    from meddenoise.data.patches import Item, PatchSampler
    from meddenoise.data.voxel_cache import VoxelCache
    from meddenoise.training import Engine

    if mapped:
        array = VoxelCache(place / "voxels").array(array)
    whole = torch.from_numpy(array)
    items = [
        Item(part, None, shift=0.0, scale=1.0, spacing=(1.0,) * dims)
        for part in (whole[None] if dims == 3 else whole)
    ]
    return Engine(
        trainer,
        same_unet(dims),
        PatchSampler(items, PATCH[dims], in_place=mapped),
        val=PatchSampler(items, PATCH[dims], augment="none"),
        settings=TrainingConfig(**training),
        batch=BATCH[dims],
        directory=place,
        device="cpu",
        progress=False,
    )


def our_step_seconds(
    array: Any, dims: int, *, steps: int, precision: str = "auto", scans: str = "in memory"
) -> tuple[float, float]:
    """Seconds a training step after the warm-up: clock and CPU; scans may be mapped, or cold."""
    from meddenoise.training import Noise2VoidTrainer

    starts: list[tuple[float, float]] = []
    lost = [0.0, 0.0]

    class Timed(Noise2VoidTrainer):
        def training_step(self, network: Any, batch: Any, draws: Any) -> Any:
            if scans == "cold":
                began = time.perf_counter(), time.process_time()
                drop(Path(place) / "voxels")
                lost[0] += time.perf_counter() - began[0]
                lost[1] += time.process_time() - began[1]
            starts.append((time.perf_counter() - lost[0], time.process_time() - lost[1]))
            return super().training_step(network, batch, draws)

    trainer = Timed(mask_percent=0.2, window=11)
    with tempfile.TemporaryDirectory() as place:
        loop: dict[str, Any] = {"steps": WARMUP + steps + 1, "precision": precision}
        loop["mapped"] = scans != "in memory"
        engine(trainer, array, dims, Path(place), **loop).run()
    # From the start of one step's loss to the start of a later one's: whole steps, and none
    # of the validation at the end.
    first, last = starts[WARMUP], starts[WARMUP + steps]
    return (last[0] - first[0]) / steps, (last[1] - first[1]) / steps


def drop(voxels: Path) -> None:
    """Let the system forget what it has read of these files, mapped or not (Linux)."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_, name = line.split(maxsplit=5)
        if name.startswith(str(voxels)):
            first, last = (int(end, 16) for end in span.split("-"))
            # Without it, pages that are mapped stay: MADV_DONTNEED, 4, of a private mapping.
            libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), 4)
    for file in voxels.rglob("*.bin"):
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def our_run_seconds(array: Any, dims: int, *, seconds: float) -> tuple[int, float]:
    """Train for about so many seconds; the steps made and the exact time of the loop."""
    from meddenoise.training import Noise2VoidTrainer

    trainer = Noise2VoidTrainer(mask_percent=0.2, window=11)
    with tempfile.TemporaryDirectory() as place:
        clocked = {"steps": 10**9, "max_minutes": seconds / 60}
        made = engine(trainer, array, dims, Path(place), **clocked).run()
    return made.steps, made.seconds


def ceiling() -> float:
    """Floating-point operations a second of the best of several matrix products, float32."""
    import torch

    size = 2048
    a, b = torch.randn(size, size), torch.randn(size, size)
    seconds = []
    for _ in range(8):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)


def step_operations(dims: int) -> int:
    """Floating-point operations of one training step's forward and backward pass."""
    import torch
    from careamics_side import BATCH, PATCH, unet
    from torch.utils.flop_counter import FlopCounterMode

    network, image = unet(dims), torch.zeros(BATCH[dims], 1, *PATCH[dims])
    with FlopCounterMode(display=False) as counter:
        network(image).square().mean().backward()
    return int(counter.get_total_flops())


def measured(
    what: str, dims: int, *, processes: int = 1, threads: int | None = None, **how: Any
) -> list[float]:
    """What one of the functions in :func:`measure` returns in a fresh process, or in several."""
    import torch

    from meddenoise.cli.allocator import TRAIN

    wanted = {"what": what, "dims": dims, "threads": threads or torch.get_num_threads(), **how}
    start = [sys.executable]
    if processes > 1:
        many = ["--standalone", "--nproc-per-node", str(processes)]
        start += ["-m", "torch.distributed.run", *many]
    environment = dict(os.environ)
    if what.startswith("our"):
        environment.setdefault("GLIBC_TUNABLES", TRAIN)
    done = subprocess.run(
        [*start, __file__, "--measure", json.dumps(wanted)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [float(value) for value in json.loads(done.stdout.splitlines()[-1])]


def measure(wanted: dict[str, Any]) -> None:
    """The other end of :func:`measured`."""
    import numpy as np
    import torch

    torch.set_num_threads(wanted.pop("threads"))
    side = wanted.pop("what")
    sides: dict[str, Any] = {"our steps": our_step_seconds, "our run": our_run_seconds}
    if side not in sides:
        from careamics_side import run_seconds, step_seconds

        sides |= {"steps": step_seconds, "run": run_seconds}
    shape = SCAN if side.endswith("run") else SHAPE
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    told = sides[side](array, wanted.pop("dims"), **wanted)
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(told))


def compare_steps(report: Report, dims: int, *, steps: int, repeats: int) -> None:
    """All sides in turn, several times; medians and their ratios."""
    from careamics_side import unet

    peer = {"steps": steps, "warmup": WARMUP}
    sides = {
        OURS: lambda: measured("our steps", dims, steps=steps),
        SINGLE: lambda: measured("our steps", dims, steps=steps, precision="fp32"),
        PEER: lambda: measured("steps", dims, workers=None, **peer),
        ALONE: lambda: measured("steps", dims, workers=0, **peer),
    }
    taken: dict[str, list[list[float]]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name, side in sides.items():
            taken[name].append(side())
            wall, busy = taken[name][-1]
            told = (
                f"{dims}-D, {repeat + 1} of {repeats}, {name}: {wall:.3f} s a step, CPU {busy:.3f}"
            )
            print(told, file=sys.stderr, flush=True)
    voxels = BATCH[dims] * math.prod(PATCH[dims])
    weights = sum(p.numel() for p in unet(dims).parameters())
    size = " x ".join(map(str, PATCH[dims]))
    print(f"{dims}-D: {weights} weights, {BATCH[dims]} patches of {size}", file=sys.stderr)
    clock = {name: statistics.median(wall for wall, _ in times) for name, times in taken.items()}
    cpu = {name: statistics.median(busy for _, busy in times) for name, times in taken.items()}
    for name, times in taken.items():
        spread = (max(times)[0] - min(times)[0]) / clock[name]
        report.add(f"{dims}-D, {name}", voxels / clock[name] / 1e6, "Mvoxel/s")
        report.add(f"{dims}-D, {name}: spread over {repeats} repeats", 100 * spread, "%")
    best = min(clock[PEER], clock[ALONE])
    most, operations = max(ceiling() for _ in range(3)), step_operations(dims)
    report.add(f"{dims}-D, ceiling: float32 matrix product", most / 1e9, "GFLOP/s")
    report.add(f"{dims}-D, {SINGLE}: share of the ceiling", operations / clock[SINGLE] / most, "")
    report.add(f"{dims}-D, {PEER}: share of the ceiling", operations / best / most, "")
    report.add(f"{dims}-D, ratio", best / clock[OURS], "x", at_least=TARGET)
    report.add(f"{dims}-D, ratio of CPU time to {ALONE}", cpu[ALONE] / cpu[OURS], "x")
    report.add(f"{dims}-D, ratio in float32", best / clock[SINGLE], "x")
    report.add(f"{dims}-D, ratio of CPU time in float32", cpu[ALONE] / cpu[SINGLE], "x")


def compare_runs(report: Report, dims: int, *, seconds: float, repeats: int) -> None:
    """Both sides by the clock on one scan, in turn."""

    fewer = f"{PEER}, {BATCH[dims]} validation patches"
    sides = {
        OURS: lambda: measured("our run", dims, seconds=seconds),
        PEER: lambda: measured("run", dims, seconds=seconds),
        fewer: lambda: measured("run", dims, seconds=seconds, val_patches=BATCH[dims]),
    }
    if dims == 2:  # 8 patches are less than one batch
        del sides[fewer]
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name, side in sides.items():
            steps, took = side()
            rates[name].append(steps * BATCH[dims] * math.prod(PATCH[dims]) / took / 1e6)
            told = (
                f"{dims}-D run, {repeat + 1} of {repeats}, {name}: {steps:g} steps in {took:.1f} s"
            )
            print(told, file=sys.stderr, flush=True)
    median = {name: statistics.median(values) for name, values in rates.items()}
    for name, rate in median.items():
        report.add(f"{dims}-D whole run, {name}", rate, "Mvoxel/s")
    for name in [name for name in median if name != OURS]:
        report.add(f"{dims}-D whole run, ratio to {name}", median[OURS] / median[name], "x")


def fastest(
    dims: int, sides: dict[str, dict[str, Any]], *, repeats: int, steps: int
) -> dict[str, list[float]]:
    """Clock and CPU seconds of a step, of the fastest of several repeats in turn."""
    best: dict[str, list[float]] = {name: [math.inf, math.inf] for name in sides}
    for repeat in range(repeats):
        for name, how in sides.items():
            took = measured("our steps", dims, steps=steps, **how)
            best[name] = [min(pair) for pair in zip(best[name], took, strict=True)]
            told = (
                f"{dims}-D, {repeat + 1} of {repeats}, {name}: {took[0]:.3f} s, CPU {took[1]:.3f}"
            )
            print(told, file=sys.stderr, flush=True)
    return best


def compare_processes(report: Report, dims: int, *, repeats: int, steps: int) -> None:
    """Two cores, used by threads and by processes, beside one."""
    one, threads, processes = "1 x 1", "1 x 2", "2 x 1"
    sides: dict[str, dict[str, Any]] = {
        one: {"threads": 1},
        threads: {"threads": 2},
        processes: {"threads": 1, "processes": 2},
    }
    took = fastest(dims, sides, repeats=repeats, steps=steps)
    for name in (threads, processes):
        gained = took[one][0] / took[name][0]
        report.add(f"{dims}-D, {name} (processes x threads): efficiency", 50 * gained, "%")
    # One process's share of the work: what the machine does besides moves it less.
    alike = took[one][1] / (2 * took[processes][1])
    report.add(f"{dims}-D, {processes}: efficiency by CPU time", 100 * alike, "%")
    ratio = took[threads][0] / took[processes][0]
    report.add(f"{dims}-D, two processes beside two threads", ratio, "x")


def compare_places(report: Report, dims: int, *, repeats: int, steps: int) -> None:
    """Scans in memory, in files that are in memory as well, and in files that are not."""
    sides = {scans: {"threads": 1, "scans": scans} for scans in ("in memory", "mapped", "cold")}
    took = fastest(dims, sides, repeats=repeats, steps=steps)
    for name, told in (("mapped", "mapped from files"), ("cold", "mapped, nothing in memory")):
        here, there = took["in memory"], took[name]
        report.add(f"{dims}-D, {told}: speed beside memory", here[0] / there[0], "x", at_least=0.95)
        report.add(f"{dims}-D, {told}: by CPU time", here[1] / there[1], "x")


def main() -> None:
    parser = arguments(__doc__)
    add_peer_env(parser)
    parser.add_argument("--threads", type=int, help="of both sides (default: all cores)")
    parser.add_argument("--dims", type=int, choices=(2, 3), help="only 2-D or only 3-D")
    parser.add_argument("--steps", type=int, help="timed in each repeat")
    parser.add_argument("--seconds", type=float, help="of each whole run")
    parser.add_argument("--repeats", type=int, help="of each side")
    parser.add_argument("--part", choices=PARTS, default="peers", help="what is compared")
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    if options.part == "peers":
        run_in_peer_env(options.peer_env)

    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    report = Report(f"Training throughput, {torch.get_num_threads()} threads")
    for dims in [options.dims] if options.dims else [2, 3]:
        if options.part != "peers":
            compare = compare_processes if options.part == "scaling" else compare_places
            repeats = options.repeats or (1 if options.quick else ALONE_REPEATS)
            compare(report, dims, repeats=repeats, steps=options.steps or ALONE_STEPS[dims])
            continue
        steps, repeats = (QUICK if options.quick else FULL)[dims]
        steps, repeats = options.steps or steps, options.repeats or repeats
        compare_steps(report, dims, steps=steps, repeats=repeats)
        seconds, repeats = QUICK_RUNS if options.quick else RUNS
        compare_runs(
            report, dims, seconds=options.seconds or seconds, repeats=options.repeats or repeats
        )
    report.finish(options.json)


if __name__ == "__main__":
    main()
