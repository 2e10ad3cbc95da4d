"""Small valid files of each format, the same bytes at every call: what the mutations start from."""

from __future__ import annotations

import bz2
import gzip
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

X, Y, Z = 8, 7, 3
RAMP = (np.arange(X * Y * Z, dtype=np.int16).reshape(Z, Y, X) * 13) % 997


@dataclass(frozen=True)
class Sample:
    """A scan in one or several files.

    Attributes:
        main: the name of the file to read.
        files: content by name, which may have directories.
        kind: what is known of the main file's inside: ``"plain"``, ``"gzip"`` (all of it),
            ``"png"``, ``"text"`` (lines, then voxels), ``"dicom"`` or ``"deflated"``.
        head: bytes of the main file that say most.
    """

    main: str
    files: dict[str, bytes]
    kind: str = "plain"
    head: int = 512


# --- NIfTI ---------------------------------------------------------------------------------------


def _nifti(
    kind: str = "<i2",
    *,
    v2: bool = False,
    times: int = 1,
    extension: bytes = b"",
    pair: bool = False,
) -> tuple[bytes, bytes]:
    import nibabel as nib

    maker = nib.Nifti2Header if v2 else nib.Nifti1Header
    header = maker(endianness=kind[0])
    header.set_data_dtype(np.dtype(kind))
    header.set_data_shape((X, Y, Z, times) if times > 1 else (X, Y, Z))
    affine = np.array([[-0.4, 0.1, 0, 11], [0.1, 0.7, 0, -7], [0, 0, 5, 3.5], [0, 0, 0, 1.0]])
    header.set_sform(affine, 1)
    header.set_qform(affine, 1, strip_shears=True)
    header.set_xyzt_units("mm", "sec")
    header["descrip"] = b"a sample"
    if kind[1] != "f":
        header["scl_slope"], header["scl_inter"] = 0.5, -10
    size = int(header["sizeof_hdr"]) + 4 + len(extension)
    header["vox_offset"] = 0 if pair else size
    header["magic"] = (b"ni1" if pair else b"n+1") if not v2 else (b"ni2" if pair else b"n+2")
    flag = b"\1\0\0\0" if extension else bytes(4)
    voxels = np.stack([RAMP + time for time in range(times)]).astype(kind).tobytes()
    return header.binaryblock + flag + extension, voxels


def _nifti_extension() -> bytes:
    return struct.pack("<ii", 32, 6) + b"some comment".ljust(24, b"\0")


def nifti() -> list[Sample]:
    extended = b"".join(_nifti(extension=_nifti_extension()))
    head, voxels = _nifti("<i2", pair=True)
    return [
        Sample("a.nii", {"a.nii": b"".join(_nifti("<i2"))}, head=352),
        Sample("a.nii", {"a.nii": b"".join(_nifti(">f4"))}, head=352),
        Sample("a.nii", {"a.nii": b"".join(_nifti("<f8", times=2))}, head=352),
        Sample("a.nii", {"a.nii": b"".join(_nifti("<u1"))}, head=352),
        Sample("a.nii", {"a.nii": b"".join(_nifti("<i8"))}, head=352),
        Sample("a.nii", {"a.nii": extended}, head=384),
        Sample("a.hdr", {"a.hdr": head, "a.img": voxels}, head=352),
    ]


def nifti_gz() -> list[Sample]:
    kinds = [_nifti("<i2"), _nifti("<f4", times=2), _nifti(">u2"),
             _nifti("<i4", extension=_nifti_extension())]  # fmt: skip
    packed = [gzip.compress(b"".join(kind), 1, mtime=0) for kind in kinds]
    samples = [Sample("a.nii.gz", {"a.nii.gz": raw}, "gzip", 352) for raw in packed]
    head, voxels = _nifti("<i2", pair=True)
    pair = {"a.hdr": head, "a.img.gz": gzip.compress(voxels, 1, mtime=0)}
    return [*samples, Sample("a.hdr", pair, head=352)]


def nifti2() -> list[Sample]:
    extended = b"".join(_nifti("<i2", v2=True, extension=_nifti_extension()))
    big = b"".join(_nifti(">f4", v2=True))
    packed = gzip.compress(b"".join(_nifti("<u2", v2=True, times=2)), 1, mtime=0)
    return [
        Sample("a.nii", {"a.nii": b"".join(_nifti("<f4", v2=True))}, head=544),
        Sample("a.nii", {"a.nii": extended}, head=576),
        Sample("a.nii", {"a.nii": big}, head=544),
        Sample("a.nii.gz", {"a.nii.gz": packed}, "gzip", 544),
    ]


