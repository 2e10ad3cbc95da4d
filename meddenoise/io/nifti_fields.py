"""Where the voxels of a NIfTI lie, by what its header says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan

__all__ = ["affine_of", "mm_between_places", "mm_per_unit"]

_MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
# Radians that are lost near half a turn, where the quaternion's first part is left out of the
# header and follows from the others, in single precision.
_ROUNDED = 1e-3


def mm_per_unit(header: Any) -> float:
    """What a length in the header is in mm."""
    return _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)


def affine_of(header: Any, path: Path) -> NDArray[np.float64]:
    """sform, else qform, else the bare voxel sizes, in mm whatever the header's unit.

    Raises:
        DamagedScan: they make no sense.
    """
    from nibabel.spatialimages import HeaderDataError

    try:
        with np.errstate(all="ignore"):  # what is not finite is refused with the volume
            affine = np.array(_with_sizes(header).get_best_affine(), dtype=np.float64)
            affine[:3] *= mm_per_unit(header)
    except (HeaderDataError, ValueError) as error:
        raise DamagedScan(f"{path}: the header's orientation is damaged: {error}.") from error
    return affine


def _with_sizes(header: Any) -> Any:
    """A copy whose voxel sizes mean what NIfTI readers take them for; nibabel refuses some.

    A handedness (pixdim[0]) of 0 is 1, as nifti1.h has it; a size below 0 counts without its
    sign; and an axis of a single voxel, which a picture does not even have, may leave its size out.
    """
    mended = header.copy()
    sizes = np.array(header["pixdim"])
    sizes[0] = -1.0 if sizes[0] < 0 else 1.0
    sizes[1:4] = np.abs(sizes[1:4])
    shape = np.array(header["dim"][1:4])
    shape[int(header["dim"][0]) :] = 1
    sizes[1:4][(shape == 1) & (sizes[1:4] == 0)] = 1.0
    mended["pixdim"] = sizes
    return mended


def mm_between_places(header: Any) -> float:
    """How far apart sform and qform put a corner of the image; 0 if that is within half a voxel.

    A shear, which a qform cannot hold, does not count, nor what rounding does to its quaternion. It
    is 0 as well where one of the two is not there, or makes no sense.
    """
    from nibabel.spatialimages import HeaderDataError

    if not int(header["sform_code"]) or not int(header["qform_code"]):
        return 0.0
    shape = np.array([*header["dim"][1:4]], dtype=float)
    shape[int(header["dim"][0]) :] = 1
    corners = np.array(np.meshgrid(*((0, n - 1) for n in shape), [1])).reshape(4, -1)
    with np.errstate(all="ignore"):
        sform = header.get_sform()
        sizes = np.linalg.norm(sform[:3, :3], axis=0)
        # Of anything else LAPACK's decomposition may never end; the volume is refused later.
        if not (np.isfinite(sform).all() and np.isfinite(sizes).all() and (sizes > 0).all()):
            return 0.0
        try:
            qform = _with_sizes(header).get_qform()
            alike = header.copy()
            alike.set_qform(sform, strip_shears=True)
            apart = float(np.linalg.norm((alike.get_qform() - qform)[:3] @ corners, axis=0).max())
        except (HeaderDataError, ValueError, np.linalg.LinAlgError):
            return 0.0
        chance = float(sizes.min()) / 2 + _ROUNDED * float(np.linalg.norm(sizes * shape))
    return apart * mm_per_unit(header) if chance < apart < np.inf else 0.0
