from __future__ import annotations

from typing import Any

import pytest
import torch

from meddenoise.devices import choose_device, fast_layout, has_fast_bf16
from meddenoise.errors import ParameterError
from meddenoise.networks import build_network
from meddenoise.training.accelerator import make_accelerator


@pytest.mark.parametrize(
    ("can", "fast"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False)],
)
def test_a_cpu_computes_in_bf16_if_it_can_natively(
    monkeypatch: pytest.MonkeyPatch, can: dict[str, bool], fast: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can, raising=False)
    assert has_fast_bf16(torch.device("cpu")) is fast
    chosen = make_accelerator("auto", "cpu").mixed_precision
    assert chosen == ("bf16" if fast else "no")
    assert make_accelerator("fp32", "cpu").mixed_precision == "no"


def test_a_torch_that_cannot_tell_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not has_fast_bf16(torch.device("cpu"))


def test_no_such_device() -> None:
    with pytest.raises(ParameterError, match="no device 'warp'"):
        choose_device("warp")


@pytest.mark.parametrize("dims", [2, 3])
def test_the_layout_changes_no_value(dims: int) -> None:
    options: dict[str, Any] = {"dims": dims, "channels": [3, 4]}
    network = build_network("unet", **options)
    same = build_network("unet", **options)
    same.load_state_dict(network.state_dict())
    laid = fast_layout(same, dims)
    weight = next(p for p in laid.parameters() if p.ndim == dims + 2 and p.shape[1] > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last if dims == 2
                                else torch.channels_last_3d)  # fmt: skip
    x = torch.randn(1, 1, *(8,) * dims)
    assert torch.allclose(network(x), laid(x), atol=1e-5)
