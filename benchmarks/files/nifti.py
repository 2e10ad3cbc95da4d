"""NIfTI files: read, and written back with their header."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from files.verdict import Case, Losses, Placed

AFFINE = np.array(
    [[0.38, -0.1, 0.8, -10.0], [0.09, 0.69, 0.5, 20.0], [-0.08, -0.09, 4.9, 30.0], [0, 0, 0, 1.0]]
)  # columns are made perpendicular below
SHAPE = (12, 10, 7)


def upright(spacing: tuple[float, float, float] = (0.4, 0.7, 5.0)) -> np.ndarray:
    """An oblique affine without shear: the columns of a rotation, times the spacing."""
    rotation, _ = np.linalg.qr(AFFINE[:3, :3])
    rotation = rotation * np.sign(np.diag(rotation))
    affine = AFFINE.copy()
    affine[:3, :3] = rotation * spacing
    return affine


def ramp(shape: tuple[int, ...] = SHAPE, kind: str = "i2") -> np.ndarray:
    """Different numbers, so that a voxel in a wrong place is found."""
    return np.arange(1, 1 + np.prod(shape)).reshape(shape).astype(kind)


def save(path: Path, array: np.ndarray, affine: np.ndarray, **header: Any) -> Path:
    """NIfTI-1, or NIfTI-2 if the name says so, with these header fields."""
    kind = nib.Nifti2Image if "nifti2" in path.name else nib.Nifti1Image
    image = kind(array, affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def sheared(affine: np.ndarray, code: int, path: Path) -> None:
    """An affine that no qform can hold, in the sform alone."""
    image = nib.Nifti1Image(ramp(), None)
    image.set_sform(affine, code)
    image.header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    nib.save(image, path)


def patch(path: Path, offset: int, kind: str, *values: float) -> Path:
    """Overwrite numbers in an uncompressed header."""
    raw = bytearray(path.read_bytes())
    new = np.array(values, kind).tobytes()
    raw[offset : offset + len(new)] = new
    path.write_bytes(raw)
    return path


def reading(place: Path) -> Iterator[Case]:
    """Files to be read, or refused."""
    affine = upright()
    plain = save(place / "oblique.nii.gz", ramp(), affine)
    yield case("oblique, 0.4 x 0.7 x 5 mm", plain, Placed.of(ramp(), affine))
    shear = affine.copy()
    shear[:3, 2] += 1.5 * affine[:3, 1]
    sheared(shear, 1, place / "sheared.nii.gz")
    truth = Placed.of(ramp(), shear)
    yield case("sheared affine", place / "sheared.nii.gz", truth, words="shear|orthonormal|cosines")
    scaled = patch(save(place / "slope.nii", ramp(), affine), 112, "<f4", 0.01, -5)
    yield case("int16 with slope 0.01, intercept -5", scaled, Placed.of(ramp() * 0.01 - 5, affine))
    zero = patch(save(place / "slope0.nii", ramp(), affine), 112, "<f4", 0, 0)
    yield case("slope 0, which means unscaled", zero, Placed.of(ramp(), affine))
    second = save(place / "nifti2.nii.gz", ramp(), affine)
    yield case("NIfTI-2", second, Placed.of(ramp(), affine))
    times = ramp((*SHAPE, 3))
    yield case("4-D", save(place / "times.nii.gz", times, affine), Placed.of(times, affine))
    holes = ramp(kind="f4")
    holes[2:4, 3, 1] = np.nan
    yield case("NaN voxels", save(place / "nan.nii.gz", holes, affine), Placed.of(holes, affine))
    rgb = np.stack([ramp(kind="u1"), ramp(kind="u1") + 50, ramp(kind="u1") + 100], -1)
    pixels = rgb.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    colour = save(place / "rgb.nii.gz", pixels, affine)
    yield case("RGB", colour, Placed.of(rgb, affine), words="rgb|colour|color")
    waves = (ramp(kind="f4") * (1 + 2j)).astype("c8")
    path = save(place / "complex.nii.gz", waves, affine)
    yield case("complex", path, Placed.of(waves, affine), words="complex")
    yield from damaged(place, plain, affine)


def damaged(place: Path, plain: Path, affine: np.ndarray) -> Iterator[Case]:
    """Files that hold no volume, whatever they say."""
    big = ramp((40, 40, 20))
    raw = save(place / "big.nii.gz", big, affine).read_bytes()
    cut = "truncat|ended|short|eof|end-of|end of|incomplete|damaged|corrupt"

    def bad(name: str, file: str, content: bytes, words: str = cut) -> Case:
        (place / file).write_bytes(content)
        return case(name, place / file, words=words)

    yield bad("truncated .nii.gz", "truncated.nii.gz", raw[: len(raw) // 2])
    yield bad("truncated .nii", "truncated.nii", gzip.decompress(raw)[:40000])
    flipped = bytearray(gzip.compress(gzip.decompress(raw), 0))
    flipped[len(flipped) // 2] ^= 255  # it still decompresses, but not to what went in
    yield bad("a flipped byte in .nii.gz: wrong checksum", "checksum.nii.gz", bytes(flipped),
              f"crc|check|{cut}")  # fmt: skip
    yield bad("empty file", "empty.nii.gz", b"", f"empty|{cut}")
    noise = np.random.default_rng(0).bytes(5000)
    yield bad("random bytes", "random.nii.gz", noise, "gzip|no scan|not |recogni[sz]|cannot")
    huge = patch(save(place / "huge.nii", ramp(), affine), 42, "<i2", 8000, 8000, 8000)
    yield case("claims 8000 x 8000 x 8000 voxels", huge, words=f"claim|bytes|expected|memory|{cut}")
    flat = patch(save(place / "singular.nii", ramp(), affine), 252, "<i2", 0)
    patch(flat, 280, "<f4", *np.zeros(4), *upright()[1], *upright()[2])
    yield case("singular affine", flat, words="singular|affine|cosines|direction|determinant")
    nowhere = patch(save(place / "nan-affine.nii", ramp(), affine), 252, "<i2", 0)
    patch(nowhere, 280, "<f4", *np.full(12, np.nan))
    yield case("affine of NaN", nowhere, words="nan|affine|finite|cosines|direction")


def returning(place: Path, data: Path) -> Iterator[Case]:
    """Files to be written back: what of the header is still there?"""
    affine, other = upright(), upright((0.4, 0.7, 5.0))
    other[:3, 3] += 3
    image = nib.Nifti1Image(ramp(), affine)
    image.set_qform(affine, 1)
    image.set_sform(other, 4)
    nib.save(image, place / "codes.nii.gz")
    forms = ("qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c",
             "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")  # fmt: skip
    yield back("sform_code 4, another qform", place / "codes.nii.gz", fields(*forms))
    shear = affine.copy()
    shear[:3, 2] += 1.5 * affine[:3, 1]
    sheared(shear, 2, place / "shear.nii.gz")
    yield back("sheared sform", place / "shear.nii.gz", fields(*forms))
    told = {"descrip": b"a description", "aux_file": b"aux", "intent_code": 1001,
            "intent_name": b"estimate", "cal_min": 1, "cal_max": 900, "toffset": 2,
            "slice_code": 3, "slice_end": 6, "slice_duration": 0.1, "dim_info": 0b111001,
            "xyzt_units": 10}  # fmt: skip
    path = save(place / "told.nii.gz", ramp(), affine, **told)
    yield back("intent, units, slice timing, cal_max, descrip", path, fields(*told))
    image = nib.Nifti1Image(ramp(), affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"kept?"))
    nib.save(image, place / "extension.nii.gz")
    yield back("header extension", place / "extension.nii.gz", extensions)
    scaled = patch(save(place / "slope.nii", ramp(), affine), 112, "<f4", 0.01, -5)
    yield back("int16 with slope 0.01", scaled, fields("datatype", "scl_slope", "scl_inter"))
    yield back("NIfTI-2", save(place / "nifti2.nii.gz", ramp(), affine), fields("sizeof_hdr"))
    times = save(place / "times.nii.gz", ramp((*SHAPE, 3)), affine, xyzt_units=10)
    patch_gz(times, 92, "<f4", 2.5)
    yield back("4-D, 2.5 s a volume", times, fields("dim", "pixdim", "xyzt_units"))
    holes = ramp(kind="f4")
    holes[2:4, 3, 1] = np.nan
    path = save(place / "nan.nii.gz", holes, affine)
    yield back("NaN voxels", path, fields("datatype"))
    real = data / "mri" / "cit168_t1.nii.gz"
    if real.exists():
        every = set(nib.Nifti1Header.template_dtype.names) - {"vox_offset", "magic"}
        yield back("a real T1 (CIT168), the whole header", real, fields(*sorted(every)))


def patch_gz(path: Path, offset: int, kind: str, *values: float) -> None:
    plain = path.with_suffix("")
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(patch(plain, offset, kind, *values).read_bytes(), 1))
    plain.unlink()


def fields(*names: str) -> Callable[[Path, Path], Losses]:
    """Compares header fields as stored, the voxels' values and their places."""

    def compare(source: Path, result: Path) -> Losses:
        lost = []
        before, after = stored(source), stored(result)
        for name in names:
            if name not in after.dtype.names:
                lost.append(f"loses {name}")
            elif before[name].tobytes() != after[name].astype(before[name].dtype).tobytes():
                lost.append(told(name, before[name], after[name]))
        return Losses(voxels(source, result), tuple(lost))

    return compare


