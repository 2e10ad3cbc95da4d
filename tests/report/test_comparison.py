from __future__ import annotations

from pathlib import Path

import numpy as np

from meddenoise.report.comparison import Panel, comparison
from meddenoise.volume import Volume


def test_any_label_is_shown(tmp_path: Path) -> None:
    noisy = Volume.from_array(np.random.default_rng(0).normal(0, 3, (16, 16, 8)))
    panels = [Panel(name, noisy) for name in ("noisy", r"cost $\foo{$", "_mine")]
    made = comparison(tmp_path / "a.png", {r"$\sigma{$ 3": panels})
    assert made.read_bytes().startswith(b"\x89PNG")
