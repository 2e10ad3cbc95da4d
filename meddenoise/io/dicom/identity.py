"""Unique identifiers of what is derived: random, or the same for the same work on the same data."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from numpy.typing import NDArray

from meddenoise.io.dicom.files import DicomFile

__all__ = ["Identity"]

_NAMESPACE = uuid.UUID("8f16ab2b-7a5c-4d0e-9d5c-3a1f6f0b6c11")


@dataclass(frozen=True)
class Identity:
    """Hands out UIDs of the form ``2.25.`` and a UUID as an integer (PS3.5 B.2).

    Attributes:
        work: what was done to what: the source series, the derivation and its history. The same
            work gives the same UIDs; ``None``: they are random.
    """

    work: tuple[str, ...] | None = None

    def series(self) -> str:
        """For the series."""
        return self._uid("series")

    def study(self) -> str:
        """For the study of a source that has none."""
        return self._uid("study")

    def instance(self, file: DicomFile, stored: NDArray) -> str:
        """For one instance; other pixels make another, whatever the history says."""
        return self._uid("instance", file.instance or file.path.name, *file.place, stored=stored)

    def _uid(self, level: str, *of: str, stored: NDArray | None = None) -> str:
        if self.work is None:
            return f"2.25.{uuid.uuid4().int}"
        parts = "\0".join([level, *of, *self.work]).encode("utf-8", "surrogateescape")
        pixels = b"" if stored is None else stored.tobytes()
        # As RFC 4122 makes a name-based UUID, with bytes for the name.
        return f"2.25.{_name_based(parts + bytes(1) + pixels).int}"


def _name_based(name: bytes) -> uuid.UUID:
    from hashlib import sha1

    digest = sha1(_NAMESPACE.bytes + name, usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)
