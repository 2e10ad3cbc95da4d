"""The same reader and writer for MONAI's ``LoadImage(d)`` and ``SaveImage(d)``.

    LoadImaged("image", reader=MeddenoiseReader())
    SaveImaged("image", writer=MeddenoiseWriter, output_ext="")       # derived DICOM series
    SaveImaged("image", writer=MeddenoiseWriter, output_ext=".nii.gz")

The source's header travels in the meta dictionary under ``"meddenoise"``, through collation and
worker processes, so that what comes out of a pipeline is written back with the header it came
with. Importing this module imports MONAI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import ImageReader, ImageWriter
from monai.utils import MetaKeys, SpaceKeys
from numpy.typing import NDArray

from meddenoise.errors import FileError, GeometryError
from meddenoise.io.formats import sniff
from meddenoise.io.orientation import back_on_grid
from meddenoise.io.reading import read
from meddenoise.io.source import HeaderSource
from meddenoise.io.writing import Derivation, write
from meddenoise.volume import Volume

__all__ = ["HEADER_KEY", "MeddenoiseReader", "MeddenoiseWriter"]

#: Where the source's header is kept in MONAI's meta dictionary.
HEADER_KEY = "meddenoise"


class _Header(str):
    """A header that MONAI takes for a string: collated into a list, never copied or changed."""

    volume_fields: dict[str, Any]
    source: HeaderSource | None

    def __new__(cls, source: HeaderSource | None, fields: dict[str, Any]) -> _Header:
        self = super().__new__(cls, source.format if source is not None else "array")
        self.source = source
        self.volume_fields = fields
        return self

    def __copy__(self) -> _Header:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Header:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _Header, (self.source, self.volume_fields)


class MeddenoiseReader(ImageReader):
    """MONAI's reader for every format of :func:`meddenoise.io.read`.

    Arrays are channel first, ``(C, X, Y, Z)`` or ``(C, X, Y)``, with the RAS+ mm affine.

    Args:
        series: which DICOM series where a directory holds several.
    """

    def __init__(self, series: str | None = None, **_: Any) -> None:
        super().__init__()
        self.series = series

    def verify_suffix(self, filename: Sequence[str | PathLike[str]] | str | PathLike[str]) -> bool:
        """Whether we read this: by content; a directory may hold DICOM."""
        paths = [filename] if isinstance(filename, (str, PathLike)) else list(filename)
        return all(Path(p).is_dir() or (Path(p).is_file() and sniff(Path(p))) for p in paths)

    def read(
        self, data: Sequence[str | PathLike[str]] | str | PathLike[str], **_: Any
    ) -> Volume | list[Volume]:
        """Read one scan, or several on the same grid that become channels."""
        paths = [data] if isinstance(data, (str, PathLike)) else list(data)
        volumes = [read(path, series=self.series) for path in paths]
        return volumes[0] if len(volumes) == 1 else volumes

    def get_data(self, img: Volume | Sequence[Volume]) -> tuple[NDArray, dict[str, Any]]:
        """The array, channels first, and the meta dictionary that MONAI expects.

        Raises:
            GeometryError: several scans that do not share a grid.
        """
        volumes = [img] if isinstance(img, Volume) else list(img)
        if not volumes:
            raise FileError("There is no scan to take data from.")
        first = volumes[0]
        for number, other in enumerate(volumes[1:], 2):
            if other.shape != first.shape or not np.allclose(other.affine, first.affine, atol=1e-3):
                raise GeometryError(
                    f"Scans 1 and {number} do not share a grid, so they cannot be channels of one "
                    "image: resample one of them first."
                )
        arrays = [volume.array for volume in volumes]
        array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        source = first.source if isinstance(first.source, HeaderSource) else None
        alone = len(volumes) == 1
        fields = {
            "units": first.units,
            "modality": first.modality,
            "padding": first.padding if alone else None,
            "history": first.history,
        }
        meta: dict[str, Any] = {
            MetaKeys.AFFINE: first.affine.copy(),
            MetaKeys.ORIGINAL_AFFINE: first.affine.copy(),
            MetaKeys.SPATIAL_SHAPE: np.array(first.shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM: 0,
            MetaKeys.SPACE: SpaceKeys.RAS,
            HEADER_KEY: _Header(source if alone else None, fields),
        }
        return np.ascontiguousarray(array), meta


class MeddenoiseWriter(ImageWriter):
    """MONAI's writer for every format of :func:`meddenoise.io.write`.

    The name's extension decides on the format, none (``output_ext=""``) on a derived DICOM
    series. Flips and changes of axes, such as ``Orientationd`` makes, are undone, so that the
    voxels lie again where the source's header says.

    Args:
        dtype: as for :func:`meddenoise.io.write`; ``functools.partial(MeddenoiseWriter,
            dtype="float32")`` makes a writer of floats. ``SaveImage``'s ``output_dtype`` is
            float32 unless told otherwise, which says nothing about the source, and is not used.
        derivation: what a derived DICOM series says was done.
    """

    def __init__(
        self, dtype: str = "same", derivation: Derivation = "noise reduction", **kwargs: Any
    ) -> None:
        self.array: NDArray | None = None
        self.meta: Mapping[str, Any] = {}
        self.dtype = dtype
        self.derivation = derivation
        super().__init__(**kwargs)

    def set_data_array(self, data_array: Any, channel_dim: int | None = 0, **_: Any) -> None:
        """Take a tensor or array; ``channel_dim`` ``None`` means that there is no channel axis."""
        array = data_array.detach().cpu().numpy() if hasattr(data_array, "detach") else data_array
        array = np.asarray(array)
        array = array[None] if channel_dim is None else np.moveaxis(array, channel_dim, 0)
        if array.dtype not in (np.float32, np.float64):
            array = array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
        self.array = array

    def set_metadata(self, meta_dict: Mapping[str, Any] | None, **_: Any) -> None:
        """Take the meta dictionary; resampling is a transform's task (``Invertd``), not ours."""
        self.meta = dict(meta_dict or {})

    def write(self, filename: str | PathLike[str], verbose: bool = True, **_: Any) -> None:
        """Write to ``filename``; replaces what an earlier run of the pipeline has written.

        Raises:
            GeometryError: the array lies no longer on the grid of the source's header, and the
                format (DICOM) needs it to.
            OutputError: see :func:`meddenoise.io.write`.
        """
        super().write(filename, verbose=verbose)
        write(
            self.volume(),
            filename,
            overwrite=True,
            dtype=self.dtype,
            derivation=self.derivation,
        )

    def volume(self) -> Volume:
        """What will be written."""
        if self.array is None:
            raise FileError("There are no voxels to write: call set_data_array first.")
        affine = self.meta.get(MetaKeys.AFFINE)
        affine = np.eye(4) if affine is None else np.asarray(affine, dtype=np.float64)
        header = self.meta.get(HEADER_KEY)
        if not isinstance(header, _Header) or header.source is None:
            return Volume(self.array, affine)
        array, affine = back_on_grid(self.array, affine, header.source.affine, header.source.shape)
        fields = dict(header.volume_fields)
        if fields["padding"] is not None and fields["padding"].shape != array.shape:
            fields["padding"] = None
        return Volume(array, affine, source=header.source, **fields)
