"""MONAI's loaders with this package's reader."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from os import PathLike
from typing import Any

from monai.config import KeysCollection
from monai.data import ImageReader
from monai.transforms import LoadImage, LoadImaged

from meddenoise.io.monai import MeddenoiseReader

__all__ = ["LoadVolume", "LoadVolumed"]


class LoadVolume(LoadImage):
    """A path to a ``MetaTensor`` ``(C, X, Y, Z)``, read as :func:`meddenoise.io.read` does.

    Takes what MONAI's ``LoadImage`` takes, except a reader.

    Raises:
        MeddenoiseError: when called, as :func:`meddenoise.io.read`.
    """

    def __init__(self, **options: Any) -> None:
        options = {"image_only": True, "ensure_channel_first": True, **options}
        super().__init__(reader=MeddenoiseReader(), **options)

    def __call__(
        self,
        filename: Sequence[str | PathLike[str]] | str | PathLike[str],
        reader: ImageReader | None = None,
    ) -> Any:
        """Load a scan, or several on one grid that become channels."""
        # Of a reader named here MONAI lets errors through; else it asks for other readers.
        return super().__call__(filename, reader or self.readers[-1])


class LoadVolumed(LoadImaged):
    """Paths in a dictionary to ``MetaTensor``s ``(C, X, Y, Z)``.

    Takes what MONAI's ``LoadImaged`` takes, except a reader.

    Args:
        keys: the items that hold paths.

    Raises:
        MeddenoiseError: when called, as :func:`meddenoise.io.read`.
    """

    def __init__(self, keys: KeysCollection, **options: Any) -> None:
        options = {"image_only": True, "ensure_channel_first": True, **options}
        super().__init__(keys, reader=MeddenoiseReader(), **options)

    def __call__(
        self, data: Mapping[Hashable, Any], reader: ImageReader | None = None
    ) -> dict[Hashable, Any]:
        """Load what the items name."""
        found: dict[Hashable, Any] = super().__call__(data, reader or self._loader.readers[-1])
        return found
