"""What a DICOM object is, where it is no grey image of intensities: refused by name."""

from __future__ import annotations

from meddenoise.errors import DamagedScan
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.values import blaming, number, text, uid_name

__all__ = ["check_claim", "refusal"]

# SOP classes whose pixels are no intensities, or that have none.
_NO_INTENSITIES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a label map segmentation",
    "1.2.840.10008.5.1.4.1.1.481.3": "a radiotherapy structure set",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
    "1.2.840.10008.5.1.4.1.1.481.5": "a radiotherapy plan",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "a whole-slide microscopy image",
    "1.2.840.10008.1.3.10": "a DICOMDIR index",
    "1.2.840.10008.5.1.4.1.1.30": "a parametric map",
}
_NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DEFLATE_EXPANSION = 1032  # no more is possible
_MOST_EXPANSION = 4096  # beyond this a claim about compressed pixels is not believed
_FREE_BYTES = 1 << 26


def refusal(file: DicomFile) -> str | None:
    """Why a file is passed over: what it is instead of a grey image; ``None`` for an image.

    Raises:
        FileError: it claims to be an image and lacks what every image has.
    """
    with blaming(file.path):
        return _refusal(file)


def _refusal(file: DicomFile) -> str | None:
    header = file.header
    sop_class = text(header, "SOPClassUID") or file.meta_class
    if sop_class in _NO_INTENSITIES:
        return _NO_INTENSITIES[sop_class]
    if not number(header, "Rows") or not number(header, "Columns"):
        return _no_image(file, sop_class)
    photometric = text(header, "PhotometricInterpretation") or "MONOCHROME2"
    if not photometric.startswith("MONOCHROME") or (number(header, "SamplesPerPixel") or 1) != 1:
        return f"a colour image ({photometric})"
    if text(header, "PixelPresentation") == "COLOR":
        return "a grey image with colours above its range (supplemental palette)"
    if file.pixels is not None and file.pixels.keyword != "PixelData":
        return f"an image of floating-point pixels ({file.pixels.keyword})"
    bits = number(header, "BitsAllocated") or 0
    if bits not in (8, 16, 32):
        return f"an image of {bits:g} bits a pixel"
    check_claim(file)
    return None


def _no_image(file: DicomFile, sop_class: str) -> str:
    name = uid_name(sop_class) if sop_class else "an object"
    if name.endswith("Image Storage") or uid_name(file.meta_class).endswith("Image Storage"):
        raise DamagedScan(f"{file.path} is damaged: it says it is an image and has no size.")
    return f"{name}, which has no image"


def check_claim(file: DicomFile) -> None:
    """Memory is taken only for what the file can hold.

    Raises:
        FileError: there are no pixels, or the header claims more of them.
    """
    header = file.header
    if file.pixels is None:
        raise DamagedScan(f"{file.path} is damaged or truncated: an image without pixels.")
    sizes = [number(header, key) or 0 for key in ("Rows", "Columns", "BitsAllocated")]
    if min(*sizes, file.frame_count) < 1:
        raise DamagedScan(
            f"{file.path} is damaged: its size is {sizes}, {file.frame_count} frames."
        )
    claimed = int(sizes[0]) * int(sizes[1]) * int(sizes[2]) * file.frame_count // 8
    held = file.path.stat().st_size
    most = held * _MOST_EXPANSION + _FREE_BYTES
    if file.transfer_syntax == _DEFLATED:
        most = held * _DEFLATE_EXPANSION
    elif file.transfer_syntax in _NATIVE:
        most = held = max(0, held - file.pixels.offset)
        if file.pixels.length is not None:
            most = held = min(held, file.pixels.length)
    if claimed > most:
        raise DamagedScan(
            f"{file.path}: the header claims {claimed:,} bytes of pixels, but the file has only "
            f"{held:,}: it is truncated or damaged."
        )
