"""LPIPS on an AlexNet of random weights, beside torchmetrics' network with the very same ones."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from meddenoise.errors import MissingDependency, ParameterError
from meddenoise.evaluation import perceptual
from meddenoise.evaluation.perceptual import lpips

torch = pytest.importorskip("torch")

needs_learned_weights = pytest.mark.skipif(
    importlib.util.find_spec("torchmetrics") is None, reason='pip install "meddenoise[lpips]"'
)


def alexnet() -> torch.nn.Sequential:
    """AlexNet's layers as torchvision has them, untrained."""
    nn = torch.nn
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip


@pytest.fixture
def backbone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of those weights where torch keeps such files, under a name that holds its hash."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    weights = {f"features.{key}": value for key, value in alexnet().state_dict().items()}
    file = tmp_path / "checkpoints" / "weights.pth"
    file.parent.mkdir()
    torch.save(weights, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    named = file.with_name(f"alexnet-owt-{digest[:8]}.pth")
    file.rename(named)
    monkeypatch.setattr(perceptual, "BACKBONE", named.name)
    return named


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two volumes of 10 slices from -100 to 300, the second with noise."""
    draws = np.random.default_rng(0)
    x = np.arange(64)
    clean = 100 + 200 * np.sin(x / 5)[:, None, None] * np.cos(x[:48] / 7)[None, :, None]
    clean = np.repeat(clean, 10, axis=2)
    return clean, clean + draws.normal(0, 40, clean.shape)


@needs_learned_weights
def test_it_is_what_torchmetrics_computes(
    backbone: Path, pair: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = pytest.importorskip("torchmetrics.functional.image.lpips")
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda *_: alexnet())
    network = theirs._LPIPS(net="alex")
    slices = [
        torch.tensor(np.clip((a + 100) / 200 - 1, -1, 1).transpose(2, 0, 1)).float() for a in pair
    ]
    with torch.inference_mode():
        each = network(*(s[:, None].expand(-1, 3, -1, -1) for s in slices)).flatten()
    found = lpips(*pair, data_range=400, low=-100, spacing=(1, 1, 3))
    assert found == pytest.approx(float(each.mean()), rel=1e-5)
    assert found > 1e-3


@needs_learned_weights
def test_what_a_distance_is(backbone: Path, pair: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = (a[..., 0] for a in pair)
    ranged = {"data_range": 400.0, "low": -100.0}
    assert lpips(clean, clean, **ranged) == 0
    one, other = lpips(clean, noisy, **ranged), lpips(noisy, clean, **ranged)
    assert one == pytest.approx(other, rel=1e-6)
    assert lpips(clean, clean + 0.25 * (noisy - clean), **ranged) < one
    # A scan in other units, by its range in these, is the same picture.
    scaled = lpips(3 * clean - 7, 3 * noisy - 7, data_range=1200, low=-307)
    assert scaled == pytest.approx(one, rel=1e-4)
    # Beyond the range all is alike.
    assert lpips(clean + 5000, noisy + 5000, **ranged) == 0


def test_small_slices() -> None:
    with pytest.raises(ParameterError, match="32 x 32"):
        lpips(np.zeros((20, 40)), np.ones((20, 40)), data_range=1, low=0)


def test_without_the_package_or_the_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = np.zeros((40, 40))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    if importlib.util.find_spec("torchmetrics") is not None:
        with pytest.raises(MissingDependency, match=r"233 MB.*put https://") as said:
            lpips(image, image, data_range=1, low=0)
        assert str(tmp_path) not in str(said.value)  # it may be a user's home
    monkeypatch.setattr(perceptual, "find_spec", lambda _: None)
    with pytest.raises(MissingDependency, match=r'pip install "meddenoise\[lpips\]"'):
        lpips(image, image, data_range=1, low=0)


@needs_learned_weights
def test_a_damaged_file_is_not_read(backbone: Path) -> None:
    whole = backbone.read_bytes()
    backbone.write_bytes(whole[:-1])
    with pytest.raises(MissingDependency, match=r"are damaged: get https:.* again"):
        lpips(np.zeros((40, 40)), np.ones((40, 40)), data_range=1, low=0)
