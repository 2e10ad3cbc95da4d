from __future__ import annotations

from pathlib import Path

from meddenoise.config.benchmark import load_benchmark


def test_a_method_trained_once_as_the_shipped_file_says_it(tmp_path: Path) -> None:
    """Of ``on: own`` YAML 1.1 makes the key true."""
    file = tmp_path / "benchmark.yaml"
    file.write_text(
        "data: {images: sample:head}\n"
        "noise: [{name: gaussian, sigma: 10%}]\n"
        "methods:\n"
        "  - {train: configs/mri_unet.yaml, on: own, label: supervised U-Net}\n"
    )
    assert load_benchmark(file).methods[0].on == "own"
