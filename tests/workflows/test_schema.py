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
