"""Filters that see a few voxels far, over a scan that is read plane by plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.io import plane_scan
from meddenoise.workflows import batch, filter_streamed, streamed
from meddenoise.workflows.denoise import denoise_files
from meddenoise.workflows.filter_streamed import reach_of
from meddenoise.workflows.ways import way_to_denoise


@pytest.mark.parametrize(
    ("method", "options"),
    [("median", {}), ("median", {"size": 5}), ("mean", {"size": 3}), ("identity", {})],
)
def test_it_is_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, options: dict[str, Any]
) -> None:
    array = np.random.default_rng(0).normal(100, 20, (2, 14, 16, 61)).astype(np.float32)
    array[0, 3:12, 2:14, 20:40] = np.nan  # deep holes, across the borders of parts
    array[1, 0, 0, 17] = np.nan
    scan = md.write(md.Volume.from_array(array, spacing=(1, 1, 1.5)), tmp_path / "scan.nii")
    how: dict[str, Any] = {"method": method, "options": options, "strength": 0.75}
    [whole] = denoise_files(scan, tmp_path / "whole.nii", **how)

    def no_reading(*_: object, **__: object) -> None:
        raise AssertionError("it was read as a whole")

    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    monkeypatch.setattr(batch, "read", no_reading)
    monkeypatch.setattr(filter_streamed, "planes_a_part", lambda _: 2)
    monkeypatch.setattr(plane_scan, "_PART", 14 * 16 * 3)
    [made] = denoise_files(scan, tmp_path / "made.nii", **how)
    assert (made.voxels, made.untouched) == (whole.voxels, whole.untouched)
    one, other = md.read(tmp_path / "whole.nii").array, md.read(tmp_path / "made.nii").array
    np.testing.assert_allclose(one, other, atol=1e-3)
    assert np.nanstd(one) < np.nanstd(array) or method == "identity"


def test_which_filters_do() -> None:
    assert [reach_of("median", {}), reach_of("median", {"size": 9})] == [1, 4]
    assert reach_of("median", {"size": 11}) is None
    assert [reach_of("mean", {}), reach_of("bm4d", {}), reach_of("gaussian", {})] == [None] * 3
    assert way_to_denoise(None, "median", "cpu").stream is not None
    assert way_to_denoise(None, "median", "cpu", stabilise="rician").stream is None
    assert way_to_denoise(None, "bm4d", "cpu").stream is None
