from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.config.benchmark import load_benchmark
from meddenoise.errors import ConfigError, OutputError, ParameterError
from meddenoise.filters import register_filter, registry
from meddenoise.workflows.benchmark import NOISY, benchmark

QUICK = ["training.steps=2", "data.patch=[16,16,8]", "inference.flips=false"]
N2V = str(Path(__file__).resolve().parents[2] / "configs" / "mri_n2v.yaml")


def plan(**more: Any) -> dict[str, Any]:
    return {
        "data": {"images": "sample:head:2", "crop": [32, 32, 24]},
        "noise": [{"name": "gaussian", "sigma": "10%"}],
        "methods": [{"filter": "median"}, {"filter": "gaussian"}],
        **more,
    }


def test_the_same_noise_for_all_methods_and_the_best_is_seen(tmp_path: Path) -> None:
    methods = [{"filter": "identity"}, {"filter": "bm4d"}]
    done = benchmark(plan(methods=methods), output=tmp_path / "out")
    told = json.loads((done.directory / "benchmark.json").read_text())
    psnr = {(c["method"], c["volume"]): c["metrics"]["psnr"] for c in told["cells"]}
    assert set(psnr) == {(m, f"head-{k}") for m in (NOISY, "identity", "bm4d") for k in (0, 1)}
    for volume in ("head-0", "head-1"):
        assert psnr["identity", volume] == psnr[NOISY, volume]  # nothing is noised again
        assert psnr["bm4d", volume] > psnr[NOISY, volume] + 3
    rows = {row["method"]: row for row in told["summary"]}
    gain = rows["bm4d"]["psnr_gain"]["difference"]
    assert gain["value"] == pytest.approx(
        np.mean([psnr["bm4d", f"head-{k}"] - psnr["identity", f"head-{k}"] for k in (0, 1)])
    )
    assert rows["identity"]["psnr_gain"] is None
    assert rows["bm4d"]["psnr_gain"]["p_value"] is None  # two volumes are no test
    with (done.directory / "benchmark.csv").open() as file:
        assert [row["method"] for row in csv.DictReader(file)].count("bm4d") == 2
    table = (done.directory / "benchmark.md").read_text()
    assert f"| bm4d | {rows['bm4d']['psnr']['value']:.2f}" in table
    assert "Gaussian sigma 1.5" in table
    assert (done.directory / "comparison.png").stat().st_size > 10_000
    made = json.loads((done.directory / "provenance.json").read_text())
    assert made == told["run"]
    assert (made["seed"], made["models"]) == (told["config"]["seed"], {})
    assert made["versions"]["numpy"]
    # The same plan has the same noise on the same scans; another seed has not.
    hashes = made["data"]
    assert len(set(hashes.values())) == 2
    assert all(value.startswith("sha256:") for value in hashes.values())
    for seed, same in ((told["config"]["seed"], True), (7, False)):
        again = benchmark(plan(seed=seed, methods=methods[:1]), output=tmp_path / f"s{seed}")
        file = again.directory / "provenance.json"
        assert (json.loads(file.read_text())["data"] == hashes) is same


def test_a_training_on_each_scan_and_one_on_its_own_data(tmp_path: Path) -> None:
    methods = [
        {"train": N2V, "set": QUICK, "label": "each"},
        {"train": N2V, "set": QUICK, "on": "own", "label": "once"},
    ]
    done = benchmark(plan(methods=methods), output=tmp_path / "out")
    assert not done.failed
    each, once = ([c for c in done.cells if c.method == m] for m in ("each", "once"))
    assert len(each) == len(once) == 2
    assert all(c.megabytes and c.training_seconds for c in (*each, *once))
    assert once[0].training_seconds == once[1].training_seconds


