"""An abdominal CT in HU, made from nothing: for demonstration and tests, not for science.

Drawn from outside in: air and table, skin, subcutaneous fat, the muscles of the wall and
the back, ribs, spine (cortical and trabecular bone, discs, canal) and iliac wings, lung
bases, heart and diaphragm, liver with veins and low-contrast lesions, gall bladder, spleen,
pancreas, kidneys with cortex, medulla and sinus, stomach, small bowel and colon with
contents and gas, great vessels, and fat with mesenteric vessels between. Contrast is that
of the portal-venous phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meddenoise.data.samples import bowel, organs, skeleton
from meddenoise.data.samples.canvas import Canvas
from meddenoise.data.samples.fields import FloatArray, Grid, smooth_noise
from meddenoise.data.samples.shapes import capsule, curve, ellipsoid, smooth_min

__all__ = ["EXTENT", "SHAPE", "abdomen"]

SHAPE = (160, 128, 96)
EXTENT = (352.0, 281.6, 288.0)  # mm; 2.2 x 2.2 x 3 mm voxels at the default shape

AIR, SKIN, FAT, MUSCLE, LUNG, BLOOD, TABLE = -1000, 15, -105, 58, -860, 140, 60
HALF_WIDTH, FRONT, BACK = 154.0, 112.0, 102.0  # mm, the body


@dataclass(frozen=True)
class Subject:
    """What differs from body to body; the random generator goes on to draw the details."""

    size: tuple[float, float, float]
    fat: float  # mm of subcutaneous fat at the front
    wall: float  # mm of muscle

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Subject:
        a, b, c = 1 + rng.uniform(-0.08, 0.03, 3)
        return cls(size=(a, b, c), fat=rng.uniform(9, 19), wall=rng.uniform(9, 12))


def abdomen(seed: int, shape: tuple[int, int, int] = SHAPE) -> tuple[FloatArray, Grid]:
    """The clean image, ``(X, Y, Z)`` float32 in HU, and its grid."""
    rng = np.random.default_rng([seed, 0xABD0])
    grid = Grid(shape, EXTENT)
    subject = Subject.draw(rng)
    canvas = Canvas(grid, rng, background=AIR, size=subject.size, warp=3.0, warp_knot=70)

    _paint_table(canvas, subject)
    cavity = _paint_wall(canvas, subject, rng)
    lungs = _lungs(canvas, cavity)
    _paint_back(canvas, rng)
    bowel.paint_small_bowel(canvas, cavity, rng)
    bowel.paint_colon(canvas, cavity, rng)
    organs.paint_kidneys(canvas, rng)
    organs.paint_pancreas(canvas, rng)
    bowel.paint_stomach(canvas, cavity, rng)
    organs.paint_spleen(canvas, cavity, lungs, rng)
    organs.paint_liver(canvas, cavity, lungs, rng)
    _paint_chest(canvas, lungs, rng)
    organs.paint_great_vessels(canvas, rng)
    inset = subject.fat + 0.55 * subject.wall
    skeleton.paint_ribs(canvas, (HALF_WIDTH - inset - 8, FRONT - inset, BACK - inset - 6), rng)
    skeleton.paint_pelvis(canvas, rng)
    skeleton.paint_spine(canvas, rng)
    canvas.image += np.float32(2.5) * smooth_noise(rng, grid, 4) * (canvas.image > -900)
    return np.maximum(canvas.image, AIR), grid


def _paint_table(canvas: Canvas, subject: Subject) -> None:
    """A thin curved shell under the back; it knows nothing of the body's warp."""
    x, y, _ = canvas.grid.axes
    surface = y + np.float32(1.03 * BACK * subject.size[1] + 6) - np.float32(0.0011) * x**2
    shell = np.maximum(np.abs(surface + 6) - 6, np.abs(x) - 165)
    d = np.broadcast_to(shell, canvas.grid.shape)
    canvas.paint(d, TABLE)
    canvas.paint(d + 2.5, -960)


