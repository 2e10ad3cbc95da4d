"""What might make a CPU denoise faster and was tried: ``torch.compile`` and int8.

    python benchmarks/tried.py [--quick] [--threads N] [--only shipped|light] [--json FILE]

The network that ships, and the lightweight one after some steps of training on procedural heads,
over one tile, in CPU time: as they are run; compiled by inductor for the shape of the tile (how
long that takes is told beside it); and with every convolution of more than a voxel in int8 (8-bit
values and weights by torch's x86 kernels, scales a channel for weights and a tensor for values,
from a pass over another scan; all else in float32). The loss of PSNR is that against the clean
head.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import Report, arguments

SIDE, QUICK_SIDE = 96, 64
STEPS, QUICK_STEPS = 200, 60
NOISE = 0.1
REPEATS = 3


def heads(side: int) -> tuple[Any, Any, Any, float]:
    """Clean and noisy head, another noisy one, and sigma; ``(side,) * 3`` each."""
    import numpy as np

    from meddenoise.data.samples import sample

    drawn = np.random.default_rng(0)

    def cut(seed: int) -> Any:
        array = sample("head", seed).array[0]
        starts = [(n - side) // 2 for n in array.shape]
        return array[tuple(slice(max(s, 0), max(s, 0) + side) for s in starts)]

    clean, other = cut(0), cut(1)
    sigma = NOISE * float(np.percentile(clean, 99.9))
    noisy = clean + sigma * drawn.standard_normal(clean.shape)
    further = other + sigma * drawn.standard_normal(other.shape)
    return clean, noisy.astype(np.float32), further.astype(np.float32), sigma


def shipped() -> tuple[Any, str]:
    """The network that ships and what it is normalised by: the noise."""
    from meddenoise.pretrained.ready import ReadyDenoiser

    return ReadyDenoiser.load(3, "cpu").denoiser.compute.network, "sigma"


def light(steps: int) -> tuple[Any, str]:
    """The lightweight network after so many steps."""
    import meddenoise as md

    with tempfile.TemporaryDirectory() as place:
        run = md.train(
            Path(__file__).parent.parent / "configs" / "mri_light.yaml",
            overrides=[
                f"training.steps={steps}", f"training.validate_every={steps}",
                "data.images=sample:head:3", "noise.name=gaussian",
            ],
            output=Path(place) / "run",
            device="cpu",
            progress=False,
        )  # fmt: skip
        denoiser = md.Denoiser.load(Path(run.directory) / "model.safetensors", device="cpu")
    return denoiser.compute.network, "spread"


def cpu_seconds(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """The least of several runs."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


def in_int8(network: Any, example: Any) -> Any:
    """A copy with its convolutions in int8, scales from what they see of the example."""
    import torch
    from torch import nn
    from torch.ao.nn import quantized

    torch.backends.quantized.engine = "x86"
    made = copy.deepcopy(network)
    kinds = {nn.Conv2d: quantized.Conv2d, nn.Conv3d: quantized.Conv3d}
    found = {
        name: layer for name, layer in made.named_modules()
        if type(layer) in kinds and math.prod(layer.kernel_size) > 1 and layer.in_channels > 1
        and layer.groups == 1
    }  # fmt: skip
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in found}

    def note(name: str) -> Any:
        def hook(layer: Any, given: Any, gives: Any) -> None:
            seen[name] = [(float(t.min()), float(t.max())) for t in (given[0], gives)]

        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in found.items()]
    with torch.inference_mode():
        made(example)
    for hook in hooks:
        hook.remove()

    def scale(low: float, high: float, steps: int) -> tuple[float, int]:
        low, high = min(low, 0.0), max(high, 0.0)
        step = max(high - low, 1e-12) / steps
        return step, round(-low / step)

    class Int8(nn.Module):
        def __init__(self, layer: Any, ranges: list[tuple[float, float]]) -> None:
            super().__init__()
            # Seven bits of values: with eight the x86 kernels may overflow where there is no VNNI.
            self.step, self.zero = scale(*ranges[0], 127)
            self.layer = kinds[type(layer)](
                layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride,
                layer.padding, layer.dilation, layer.groups, layer.bias is not None,
            )  # fmt: skip
            weight = layer.weight.detach().float()
            steps = weight.abs().flatten(1).amax(1).clamp(min=1e-12) / 127
            packed = torch.quantize_per_channel(
                weight, steps.double(), torch.zeros(len(steps), dtype=torch.long), 0, torch.qint8
            )
            self.layer.set_weight_bias(packed, None if layer.bias is None else layer.bias.float())
            self.layer.scale, self.layer.zero_point = scale(*ranges[1], 255)

        def forward(self, x: Any) -> Any:
            held = torch.quantize_per_tensor(x, self.step, self.zero, torch.quint8)
            return self.layer(held).dequantize()

    for name, layer in found.items():
        above, _, last = name.rpartition(".")
        setattr(made.get_submodule(above), last, Int8(layer, seen[name]))
    return made


