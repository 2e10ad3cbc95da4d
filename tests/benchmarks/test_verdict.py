"""The judge of the fidelity table finds what is wrong, and nothing where all is right."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "files" / "verdict.py"


@pytest.fixture(scope="module")
def verdict() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fidelity_verdict", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fidelity_verdict"] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


ARRAY = np.arange(1, 61, dtype=np.int16).reshape(3, 4, 5)
AFFINE = np.array([[0.0, -2, 0, 5], [1, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]])


def judged(verdict: ModuleType, place: Path, array: np.ndarray, affine: np.ndarray) -> str:
    np.savez(place / "volumes.npz", array0=array, affine0=affine)
    truth = verdict.Placed.of(ARRAY, AFFINE)
    case = verdict.Case("group", "case", "nifti", place / "scan.nii", (truth,), "tilt")
    found = verdict.judge(case, place, "done")
    return f"{found.kind}: {found.text}"


def test_the_truth_is_right_on_any_axes(verdict: ModuleType, tmp_path: Path) -> None:
    assert judged(verdict, tmp_path, ARRAY, AFFINE) == "right: "
    flipped = AFFINE @ [[-1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert judged(verdict, tmp_path, ARRAY[::-1], flipped) == "right: "
    turned = AFFINE[:, [2, 0, 1, 3]]
    assert judged(verdict, tmp_path, ARRAY.transpose(2, 0, 1), turned) == "right: "


@pytest.mark.parametrize(
    ("array", "affine", "text"),
    [
        (ARRAY[::-1], AFFINE, "wrong: voxels up to 2 mm out of place"),
        (ARRAY, AFFINE + np.eye(4, k=3) * 0.5,
         "wrong: voxels up to 0.5 mm out of place"),
        (ARRAY[..., :4], AFFINE, "wrong: 4 of 5 slices"),
        (ARRAY * 2, AFFINE, "wrong: values 2 to 120 instead of 1 to 60"),
        (ARRAY[..., None].repeat(3, -1), AFFINE, "wrong: read as 3x4x5x3"),
        (ARRAY, AFFINE * np.nan, "wrong: an affine that puts voxels nowhere"),
    ],
)  # fmt: skip
def test_faults_are_found(
    verdict: ModuleType, tmp_path: Path, array: np.ndarray, affine: np.ndarray, text: str
) -> None:
    assert judged(verdict, tmp_path, array, affine) == text
    (tmp_path / "said").write_text("Warning: gantry TILT")
    assert judged(verdict, tmp_path, array, affine) == text.replace("wrong", "warns", 1)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (("FileError", "scan.nii is damaged"), "refuses", ""),
        (("ValueError", "there is a tilt"), "refuses", ""),
        (("ValueError", "no"), "refuses", "does not say why"),
        (("KeyError", "'x'"), "traceback", "KeyError"),
    ],
)
def test_refusals_are_told_from_mistakes(
    verdict: ModuleType, tmp_path: Path, error: tuple[str, str], kind: str, text: str
) -> None:
    (tmp_path / "error.json").write_text(json.dumps(error))
    case = verdict.Case("group", "case", "nifti", tmp_path / "scan.nii", (), "tilt")
    found = verdict.judge(case, tmp_path, "done")
    assert (found.kind, found.text) == (kind, text)
    assert verdict.judge(case, tmp_path, "signal 11").kind == "crash"
    assert verdict.judge(case, tmp_path, "hang").kind == "hang"


def test_what_has_no_truth_cannot_be_read_right(verdict: ModuleType, tmp_path: Path) -> None:
    np.savez(tmp_path / "volumes.npz", array0=ARRAY, affine0=AFFINE)
    case = verdict.Case("group", "truncated", "nifti", tmp_path / "scan.nii")
    assert verdict.judge(case, tmp_path, "done").kind == "wrong"
