from __future__ import annotations

import pytest
import torch

from meddenoise.inference import layout
from meddenoise.networks import build_network


def test_the_quicker_layout_is_taken_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_network("unet", dims=3, channels=[4, 8]).eval()
    x = torch.randn(1, 1, 8, 8, 8)
    asked: list[torch.memory_format] = []

    def seconds(_: object, __: object, which: torch.memory_format) -> float:
        asked.append(which)
        return 1.0 if which is torch.channels_last_3d else 2.0

    monkeypatch.setattr(layout, "_seconds", seconds)
    monkeypatch.setattr(layout, "_known", {})
    with torch.inference_mode():
        before = network(x)
        for _ in range(2):
            assert layout.quicker_layout(network, x) is torch.channels_last_3d
        assert len(asked) == 2  # the second time nothing is measured
        weights = [p for p in network.parameters() if p.ndim == 5 and p.shape[1] > 1]
        assert all(w.is_contiguous(memory_format=torch.channels_last_3d) for w in weights)
        assert torch.allclose(network(x), before, atol=1e-5)
        layout.quicker_layout(network, torch.randn(1, 1, 16, 8, 8))
    assert len(asked) == 4


def test_a_measurement_runs_the_network() -> None:
    network = build_network("unet", dims=2, channels=[4, 8]).eval()
    with torch.inference_mode():
        found = layout.quicker_layout(network, torch.randn(2, 1, 16, 16))
    assert found in (torch.contiguous_format, torch.channels_last)
