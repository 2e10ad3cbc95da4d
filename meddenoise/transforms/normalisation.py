"""How intensities reach a network, and how they get back: ``(x - shift) / scale``.

Needs neither torch nor MONAI, and works on arrays and tensors alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError

__all__ = ["METHODS", "Normalisation"]

METHODS = ("standard", "percentile", "fixed")

Image = TypeVar("Image")


@dataclass(frozen=True)
class Normalisation:
    """An affine map of intensities with its inverse.

    Attributes:
        shift: in the image's units.
        scale: in the image's units; above 0.
        method: how the two were found, one of ``METHODS``.
    """

    shift: float
    scale: float
    method: str = "fixed"

    def __post_init__(self) -> None:
        _check_method(self.method)
        numbers = all(
            isinstance(v, Real) and not isinstance(v, bool) and math.isfinite(v)
            for v in (self.shift, self.scale)
        )
        if not numbers or self.scale <= 0:
            raise ParameterError(
                f"A normalisation by shift {self.shift!r} and scale {self.scale!r} is impossible: "
                "both must be finite numbers, and scale above 0."
            )
        # Numbers of NumPy are none of JSON's.
        object.__setattr__(self, "shift", float(self.shift))
        object.__setattr__(self, "scale", float(self.scale))

    @classmethod
    def fit(
        cls,
        array: ArrayLike,
        method: str = "standard",
        *,
        low: float = 0.5,
        high: float = 99.5,
        shift: float = 0.0,
        scale: float = 1.0,
    ) -> Normalisation:
        """The normalisation that suits an image.

        Args:
            array: any shape; voxels that are not finite are left out.
            method: ``"standard"``: mean and standard deviation; ``"percentile"``: the range
                from the ``low`` to the ``high`` percentile becomes 0 to 1; ``"fixed"``:
                ``shift`` and ``scale`` as given, whatever the image.
            low, high: percentiles, for ``"percentile"`` only.
            shift, scale: in the image's units, for ``"fixed"`` only.

        Raises:
            ParameterError: an unknown method, impossible numbers, or an image without a
                finite voxel or without any contrast.
        """
        _check_method(method)
        if method == "fixed":
            return cls(float(shift), float(scale), method)
        values = np.asarray(array)
        finite = np.isfinite(values)
        if not finite.all():
            values = values[finite]
        if values.size == 0:
            raise ParameterError("The image has no finite voxel: there is nothing to normalise.")
        if method == "standard":
            centre, spread = values.mean(dtype=np.float64), values.std(dtype=np.float64)
        else:
            if not 0 <= low < high <= 100:
                raise ParameterError(
                    f"The percentiles {low:g} and {high:g} are impossible: 0 <= low < high <= 100."
                )
            centre, top = np.percentile(values, (low, high)).astype(np.float64)
            spread = top - centre
        # A constant image in floating point has a spread of its rounding errors.
        if spread <= 1e-7 * abs(centre) or spread <= 0:
            raise ParameterError(
                f"The image is constant, or nearly everywhere {float(centre):g}: it has no "
                f"contrast to normalise by '{method}'. Check that it is the right scan."
            )
        return cls(float(centre), float(spread), method)

    def apply(self, image: Image, *, out: NDArray[np.floating] | None = None) -> Image:
        """The image for the network; an array or tensor of the same type, a new one.

        Args:
            image: the intensities.
            out: for an array, where the result is put, of a floating type; ``image`` itself, too.
        """
        values: Any = image
        if out is None:
            return (values - self.shift) / self.scale
        if np.result_type(values, out) != out.dtype:
            out[...] = (values - self.shift) / self.scale  # in the wider type, to the end
            return cast("Image", out)
        # No array between: memory that was never used yet has its price.
        np.subtract(values, self.shift, out=out)
        return cast("Image", np.divide(out, self.scale, out=out))

    def invert(self, image: Image, *, out: NDArray[np.floating] | None = None) -> Image:
        """The image in its own units again; undoes :meth:`apply` to rounding.

        Args:
            image: what a network gave.
            out: as for :meth:`apply`.
        """
        values: Any = image
        if out is None:
            return values * self.scale + self.shift
        if np.result_type(values, out) != out.dtype:
            out[...] = values * self.scale + self.shift
            return cast("Image", out)
        np.multiply(values, self.scale, out=out)
        return cast("Image", np.add(out, self.shift, out=out))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: shift, scale, method."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Normalisation:
        """What :meth:`to_dict` wrote.

        Raises:
            ParameterError: a missing or unknown key, or impossible values.
        """
        wanted = {"shift", "scale", "method"}
        if set(values) != wanted:
            raise ParameterError(
                f"A normalisation has the keys {sorted(wanted)}, not {sorted(values)}."
            )
        return cls(**values)


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise ParameterError(
            f"There is no normalisation {method!r}: it is one of {', '.join(METHODS)}."
        )