def stored(path: Path) -> np.ndarray:
    """The header as it is in the file; nibabel itself hides slopes."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    second = raw[:4] == (540).to_bytes(4, "little")
    kind = nib.Nifti2Header if second else nib.Nifti1Header
    return np.frombuffer(raw, kind.template_dtype, 1)[0]


def extensions(source: Path, result: Path) -> Losses:
    before, after = (
        [each.get_content() for each in nib.load(path).header.extensions]
        for path in (source, result)
    )
    lost = () if before == after else ("loses the extension",)
    return Losses(voxels(source, result), lost)


def voxels(source: Path, result: Path) -> tuple[str, ...]:
    """What became of values (to a tenth of a stored step) and places."""
    before, after = nib.load(source), nib.load(result)
    if before.shape != after.shape:
        return (f"shape {before.shape} → {after.shape}",)
    faults = []
    old, new = (np.asarray(image.dataobj, float) for image in (before, after))
    whole = stored(source)["datatype"] in (2, 4)
    slope = float(stored(source)["scl_slope"])
    step = (slope if np.isfinite(slope) and slope else 1.0) if whole else 0.0
    same = np.isclose(new, old, rtol=1e-6, atol=max(0.1 * step, 1e-6), equal_nan=True)
    if not same.all():
        kept = np.isfinite(old) & np.isfinite(new)
        off = np.abs(old - new)[kept].max()
        holes = (~np.isfinite(old) & np.isfinite(new)).any()
        faults.append("NaN becomes a number" if holes else f"values off by up to {off:.2g}")
    corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    corners[:, :3] *= np.array(before.shape[:3]) - 1
    away = np.linalg.norm((corners @ (before.affine - after.affine).T)[:, :3], axis=1).max()
    if away > 0.02:
        faults.append(f"voxels up to {away:.3g} mm out of place")
    return tuple(faults)


def told(name: str, before: np.ndarray, after: np.ndarray) -> str:
    if before.ndim or before.dtype.kind == "S":
        return f"{name} changes"
    return f"{name} {before.item():.4g} → {after.item():.4g}"


def case(name: str, path: Path, *truth: Placed, words: str = "(?!)") -> Case:
    return Case("NIfTI, read", name, "nifti", path, truth, words)


def back(name: str, path: Path, compare: Callable[[Path, Path], Losses]) -> Case:
    words = "orthonormal|dimension"
    return Case("NIfTI, written back", name, "nifti", path, words=words, compare=compare)
