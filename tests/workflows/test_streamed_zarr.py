"""Scans in zarr, denoised from store to store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import OutputError
from meddenoise.workflows import batch, streamed
from meddenoise.workflows.denoise import denoise_files

pytest.importorskip("zarr")


@pytest.mark.parametrize(
    ("source", "target"), [("zarr", "zarr"), ("nii.gz", "zarr"), ("zarr", "nii")]
)
def test_a_large_scan_goes_from_store_to_store(
    tmp_path: Path, scans: Any, monkeypatch: pytest.MonkeyPatch, source: str, target: str
) -> None:
    noisy = scans.scan("white")
    scan = md.write(noisy, tmp_path / f"scan.{source}")
    [whole] = denoise_files(scan, tmp_path / f"whole.{target}", device="cpu")

    def no_reading(*_: object, **__: object) -> None:
        raise AssertionError("it was read as a whole")

    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    monkeypatch.setattr(batch, "read", no_reading)
    [made] = denoise_files(scan, tmp_path / f"made.{target}", device="cpu")
    assert made.notes == whole.notes
    one, other = md.read(tmp_path / f"whole.{target}"), md.read(tmp_path / f"made.{target}")
    np.testing.assert_allclose(one.array, other.array, atol=0.02)
    np.testing.assert_allclose(other.affine, noisy.affine, atol=1e-5)
    assert float(np.std(other.array - noisy.array)) > 4


def test_stores_of_a_directory_keep_their_names(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(100, 10, (12, 14, 16)).astype(np.float32)
    for name in ("a", "b/c"):
        md.write(md.Volume.from_array(array), tmp_path / "in" / f"{name}.ome.zarr")
    done = denoise_files(tmp_path / "in", tmp_path / "out", method="median")
    assert [outcome.error for outcome in done] == [None, None]
    for name in ("a", "b/c"):
        assert md.read(tmp_path / "out" / f"{name}.ome.zarr").shape == (12, 14, 16)
    passed = denoise_files(tmp_path / "in", tmp_path / "out", method="median")
    assert all("Passed over" in outcome.notes[0] for outcome in passed)
    store = tmp_path / "in" / "a.ome.zarr"
    with pytest.raises(OutputError, match="lies in the input"):
        denoise_files(store, store / "out.zarr", method="median")
    with pytest.raises(OutputError, match="exists"):
        denoise_files(store, tmp_path / "out" / "a.ome.zarr", method="median")
