from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest


def test_tissues_that_each_result_has_for_itself(cli: Any, make_scan: Any) -> None:
    draws = np.random.default_rng(0)
    x = np.minimum(np.arange(60), 59 - np.arange(60)) // 8
    plane = np.array([0, 100, 200, 300])[np.minimum.outer(x, x)]
    clean = np.repeat(plane[..., None], 12, axis=2).astype("f4")
    noisy = clean + draws.normal(0, 5, clean.shape).astype("f4")
    paths = [
        make_scan(f"{name}.nii.gz", array)
        for name, array in (("noisy", noisy), ("same", clean), ("twice", 2 * clean))
    ]
    file = paths[0].with_name("all.json")
    said = cli("evaluate", *paths[1:], "--noisy", paths[0], "--json", file)
    assert (said.status, said.err) == (0, "")
    told = json.loads(file.read_text(), parse_constant=pytest.fail)
    rows = [line.split() for line in said.out.splitlines() if line.startswith("bright")]
    assert len(rows) == 2
    for path, row in zip(paths[1:], rows, strict=True):
        assert f"tissues of {path}" in said.out
        *_, bright = told[str(path)]["without_reference"]["tissues"]["biases"]
        values = [float(v.replace(",", "")) for v in row[2:]]
        wanted = [bright[key] for key in ("low", "voxels", "reference", "bias", "error")]
        assert values == pytest.approx(wanted, rel=0.01)
