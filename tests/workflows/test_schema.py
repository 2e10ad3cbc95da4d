from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from meddenoise.errors import ConfigError
from meddenoise.training import Trainer, register_trainer
from meddenoise.training.trainer import TRAINERS
from meddenoise.workflows.schema import check_config, config_schema

CONFIG = {
    "data": {"images": "sample:head"},
    "trainer": {"name": "supervised", "loss": "l1"},
    "noise": {"name": "gaussian", "sigma": "5%"},
}


def test_the_options_of_every_part_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRAINERS, "_parts", dict(vars(TRAINERS).get("_parts", {})), raising=False)

    @register_trainer("made-for-a-test")
    class Made(Trainer):
        """Learns nothing."""

        def __init__(self, patience: int = 3) -> None: ...

        def training_step(self, network, batch, draws):  # type: ignore[no-untyped-def]
            raise NotImplementedError

    branches = {part["title"]: part for part in config_schema()["properties"]["trainer"]["oneOf"]}
    one, several = branches["supervised"]["properties"]["loss"]["anyOf"]
    assert {"l1", "l2", "charbonnier", "ssim"} < set(one["enum"])
    assert several["propertyNames"]["enum"] == one["enum"]
    assert branches["made-for-a-test"]["properties"]["patience"]["default"] == 3
    assert branches["made-for-a-test"]["description"] == "Learns nothing."


def test_whatever_it_refers_to_is_in_it() -> None:
    schema = config_schema()
    seen = []

    def look(here: object) -> None:
        if isinstance(here, dict):
            if isinstance(here.get("$ref"), str):
                seen.append(here["$ref"].removeprefix("#/$defs/"))
            for inner in here.values():
                look(inner)
        elif isinstance(here, list):
            for inner in here:
                look(inner)

    look(schema)
    assert "noise.ct_projection.Kernel" in seen  # an option that is an object of its own
    assert set(seen) <= set(schema["$defs"])


def test_an_empty_noise_section_is_refused_by_both(tmp_path: Path) -> None:
    sections = config_schema()["properties"]["noise"]["anyOf"][0]["oneOf"]
    (alone,) = (section for section in sections if section["title"] == "no noise injected")
    assert alone["minProperties"] == 1
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({**CONFIG, "noise": {}}))
    with pytest.raises(ConfigError, match="needs the name of a noise model"):
        check_config(file)


def test_a_checked_config_has_every_default_and_is_its_own_fixed_point(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    shown = check_config(file)
    assert yaml.safe_load(shown)["training"]["clip"] == 1.0
    file.write_text(shown)
    assert check_config(file) == shown


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"trainer": {"name": "supervised", "loss": "l3"}}, "line 2: trainer.loss"),
        (
            {"trainer": {"name": "supervised"}, "noise": {"name": "gaussian"}},
            "noise.sigma is missing",
        ),
        ({"trainer": {"name": "supervised"}, "network": {"name": "unet", "channels": []}}, "U-Net"),
    ],
)
def test_parts_are_checked_without_the_scans(
    tmp_path: Path, part: dict[str, object], told: str
) -> None:
    file = tmp_path / "mine.yaml"
    text = yaml.safe_dump(part, default_flow_style=None, sort_keys=False)
    file.write_text(f"data: {{images: none}}\n{text}")
    with pytest.raises(ConfigError, match=r"mine\.yaml") as caught:
        check_config(file)
    assert told in str(caught.value)