@pytest.mark.parametrize(
    ("injected", "left"),
    [
        (["noise.name=gaussian", "noise.sigma=10%"], ["noise.stabilise=none"]),
        (
            ["noise.name=noncentral_chi", "noise.sigma=10%", "noise.coils=2",
             "noise.stabilise=rician"],
            ["noise.coils=2", "noise.stabilise=rician"],
        ),
    ],
)  # fmt: skip
def test_the_noise_of_a_configuration_is_not_added_to_what_is_noisy(
    tmp_path: Path, injected: list[str], left: list[str]
) -> None:
    methods = [
        {"train": N2V, "set": [*QUICK, *settings], "label": label}
        for label, settings in (("injects", injected), ("does not", left))
    ]
    data = {"images": "sample:head", "crop": [32, 32, 24]}
    added = [{"name": "noncentral_chi", "sigma": "10%", "coils": 2}]
    done = benchmark(plan(methods=methods, data=data, noise=added), output=tmp_path / "out")
    assert not done.failed
    psnr = {cell.method: cell.metrics["psnr"] for cell in done.cells if cell.metrics}
    assert psnr["injects"] == psnr["does not"]


def test_measured_pairs_a_model_and_several_noises(tmp_path: Path) -> None:
    run = md.train(N2V, overrides=QUICK, output=tmp_path / "run", progress=False)
    assert run is not None
    draws = np.random.default_rng(0)
    clean = draws.normal(100, 20, (20, 20, 16)).astype(np.float32)
    for name, array in (("clean", clean), ("noisy", clean + draws.normal(0, 5, clean.shape))):
        md.write(md.Volume.from_array(array.astype(np.float32)), tmp_path / f"{name}.nii.gz")
    pairs = {"images": str(tmp_path / "noisy.nii.gz"), "targets": str(tmp_path / "clean.nii.gz")}
    model = {"model": str(run.directory / "model.safetensors")}
    done = benchmark(
        plan(data=pairs, noise=[], methods=[model], window=[100, 200]), output=tmp_path / "pairs"
    )
    noisy = next(c for c in done.cells if c.method == NOISY)
    assert noisy.metrics["window"] == [100, 200]
    assert noisy.metrics["rmse"] == pytest.approx(5, rel=0.1)
    noises = [{"name": "gaussian", "sigma": "5%"}, {"name": "gaussian", "sigma": "10%"}]
    done = benchmark(plan(noise=noises), output=tmp_path / "noises")
    assert "## All noises" in done.table
    levels = {c.noise: c.metrics["psnr"] for c in done.cells if c.method == NOISY}
    assert levels["gaussian, sigma 5%"] - levels["gaussian, sigma 10%"] == pytest.approx(
        6.02, abs=1
    )


def test_a_method_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    array = draws.normal(100, 20, (2, 12, 12, 12)).astype(np.float32)
    md.write(md.Volume.from_array(array), tmp_path / "four.nii.gz")
    data = {"images": str(tmp_path / "four.nii.gz")}
    methods = [{"filter": "median"}, {"train": N2V, "set": ["data.patch=[12,12]", *QUICK[:1]]},
               {"filter": "patch2self", "options": {"b_values": "missing.bval"}}]  # fmt: skip
    done = benchmark(plan(data=data, methods=methods), output=tmp_path / "out")
    assert {cell.method for cell in done.failed} == {"patch2self"}
    assert "## No result" in done.table
    assert len([c for c in done.cells if c.method == "median" and not c.error]) == 1


