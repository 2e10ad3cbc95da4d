"""NRRD and MetaImage files: read, and written back with their header."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from files.nifti import ramp, upright
from files.verdict import Case, Losses, Placed

DWI = {"modality": "DWMRI", "DWMRI_b-value": "1000", "DWMRI_gradient_0000": "0 0 0",
       "DWMRI_gradient_0001": "0 0.6 0.8"}  # fmt: skip
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def vector(numbers: np.ndarray) -> str:
    return f"({','.join(repr(float(number)) for number in numbers)})"


def nrrd(
    path: Path, array: np.ndarray, affine: np.ndarray, *, space: str = "left-posterior-superior",
    fields: tuple[str, ...] = (), keys: dict[str, str] | None = None,
    kinds: str = "domain domain domain", cut: int = 0,
) -> Path:  # fmt: skip
    """``(X, Y, Z)``, or ``(C, X, Y, Z)`` if ``kinds`` begin with another; the affine is RAS+."""
    own = FLIP @ affine if space.startswith("left") else affine
    first = ["none"] * (array.ndim - 3)
    directions = [*first, *(vector(column) for column in own[:3, :3].T)]
    name = {"i2": "int16", "u1": "uint8", "f4": "float"}[array.dtype.str[1:]]
    header = [
        "NRRD0005", f"type: {name}", f"dimension: {array.ndim}", f"space: {space}",
        f"sizes: {' '.join(map(str, array.shape))}", f"space directions: {' '.join(directions)}",
        f"kinds: {kinds}", "endian: little", "encoding: gzip",
        f"space origin: {vector(own[:3, 3])}", *fields,
        *(f"{key}:={value}" for key, value in (keys or {}).items()),
    ]  # fmt: skip
    data = gzip.compress(array.tobytes(order="F"), 1)
    path.write_bytes("\n".join([*header, "", ""]).encode() + data[: len(data) - cut])
    return path


def mha(path: Path, array: np.ndarray, affine: np.ndarray, *extra: str, local: str = "LOCAL",
        cut: int = 0) -> Path:  # fmt: skip
    own = FLIP @ affine
    spacing = np.linalg.norm(own[:3, :3], axis=0)
    matrix = (own[:3, :3] / spacing).T.reshape(-1)
    data = zlib.compress(array.tobytes(order="F"))
    lines = [
        "ObjectType = Image", "NDims = 3", "BinaryData = True", "BinaryDataByteOrderMSB = False",
        "CompressedData = True", f"CompressedDataSize = {len(data)}",
        f"TransformMatrix = {' '.join(map(repr, map(float, matrix)))}",
        f"Offset = {' '.join(map(repr, map(float, own[:3, 3])))}", "CenterOfRotation = 0 0 0",
        *extra, f"ElementSpacing = {' '.join(map(repr, map(float, spacing)))}",
        f"DimSize = {' '.join(map(str, array.shape))}", "ElementType = MET_SHORT",
        f"ElementDataFile = {local}", "",
    ]  # fmt: skip
    whole = "\n".join(lines).encode() + (data[: len(data) - cut] if local == "LOCAL" else b"")
    path.write_bytes(whole)
    return path


def reading(place: Path) -> Iterator[Case]:
    """Files to be read, or refused."""
    affine, array = upright(), ramp()
    truth = Placed.of(array, affine)
    cut = "truncat|ended|short|eof|end-of|end of|incomplete|damaged|corrupt|size"
    outside = "outside|beside|same directory|relative|absolute|path|directory"
    (place / "detached").mkdir()
    secret = place / "elsewhere.raw"
    secret.write_bytes(array.tobytes(order="F"))

    path = nrrd(place / "lps.nrrd", array, affine)
    yield case("NRRD, read", "oblique, LPS space", path, truth)
    path = nrrd(place / "ras.nrrd", array, affine, space="right-anterior-superior")
    yield case("NRRD, read", "oblique, RAS space", path, truth)
    shear = affine.copy()
    shear[:3, 2] += 1.5 * affine[:3, 1]
    path = nrrd(place / "shear.nrrd", array, shear)
    words = "shear|orthonormal|cosines"
    yield case("NRRD, read", "sheared axes", path, Placed.of(array, shear), words=words)
    path = nrrd(place / "cut.nrrd", ramp((40, 40, 20)), affine, cut=20000)
    yield case("NRRD, read", "truncated", path, words=cut)
    path = place / "detached" / "header.nhdr"
    nrrd(place / "detached" / "x.nrrd", array, affine, fields=("data file: ../elsewhere.raw",))
    text = (place / "detached" / "x.nrrd").read_bytes().split(b"\n\n")[0]
    (place / "detached" / "x.nrrd").unlink()
    path.write_bytes(text.replace(b"encoding: gzip", b"encoding: raw") + b"\n")
    yield case("NRRD, read", "detached header that names a file elsewhere", path, words=outside)

    path = mha(place / "oblique.mha", array, affine)
    yield case("MetaImage, read", "oblique", path, truth, kind="metaimage")
    path = mha(place / "cut.mha", ramp((40, 40, 20)), affine, cut=20000)
    yield case("MetaImage, read", "truncated", path, words=cut, kind="metaimage")
    path = mha(place / "detached" / "header.mhd", array, affine, local="../elsewhere.raw")
    text = re.sub("CompressedData.*\n", "", path.read_text(), count=2)
    path.write_text(text)
    yield case("MetaImage, read", "header that names a file elsewhere", path, words=outside,
               kind="metaimage")  # fmt: skip


def returning(place: Path, data: Path) -> Iterator[Case]:
    """Files to be written back: what of the header is still there?"""
    affine, array = upright(), ramp()
    frame = "measurement frame: (0,-1,0) (1,0,0) (0,0,1)"
    path = nrrd(place / "frame.nrrd", array, affine, fields=(frame,))
    yield back("measurement frame", path, nrrd_kept("measurement frame"))
    path = nrrd(place / "keys.nrrd", array, affine, keys={"patient_position": "HFS", "note": "a b"})
    yield back("own keys", path, nrrd_kept("patient_position", "note"))
    two = ramp((2, *array.shape))
    path = nrrd(
        place / "dwi.nrrd",
        two,
        affine,
        fields=(frame,),
        keys=DWI,
        kinds="list domain domain domain",
    )
    yield back("DWI: gradients, frame, list axis first", path,
               nrrd_kept("measurement frame", "kinds", "sizes", *DWI))  # fmt: skip
    path = nrrd(place / "ras.nrrd", array, affine, space="right-anterior-superior")
    yield back("RAS space", path, nrrd_kept("space", "space directions", "space origin"))
    real = data / "nrrd" / "brain1_image.nrrd"
    if real.exists():
        yield back("a real brain, every field and key", real, nrrd_kept())
    path = mha(place / "keys.mha", array, affine, "AnatomicalOrientation = LPS",
               "Modality = MET_MOD_MR", "MyKey = kept")  # fmt: skip
    yield Case("MetaImage, written back", "geometry, own keys", "metaimage", path,
               compare=mha_kept("TransformMatrix", "Offset", "ElementSpacing", "DimSize",
                                "ElementType", "MyKey"))  # fmt: skip


def nrrd_header(path: Path) -> dict[str, str]:
    """Fields and keys by name, numbers in one spelling."""
    text = path.read_bytes().split(b"\n\n")[0].decode("utf-8", "replace")
    found = {}
    for line in text.splitlines()[1:]:
        if not line.startswith("#") and ":" in line:
            name, value = re.split(r":=|: ?", line, maxsplit=1)
            found[name.strip()] = re.sub(
                r"-?\d+\.?\d*(?:[eE][-+]?\d+)?", plain_number, value
            ).strip()
    return found


def plain_number(match: re.Match[str]) -> str:
    return f"{float(match[0]) + 0:.7g}"


def nrrd_kept(*names: str) -> Callable[[Path, Path], Losses]:
    """Compares these fields and keys (all but the encoding's, without names) and the voxels."""

    def compare(source: Path, result: Path) -> Losses:
        before, after = nrrd_header(source), nrrd_header(result)
        wanted = names or [name for name in before if name not in ("encoding", "endian")]
        lost = [f"loses {name}" for name in wanted if name not in after]
        changed = [
            f"{name} changes"
            for name in wanted
            if name in after and spaces(before[name]) != spaces(after[name])
        ]
        return Losses(voxels(source, result), (*lost, *changed))

    return compare


def spaces(value: str) -> str:
    """One spelling of blanks, and of types that have several."""
    value = re.sub(r"\s+", " ", re.sub(r"\s*,\s*", ",", value))
    return {"short": "int16", "signed short": "int16", "uchar": "uint8", "unsigned char": "uint8",
            "unsigned short": "uint16", "ushort": "uint16"}.get(value, value)  # fmt: skip


def voxels(source: Path, result: Path) -> tuple[str, ...]:
    """What became of values and places, whatever space and type they are in."""
    from files.tools import TOOLS

    (old, here), (new, there) = (TOOLS["pynrrd"].read(path)[0] for path in (source, result))
    if old.shape != new.shape:
        return (f"shape {old.shape} → {new.shape}",)
    faults = [] if np.array_equal(old, new) else ["other voxels, or in another order"]
    away = np.abs(here - there) @ [*old.shape[:3], 1]
    return (
        *faults,
        *([f"voxels up to {away.max():.3g} mm out of place"] if away.max() > 0.02 else []),
    )


def mha_kept(*names: str) -> Callable[[Path, Path], Losses]:
    def header(path: Path) -> dict[str, str]:
        text = path.read_bytes().split(b"ElementDataFile")[0].decode()
        pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
        return {
            name.strip(): re.sub(r"-?\d+\.?\d*(?:[eE][-+]?\d+)?", plain_number, value).strip()
            for name, value in pairs
        }

    def compare(source: Path, result: Path) -> Losses:
        import SimpleITK as sitk

        before, after = header(source), header(result)
        lost = [f"loses {name}" for name in names if name not in after]
        changed = [
            f"{name} changes" for name in names if name in after and before[name] != after[name]
        ]
        arrays = [sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (source, result)]
        same = np.array_equal(*arrays)
        return Losses(() if same else ("other voxels",), (*lost, *changed))

    return compare


def case(group: str, name: str, path: Path, *truth: Placed, words: str = "(?!)",
         kind: str = "nrrd") -> Case:  # fmt: skip
    return Case(group, name, kind, path, truth, words)


def back(name: str, path: Path, compare: Callable[[Path, Path], Losses]) -> Case:
    return Case("NRRD, written back", name, "nrrd", path, compare=compare)
