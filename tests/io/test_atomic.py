from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meddenoise.errors import OutputError
from meddenoise.io.atomic import atomic_directory, atomic_file, atomic_files, check_output


def fail_in_file(target: Path, *, overwrite: bool = False) -> None:
    with atomic_file(target, overwrite=overwrite) as part:
        part.write_text("half")
        raise RuntimeError


def fail_in_directory(target: Path) -> None:
    with atomic_directory(target, overwrite=True) as part:
        (part / "new").write_text("")
        raise RuntimeError


def write_all(targets: list[Path], text: str) -> None:
    with atomic_files(targets, overwrite=True) as parts:
        for part in parts:
            part.write_text(text)


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
def test_a_device_or_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    for target in tmp_path.iterdir():
        with pytest.raises(OutputError, match="is a device or a pipe; name a file"):
            check_output(target)
        with (
            pytest.raises(OutputError, match="is a device or a pipe"),
            atomic_file(target, overwrite=True),
        ):
            pytest.fail("it was begun")
        assert target.is_symlink() or target.is_fifo()


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.txt"
    with atomic_file(target) as part:
        part.write_text("done")
        assert not target.exists()
        assert part.suffix == ".txt"
    assert target.read_text() == "done"
    assert os.listdir(target.parent) == ["out.txt"]


def test_a_failing_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail_in_file(tmp_path / "out.txt")
    assert os.listdir(tmp_path) == []


def test_an_error_from_reading_an_input_is_not_called_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "out.txt"):
        (tmp_path / "input.txt").read_text()


def test_what_exists_stays_unless_told(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(OutputError, match="exists already"), atomic_file(target):
        pass
    with pytest.raises(RuntimeError):
        fail_in_file(target, overwrite=True)
    assert target.read_text() == "old"
    with atomic_file(target, overwrite=True) as part:
        part.write_text("new")
    assert target.read_text() == "new"


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "out.txt") as part:
            part.write_text("x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out.txt").stat().st_mode) == 0o640


def test_a_file_in_the_way_of_the_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="file, not a directory"),
        atomic_file(tmp_path / "file" / "out.txt"),
    ):
        pass


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="permission denied"), atomic_file(tmp_path / "o"):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file size stands for the full disk: the kernel refuses the write either way."""
    pytest.importorskip("resource")
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from meddenoise.io.atomic import atomic_file\n"
        "from meddenoise.errors import OutputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    with atomic_file(sys.argv[1]) as part:\n"
        "        part.write_bytes(bytes(100000))\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out.bin")],
        capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert "cannot be written" in run.stdout
    assert os.listdir(tmp_path) == []


def test_a_directory_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "series"
    with atomic_directory(target) as part:
        (part / "1").write_text("a")
        assert not target.exists()
    assert os.listdir(target) == ["1"]
    with pytest.raises(OutputError, match="not empty"), atomic_directory(target):
        pass
    with atomic_directory(target, overwrite=True) as part:
        (part / "2").write_text("b")
    assert os.listdir(target) == ["2"]
    assert os.listdir(tmp_path) == ["series"]


def test_a_failing_directory_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "series"
    target.mkdir()
    (target / "old").write_text("")
    with pytest.raises(RuntimeError):
        fail_in_directory(target)
    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["series"]


def test_another_process_that_was_quicker_is_left_in_peace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "entry"
    target.mkdir()
    (target / "old").write_text("")
    move = os.rename

    def beaten(source: Path, to: Path) -> None:
        move(source, to)
        if source == target:  # the place is free for a moment, and another one takes it
            target.mkdir()
            (target / "theirs").write_text("")

    monkeypatch.setattr("os.rename", beaten)
    with (
        pytest.raises(OutputError, match="entry cannot be written"),
        atomic_directory(target, overwrite=True) as part,
    ):
        (part / "ours").write_text("")
    assert os.listdir(target) == ["theirs"]
    assert os.listdir(tmp_path) == ["entry"]


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    with atomic_directory(tmp_path / "series") as part:
        (part / "1").write_text("")
    assert os.listdir(tmp_path / "series") == ["1"]


def test_files_that_belong_together_appear_together(tmp_path: Path) -> None:
    targets = [tmp_path / "a.json", tmp_path / "new/a.nii"]
    with atomic_files(targets) as parts:
        for part in parts:
            part.write_text(part.suffix)
        assert [path.name for path in tmp_path.rglob("*") if not path.name.startswith(".")] == [
            "new"
        ]
    assert [path.read_text() for path in targets] == [".json", ".nii"]
    assert len(list(tmp_path.rglob("*"))) == 3


@pytest.mark.parametrize("blocked", [0, 1, 2])
def test_none_of_them_appears_if_one_cannot(tmp_path: Path, blocked: int) -> None:
    targets = [tmp_path / name for name in ("a.bval", "a.json", "a.nii")]
    targets[blocked].write_text("old")
    with pytest.raises(OutputError, match=rf"{targets[blocked].name} exists"), atomic_files(
        targets
    ) as parts:  # fmt: skip
        parts[0].write_text("never")
    assert [path.name for path in tmp_path.iterdir()] == [targets[blocked].name]
    assert targets[blocked].read_text() == "old"


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_what_was_moved_is_taken_back(
    tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [tmp_path / name for name in ("a.bval", "a.json", "a.nii")]
    for target in targets[1:]:
        target.write_text("old")
    move = os.replace

    def stubborn(source: Path, target: Path) -> None:
        if target == targets[failing] and Path(source).read_text() == "new":
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        move(source, target)

    monkeypatch.setattr("os.replace", stubborn)
    with pytest.raises(OutputError, match=rf"{targets[failing].name} cannot be .*: the disk"):
        write_all(targets, "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.nii"]
    assert {target.read_text() for target in targets[1:]} == {"old"}


def test_a_link_to_a_directory_stays_and_leads_to_the_result(tmp_path: Path) -> None:
    real, link = tmp_path / "disk/series", tmp_path / "home/series"
    real.mkdir(parents=True), link.parent.mkdir()
    link.symlink_to(real)
    for content in ("first", "second"):
        with atomic_directory(link, overwrite=True) as part:
            (part / "1").write_text(content)
        assert link.is_symlink()
        assert (real / "1").read_text() == content
        assert [os.listdir(place) for place in (real, link.parent, real.parent)] == [
            ["1"], ["series"], ["series"]
        ]  # fmt: skip


@pytest.mark.parametrize("letter", ["a", "\u9aa8"])
def test_the_longest_name_that_the_system_allows(tmp_path: Path, letter: str) -> None:
    target = tmp_path / (letter * (248 // len(letter.encode())) + ".nii.gz")
    with atomic_file(target) as part:
        assert part.name.endswith(".nii.gz")
        part.write_text("whole")
    assert target.read_text() == "whole"