def test_a_result_that_cannot_be_scored_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry._FILTERS, "_parts", dict(registry._FILTERS._parts))

    @register_filter("test_lost")
    def lost(array: np.ndarray, *, spacing: Sequence[float], sigma_noise: Any = None) -> np.ndarray:
        """Nothing is left."""
        return np.full_like(array, np.nan)

    methods = [{"filter": "median"}, {"filter": "test_lost"}, {"filter": "gaussian"}]
    done = benchmark(plan(methods=methods), output=tmp_path / "out")
    assert [cell.method for cell in done.failed] == ["test_lost"] * 2
    assert "made values that are not finite" in done.failed[0].error
    assert "| test_lost (2 failed) |" in done.table
    assert "| gaussian |" in done.table


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"methods": [{"filter": "medain"}]}, "did you mean 'median'"),
        ({"methods": [{"filter": "median", "options": {"sise": 3}}]}, "sise"),
        ({"methods": [{"filter": "median"}, {"filter": "median"}]}, "label"),
        ({"methods": [{"filter": "median", "label": "noisy"}]}, "another label"),
        ({"methods": [{"filter": "median", "label": "truth"}]}, "another label"),
        ({"methods": [{"filter": "median", "model": "a"}]}, "one of filter, model and train"),
        ({"methods": [{"model": "missing.safetensors"}]}, "missing.safetensors"),
        ({"methods": []}, "at least"),
        ({"methods": [{"filter": "median", "budget": 3}]}, "budget is for the filter auto"),
        ({"methods": [{"filter": "median", "stabilise": "rice"}]}, "did you mean 'rician'"),
        ({"noise": []}, "nothing to score against"),
        (
            {"data": {"images": "sample:head", "crop": [999, 8, 8]}},
            r"head-0 of \[128, 160, 128\] voxels: say --set data\.crop=\[128,8,8\], or .*=null",
        ),
        ({"data": {"images": "sample:head", "crop": [9, 8]}}, r"data\.crop=\[9,8,128\]"),
        ({"data": {"images": "sample:head", "targets": "sample:head"}}, "data.targets"),
        ({"windwo": [0, 1]}, "did you mean 'window'"),
    ],
)
def test_what_makes_no_sense_is_said_before_the_work(
    tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        benchmark(plan(**more), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    benchmark(plan(), output=tmp_path / "out")
    with pytest.raises(OutputError, match="--overwrite"):
        benchmark(plan(), output=tmp_path / "out")
    benchmark(plan(), output=tmp_path / "out", overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "scan.nii").touch()
    with pytest.raises(OutputError, match="other things"):
        benchmark(plan(), output=tmp_path / "other", overwrite=True)


def test_a_scan_that_cannot_be_scored_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    md.write(md.Volume.from_array(np.full((12, 12, 12), 5.0)), tmp_path / "flat.nii.gz")
    data, noise = {"images": str(tmp_path / "flat.nii.gz")}, [{"name": "gaussian", "sigma": 1}]
    with pytest.raises(ParameterError, match=r"flat: .*nearly everywhere 5"):
        benchmark(plan(data=data, noise=noise), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_comparison_that_was_killed_may_be_replaced(tmp_path: Path) -> None:
    def killed(said: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark(plan(), output=tmp_path / "out", progress=killed)
    told = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert {cell["method"] for cell in told["cells"]} == {NOISY}
    with pytest.raises(OutputError, match="--overwrite"):
        benchmark(plan(), output=tmp_path / "out")
    assert not benchmark(plan(), output=tmp_path / "out", overwrite=True).failed


def test_one_noise_drawn_twice_is_two_noises(tmp_path: Path) -> None:
    noise = [{"name": "gaussian", "sigma": 5}, {"name": "gaussian", "sigma": 5}]
    done = benchmark(plan(noise=noise, methods=[{"filter": "median"}]), output=tmp_path / "out")
    assert {cell.noise for cell in done.cells} == {f"gaussian, sigma 5 ({n})" for n in (1, 2)}
    told = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    every = next(r for r in told["summary"] if (r["method"], r["noise"]) == ("median", "all"))
    assert every["psnr"]["count"] == 4
    assert len(set(told["run"]["data"].values())) == 4


def test_the_configuration_in_the_repository_reads() -> None:
    plan = load_benchmark(Path(N2V).parent / "benchmark" / "mri.yaml")
    assert {"median", "bm4d", "Noise2Void"} <= {method.name for method in plan.methods}


def test_a_training_that_diverges_is_a_cell_without_a_result(tmp_path: Path) -> None:
    rate = ["training.learning_rate=1.0e+30", "training.clip=null", "training.steps=4"]
    bad = {"train": N2V, "label": "bad", "set": [*QUICK, *rate]}
    data = {"images": "sample:head", "crop": [32, 32, 24]}
    methods = [{"filter": "median"}, bad, {"filter": "gaussian"}]
    done = benchmark(plan(data=data, methods=methods), output=tmp_path / "out")
    assert [cell.method for cell in done.failed] == ["bad"]
    assert "not finite" in done.failed[0].error
    assert [cell.method for cell in done.cells][-1] == "gaussian"
    assert (done.directory / "comparison.png").is_file()
