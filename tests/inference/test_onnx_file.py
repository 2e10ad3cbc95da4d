from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import meddenoise as md
from meddenoise.config import NormaliseConfig
from meddenoise.errors import ModelError, OutputError
from meddenoise.inference.onnx_file import PREFIX, write_onnx
from meddenoise.networks import build_network

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def denoiser(name: str, dims: int, *, noise_map: bool = False, **options: Any) -> md.Denoiser:
    torch.manual_seed(0)
    inputs = {"inputs": 2} if noise_map else {}
    network = build_network(name, dims=dims, **options, **inputs)
    for parameter in network.parameters():  # the last layer begins as zeros
        if not parameter.any():
            nn.init.normal_(parameter, 0, 0.1)
    return md.Denoiser(
        network,
        dims=dims,
        info={"network": {"name": name, "dims": dims, "options": options}},
        normalise=NormaliseConfig(method="percentile", low=1.0),
        device="cpu",
        noise_map=noise_map,
    )


@pytest.mark.parametrize(
    ("name", "dims", "noise_map", "options"),
    [
        ("unet", 3, True, {"channels": [4, 6]}),
        ("light", 2, False, {"channels": [4, 6]}),
        ("lapped", 2, False, {"channels": [4, 6]}),
    ],
)
def test_any_size_gives_what_torch_gives(
    tmp_path: Path, name: str, dims: int, noise_map: bool, options: dict[str, Any]
) -> None:
    made = denoiser(name, dims, noise_map=noise_map, **options)
    apart = write_onnx(made, tmp_path / "out.onnx")
    assert apart < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["out.onnx"]
    session = onnxruntime.InferenceSession(
        tmp_path / "out.onnx", providers=["CPUExecutionProvider"]
    )
    multiple = made.compute.multiple
    for factors in ((4, 7, 5), (6, 4, 9)):
        sizes = [f * m for f, m in zip(factors, multiple, strict=False)]
        x = torch.randn(1, 2 if noise_map else 1, *sizes)
        [found] = session.run(None, {"noisy": x.numpy()})
        with torch.no_grad():
            expected = made.network(x).numpy()
        assert expected.std() > 1e-3
        np.testing.assert_allclose(found, expected, atol=1e-4 * float(expected.std()))


def test_the_file_says_how_it_is_run(tmp_path: Path) -> None:
    made = denoiser("unet", 2, channels=[4, 6])
    write_onnx(made, tmp_path / "out.onnx")
    props = {p.key: p.value for p in onnx.load(tmp_path / "out.onnx").metadata_props}
    told = {key.removeprefix(PREFIX): value for key, value in props.items()}
    assert json.loads(told["multiple"]) == list(made.compute.multiple)
    assert json.loads(told["halo"]) == list(made.compute.halo)
    assert json.loads(told["normalise"]) == made.normalise.model_dump(mode="json")
    assert json.loads(told["inputs"]) == 1
    assert json.loads(told["network"])["name"] == "unet"
    assert told["model"] == made.name
    with pytest.raises(OutputError, match="exists"):
        write_onnx(made, tmp_path / "out.onnx")
    # By what it says, a scan comes out as by us.
    scan = np.random.default_rng(0).normal(100, 10, (32, 24)).astype(np.float32)
    from meddenoise.transforms.normalisation import Normalisation

    normalisation = Normalisation.fit(scan, **json.loads(told["normalise"]))
    session = onnxruntime.InferenceSession(
        tmp_path / "out.onnx", providers=["CPUExecutionProvider"]
    )
    [out] = session.run(None, {"noisy": normalisation.apply(scan)[None, None].astype(np.float32)})
    np.testing.assert_allclose(normalisation.invert(out[0, 0]), made.denoise_array(scan), atol=1e-2)


class Unsayable(nn.Module):
    """What it does depends on the values."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if float(x.mean()) > 0 else x


def test_what_onnx_has_no_word_for_is_refused(tmp_path: Path) -> None:
    made = md.Denoiser(Unsayable(), dims=2, device="cpu")
    with pytest.raises(ModelError, match="cannot be written as ONNX"):
        write_onnx(made, tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())
