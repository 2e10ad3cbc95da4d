"""DICOM: any grey image object in, the same object derived from it out.

files.py      one file's header, without its pixels
frames.py     a frame: one picture, where it lies and how its values are stored
grouping.py   which frames make one volume
geometry.py   their order, the grid they make, and what is irregular about it
pixels.py     a file's pixels, decoded and cleaned
source.py     the headers a volume keeps
reading.py    all of it together
derive.py     the header of a derived instance
writing.py    a derived series
"""

from __future__ import annotations
