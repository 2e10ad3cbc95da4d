"""The middle of the head sample: deep grey nuclei, ventricles, brainstem, cisterns."""

from __future__ import annotations

import numpy as np

from meddenoise.data.samples.canvas import Canvas
from meddenoise.data.samples.fields import FloatArray
from meddenoise.data.samples.shapes import Position, capsule, curve, ellipsoid, smooth_min, turn
from meddenoise.data.samples.tissues import BONE, CSF, DEEP_GREY, GREY, WHITE

__all__ = ["callosum", "paint_brainstem", "paint_cisterns", "paint_deep"]


def callosum(p: Position) -> FloatArray:
    """The upper face of the corpus callosum, an ellipse seen from the side."""
    return ellipsoid(p, (0, -3, 1), (np.inf, 41, 27))


def paint_deep(canvas: Canvas, *, grey: float, atrophy: float) -> None:
    """Basal ganglia, thalamus and ventricles, into white matter.

    ``grey`` is the cortex's intensity; ``atrophy``, 0 to 1, widens the ventricles.
    """
    deep = grey + (DEEP_GREY - GREY)
    box = canvas.box((-8, -45, -5), (8, 40, 30))
    x, y, z = p = canvas.at(box)
    # Beneath the corpus callosum: the ventricles' bodies, and the septum between them.
    below = np.maximum(callosum(p) + 7, 11 - 0.12 * y - z)
    canvas.paint(np.maximum(below, np.abs(x) - 6), CSF, box)
    canvas.paint(np.maximum(below, np.abs(x) - 0.6), deep, box)

    nuclei = (
        ((26.5, 3, 2), (5.5, 17, 11), 10, deep),  # putamen
        ((19.5, -1, 1), (4.5, 10, 7), 22, WHITE - 60),  # pallidum
        ((10, -14, 8), (8.5, 15, 9), 28, deep + 30),  # thalamus
        ((14.5, 21, 8), (6.5, 10, 10), 10, deep),  # head of the caudate
    )
    for centre, size, degrees, value in nuclei:
        out, front, top = centre
        box = canvas.box((-out - 25, front - 25, top - 25), (out + 25, front + 25, top + 25))
        x, y, z = canvas.at(box)
        side = turn((np.abs(x), y, z), centre, 2, degrees)
        canvas.paint(ellipsoid(side, centre, size), value, box)
    tail = curve([(15, 16, 16), (18, 2, 20), (21, -14, 20), (27, -28, 12)], [5, 3.5, 2.5, 1.5])
    distance, box = canvas.tube(*tail, mirror=True)
    canvas.paint(distance, deep, box)
    _paint_ventricles(canvas, 0.75 + 0.6 * atrophy)


def _paint_ventricles(canvas: Canvas, wide: float) -> None:
    """Lateral ventricles with their horns, and the third; ``wide`` scales their bore."""
    horns = (
        (
            [(8, 30, 5), (7.5, 20, 13), (7.5, 2, 20), (11, -18, 20), (22, -36, 10)],
            [2, 5, 4.5, 4.5, 6],
        ),
        ([(22, -36, 10), (29, -32, -4), (33, -14, -14)], [6, 3, 2]),
        ([(22, -36, 10), (24, -50, 6), (20, -62, 4)], [6, 3.5, 1.5]),
    )
    for points, radii in horns:
        path, width = curve(points, radii)
        distance, box = canvas.tube(path, width * wide, mirror=True)
        x, _, _ = canvas.at(box)
        canvas.paint(np.maximum(distance, 0.9 - np.abs(x)), CSF - 10, box)
    third = canvas.around((0, -6, 3), (4, 16, 12))
    canvas.paint(ellipsoid(canvas.at(third), (0, -7, 3), (1.6 * wide, 13, 9)), CSF, third)


def paint_cisterns(canvas: Canvas) -> None:
    """The petrous bones, and CSF around the brainstem and in the spinal canal below the skull."""
    box = canvas.box((-75, -60, -90), (75, 12, 4))
    x, y, z = p = canvas.at(box)
    petrous = capsule((np.abs(x), y, z), (20, -21, -39), (49, -26, -37), 7, 7)
    canvas.paint(petrous, BONE + 70, box)
    canvas.paint(capsule(p, (0, -22, -30), (0, -30, -55), 17, 13), CSF, box)
    canvas.paint(capsule(p, (0, -30, -55), (0, -36, -110), 11, 9), CSF, box)


def paint_brainstem(canvas: Canvas) -> None:
    """Midbrain with its peduncles, pons, medulla, cord, and the fourth ventricle behind."""
    box = canvas.box((-24, -60, -90), (24, 12, 4))
    x, y, z = p = canvas.at(box)
    side = (np.abs(x), y, z)
    stem = smooth_min(
        capsule(p, (0, -15, -8), (0, -22, -34), 11, 10),
        capsule(p, (0, -24, -40), (0, -36, -100), 7.5, 5.5),
        8,
    )
    stem = smooth_min(stem, ellipsoid(p, (0, -14, -29), (16, 10, 12)), 5)
    stem = smooth_min(stem, capsule(side, (6, -9, -9), (14, -4, 4), 7, 6), 4)
    stem = smooth_min(stem, capsule(side, (10, -22, -30), (22, -36, -36), 7, 7), 5)
    canvas.paint(stem, WHITE - 60, box)
    canvas.paint(ellipsoid(p, (0, -31, -34), (7, 3.5, 9)), CSF, box)  # fourth ventricle
    canvas.paint(capsule(p, (0, -21, -8), (0, -27, -26), 1.0, 1.5), CSF, box)  # aqueduct
    canvas.paint(ellipsoid(p, (0, -23, -5), (7, 3, 5)), WHITE - 110, box)  # colliculi
