from __future__ import annotations

import json
from typing import Any

import pytest

OURS = ("dncnn", "light", "slab_unet")


def test_a_line_a_network_and_number_of_axes(cli: Any) -> None:
    said = cli("networks", *OURS)
    assert (said.status, said.err) == (0, "")
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0][:4] == ["name", "dims", "weights", "FLOP/voxel"]
    listed = [(row[0], row[1]) for row in rows if row and row[0] in OURS and row[1] in ("2", "3")]
    assert listed == [("dncnn", "2"), ("dncnn", "3"), ("light", "2"), ("light", "3"),
                      ("slab_unet", "3")]  # fmt: skip
    assert "555,137" in said.out
    assert "Mvoxel/s" not in said.out
    assert "IEEE TIP 26(7), 2017" in said.out


def test_options_and_json(cli: Any) -> None:
    said = cli("networks", "dncnn", "--set", "depth=3", "--dims", 3, "--json")
    (told,) = json.loads(said.out)
    assert told["options"] == {"depth": 3, "width": 64, "batch_norm": False}
    assert (told["halo"], told["multiple"]) == ([3, 3, 3], [1, 1, 1])
    assert told["flops_per_voxel"] == 2 * 27 * (64 + 64 * 64 + 64)
    assert told["noise_map"] is True
    assert told["speed"] is None


def test_the_speed_is_measured_when_asked_for(cli: Any) -> None:
    small = ["--set", "channels=[2]", "--set", "cell=4", "--dims", 2, "--device", "cpu"]
    (told,) = json.loads(cli("networks", "light", *small, "--measure", "--json").out)
    assert told["speed"]["mvoxel_per_second"] > 0
    assert told["speed"]["device"] == "cpu"
    said = cli("networks", "light", *small, "--measure")
    assert "Mvoxel/s" in said.out.splitlines()[0]
    assert "float32 on cpu" in said.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["unett"], "did you mean 'unet'"),
        (["unet", "light", "--set", "depth=3"], "belong to one network"),
        (["dncnn", "--set", "dept=3"], "did you mean 'depth'"),
        (["dncnn", "--set", "depth"], "depth"),
        (["dncnn", "--set", "dims=2"], "dims is no key here"),
        (["dncnn", "--set", "inputs=2"], "inputs is no key here"),
        (["dncnn", "--set", "name=unet"], "name is no key here"),
        (["slab_unet", "--dims", "2"], "data.patch 3 numbers"),
        (["light", "--measure", "--device", "tpu9"], "There is no device"),
        (["unet", "--set", "channels=[2,2]", "--set", "strides=[[1,2,1]]"], "say --dims 3."),
        (["unet", "--set", "channels=[2,2]", "--set", "strides=[[1,2]]"], "say --dims 2."),
    ],
)
def test_what_is_wrong_is_said(cli: Any, words: list[str], told: str) -> None:
    said = cli("networks", *words)
    assert said.status == 2
    assert told in said.sentence
