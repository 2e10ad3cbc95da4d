"""The headers of a series for values that may be negative where the series' own may not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from meddenoise.io.dicom.copying import copied
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.frames import Frame
from meddenoise.io.dicom.source import DicomSource
from meddenoise.io.storage import Storage

__all__ = ["signed"]

# They speak of the values that there were: what is padding, and what is dark and bright.
_OF_THE_VALUES = (
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "WindowCenter",
    "WindowWidth",
    "WindowCenterWidthExplanation",
    "VOILUTFunction",
    "VOILUTSequence",
)

# Stored steps below 0.
_ROOM = 2**14


def signed(source: DicomSource) -> DicomSource:
    """The same series in signed integers of all bits, 16 at least, and without padding.

    Slope and intercept stay, as they may stand in several places and other elements mean them.
    Where they give what is stored many steps below 0 already, it stays as it is: signed integers
    would have less room above. Other frames of the same files are not kept.
    """
    roomy = all(_has_room(frame.storage) for channel in source.frames for frame in channel)
    files: dict[Path, DicomFile] = {}
    frames = tuple(
        tuple(_without_padding(frame, files, sign=not roomy) for frame in channel)
        for channel in source.frames
    )
    storages = {frame.storage for channel in frames for frame in channel}
    return replace(
        source,
        frames=frames,
        storage=storages.pop() if len(storages) == 1 else None,
        restored={},
        looked_through=True,
        alone=True,
    )


def _has_room(storage: Storage) -> bool:
    """Whether a quarter of all 16 bits, or more, lies below a physical 0."""
    return storage.dtype.kind == "u" and -storage.intercept / storage.slope >= _ROOM


def _without_padding(frame: Frame, files: dict[Path, DicomFile], *, sign: bool) -> Frame:
    size = max(2, frame.storage.dtype.itemsize)
    bits = 8 * size if sign else None
    if frame.file.path not in files:  # frames share their file
        files[frame.file.path] = _changed(frame.file, bits)
    storage = frame.storage
    if sign:
        storage = replace(storage, dtype=np.dtype(f"i{size}"), bits=bits)
    return replace(frame, file=files[frame.file.path], storage=storage, padding=None)


def _changed(file: DicomFile, bits: int | None) -> DicomFile:
    """With a header for so many bits with a sign, or of the same as before."""
    header = copied(file.header, keep_private=True)
    header.file_meta = file.header.file_meta
    if bits is not None:
        header.PixelRepresentation = 1
        header.BitsAllocated = header.BitsStored = bits
        header.HighBit = bits - 1
    _forget(header)
    return replace(file, header=header)


def _forget(header: Any) -> None:
    """What is said of the values, of single frames too."""
    for keyword in _OF_THE_VALUES:
        if keyword in header:
            del header[keyword]
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in header.get(name) or ():
            if "FrameVOILUTSequence" in group:
                del group.FrameVOILUTSequence
