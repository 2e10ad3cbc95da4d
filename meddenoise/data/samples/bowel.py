"""Stomach, small bowel and colon of the abdomen sample: wall, contents, gas."""

from __future__ import annotations

import numpy as np

from meddenoise.data.samples.canvas import Box, Canvas
from meddenoise.data.samples.fields import FloatArray, smooth_noise
from meddenoise.data.samples.shapes import curve

__all__ = ["paint_colon", "paint_small_bowel", "paint_stomach"]

GAS, WALL, FLUID, STOOL = -920, 75, 18, 35


def paint_small_bowel(canvas: Canvas, cavity: FloatArray, rng: np.random.Generator) -> None:
    """Loops that wind to and fro through the middle of the abdomen."""
    rows = [(z, y) for z in np.arange(-150, 5, 27.0) for y in (12, 38, 64)]
    points = []
    for i, (z, y) in enumerate(rows):
        for x in np.linspace(-72, 72, 6) * (1 if i % 2 == 0 else -1):
            away = -0.0022 * x * x  # loops keep behind the rounded front wall
            points.append(np.array([x, y + away, z]) + rng.normal(0, (7, 7, 9)))
    path, radii = curve(points, rng.uniform(9.5, 14, len(points)), step=8)
    distance, box = canvas.tube(path, radii)
    distance = np.maximum(distance, cavity[box] + 3)
    fill = FLUID + 22 * smooth_noise(rng, canvas.grid, 16)[box]
    _paint_tube(canvas, distance, box, 2.4, fill)
    bubbles = 5 * (1.9 - smooth_noise(rng, canvas.grid, 14)[box])
    canvas.paint(np.maximum(distance + 3.0, bubbles), GAS, box)


def paint_colon(canvas: Canvas, cavity: FloatArray, rng: np.random.Generator) -> None:
    """Up on the right, across in front, down on the left; haustra, stool and gas."""
    frame = [
        (92, 10, -150), (100, 2, -90), (98, 4, -45), (88, 30, -18), (52, 66, -32), (0, 76, -42),
        (-52, 66, -22), (-92, 26, 18), (-106, -8, 32), (-108, -22, -10), (-106, -20, -70),
        (-96, -6, -120), (-62, 18, -150),
    ]  # fmt: skip
    points = [np.array(p) + rng.normal(0, 4, 3) for p in frame]
    width = [25, 25, 23, 21, 19, 18, 19, 19, 17, 15, 14, 15, 16]
    path, radii = curve(points, width, step=7)
    # Haustra: bulges about every 30 mm.
    radii = radii * (1 + 0.1 * np.sin(np.arange(len(path)) * 7 * 2 * np.pi / 30))
    distance, box = canvas.tube(path, radii)
    distance = np.maximum(distance, cavity[box] + 2)
    stool = STOOL + 25 * smooth_noise(rng, canvas.grid, 5)[box]
    # Crumbs of gas make stool look mottled.
    crumbs = np.clip(smooth_noise(rng, canvas.grid, 4)[box] - 1.0, 0, 1)
    _paint_tube(canvas, distance, box, 2.6, stool - 260 * crumbs)
    y = canvas.at(box)[1]
    pockets = 7 * (0.9 - smooth_noise(rng, canvas.grid, 24)[box]) - np.float32(0.12) * (y - 20)
    canvas.paint(np.maximum(distance + 3.2, pockets), GAS, box)


def paint_stomach(canvas: Canvas, cavity: FloatArray, rng: np.random.Generator) -> None:
    """Fundus under the left dome, body, antrum; gas in front of a level, as one lies supine."""
    bag = [(-62, -12, 84), (-64, 18, 66), (-52, 44, 34), (-22, 56, 10), (16, 48, 6), (34, 34, 14)]
    path, radii = curve(bag, [27, 31, 26, 20, 15, 9], step=7)
    radii *= rng.uniform(0.85, 1.1)
    distance, box = canvas.tube(path, radii, reach=10)
    distance = np.maximum(distance, cavity[box] + 2)
    folds = 1.3 * smooth_noise(rng, canvas.grid, 5)[box]
    food = FLUID + 12 + 22 * smooth_noise(rng, canvas.grid, 7)[box]
    canvas.paint(distance, WALL - 5, box)
    canvas.paint(distance + 4.0 + folds, food, box)
    level = np.float32(rng.uniform(26, 44)) - canvas.at(box)[1]
    canvas.paint(np.maximum(distance + 4.0 + folds, level), GAS, box)


def _paint_tube(
    canvas: Canvas, distance: FloatArray, box: Box, wall: float, contents: FloatArray
) -> None:
    canvas.paint(distance, WALL, box)
    canvas.paint(distance + np.float32(wall), contents, box)
