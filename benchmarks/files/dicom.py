"""DICOM series to be read: made ones with every oddity, and real ones where they are at hand."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid
from pydicom.errors import InvalidDicomError

from files.series import (
    DOWN,
    NORMAL,
    ORIGIN,
    SLICES,
    SPACING,
    STEP,
    enhanced,
    located,
    make,
    mosaic,
    placed,
    positions,
    ramp,
    read_plain,
    save,
    save_alone,
    segmentation,
    structure_set,
)
from files.verdict import Case, Placed

_LOSS = 40.0  # HU, what lossy JPEG may take from the slice in many syntaxes


def reading(place: Path) -> Iterator[Case]:
    """Series to be read, or refused, or warned about."""
    voxels, places = ramp(), positions()
    truth = placed(voxels, places)
    yield case("oblique MR, 0.4 x 0.7 x 5 mm", save(make(voxels, places), place / "oblique"), truth)
    order = lambda n: [4, 1, 7, 2, 9, 3, 8, 5, 6][n]  # noqa: E731
    series = make(voxels, places, InstanceNumber=order)
    yield case("InstanceNumber at odds with position", save(series, place / "order"), truth)
    signed = ramp(kind="i2") - 1000
    series = make(signed, places, "CT", RescaleSlope=1, RescaleIntercept=-24)
    yield case("signed CT", save(series, place / "signed"), placed(signed - 24, places))
    slopes = lambda n: round(0.013 * (n + 1), 6)  # noqa: E731
    series = make(voxels, places, "PT", RescaleIntercept=0, RescaleSlope=slopes, Units="BQML",
                  DecayCorrection="START", CorrectedImage=["DECY"])  # fmt: skip
    scaled = voxels * np.array([slopes(n) for n in range(SLICES)])[:, None, None]
    yield case("PET, another slope in each slice", save(series, place / "slopes"),
               placed(scaled, places))  # fmt: skip
    steps = lambda n: 1.0 if n == 0 else 0.25 * n  # noqa: E731
    series = make(voxels, places, "PT", RescaleIntercept=0, RescaleSlope=steps, Units="BQML",
                  DecayCorrection="START", CorrectedImage=["DECY"])  # fmt: skip
    scaled = voxels * np.array([steps(n) for n in range(SLICES)])[:, None, None]
    yield case("PET, slope 1 in the first slice and fractions in others",
               save(series, place / "slope-one"), placed(scaled, places))  # fmt: skip
    series = make(voxels, places, "CT", PhotometricInterpretation="MONOCHROME1")
    yield case("MONOCHROME1", save(series, place / "mono1"), truth, words="MONOCHROME1|invert")
    dirty = voxels | (np.arange(voxels.size, dtype="u2").reshape(voxels.shape) % 16 << 12)
    series = make(dirty, places, BitsStored=12)
    yield case("12 bits stored, dirt above them", save(series, place / "dirty"), truth)
    yield from irregular(place)
    yield from mixtures(place)
    yield from multiframe(place)
    yield from no_intensities(place)


def irregular(place: Path) -> Iterator[Case]:
    """What no upright regular grid holds."""
    voxels, places = ramp(), positions()
    tilt = NORMAL * STEP + DOWN * STEP * math.tan(math.radians(18.5))
    tilted = positions(step=tilt)
    yield case("gantry tilt of 18.5 degrees", save(make(voxels, tilted, "CT"), place / "tilt"),
               placed(voxels, tilted), words="tilt|shear|gantry|regular")  # fmt: skip
    words = "uneven|uniform|spacing|distance|gap|missing|interslice|inconsistent|regular"
    uneven = ORIGIN + np.cumsum([0, 5, 5, 2, 5, 9, 5, 5, 3])[:, None] * NORMAL
    yield case("uneven spacing", save(make(voxels, uneven), place / "uneven"),
               placed(voxels, uneven), words=words)  # fmt: skip
    kept = [0, 1, 2, 3, 5, 6, 7, 8]
    series = make(voxels[kept], places[kept])
    yield case("a slice is missing", save(series, place / "missing"),
               placed(voxels[kept], places[kept]), words=words)  # fmt: skip
    twice = [0, 1, 2, 3, 3, 4, 5, 6, 7]
    series = make(voxels, places[twice])
    yield case("two slices at one position", save(series, place / "twice"),
               words=f"duplicate|same position|lie where|repeat|unique|{words}")  # fmt: skip
    path = save(make(voxels, places), place / "truncated")
    file = path / f"{501 - SLICES:04}.dcm"
    file.write_bytes(file.read_bytes()[:-200])
    yield case("the last file is truncated", path, words=f"truncat|{file.name}|damaged|pixel data")
    path = save(make(voxels, places), place / "emptied")
    file = path / f"{501 - SLICES:04}.dcm"
    file.write_bytes(b"")
    yield case("the last file is empty", path, words=f"{file.name}|empty")
    path = save(make(voxels, places, PixelSpacing=None), place / "unsized")
    yield case("no PixelSpacing", path, words="spacing|large|pixel size|assum")
    path = save(make(voxels, places, RescaleSlope=0, RescaleIntercept=0), place / "slope0")
    yield case("RescaleSlope 0", path, words="slope")


def mixtures(place: Path) -> Iterator[Case]:
    """More than one volume in a directory."""
    voxels, places = ramp(), positions()
    other = voxels[:5] + 5000
    words = "series|orientation|volumes|several|multiple"
    second = make(other, positions(5), SeriesInstanceUID="1.2.3.4.9", SeriesNumber=8)
    truths = (placed(voxels, places), placed(other, positions(5)))
    yield case("two series in a directory", save(make(voxels, places) + second, place / "two"),
               *truths, words=words)  # fmt: skip
    scout = make(other[:1], positions(1), ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    for ds in scout:
        ds.InstanceNumber = 50
    path = save(make(voxels, places) + scout, place / "scout")
    along, down = np.array([0, 1.0, 0]), np.array([0, 0, -1.0])
    yield case("a localizer in the same series", path, placed(voxels, places),
               located(other[:1], positions(1), along, down, SPACING), words=words)  # fmt: skip
    later = make(other[:5], positions(5), TemporalPositionIdentifier=2, AcquisitionNumber=2,
                 InstanceNumber=lambda n: n + 6)  # fmt: skip
    first = make(voxels[:5], positions(5), TemporalPositionIdentifier=1)
    both = np.stack([voxels[:5], other], axis=-1)
    yield case("two time points in one series", save(first + later, place / "times"),
               placed(both, positions(5)), words=f"time|temporal|same pos|{words}")  # fmt: skip


def multiframe(place: Path) -> Iterator[Case]:
    """Enhanced objects and a mosaic."""
    voxels, places = ramp(), positions()
    order = [3, 0, 8, 1, 5, 2, 7, 6, 4]
    ds = enhanced(voxels[order], places[order], [1.0] * SLICES)
    yield case("enhanced MR, frames out of order", save_alone(ds, place / "enhanced"),
               placed(voxels, places))  # fmt: skip
    slopes = [0.5 + n for n in range(SLICES)]
    ds = enhanced(voxels[order], places[order], [slopes[n] for n in order])
    scaled = voxels * np.array(slopes)[:, None, None]
    yield case("enhanced MR, a slope in each frame", save_alone(ds, place / "frame-slopes"),
               placed(scaled, places), words="slope|scale")  # fmt: skip
    yield case("Siemens mosaic", save_alone(mosaic(voxels, places), place / "mosaic"),
               placed(voxels, places), words="mosaic")  # fmt: skip


def no_intensities(place: Path) -> Iterator[Case]:
    """Objects that a denoiser must not take for intensities."""
    voxels, places = ramp(kind="u1"), positions()
    rgb = np.stack([voxels, voxels + 50, voxels + 100], axis=-1)
    series = make(rgb, places, SamplesPerPixel=3, PhotometricInterpretation="RGB",
                  PlanarConfiguration=0)  # fmt: skip
    yield case("RGB", save(series, place / "rgb"), placed(rgb, places), words="colour|color|rgb")
    red = np.arange(256, dtype="u2") * 256
    lut = {}
    for colour in ("Red", "Green", "Blue"):
        lut[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        lut[f"{colour}PaletteColorLookupTableData"] = (
            red if colour == "Red" else red[::-1]
        ).tobytes()
    series = make(voxels, places, PhotometricInterpretation="PALETTE COLOR", **lut)
    bytes_of = np.stack([voxels, 255 - voxels, 255 - voxels], axis=-1)
    words_of = np.stack([red[voxels], red[255 - voxels], red[255 - voxels]], axis=-1)
    yield Case("DICOM, read", "palette colour", "dicom", save(series, place / "palette"),
               (placed(bytes_of, places), placed(words_of, places)), "colour|color|palette",
               either=True)  # fmt: skip
    yield case("segmentation, one bit a voxel", save_alone(segmentation(), place / "seg"),
               words="segment|1 bit|BitsAllocated|plane positions")  # fmt: skip
    ds = structure_set()
    yield case("RT structure set", save_alone(ds, place / "rtstruct"),
               words="structure|no image|no pixel|pixel data|not an image")  # fmt: skip
    (ds,) = make(ramp(1), positions(1))
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 32, 32, 31
    del ds.PixelData
    ds.FloatPixelData = ramp(1, "f4").tobytes()
    ds.SOPClassUID = uid.ParametricMapStorage
    truth = placed(ramp(1), positions(1))
    yield case("floating-point pixels", save_alone(ds, place / "float"), truth,
               words="float|parametric|pixel data")  # fmt: skip


def real(place: Path, data: Path) -> Iterator[Case]:
    """Scans from scanners, where they are at hand."""
    dicom = data / "dicom"
    for name, folder in (
        ("MR T1, 3 T", "mr_t1_siemens"), ("CT in JPEG 2000, without UIDs", "ct_abdomen_j2k"),
        ("CT, signed", "ct_pelvis_soft"), ("PET, another slope in each slice", "pet"),
    ):  # fmt: skip
        if (dicom / folder).is_dir():
            files = sorted((dicom / folder).iterdir())
            yield case(f"real {name}", dicom / folder, read_plain(files))
    for name, folder, words in (
        (
            "CT, gantry tilt, uneven",
            "ct_tilt_variable_ge",
            "tilt|shear|gantry|uneven|spacing|distance|regular",
        ),
        ("CT, gantry tilt", "ct_tilt_philips", "tilt|shear|gantry|regular"),
    ):
        if (dicom / folder).is_dir():
            files = [path for path in sorted((dicom / folder).iterdir()) if is_image(path)]
            yield case(f"real {name}", dicom / folder, read_plain(files), words=words)
    plain = next((dicom / "ct_15_syntaxes").glob("*LittleEndianExplicit*"), None)
    if plain is None:
        return
    lossless = {
        "RLE": "1.2.5", "JPEG lossless": "1.2.4.70", "JPEG-LS": "1.2.4.80",
        "JPEG 2000": "1.2.4.90", "deflated": "1.2.1.99", "big endian": "1.2.2",
    }  # fmt: skip
    words = "syntax|deflat|endian|decod|compress"
    for name, end in lossless.items():
        yield case(f"real CT slice, {name}", alone(dicom, end, place), read_plain([plain]),
                   words=words)  # fmt: skip
    for name, end in (("spectral selection", "1.2.4.53"), ("full progression", "1.2.4.55")):
        yield case(f"real CT slice, lossy JPEG, {name} (retired)", alone(dicom, end, place),
                   read_plain([plain], tolerance=_LOSS), words=words)  # fmt: skip


def is_image(path: Path) -> bool:
    try:
        return path.is_file() and "PixelData" in pydicom.dcmread(path)
    except InvalidDicomError:
        return False


def alone(dicom: Path, end: str, place: Path) -> Path:
    (path,) = (dicom / "ct_15_syntaxes").glob(f"*_1.2.840.10008.{end}.dcm")
    folder = place / f"syntax-{end}"
    folder.mkdir()
    shutil.copy(path, folder)
    return folder


def case(name: str, path: Path, *truth: Placed, words: str = "(?!)") -> Case:
    return Case("DICOM, read", name, "dicom", path, truth, words)
