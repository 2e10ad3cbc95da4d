from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml


def test_a_run_on_one_scan(cli: Any, tiny: Any, scan: Path) -> None:
    run = scan.parent / "runs/mine"
    said = cli(*tiny(f"data.images={scan}"), "-o", run)
    assert said.status == 0, said.err
    assert "Trained 2 steps" in said.out
    assert "PSNR" not in said.out  # there is no truth
    assert "truth" not in said.out
    files = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert files == {"config.yaml", "splits.json", "model.safetensors", "checkpoint", "log.jsonl",
                     "metrics.json", "preview.png", "denoised", "provenance.json"}  # fmt: skip
    assert [path.name for path in (run / "denoised").iterdir()] == ["scan.nii.gz"]
    for name in files & set(said.out.split()):
        assert (run / name).exists()
    metrics = json.loads((run / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert metrics["train"]["steps"] == 2
    assert metrics["train"]["voxels_per_second"] > 0
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    assert resolved["data"]["images"] == str(scan)
    again = scan.with_name("again.nii.gz")
    assert cli("denoise", scan, again, "--model", run / "model.safetensors").status == 0
    assert again.read_bytes() == (run / "denoised/scan.nii.gz").read_bytes()


def test_injected_noise_is_scored_against_the_scan(cli: Any, tiny: Any, scan: Path) -> None:
    run = scan.parent / "run"
    noise = ("noise.name=gaussian", "noise.sigma=20%")
    said = cli(*tiny(f"data.images={scan}", *noise), "-o", run)
    assert said.status == 0, said.err
    assert "Test PSNR " in said.out
    assert "SSIM " in said.out
    assert "residual | truth" in said.out
    test = json.loads((run / "metrics.json").read_text())["test"]
    assert set(test["noisy"]) == {"psnr", "ssim", "rmse", "mae"} == set(test["denoised"])
    for part in ("noisy", "truth", "denoised"):
        assert (run / part / "scan.nii.gz").is_file()


def test_scans_too_small_for_ssim_still_train(cli: Any, tiny: Any, make_scan: Any) -> None:
    scan = make_scan(array=np.random.default_rng(0).normal(9, 1, (8, 8, 8)).astype(np.float32))
    words = tiny(f"data.images={scan}", "noise.name=gaussian", "noise.sigma=1")
    said = cli(*words, "-o", scan.parent / "run")
    assert said.status != 0
    assert "data.patch: 12 x 12 x 8 voxels do not fit into scan, which has 8 x 8 x 8" in said.err
    assert "give data.patch=[8,8,8]" in said.err
    assert not (scan.parent / "run").exists()
    said = cli(*words, "--set", "data.patch=[8,8,8]", "-o", scan.parent / "run")
    assert said.status == 0, said.err
    assert "Test PSNR" in said.out
    assert "SSIM" not in said.out


def test_a_run_is_not_replaced_or_resumed_unasked(
    cli: Any, tiny: Any, scan: Path, contents: Any
) -> None:
    run = scan.parent / "run"
    words = (*tiny(f"data.images={scan}"), "-o", run)
    assert cli(*words).status == 0
    before = contents(run)
    said = cli(*words)
    assert said.status == 2
    assert "--resume" in said.sentence
    assert "--overwrite" in said.sentence
    assert contents(run) == before
    longer = cli(*words, "--set", "training.steps=3", "--resume")
    assert longer.status == 2
    assert "another configuration (training.steps was 2 and is 3): resume" in longer.sentence
    assert contents(run)["config.yaml"] == before["config.yaml"]
    assert cli(*words, "--resume").status == 0  # finished already: tests again
    assert contents(run)["model.safetensors"] == before["model.safetensors"]
    assert cli(*words, "--overwrite").status == 0
    assert not list(scan.parent.glob(".*"))


def test_a_run_that_is_being_written_is_not_replaced(
    cli: Any, tiny: Any, scan: Path, contents: Any
) -> None:
    from meddenoise.training.lock import run_lock

    run = scan.parent / "run"
    words = (*tiny(f"data.images={scan}"), "-o", run)
    assert cli(*words).status == 0
    before = contents(scan.parent)
    for more in ("--overwrite", "--resume"):
        with run_lock(run):
            said = cli(*words, more)
        assert said.status == 2
        assert "Another run is writing" in said.sentence
        assert contents(scan.parent) == before


def test_a_run_that_cannot_be_leaves_things_as_they_were(
    cli: Any, tiny: Any, scan: Path, contents: Any
) -> None:
    run = scan.parent / "run"
    impossible = (*tiny(f"data.images={scan}", "trainer.name=supervised"), "-o", run)
    said = cli(*impossible)
    assert said.status == 2
    assert "clean partners" in said.sentence
    assert not run.exists()
    assert cli(*tiny(f"data.images={scan}"), "-o", run).status == 0
    before = contents(scan.parent)
    assert cli(*impossible, "--overwrite").status == 2
    assert contents(scan.parent) == before


def test_ctrl_c_saves_and_resume_goes_on(
    cli: Any, tiny: Any, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meddenoise.training import Noise2VoidTrainer

    run, step = scan.parent / "run", Noise2VoidTrainer.training_step
    words = (*tiny(f"data.images={scan}", "training.steps=6"), "-o", run)

    def stopping(self: Any, network: Any, batch: Any, draws: Any) -> Any:
        if draws.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, network, batch, draws)

    with monkeypatch.context() as patched:
        patched.setattr(Noise2VoidTrainer, "training_step", stopping)
        said = cli(*words)
    assert said.status == 130
    assert "Stopped at step 3 of 6" in said.err
    assert "--resume" in said.err
    assert (run / "checkpoint").is_dir()
    assert not (run / "model.safetensors").exists()
    assert cli(*words, "--resume").status == 0
    whole = (*words[:-1], scan.parent / "whole")
    assert cli(*whole).status == 0
    one, other = (json.loads((d / "metrics.json").read_text()) for d in (run, whole[-1]))
    assert one["validation"] == other["validation"]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["data.images=none.nii.gz"], "none.nii.gz"),
        (["data.images=sample:hed"], "sample"),
        (["data.imagse=x"], "images"),
        (["training.steps=0"], "training.steps"),
        (["data.patch=[8,8]", "inference.tile=[8,8,8]"], "inference.tile"),
        (["network.name=unit"], "did you mean 'unet'"),
        (["training.precision=fp16"], "fp16"),
        (["training.trackers=[excel]"], "trackers"),
        (["data.targets=none.nii.gz"], "none.nii.gz"),
    ],
)
def test_an_impossible_configuration_leaves_nothing(
    cli: Any, tiny: Any, scan: Path, contents: Any, overrides: list[str], told: str
) -> None:
    words = tiny(f"data.images={scan}", *overrides)
    before = contents(scan.parent)
    said = cli(*words, "-o", scan.parent / "run")
    assert said.status == 2
    assert told in said.sentence
    assert contents(scan.parent) == before
    assert not (scan.parent / "run").exists()


