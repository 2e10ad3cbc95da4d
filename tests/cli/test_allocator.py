from __future__ import annotations

import os
import subprocess
import sys

import pytest

from meddenoise import cli
from meddenoise.cli import allocator

ASK = "import os; print(os.environ.get('GLIBC_TUNABLES'), os.getpid())"
KEEP = "from meddenoise.cli.allocator import TRAIN, keep_memory; keep_memory(TRAIN); "


def run(code: str, **environment: str) -> tuple[list[str], int]:
    whole = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"} | environment
    with subprocess.Popen(
        [sys.executable, "-c", code], env=whole, stdout=subprocess.PIPE, text=True
    ) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return said.split(), process.pid


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a matter of glibc")
def test_the_command_starts_anew_once_with_the_settings_as_the_same_process() -> None:
    if allocator.platform.libc_ver()[0] != "glibc":
        pytest.skip("this system's C library is not glibc")
    said, pid = run(KEEP + ASK)
    assert said == [allocator.TRAIN, str(pid)]


def test_what_the_user_has_set_stays() -> None:
    said, _ = run(KEEP + ASK, GLIBC_TUNABLES="glibc.malloc.perturb=0")
    assert said[0] == "glibc.malloc.perturb=0"


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("", ""))
    allocator.keep_memory(allocator.TRAIN)
    assert "GLIBC_TUNABLES" not in os.environ


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "c.yaml"], allocator.TRAIN),
        (["pretrain", "c.yaml"], allocator.TRAIN),
        (["denoise", "a.nii", "b.nii"], allocator.DENOISE),
        (["denoise", "a.nii", "b.nii", "--model=m.safetensors"], allocator.DENOISE),
        (["denoise", "a.nii", "b.nii", "--method", "median"], None),
        (["denoise", "a.nii", "b.nii", "--method=median"], None),
        (["evaluate", "a.nii"], None),
        ([], None),
    ],
)
def test_who_keeps_its_memory(
    words: list[str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(allocator, "keep_memory", asked.append)
    monkeypatch.setattr(cli, "run", lambda: None)
    monkeypatch.setattr(sys, "argv", ["meddenoise", *words])
    cli.main()
    assert asked == ([] if expected is None else [expected])
