from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

PLACE = Path(__file__).parents[2] / "configs"
# Pretraining has a recipe of its own, with no scans in it.
CONFIGS = [file for file in sorted(PLACE.glob("*.yaml")) if not file.stem.startswith("pretrain")]
N2V = PLACE / "mri_n2v.yaml"


def test_the_schema_is_json_schema(cli: Any) -> None:
    said = cli("config", "schema")
    assert (said.status, said.err) == (0, "")
    schema = json.loads(said.out)
    assert "2020-12" in schema["$schema"]
    assert set(schema["properties"]) >= {"data", "trainer", "network", "noise", "training"}
    trainers = [part["properties"]["name"]["const"] for part in
                schema["properties"]["trainer"]["oneOf"]]  # fmt: skip
    assert {"noise2void", "supervised"} <= set(trainers)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid_and_shows_its_defaults(cli: Any, config: Path) -> None:
    said = cli("config", "show", config, "--set", "training.steps=7")
    assert (said.status, said.err) == (0, "")
    shown = yaml.safe_load(said.out)
    assert shown["training"]["steps"] == 7
    assert shown["inference"]["overlap"] == 0.25  # a default that no file spells out


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("training.stpes=3", "steps"),
        ("training.steps=many", "whole number"),
        ("trainer.name=noise2viod", "did you mean 'noise2void'"),
        ("network.chanels=[4]", "channels"),
        ("trainer.mask_percent=80", "mask_percent"),
        ("data.patch=[8]", "data.patch"),
        ("steps", "key.sub=value"),
        ("noise.name=gauss", "did you mean 'gaussian'"),
    ],
)
def test_what_is_wrong_is_named(cli: Any, override: str, told: str) -> None:
    said = cli("config", "show", N2V, "--set", override)
    assert said.status == 2
    assert told in said.sentence
    assert said.out == ""


def test_a_file_that_is_no_config(cli: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("data: {images: x\n")
    for path, told in ((wrong, "line"), (tmp_path / "none.yaml", "no configuration file")):
        said = cli("config", "show", path)
        assert said.status == 2
        assert path.name in said.sentence
        assert told in said.sentence
