"""LPIPS, the learned perceptual distance: an optional extra, with weights of your own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import MissingDependency, ParameterError
from meddenoise.evaluation.fields import filled_pair, slices_of
from meddenoise.evaluation.metrics import check_data_range
from meddenoise.hashing import file_hash

if TYPE_CHECKING:
    import torch

__all__ = ["BACKBONE", "lpips"]

BACKBONE = "alexnet-owt-7be5be79.pth"
"""AlexNet's weights as torchvision names them; the digits begin the file's SHA-256."""

_URL = f"https://download.pytorch.org/models/{BACKBONE}"
_SMALLEST = 32
_AT_ONCE = 8
# Of each colour channel, from ImageNet, on a scale of -1 to 1.
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-8
# Convolutions of AlexNet: channels in and out, kernel, stride, padding, and whether a pooling comes
# first. Their numbers in torchvision's file are those of the layers with all between them.
_LAYERS = (
    (0, 3, 64, 11, 4, 2, False),
    (3, 64, 192, 5, 1, 2, True),
    (6, 192, 384, 3, 1, 1, True),
    (8, 384, 256, 3, 1, 1, False),
    (10, 256, 256, 3, 1, 1, False),
)

Weights = tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]


def lpips(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    data_range: float,
    low: float,
    mask: NDArray[np.bool_] | None = None,
    spacing: Sequence[float] | None = None,
) -> float:
    """Learned perceptual distance (Zhang et al., CVPR 2018), AlexNet, version 0.1; 0 is best.

    Features after each of AlexNet's five convolutions are scaled to length 1 at each place; their
    squared differences, weighed by a number a channel that was learned from people's judgement, are
    averaged over places and added up. It was learned on photographs and never saw a scan: a hint at
    how pictures look, no measure of diagnosis. Intensities from ``low`` to ``low + data_range``
    become -1 to 1 and are clipped; a volume is taken in slices across its coarsest axis, and the
    mean given.

    The learned numbers come with ``torchmetrics``. AlexNet's own weights (233 MB) come with no
    package, and nothing is fetched from a network here: the file has to lie where torch keeps such
    files, and is used only if its hash is right.

    Args:
        reference: the truth, ``(X, Y)`` or ``(X, Y, Z)``, slices of at least 32 x 32.
        image: what is judged, the same shape and unit.
        data_range: the peak, in the image's units.
        low: where that range begins.
        mask: bool, the same shape; its bounding box is compared.
        spacing: voxel size in mm per axis.

    Raises:
        MissingDependency: the package is not installed, or AlexNet's weights are not there or
            damaged; the message says what to do.
        ParameterError: as :func:`meddenoise.evaluation.ssim`, or slices that are too small.
    """
    peak = check_data_range(data_range)
    truth, judged, counted = filled_pair(reference, image, mask, name="LPIPS")
    box = tuple(slice(int(places.min()), int(places.max()) + 1) for places in np.nonzero(counted))
    pairs = [slices_of(_scaled(values[box], low, peak), spacing) for values in (truth, judged)]
    if min(pairs[0].shape[1:]) < _SMALLEST:
        raise ParameterError(f"LPIPS needs slices of at least {_SMALLEST} x {_SMALLEST} voxels.")
    layers = _layers()
    import torch

    total = 0.0
    with torch.inference_mode():
        for first in range(0, len(pairs[0]), _AT_ONCE):
            one, other = (
                torch.from_numpy(np.ascontiguousarray(values[first : first + _AT_ONCE]))
                .float()[:, None]
                .expand(-1, 3, -1, -1)
                for values in pairs
            )
            total += float(_distance(one, other, layers).sum())
    return total / len(pairs[0])


def _scaled(values: NDArray[np.float64], low: float, peak: float) -> NDArray[np.float64]:
    return np.asarray(np.clip(2 * (values - low) / peak - 1, -1, 1))


def _distance(one: torch.Tensor, other: torch.Tensor, layers: Sequence[Weights]) -> torch.Tensor:
    """Of pictures ``(B, 3, H, W)`` from -1 to 1; ``(B,)``."""
    import torch
    from torch.nn import functional

    both = torch.cat([one, other])
    shift, scale = (torch.tensor(v)[:, None, None] for v in (_SHIFT, _SCALE))
    features = (both - shift) / scale
    total = torch.zeros(len(one))
    for (_, _, _, _, stride, padding, pooled), (kernel, bias, judged) in zip(
        _LAYERS, layers, strict=True
    ):
        if pooled:
            features = functional.max_pool2d(features, 3, 2)
        features = functional.conv2d(features, kernel, bias, stride, padding).relu()
        length = (features.square().sum(dim=1, keepdim=True) + _EPSILON).sqrt()
        a, b = (features / length).chunk(2)
        total = total + ((a - b).square() * judged[:, None, None]).sum(dim=1).mean(dim=(1, 2))
    return total


def _layers() -> list[Weights]:
    """Of each convolution its kernel, its bias, and the learned weight of each of its channels."""
    learned = _learned()
    file = _backbone()
    return list(_loaded(file, learned, file.stat().st_mtime_ns))


def _learned() -> Path:
    """The learned weights within torchmetrics, which need not be imported."""
    spec = find_spec("torchmetrics")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency('LPIPS needs an optional package: pip install "meddenoise[lpips]".')
    root = Path(next(iter(spec.submodule_search_locations)))
    file = root / "functional" / "image" / "lpips_models" / "alex.pth"
    if not file.is_file():
        raise MissingDependency(
            "The torchmetrics that is installed holds no weights of LPIPS: pip install "
            '--upgrade "meddenoise[lpips]".'
        )
    return file


def _backbone() -> Path:
    import torch

    file = Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE
    if not file.is_file():
        # Without the directory's own name, which may be that of a user: reasons stand in reports.
        raise MissingDependency(
            f"LPIPS needs AlexNet's weights, 233 MB, which no package holds: put {_URL} into "
            "checkpoints/ of torch's directory (by default ~/.cache/torch/hub, else that of "
            "TORCH_HOME)."
        )
    return file


@lru_cache(maxsize=1)
def _loaded(backbone: Path, learned: Path, changed: int) -> tuple[Weights, ...]:
    """Checked and read once a process, and again if the file was ``changed``."""
    import torch

    _check(backbone)
    layers, judged = (
        torch.load(file, map_location="cpu", weights_only=True) for file in (backbone, learned)
    )
    found = []
    for place, (number, into, out, side, *_) in enumerate(_LAYERS):
        kernel, bias = (layers[f"features.{number}.{kind}"] for kind in ("weight", "bias"))
        weight = judged[f"lin{place}.model.1.weight"].flatten()
        assert kernel.shape == (out, into, side, side)
        assert weight.shape == (out,)
        found.append((kernel.float(), bias.float(), weight.float()))
    return tuple(found)


def _check(file: Path) -> None:
    """Raise unless the file is the one that its name says."""
    named = BACKBONE.split("-")[-1].split(".")[0]
    if not file_hash(file).startswith(f"sha256:{named}"):
        raise MissingDependency(f"AlexNet's weights are damaged: get {_URL} again.")
