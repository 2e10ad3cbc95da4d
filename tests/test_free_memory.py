from __future__ import annotations

from pathlib import Path

import pytest

from meddenoise import free_memory as module
from meddenoise.free_memory import free_memory


def group(place: Path, limit: str, used: int, stat: str) -> tuple[str, str, str]:
    (place / "memory.max").write_text(f"{limit}\n")
    (place / "memory.current").write_text(f"{used}\n")
    (place / "memory.stat").write_text(stat)
    return str(place / "memory.max"), str(place / "memory.current"), "inactive_file"


def test_files_that_were_read_take_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = "anon 1000\ninactive_file 600\nactive_file 5\n"
    monkeypatch.setattr(module, "_CGROUPS", (group(tmp_path, "5000", 3000, stat),))
    assert free_memory() == 5000 - 3000 + 600
    (tmp_path / "memory.stat").unlink()
    assert free_memory() == 5000 - 3000


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096)])
def test_a_group_without_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(module, "_CGROUPS", ())
    alone = free_memory()
    monkeypatch.setattr(module, "_CGROUPS", (group(tmp_path, limit, 3000, ""),))
    assert free_memory() > 0.5 * alone > 0
