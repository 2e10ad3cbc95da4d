"""Other people's validators find no fault in a derived series that its source had not."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian

from meddenoise import io
from meddenoise.errors import FileError

PLACES = (
    "bits12", "ct_15_syntaxes", "ct_abdomen_j2k", "ct_pelvis_soft", "ct_tilt_philips",
    "ct_tilt_variable_ge", "enhanced/Philips", "enhanced/Siemens/XA10",
    "fragments/6001_anat-T1w_acq-tfl", "mixed", "mixed/volume", "mr_t1_siemens", "pet", "syntaxes",
)  # fmt: skip


def messages(program: str, paths: list[Path]) -> set[str]:
    """What the program says, without what tells one file from another."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} (of dicom3tools) is not installed")
    found = set()
    runs = [[path] for path in paths] if program == "dciodvfy" else [paths]
    for arguments in runs:
        run = subprocess.run([program, *arguments], capture_output=True, check=False)
        for line in (run.stdout + run.stderr).decode("utf-8", "replace").splitlines():
            for path in paths:
                line = line.replace(str(path), "FILE")
            # A fault of the source's UID shows again where it is referred to.
            line = re.sub(r'(for UID - )".*?" in .*', r"\1", line)
            found.add(" ".join(line.split()))
    return found - {""}


def readable(path: Path, target: Path) -> Path:
    """The source as it is, but plain, and with the class and UID that its file meta has.

    dciodvfy gives up on deflated files and on those whose class has been emptied, and says
    nothing more about them.
    """
    ds = pydicom.dcmread(path)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID
    if (
        ds.file_meta.TransferSyntaxUID.is_compressed
        and UID(ds.file_meta.TransferSyntaxUID).is_encapsulated
    ):
        ds.decompress(generate_instance_uid=False)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pydicom.dcmwrite(target, ds, implicit_vr=False, little_endian=True)
    return target


def series_in(place: Path) -> list[io.ScanFile]:
    """Those whose files lie in this directory itself."""
    return [scan for scan in io.list_scans(place) if scan.path in (place, *place.iterdir())]


@pytest.mark.parametrize("name", PLACES)
def test_no_message_beyond_those_of_the_source(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    checked = 0
    for number, scan in enumerate(series_in(shared_data / "dicom" / name)):
        try:
            files = [*io.read(scan.path, series=scan.series).source.files]
        except FileError:  # an extended JPEG that no codec knows
            assert name == "ct_15_syntaxes"
            continue
        some = [files[0], files[len(files) // 2], files[-1]] if len(files) > 3 else files
        place = tmp_path / f"in{number}"
        place.mkdir()
        sources = [Path(shutil.copy(path, place)) for path in dict.fromkeys(some)]
        out = io.write(io.read(sources[0]), tmp_path / f"out{number}")
        derived = sorted(out.iterdir())
        before = messages("dciodvfy", sources)
        if any("Not found" in line or "read failed" in line for line in before):
            plain = [readable(path, tmp_path / f"{number}-{path.name}") for path in sources]
            before |= messages("dciodvfy", plain)
        assert not messages("dciodvfy", derived) - before
        assert not messages("dcentvfy", derived) - messages("dcentvfy", sources)
        checked += 1
    assert checked
