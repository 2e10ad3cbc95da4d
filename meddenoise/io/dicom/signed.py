"""The headers of a series for values that may be negative where the series' own may not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from meddenoise.io.dicom.copying import copied
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.frames import Frame
from meddenoise.io.dicom.source import DicomSource

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


def signed(source: DicomSource) -> DicomSource:
    """The same series in signed integers of all bits, 16 at least, and without padding.

    Slope and intercept stay, as they may stand in several places and other elements mean them.
    """
    files: dict[Path, DicomFile] = {}
    frames = tuple(tuple(_signed(frame, files) for frame in channel) for channel in source.frames)
    storages = {frame.storage for channel in frames for frame in channel}
    return replace(
        source,
        frames=frames,
        storage=storages.pop() if len(storages) == 1 else None,
        restored={},
        looked_through=True,
    )


def _signed(frame: Frame, files: dict[Path, DicomFile]) -> Frame:
    size = max(2, frame.storage.dtype.itemsize)
    if frame.file.path not in files:  # frames share their file
        files[frame.file.path] = _with_sign(frame.file, 8 * size)
    storage = replace(frame.storage, dtype=np.dtype(f"i{size}"), bits=8 * size)
    return replace(frame, file=files[frame.file.path], storage=storage, padding=None)


def _with_sign(file: DicomFile, bits: int) -> DicomFile:
    header = copied(file.header, keep_private=True)
    header.file_meta = file.header.file_meta
    header.PixelRepresentation = 1
    header.BitsAllocated = header.BitsStored = bits
    header.HighBit = bits - 1
    for keyword in _OF_THE_VALUES:
        if keyword in header:
            del header[keyword]
    return replace(file, header=header)