def compare(
    report: Report, name: str, network: Any, by: str, side: int, *, compiled_too: bool
) -> None:
    """All figures of one network."""
    import numpy as np
    import torch

    from meddenoise.devices import has_fast_bf16

    clean, noisy, further, sigma = heads(side)
    scale = sigma if by == "sigma" else float(noisy.std())
    shift = float(noisy.mean())

    def given(array: Any) -> Any:
        x = torch.from_numpy(((array - shift) / scale).astype(np.float32))[None, None]
        return x.contiguous(memory_format=torch.channels_last_3d)

    x, example = given(noisy), given(further)
    extent = float(np.ptp(clean))

    def psnr(found: Any) -> float:
        result = found.float().numpy()[0, 0] * scale + shift
        return 10 * math.log10(extent**2 / float(np.mean((result - clean) ** 2)))

    def run(what: Any, precision: str = "fp32") -> Any:
        with torch.inference_mode(), torch.autocast(
            "cpu", torch.bfloat16, enabled=precision == "bf16"
        ):  # fmt: skip
            return what(x)

    def said(what: str) -> None:
        print(f"{name}: {what}", file=sys.stderr, flush=True)

    said("as it is")
    voxels = side**3 / 1e6
    precisions = ["fp32", *(["bf16"] if has_fast_bf16(torch.device("cpu")) else [])]
    whole = psnr(run(network))
    plain = {}
    for precision in precisions:
        run(network, precision)
        plain[precision] = cpu_seconds(lambda p=precision: run(network, p))
        report.add(f"{name}: {precision}", voxels / plain[precision], "Mvoxel/s of CPU time")
    for precision in precisions if compiled_too else ():
        said(f"compiling, {precision}")
        compiled = torch.compile(network)
        began = time.perf_counter()
        try:
            found = run(compiled, precision)
        except Exception as fault:  # inductor's faults have no common class
            print(f"{name}: torch.compile fails in {precision}: {type(fault).__name__}")
            continue
        report.add(f"{name}: torch.compile, {precision}: the first tile",
                   time.perf_counter() - began, "s")  # fmt: skip
        taken = cpu_seconds(lambda p=precision, c=compiled: run(c, p))
        report.add(f"{name}: torch.compile, {precision}: speed beside that without",
                   plain[precision] / taken, "x", at_least=1.1)  # fmt: skip
        report.add(f"{name}: torch.compile, {precision}: PSNR beside float32",
                   psnr(found) - whole, "dB")  # fmt: skip
        torch._dynamo.reset()
    said("int8")
    small = in_int8(network, example)
    report.add(f"{name}: int8: PSNR beside float32", psnr(run(small)) - whole, "dB",
               at_least=-0.1)  # fmt: skip
    taken = cpu_seconds(lambda: run(small))
    best = min(plain.values())
    report.add(f"{name}: int8: speed beside float32", plain["fp32"] / taken, "x")
    report.add(f"{name}: int8: speed beside the faster of float32 and bf16", best / taken, "x",
               at_least=1.1)  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--only", choices=("shipped", "light"), help="one network")
    parser.add_argument(
        "--no-compile", action="store_true", help="leave torch.compile out, which takes minutes"
    )
    options: argparse.Namespace = parser.parse_args()
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    side = QUICK_SIDE if options.quick else SIDE
    report = Report(
        f"Compiled and in int8, one tile of {side}^3, {options.threads or os.cpu_count()} threads"
    )
    if options.only in (None, "shipped"):
        compare(report, "shipped", *shipped(), side, compiled_too=not options.no_compile)
    if options.only in (None, "light"):
        trained = light(QUICK_STEPS if options.quick else STEPS)
        compare(report, "light", *trained, side, compiled_too=not options.no_compile)
    report.finish(options.json)


if __name__ == "__main__":
    main()
