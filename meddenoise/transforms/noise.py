"""Noise as MONAI transforms: one for every registered model."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import MapTransform, RandomizableTransform, Transform
from monai.utils import ensure_tuple
from torch import Tensor

from meddenoise.errors import ParameterError
from meddenoise.io.monai import HEADER_KEY
from meddenoise.noise import NoiseModel, build_noise, reference_intensity
from meddenoise.noise.draws import check_number
from meddenoise.noise.space import run_in_space
from meddenoise.transforms.normalisation import Normalisation
from meddenoise.transforms.normalise import (
    applied_normalisation,
    as_image,
    over_channels,
    plain_values,
)

__all__ = ["AddNoise", "AddNoised"]


class AddNoise(RandomizableTransform, Transform):
    """Adds noise of a registered model, in the image's own units.

    After :class:`NormaliseIntensity` the image goes back to its units, gets its noise, and is
    normalised again, so that "5%" or a dose means the same before and after. That is read from the
    image's trace, which MONAI's ``PersistentDataset`` drops unless told ``track_meta=True`` and
    ``weights_only=False``.

    Each call draws anew from the transform's random state (``set_random_state``). What was
    drawn stands in the result's ``meta["noise"]``: ``model``, ``seed`` and the parameters;
    :meth:`replay` repeats it. As with all of MONAI's random transforms, take MONAI's ``DataLoader``
    where there are workers: with torch's own each worker and each epoch draws the same.

    Args:
        noise: a model from :func:`meddenoise.noise.build_noise`, or a name with its
            ``parameters``, which may be ranges: ``AddNoise("rician", sigma=["2%", "10%"])``.
        prob: probability that noise is added at all.
        reference: the intensity that percentages are of, in image units; by default the
            99.9th percentile of the scan that was normalised, else of the image as it
            comes: then add noise before cropping, for a patch has a percentile of its own.
        parameters: of the model, if ``noise`` is a name.

    Raises:
        ConfigError: an unknown model or parameter.
        ParameterError: an impossible parameter; when called, a CT model on an image that is
            known, from ``meta["units"]`` or the header it was loaded with, not to be in HU, or
            a model that needs the voxel size on a tensor without an affine.
    """

    def __init__(
        self,
        noise: NoiseModel | str,
        *,
        prob: float = 1.0,
        reference: float | None = None,
        **parameters: Any,
    ) -> None:
        RandomizableTransform.__init__(self, prob)
        if isinstance(noise, str):
            noise = build_noise(noise, **parameters)
        elif parameters:
            raise ParameterError("Parameters belong to the noise model: give them to build_noise.")
        if isinstance(reference, (np.ndarray, Tensor)) and reference.ndim == 0:  # x.max()
            reference = reference.item()
        if reference is not None:
            reference = check_number("reference", reference, unit="image units", least=-math.inf)
        self.noise = noise
        self.reference = reference
        self._seed = 0
        self._u: list[float] = []

    def randomize(self, data: Any = None) -> None:
        """Draw whether there is noise, its place in the ranges, and the seed of its values."""
        super().randomize(None)
        self._u = self.R.random_sample(len(self.noise.ranges)).tolist()
        self._seed = int(self.R.randint(2**32, dtype=np.uint64))

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> Tensor:
        """A noisy copy of ``(C, ...)``, each channel with noise of its own."""
        if randomize:
            self.randomize()
        image = as_image(img)
        if not self._do_transform:
            return image
        normalised = applied_normalisation(image)
        reference = self.reference
        if reference is None:
            reference = normalised[1] if normalised else reference_intensity(plain_values(image))
        drawn = self.noise.draw(reference=reference, u=self._u)
        record = {"model": self.noise.name, "seed": self._seed, **drawn}
        return self._add(image, record, _affine(img))

    def replay(self, img: NdarrayOrTensor, record: Mapping[str, Any]) -> Tensor:
        """Add the noise that a record from ``meta["noise"]`` describes."""
        image = as_image(img)
        return self._add(image, dict(record), _affine(img))

    def _add(self, image: Tensor, record: dict[str, Any], affine: np.ndarray | None) -> Tensor:
        drawn = {key: value for key, value in record.items() if key not in ("model", "seed")}
        model = NoiseModel(record["model"], drawn)
        units = _units(image)
        if model.units and units and units != model.units:
            raise ParameterError(
                f"The noise model '{model.name}' is for CT only: it needs voxels in {model.units}, "
                f"and this image is in {units}."
            )
        normalised = applied_normalisation(image)
        plain = image.as_tensor() if isinstance(image, MetaTensor) else image
        how: dict[str, Any] = {
            "dims": image.ndim - 1,
            "affine": affine,
            "generator": torch.Generator().manual_seed(int(record["seed"])),
        }
        if normalised is None:
            noisy = run_in_space(model, plain, drawn, **how)
        else:
            clean = over_channels(plain, normalised[0], Normalisation.invert)
            noisy = run_in_space(model, clean, drawn, **how)
            noisy = over_channels(noisy, normalised[0], Normalisation.apply)
        if not isinstance(image, MetaTensor):
            return noisy
        result = MetaTensor(noisy).copy_meta_from(image)
        result.meta["noise"] = record
        return result


class AddNoised(RandomizableTransform, MapTransform):
    """Dictionary version of :class:`AddNoise`.

    Args:
        keys: the clean images.
        noise: see :class:`AddNoise`.
        new_keys: where the noisy copies go, one for each key; by default in their place.
            One key given twice with two new keys makes two independent copies.
        target_keys: items that stay clean: naming one of them as a place for noise is an
            error.
        prob, reference, parameters: see :class:`AddNoise`.
        allow_missing_keys: as in MONAI.

    Raises:
        ParameterError: noise would be written to a target, or as many new keys as keys are
            not given.
    """

    def __init__(
        self,
        keys: KeysCollection,
        noise: NoiseModel | str,
        *,
        new_keys: KeysCollection | None = None,
        target_keys: KeysCollection = ("target",),
        prob: float = 1.0,
        reference: float | None = None,
        allow_missing_keys: bool = False,
        **parameters: Any,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, 1.0)
        self.new_keys = self.keys if new_keys is None else ensure_tuple(new_keys)
        if len(self.new_keys) != len(self.keys):
            raise ParameterError(
                f"{len(self.keys)} keys and {len(self.new_keys)} new_keys: give one for each."
            )
        spoiled = sorted(map(str, set(self.new_keys) & set(ensure_tuple(target_keys))))
        if spoiled:
            raise ParameterError(
                f"Noise would be written to the target '{spoiled[0]}': a target stays clean. Give "
                "new_keys, or other target_keys."
            )
        self.adder = AddNoise(noise, prob=prob, reference=reference, **parameters)

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> AddNoised:
        """Start the random draws from a seed or a state."""
        super().set_random_state(seed, state)
        self.adder.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        d = dict(data)
        for key, new_key in self.key_iterator(d, self.new_keys):
            d[new_key] = self.adder(data[key])
        return d


def _affine(img: NdarrayOrTensor) -> np.ndarray | None:
    """The affine that came with the image; MONAI would make one up for a plain tensor."""
    return img.affine.cpu().numpy() if isinstance(img, MetaTensor) else None


def _units(image: Tensor) -> str:
    """The unit that came with the image, or what stands for none in a scan that is no CT."""
    meta = image.meta if isinstance(image, MetaTensor) else {}
    fields = getattr(meta.get(HEADER_KEY), "volume_fields", {})
    units = str(meta.get("units", "") or fields.get("units", ""))
    modality = fields.get("modality", "")
    return units or (f"{modality} intensities" if modality not in ("", "CT") else "")
