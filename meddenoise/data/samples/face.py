"""The head below and in front of the skull: skin, eyes, sinuses, airway, jaw, neck.

Only a hint, enough that a sagittal slice reads as a head.
"""

from __future__ import annotations

import numpy as np

from meddenoise.data.samples.canvas import Canvas
from meddenoise.data.samples.fields import FloatArray, smooth_noise
from meddenoise.data.samples.shapes import capsule, ellipsoid, smooth_min
from meddenoise.data.samples.tissues import (
    AIR,
    BONE,
    FAT,
    MARROW,
    MUCOSA,
    MUSCLE,
    SKIN,
    VITREOUS,
)

__all__ = ["paint_face"]


def paint_face(canvas: Canvas, vault: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Paint all soft tissue; returns the signed distance to the skin.

    ``vault`` is the distance to the scalp over the skull.
    """
    x, y, z = p = canvas.position
    side = (np.abs(x), y, z)
    skin = smooth_min(vault, ellipsoid(p, (0, 38, -58), (62, 53, 62)), 14)
    skin = smooth_min(skin, ellipsoid(p, (0, -22, -100), (56, 54, 70)), 16)
    skin = smooth_min(skin, capsule(p, (0, 82, -32), (0, 92, -56), 4, 8), 10)  # nose
    ear = ellipsoid(side, (78, -20, -34), (6, 16, 26))
    skin = np.minimum(skin, np.maximum(ear, 2.2 - ellipsoid(side, (85, -17, -34), (8, 11, 20))))

    canvas.paint(skin, SKIN)
    streaks = smooth_noise(rng, canvas.grid, 7)
    fat = FAT * (1 + 0.04 * smooth_noise(rng, canvas.grid, 5))
    canvas.paint(skin + 2.0, fat)
    canvas.paint(skin + 7.5 + 1.5 * smooth_noise(rng, canvas.grid, 18), MUSCLE + 25 * streaks)
    # Fat between the muscles: the zero level of smooth noise is a sheet.
    planes = np.abs(smooth_noise(rng, canvas.grid, 9)) * 5 - 0.5
    canvas.paint(np.maximum(planes, skin + 6), FAT - 150, softness=1.5)

    _paint_skull_base(canvas, rng)
    _paint_airway(canvas, rng)
    _paint_eyes(canvas, skin)
    return skin


def _paint_skull_base(canvas: Canvas, rng: np.random.Generator) -> None:
    """Clivus, sphenoid, upper jaw, palate, tongue and the first vertebrae."""
    marrow = MARROW + 60 * smooth_noise(rng, canvas.grid, 6)
    box = canvas.box((-45, -60, -90), (45, 95, -18))
    x, y, z = p = canvas.at(box)
    side = (np.abs(x), y, z)
    bones = (
        (capsule(p, (0, 22, -44), (0, -6, -62), 8, 5), 1.8),  # sphenoid and clivus
        (ellipsoid(p, (0, 52, -74), (25, 29, 7)), 1.3),  # upper jaw and palate
        (ellipsoid(p, (0, -10, -74), (6, 6, 15)), 1.8),  # dens
        (ellipsoid(p, (0, -10, -92), (11, 9, 12)), 1.8),  # axis
        (capsule(side, (14, -14, -70), (32, -18, -70), 6, 6), 1.8),  # atlas
        (capsule(p, (0, -58, -72), (0, -50, -72), 5, 4), 1.6),  # its posterior arch
        (capsule(p, (0, -62, -92), (0, -48, -90), 6, 5), 1.8),  # spinous process
    )
    for distance, shell in bones:
        canvas.paint(distance, BONE, box)
        canvas.paint(distance + np.float32(shell), marrow[box], box)
    canvas.paint(ellipsoid(p, (0, 42, -96), (24, 34, 17)), MUSCLE + 60, box)  # tongue


def _paint_airway(canvas: Canvas, rng: np.random.Generator) -> None:
    box = canvas.box((-55, 0, -90), (55, 100, 10))
    x, y, z = p = canvas.at(box)
    side = (np.abs(x), y, z)
    cells = smooth_noise(rng, canvas.grid, 6)[box] * 3
    nose = ellipsoid(p, (0, 58, -52), (13, 34, 15))
    canvas.paint(nose, MUCOSA, box)
    # Turbinates: mucosa in folds, air between them, the septum in the middle.
    canvas.paint(np.maximum(nose + 1.5, np.maximum(2.0 - np.abs(x), cells - 0.8)), AIR, box)
    ethmoid = ellipsoid(p, (0, 52, -30), (11, 22, 9))
    canvas.paint(ethmoid, MUCOSA - 150, box)
    canvas.paint(np.maximum(ethmoid + 1, np.abs(cells) - 3.0), AIR, box)
    for hollow in (
        ellipsoid(side, (9, 24, -37), (8, 10, 8)),  # sphenoid sinus
        ellipsoid(side, (31, 58, -58), (13, 16, 15)),  # maxillary sinus
    ):
        canvas.paint(hollow - 2, BONE + 40, box)
        canvas.paint(hollow, AIR, box)
    throat = capsule(p, (0, 20, -50), (0, 12, -95), 6, 6)
    canvas.paint(throat - 2.5, MUCOSA, box)
    canvas.paint(throat, AIR, box)


def _paint_eyes(canvas: Canvas, skin: FloatArray) -> None:
    box = canvas.box((-55, 15, -55), (55, 108, -8))
    x, y, z = canvas.at(box)
    side = (np.abs(x), y, z)
    orbit = ellipsoid(side, (29, 52, -30), (15, 24, 14))
    lid = skin[box] + 2
    canvas.paint(np.maximum(orbit - 2, lid), BONE, box)
    canvas.paint(np.maximum(orbit, lid), FAT, box)
    for angle in range(4):  # the straight muscles
        dx, dz = 11 * np.cos(angle * np.pi / 2), 11 * np.sin(angle * np.pi / 2)
        rod = capsule(side, (30 + dx, 63, -30 + dz), (16, 36, -26), 2.0, 1.5)
        canvas.paint(rod, MUSCLE + 40, box)
    canvas.paint(capsule(side, (30, 64, -30), (11, 30, -24), 2.2, 2.2), 450, box)  # optic nerve
    globe = np.maximum(ellipsoid(side, (31, 65, -30), (11.5, 11.5, 11.5)), lid)
    canvas.paint(globe - 1.0, 380, box)
    canvas.paint(globe, VITREOUS, box)
    canvas.paint(ellipsoid(side, (31, 73.5, -30), (4.5, 2, 4.5)), 340, box)  # lens
