"""DICOM series to be written back as derived ones, or as NIfTI."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from files.series import DOWN, NORMAL, SLICES, STEP, enhanced, make, placed, positions, ramp, save
from files.verdict import Case, Losses, Placed, fault


def returning(place: Path, data: Path) -> Iterator[Case]:
    """Series to be written back as derived ones."""
    voxels, places = ramp(), positions()
    slopes = lambda n: round(0.013 * (n + 1), 6)  # noqa: E731
    made = {
        "MR": make(voxels, places),
        "CT, signed": make(ramp(kind="i2") - 1000, places, "CT", RescaleIntercept=-24),
        "PET, another slope in each slice": make(
            voxels, places, "PT", RescaleIntercept=0, RescaleSlope=slopes, Units="BQML"),
        "enhanced MR": [enhanced(voxels, places, [1.0] * SLICES)],
    }  # fmt: skip
    for number, (name, series) in enumerate(made.items()):
        path = save(series, place / f"back{number}")
        words = "float|pixel type|casting"
        yield Case("DICOM, written back", name, "dicom", path, words=words, compare=derived)
    folder = data / "dicom" / "mr_t1_siemens"
    if folder.is_dir():
        target = place / "real-mr"
        target.mkdir()
        for path in sorted(folder.iterdir())[:12]:
            shutil.copy(path, target)
        yield Case("DICOM, written back", "real MR T1", "dicom", target, compare=derived)


def derived(source: Path, result: Path) -> Losses:
    """What is wrong with a derived series: pixels, identity, header, what dciodvfy finds new."""
    old, new = ([pydicom.dcmread(path) for path in sorted(place.iterdir())]
                for place in (source, result))  # fmt: skip
    if len(old) != len(new):
        return Losses((f"{len(old)} instances → {len(new)}",))
    by_place: dict[Any, Dataset] = {where(ds): ds for ds in new}
    if set(by_place) != {where(ds) for ds in old}:
        return Losses(("other positions",))
    wrong, changes = [], []
    pairs = [(ds, by_place[where(ds)]) for ds in old]
    if any(not np.array_equal(scaled_values(a), scaled_values(b)) for a, b in pairs):
        wrong.append("other values")
    first, made = pairs[0]
    if first.StudyInstanceUID != made.StudyInstanceUID:
        wrong.append("another study")
    if {ds.SOPInstanceUID for ds in old} & {ds.SOPInstanceUID for ds in new}:
        wrong.append("the same SOPInstanceUID")
    if made.SeriesInstanceUID == first.SeriesInstanceUID:
        wrong.append("the same SeriesInstanceUID")
    if made.ImageType[0] != "DERIVED":
        wrong.append("not called derived")
    if not any("SourceImageSequence" in item for item in data_sets(made)):
        changes.append("does not name its source")
    for keyword in ("SOPClassUID", "FrameOfReferenceUID", "BitsStored", "SliceThickness",
                    "EchoTime", "KVP", "Units"):  # fmt: skip
        if first.get(keyword) != made.get(keyword):
            changes.append(f"{keyword} {'changes' if keyword in made else 'is lost'}")
    beyond = dciodvfy(made) - dciodvfy(first)
    if beyond:
        changes.append(f"{len(beyond)} new errors of dciodvfy")
    return Losses(tuple(wrong), tuple(changes))


def data_sets(ds: Dataset) -> Iterator[Dataset]:
    """A data set and all that are in its sequences."""
    yield ds
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield from data_sets(item)


def converting(place: Path) -> Iterator[Case]:
    """Series to be written as NIfTI, with what stands beside it."""
    voxels, places = ramp(), positions()
    truth = placed(voxels, places)

    def beside(**wanted: Any) -> Callable[[Path, Path], Losses]:
        return lambda source, result: converted(result, truth, wanted)

    plain = save(make(voxels, places), place / "plain")
    yield convert("voxels and places", plain, beside())
    yield convert("echo and repetition time in a .json", plain,
                  beside(EchoTime=0.003, RepetitionTime=0.008))  # fmt: skip
    weights = (0.0, 1000.0)
    series = []
    for number, weight in enumerate(weights):
        series += make(
            voxels[:5] + 1000 * number,
            positions(5),
            InstanceNumber=lambda n, t=number: n + 1 + 5 * t,
            DiffusionBValue=weight,
            DiffusionGradientOrientation=[0.6, 0.8, 0.0],
            AcquisitionNumber=number + 1,
            Manufacturer="Philips",
        )
    path = save(series, place / "diffusion")
    both = np.stack([voxels[:5], voxels[:5] + 1000], axis=-1)
    truth_of_both = placed(both, positions(5))
    yield convert("two b-values: 4-D, .bval beside", path,
                  lambda source, result: converted(result, truth_of_both, {"bval": weights}),
                  words="uniform|same pos|diffusion|b-value")  # fmt: skip
    tilted = positions(step=NORMAL * STEP + DOWN * STEP * math.tan(math.radians(18.5)))
    truth_of_tilt = placed(voxels, tilted)
    yield convert("gantry tilt of 18.5 degrees", save(make(voxels, tilted, "CT"), place / "tilt"),
                  lambda source, result: converted(result, truth_of_tilt, {}),
                  words="tilt|shear|gantry|regular")  # fmt: skip


def convert(
    name: str, path: Path, compare: Callable[[Path, Path], Losses], words: str = "(?!)"
) -> Case:
    return Case("DICOM to NIfTI", name, "to nifti", path, words=words, compare=compare)


def converted(result: Path, truth: Placed, wanted: dict[str, Any]) -> Losses:
    """The volume, and numbers in the files beside it."""
    import nibabel as nib

    image = nib.load(result)
    found = fault(np.asarray(image.dataobj), image.affine, truth)
    sidecar = result.with_name("out.json")
    told = json.loads(sidecar.read_text()) if sidecar.exists() else {}
    table = result.with_name("out.bval")
    told["bval"] = tuple(map(float, table.read_text().split())) if table.exists() else None
    lost = [f"no {name}" if told.get(name) is None else f"another {name}"
            for name, number in wanted.items()
            if told.get(name) is None or not np.allclose(told[name], number)]  # fmt: skip
    return Losses((found,) if found else (), tuple(lost))


def where(ds: Dataset) -> tuple[float, ...]:
    position = ds.get("ImagePositionPatient")
    return () if position is None else tuple(round(float(n), 3) for n in position)


def scaled_values(ds: Dataset) -> np.ndarray:
    values = np.asarray(ds.pixel_array * float(ds.get("RescaleSlope", 1)), float)
    return np.round(values + float(ds.get("RescaleIntercept", 0)), 4)


def dciodvfy(ds: Dataset) -> set[str]:
    """Its errors; none where the program is not installed (the table's head says so)."""
    if shutil.which("dciodvfy") is None:
        return set()
    run = subprocess.run(["dciodvfy", ds.filename], capture_output=True, text=True, check=False)
    return {line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")}
