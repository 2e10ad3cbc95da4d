from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from meddenoise.io import read
from meddenoise.io.formats import format_of_name, sniff


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0" * 128 + b"DICM" + b"\0" * 20, "dicom"),
        (b"II*\0" + b"\0" * 124 + b"DICM" + b"\0" * 20, "dicom"),  # a TIFF inside the preamble
        (b"NRRD0005\ntype: short\n", "nrrd"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"MM\0*", "tiff"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"ObjectType = Image\nNDims = 3\n", "metaimage"),
        (b"NDims = 3\r\n", "metaimage"),
        (b"hello, this is a text", None),
        (b"\x1f\x8b broken", None),
        (b"", None),
    ],
)
def test_content_decides(tmp_path: Path, head: bytes, kind: str | None) -> None:
    path = tmp_path / "anything.dat"
    path.write_bytes(head)
    assert sniff(path) == kind


@pytest.mark.parametrize("make", [nib.Nifti1Image, nib.Nifti2Image])
def test_nifti_is_known_compressed_or_not(tmp_path: Path, make: type) -> None:
    path = tmp_path / "image.nii"
    nib.save(make(np.zeros((2, 2, 2), np.int16), np.eye(4)), path)
    assert sniff(path) == "nifti"
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert sniff(packed) == "nifti"


@pytest.mark.parametrize("cut", [0, 100, 347])
def test_gzip_may_begin_with_a_small_member(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "image.nii"
    nib.save(nib.Nifti1Image(np.ones((2, 2, 2), np.int16), np.eye(4)), path)
    whole = path.read_bytes()
    packed = tmp_path / "packed.nii.gz"
    packed.write_bytes(gzip.compress(whole[:cut]) + bytes(8) + gzip.compress(whole[cut:]))
    assert sniff(packed) == "nifti"
    np.testing.assert_array_equal(read(packed).array, 1)


def test_gzip_of_something_else_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.nii.gz"
    path.write_bytes(gzip.compress(b"just text " * 100))
    assert sniff(path) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.nii.gz", ("nifti", ".nii.gz")),
        ("a.NII", ("nifti", ".nii")),
        ("a.b.tiff", ("tiff", ".tiff")),
        (".nii", (None, "")),
        ("a.gz", (None, ".gz")),
        ("series", (None, "")),
    ],
)
def test_names_ask_for_a_format(name: str, expected: tuple[str | None, str]) -> None:
    assert format_of_name(Path(name)) == expected
