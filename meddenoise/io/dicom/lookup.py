"""Attributes of a frame: in its functional groups, in those that all frames share, or on top."""

from __future__ import annotations

from typing import Any

import numpy as np

from meddenoise.errors import DamagedScan
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.values import DamagedElement, items, number, numbers, texts, value

__all__ = ["Lookup"]


class Lookup:
    """Attributes of one frame after another of a file."""

    def __init__(self, file: DicomFile) -> None:
        self.file = file
        self.header = file.header
        shared = items(file.header, "SharedFunctionalGroupsSequence")
        self._per_frame = items(file.header, "PerFrameFunctionalGroupsSequence")
        self._shared = _macros(shared[0]) if shared else []
        self._groups = self._shared

    def at(self, index: int) -> Lookup:
        """Look at frame ``index``, from 0, from now on."""
        if index < len(self._per_frame):
            self._groups = _macros(self._per_frame[index]) + self._shared
        return self

    @property
    def enhanced(self) -> bool:
        """Whether there are functional groups."""
        return bool(self._groups)

    def _holder(self, keyword: str) -> Any:
        """The data set that has a value: a macro of the frame, one that is shared, or the top."""
        for macro in self._groups:
            if value(macro, keyword) is not None:
                return macro
        return self.header

    def number(self, keyword: str) -> float | None:
        """The first value as a number, or ``None``."""
        return number(self._holder(keyword), keyword)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values as text."""
        return texts(self._holder(keyword), keyword)

    def numbers(self, keyword: str, count: int) -> np.ndarray | None:
        """``count`` finite numbers, or ``None`` if absent.

        Raises:
            FileError: a wrong count, or no numbers.
        """
        try:
            found = numbers(self._holder(keyword), keyword)
        except (TypeError, ValueError) as error:
            raise DamagedScan(f"{self.file.path}: {keyword} holds no numbers ({error}).") from error
        if found is None:
            return None
        array = np.array(found)
        if len(found) != count or not np.isfinite(array).all():
            raise DamagedScan(
                f"{self.file.path}: {keyword} is {found}, not {count} finite numbers."
            )
        return array


def _macros(group: Any) -> list[Any]:
    """The standard macros in a functional group; private ones mean what their maker pleases.

    Raises:
        DamagedElement: there is one whose bytes are no data sets.
    """
    try:
        return [
            element.value[0]
            for element in group
            if element.VR == "SQ"
            and element.value
            and not element.tag.is_private
            and element.tag.group > 2  # lower ones are not part of a data set, nor written again
        ]
    except Exception as error:  # pydicom raises nearly anything on damaged data
        raise DamagedElement(f"a functional group makes no sense ({error})") from error
