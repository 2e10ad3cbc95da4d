from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import meddenoise.pretrained
from meddenoise.config import NormaliseConfig
from meddenoise.errors import ModelError
from meddenoise.hashing import file_hash
from meddenoise.inference import Denoiser, read_model_info
from meddenoise.networks import build_network
from meddenoise.pretrained import ship, shipped_dims, shipped_weights
from meddenoise.pretrained.__main__ import main
from meddenoise.pretrained.weights import LARGEST

HOME = Path(meddenoise.pretrained.__file__).parent


def model(path: Path, channels: int = 3, **data: object) -> Path:
    """A model file; ``procedural=...`` says what it was trained on."""
    torch.manual_seed(channels)
    options = {"channels": [channels]}
    info = {"network": {"name": "levelled", "dims": 3, "options": options}, "data": data}
    network = build_network("levelled", dims=3, **options)
    normalise = NormaliseConfig(method="fixed")
    return Denoiser(network, info=info, normalise=normalise, device="cpu").save(path)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A directory with weights of its own."""
    place = tmp_path / "package"
    place.mkdir()
    ship(model(tmp_path / "new.safetensors", procedural={"patch": [8, 8, 8]}), place)
    return place


def test_what_ships_is_whole_small_and_says_where_it_comes_from() -> None:
    assert 3 in shipped_dims()
    total = 0
    for dims in shipped_dims():
        file = shipped_weights(dims)
        info = read_model_info(file)
        assert info["network"]["dims"] == dims
        assert set(info["data"]) == {"procedural"}  # nothing real
        assert info["training"]["steps"] > 1000
        assert {"seed", "seconds", "settings"} <= set(info["training"])
        assert info["software"]["meddenoise"]
        total += file.stat().st_size
    assert total < LARGEST


def test_the_package_takes_its_weights_along() -> None:
    tomllib = pytest.importorskip("tomllib", reason="tomllib comes with Python 3.11")
    told = tomllib.loads((HOME.parents[1] / "pyproject.toml").read_text())
    patterns = told["tool"]["setuptools"]["package-data"]["meddenoise"]
    found = {path for pattern in patterns for path in HOME.parent.glob(pattern)}
    assert HOME / "weights.json" in found
    assert shipped_weights(3) in found


def test_newly_trained_weights_replace_the_old(shipped: Path, tmp_path: Path) -> None:
    before = file_hash(shipped_weights(3, shipped))
    new = model(tmp_path / "better.safetensors", 4, procedural={})
    assert main.__module__ == "meddenoise.pretrained.__main__"
    assert ship(new, shipped) == shipped_weights(3, shipped)
    after = file_hash(shipped_weights(3, shipped))
    assert after == file_hash(shipped / "model_3d.safetensors") != before
    kept, given = load_file(shipped_weights(3, shipped)), load_file(new)
    assert kept.keys() == given.keys()
    for name, weight in kept.items():
        assert weight.dtype == torch.float16
        assert torch.equal(weight, given[name].half())
    assert read_model_info(shipped_weights(3, shipped)) == read_model_info(new)
    assert shipped_dims(shipped) == (3,)


def test_missing_weights_are_named_with_their_hash(shipped: Path) -> None:
    hash_ = json.loads((shipped / "weights.json").read_text())["3"]["sha256"]
    shipped_weights(3, shipped).unlink()
    with pytest.raises(ModelError, match="are missing") as fault:
        shipped_weights(3, shipped)
    assert hash_ in str(fault.value)


def test_altered_weights_are_named_with_both_hashes(shipped: Path) -> None:
    file = shipped_weights(3, shipped)
    right = file_hash(file)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match="their hash is") as fault:
        shipped_weights(3, shipped)
    assert right in str(fault.value)
    assert file_hash(file) in str(fault.value)


@pytest.mark.parametrize(
    "text", ["{", "[1]", "\udcff", '{"3": {}}', '{"3": 5}', '{"a": {"file": "x", "sha256": "y"}}']
)
def test_a_damaged_list(shipped: Path, text: str) -> None:
    (shipped / "weights.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=r"weights\.json"):
        shipped_weights(3, shipped)


def test_no_weights_for_so_many_axes(shipped: Path) -> None:
    with pytest.raises(ModelError, match="No weights for 2-D"):
        shipped_weights(2, shipped)


def test_only_procedural_training_ships(shipped: Path, tmp_path: Path) -> None:
    real = model(tmp_path / "real.safetensors", modality="MR")
    with pytest.raises(ModelError, match="was not trained on procedural anatomy"):
        ship(real, shipped)


def test_the_command_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["pretrained", str(tmp_path / "none.safetensors")])
    assert main() == 2
    assert "cannot be read" in capsys.readouterr().err
