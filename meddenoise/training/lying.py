"""Scans of a single slice, turned so that a 2-D network learns from that slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from meddenoise.training.prepare import Prepared
from meddenoise.volume import single_slice, slice_last

__all__ = ["lying"]


def lying(scans: Sequence[Prepared], dims: int) -> Sequence[Prepared]:
    """The scans, those of one slice across the first or second axis with that axis last.

    A 2-D network gets slices along the last axis: of a single sagittal or coronal slice they would
    be its rows, one pixel wide. :class:`meddenoise.inference.Denoiser` takes it for an image, too.

    Args:
        scans: of one run.
        dims: of its network; for 3 they are given back as they are.
    """
    return scans if dims != 2 else [_turned(scan) for scan in scans]


def _turned(scan: Prepared) -> Prepared:
    axis = single_slice(scan.volume.shape)
    if axis is None:
        return scan
    truth = None if scan.truth is None else slice_last(scan.truth, axis)
    return replace(scan, volume=slice_last(scan.volume, axis), truth=truth)
