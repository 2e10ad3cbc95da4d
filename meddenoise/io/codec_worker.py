"""Decodes compressed pixels in a process of its own: run as a script by ``isolated.py``.

Codecs are C libraries, and files may be damaged or made to break them: here they can end, hang
or fill no other process than this one. It knows nothing of this package, so that it starts fast.

It reads one JSON line for each file from stdin (``path``, ``syntax``, ``memory``) and answers on
what was stdout with a JSON line (``dtype``, ``shape``, or ``error`` and ``message``), which the
pixels follow.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import Any

# The most robust codec of each syntax; where it fails, or is missing, pydicom tries the others.
PREFERRED = {
    "1.2.840.10008.1.2.5": "pylibjpeg",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
}


def decode(request: dict[str, Any]) -> Any:
    """All frames as stored."""
    return _picture(request) if request["syntax"] == "picture" else _dicom(request)


def _picture(request: dict[str, Any]) -> Any:
    """What Pillow makes of a picture, not turned as a TIFF's Orientation asks it to."""
    import numpy as np
    from PIL import Image

    with Image.open(request["path"]) as picture:
        turned = getattr(picture, "tag_v2", {}).get(274)  # once it is loaded, Pillow forgets it
        return np.ascontiguousarray(_as_stored(np.asarray(picture), turned))


def _as_stored(pixels: Any, turned: Any) -> Any:
    """``(rows, columns)`` turned back: Orientation 1 to 8 is undone."""
    if turned in (5, 6, 7, 8):
        pixels = pixels.T
    # What begins on the other side: 2 and 3 to the right, 3 and 4 at the bottom; after the
    # transposition 7 and 8 to the right, 6 and 7 at the bottom.
    if turned in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    return pixels[::-1] if turned in (3, 4, 6, 7) else pixels


def _dicom(request: dict[str, Any]) -> Any:
    import pydicom
    from pydicom.pixels import pixel_array
    from pydicom.uid import UID

    source: Any = request["path"]
    with open(source, "rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            source = pydicom.dcmread(source, force=True)
            source.file_meta.TransferSyntaxUID = UID(request["syntax"])
    first = PREFERRED.get(request["syntax"], "")
    if first:
        try:
            return pixel_array(source, raw=True, decoding_plugin=first)
        except Exception:
            pass  # the next attempt says what is wrong
    return pixel_array(source, raw=True)


def limit_memory(more: int) -> None:
    """Allow ``more`` bytes beyond what is used now; not everywhere is that possible."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as stream:
            used = int(stream.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (used + more, hard))
    except (ImportError, OSError, ValueError):
        return


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # codecs print
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            limit_memory(request["memory"])
            pixels = decode(request)
            head = {"dtype": pixels.dtype.str, "shape": pixels.shape}
            body = memoryview(pixels.reshape(-1)).cast("B") if pixels.size else b""
        except Exception as error:
            head, body = {"error": type(error).__name__, "message": str(error)}, b""
        answers.write(json.dumps(head).encode() + b"\n")
        answers.write(body)
        answers.flush()


if __name__ == "__main__":
    del sys.path[0]  # this directory: no other file in it is meant to be found by its name
    main()
