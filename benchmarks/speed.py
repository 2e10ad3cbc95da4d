"""How fast a trained network denoises: beside MONAI and CAREamics, and beside what the machine can.

    python benchmarks/speed.py [--quick] [--device cpu|cuda] [--threads N] [--json FILE]

Every figure is taken in a process of its own, started as ``meddenoise denoise`` starts itself
(``meddenoise/cli/allocator.py``). On a CPU the ratios are of CPU time, which other work on the
machine moves less than the clock; with ``--threads 1`` no thread waits for another.

- **MONAI**: ``SlidingWindowInferer`` with windows of 96 voxels, an overlap of a quarter and
  Gaussian weights, over the same network and volume. How far each is from the network over the
  whole volume at once is told as well.
- **CAREamics** (in the environment of ``make_peer_env.sh``, left out where there is none): its own
  ``predict`` of a whole head, in the largest tiles that 4 GiB allow, overlapping by its default and
  by a third of it; ours in half of what that took. The network is CAREamics' default 3-D U-Net on
  both sides.
- **The ceiling**: every convolution of the network by itself, on a tensor of the size and layout
  that it has in the network; the sum is the least that the network could take.
- **Whole commands**: ``meddenoise denoise`` as a user starts it. The time outside the network is
  that of the process less that of its calls of the network.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from common import Report, add_peer_env, arguments, peer_python
from speed_careamics import beside_careamics
from speed_scans import scan, series

SHAPE, QUICK_SHAPE = (160, 192, 160), (96, 112, 96)
HEAD = (256, 256, 192)


def network(name: str) -> Any:
    """One of ours, with drawn weights, or CAREamics' default."""
    import torch

    torch.manual_seed(0)
    if name == "careamics":
        from speed_careamics import same_network

        return same_network()
    from meddenoise.networks import build_network

    return build_network(name, dims=3)


class Clock:
    """Seconds by the clock and of this process's CPU time; on a GPU both by the clock."""

    def __init__(self, device: str) -> None:
        self._device = device

    def now(self) -> tuple[float, float]:
        if self._device != "cpu":
            import torch

            torch.cuda.synchronize()
            return time.perf_counter(), time.perf_counter()
        return time.perf_counter(), time.process_time()

    def of(self, work: Any, repeats: int) -> tuple[float, float]:
        """The least of several runs."""
        taken = []
        for _ in range(repeats):
            began = self.now()
            work()
            ended = self.now()
            taken.append((ended[0] - began[0], ended[1] - began[1]))
        return min(t[0] for t in taken), min(t[1] for t in taken)


def peak() -> float:
    """MiB that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def children() -> float:
    """Seconds of CPU time that finished child processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def result(wall: float, cpu: float, **more: float) -> dict[str, float]:
    """What a measurement prints."""
    return {"wall": wall, "cpu": cpu, "peak": peak(), **more}


def denoiser(name: str, device: str, **inference: Any) -> Any:
    from meddenoise.config import InferenceConfig
    from meddenoise.inference import Denoiser

    settings = InferenceConfig(restore=False, **inference)
    return Denoiser(network(name), device=device, inference=settings)


def measure_ours(
    name: str, shape: list[int], device: str, repeats: int, **inference: Any
) -> dict[str, float]:
    """``Denoiser.denoise_array``."""
    run, array = denoiser(name, device, **inference), scan(tuple(shape))
    run.denoise_array(array[:32, :32, :32])  # prepares what is prepared once
    before = peak()
    wall, cpu = Clock(device).of(lambda: run.denoise_array(array), repeats)
    most = run.compute._most_voxels(array.shape, 1, lean=False)
    work = run.compute.plan(array.shape, most).work
    return result(wall, cpu, grown=peak() - before, work=work)


def measure_monai(name: str, shape: list[int], device: str, repeats: int) -> dict[str, float]:
    """The same volume through MONAI's sliding windows, and both beside the whole at once."""
    import numpy as np
    import torch
    from monai.inferers import SlidingWindowInferer

    array = scan(tuple(shape))
    run = denoiser(name, device)
    shift, scale = float(array.mean()), float(array.std())
    x = torch.from_numpy((array - shift) / scale)[None, None].to(device)
    windows = SlidingWindowInferer(roi_size=(96, 96, 96), overlap=0.25, mode="gaussian")
    model = network(name).to(device).eval()  # in torch's own layout, as MONAI's users have it
    with torch.inference_mode():
        windows(x[..., :32, :32, :32], model)
        wall, cpu = Clock(device).of(lambda: windows(x, model), repeats)
        theirs = windows(x, model).cpu().numpy()[0, 0]
        whole = model(x).cpu().numpy()[0, 0]
    ours = (run.denoise_array(array) - shift) / scale
    extent = float(np.ptp(whole))
    return result(
        wall,
        cpu,
        theirs=float(np.abs(theirs - whole).max()) / extent,
        ours=float(np.abs(ours - whole).max()) / extent,
    )


