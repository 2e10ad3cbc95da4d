"""Scans in and out: one ``read``, one ``write``, and every header kept.

Nothing outside this package looks into DICOM, NIfTI, NRRD or MetaImage headers. Importing it
costs no more than numpy; the libraries of a format are loaded when a file needs them.
"""

from __future__ import annotations

from meddenoise.io.atomic import atomic_directory, atomic_file
from meddenoise.io.describing import describe
from meddenoise.io.reading import read
from meddenoise.io.scans import ScanFile, list_scans
from meddenoise.io.sidecars import Sidecars, carry_sidecars
from meddenoise.io.write_report import ClippingWarning, WriteReport
from meddenoise.io.writing import extension_for, write, write_report

__all__ = [
    "ClippingWarning",
    "ScanFile",
    "Sidecars",
    "WriteReport",
    "atomic_directory",
    "atomic_file",
    "carry_sidecars",
    "describe",
    "extension_for",
    "list_scans",
    "read",
    "write",
    "write_report",
]