# --- NRRD and MetaImage --------------------------------------------------------------------------


def _nrrd_text(kind: str, encoding: str, *more: str, times: int = 1) -> str:
    lines = [
        "NRRD0005", "# a comment", f"type: {kind}", f"dimension: {4 if times > 1 else 3}",
        "space: left-posterior-superior", f"sizes: {X} {Y} {Z}{f' {times}' if times > 1 else ''}",
        f"space directions: (0.4,0.1,0) (-0.1,0.7,0) (0,0,5){' none' if times > 1 else ''}",
        f"kinds: domain domain domain{' list' if times > 1 else ''}", "endian: little",
        f"encoding: {encoding}", "space origin: (11,-7,3.5)", 'space units: "mm" "mm" "mm"',
        "measurement frame: (1,0,0) (0,1,0) (0,0,1)", "DWMRI_b-value:=1000", *more,
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _nrrd(kind: str, encoding: str, voxels: bytes, *more: str, times: int = 1) -> Sample:
    raw = (_nrrd_text(kind, encoding, *more, times=times) + "\n").encode() + voxels
    return Sample("a.nrrd", {"a.nrrd": raw}, "text", len(raw) - len(voxels))


def nrrd() -> list[Sample]:
    twice = np.stack([RAMP, RAMP + 1])
    numbers = " ".join(str(n) for n in RAMP.ravel()).encode()
    return [
        _nrrd("short", "raw", RAMP.tobytes()),
        _nrrd("float", "raw", RAMP.astype("f4").tobytes(), "byte skip: 0"),
        _nrrd("short", "raw", b"one line\n" + RAMP.tobytes(), "line skip: 1", "byte skip: -1"),
        _nrrd("double", "raw", twice.astype("f8").tobytes(), times=2),
        _nrrd("unsigned char", "ascii", numbers),
        _nrrd("int64", "raw", RAMP.astype("i8").tobytes()),
    ]


def nrrd_gz() -> list[Sample]:
    packed = gzip.compress(RAMP.tobytes(), 1, mtime=0)
    skipped = gzip.compress(b"12345" + RAMP.tobytes(), 1, mtime=0)
    floats = gzip.compress(RAMP.astype("f4").tobytes(), 1, mtime=0)
    return [
        _nrrd("short", "gzip", packed),
        _nrrd("float", "gz", floats, "line skip: 0"),
        _nrrd("short", "gzip", skipped, "byte skip: 5"),
        _nrrd("short", "bzip2", bz2.compress(RAMP.tobytes(), 1)),
    ]


def nhdr() -> list[Sample]:
    def detached(files: dict[str, bytes], encoding: str, *more: str) -> Sample:
        text = _nrrd_text("short", encoding, *more).encode()
        return Sample("a.nhdr", {"a.nhdr": text, **files}, "text", len(text))

    slices = {f"b{n}.raw": RAMP[n].tobytes() for n in range(Z)}
    return [
        detached({"b.raw": RAMP.tobytes()}, "raw", "data file: b.raw"),
        detached({"b.gz": gzip.compress(RAMP.tobytes(), 1, mtime=0)}, "gzip", "datafile: ./b.gz"),
        detached(slices, "raw", "data file: b%d.raw 0 2 1 2"),
        detached(slices, "raw", "data file: LIST", *slices),
    ]


def _meta_text(kind: str, data: str, *more: str, times: int = 1) -> str:
    axes = 4 if times > 1 else 3
    matrix = np.eye(axes)
    matrix[:2, :2] = [[0.8, 0.6], [-0.6, 0.8]]
    lines = [
        "ObjectType = Image", f"NDims = {axes}", "BinaryData = True",
        "BinaryDataByteOrderMSB = False", *more,
        f"TransformMatrix = {' '.join(f'{x:g}' for x in matrix.ravel())}",
        f"Offset = 11 -7 3.5{' 0' if times > 1 else ''}", "CenterOfRotation = 0 0 0",
        "AnatomicalOrientation = RAI", f"ElementSpacing = 0.4 0.7 5{' 1' if times > 1 else ''}",
        f"DimSize = {X} {Y} {Z}{f' {times}' if times > 1 else ''}", f"ElementType = {kind}",
        f"ElementDataFile = {data}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def mha() -> list[Sample]:
    def local(kind: str, voxels: bytes, *more: str, times: int = 1) -> Sample:
        text = _meta_text(kind, "LOCAL", *more, times=times).encode()
        return Sample("a.mha", {"a.mha": text + voxels}, "text", len(text))

    packed = zlib.compress(RAMP.tobytes(), 1)
    numbers = " ".join(str(n) for n in RAMP.ravel()).encode()
    wide = RAMP.astype("i8").tobytes()
    return [
        local("MET_SHORT", RAMP.tobytes(), "CompressedData = False"),
        local("MET_SHORT", packed, "CompressedData = True", f"CompressedDataSize = {len(packed)}"),
        local("MET_FLOAT", np.stack([RAMP] * 2).astype("f4").tobytes(), times=2),
        local("MET_UCHAR", numbers, "BinaryData = False"),
        local("MET_LONG_LONG", wide, "HeaderSize = -1", "Modality = MET_MOD_CT"),
    ]  # fmt: skip


def mhd() -> list[Sample]:
    def detached(files: dict[str, bytes], data: str, *more: str) -> Sample:
        text = _meta_text("MET_SHORT", data, *more).encode()
        return Sample("a.mhd", {"a.mhd": text, **files}, "text", len(text))

    slices = {f"b{n}.raw": RAMP[n].tobytes() for n in range(Z)}
    packed = {"b.zraw": zlib.compress(RAMP.tobytes(), 1)}
    return [
        detached({"b.raw": b"12345" + RAMP.tobytes()}, "b.raw", "HeaderSize = 5"),
        detached(packed, "b.zraw", "CompressedData = True"),
        detached(slices, "b%d.raw 0 2 1"),
        detached(slices, "LIST\n" + "\n".join(slices)),
    ]


# --- pictures ------------------------------------------------------------------------------------


def _picture(kind: str) -> np.ndarray:
    return (np.arange(16 * 12).reshape(12, 16) * 5 % 251).astype(kind)


def png() -> list[Sample]:
    from PIL import Image

    samples = []
    for pixels in (_picture("u1"), _picture("u2") * 200):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG", dpi=(300, 300))
        samples.append(Sample("a.png", {"a.png": stream.getvalue()}, "png", 64))
    return samples


def jpeg() -> list[Sample]:
    from PIL import Image

    samples = []
    for options in ({}, {"progressive": True}, {"dpi": (72, 72), "comment": b"a comment"}):
        stream = io.BytesIO()
        Image.fromarray(_picture("u1")).save(stream, "JPEG", **options)
        samples.append(Sample("a.jpg", {"a.jpg": stream.getvalue()}, head=400))
    return samples


def tiff() -> list[Sample]:
    import tifffile
    from PIL import Image

    samples = []
    for kind, options in (
        ("u1", {"compression": None}),
        ("u2", {"compression": "zlib", "resolution": (300, 300)}),
        ("f4", {"compression": None, "rowsperstrip": 4}),
        (">i2", {"compression": None, "byteorder": ">", "bigtiff": True}),
        ("u2", {"compression": None, "tile": (16, 16)}),
    ):
        stream = io.BytesIO()
        tifffile.imwrite(stream, _picture(kind), metadata=None, software=None, **options)
        samples.append(Sample("a.tif", {"a.tif": stream.getvalue()}, head=300))
    for name in ("tiff_lzw", "packbits"):  # codecs that Pillow has
        stream = io.BytesIO()
        Image.fromarray(_picture("u1")).save(stream, "TIFF", compression=name)
        samples.append(Sample("a.tif", {"a.tif": stream.getvalue()}, head=300))
    return samples


def _dicom(what: str) -> Callable[[], list[Sample]]:
    def samples() -> list[Sample]:
        import dicom_corpus  # here: it takes time that other formats need not

        made: list[Sample] = getattr(dicom_corpus, what)()
        return made

    return samples


#: By name, what makes the samples of each format.
FORMATS: dict[str, Callable[[], list[Sample]]] = {
    "dicom": _dicom("native"),
    "dicom-rle": _dicom("rle"),
    "dicom-jpegls": _dicom("jpegls"),
    "dicom-jpeg2000": _dicom("jpeg2000"),
    "dicom-enhanced": _dicom("enhanced"),
    "dicomdir": _dicom("index"),
    "nifti": nifti,
    "nifti-gz": nifti_gz,
    "nifti2": nifti2,
    "nrrd": nrrd,
    "nrrd-gz": nrrd_gz,
    "nhdr": nhdr,
    "mha": mha,
    "mhd": mhd,
    "png": png,
    "tiff": tiff,
    "jpeg": jpeg,
}
