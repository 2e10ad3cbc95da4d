from __future__ import annotations

from typing import Any

import pytest

from meddenoise.workflows.hidden import HIDDEN, without_paths


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("data.images", ["a", "b"], HIDDEN),
        ("data.series", "a", HIDDEN),
        ("data.targets", None, None),
        ("training.start_from", "a", HIDDEN),
        ("trainer.table", "a.csv", HIDDEN),
        ("noise.sigma", ["2.5%", "SNR 12.5", 3.5], ["2.5%", "SNR 12.5", 3.5]),
        ("network.name", "unet", "unet"),
        ("data", {"images": "a", "batch": 4}, {"images": HIDDEN, "batch": 4}),
        ("", {"training": {"start_from": "a"}}, {"training": {"start_from": HIDDEN}}),
    ],
)
def test_what_names_a_file_is_left_out(key: str, value: Any, shown: Any) -> None:
    assert without_paths(value, key) == shown
