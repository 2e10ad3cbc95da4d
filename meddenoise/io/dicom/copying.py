"""A copy of a header without what no longer holds or should not go further."""

from __future__ import annotations

from copy import copy as shallow
from typing import Any

import numpy as np

from meddenoise.io.dicom.mosaic import describing_elements

__all__ = ["copied"]

_DROPPED = {
    0x00080001,  # LengthToEnd
    0x00880200,  # IconImageSequence: shows the old pixels
    0x04000500,  # EncryptedAttributesSequence
    0x4FFE0001,  # MACParametersSequence
    0xFFFAFFFA,  # DigitalSignaturesSequence
    0xFFFCFFFC,  # DataSetTrailingPadding
    0x00280108,  # SmallestPixelValueInSeries
    0x00280109,  # LargestPixelValueInSeries
    0x7FE00001,  # ExtendedOffsetTable
    0x7FE00002,  # ExtendedOffsetTableLengths
    0x7FE00003,  # EncapsulatedPixelDataValueTotalLength
}
# Bytes of a word, of which pydicom keeps the order that the file had.
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def copied(source: Any, *, keep_private: bool) -> Any:
    """A copy that shares no mutable part with the source; sequences are walked.

    Words (overlays, tables) are in little endian, as what is written is, whatever the source is in.

    Private elements may hold anything, names too, and go unless they are asked for. Those few
    without which a Siemens mosaic could not be read stay.
    """
    kept = None if keep_private else describing_elements(source)
    turned = source.original_encoding == (False, False)
    copy = _copied(source, kept, turned=turned)
    if turned:  # elements that were not looked at know their own order
        copy.set_original_encoding(False, True, source.original_character_set)
    return copy


def _copied(source: Any, private: set[int] | None, *, turned: bool) -> Any:
    """``private``: which private tags stay; ``None``: all. ``turned``: it is in big endian."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    elements = {}
    for tag, element in list(source.items()):
        # Groups 0 and 2 are no part of a data set; damage may have brought them here.
        if tag in _DROPPED or tag.element == 0 or tag.group <= 2:
            continue
        if private is not None and tag.is_private and tag not in private:
            continue
        if 0x6000 <= tag.group <= 0x60FF and _is_embedded_overlay(source, tag):
            continue
        if element.VR == "SQ" or (element.VR is None and source[tag].VR == "SQ"):
            nested = None if private is None else set[int]()
            items = [_copied(item, nested, turned=turned) for item in source[tag].value]
            element = shallow(source[tag])
            element.value = Sequence(items)
        elif turned and element.VR in _WORDS:
            element = shallow(source[tag])
            element.value = _turned(element.value, _WORDS[element.VR])
        elif not element.is_raw:
            # Decoded elements are mutable: setting a value would change the source's.
            element = shallow(element)
        elements[tag] = element
    copy = Dataset(elements)
    copy.set_original_encoding(*source.original_encoding, source.original_character_set)
    return copy


def _turned(words: bytes, size: int) -> bytes:
    """The other byte order; a value that is no whole number of words stays as it is."""
    if not words or len(words) % size:
        return words
    return np.frombuffer(words, f"u{size}").byteswap().tobytes()


def _is_embedded_overlay(source: Any, tag: Any) -> bool:
    """Overlays in unused pixel bits go with those bits; ones with data of their own stay."""
    return tag.group % 2 == 0 and (tag.group, 0x3000) not in source
