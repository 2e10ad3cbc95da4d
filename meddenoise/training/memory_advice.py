"""What to make smaller when a training step has no memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from meddenoise.training.checkpoint import Checkpoint

__all__ = ["memory_advice"]

# Half a patch of fewer voxels along an axis shows a network nothing.
_LEAST = 16


def memory_advice(
    batch: int, patch: Sequence[int], *, processes: int, step: int, directory: Path | None
) -> str:
    """A sentence on what did not fit, and what takes half the memory.

    Args:
        batch: patches a step, over all processes together.
        patch: voxels along each axis.
        processes: that share the batch; it must go on to divide among them.
        step: the steps done.
        directory: of the run, if it has one.
    """
    size = " x ".join(map(str, patch))
    several = "es" if batch > 1 else ""
    return (
        f"The memory is not enough for {batch} patch{several} of {size} voxels in step {step + 1}: "
        f"{_smaller(batch, patch, processes)}{Checkpoint.kept_in(directory)}"
    )


def _smaller(batch: int, patch: Sequence[int], processes: int) -> str:
    half = batch // processes // 2 * processes
    if half >= processes:
        return f"give data.batch={half}, which takes about half as much."
    sizes = list(patch)
    longest = max(range(len(sizes)), key=lambda axis: sizes[axis])
    if sizes[longest] >= 2 * _LEAST:
        sizes[longest] //= 2
        given = ",".join(map(str, sizes))
        return f"give data.patch=[{given}], which takes about half as much."
    return "take a smaller network, such as network.name=light, or free some memory."
