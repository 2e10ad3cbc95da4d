from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from meddenoise.report.comparison import Panel, comparison
from meddenoise.volume import Volume


def test_any_label_is_shown(tmp_path: Path) -> None:
    noisy = Volume.from_array(np.random.default_rng(0).normal(0, 3, (16, 16, 8)))
    panels = [Panel(name, noisy) for name in ("noisy", r"cost $\foo{$", "_mine")]
    made = comparison(tmp_path / "a.png", {r"$\sigma{$ 3": panels})
    assert made.read_bytes().startswith(b"\x89PNG")


def test_a_voxel_that_one_method_lost_does_not_blank_the_residuals(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    clean = np.zeros((1, 24, 24, 12), np.float32)
    clean[:, 8:16, 8:16] = 100
    noisy = clean + draws.normal(0, 5, clean.shape).astype(np.float32)
    lost = clean.copy()
    lost[0, 0, 0, 0] = np.nan
    made = []
    for name, first in (("whole", clean), ("lost", lost)):
        panels = [
            Panel(label, Volume(array, np.eye(4)))
            for label, array in (("truth", clean), ("noisy", noisy), ("a", first), ("b", clean))
        ]
        with Image.open(comparison(tmp_path / f"{name}.png", {"5 %": panels})) as image:
            made.append(np.asarray(image.convert("L"), dtype=float))
    whole, told = made
    below = whole.shape[0] // 2 + 60
    assert told[below:].std() > 10
    # The voxel lies outside of the cut, so that nothing else differs.
    assert np.abs(told - whole).mean() < 0.1
