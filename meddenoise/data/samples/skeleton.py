"""The bones of the abdomen sample: lumbar spine, ribs, pelvis."""

from __future__ import annotations

import numpy as np

from meddenoise.data.samples.canvas import Box, Canvas
from meddenoise.data.samples.fields import FloatArray, smooth_noise
from meddenoise.data.samples.shapes import capsule, curve, ellipsoid, smooth_min

__all__ = ["SPINE_Y", "paint_pelvis", "paint_ribs", "paint_spine"]

CORTICAL, TRABECULAR, DISC, CANAL, CARTILAGE = 820, 190, 85, 25, 110
SPINE_Y = -30.0  # mm, the middle of the vertebral bodies
PITCH = 35.0  # mm from vertebra to vertebra


def paint_spine(canvas: Canvas, rng: np.random.Generator) -> None:
    """Vertebral bodies with cortical shell, discs, canal, arches and processes."""
    box = canvas.box((-60, -105, -160), (60, 10, 160))
    x, y, z = canvas.at(box)
    curved = y - np.float32(SPINE_Y) - np.float32(6) * np.cos((z + 30) / 75)  # lordosis
    level = (z + np.float32(rng.uniform(0, PITCH))) % np.float32(PITCH) - np.float32(PITCH / 2)
    p = (x, curved, level)
    side = (np.abs(x), curved, level)

    waist = 1.5 * np.cos(level * np.float32(np.pi / 13))
    column = ellipsoid(p, (0, 0, 0), (24, 17, np.inf)) + waist
    notch = ellipsoid(p, (0, -26, 0), (14, 11, np.inf))
    column = np.maximum(column, -notch)
    body = np.maximum(column, np.abs(level) - np.float32(13))

    arch = np.maximum(
        np.abs(ellipsoid(p, (0, -25, 0), (14, 12, np.inf))) - 3.5, np.abs(level + 2) - 9
    )
    arch = smooth_min(arch, capsule(side, (13, -12, 5), (16, -24, 4), 4.5, 4.5), 2)  # pedicle
    arch = smooth_min(arch, capsule(side, (17, -24, 3), (44, -30, 1), 4.5, 3), 3)  # transverse
    arch = smooth_min(arch, ellipsoid(p, (0, -48, -5), (4, 17, 9)), 3)  # spinous process
    arch = smooth_min(arch, ellipsoid(side, (19, -30, -12), (7, 8, 9)), 2)  # facet joint

    # The spongy bone is denser at the end plates.
    marrow = TRABECULAR + 2.5 * (np.abs(level) - 7) + 30 * smooth_noise(rng, canvas.grid, 5)[box]
    canvas.paint(column + 1, DISC, box)
    canvas.paint(np.minimum(body, arch), CORTICAL, box)
    canvas.paint(body + 2.2, marrow, box)
    canvas.paint(arch + 2.6, marrow + 60, box)
    canal = ellipsoid(p, (0, -25, 0), (10.5, 8, np.inf))
    canvas.paint(canal, -60, box)
    canvas.paint(ellipsoid(p, (0, -25, 0), (8.5, 6.5, np.inf)), CANAL, box)


def paint_ribs(canvas: Canvas, radii: tuple[float, float, float], rng: np.random.Generator) -> None:
    """The lowest ribs; ``radii``: of the chest wall, to the side, the front and the back, mm."""
    half_width, front, back = radii
    marrow = TRABECULAR + 40 * smooth_noise(rng, canvas.grid, 6)
    # Each rib leaves the spine at a height and runs a part of the way to the front.
    for top, part in ((190, 1.0), (158, 0.95), (126, 0.9), (94, 0.72), (62, 0.45)):
        t = np.linspace(0, part, 24)
        angle = np.radians(-76 + 150 * t)
        depth = np.where(angle < 0, back, front)
        path = np.stack(
            [half_width * np.cos(angle), depth * np.sin(angle), top - 82 * t**1.2], axis=1
        )
        path[0] = (24, SPINE_Y - 24, top + 2)
        distance, box = canvas.tube(path, np.linspace(5.2, 4.2, 24), mirror=True)
        _paint_bone(canvas, distance, 1.7, marrow, box)
        cartilage = np.clip((canvas.at(box)[1] - 45) / 12, 0, 1)
        canvas.paint(distance, CARTILAGE, box, within=cartilage)


def paint_pelvis(canvas: Canvas, rng: np.random.Generator) -> None:
    """Iliac wings and the sacrum's upper end."""
    marrow = TRABECULAR - 40 + 40 * smooth_noise(rng, canvas.grid, 6)
    rows = []
    for i, z in enumerate(np.arange(-160, -93, 5.0)):
        # The crest is an arch: rows grow shorter towards its top.
        reach = np.sqrt(max(0.0, 1 - ((z + 160) / 68) ** 2))
        s = np.linspace(0.55 - 0.55 * reach, 0.5 + 0.5 * reach, 12)
        path, _ = curve([(42, -66, 0), (80, -56, 0), (110, -22, 0), (118, 22, 0)], [1, 1, 1, 1], 4)
        along = np.linspace(0, 1, len(path))
        row = np.stack([np.interp(s, along, path[:, k]) for k in range(3)], axis=1)
        row[:, 2] = z
        row[:, 0] += 0.22 * (z + 120)
        rows.append(row[:: 1 if i % 2 == 0 else -1])
    wing = np.concatenate(rows)
    distance, box = canvas.tube(wing, np.full(len(wing), 5.5), mirror=True)
    _paint_bone(canvas, distance, 2.2, marrow, box)
    box = canvas.box((-60, -90, -160), (60, 0, -100))
    x, y, z = canvas.at(box)
    ala = ellipsoid((np.abs(x), y, z), (30, -42, -142), (24, 17, 34))
    _paint_bone(canvas, ala, 2.0, marrow, box)


def _paint_bone(
    canvas: Canvas, distance: FloatArray, shell: float, marrow: FloatArray, box: Box
) -> None:
    canvas.paint(distance, CORTICAL, box)
    canvas.paint(distance + np.float32(shell), marrow[box], box)
