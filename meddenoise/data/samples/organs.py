"""Solid organs and vessels of the abdomen sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from meddenoise.data.samples.canvas import Box, Canvas
from meddenoise.data.samples.fields import FloatArray, smooth_noise
from meddenoise.data.samples.shapes import Point, capsule, curve, ellipsoid, smooth_min, turn

__all__ = [
    "paint_great_vessels",
    "paint_kidneys",
    "paint_lesions",
    "paint_liver",
    "paint_pancreas",
    "paint_spleen",
]

LIVER, PORTAL, HEPATIC, SPLEEN, PANCREAS, BILE = 110, 175, 160, 122, 92, 8
CORTEX, MEDULLA, URINE, FAT = 192, 145, 15, -95
AORTA, CAVA, WALL = 170, 155, 60

Vector = NDArray[np.float64]


def branches(
    rng: np.random.Generator, start: Point, toward: Point, radius: float
) -> Iterator[tuple[Vector, Vector, float, float]]:
    """A vessel tree: segments (start, end, radius, radius) of a trunk that keeps forking."""
    a, direction = np.asarray(start, dtype=np.float64), np.asarray(toward, dtype=np.float64)
    direction = direction / np.linalg.norm(direction)
    b = a + direction * radius * rng.uniform(3.0, 4.5)
    thinner = radius * 0.9
    yield a, b, radius, thinner
    if thinner < 1.1:
        return
    fork = rng.normal(size=3)
    fork -= fork @ direction * direction
    fork /= np.linalg.norm(fork)
    # Murray's law shares the radius between two daughters: r^3 = r1^3 + r2^3.
    share = rng.uniform(0.2, 0.5)
    for part, spread in ((1 - share, 0.35), (share, -0.9)):
        yield from branches(rng, b, direction + spread * fork, thinner * part ** (1 / 3))


def _paint_tree(
    canvas: Canvas,
    tree: Iterator[tuple[Vector, Vector, float, float]],
    value: float,
    inside: FloatArray | None = None,
) -> None:
    for a, b, ra, rb in tree:
        box = canvas.box(np.minimum(a, b), np.maximum(a, b), max(ra, rb))
        mask = None if inside is None else inside[box]
        canvas.paint(capsule(canvas.at(box), a, b, ra, rb), value, box, within=mask)


def paint_liver(
    canvas: Canvas, cavity: FloatArray, lungs: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Two lobes under the diaphragm, hepatic and portal veins, low-contrast lesions.

    Returns the signed distance to the liver.
    """
    p = canvas.position
    right = ellipsoid(turn(p, (70, -2, 36), 1, 6), (70, -2, 36), (66, 82, 92))
    left = ellipsoid(turn(p, (0, 46, 72), 1, 12), (4, 46, 70), (74, 34, 40))
    liver = smooth_min(right, left, 12)
    # Room for the spine, the great vessels and the organs beneath.
    hollow = ellipsoid(p, (2, -26, 0), (40, 42, np.inf))
    hollow = smooth_min(hollow, ellipsoid(p, (14, 16, -30), (48, 60, 62)), 10)
    hollow = smooth_min(hollow, ellipsoid(p, (64, -33, -18), (31, 32, 58)), 6)
    liver = -smooth_min(-liver, hollow, 10)
    liver = np.maximum(np.maximum(liver, cavity + 1.5), 3.5 - lungs)
    canvas.paint(liver, LIVER + 4 * smooth_noise(rng, canvas.grid, 5))

    inside = canvas.cover(liver + 4)
    for toward in ((1.0, -0.5, 0.0), (1.0, 0.1, -0.5), (0.8, 0.8, -0.2), (-0.3, 1.0, -0.1)):
        _paint_tree(canvas, branches(rng, (24, 0, 84), toward, 5.8), HEPATIC, inside)
    for toward in (
        (1, -0.3, -0.3),
        (1, -0.1, 0.7),
        (0.6, 0.8, 0.2),
        (0.8, 0.3, -0.6),
        (-0.5, 0.8, 0.5),
    ):
        _paint_tree(canvas, branches(rng, (36, 12, 40), toward, 6.0), PORTAL, inside)
    paint_lesions(canvas, liver, rng)

    box = canvas.around((48, 52, 4), (20, 20, 34))
    bladder = ellipsoid(turn(canvas.at(box), (48, 52, 4), 0, 25), (48, 52, 4), (14, 14, 28))
    canvas.paint(bladder - 1.8, WALL, box)
    canvas.paint(bladder, BILE, box)
    return liver