def measure_careamics(shape: list[int], **how: Any) -> dict[str, float]:
    """CAREamics' ``predict``."""
    import numpy as np
    import speed_careamics

    array = np.ascontiguousarray(scan(tuple(shape)).transpose())
    return speed_careamics.measure_careamics(array, **how)


def measure_ceiling(name: str, shape: list[int], device: str, repeats: int) -> dict[str, float]:
    """The network, and each of its convolutions by itself on tensors as it gets them.

    With the activation that a convolution may have taken in, which is free.
    """
    import torch
    from torch import nn

    from meddenoise.inference.fused import FusedConv

    run, clock = denoiser(name, device), Clock(device)
    whole = run.compute.network
    x = torch.randn(1, 1, *shape, device=device)
    seen: list[tuple[Any, tuple[int, ...], tuple[int, ...]]] = []
    kinds = (FusedConv, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    hooks = [
        module.register_forward_pre_hook(
            lambda module, given: seen.append((module, given[0].shape, given[0].stride()))
        )
        for module in whole.modules()
        if isinstance(module, kinds)
    ]
    with torch.inference_mode():
        whole(x)
        for hook in hooks:
            hook.remove()
        wall, cpu = clock.of(lambda: whole(x), repeats)
        least = [0.0, 0.0]
        for module, size, stride in seen:
            given = torch.empty_strided(size, stride, device=device).normal_()
            module(given)
            taken = clock.of(partial(module, given), repeats)
            least = [least[0] + taken[0], least[1] + taken[1]]
    array = scan(tuple(shape))
    through = clock.of(lambda: run.denoise_array(array), repeats)
    return result(wall, cpu, least=least[1], least_wall=least[0], through=through[1])


def measure_command(words: list[str]) -> dict[str, float]:
    """``meddenoise denoise`` in this process, and what its calls of the network took."""
    from meddenoise.cli import run
    from meddenoise.inference.compute import Compute
    from meddenoise.inference.passing import PassingUNet

    spent = [0.0, 0.0]
    mean, push = Compute._mean, PassingUNet._push

    @contextmanager
    def clocked() -> Iterator[None]:
        began = time.perf_counter(), time.process_time()
        yield
        spent[0] += time.perf_counter() - began[0]
        spent[1] += time.process_time() - began[1]

    def of_a_tile(*given: Any) -> Any:
        with clocked():
            return mean(*given)

    def of_a_slab(*given: Any, **named: Any) -> Any:
        found = push(*given, **named)
        while True:
            with clocked():
                part = next(found, None)
            if part is None:
                return
            yield part

    Compute._mean = of_a_tile  # type: ignore[method-assign]
    PassingUNet._push = of_a_slab  # type: ignore[method-assign]
    sys.argv = ["meddenoise", *words]
    began = time.perf_counter()
    said = os.dup(1)
    os.dup2(2, 1)
    try:
        run()
    except SystemExit as left:
        if left.code:
            raise
    os.dup2(said, 1)
    wall = time.perf_counter() - began
    return result(wall, time.process_time(), network=spent[1], network_wall=spent[0])


MEASURES = {
    "ours": measure_ours,
    "monai": measure_monai,
    "careamics": measure_careamics,
    "ceiling": measure_ceiling,
    "command": measure_command,
}


def measured(python: str | Path, what: str, threads: int | None, **how: Any) -> dict[str, float]:
    """One of :data:`MEASURES` in a fresh process; ours with the command's allocator."""
    from meddenoise.cli.allocator import DENOISE

    environment = dict(os.environ)
    if what in ("ours", "ceiling", "command"):
        environment.setdefault("GLIBC_TUNABLES", DENOISE)
    wanted = {"what": what, "threads": threads, **how}
    done = subprocess.run(
        [str(python), __file__, "--measure", json.dumps(wanted)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    told = ", ".join(f"{k} {v:.3g}" for k, v in found.items())
    print(f"{what} {how}: {told}", file=sys.stderr, flush=True)
    return found


def beside_monai(report: Report, options: argparse.Namespace, shape: list[int]) -> None:
    """MONAI's sliding windows."""
    repeats = 2 if options.quick else 3
    how = {"shape": shape, "device": options.device, "repeats": repeats}
    ours = measured(sys.executable, "ours", options.threads, name="unet", **how)
    monai = measured(sys.executable, "monai", options.threads, name="unet", **how)
    voxels = math.prod(shape) / 1e6
    what = "CPU time" if options.device == "cpu" else "time"
    report.add("denoising, default U-Net", voxels / ours["cpu"], f"Mvoxel/s of {what}")
    report.add(f"ratio of {what} to MONAI's sliding windows", monai["cpu"] / ours["cpu"], "x",
               at_least=1.5)  # fmt: skip
    report.add("from the network over the whole, ours", monai["ours"], "of the range",
               at_most=1e-4)  # fmt: skip
    report.add("from the network over the whole, MONAI", monai["theirs"], "of the range")
    for precision in ("bf16", "fp16"):
        if precision == "fp16" and options.device == "cpu":
            continue
        half = measured(
            sys.executable, "ours", options.threads, name="unet", precision=precision, **how
        )
        report.add(f"ratio of {what}, {precision} to fp32", ours["cpu"] / half["cpu"], "x")


def beside_the_machine(report: Report, options: argparse.Namespace, shape: list[int]) -> None:
    """The convolutions' ceiling."""
    for name in ("unet", "light"):
        found = measured(
            sys.executable, "ceiling", options.threads, name=name, shape=shape,
            device=options.device, repeats=3,
        )  # fmt: skip
        report.add(f"{name}: network beside its convolutions alone", found["least"] / found["cpu"],
                   "of the ceiling", at_least=0.8)  # fmt: skip
        report.add(f"{name}: denoising beside its convolutions alone",
                   found["least"] / found["through"], "of the ceiling", at_least=0.8)  # fmt: skip


def whole_commands(report: Report, options: argparse.Namespace) -> None:
    """Files to files."""
    import meddenoise as md

    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        models = {}
        for name in ("unet", "light"):
            info = {"network": {"name": name, "dims": 3, "options": {}}}
            model = md.Denoiser(network(name), info=info, device="cpu")
            models[name] = model.save(place / f"{name}.safetensors")
        shape = (128, 128, 96) if options.quick else HEAD
        head = md.write(md.Volume.from_array(scan(shape)), place / "head.nii.gz")
        small = md.write(md.Volume.from_array(scan((64, 64, 64))), place / "small.nii.gz")

        def command(source: Path, target: str, *words: str | Path) -> dict[str, float]:
            given = ["denoise", source, place / target, "--device", options.device, *words]
            return measured(sys.executable, "command", options.threads, words=[*map(str, given)])

        found = command(head, "head-out.nii.gz", "--model", models["light"])
        size = " x ".join(map(str, shape))
        report.add(f"{size} NIfTI, light network, whole command", found["wall"], "s",
                   at_most=None if options.quick else 20)  # fmt: skip
        report.add(f"{size} NIfTI, light network: CPU time", found["cpu"], "s")
        slices = series(place / "ct", 48 if options.quick else 192)
        found = command(slices, "ct-out", "--model", models["unet"])
        count = len([*slices.iterdir()])
        report.add(f"{count}-slice DICOM, default U-Net: CPU time outside the network",
                   100 * (1 - found["network"] / found["cpu"]), "%", at_most=20)  # fmt: skip
        report.add(f"{count}-slice DICOM, default U-Net: whole command", found["wall"], "s")
        for kind, target, words in (
            ("classical", 2, ("--method", "median")),
            ("learned", 5, ("--model", models["light"])),
        ):
            taken, spent = [], []
            for run in range(1 if options.quick else 3):
                output = place / f"{kind}{run}.nii.gz"
                began, before = time.perf_counter(), children()
                subprocess.run(
                    [sys.executable, "-m", "meddenoise", "denoise", small, output, *words],
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                taken.append(time.perf_counter() - began)
                spent.append(children() - before)
            report.add(f"64^3 NIfTI, {kind}, whole process", statistics.median(taken), "s",
                       at_most=target)  # fmt: skip
            report.add(f"64^3 NIfTI, {kind}, CPU time", statistics.median(spent), "s")


def main() -> None:
    parser = arguments(__doc__)
    add_peer_env(parser)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, help="of both sides (default: all cores)")
    parser.add_argument(
        "--only",
        choices=("peers", "careamics", "machine", "commands"),
        help="a part of the figures",
    )
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        import torch

        wanted = options.measure
        threads = wanted.pop("threads")
        if threads:
            torch.set_num_threads(threads)
        print(json.dumps(MEASURES[wanted.pop("what")](**wanted)))
        return
    shape = [*(QUICK_SHAPE if options.quick else SHAPE)]
    report = Report(
        f"Denoising speed, {options.device}, {options.threads or os.cpu_count()} threads"
    )
    if options.only in (None, "peers"):
        beside_monai(report, options, shape)
    there = options.device == "cpu" and (options.peer_env / "bin" / "python").exists()
    if options.only == "careamics" or (there and options.only in (None, "peers")):
        peer_python(options.peer_env)
        beside_careamics(report, options, measured)
    if options.only in (None, "machine"):
        beside_the_machine(report, options, shape)
    if options.only in (None, "commands"):
        whole_commands(report, options)
    report.finish(options.json)


if __name__ == "__main__":
    main()
