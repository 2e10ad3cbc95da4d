"""What stands against writing a volume, as far as it is known before there are voxels to write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from meddenoise.errors import GeometryError, OutputError, ParameterError
from meddenoise.io.formats import RASTER_FORMATS, format_of_name, is_store
from meddenoise.io.named import path_of
from meddenoise.io.source import HeaderSource
from meddenoise.volume import Volume

__all__ = ["Compression", "Derivation", "check_write", "refuse_inputs", "target_format"]

#: What a derived DICOM series says it is.
Derivation = Literal["noise reduction", "noise simulation", "conversion"]
#: Lossless transfer syntaxes that a DICOM series can be written in.
Compression = Literal["rle", "jpegls", "jpeg2000"]


def check_write(
    volume: Volume,
    path: str | os.PathLike[str],
    *,
    like: Volume | None = None,
    dtype: str = "same",
    derivation: Derivation = "noise reduction",
    compress: Compression | None = None,
    deterministic_uids: bool = False,
    keep_private: bool = False,
    allow_irregular: bool = False,
) -> tuple[str, HeaderSource | None]:
    """Raise what :func:`meddenoise.io.write` would of format, options and grid.

    Whoever takes minutes to make the voxels asks before. Arguments and errors are those of
    ``write``, which looks at the place itself as well.

    Returns:
        The format that is written, and the header to use.
    """
    target = path_of(path)
    if dtype not in ("same", "float32"):
        raise ParameterError(f"dtype is 'same' or 'float32', not {dtype!r}.")
    if derivation not in get_args(Derivation):
        known = ", ".join(get_args(Derivation))
        raise ParameterError(f"derivation is one of {known}, not {derivation!r}.")
    if compress not in (None, *get_args(Compression)):
        known = ", ".join(get_args(Compression))
        raise ParameterError(f"compress is one of {known}, or None, not {compress!r}.")
    source = _source(volume, like)
    kind = target_format(target, source)
    refuse_inputs(target, volume, like)
    if kind == "dicom":
        from meddenoise.io.dicom.writing import check_series

        check_series(volume, target, source)
        return kind, source
    _refuse_dicom_options(
        target,
        {
            "compress": compress is not None,
            "deterministic_uids": deterministic_uids,
            "keep_private": keep_private,
        },
    )
    if source is not None and source.irregular and not allow_irregular:
        raise GeometryError(
            f"{source.path} is no regular upright grid ({' '.join(source.irregular)}) and "
            f"{target.name} can hold no other: write it as DICOM, to a path without an extension, "
            "or ask for allow_irregular (--allow-irregular)."
        )
    if kind == "zarr":
        _check_store(target)
    if kind in RASTER_FORMATS:
        from meddenoise.io.raster import check_picture

        check_picture(volume, kind)
    return kind, source


def _check_store(target: Path) -> None:
    """Overwriting replaces a whole directory: only a store, not what is merely called like one."""
    if target.is_dir() and not is_store(target) and any(target.iterdir()):
        raise OutputError(
            f"{target} is a directory that holds something else than a zarr store; a scan is "
            "written only to a new or empty directory, or over an older store."
        )


def _refuse_dicom_options(target: Path, given: dict[str, bool]) -> None:
    asked = [name for name, value in given.items() if value]
    if asked:
        raise ParameterError(
            f"{target}: {' and '.join(asked)} is for DICOM only: leave it out, or write to a path "
            "without an extension."
        )


def _source(volume: Volume, like: Volume | None) -> HeaderSource | None:
    """The header to use; an explicit ``like`` must have the volume's grid."""
    if like is None:
        return volume.source if isinstance(volume.source, HeaderSource) else None
    if volume.shape != like.shape:
        raise GeometryError(
            f"The volume has shape {volume.shape} and the one whose header it should get "
            f"{like.shape}."
        )
    if not np.allclose(volume.affine, like.affine, atol=1e-3 * min(like.spacing)):
        raise GeometryError(
            "The volume and the one whose header it should get lie differently in space: "
            "resample it to that grid first."
        )
    return like.source if isinstance(like.source, HeaderSource) else None


def target_format(target: Path, source: HeaderSource | None) -> str:
    """What is written there.

    Args:
        target: a file, or a directory for a DICOM series.
        source: what the volume was read from.

    Raises:
        OutputError: a format that is not written here, or not of such a volume.
    """
    kind, suffix = format_of_name(target)
    if kind == "jpeg":
        raise OutputError(f"{target}: JPEG loses detail; write .png or .tif instead.")
    if kind == "dicom" or (kind is None and not suffix[1:].isalpha()):
        if source is None or source.format != "dicom":
            raise OutputError(
                f"{target}: a DICOM series can only be derived from one, and this volume was not "
                "read from DICOM. Name a file with an extension: .nii.gz, .nrrd, .mha, .zarr."
            )
        return "dicom"
    if kind is None:
        raise OutputError(
            f"{target}: {suffix!r} is no format that is written here. Use .nii, .nii.gz, .nrrd, "
            ".mha, .zarr, .png or .tif, or no extension for a DICOM series."
        )
    if suffix in (".nhdr", ".mhd"):
        whole = {".nhdr": ".nrrd", ".mhd": ".mha"}[suffix]
        raise OutputError(
            f"{target}: header and voxels in two files cannot be replaced in one step; "
            f"write {whole} instead."
        )
    return kind


def refuse_inputs(target: Path, volume: Volume, like: Volume | None) -> None:
    """What was read is never written to, even when asked to overwrite."""
    for origin in (volume.source, like.source if like is not None else None):
        if not isinstance(origin, HeaderSource):
            continue
        for path in (origin.path, *origin.files):
            if _same_place(target, path):
                raise OutputError(f"{target} is the input; write to another place.")
            if target.is_dir() and target.resolve() in path.resolve().parents:
                raise OutputError(f"{target} holds the input {path.name}; write to another place.")


def _same_place(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.abspath(one) == os.path.abspath(other)
