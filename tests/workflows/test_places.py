from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meddenoise.errors import FileError, OutputError
from meddenoise.io import read, write
from meddenoise.volume import Volume
from meddenoise.workflows.places import check_place, plan


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with ``a.nii.gz``, ``sub/b.nrrd`` and a text."""
    volume = Volume.from_array(np.random.default_rng(0).normal(9, 1, (8, 8, 8)))
    write(volume, tmp_path / "in/a.nii.gz")
    write(volume, tmp_path / "in/sub/b.nrrd")
    (tmp_path / "in/notes.txt").write_text("no scan")
    return tmp_path / "in"


def test_one_scan_to_a_file_or_into_a_directory(place: Path, tmp_path: Path) -> None:
    scan = place / "a.nii.gz"
    (tmp_path / "there").mkdir()
    for output, target, named in (
        ("x.nii.gz", "x.nii.gz", True),
        ("x.MHA", "x.MHA", True),
        ("new", "new/a.nii.gz", False),
        ("new.v2", "new.v2/a.nii.gz", False),
        ("there", "there/a.nii.gz", False),
        ("new.dir/", "new.dir/a.nii.gz", False),
    ):
        (job,) = plan(scan, f"{tmp_path}/{output}")
        assert (job.target, job.named) == (tmp_path / target, named)
        assert job.scan.path == scan


def test_several_scans_keep_their_places(place: Path, tmp_path: Path) -> None:
    jobs = plan(place, tmp_path / "out")
    assert [job.target for job in jobs] == [
        tmp_path / "out/a.nii.gz",
        tmp_path / "out/sub/b.nrrd",
    ]
    assert not (tmp_path / "out").exists()  # planning makes nothing


def test_results_of_an_earlier_call_are_no_input(place: Path) -> None:
    write(Volume.from_array(np.ones((8, 8, 8))), place / "out/a.nii.gz")
    assert [job.scan.path.name for job in plan(place, place / "out")] == ["a.nii.gz", "b.nrrd"]
    assert len(plan(place / "*.nii.gz", place / "out")) == 1


def test_a_place_that_two_results_would_have_is_told(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "in").mkdir()
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    for name in ("a.jpg", "a.png", "b.png"):
        image.save(tmp_path / "in" / name)
    jobs = plan(tmp_path / "in", tmp_path / "out")
    assert [job.earlier for job in jobs] == [None, tmp_path / "in/a.jpg", None]


def test_what_cannot_be_planned(place: Path, tmp_path: Path) -> None:
    for source, output, kind in (
        (place, tmp_path / "x.nii.gz", OutputError),
        (place, place / "notes.txt", OutputError),
        (place, place, OutputError),
        (place / "a.nii.gz", tmp_path / "x.xyz", OutputError),
        (place / "none*", tmp_path / "x", FileError),
        (tmp_path / "none", tmp_path / "x", FileError),
        (place / "notes.txt", tmp_path / "x", FileError),
    ):
        with pytest.raises(kind):
            plan(source, output)
    with pytest.raises(FileError, match="not DICOM"):
        plan(place, tmp_path / "x", series="3")


def test_one_series_of_a_tree_is_chosen_by_its_number(shared_data: Path, tmp_path: Path) -> None:
    pair = shared_data / "pairs/L096"
    (job,) = plan(pair, tmp_path / "out", series="3")
    assert job.target == tmp_path / "out"
    assert job.scan.path == pair / "quarter_3mm_sharp_sorted"
    assert read(job.scan.path, series=job.scan.series).units == "HU"
    with pytest.raises(FileError, match="holds no series '4'; there are:"):
        plan(pair, tmp_path / "out", series="4")


def test_a_name_that_cannot_be_written_gets_one_that_can(tmp_path: Path) -> None:
    from PIL import Image

    photo = tmp_path / "photo.jpeg"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(photo)
    (job,) = plan(photo, f"{tmp_path}/out/")
    assert job.target_for(read(photo)) == tmp_path / "out/photo.png"
    nameless = (tmp_path / "scan.nii.gz", tmp_path / "scan")
    write(Volume.from_array(np.ones((8, 8, 8))), nameless[0])
    nameless[0].rename(nameless[1])
    (job,) = plan(nameless[1], tmp_path / "out")
    assert job.target_for(read(nameless[1])) == tmp_path / "out/scan.nii.gz"


def test_what_stands_in_the_way(place: Path, tmp_path: Path) -> None:
    scan, link = place / "a.nii.gz", tmp_path / "link"
    link.symlink_to(scan)
    for same in (scan, link, place / "sub/../a.nii.gz"):
        with pytest.raises(OutputError, match="the input itself"):
            check_place(scan, same, overwrite=True)
    other = place / "sub/b.nrrd"
    with pytest.raises(OutputError, match="exists"):
        check_place(scan, other, overwrite=False)
    check_place(scan, other, overwrite=True)
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists"):
        check_place(scan, dangling, overwrite=False)
    with pytest.raises(OutputError, match=r"a\.nii\.gz is no directory"):
        check_place(scan, scan / "x/y.nii.gz", overwrite=False)
    (tmp_path / "empty").mkdir()
    check_place(scan, tmp_path / "empty", overwrite=False)
    check_place(scan, tmp_path / "deep/new/x.nii.gz", overwrite=False)


def test_names_may_begin_with_a_tilde(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    (place / "a.nii.gz").rename("~a.nii.gz")
    (job,) = plan("~a.nii.gz", "~clean.nii.gz")
    assert (job.scan.path, job.target) == (Path("~a.nii.gz"), Path("~clean.nii.gz"))


def test_a_mounted_file_system_is_no_directory_to_replace(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = tmp_path / "out"
    mounted.mkdir()
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == mounted)
    with pytest.raises(OutputError, match=r"is mounted there: name a directory in it, .*out/sub\."):
        check_place(place / "sub", mounted, overwrite=True)
    check_place(place / "sub", mounted / "sub", overwrite=False)
