from __future__ import annotations

import json
from typing import Any

from meddenoise.filters import filter_names, filter_options, is_joint


def test_every_method_is_listed_with_its_options(cli: Any) -> None:
    said = cli("methods")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    for name in filter_names():
        (at,) = [k for k, line in enumerate(lines) if line.split()[:1] == [name]]
        for option in filter_options(name):
            assert f"{option}=" in lines[at + 1]
    assert "sigma=auto" in said.out
    assert "strength=3.0" in said.out
    assert max(map(len, lines)) <= 100


def test_json(cli: Any) -> None:
    listed = {method["name"]: method for method in json.loads(cli("methods", "--json").out)}
    assert tuple(listed) == filter_names()
    for name, method in listed.items():
        assert method["options"] == filter_options(name)
        assert method["joint"] == is_joint(name)
        assert method["summary"]
