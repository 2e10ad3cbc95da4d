"""ORIGINAL, DERIVED or MIXED: value 1 of ImageType, and of each frame's FrameType."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from copy import deepcopy
from typing import Any

__all__ = ["set_image_types"]


def set_image_types(header: Any, derived: Collection[int]) -> None:
    """Value 1 says DERIVED for the frames that were derived; the other values stay.

    Where frames of an enhanced object were left as they are, these keep what they say, and
    ImageType is MIXED if the frames differ (PS3.3 C.8.16.1.1).

    Args:
        header: of an image, to be changed.
        derived: indices of frames, from 0.
    """
    header.ImageType = _with_first("DERIVED", header.get("ImageType"))
    shared = next(iter(header.get("SharedFunctionalGroupsSequence") or ()), None)
    per_frame = list(header.get("PerFrameFunctionalGroupsSequence") or ())
    if len(derived) < len(per_frame):
        _unshare(shared, per_frame)
    groups = [group for index, group in enumerate(per_frame) if index in derived]
    if shared is not None:
        groups.append(shared)
    for group in groups:
        for macro in _macros_with_type(group):
            macro.FrameType = _with_first("DERIVED", macro.FrameType)
    said = {macro.FrameType[0] for group in per_frame for macro in _macros_with_type(group)}
    if said - {"DERIVED"}:
        header.ImageType = _with_first("MIXED", header.ImageType)


def _with_first(word: str, image_type: Any) -> list[str]:
    words = [image_type] if isinstance(image_type, str) else list(image_type or ())
    return [word, *(words[1:] or ["PRIMARY"])]


def _macros_with_type(group: Any) -> Iterator[Any]:
    for element in group:
        if element.VR == "SQ" and element.value and "FrameType" in element.value[0]:
            yield element.value[0]


def _unshare(shared: Any, per_frame: list[Any]) -> None:
    """Give each frame the frame type that all had in common, to be changed in some."""
    for element in list(shared or ()):
        if element.VR == "SQ" and element.value and "FrameType" in element.value[0]:
            for group in per_frame:
                group[element.tag] = deepcopy(element)
            del shared[element.tag]
