from __future__ import annotations

import pytest
import torch

from meddenoise.data.draws import generator
from meddenoise.data.synthetic.band import Band

SHAPE = (40, 40, 40)


def test_an_image_has_the_band_that_its_noise_has() -> None:
    """Beyond it a scan knows nothing of the anatomy, and edges ring."""
    clean = torch.zeros(SHAPE)
    clean[17:] = 30.0
    band = Band(((1.25, 0.0), (1.0, 0.0), (1.0, 0.5)))
    seen = band.image(clean)
    both = torch.cat([seen, seen.flip(0)])
    power = torch.fft.rfft(both, dim=0).abs().square().mean((1, 2))
    end = int(len(power) / 1.25)
    assert float(power[end + 1 :].max()) < 1e-6 * float(power[1:end].max())
    assert float(seen.max()) > 31
    assert float(seen.mean()) == pytest.approx(float(clean.mean()), rel=1e-4)
    assert float((seen[[0, -1]] - clean[[0, -1]]).abs().max()) < 1  # no rings from the borders
    noise = torch.fft.fft(band.noise(clean, generator(0)), dim=0).abs().square().mean((1, 2))
    assert float(noise[17:24].max()) < 1e-6 * float(noise.max())
    flat = torch.full(SHAPE, 7.0)
    torch.testing.assert_close(band.image(flat), flat)
    assert Band(((1.0, 0.0),) * 3).image(clean) is clean
