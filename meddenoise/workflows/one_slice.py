"""Volumes of a single slice: images, whatever the number of their axes says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from meddenoise.volume import Volume, slice_last
from meddenoise.workflows.way import Progress

__all__ = ["as_image", "by_image"]

Run = Callable[[Volume, Progress | None], Volume]


def as_image(volume: Volume) -> Volume | None:
    """A volume of one slice as an image of two axes, its place in space kept.

    Args:
        volume: ``(C, X, Y, Z)``.

    Returns:
        ``(C, X, Y)``, or the other two axes; ``None`` of any other volume.
    """
    single = [axis for axis, size in enumerate(volume.shape) if size == 1]
    if volume.dims != 3 or len(single) != 1:
        return None
    lying = slice_last(volume, single[0])
    padding = None if lying.padding is None else lying.padding[..., 0]
    return replace(lying, array=lying.array[..., 0], padding=padding)


def by_image(run: Run) -> Run:
    """A way to denoise images and volumes, with volumes of one slice taken for images.

    In one slice a network for volumes sees its mirror images, whose noise is the same and looks
    like anatomy: it left twice the error of the network for images. Neither are photons counted
    where there are three axes, nor blocks as wide as an image's.
    """

    def by(volume: Volume, progress: Progress | None) -> Volume:
        image = as_image(volume)
        if image is None:
            return run(volume, progress)
        done = run(image, progress)
        return replace(
            volume,
            array=np.reshape(done.array, volume.array.shape),
            history=done.history,
        )

    return by