def paint_lesions(canvas: Canvas, liver: FloatArray, rng: np.random.Generator) -> None:
    """Seven spots of 3 to 14 mm radius, 15 to 30 HU darker than the liver."""
    x, y, z = canvas.position
    for radius in (14, 11, 9, 7, 5, 4, 3):
        place = np.flatnonzero(liver.ravel() < -(radius + 4))
        if place.size == 0:
            continue
        i = place[int(rng.uniform() * place.size)]
        centre = [float(axis.ravel()[i]) for axis in (x, y, z)]
        radii = radius * rng.uniform(0.85, 1.15, 3)
        contrast = rng.uniform(15, 30)
        box = canvas.around(centre, radii)
        canvas.paint(ellipsoid(canvas.at(box), centre, radii), LIVER - contrast, box)


def paint_spleen(
    canvas: Canvas, cavity: FloatArray, lungs: FloatArray, rng: np.random.Generator
) -> None:
    centre = (-100, -36, 58)
    box = canvas.box((-160, -110, -20), (-40, 50, 140))
    p = canvas.at(box)
    spleen = ellipsoid(turn(turn(p, centre, 2, 24), centre, 1, -10), centre, (26, 48, 50))
    hilum = ellipsoid(p, (-66, -14, 56), (26, 34, 44))
    spleen = -smooth_min(-spleen, hilum, 8)
    spleen = np.maximum(np.maximum(spleen, cavity[box] + 1.5), 3.5 - lungs[box])
    canvas.paint(spleen, SPLEEN + 4 * smooth_noise(rng, canvas.grid, 5)[box], box)
    vein, width = curve(
        [(-78, -22, 50), (-50, -4, 44), (-18, 12, 36), (12, 14, 26)], [4, 4, 4.5, 5]
    )
    distance, box = canvas.tube(vein, width)
    canvas.paint(distance, PORTAL, box)


def paint_pancreas(canvas: Canvas, rng: np.random.Generator) -> None:
    path, radii = curve(
        [(30, 16, -4), (24, 22, 14), (-4, 32, 26), (-36, 18, 36), (-68, -4, 46)], [13, 12, 8, 9, 7]
    )
    distance, box = canvas.tube(path, radii)
    # Fat between the lobules.
    lobules = distance + 1.8 * smooth_noise(rng, canvas.grid, 5)[box]
    canvas.paint(lobules, PANCREAS, box)


def paint_kidneys(canvas: Canvas, rng: np.random.Generator) -> None:
    """Cortex, medullary pyramids, renal sinus fat and pelvis; a cyst in some."""
    for x_side, height in ((1, -14.0), (-1, 2.0)):
        centre = (64.0 * x_side, -30.0, height)
        box = canvas.around(centre, (48, 48, 72))
        p = turn(turn(canvas.at(box), centre, 1, 10 * x_side), centre, 2, -28 * x_side)
        local = (p[0] * x_side - 64, p[1] + 30, p[2] - np.float32(height))
        kidney = ellipsoid(local, (0, 0, 0), (27, 27, 55))
        sinus = ellipsoid(local, (-17, 0, 0), (20, 9, 26))
        sinus = sinus + 1.6 * smooth_noise(rng, canvas.grid, 7)[box]
        kidney = -smooth_min(-kidney, ellipsoid(local, (-31, 0, 0), (14, 12, 18)), 6)
        canvas.paint(kidney - 14 - 3 * smooth_noise(rng, canvas.grid, 25)[box], FAT - 8, box)
        canvas.paint(kidney, CORTEX + 5 * smooth_noise(rng, canvas.grid, 5)[box], box)
        _paint_pyramids(canvas, box, local, kidney, sinus)
        canvas.paint(sinus, FAT, box)
        canvas.paint(ellipsoid(local, (-21, 2, -6), (13, 4, 8)), URINE, box)
        if rng.uniform() < 0.5:
            cyst = (rng.uniform(8, 20), rng.uniform(-15, 15), rng.choice([-1, 1]) * 38)
            canvas.paint(ellipsoid(local, cyst, [rng.uniform(6, 13)] * 3), 5, box)
        vein, width = curve(
            [(38 * x_side, -18, height), (24 * x_side, -2, height + 4), (8, 4, height + 8)],
            [4.5, 4.5, 5],
        )
        distance, around = canvas.tube(vein, width)
        canvas.paint(distance, CAVA, around)


