"""MONAI's loaders with this package's reader."""

from __future__ import annotations

from typing import Any

from monai.config import KeysCollection
from monai.transforms import LoadImage, LoadImaged

from meddenoise.io.monai import MeddenoiseReader

__all__ = ["LoadVolume", "LoadVolumed"]


class LoadVolume(LoadImage):
    """A path to a ``MetaTensor`` ``(C, X, Y, Z)``, read as :func:`meddenoise.io.read` does.

    Takes what MONAI's ``LoadImage`` takes, except a reader.
    """

    def __init__(self, **options: Any) -> None:
        options = {"image_only": True, "ensure_channel_first": True, **options}
        super().__init__(reader=MeddenoiseReader(), **options)


class LoadVolumed(LoadImaged):
    """Paths in a dictionary to ``MetaTensor``s ``(C, X, Y, Z)``.

    Takes what MONAI's ``LoadImaged`` takes, except a reader.

    Args:
        keys: the items that hold paths.
    """

    def __init__(self, keys: KeysCollection, **options: Any) -> None:
        options = {"image_only": True, "ensure_channel_first": True, **options}
        super().__init__(keys, reader=MeddenoiseReader(), **options)
