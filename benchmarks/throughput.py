"""Training throughput beside CAREamics 0.3.5: the same U-Net, patch, batch and method.

    benchmarks/make_peer_env.sh build/peers
    python benchmarks/throughput.py [--quick] [--json FILE]

Both sides train CAREamics' own default U-Net by Noise2Void with 0.2 % blind spots: 2-D on 16
patches of 64 x 64 and 3-D on 2 patches of 16 x 64 x 64. They take turns in one process with the
same number of threads, and each is timed from the end of one step to the end of a later one,
after a warm-up: patches drawn, augmented and masked, forward, backward, update, and each side's
own default log. Progress bars are off on both sides, validation and checkpoints are not timed.
CAREamics loads its patches by its default number of worker processes, and by none; the ratio is
to the faster of the two.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Report, add_peer_env, arguments, run_in_peer_env

SHAPE = {2: (192, 256, 256), 3: (192, 256, 256)}
# Timed steps and repeats; the first steps fill caches and start workers.
FULL = {2: (30, 5), 3: (12, 5)}
QUICK = {2: (8, 3), 3: (4, 3)}
WARMUP = 3
TARGET = 1.5


def ours(array: Any, dims: int, *, steps: int) -> float:
    """Seconds a training step of meddenoise's engine, after the warm-up."""
    import torch
    from careamics_side import BATCH, PATCH, unet

    from meddenoise.config import TrainingConfig
    from meddenoise.data.patches import Item, PatchSampler
    from meddenoise.training import Engine, Noise2VoidTrainer

    starts: list[float] = []

    class Timed(Noise2VoidTrainer):
        def training_step(self, network: Any, batch: Any, draws: Any) -> Any:
            starts.append(time.perf_counter())
            return super().training_step(network, batch, draws)

    def item(part: torch.Tensor) -> Item:
        return Item(part, None, shift=0.0, scale=1.0, spacing=(1.0,) * dims)

    whole = torch.from_numpy(array)
    items = [item(whole)] if dims == 3 else [item(image) for image in whole]
    with tempfile.TemporaryDirectory() as place:
        engine = Engine(
            Timed(mask_percent=0.2, window=11),
            unet(dims),
            PatchSampler(items, PATCH[dims]),
            settings=TrainingConfig(steps=WARMUP + steps + 1),
            batch=BATCH[dims],
            directory=Path(place),
            device="cpu",
            progress=False,
        )
        engine.run()
    # From the start of one step's loss to the start of a later one's: whole steps.
    return (starts[WARMUP + steps] - starts[WARMUP]) / steps


def main() -> None:
    parser = arguments(__doc__)
    add_peer_env(parser)
    parser.add_argument("--threads", type=int, help="of both sides (default: all cores)")
    parser.add_argument("--dims", type=int, choices=(2, 3), help="only 2-D or only 3-D")
    parser.add_argument("--steps", type=int, help="timed in each repeat")
    parser.add_argument("--repeats", type=int, help="of each side")
    options = parser.parse_args()
    run_in_peer_env(options.peer_env)

    import numpy as np
    import torch
    from careamics_side import BATCH, PATCH, step_seconds, unet

    if options.threads:
        torch.set_num_threads(options.threads)
    report = Report(f"Training throughput, {torch.get_num_threads()} threads")
    for dims in [options.dims] if options.dims else [2, 3]:
        steps, repeats = (QUICK if options.quick else FULL)[dims]
        steps, repeats = options.steps or steps, options.repeats or repeats
        array = np.random.default_rng(0).standard_normal(SHAPE[dims]).astype(np.float32)
        peer = {"steps": steps, "warmup": WARMUP}
        sides = {
            "meddenoise": lambda: ours(array, dims, steps=steps),  # noqa: B023
            "CAREamics": lambda: step_seconds(array, dims, workers=None, **peer),  # noqa: B023
            "CAREamics, no workers": lambda: step_seconds(array, dims, workers=0, **peer),  # noqa: B023
        }
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for repeat in range(repeats):
            for name, measure in sides.items():
                taken[name].append(measure())
                told = f"{dims}-D, {repeat + 1} of {repeats}, {name}: {taken[name][-1]:.4f} s a step"
                print(told, file=sys.stderr)
        voxels = BATCH[dims] * int(np.prod(PATCH[dims]))
        weights = sum(p.numel() for p in unet(dims).parameters())
        size = " x ".join(map(str, PATCH[dims]))
        print(f"{dims}-D: {weights} weights, {BATCH[dims]} patches of {size}", file=sys.stderr)
        median = {name: statistics.median(times) for name, times in taken.items()}
        for name, times in taken.items():
            report.add(f"{dims}-D, {name}", voxels / median[name] / 1e6, "Mvoxel/s")
            spread = (max(times) - min(times)) / median[name]
            report.add(f"{dims}-D, {name}, spread of {repeats} repeats", 100 * spread, "%")
        best = min(value for name, value in median.items() if name != "meddenoise")
        report.add(f"{dims}-D, ratio", best / median["meddenoise"], "x", at_least=TARGET)
    report.finish(options.json)


if __name__ == "__main__":
    main()
