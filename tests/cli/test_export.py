from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import meddenoise as md
from meddenoise.networks import build_network

needed = pytest.mark.skipif(
    importlib.util.find_spec("onnxscript") is None, reason="the extra onnx is not installed"
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    info = {"network": {"name": "unet", "dims": 2, "options": {"channels": [2, 3]}}}
    network = build_network("unet", dims=2, channels=[2, 3])
    return md.Denoiser(network, dims=2, info=info, device="cpu").save(tmp_path / "m.safetensors")


@needed
def test_a_model_becomes_onnx(cli: Any, model: Path, tmp_path: Path) -> None:
    done = cli("export", model, tmp_path / "m.onnx")
    assert done.status == 0, done.err
    assert f"{tmp_path / 'm.onnx'}  the network unet, for ONNX" in done.out
    assert (tmp_path / "m.onnx").stat().st_size > 1000
    again = cli("export", model, tmp_path / "m.onnx")
    assert again.status == 2
    assert "exists: choose another name, or say --overwrite" in again.err
    assert cli("export", model, tmp_path / "m.onnx", "--overwrite").status == 0


def test_what_is_no_onnx_and_what_is_no_model(cli: Any, model: Path, tmp_path: Path) -> None:
    done = cli("export", model, tmp_path / "m.pt")
    assert done.status == 2
    assert "does not end in .onnx" in done.err
    (tmp_path / "no.safetensors").write_text("nothing")
    assert cli("export", tmp_path / "no.safetensors", tmp_path / "m.onnx").status == 2
    assert not (tmp_path / "m.onnx").exists()


def test_a_missing_library_is_said(
    cli: Any, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = cli("export", model, tmp_path / "m.onnx")
    assert done.status == 2
    assert 'pip install "meddenoise[onnx]"' in done.err
