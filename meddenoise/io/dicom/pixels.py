"""A file's pixels: decoded, and cleaned of the bits that are not theirs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import FileError
from meddenoise.io.dicom.files import DicomFile

__all__ = ["decode", "is_lossy", "quiet", "syntax_name", "workers"]

_DEFLATED = "1.2.840.10008.1.2.1.99"
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
    from pydicom.uid import UID

    name = UID(uid).name
    return uid if name == uid else f"{name} ({uid})"


def is_lossy(file: DicomFile) -> bool:
    """Whether the pixels have been through lossy compression."""
    said = str(file.header.get("LossyImageCompression") or "").strip() == "01"
    return said or file.transfer_syntax in _LOSSY


def workers() -> int:
    """Threads for decoding: codecs run outside the interpreter's lock."""
    return max(1, min(8, os.cpu_count() or 1))


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings from pydicom about odd values; around threads, not inside them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decode(file: DicomFile) -> NDArray:
    """All frames of a file as stored, ``(frames, rows, columns)``.

    Bits beyond BitsStored are dropped (some writers leave overlays or dirt there) and the sign
    is extended. No rescale, no inversion of MONOCHROME1.

    Raises:
        FileError: an unsupported transfer syntax, or pixels that are damaged or too few.
    """
    header = file.header
    shape = (file.frame_count, int(header.Rows), int(header.Columns))
    pixels = _decoded(file)
    if pixels.size != np.prod(shape):
        raise FileError(f"{file.path}: {shape} pixels are claimed, the file holds {pixels.shape}.")
    return _own_bits(pixels.reshape(shape), header)


def _decoded(file: DicomFile) -> NDArray:
    import pydicom
    from pydicom.pixels import pixel_array
    from pydicom.uid import UID

    if UID(file.transfer_syntax) not in pydicom.uid.AllTransferSyntaxes:
        raise _cannot_decode(file, ValueError("not a transfer syntax that is known"))

    try:
        if file.transfer_syntax == _DEFLATED or not _has_preamble(file):
            whole = pydicom.dcmread(file.path, force=True)
            whole.file_meta = file.header.file_meta
            return pixel_array(whole, raw=True)
        return pixel_array(file.path, raw=True)
    except MemoryError as error:
        raise FileError(f"{file.path}: the image does not fit into memory.") from error
    except (NotImplementedError, RuntimeError) as error:
        raise _cannot_decode(file, error) from error
    except Exception as error:  # pydicom and its codecs raise nearly anything on damaged data
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise FileError(f"{file.path}: the pixels are damaged or missing: {reason}.") from error


def _cannot_decode(file: DicomFile, error: Exception) -> FileError:
    reason = " ".join(str(error).split())
    return FileError(
        f"{file.path}: pixels in {syntax_name(file.transfer_syntax)} cannot be decoded "
        f"({reason[:200]}). Convert the series to an uncompressed or lossless syntax first."
    )


def _has_preamble(file: DicomFile) -> bool:
    return getattr(file.header, "preamble", None) is not None


def _own_bits(pixels: NDArray, header: Any) -> NDArray:
    """BitsStored bits, ending at HighBit, with the sign extended."""
    allocated = int(header.BitsAllocated)
    bits = int(header.get("BitsStored") or allocated)
    signed = int(header.get("PixelRepresentation") or 0) == 1
    kind = np.dtype(f"{'i' if signed else 'u'}{allocated // 8}")
    pixels = pixels.astype(kind, copy=False)
    shift = shift_of(header)
    if bits == allocated and shift == 0:
        return pixels
    up = allocated - bits - shift
    if signed:
        return (pixels << up) >> (up + shift)
    return (pixels >> shift) & kind.type(2**bits - 1)


def shift_of(header: Any) -> int:
    """How far the pixel's bits lie above bit 0; 0 in all but historic objects."""
    bits = int(header.get("BitsStored") or header.BitsAllocated)
    high = header.get("HighBit")
    if high in (None, ""):
        return 0
    return max(0, min(int(high) + 1 - bits, int(header.BitsAllocated) - bits))


def pool() -> ThreadPoolExecutor:
    """Threads for slices."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="dicom")
