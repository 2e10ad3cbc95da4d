from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import ParameterError
from meddenoise.training.refine import Refined
from meddenoise.workflows.denoise import denoise_files


def error(volume: md.Volume, clean: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(volume.array[0] - clean))))


def run(volume: md.Volume, **how: Any) -> tuple[md.Volume, str]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = md.denoise(volume, **how)
    return result, " ".join(str(w.message) for w in said)


@pytest.mark.parametrize("kind", ["white", "rician"])
def test_with_time_it_is_better_than_at_once(scans: Any, kind: str) -> None:
    at_once, _ = run(scans.scan(kind))
    longer, _ = run(scans.scan(kind), adapt=4)
    assert error(longer, scans.anatomy()) < error(at_once, scans.anatomy())
    assert "adapted for 4 s" in longer.history[-1]


def test_a_picture(scans: Any) -> None:
    whole = scans.scan("white")
    picture = md.Volume.from_array(np.ascontiguousarray(whole.array[0, :, :, 20]))
    clean = scans.anatomy()[..., 20]
    at_once, _ = run(picture)
    longer, _ = run(picture, adapt=2)
    assert error(longer, clean) < error(at_once, clean)


def test_nothing_is_learnt_from_correlated_noise(scans: Any) -> None:
    at_once, _ = run(scans.scan("along x"))
    longer, said = run(scans.scan("along x"), adapt=4)
    assert "the training is left out" in said
    assert error(longer, scans.anatomy()) < error(at_once, scans.anatomy())
    assert "in the mean with bm4d" in longer.history[-1]
    assert "adapted" not in longer.history[-1]


def test_that_nothing_was_learnt_is_said(scans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = md.Volume.from_array(scans.scan("white").array[0, 8:48, 8:48])
    _, said = run(small, adapt=4)
    assert "Nothing was learnt from the scan itself" in said

    def no_better(array: np.ndarray, first: Any, **how: Any) -> Refined:
        return Refined(first(array, 1.0), 5, -0.1, refined=False)

    monkeypatch.setattr("meddenoise.training.refine.refine", no_better)
    _, said = run(small, adapt=4)
    assert "no better on the part that was held out" in said


def test_the_same_of_several_channels_is_said_once(scans: Any, tmp_path: Path) -> None:
    scan = scans.scan("along x")
    both = md.Volume(np.concatenate([scan.array, scan.array]), np.eye(4))
    source = md.write(both, tmp_path / "scan.nii.gz")
    (outcome,) = denoise_files(source, tmp_path / "clean.nii.gz", adapt=1)
    assert len([note for note in outcome.notes if "the training is left out" in note]) == 1


def test_what_was_done_to_each_channel_is_noted(scans: Any) -> None:
    both = np.concatenate([scans.scan(kind).array for kind in ("white", "along x")])
    result, _ = run(md.Volume(both, np.eye(4)), adapt=4)
    assert result.history[-1].endswith(", adapted for 4 s, in the mean with bm4d")


def test_progress_ends_at_1(scans: Any) -> None:
    seen: list[float] = []
    md.denoise(scans.scan("white"), adapt=3, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"adapt": 0.0}, "above 0"),
        ({"adapt": float("nan")}, "above 0"),
        ({"adapt": 60.0, "method": "bm4d"}, "for the network that ships"),
        ({"adapt": 60.0, "model": "model.safetensors"}, "for the network that ships"),
    ],
)
def test_what_does_not_go_together(how: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        md.denoise(np.zeros((20, 20, 20), np.float32), **how)
