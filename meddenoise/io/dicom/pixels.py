"""A file's pixels: decoded, and cleaned of the bits that are not theirs."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan, FileError
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.parsing import inflated
from meddenoise.io.dicom.values import number, text, uid_name
from meddenoise.io.isolated import CodecError, Codecs
from meddenoise.io.quiet import quiet as libraries_quiet
from meddenoise.io.quiet import stay_quiet

__all__ = ["decode", "is_lossy", "quiet", "syntax_name", "workers"]

_DEFLATED = "1.2.840.10008.1.2.1.99"
_PLAIN = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", _DEFLATED}
_LOSSY = {
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.53",
    "1.2.840.10008.1.2.4.55",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.93",
    "1.2.840.10008.1.2.4.203",
}


def syntax_name(uid: str) -> str:
    """The transfer syntax' name and UID."""
    name = uid_name(uid)
    return uid if name == uid else f"{name} ({uid})"


def is_lossy(file: DicomFile) -> bool:
    """Whether the pixels have been through lossy compression."""
    return text(file.header, "LossyImageCompression") == "01" or file.transfer_syntax in _LOSSY


def workers() -> int:
    """Threads for decoding: codecs run outside the interpreter's lock."""
    return max(1, min(8, os.cpu_count() or 1))


def quiet() -> AbstractContextManager[None]:
    """Nothing from pydicom about odd values; around threads, not inside them."""
    return libraries_quiet("pydicom")


def decode(file: DicomFile, codecs: Codecs | None = None) -> NDArray:
    """All frames of a file as stored, ``(frames, rows, columns)``.

    Compressed pixels are decoded in another process: one of ``codecs``, or one for this call.

    Bits beyond BitsStored are dropped (some writers leave overlays or dirt there) and the sign
    is extended. No rescale, no inversion of MONOCHROME1.

    Raises:
        FileError: an unsupported transfer syntax, or pixels that are damaged or too few.
    """
    header = file.header
    shape = _shape(file)
    pixels = _decoded(file, codecs)
    if pixels.size != math.prod(shape):
        raise DamagedScan(
            f"{file.path}: {shape} pixels are claimed, the file holds {pixels.shape}."
        )
    return _own_bits(pixels.reshape(shape), header)


def _shape(file: DicomFile) -> tuple[int, int, int]:
    return file.frame_count, *file.size


def _decoded(file: DicomFile, codecs: Codecs | None) -> NDArray:
    if file.transfer_syntax in _PLAIN:
        return _plain(file)
    import pydicom
    from pydicom.uid import UID

    syntax = UID(file.transfer_syntax, 0)
    if syntax not in pydicom.uid.AllTransferSyntaxes:
        raise _cannot_decode(file, "not a transfer syntax that is known")
    if syntax == pydicom.uid.ExplicitVRBigEndian:
        return _big_endian(file)
    nbytes = math.prod(_shape(file)) * int(number(file.header, "BitsAllocated") or 0) // 8
    try:
        if codecs is not None:
            return codecs.decode(file.path, str(syntax), nbytes)
        with Codecs() as own:
            return own.decode(file.path, str(syntax), nbytes)
    except CodecError as error:
        if error.kind == "MemoryError":
            raise FileError(
                f"{file.path}: the image does not fit into memory, or is damaged and claims to be "
                "larger than it is."
            ) from error
        if error.kind in ("NotImplementedError", "RuntimeError"):
            raise _cannot_decode(file, str(error)) from error
        raise _damaged(file, error) from error


def _big_endian(file: DicomFile) -> NDArray:
    from pydicom import dcmread
    from pydicom.pixels import pixel_array

    try:
        # From memory: a length in the file cannot ask for more than there is.
        whole = dcmread(BytesIO(file.path.read_bytes()), force=True)
        whole.file_meta = file.header.file_meta
        return np.asarray(pixel_array(whole, raw=True))
    except MemoryError as error:
        raise FileError(f"{file.path}: the image does not fit into memory.") from error
    except Exception as error:  # pydicom raises nearly anything on damaged data
        raise _damaged(file, error) from error


def _damaged(file: DicomFile, error: Exception) -> FileError:
    reason = str(error).strip().rstrip(".") or type(error).__name__
    return DamagedScan(f"{file.path}: the pixels are damaged or missing: {reason}.")


def _plain(file: DicomFile) -> NDArray:
    """Uncompressed little-endian pixels, straight from their place in the file."""
    place = file.pixels
    assert place is not None  # refusal() lets no image without pixels pass
    kind = np.dtype(f"<u{int(number(file.header, 'BitsAllocated') or 0) // 8}")
    count = math.prod(_shape(file))
    nbytes = count * kind.itemsize
    if place.length is None:
        raise DamagedScan(
            f"{file.path} is damaged: its pixels are in fragments, which "
            f"{syntax_name(file.transfer_syntax)} has not."
        )
    try:
        if file.transfer_syntax == _DEFLATED:
            raw = inflated(file.path, place, min(nbytes, place.length))
            found = np.frombuffer(raw, kind, len(raw) // kind.itemsize)
        else:
            found = np.fromfile(file.path, kind, count, offset=place.offset)
    except OSError as error:
        raise FileError(f"{file.path} cannot be read: {error.strerror or error}.") from error
    if found.size < count:
        raise DamagedScan(
            f"{file.path} is truncated or damaged: {count:,} pixels are claimed, it holds "
            f"{found.size:,}."
        )
    return found


def _cannot_decode(file: DicomFile, reason: str) -> FileError:
    return FileError(
        f"{file.path}: pixels in {syntax_name(file.transfer_syntax)} cannot be decoded "
        f"({' '.join(reason.split())[:200]}). Convert the series to an uncompressed or lossless "
        "syntax first."
    )


def _own_bits(pixels: NDArray, header: Any) -> NDArray:
    """BitsStored bits, ending at HighBit, with the sign extended."""
    allocated = int(number(header, "BitsAllocated") or 0)
    bits = int(number(header, "BitsStored") or allocated)
    signed = number(header, "PixelRepresentation") == 1
    kind = np.dtype(f"{'i' if signed else 'u'}{allocated // 8}")
    same = pixels.dtype.isnative and pixels.dtype.itemsize == kind.itemsize
    pixels = pixels.view(kind) if same else pixels.astype(kind)
    shift = shift_of(header)
    if bits == allocated and shift == 0:
        return pixels
    up = allocated - bits - shift
    if signed:
        return (pixels << up) >> (up + shift)
    return (pixels >> shift if shift else pixels) & kind.type(2**bits - 1)


def shift_of(header: Any) -> int:
    """How far the pixel's bits lie above bit 0; 0 in all but historic objects."""
    allocated = int(number(header, "BitsAllocated") or 0)
    bits = int(number(header, "BitsStored") or allocated)
    high = number(header, "HighBit")
    if high is None:
        return 0
    return max(0, min(int(high) + 1 - bits, allocated - bits))


def pool() -> ThreadPoolExecutor:
    """Threads for slices."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="dicom", initializer=stay_quiet)
