"""Values of a data set, read without converting its elements.

pydicom turns an element into Python objects when it is looked at, which takes longer than all
else in reading a series, and writes it again from those objects. The few values that every file
is asked for are taken from the bytes here, which stay as they are. What is not plain (another
character set, an implicit VR) is left to pydicom.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from meddenoise.errors import DamagedScan

__all__ = [
    "DamagedElement",
    "blaming",
    "items",
    "number",
    "numbers",
    "tag_of",
    "text",
    "texts",
    "uid_name",
    "value",
]

_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_TEXT = {"CS", "LO", "SH", "UI", "DA", "TM", "DT"}
_DECIMAL = {"DS", "IS"}


class DamagedElement(ValueError):
    """An element whose bytes are no value."""


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Damaged elements that come up in the block become an error that names the file.

    Raises:
        FileError: says which element.
    """
    try:
        yield
    except DamagedElement as error:
        raise DamagedScan(f"{path} is damaged DICOM: {error}.") from error


@lru_cache(maxsize=512)
def tag_of(keyword: str) -> Any:
    """The tag of a standard keyword."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import BaseTag

    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(f"{keyword} is no DICOM keyword")
    return BaseTag(tag)


def value(header: Any, keyword: str) -> Any:
    """A value, or ``None`` where the element is absent or empty: text, number, or a list."""
    try:
        element = header.get_item(tag_of(keyword))
        if element is None:
            return None
        found = _from_bytes(element) if element.is_raw else None
        if found is None:
            found = header[tag_of(keyword)].value
    except Exception as error:  # pydicom raises nearly anything on damaged data
        raise DamagedElement(f"{keyword} makes no sense ({error})") from error
    if found is None or (hasattr(found, "__len__") and len(found) == 0):
        return None
    return found


def items(header: Any, keyword: str) -> list[Any]:
    """The data sets in a sequence; none where it is absent or empty.

    Raises:
        DamagedElement: what stands there is no sequence.
    """
    found = value(header, keyword)
    if found is None:
        return []
    if isinstance(found, (str, bytes)) or not all(hasattr(one, "get_item") for one in found):
        raise DamagedElement(f"{keyword} is no sequence")
    return list(found)


def _from_bytes(element: Any) -> Any:
    """A value from raw bytes; ``None`` for what pydicom has to convert."""
    raw, vr = element.value, element.VR or _vr_of(element.tag)
    if not raw:
        return ""
    if vr in _BINARY:
        kind = _BINARY[vr]
        order = "<" if element.is_little_endian else ">"
        count, rest = divmod(len(raw), struct.calcsize(kind))
        if rest or not count:
            return None
        found = struct.unpack(f"{order}{count}{kind}", raw)
        return found[0] if count == 1 else list(found)
    if vr not in _TEXT and vr not in _DECIMAL:
        return None
    if not raw.isascii():
        return None
    words = [word.strip(" \0") for word in raw.decode("ascii").split("\\")]
    if vr in _DECIMAL:
        try:
            figures = [_figure(word, vr) for word in words]
        except ValueError:
            return None
        return figures[0] if len(figures) == 1 else figures
    return words[0] if len(words) == 1 else words


def _figure(word: str, vr: str) -> float:
    found = float(word)
    return int(found) if vr == "IS" and found.is_integer() else found


@lru_cache(maxsize=512)
def _vr_of(tag: int) -> str:
    """The value representation of a standard tag: an implicit VR."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    return str(dictionary_VR(tag)) if dictionary_has_tag(tag) else ""


def uid_name(uid: str) -> str:
    """What DICOM calls a UID; the UID itself where it is none of DICOM's, or no UID at all."""
    from pydicom.uid import UID

    return str(UID(uid, 0).name)  # 0: no word about what a damaged file has in its place


def text(header: Any, keyword: str) -> str:
    """The first value as text, stripped; ``""`` where there is none."""
    found = texts(header, keyword)
    return found[0] if found else ""


def texts(header: Any, keyword: str) -> tuple[str, ...]:
    """All values as text, stripped."""
    found = value(header, keyword)
    if found is None:
        return ()
    if isinstance(found, str) or not hasattr(found, "__iter__"):
        return (str(found).strip(),)
    return tuple(str(word).strip() for word in found)


def numbers(header: Any, keyword: str) -> list[float] | None:
    """All values as numbers; ``None`` where there is none.

    Raises:
        ValueError, TypeError: they are no numbers.
    """
    found = value(header, keyword)
    if found is None:
        return None
    if isinstance(found, str) or not hasattr(found, "__iter__"):
        return [float(found)]
    return [float(one) for one in found]


def number(header: Any, keyword: str) -> float | None:
    """The first value as a number; ``None`` where there is none or it is no number."""
    try:
        found = numbers(header, keyword)
    except DamagedElement:
        raise
    except (TypeError, ValueError):
        return None
    return found[0] if found else None
