from __future__ import annotations

import errno

import pytest

from meddenoise import errors
from meddenoise.cli.failing import failing_well


@pytest.fixture(autouse=True)
def _no_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDDENOISE_DEBUG", raising=False)


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        (errors.MeddenoiseError("Ours."), 1, "Ours."),
        (errors.ConfigError("Theirs."), 2, "Theirs."),
        (errors.ParameterError("Theirs."), 2, "Theirs."),
        (KeyboardInterrupt(), 130, "Stopped"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/log.jsonl"), 2, "/x/log.jsonl"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "nnn"), 2, "long. Choose"),
        (OSError(errno.EBADF, "Bad file descriptor"), 1, "Bad file descriptor"),
        (MemoryError(), 2, "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2, "memory"),
        (ZeroDivisionError("division by zero"), 1, "a fault of meddenoise (ZeroDivisionError"),
    ],
)
def test_a_sentence_and_a_status(
    fault: BaseException, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left, failing_well():
        raise fault
    said = capsys.readouterr()
    assert left.value.code == status
    assert said.out == ""
    assert said.err.startswith("meddenoise: ")
    assert told in said.err
    assert said.err.count("\n") == 1


def test_debugging_shows_the_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDDENOISE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError), failing_well():
        raise ZeroDivisionError


def test_an_exit_passes() -> None:
    with pytest.raises(SystemExit) as left, failing_well():
        raise SystemExit(0)
    assert left.value.code == 0
