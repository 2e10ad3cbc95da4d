from __future__ import annotations

from pathlib import Path

import numpy as np

from meddenoise.evaluation import Measured, noise_power_spectrum
from meddenoise.evaluation.curves import KEPT, Curve
from meddenoise.report.figures import (
    histograms,
    importance,
    over_runs,
    read_log,
    residuals,
    save_figures,
    spectra,
    svg,
    training_curves,
    transfers,
)
from meddenoise.volume import Volume

DRAWS = np.random.default_rng(0)
NOISE = DRAWS.normal(0, 3, (32, 32, 8))


def test_curves_are_those_that_the_log_has() -> None:
    log = [
        {"step": 1, "kind": "train", "loss": 2.0, "voxels_per_second": 1.0},
        {"step": 2, "kind": "train", "loss": 1.0},
        {"step": 2, "kind": "val", "loss": 1.5, "psnr": 30.0, "psnr_noisy": 20.0},
    ]
    figures = training_curves(log)
    assert set(figures) == {"training_loss", "training_psnr"}
    lines = {line.get_label(): line for line in figures["training_loss"].axes[0].lines}
    assert lines["train loss"].get_ydata().tolist() == [2.0, 1.0]
    assert lines["val loss"].get_xdata().tolist() == [2]
    assert training_curves([]) == {}


def test_a_torn_log_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "kind": "val"}\n[3]\n{"step": 2, "ki')
    assert [row["step"] for row in read_log(tmp_path / "log.jsonl")] == [1]
    assert read_log(tmp_path / "none") == []


def test_the_residual_is_beside_its_gaussian() -> None:
    axes = residuals(NOISE, NOISE / 2).axes[0]
    heights, edges, _ = axes.patches[0].get_data()
    assert abs((heights * np.diff(edges)).sum() - 1) < 0.01
    bell = axes.lines[0]
    assert abs(bell.get_ydata().max() - 1 / (NOISE.std() * np.sqrt(2 * np.pi))) < 0.003


def test_whole_numbers_leave_no_teeth() -> None:
    axes = residuals(np.rint(NOISE)).axes[0]
    heights, edges, _ = axes.patches[0].get_data()
    assert (np.diff(edges) == 1).all()
    assert (heights[np.abs(edges[:-1] + 0.5) < 5] > 0).all()


def test_histograms_count_voxels() -> None:
    figure = histograms({"noisy": Volume.from_array(NOISE, units="HU")})
    heights, _, _ = figure.axes[0].patches[0].get_data()
    assert 0.99 * NOISE.size < heights.sum() <= NOISE.size
    assert "HU" in figure.axes[0].get_xlabel()


def test_figures_for_papers_come_in_three_formats(tmp_path: Path) -> None:
    power = spectra({"noisy - denoised": noise_power_spectrum(NOISE)})
    made = save_figures(tmp_path, {"spectrum": power, "importance": importance({"a.b": 0.7})})
    assert sorted(p.name for p in made) == [
        f"{name}.{kind}" for name in ("importance", "spectrum") for kind in ("pdf", "png", "svg")
    ]
    heads = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}
    assert all(path.read_bytes().startswith(heads[path.suffix]) for path in made)


def test_the_same_figure_is_the_same_text() -> None:
    assert svg(importance({"a": 0.5})) == svg(importance({"a": 0.5}))


def test_names_are_shown_as_they_are() -> None:
    log = [{"step": 1, "kind": "val", "loss": 1.0}]
    shown = svg(over_runs({"_first": log, r"$\foo{$": log})["validation_loss"])
    assert "_first" in shown
    assert r"$\foo{$" in shown
    odd = Volume.from_array(NOISE, units="$x$")
    assert "intensity ($x$)" in svg(histograms({"noisy": odd}))
    assert "$a$" in svg(importance({"$a$": 0.5}))


def test_curves_of_edges_have_their_half_in_the_legend() -> None:
    half = {"f50": Measured(0.25, "1/mm")}
    curves = [
        Curve(KEPT, "noisy / reference", (0.0, 0.5), (1.0, 0.9)),
        Curve(KEPT, "denoised / reference", (0.0, 0.5), (1.0, 0.0), numbers=half),
    ]
    axes = transfers(curves).axes[0]
    labels = [line.get_label() for line in axes.lines[:2]]
    assert labels == ["noisy / reference", "denoised / reference, half at 0.25/mm"]
    assert "1/mm" in axes.get_xlabel()
    assert list(axes.lines[1].get_ydata()) == [1.0, 0.0]
