from __future__ import annotations

from pathlib import Path

import pytest

from meddenoise.config.benchmark import load_benchmark
from meddenoise.errors import ConfigError


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


def test_a_wrong_key_of_a_method_is_told_those_that_there_are(tmp_path: Path) -> None:
    file = tmp_path / "benchmark.yaml"
    file.write_text(
        "data: {images: sample:head}\n"
        "noise: [{name: gaussian, sigma: 10%}]\n"
        "methods: [{filter: median, labl: x}]\n"
    )
    with pytest.raises(
        ConfigError, match=r"labl is no key here \(.*label.*\); there are: label, f"
    ):
        load_benchmark(file)
