"""What came of writing a scan."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ClippingWarning", "WriteReport"]


class ClippingWarning(UserWarning):
    """Some voxels lay beyond what the file's integers can hold and were clipped."""


@dataclass(frozen=True)
class WriteReport:
    """What was written.

    Attributes:
        path: the file, or the directory of a DICOM series.
        format: the format's name.
        dtype: the stored type, for example ``"int16"``.
        voxels: how many were written.
        clipped: how many of them lay beyond what the stored type can hold.
        files: every file made.
        notes: what else the user should know.
    """

    path: Path
    format: str
    dtype: str
    voxels: int
    clipped: int
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def warn_if_clipped(self) -> None:
        """A :class:`ClippingWarning` of whoever called the caller, if a voxel was clipped."""
        if self.clipped:
            warnings.warn(
                f"{self.path}: {self.clipped:,} of {self.voxels:,} voxels lay beyond what "
                f"{self.dtype} holds and were clipped.",
                ClippingWarning,
                stacklevel=3,
            )
