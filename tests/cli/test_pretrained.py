"""``meddenoise denoise IN OUT``, and ``meddenoise pretrain``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

SIGMA = 6.0


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    clean = 100 + 40 * (gaussian_filter(draws.normal(size=(40, 40, 32)), 4) > 0)
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image((clean + SIGMA * draws.normal(size=clean.shape)).astype(np.float32),
                             np.eye(4)), path)  # fmt: skip
    return path


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_without_model_and_method(cli: Any, noisy: Path) -> None:
    output, noise = noisy.with_name("out.nii.gz"), noisy.with_name("noise.nii.gz")
    said = cli("denoise", noisy, output, "--keep-noise", noise)
    assert (said.status, said.err) == (0, "")
    assert "The noise is taken to be Gaussian, with a sigma of" in said.out
    assert str(noise) in said.out
    np.testing.assert_allclose(values(noise), values(noisy) - values(output), atol=1e-3)
    assert float(values(noise).std()) == pytest.approx(SIGMA, rel=0.2)


def test_json_tells_the_same(cli: Any, noisy: Path) -> None:
    said = cli("denoise", noisy, noisy.with_name("out.nii.gz"), "--json", "--strength", "0.5")
    (outcome,) = json.loads(said.out)
    assert outcome["error"] is None
    assert any("The noise is taken to be" in note for note in outcome["notes"])


def test_an_image_in_the_plane(cli: Any, tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).normal(120, 20, (64, 64)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    said = cli("denoise", tmp_path / "image.png", tmp_path / "out.png")
    assert said.status == 0, said.err
    assert np.asarray(Image.open(tmp_path / "out.png")).std() < 10


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--strength", "2"), "from 0 to 1"),
        (("--keep-noise", "noise.xyz"), "no format that is written here"),
    ],
)
def test_what_makes_no_sense(cli: Any, noisy: Path, words: tuple[str, ...], told: str) -> None:
    said = cli("denoise", noisy, noisy.with_name("out.nii.gz"), *words)
    assert said.status == 2
    assert told in said.sentence
    assert not noisy.with_name("out.nii.gz").exists()


def test_keep_noise_and_bids_do_not_go_together(cli: Any, bids: Path, tmp_path: Path) -> None:
    said = cli("denoise", bids, tmp_path / "d", "--bids", "--keep-noise", tmp_path / "n")
    assert said.status == 2
    assert "leave one of the two out" in said.sentence


def test_pretrain(cli: Any, tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(
        "synthetic: {patch: [16, 16, 16], batch: 1, size: 24, pool: 2}\n"
        "network: {name: levelled, channels: [3, 4]}\n"
        "training: {steps: 2, validate_batches: 1, trackers: []}\n"
    )
    said = cli("pretrain", config, "--output", tmp_path / "run", "--device", "cpu")
    assert said.status == 0
    assert "Trained 2 steps" in said.out
    assert (tmp_path / "run" / "model.safetensors").exists()
    wrong = cli("pretrain", config, "--set", "synthetic.pach=[8,8]")
    assert wrong.status == 2
    assert "patch" in wrong.sentence
