"""DICOM: any grey image object in, the same object derived from it out.

Reading
    values.py       single values of a header, without converting its elements
    parsing.py      a header without its pixels, from bytes that are not trusted
    files.py        one file: its header and where its pixels are
    kinds.py        what is no grey image, refused by name
    dicomdir.py     the files that a DICOMDIR names
    lookup.py       attributes of one frame of an enhanced object
    mosaic.py       the slices of a Siemens mosaic
    frames.py       a frame: one picture, where it lies and how its values are stored
    grouping.py     which frames make one volume
    geometry.py     their order, the grid they make, and what is irregular about it
    pixels.py       a file's pixels, decoded and cleaned
    source.py       the headers a volume keeps
    reading.py      all of it together
    listing.py      which series lie below a directory

Writing
    copying.py      a header without what no longer holds
    references.py   codes and references to the source
    identity.py     new UIDs
    derive.py       the header of a derived instance
    encoding.py     pixels, compressed or not, and the file's bytes
    writing.py      a derived series
    regular.py      irregular slices for formats that hold a regular grid only
"""

from __future__ import annotations
