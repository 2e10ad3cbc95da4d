"""A T1-weighted head, made from nothing: for demonstration and tests, not for science.

Drawn from outside in: air, skin, subcutaneous fat, skull (two dark tables and bright
diploe), CSF, the folded cortex with its grey ribbon, white matter, interhemispheric and
Sylvian fissures, corpus callosum, lateral, third and fourth ventricles, caudate, putamen,
pallidum, thalamus, brainstem, cerebellum with folia, a few white-matter lesions, and a hint
of eyes, sinuses, airway, jaw and neck. A smooth bias field lies over all. Intensities are
arbitrary scanner units, 0 to about 1000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meddenoise.data.samples.canvas import Canvas
from meddenoise.data.samples.cortex import Folding, pial_depth
from meddenoise.data.samples.deep import callosum, paint_brainstem, paint_cisterns, paint_deep
from meddenoise.data.samples.face import paint_face
from meddenoise.data.samples.fields import FloatArray, Grid, Lattice, smooth_noise
from meddenoise.data.samples.shapes import ellipsoid, smooth_min, turn
from meddenoise.data.samples.tissues import BONE, CSF, FAT, GREY, MUSCLE, WHITE

__all__ = ["EXTENT", "SHAPE", "head"]

SHAPE = (128, 160, 128)
EXTENT = (172.8, 216.0, 172.8)  # mm; 1.35 mm voxels at the default shape


@dataclass(frozen=True)
class Subject:
    """What differs from head to head; the random generator goes on to draw the details."""

    size: tuple[float, float, float]
    tilt: tuple[float, float, float]  # degrees
    atrophy: float  # 0 young .. 1 old: wider sulci and ventricles
    ribbon: float  # cortical thickness, mm
    wavelength: float  # of the folding, mm
    contrast: float  # scales grey against white
    lesions: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Subject:
        a, b, c = 1 + rng.uniform(-0.035, 0.03, 3)
        nod, roll, yaw = rng.uniform(1, 2.5, 3) * rng.choice([-1, 1], 3)
        return cls(
            size=(a, b, c),
            tilt=(nod, roll, yaw),
            atrophy=rng.uniform(0, 1),
            ribbon=rng.uniform(2.4, 2.9),
            wavelength=rng.uniform(22.5, 26),
            contrast=rng.uniform(0.9, 1.1),
            lesions=int(rng.integers(2, 7)),
        )

    @property
    def grey(self) -> float:
        return WHITE - (WHITE - GREY) * self.contrast


def head(seed: int, shape: tuple[int, int, int] = SHAPE) -> tuple[FloatArray, Grid]:
    """The clean image, ``(X, Y, Z)`` float32 in scanner units, and its grid."""
    rng = np.random.default_rng([seed, 0x4EAD])
    grid = Grid(shape, EXTENT)
    subject = Subject.draw(rng)
    canvas = Canvas(grid, rng, background=0, size=subject.size, warp=1.6, tilt=subject.tilt)
    cerebellum = _cerebellum_hull(canvas)
    cerebrum = _cerebrum_hull(canvas, cerebellum)
    cavity = smooth_min(cerebrum, cerebellum, 14) - np.float32(1.2 + 1.3 * subject.atrophy)

    _paint_outside(canvas, cavity, rng)
    paint_cisterns(canvas)
    _paint_cerebellum(canvas, cerebellum, subject, rng)
    _paint_cerebrum(canvas, cerebrum, subject, rng)
    paint_deep(canvas, grey=subject.grey, atrophy=subject.atrophy)
    paint_brainstem(canvas)
    _paint_lesions(canvas, subject, rng)
    return _scanned(canvas, rng), grid


def _cerebellum_hull(canvas: Canvas) -> FloatArray:
    x, y, z = canvas.position
    # The vallecula parts the two hemispheres behind.
    notch = np.float32(6) * np.exp(-((x / 9) ** 2)) * (y < -55)
    return ellipsoid((x, y, z), (0, -48, -38), (48, 29, 23)) + notch


def _cerebrum_hull(canvas: Canvas, cerebellum: FloatArray) -> FloatArray:
    x, y, z = canvas.position
    # Broadest over the parietal lobes, flat below.
    width = 65 - 0.09 * (y + 18)
    height = np.where(z > 4, 60, 31)
    hull = ellipsoid((x, y, z), (0, -4, 4), (width, 81, height))
    side = (np.abs(x), y, z)
    temporal = ellipsoid(turn(side, (40, 0, -18), 2, -8), (40, 2, -19), (19, 38, 20))
    hull = smooth_min(hull, temporal, 6)
    # The tentorium keeps the occipital lobes off the cerebellum.
    return np.maximum(hull, 2.2 - cerebellum)


def _paint_outside(canvas: Canvas, cavity: FloatArray, rng: np.random.Generator) -> None:
    """Scalp, face and neck, skull, and CSF where the brain will be."""
    grid = canvas.grid
    x, y, z = canvas.position
    temple = np.exp(-(((np.abs(x) - 70) / 22) ** 2 + ((y - 5) / 45) ** 2 + ((z + 8) / 26) ** 2))
    thick = np.float32(6.2) + np.float32(0.9) * smooth_noise(rng, grid, 22) - 2.8 * temple
    scalp = np.float32(5.2) + np.float32(0.9) * smooth_noise(rng, grid, 30) + 3.5 * temple
    outer = cavity - thick
    surface = paint_face(canvas, outer - scalp, rng)

    # The vault: fat between skin and skull, with the temporal muscle on the sides.
    vault = np.clip((z + 0.2 * y + 5) / 14, 0, 1)
    fat = FAT * (1 + 0.04 * smooth_noise(rng, grid, 5))
    canvas.paint(surface + 1.6, fat, within=vault)
    canvas.paint(outer - 1.2, MUSCLE, within=vault)
    temporalis = ellipsoid((np.abs(x), y, z), (72, 12, -8), (11, 34, 34))
    canvas.paint(np.maximum(temporalis, surface + 3.5), MUSCLE)

    canvas.paint(outer, BONE)
    marrow = 480 + 110 * smooth_noise(rng, grid, 12) + 60 * smooth_noise(rng, grid, 4)
    middle = np.abs(cavity - thick / 2) - (thick / 2 - np.float32(1.7))
    canvas.paint(middle, np.clip(marrow, 200, 800))
    canvas.paint(cavity, CSF)


def _paint_cerebrum(
    canvas: Canvas, hull: FloatArray, subject: Subject, rng: np.random.Generator
) -> None:
    grid, (x, y, z) = canvas.grid, canvas.position
    gap = np.float32(0.35 + 0.4 * subject.atrophy)
    # Between the hemispheres, down to the corpus callosum.
    wander = np.float32(2.0) * smooth_noise(rng, grid, 22)
    falx = np.hypot(x + wander, np.maximum(-callosum(canvas.position), 0)) - gap
    sylvian = _sylvian(canvas) - gap - np.float32(0.5)
    surface = smooth_min(-hull, smooth_min(falx, sylvian, 3), 4)
    # The cisterns around the midbrain and the chiasm.
    surface = np.minimum(surface, ellipsoid((x, y, z), (0, 0, -26), (16, 19, 16)))

    room = [1.2 * length for length in grid.extent]
    folding = Folding(
        half_width=0.3 + 0.45 * subject.atrophy,
        lattice=Lattice(rng, room, subject.wavelength),
        minor=Lattice(rng, room, 0.8 * subject.wavelength),
    )
    depth = np.clip(17 + 5 * smooth_noise(rng, grid, 18), 5, 25)
    bend = tuple(np.float32(1.3) * smooth_noise(rng, grid, 7) for _ in range(3))
    pial = pial_depth(folding, grid, canvas.position, surface, depth, (bend[0], bend[1], bend[2]))

    ribbon = np.float32(subject.ribbon) + np.float32(0.25) * smooth_noise(rng, grid, 15)
    texture = smooth_noise(rng, grid, 3.0)
    canvas.paint(-pial, subject.grey + 9 * texture)
    canvas.paint(ribbon - pial, WHITE + 9 * texture, softness=1.3)


def _sylvian(canvas: Canvas) -> FloatArray:
    """Distance to the lateral fissure and the sheet of CSF over the insula, both sides."""
    x, y, z = canvas.position
    side = np.abs(x)
    floor = np.float32(-3) - np.float32(0.22) * y
    across = np.hypot(z - floor, np.maximum(40 - side, 0))
    along = np.maximum(np.abs(y - 2) - 33, 0)
    fissure = np.hypot(across, along)
    face = side - 40 + np.float32(0.008) * (y - 2) ** 2
    beside = np.hypot(np.maximum(np.abs(z - floor - 3) - 12, 0), np.maximum(np.abs(y - 4) - 24, 0))
    return np.asarray(np.minimum(fissure, np.hypot(face, beside)), dtype=np.float32)


def _paint_cerebellum(
    canvas: Canvas, hull: FloatArray, subject: Subject, rng: np.random.Generator
) -> None:
    """Folia: fine fissures that fan out from the peduncles, white branches between them."""
    x, y, z = canvas.position
    out, up = -(y + 26), z + 36
    radius = np.hypot(out, up) + np.float32(0.15) * np.abs(x)
    wobble = smooth_noise(rng, canvas.grid, 10)
    uneven = smooth_noise(rng, canvas.grid, 16)
    angle = np.arctan2(up, out) + np.float32(0.005) * np.abs(x)
    pial = -hull
    # The fissures between lobules reach the core, those between folia only a few mm.
    for count, deepest, push, width in ((9, 15.0, 0.45, 0.35), (25, 6.5, 0.9, 0.1)):
        across = _to_multiple_of_pi(count * angle + np.float32(push) * wobble) * radius / count
        below = np.maximum(-hull - np.float32(deepest) * (1 + np.float32(0.3) * uneven), 0)
        pial = smooth_min(pial, np.hypot(across, below) - np.float32(width), 1.0)
    pial = np.minimum(-hull, np.maximum(pial, 12 + uneven - radius))
    canvas.paint(hull, CSF)
    texture = 9 * smooth_noise(rng, canvas.grid, 3.0)
    canvas.paint(-pial, subject.grey - 10 + texture)
    canvas.paint(np.maximum(1.5 - pial, hull + 3), WHITE - 15 + texture, softness=1.2)


def _to_multiple_of_pi(phase: FloatArray) -> FloatArray:
    return np.abs((phase + np.float32(np.pi / 2)) % np.float32(np.pi) - np.float32(np.pi / 2))


def _paint_lesions(canvas: Canvas, subject: Subject, rng: np.random.Generator) -> None:
    """Dark spots in the white matter beside the ventricles."""
    for _ in range(subject.lesions):
        centre = np.array(
            [rng.choice([-1, 1]) * rng.uniform(24, 34), rng.uniform(-40, 32), rng.uniform(20, 30)]
        )
        radii = rng.uniform(1.8, 4.5) * rng.uniform(0.8, 1.3, 3)
        box = canvas.around(centre, radii)
        canvas.paint(ellipsoid(canvas.at(box), centre, radii), subject.grey - 40, box)


def _scanned(canvas: Canvas, rng: np.random.Generator) -> FloatArray:
    """The image through a receive coil: multiplied by a smooth bias field."""
    grain = 1 + 0.012 * smooth_noise(rng, canvas.grid, 2.5)
    log_bias = 0.05 * smooth_noise(rng, canvas.grid, 70)
    # Surface coils see the near side better than the middle.
    x, y, z = canvas.grid.axes
    log_bias += np.float32(0.07) * ((x / 80) ** 2 + (y / 100) ** 2 + (z / 80) ** 2 - 1)
    image = np.maximum(canvas.image, 0) * grain * np.exp(log_bias)
    return image.astype(np.float32, copy=False)
