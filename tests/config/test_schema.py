from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from meddenoise.config import Config, InferenceConfig, NormaliseConfig, SplitConfig, parse
from meddenoise.config.pretrain import PretrainConfig
from meddenoise.errors import ConfigError


def test_shares_add_up_and_training_gets_some() -> None:
    SplitConfig(train=0.8, val=0.1, test=0.1)
    SplitConfig(train=1, val=0, test=0)
    for shares in ((0.5, 0.1, 0.1), (0, 0.5, 0.5), (1.2, -0.1, -0.1)):
        with pytest.raises(ValidationError):
            SplitConfig(train=shares[0], val=shares[1], test=shares[2])


def test_percentiles_are_in_order() -> None:
    with pytest.raises(ValidationError, match="below"):
        NormaliseConfig(method="percentile", low=60, high=40)


@pytest.mark.parametrize("given", [{"overlap": 1}, {"overlap": -0.1}, {"tile_voxels": 0}])
def test_impossible_tiles(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InferenceConfig(**given)


def test_a_configuration_cannot_be_changed() -> None:
    config = parse({"data": {"images": "a"}, "trainer": {"name": "noise2void"}})
    with pytest.raises(ValidationError):
        config.seed = 3  # type: ignore[misc]


def test_the_options_of_a_part_stand_beside_its_name() -> None:
    config = parse(
        {"data": {"images": "a"}, "trainer": {"name": "noise2void", "mask_percent": 1.5}}
    )
    assert config.trainer.options == {"mask_percent": 1.5}


def test_an_error_about_a_part_names_its_line() -> None:
    config = parse("data: {images: a}\ntrainer:\n  name: noise2void\n  windw: 3\n", file="a.yaml")
    told = config.error("trainer", "trainer.windw is no key here")
    assert str(told) == "a.yaml, line 4: trainer.windw is no key here"
    assert str(config.error("trainer", "Too bad.")) == "a.yaml, line 2: trainer: Too bad."


def test_the_json_schema_has_the_sections() -> None:
    assert set(Config.model_json_schema()["properties"]) == set(Config.model_fields)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/b", "a\\b", "..", ""])
def test_a_name_leads_nowhere_else(name: str) -> None:
    given = {"data": {"images": "a"}, "trainer": {"name": "noise2void"}, "name": name}
    with pytest.raises(ConfigError, match=r"name is impossible: .* directory in runs/.* output"):
        parse(given)
    with pytest.raises(ValidationError, match="directory in runs/"):
        PretrainConfig(name=name)


def test_a_name_may_have_points_and_spaces() -> None:
    given = {"data": {"images": "a"}, "trainer": {"name": "noise2void"}, "name": "T1 v1..2 (b)"}
    assert parse(given).name == "T1 v1..2 (b)"


@pytest.mark.parametrize("first", [[32, 32], [128, 32, 16]])
def test_patches_that_cannot_grow(first: list[int]) -> None:
    data = {"images": "a", "patch": [64, 64, 32], "patch_from": first}
    with pytest.raises(ConfigError, match=r"does not grow to data\.patch"):
        parse({"data": data, "trainer": {"name": "noise2void"}})