def _paint_wall(canvas: Canvas, subject: Subject, rng: np.random.Generator) -> FloatArray:
    """Skin, fat, muscle; returns the signed distance to the inside of the wall."""
    x, y, z = p = canvas.position
    waist = 1 - 0.05 * np.exp(-(((z + 30) / 55) ** 2))
    depth = np.where(y > 0, np.float32(FRONT), np.float32(BACK))
    body = ellipsoid(p, (0, 0, 0), (HALF_WIDTH * waist, depth, np.inf))
    # Bodies are squarer than ellipses.
    body -= np.float32(9) * np.abs(np.sin(2 * np.arctan2(y / 105, x / 150)))
    flank = np.abs(x / HALF_WIDTH)
    thick = np.float32(subject.fat) * (
        1 + 0.5 * flank + 0.5 * (y < -60) * np.clip(-y / 60 - 1, 0, 1)
    )
    thick = thick + np.float32(1.2) * smooth_noise(rng, canvas.grid, 40)
    canvas.paint(body, SKIN)
    canvas.paint(body + 2.2, FAT + 5 * smooth_noise(rng, canvas.grid, 6))
    muscle = body + thick
    grain = 5 * smooth_noise(rng, canvas.grid, 6)
    canvas.paint(muscle, MUSCLE + grain)
    # The flank has three layers with a little fat between; the linea alba is thin.
    for layer in (0.36, 0.7):
        sheet = np.abs(muscle + np.float32(layer * subject.wall)) - 0.5
        canvas.paint(sheet, FAT + 30, within=np.clip(flank * 3 - 1.4, 0, 1) * (z < 40))
    midline = np.clip(1 - np.abs(x) / 9, 0, 1) * (y > 0)
    beside = np.exp(-(((np.abs(x) - 78) / 6) ** 2)) * (y > 0)
    cavity = muscle + np.float32(subject.wall) * (1 - 0.6 * midline - 0.55 * beside)
    canvas.paint(cavity, FAT - 5 + 6 * smooth_noise(rng, canvas.grid, 7))
    return np.asarray(cavity, dtype=np.float32)


def _lungs(canvas: Canvas, cavity: FloatArray) -> FloatArray:
    """Signed distance to the lung bases, above two domes and beside the mediastinum."""
    x, y, z = canvas.position
    lungs = None
    for centre, top in ((70, 106), (-68, 98)):
        slope = ((x - centre) / 62) ** 2 + ((y - 8) / 78) ** 2
        dome = top - 34 * slope - z
        lung = np.maximum(0.8 * dome, 20 - x * np.sign(centre))
        lungs = lung if lungs is None else np.minimum(lungs, lung)
    assert lungs is not None
    heart = ellipsoid(canvas.position, (-22, 38, 142), (66, 50, 40))
    return np.asarray(np.maximum(np.maximum(lungs, cavity + 4), 2 - heart), dtype=np.float32)


def _paint_chest(canvas: Canvas, lungs: FloatArray, rng: np.random.Generator) -> None:
    """Diaphragm, lung bases with vessels, the underside of the heart, the oesophagus."""
    box = canvas.box((-95, -20, 95), (60, 100, 160))
    heart = ellipsoid(canvas.at(box), (-22, 38, 142), (64, 48, 38))
    canvas.paint(heart, MUSCLE + 45, box)
    canvas.paint(ellipsoid(canvas.at(box), (-30, 38, 150), (44, 30, 28)), BLOOD, box)
    canvas.paint(lungs - 2.5, MUSCLE)
    threads = np.clip(smooth_noise(rng, canvas.grid, 5) - 1.3, 0, 1.5)
    canvas.paint(lungs, LUNG + 25 * smooth_noise(rng, canvas.grid, 12) + 420 * threads)
    path, radii = curve([(-8, 14, 160), (-14, 12, 100), (-30, 10, 84)], [8, 8, 8])
    distance, box = canvas.tube(path, radii)
    canvas.paint(distance, MUSCLE - 5, box)


def _paint_back(canvas: Canvas, rng: np.random.Generator) -> None:
    """Erector spinae, psoas and quadratus lumborum, both sides, with streaks of fat."""
    box = canvas.box((-100, -110, -160), (100, 10, 160))
    x, y, z = canvas.at(box)
    side = (np.abs(x), y, z)
    streaks = smooth_noise(rng, canvas.grid, 6)[box]
    value = MUSCLE + 6 * streaks - 45 * np.clip(np.abs(streaks) - 1.6, 0, 1)
    erector = ellipsoid(side, (33, -72, 0), (29, 18, np.inf))
    psoas = ellipsoid(side, (44, -30, -110), (20, 22, 130))
    quadratus = ellipsoid(side, (66, -57, -70), (22, 10, 95))
    crus = capsule(side, (10, -8, 70), (20, -22, -20), 7, 4)
    muscles = smooth_min(smooth_min(erector, psoas, 1), smooth_min(quadratus, crus, 1), 1)
    canvas.paint(muscles, value, box)
