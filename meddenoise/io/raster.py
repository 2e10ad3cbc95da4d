"""2-D grey pictures: PNG and TIFF, in and out; JPEG in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan, FileError, OutputError
from meddenoise.io.isolated import CodecError, Codecs
from meddenoise.io.quiet import quiet
from meddenoise.io.source import HeaderSource, make_volume
from meddenoise.io.storage import Storage
from meddenoise.volume import Volume

__all__ = ["RasterSource", "check_picture", "png_storage", "read_raster", "write_raster"]

_GREY = {"L": "u1", "I;16": "u2", "I;16L": "u2", "I;16B": "u2", "I;16N": "u2", "I": "i4", "F": "f4"}
_REFUSED = {
    "1": "black and white only", "P": "a palette", "LA": "grey with transparency",
    "PA": "a palette with transparency",
}  # fmt: skip
_MOST_PIXELS = 1 << 30
_MOST_EXPANSION = 2048  # deflate, LZW and JPEG reach half of it
_FREE_BYTES = 1 << 20
_LEAST_SHADES = 16
_ORIENTATION = 274  # the tag, of TIFF and EXIF
_TIFF_PLAIN = {1, 8, 32946, 32773}  # none, deflate, PackBits: tifffile needs no codec
_OF_FLOATS = 3  # the predictor for which it does
_OME_SIZES = ("PhysicalSizeX", "PhysicalSizeXUnit", "PhysicalSizeY", "PhysicalSizeYUnit")
_PER_INCH = {1: None, 2: 1.0, 3: 2.54}  # TIFF's units of resolution; 1: of something else


@dataclass(frozen=True, kw_only=True)
class RasterSource(HeaderSource):
    """What a picture file says besides its pixels.

    Attributes:
        kind: ``"png"``, ``"tiff"`` or ``"jpeg"``.
        dpi: dots per inch, if stated.
        resolution: TIFF's own: pixels a unit along a row and down a column, and the unit (1: none,
            2: inch, 3: centimetre).
        description: what ImageJ wrote; the unit of a resolution without one is there.
        ome: how large a pixel is, as the OME-XML of a TIFF has it.
        inverted: TIFF's "white is zero"; values are kept as stored.
        turned: how viewers turn it, the Orientation of TIFF and EXIF, 1 to 8; 1 is not at all.
            Pixels are kept as stored.
    """

    kind: str
    dpi: tuple[float, float] | None = None
    resolution: tuple[tuple[float, float], int] | None = None
    description: str = ""
    ome: Mapping[str, Any] = field(default_factory=dict)
    inverted: bool = False
    turned: int = 1

    @property
    def format(self) -> str:
        return self.kind

    def details(self) -> dict[str, Any]:
        return {
            "dpi": list(self.dpi) if self.dpi else None,
            "white_is_zero": self.inverted,
            "orientation": self.turned,
        }


def read_raster(path: Path, kind: str) -> Volume:
    """Read a grey picture as ``(1, X, Y)``: X counts columns, Y rows, 1 mm each.

    Raises:
        FileError: damaged, or with colour, a palette, transparency or several pages.
    """
    said: dict[str, Any] = {}
    if kind == "tiff":
        pixels, said = _read_tiff(path)
    else:
        pixels, said["dpi"], said["turned"] = _read_with_pillow(path)
    storage = Storage.of(pixels.dtype if pixels.dtype.itemsize != 2 or pixels.dtype.kind != "f"
                         else np.float32)  # fmt: skip
    oddities = []
    if kind == "jpeg":
        oddities.append("JPEG is lossy; its artefacts are no noise.")
    if said.get("inverted"):
        oddities.append("White is zero; values are kept as stored.")
    if said["turned"] != 1:
        oddities.append(
            f"Viewers turn it (orientation {said['turned']}); pixels are kept as stored."
        )
    source = RasterSource(
        path=path,
        storage=storage,
        shape=(int(pixels.shape[1]), int(pixels.shape[0])),
        channels=1,
        affine=np.eye(4),
        oddities=tuple(oddities),
        kind=kind,
        **said,
    )
    return make_volume(pixels.T[None].astype(storage.dtype_for(pixels), copy=False), source)


def _check_claim(path: Path, nbytes: int) -> None:
    """Memory is taken only for what a compressed picture of this size can hold."""
    held = path.stat().st_size
    if nbytes > held * _MOST_EXPANSION + _FREE_BYTES:
        raise DamagedScan(
            f"{path} claims {nbytes:,} bytes of pixels and has only {held:,}: it is truncated or "
            "damaged."
        )


def _check_believed(path: Path, pixels: int, most: int | None) -> None:
    """Pillow only warns from there on, and raises from twice as many."""
    if most is not None and pixels > most:
        raise DamagedScan(
            f"{path} claims more pixels than are believed: {pixels:,}, and at most {most:,} are."
        )


def _read_with_pillow(path: Path) -> tuple[NDArray, tuple[float, float] | None, int]:
    from PIL import Image

    try:
        # From memory: a length in the file cannot make the reader ask for more than there is.
        with quiet(), Image.open(BytesIO(path.read_bytes())) as picture:
            if picture.mode not in _GREY:
                held = _REFUSED.get(picture.mode, f"colour ({picture.mode})")
                raise FileError(f"{path} holds {held}: convert it to grey first.")
            pages = getattr(picture, "n_frames", 1)
            if pages > 1:
                raise FileError(f"{path} has {pages} pages: name one picture, saved by itself.")
            kind = np.dtype(_GREY[picture.mode])
            _check_believed(path, picture.width * picture.height, Image.MAX_IMAGE_PIXELS)
            _check_claim(path, picture.width * picture.height * kind.itemsize)
            dpi, turned = picture.info.get("dpi"), _turned(picture.getexif().get(_ORIENTATION))
            pixels = np.asarray(picture).astype(kind)
    except FileError:
        raise
    except Image.DecompressionBombError as error:
        raise DamagedScan(f"{path} claims more pixels than are believed: {error}.") from error
    except Exception as error:  # Pillow's decoders raise many kinds on damaged data
        raise DamagedScan(f"{path} is damaged: {error}.") from error
    if pixels.dtype == np.int32 and pixels.size and pixels.min() >= 0 and pixels.max() <= 65535:
        pixels = pixels.astype(np.uint16)  # what older Pillow makes of a 16-bit PNG
    return pixels, (float(dpi[0]), float(dpi[1])) if dpi else None, turned


def _turned(said: Any) -> int:
    """The Orientation, 1 to 8; 1 for what is none, as viewers have it."""
    return said if isinstance(said, int) and 1 <= said <= 8 else 1


def _read_tiff(path: Path) -> tuple[NDArray, dict[str, Any]]:
    """The pixels, and fields of their source."""
    import tifffile

    try:
        with quiet("tifffile"), tifffile.TiffFile(path) as file:
            if len(file.pages) != 1:
                raise FileError(
                    f"{path} has {len(file.pages)} pages; TIFF is read as one 2-D picture. Convert "
                    "a stack to NIfTI with its voxel size."
                )
            page: Any = file.pages[0]
            if page.samplesperpixel != 1 or page.photometric not in (0, 1):
                raise FileError(f"{path} holds colour or a palette: convert it to grey first.")
            if page.dtype is None or page.dtype.kind not in "iuf" or page.bitspersample < 8:
                raise FileError(f"{path} holds pixels that are no real numbers of 8 bits or more.")
            if page.bitspersample != 8 * page.dtype.itemsize:
                raise FileError(
                    f"{path} holds {page.bitspersample} bits a pixel, packed one after the other, "
                    "which is not read: save it with 8, 16 or 32 bits."
                )
            size = int(page.imagewidth) * int(page.imagelength)
            if size > _MOST_PIXELS:
                raise DamagedScan(f"{path} claims {page.imagewidth} x {page.imagelength} pixels.")
            _check_claim(path, size * page.dtype.itemsize)
            _check_strips(path, page)
            inverted = int(page.photometric) == 0
            said = {
                **_tiff_resolution(page),
                "description": page.description if file.is_imagej else "",
                "ome": _ome_sizes(file.ome_metadata) if file.is_ome else {},
                "inverted": inverted,
                "turned": _turned(page.tags.valueof(_ORIENTATION)),
            }
            plain = int(page.compression) in _TIFF_PLAIN and int(page.predictor) != _OF_FLOATS
            pixels = page.asarray() if plain else None
    except FileError:
        raise
    except Exception as error:  # tifffile raises many kinds on damaged data
        raise DamagedScan(f"{path} is damaged: {error}.") from error
    if pixels is None:
        pixels = _decoded_apart(path, size, page.dtype.newbyteorder("="))
        if inverted and pixels.dtype == np.uint8:
            pixels = 255 - pixels  # Pillow inverts; tifffile and we do not
    if pixels.ndim != 2:
        raise FileError(f"{path} holds an array of shape {pixels.shape}, not a 2-D picture.")
    return pixels, said


def _check_strips(path: Path, page: Any) -> None:
    """Strips and tiles lie in the file, so that no more is asked of it than it has."""
    held = path.stat().st_size
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if start + count > held:
            raise DamagedScan(
                f"{path}: {count:,} bytes of pixels are claimed from byte {start:,} on, but the "
                f"file has only {held:,}: it is truncated or damaged."
            )


def _decoded_apart(path: Path, size: int, kind: np.dtype) -> NDArray:
    """What libtiff makes of it, in another process: it prints, and its codecs are not our memory.

    Raises:
        FileError: it makes nothing of it, or something else than the header says.
    """
    try:
        with Codecs() as codecs:
            pixels = codecs.decode(path, "picture", size * kind.itemsize)
    except CodecError as error:
        raise DamagedScan(f"{path} is damaged, or compressed as is not read: {error}.") from error
    if pixels.size != size:
        raise DamagedScan(f"{path} is damaged: {size:,} pixels are claimed, {pixels.size:,} there.")
    stored = pixels.astype(kind)
    if not np.array_equal(stored, pixels):
        raise FileError(f"{path} holds {kind} pixels that cannot be decoded without loss.")
    return stored


def _tiff_resolution(page: Any) -> dict[str, Any]:
    """As the file has it, and in dots per inch where it says of what."""
    tags = page.tags
    if "XResolution" not in tags or "YResolution" not in tags:
        return {}
    unit = int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 2
    x, y = (tags[name].value for name in ("XResolution", "YResolution"))
    if unit not in _PER_INCH or not (x[1] and y[1]):
        return {}
    factor, (across, down) = _PER_INCH[unit], (x[0] / x[1], y[0] / y[1])
    dpi = None if factor is None else (across * factor, down * factor)
    return {"resolution": ((across, down), unit), "dpi": dpi}


def _ome_sizes(xml: str | None) -> dict[str, Any]:
    """The size of a pixel and its unit; all else of OME-XML is of the pixels that it came with."""
    from xml.etree.ElementTree import ParseError

    import tifffile

    try:
        found: Any = tifffile.xml2dict(xml or "")
    except ParseError:
        return {}  # the pixels are there all the same
    for name in ("OME", "Image", "Pixels"):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return {}
    return {name: said for name in _OME_SIZES if (said := found.get(name)) is not None}


def png_storage(storage: Storage | None, values: NDArray[np.floating]) -> Storage:
    """8 bits if the source has no more, else 16.

    Args:
        storage: of the source, if there is one.
        values: what is to be written; those of whole numbers may be rounded to some again.

    Raises:
        OutputError: fractions of so small a range that rounding would leave hardly any shades.
    """
    whole = storage is not None and not storage.is_float and not storage.is_scaled
    finite = values[np.isfinite(values)]
    if not whole and finite.size and np.ptp(finite) < _LEAST_SHADES and (finite % 1).any():
        raise OutputError(
            f"A PNG holds whole numbers, and of values from {finite.min():g} to {finite.max():g} "
            "hardly any shade would be left: write .tif, which holds fractions, or scale them up."
        )
    fits = storage is not None and storage.dtype == np.uint8 and not storage.is_scaled
    return Storage(np.dtype(np.uint8 if fits else np.uint16))


def check_picture(volume: Volume, kind: str) -> None:
    """Raise for what no picture holds.

    Raises:
        OutputError: more than one slice or channel.
    """
    if volume.channels != 1 or volume.shape[2:] not in ((), (1,)):
        raise OutputError(
            f"A {kind.upper()} holds one 2-D picture, and this volume is {volume.channels} x "
            f"{volume.shape}: write .nii.gz, .nrrd or .mha."
        )


def write_raster(
    volume: Volume, path: Path, kind: str, *, source: RasterSource | None, storage: Storage
) -> int:
    """Write a 2-D picture; return how many pixels were clipped.

    Raises:
        OutputError: more than one slice or channel.
    """
    check_picture(volume, kind)
    columns, rows = volume.shape[:2]
    stored, clipped = storage.encode(volume.array.reshape(columns, rows).T)
    dpi, turned = (source.dpi, source.turned) if source is not None else (None, 1)
    if kind == "png":
        from PIL import Image

        options: dict[str, Any] = {"dpi": dpi} if dpi else {}
        if turned != 1:
            options["exif"] = Image.Exif()
            options["exif"][_ORIENTATION] = turned
        Image.fromarray(stored).save(path, format="PNG", **options)
        return clipped
    import tifffile

    inverted = source is not None and source.inverted
    options = {"resolution": dpi, "resolutionunit": 2} if dpi else {}
    if source is not None and source.resolution:
        options = dict(zip(("resolution", "resolutionunit"), source.resolution, strict=True))
    if source is not None and source.description:
        options["description"] = source.description.encode("utf-8")
    if turned != 1:
        options["extratags"] = [(_ORIENTATION, "H", 1, turned, True)]
    sizes = {} if source is None else dict(source.ome)
    tifffile.imwrite(
        path,
        stored,
        photometric="miniswhite" if inverted else "minisblack",
        compression="zlib",
        ome=bool(sizes) or None,
        metadata={"axes": "YX", **sizes} if sizes else None,
        **options,
    )
    return clipped
