"""A DICOM series to a Volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import FileError
from meddenoise.io.dicom.dicomdir import indexed_files, is_index
from meddenoise.io.dicom.files import DicomFile, open_files, open_header
from meddenoise.io.dicom.frames import Frame
from meddenoise.io.dicom.geometry import UNSIZED, grid_of
from meddenoise.io.dicom.grouping import Stack, choose, stacks_of
from meddenoise.io.dicom.kinds import refusal
from meddenoise.io.dicom.lookup import Lookup
from meddenoise.io.dicom.padding import padding_of
from meddenoise.io.dicom.pixels import decode, is_lossy, pool, quiet
from meddenoise.io.dicom.source import DicomSource
from meddenoise.io.dicom.values import blaming, text, value
from meddenoise.io.formats import dicom_among, sniff
from meddenoise.io.isolated import Codecs
from meddenoise.io.plane_scan import headed
from meddenoise.io.source import make_volume
from meddenoise.volume import Volume

__all__ = ["read_series", "read_series_of", "series_head", "stack_of", "stack_with"]


def read_series(paths: list[Path], place: Path, *, series: str | None) -> Volume:
    """The one series among DICOM files, or the one that ``series`` names.

    Raises:
        FileError: no image among them, or one that cannot be decoded.
        AmbiguousInput: several series fit.
    """
    with quiet(), blaming(place):
        return _volume_of(*stack_of(paths, place, series=series))


def read_series_of(path: Path, *, series: str | None) -> Volume:
    """The volume that a file belongs to, from the files beside it, or one that a DICOMDIR names.

    A damaged file beside it stops this only if it says that it is of the same series.

    Raises:
        FileError: the file holds no grey image, or one that cannot be decoded.
    """
    with quiet(), blaming(path):
        return _volume_of(*stack_with(path, series=series))


def stack_of(paths: list[Path], place: Path, *, series: str | None) -> tuple[Stack, Path]:
    """The slices of :func:`read_series` in order, and the place that they are said to come from."""
    images, others, damaged = open_files(paths, series)
    if damaged and (series is None or not images):
        raise damaged[0].error
    if not images:
        path, reason = others[0]
        raise FileError(f"{place} holds no grey DICOM image: {path.name} is {reason}.")
    stack = choose(stacks_of(images), series, place)
    for file in damaged:
        if file.series in (None, stack.series):
            raise file.error
        stack.notes.append(file.note)
    return stack, place


def stack_with(path: Path, *, series: str | None) -> tuple[Stack, Path]:
    """The slices of :func:`read_series_of` in order, and their place."""
    own = open_header(path)
    if is_index(own):
        return stack_of(indexed_files(own), path, series=series)
    reason = refusal(own)
    if reason is not None:
        raise FileError(f"{path} is {reason}; only grey images of intensities are read.")
    images, _, damaged = open_files(_beside(path), own.series)
    for file in damaged:
        if file.series == own.series:
            raise file.error
    family = [own, *(image for image in images if image.series == own.series)]
    stacks = [
        stack
        for stack in stacks_of(family, prefer=path)
        if any(file.path == path for file in stack.files)
    ]
    stack = choose(stacks, series, path)
    stack.notes.extend(file.note for file in damaged)
    return stack, path.parent


def _beside(path: Path) -> list[Path]:
    """What else in its directory is DICOM, or was."""
    kinds: dict[Path, str | None] = {path: "dicom"}
    for other in sorted(path.parent.iterdir()):
        if other != path and not other.name.startswith(".") and other.is_file():
            try:
                kinds[other] = sniff(other)
            except OSError:
                kinds[other] = "dicom"  # opening it says why
    return [other for other in dicom_among(kinds) if other != path]


def _volume_of(stack: Stack, place: Path) -> Volume:
    array, restored = _voxels(stack)
    padding = _padding_mask(array.shape, restored)
    return make_volume(
        array.transpose(0, 3, 2, 1),
        _source_of(stack, place, restored),
        units=_units(stack.frames[0][0]),
        modality=_modality(stack),
        padding=None if padding is None else padding.transpose(0, 3, 2, 1),
    )


def series_head(stack: Stack, place: Path) -> Volume:
    """The series without its voxels; see :class:`meddenoise.io.plane_scan.PlaneScan`."""
    return headed(
        _source_of(stack, place, None),
        _working(stack),
        units=_units(stack.frames[0][0]),
        modality=_modality(stack),
    )


def _modality(stack: Stack) -> str:
    return text(stack.frames[0][0].file.header, "Modality")


def _source_of(
    stack: Stack, place: Path, restored: dict[tuple[int, int], tuple[NDArray, NDArray]] | None
) -> DicomSource:
    """What is kept of the headers; ``None`` where nobody has looked at the pixels yet."""
    grid = grid_of(stack.frames[0])
    irregular = grid.irregular + _kinds_of_grid(stack)
    first = stack.frames[0][0]
    storages = {frame.storage for channel in stack.frames for frame in channel}
    columns, rows = first.size[1], first.size[0]
    return DicomSource(
        path=place if len(stack.files) > 1 else stack.files[0].path,
        storage=first.storage if len(storages) == 1 else None,
        shape=(columns, rows, len(stack.frames[0])),
        channels=len(stack.frames),
        affine=grid.affine,
        oddities=(*irregular, *_oddities(stack), *stack.notes),
        irregular=irregular,
        frames=tuple(tuple(channel) for channel in stack.frames),
        series=stack.name,
        restored=restored or {},
        looked_through=restored is not None,
    )


def _working(stack: Stack) -> np.dtype:
    """The type that holds all of its values."""
    return np.result_type(
        *{frame.storage.working_dtype for frames in stack.frames for frame in frames}
    )


def _voxels(stack: Stack) -> tuple[NDArray, dict[tuple[int, int], tuple[NDArray, NDArray]]]:
    """``(C, Z, rows, columns)`` physical values, and the padding of each frame."""
    where: dict[Path, list[tuple[int, int, Frame]]] = {}
    for channel, frames in enumerate(stack.frames):
        for number, frame in enumerate(frames):
            where.setdefault(frame.file.path, []).append((channel, number, frame))
    shape = (len(stack.frames), len(stack.frames[0]), *stack.frames[0][0].size)
    array: NDArray = np.empty(shape, _working(stack))
    restored: dict[tuple[int, int], tuple[NDArray, NDArray]] = {}

    def fill(file: DicomFile) -> None:
        stored = decode(file, codecs)
        for channel, number, frame in where[file.path]:
            picture = frame.of(stored)
            frame.storage.decode(picture[None], array[channel, number][None])
            found = padding_of(picture, frame)
            if found is not None:
                restored[channel, number] = found

    with Codecs() as codecs, pool() as threads:
        for _ in threads.map(fill, stack.files):
            pass
    return array, restored


def _padding_mask(
    shape: tuple[int, ...], restored: dict[tuple[int, int], tuple[NDArray, NDArray]]
) -> NDArray[np.bool_] | None:
    if not restored:
        return None
    mask = np.zeros(shape, dtype=bool)
    for (channel, number), (indices, _) in restored.items():
        mask[channel, number].reshape(-1)[indices] = True
    return mask


def _units(frame: Frame) -> str:
    header = frame.file.header
    if value(header, "ModalityLUTSequence"):
        return ""  # its table, which is not applied, leads to them
    modality = text(header, "Modality")
    # Of an enhanced object each frame says it, beside its slope.
    said = next(iter(Lookup(frame.file).at(frame.index).texts("RescaleType")), "")
    if modality == "PT":
        return text(header, "Units")
    if modality == "CT" and said in ("", "US", "HU"):
        return "HU"
    return "" if said == "US" else said  # DICOM's "US" means "unspecified"


def _kinds_of_grid(stack: Stack) -> tuple[str, ...]:
    """Pictures that are no slices, whatever their positions say."""
    if "MOSAIC" in stack.frames[0][0].kind:
        return ("A Siemens mosaic without the header that tells its slices apart.",)
    return ()


def _oddities(stack: Stack) -> list[str]:
    first = stack.frames[0][0]
    header = first.file.header
    found = []
    if first.position is None:
        found.append("No position and orientation in patient space.")
    if not first.sized and len(stack.frames[0]) == 1:  # of several slices it is an irregularity
        found.append(UNSIZED)
    if text(header, "PhotometricInterpretation") == "MONOCHROME1":
        found.append("MONOCHROME1: low values are shown bright; values are kept as stored.")
    if any(is_lossy(file) for file in stack.files):
        found.append("The pixels went through lossy compression; its artefacts are no noise.")
    if value(header, "ModalityLUTSequence"):
        found.append("A modality lookup table is not applied: values are as stored.")
    kinds = {frame.kind for channel in stack.frames for frame in channel}
    if len(stack.frames) > 1 and len(kinds) > 1:
        found.append("Channels are of several kinds (such as magnitude and phase).")
    if len({frame.storage for channel in stack.frames for frame in channel}) > 1:
        found.append("The rescale varies from slice to slice.")
    return found