def _paint_pyramids(
    canvas: Canvas,
    box: Box,
    local: tuple[FloatArray, FloatArray, FloatArray],
    kidney: FloatArray,
    sinus: FloatArray,
) -> None:
    """Darker wedges between cortex and sinus, parted by columns of cortex."""
    u, v, w = local
    around = np.cos(5 * np.arctan2(v, u + 17)) + np.cos(w * np.float32(2 * np.pi / 22))
    wedge = np.maximum(np.maximum(kidney + 7, 1.5 - sinus), 4 * (0.0 - around) - 1.0)
    canvas.paint(wedge, MEDULLA, box, softness=1.4)


def paint_great_vessels(canvas: Canvas, rng: np.random.Generator) -> None:
    """Aorta and inferior vena cava with their bifurcations, superior mesenteric vessels."""
    bend = rng.normal(0, 2.5, (5, 2))
    aorta = [(-12, -8, 160), (-10, -4, 90), (-7, 0, 30), (-5, 2, -30), (-2, 0, -88)]
    aorta = [(x + dx, y + dy, z) for (x, y, z), (dx, dy) in zip(aorta, bend, strict=True)]
    end = aorta[-1]
    cava = [(24, 2, 110), (23, -2, 84), (20, -6, 30), (18, -6, -40), (14, -8, -98)]
    vessels = (
        (cava, [13, 13, 12, 11, 11], CAVA),
        ([cava[-1], (40, -10, -130), (58, -6, -165)], [9, 8, 8], CAVA - 5),
        ([cava[-1], (-24, -14, -130), (-54, -8, -165)], [9, 8, 8], CAVA - 5),
        (aorta, [12.5, 11.5, 10.5, 9.5, 9], AORTA),
        ([end, (26, -2, -125), (50, 8, -165)], [6.5, 6, 5.5], AORTA),
        ([end, (-28, -2, -125), (-54, 8, -165)], [6.5, 6, 5.5], AORTA),
        ([(-6, 10, 30), (-2, 22, 10), (2, 28, -40), (10, 30, -90)], [4, 4, 3.5, 2.5], AORTA),
        ([(10, 18, 22), (10, 26, 0), (14, 30, -45), (22, 30, -90)], [6, 5.5, 4.5, 3], PORTAL),
        ([(12, 16, 22), (24, 14, 32), (36, 12, 40)], [6.5, 6.5, 6], PORTAL),
        ([(-6, 6, 48), (-6, 16, 48), (14, 20, 46)], [3.5, 3.5, 3], AORTA),
    )
    for points, radii, value in vessels:
        distance, box = canvas.tube(*curve(points, radii))
        canvas.paint(distance, value, box)
    for level in (-60, -30, -10):  # mesenteric branches
        for side in (-1, 1):
            tree = branches(rng, (10, 29, level), (side, rng.normal(0, 0.3), -0.5), 3.2)
            _paint_tree(canvas, tree, PORTAL - 15)
    # Calcified plaque, more in some.
    for _ in range(int(rng.integers(0, 6))):
        z, angle = rng.uniform(-80, 20), rng.uniform(0, 2 * np.pi)
        centre = (-5 + 9.5 * np.cos(angle), 1 + 9.5 * np.sin(angle), z)
        box = canvas.around(centre, (3, 3, 5))
        canvas.paint(ellipsoid(canvas.at(box), centre, (2.5, 2.5, 4)), 550, box)
