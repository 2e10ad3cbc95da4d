"""Intensity normalisation as MONAI transforms, with an exact inverse."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor, get_track_meta
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import TraceKeys, convert_to_tensor
from torch import Tensor

from meddenoise.errors import ParameterError
from meddenoise.noise.level import reference_intensity
from meddenoise.transforms.normalisation import Normalisation

__all__ = [
    "Applied",
    "NormaliseIntensity",
    "NormaliseIntensityd",
    "applied_normalisation",
    "as_image",
    "over_channels",
    "plain_values",
]

# What one transform did: a normalisation for all channels, or one for each.
Applied = list[Normalisation]


class NormaliseIntensity(InvertibleTransform):
    """``(x - shift) / scale`` by statistics of the image, remembered for the inverse.

    The statistics and the image's 99.9th percentile travel in the ``MetaTensor``'s trace, so
    ``Invertd`` restores the image's own units, and :class:`AddNoise` works in them.

    Args:
        method: ``"standard"``, ``"percentile"`` or ``"fixed"``; see
            :meth:`meddenoise.transforms.normalisation.Normalisation.fit`.
        low, high: percentiles, for ``"percentile"``.
        shift, scale: in image units, for ``"fixed"``.
        channel_wise: statistics of each channel instead of all together.

    Raises:
        ParameterError: an unknown method or impossible numbers; when called, an image
            without contrast.
    """

    def __init__(
        self,
        method: str = "standard",
        *,
        low: float = 0.5,
        high: float = 99.5,
        shift: float = 0.0,
        scale: float = 1.0,
        channel_wise: bool = False,
    ) -> None:
        # Bad numbers are found here, not at the first image: a ramp can always be fitted.
        self.options: dict[str, Any] = {
            "method": method, "low": low, "high": high, "shift": shift, "scale": scale
        }  # fmt: skip
        Normalisation.fit([0.0, 1.0], **self.options)
        self.channel_wise = channel_wise

    def fit(self, img: NdarrayOrTensor) -> tuple[Applied, float]:
        """The normalisation of ``(C, ...)`` image and its 99.9th percentile."""
        array = plain_values(img)
        parts = list(array) if self.channel_wise else [array]
        return [Normalisation.fit(p, **self.options) for p in parts], reference_intensity(array)

    def __call__(self, img: NdarrayOrTensor, fitted: tuple[Applied, float] | None = None) -> Tensor:
        """Normalise ``(C, ...)``; by ``fitted`` if given, else by the image's own statistics."""
        image = as_image(img)
        normalisations, reference = self.fit(img) if fitted is None else fitted
        out = over_channels(image, normalisations, Normalisation.apply)
        info = {"channels": [n.to_dict() for n in normalisations], "reference": reference}
        self.push_transform(out, extra_info=info)
        return out

    def inverse(self, data: Tensor) -> Tensor:
        """The image in its own units."""
        done = self.pop_transform(data)
        normalisations = _read(done)
        return over_channels(data, normalisations, Normalisation.invert)


class NormaliseIntensityd(MapTransform, InvertibleTransform):
    """Dictionary version of :class:`NormaliseIntensity`.

    Args:
        keys: the images to normalise.
        method: see :class:`NormaliseIntensity`.
        like: a key whose statistics serve all: a noisy image and its clean target must go
            through one and the same map. None: each by its own.
        allow_missing_keys: as in MONAI.
        options: see :class:`NormaliseIntensity`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        method: str = "standard",
        *,
        like: str | None = None,
        allow_missing_keys: bool = False,
        **options: Any,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.normaliser = NormaliseIntensity(method, **options)
        self.like = like

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        d = dict(data)
        fitted = None
        if self.like is not None:
            if self.like not in d:
                raise ParameterError(f"There is no item '{self.like}' to take statistics from.")
            fitted = self.normaliser.fit(d[self.like])
        for key in self.key_iterator(d):
            d[key] = self.normaliser(d[key], fitted)
        return d

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.normaliser.inverse(d[key])
        return d


def applied_normalisation(img: Tensor) -> tuple[Applied, float] | None:
    """What :class:`NormaliseIntensity` did to an image and its 99.9th percentile before that.

    None if it did nothing, or no trace was kept.
    """
    operations = img.applied_operations if isinstance(img, MetaTensor) else []
    for done in reversed(operations):
        if done[TraceKeys.CLASS_NAME] == NormaliseIntensity.__name__:
            return _read(done), float(done[TraceKeys.EXTRA_INFO]["reference"])
    return None


def plain_values(img: NdarrayOrTensor) -> np.ndarray:
    """The image as an array, whatever it is in; NumPy has no bfloat16."""
    _check_real(img)
    if isinstance(img, np.ndarray):
        return img.astype(np.float32) if img.dtype.kind == "b" else img
    values = torch.as_tensor(img).detach().cpu()
    return (values.float() if values.dtype in (torch.bfloat16, torch.bool) else values).numpy()


def as_image(img: NdarrayOrTensor) -> Tensor:
    """The image as float32, in a ``MetaTensor`` where MONAI keeps track of them.

    Raises:
        ParameterError: no array or tensor of real numbers.
    """
    _check_real(img)
    if isinstance(img, np.ndarray):
        # Torch takes no other byte order (nibabel gives a file's own), no mirrored view.
        img = np.ascontiguousarray(img, dtype=np.float32)
    return convert_to_tensor(img, dtype=torch.float32, track_meta=get_track_meta())


def _check_real(img: NdarrayOrTensor) -> None:
    """Raise for what has no real numbers: a cast would take away the imaginary part."""
    kind = getattr(img, "dtype", type(img).__name__)
    sound = (
        not img.dtype.is_complex
        if isinstance(img, torch.Tensor)
        else isinstance(img, np.ndarray) and img.dtype.kind in "biuf"
    )
    if not sound:
        raise ParameterError(
            f"An image is an array or a tensor of real numbers, not {kind}: take the magnitude of "
            "complex data."
        )


def _read(done: Mapping[str, Any]) -> Applied:
    return [Normalisation.from_dict(each) for each in done[TraceKeys.EXTRA_INFO]["channels"]]


def over_channels(
    image: Tensor, normalisations: Applied, do: Callable[[Normalisation, Tensor], Tensor]
) -> Tensor:
    """``Normalisation.apply`` or ``invert``: one for the whole image, or one a channel."""
    if len(normalisations) == 1:
        return do(normalisations[0], image)
    if len(normalisations) != len(image):
        raise ParameterError(
            f"The image has {len(image)} channels and {len(normalisations)} were normalised."
        )
    out = image.clone()
    for channel, normalisation in enumerate(normalisations):
        out[channel] = do(normalisation, image[channel])
    return out
