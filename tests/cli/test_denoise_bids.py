from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def test_a_bids_dataset(cli: Any, bids: Path, tmp_path: Path, models: dict[int, Path]) -> None:
    out = tmp_path / "out"
    words = ("denoise", bids, out, "--bids", "--participant", "sub-02", "--participant", "01")
    said = cli(*words, "--model", models[2], "--device", "cpu")
    assert (said.status, said.err) == (0, "")
    assert said.out.count(" -> ") == 7
    assert "T1map.nii.gz\n  Passed over: anat of kind T1map is no image" in said.out
    assert (out / "sub-01/anat/sub-01_desc-denoised_T1w.nii.gz").is_file()
    told = json.loads((out / "dataset_description.json").read_text())
    assert told["GeneratedBy"][0]["Description"].startswith("Denoised with model2.safetensors ")
    assert str(tmp_path) not in json.dumps(told)


def test_failures_are_told_and_counted(cli: Any, bids: Path, tmp_path: Path) -> None:
    (bids / "sub-01/anat/sub-01_T1w.nii.gz").write_bytes(b"")
    words = ("denoise", bids, tmp_path / "out", "--bids", "--method", "median")
    said = cli(*words)
    assert said.status == 2
    assert said.err.splitlines()[-1] == "meddenoise: 1 of 7 scans failed."
    assert "sub-01_T1w.nii.gz is empty" in said.err
    told = json.loads(cli(*words, "--overwrite", "--json").out)
    assert sum(outcome["output"] is not None for outcome in told) == 6


def test_what_makes_no_sense(cli: Any, bids: Path, scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    method = ("--method", "median")
    for words, told in (
        ((scan, out, "--participant", "01"), "say --bids as well"),
        ((bids, out, "--bids", "--series", "1"), "--series chooses in DICOM"),
        ((bids, out, "--bids", "--participant", "9"), "no participant 9"),
        ((bids.parent, out, "--bids"), "no dataset_description.json"),
        ((bids, bids, "--bids"), "lies in the raw dataset"),
    ):
        said = cli("denoise", *words, *method)
        assert said.status == 2
        assert told in said.sentence
        assert not out.exists()
    said = cli("denoise", bids, out, "--bids", *method, "--compress", "rle")
    assert said.status == 2
    assert "DICOM only" in said.err
    assert "7 of 7 scans failed" in said.err