@pytest.mark.parametrize("kind", ["constant", "no voxel", "text", "flat"])
def test_scans_that_nothing_can_be_learned_from(
    cli: Any, tiny: Any, make_scan: Any, tmp_path: Path, kind: str
) -> None:
    from PIL import Image

    scan = tmp_path / "scan.nii.gz"
    if kind == "constant":
        make_scan(array=np.full((16, 16, 16), 5, np.float32))
    elif kind == "no voxel":
        make_scan(array=np.full((16, 16, 16), np.nan, np.float32))
    elif kind == "text":
        scan.write_text("hello")
    else:
        scan = tmp_path / "image.png"
        Image.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20)).save(scan)
    said = cli(*tiny(f"data.images={scan}"), "-o", tmp_path / "run")
    assert said.status == 2
    assert "scan" in said.sentence or "image" in said.sentence
    assert not (tmp_path / "run").exists()


def test_a_damaged_test_scan_is_found_before_training(
    cli: Any, tiny: Any, make_scan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meddenoise.workflows import train

    for number in range(4):
        make_scan(f"in/{number}.nii.gz")
    said = cli(*tiny(f"data.images={tmp_path}/in"), "-o", tmp_path / "run")
    assert said.status == 0, said.err
    (tested,) = json.loads((tmp_path / "run/splits.json").read_text())["test"]
    damaged = Path(tested["image"])
    damaged.write_bytes(damaged.read_bytes()[:900])
    monkeypatch.setattr(train, "fit_prepared", lambda *_, **__: pytest.fail("it was trained"))
    said = cli(*tiny(f"data.images={tmp_path}/in"), "-o", tmp_path / "again")
    assert said.status == 2
    assert damaged.name in said.sentence
    assert not (tmp_path / "again").exists()


def test_places_that_are_no_run(
    cli: Any, tiny: Any, scan: Path, make_series: Any, contents: Any
) -> None:
    before_run = scan.parent / "things"
    (before_run / "more").mkdir(parents=True)
    (before_run / "more/thesis.txt").write_text("years of work")
    series = make_series()
    words = tiny(f"data.images={scan}")
    before = contents(scan.parent)
    for place, images in (
        (scan, scan), (scan.parent, scan), (before_run, scan), (scan / "run", scan),
        (series, series),
    ):  # fmt: skip
        for more in ((), ("--overwrite",), ("--resume",)):
            said = cli(*words, "--set", f"data.images={images}", "-o", place, *more)
            assert said.status == 2, (place, more)
            assert place.name in said.sentence
            assert contents(scan.parent) == before


def test_pairs(cli: Any, tiny: Any, make_scan: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        clean = np.kron(rng.uniform(0, 100, (4, 4, 4)), np.ones((4, 4, 4))).astype(np.float32)
        make_scan(f"clean/{name}.nii.gz", clean)
        make_scan(f"noisy/{name}.nii.gz", clean + rng.normal(0, 9, clean.shape).astype("f4"))
    words = tiny(
        f"data.images={tmp_path}/noisy", f"data.targets={tmp_path}/clean", "trainer.name=supervised"
    )
    said = cli(*words, "-o", tmp_path / "run")
    assert said.status == 0, said.err
    assert "Test PSNR" in said.out
    (tmp_path / "clean/b.nii.gz").unlink()
    said = cli(*words, "-o", tmp_path / "other")
    assert said.status == 2
    assert "2 scans and data.targets 1" in said.sentence
