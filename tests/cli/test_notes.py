from __future__ import annotations

import warnings

import pytest

from meddenoise.cli.notes import printing_warnings
from meddenoise.io import ClippingWarning


def test_our_warnings_are_a_line_and_others_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with printing_warnings():
        for _ in range(2):
            warnings.warn_explicit(
                "3 voxels were clipped.", ClippingWarning, "write.py", 1, "meddenoise.io.writing"
            )
        warnings.warn_explicit("old torch", UserWarning, "x.py", 1, "torch.nn")
        warnings.warn_explicit("old use", DeprecationWarning, "y.py", 1, "meddenoise.io")
    assert capsys.readouterr().err == "meddenoise: 3 voxels were clipped.\n" * 2
