"""A data set to bytes: what was not touched as it was read, the rest through pydicom.

Most elements of a derived header are the source's, unread and unchanged. Their bytes are copied,
which is several times faster than interpreting them and spelling them out again.
"""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import MissingDependency, OutputError, ParameterError

__all__ = ["COMPRESSIONS", "save", "set_pixels"]

#: What ``compress`` may be, and the transfer syntax that it stands for; all are lossless.
COMPRESSIONS = {
    "rle": "1.2.840.10008.1.2.5",
    "jpegls": "1.2.840.10008.1.2.4.80",
    "jpeg2000": "1.2.840.10008.1.2.4.90",
}
# GDCM, which pydicom would prefer, ends the whole process on sizes that it does not like.
_ENCODERS = {"rle": "pylibjpeg", "jpegls": "pyjpegls", "jpeg2000": "pylibjpeg"}
_LONG_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
_UNDEFINED = 0xFFFFFFFF


def set_pixels(header: Any, stored: NDArray, compress: str | None) -> None:
    """Put ``(frames, rows, columns)`` into a header whose other elements describe them.

    Raises:
        OutputError: the codec cannot hold these pixels without loss.
    """
    header.pop(0x7FE00010, None)
    raw = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("<")).tobytes()
    vr = "OW" if stored.dtype.itemsize > 1 else "OB"
    header.add_new(0x7FE00010, vr, raw + b"\0" * (len(raw) % 2))
    if compress is not None:
        _compress(header, stored, compress)


def _compress(header: Any, stored: NDArray, compress: str) -> None:
    from pydicom.pixels import pixel_array
    from pydicom.uid import UID

    if compress not in COMPRESSIONS:
        raise ParameterError(f"compress is one of {', '.join(COMPRESSIONS)}, not {compress!r}.")
    try:
        header.compress(
            UID(COMPRESSIONS[compress]),
            encoding_plugin=_ENCODERS[compress],
            generate_instance_uid=False,
        )
        again = pixel_array(header, raw=True, decoding_plugin=_ENCODERS[compress])
    except (ImportError, RuntimeError) as error:
        if "missing" in str(error) and "dependenc" in str(error):
            raise MissingDependency(
                f"There is no codec for compress={compress!r}: {' '.join(str(error).split())}"
            ) from error
        raise _cannot_compress(compress, stored, str(error)) from error
    except (ValueError, TypeError, NotImplementedError, AttributeError) as error:
        raise _cannot_compress(compress, stored, str(error)) from error
    if not np.array_equal(np.asarray(again).reshape(stored.shape), stored):
        raise _cannot_compress(compress, stored, "they do not come back as they were")


def _cannot_compress(compress: str, stored: NDArray, reason: str) -> OutputError:
    reason = " ".join(reason.split())[:200].rstrip(".")
    return OutputError(
        f"{stored.dtype} pixels cannot be compressed as {compress!r} ({reason}): choose another "
        "compression or none."
    )


def save(dataset: Any, path: Path) -> None:
    """Write a file: preamble, file meta information and data set, in explicit little endian.

    Raises:
        OutputError: the header holds values that DICOM cannot.
    """
    from pydicom.errors import BytesLengthException
    from pydicom.filewriter import write_file_meta_info

    stream = BytesIO()
    stream.write(b"\0" * 128 + b"DICM")
    try:
        write_file_meta_info(stream, dataset.file_meta, enforce_standard=True)
        _write_elements(stream, dataset)
    except (
        ValueError, TypeError, AttributeError, NotImplementedError, KeyError, IndexError, EOFError,
        OSError, OverflowError, struct.error, BytesLengthException,
    ) as error:  # fmt: skip
        reason = str(error).split("\n")[0]  # after it, pydicom quotes the element
        raise OutputError(
            f"{path.name}: the source's header cannot be written again ({reason})."
        ) from error
    with open(path, "wb") as file:
        file.write(stream.getbuffer())


def _write_elements(stream: BytesIO, dataset: Any) -> None:
    from pydicom.charset import convert_encodings
    from pydicom.filebase import DicomIO
    from pydicom.filewriter import correct_ambiguous_vr, write_data_element

    plain = dataset.original_encoding == (False, True)
    if not plain:
        dataset = correct_ambiguous_vr(dataset, True)
    encodings = convert_encodings(dataset.get("SpecificCharacterSet", "ISO_IR 6"))
    target = DicomIO(stream)
    target.is_little_endian, target.is_implicit_VR = True, False
    for tag, element in sorted(dataset.items()):
        if plain and element.is_raw and _is_whole(element):
            stream.write(_start(tag, element.VR, len(element.value or b"")))
            stream.write(element.value or b"")
        elif tag == 0x7FE00010 and not element.is_undefined_length:
            stream.write(_start(tag, element.VR, len(element.value)))
            stream.write(element.value)
        else:
            if element.is_raw:
                element = dataset[tag]
            write_data_element(target, element, encodings)


def _is_whole(element: Any) -> bool:
    """Whether an unread element's bytes can be copied: a known type, an even defined length."""
    vr, length = element.VR, len(element.value or b"")
    if vr is None or vr in ("SQ", "UN") or not element.is_little_endian:
        return False
    return (
        length % 2 == 0 and element.length != _UNDEFINED and (vr in _LONG_VRS or length < 0x10000)
    )


def _start(tag: int, vr: str, length: int) -> bytes:
    """Tag, VR and length in explicit little endian (PS3.5 7.1.2)."""
    group, element = tag >> 16, tag & 0xFFFF
    if vr in _LONG_VRS:
        return struct.pack("<HH2sHL", group, element, vr.encode(), 0, length)
    return struct.pack("<HH2sH", group, element, vr.encode(), length)
