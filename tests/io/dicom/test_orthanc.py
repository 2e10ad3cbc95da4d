"""An archive takes the derived series beside its source, and gives both back unharmed.

Orthanc runs on the loopback interface with storage of its own for the time of these tests.
"""

from __future__ import annotations

import io as streams
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import meddenoise as md
from meddenoise import io

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
REAL = [
    "mr_t1_siemens", "ct_abdomen_j2k", "enhanced/Philips", "enhanced/Siemens/XA10", "pet",
    "ct_tilt_variable_ge",
]  # fmt: skip
STARTS, PATIENCE = 3, 30.0
# No proxy of the environment comes between this process and the loopback interface.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Orthanc:
    """A running server."""

    url: str

    def get(self, path: str, accept: str = "*/*") -> bytes:
        request = urllib.request.Request(self.url + path, headers={"Accept": accept})
        with OPENER.open(request, timeout=PATIENCE) as answer:
            content: bytes = answer.read()
        return content

    def ask(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, content: bytes) -> Any:
        request = urllib.request.Request(self.url + path, data=content, method="POST")
        with OPENER.open(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def upload(self, files: list[Path]) -> None:
        for path in files:
            answer = self.post("/instances", path.read_bytes())
            assert answer["Status"] == "Success", path

    def clear(self) -> None:
        for patient in self.ask("/patients"):
            request = urllib.request.Request(f"{self.url}/patients/{patient}", method="DELETE")
            OPENER.open(request, timeout=PATIENCE).close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Started once for all tests of this file, and ended."""
    program = shutil.which("Orthanc", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if program is None:
        pytest.skip("the archive Orthanc (Debian's orthanc) is not installed")
    place = tmp_path_factory.mktemp("orthanc")
    for _ in range(STARTS):
        port = free_port()
        process = start(program, port, place)
        try:
            if answers(port, process):
                yield Orthanc(f"http://127.0.0.1:{port}")
                return
        finally:
            process.kill()
            process.wait()
    log = (place / "log").read_text(errors="replace")
    pytest.fail(f"Orthanc did not start in {PATIENCE:g} s:\n{log[-2000:]}")


@pytest.fixture
def orthanc(running: Orthanc) -> Iterator[Orthanc]:
    """Running and empty."""
    yield running
    running.clear()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start(program: str, port: int, place: Path) -> subprocess.Popen[bytes]:
    settings = {
        "Name": "test",
        "StorageDirectory": str(place / "storage"),
        "IndexDirectory": str(place / "storage"),
        "HttpPort": port,
        "HttpServerEnabled": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "Plugins": [str(PLUGIN)] if PLUGIN.exists() else [],
    }
    (place / "orthanc.json").write_text(json.dumps(settings))
    with open(place / "log", "ab") as log:
        command = [program, str(place / "orthanc.json")]
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=place)


def answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether the server answers within ``PATIENCE`` seconds; not if its process has ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            OPENER.open(f"http://127.0.0.1:{port}/system", timeout=5).close()
            return True
        except OSError:  # URLError is one
            time.sleep(0.1)
    return False


def check_archived(orthanc: Orthanc, place: Path, out: Path) -> None:
    """Source and two derived series go in, are one study there, and come back as they went in."""
    sources = sorted(place.iterdir())
    volume = io.read(sources[0])
    sent = {volume.source.series: sources}
    orthanc.upload(sources)
    arrays = {volume.source.series: volume.array}
    for method in ("identity", "median"):
        clean = md.denoise(volume, method=method)
        report = io.write_report(clean, out / method)
        orthanc.upload(list(report.files))
        uid = pydicom.dcmread(report.files[0], stop_before_pixels=True).SeriesInstanceUID
        sent[uid] = list(report.files)
        arrays[uid] = io.read(report.path).array

    (study,) = orthanc.ask("/studies")
    listed = {
        series["MainDicomTags"]["SeriesInstanceUID"]: series
        for series in orthanc.ask(f"/studies/{study}/series")
    }
    assert set(listed) == set(sent)
    assert len(listed) == 3
    source, identity, median = (listed[uid] for uid in sent)
    for series in (identity, median):
        tags, old = series["MainDicomTags"], source["MainDicomTags"]
        assert tags["Modality"] == old["Modality"]
        assert tags["SeriesDescription"] == f"DN {old.get('SeriesDescription', '')}".strip()[:64]
        assert int(tags["SeriesNumber"]) == int(old.get("SeriesNumber") or 0) + 1000
        assert len(series["Instances"]) == len(sources)

    for uid, series in listed.items():
        back = out / f"back-{series['ID']}"
        back.mkdir()
        for instance in series["Instances"]:
            content = orthanc.get(f"/instances/{instance}/file")
            (back / f"{instance}.dcm").write_bytes(content)
        np.testing.assert_array_equal(io.read(back).array, arrays[uid])
        if series is not source:
            check_pixels_seen_by_orthanc(orthanc, series)
    before, same, smooth = arrays.values()
    np.testing.assert_array_equal(same, before)
    assert (smooth != before).any()
    if PLUGIN.exists():
        check_dicomweb(orthanc, sent)


def check_pixels_seen_by_orthanc(orthanc: Orthanc, series: dict[str, Any]) -> None:
    """The server's own decoder finds the stored values that pydicom finds."""
    for instance in series["Instances"][:3]:
        ds = pydicom.dcmread(streams.BytesIO(orthanc.get(f"/instances/{instance}/file")))
        frames = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
        seen = np.load(streams.BytesIO(orthanc.get(f"/instances/{instance}/numpy?rescale=false")))
        np.testing.assert_array_equal(seen.reshape(frames.shape), frames)


def check_dicomweb(orthanc: Orthanc, sent: dict[str, list[Path]]) -> None:
    """The same over DICOMweb: the study's series (QIDO-RS), and a frame (WADO-RS)."""
    first = pydicom.dcmread(next(iter(sent.values()))[0], stop_before_pixels=True)
    study = f"/dicom-web/studies/{first.StudyInstanceUID}"
    found = {series["0020000E"]["Value"][0] for series in orthanc.ask(f"{study}/series")}
    assert found == set(sent)
    for uid, files in list(sent.items())[1:]:
        ds = pydicom.dcmread(files[-1])
        assert uid == ds.SeriesInstanceUID
        answer = orthanc.get(
            f"{study}/series/{uid}/instances/{ds.SOPInstanceUID}/frames/1",
            accept='multipart/related; type="application/octet-stream"; transfer-syntax=*',
        )
        size = ds.Rows * ds.Columns * ds.BitsAllocated // 8
        assert ds.PixelData[:size] in answer


def with_uids(path: Path) -> None:
    """Put back the UIDs that an anonymiser took: no archive takes files without them."""
    ds = pydicom.dcmread(path)
    if ds.get("StudyInstanceUID"):
        return
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.5"
    ds.save_as(path)


@pytest.mark.parametrize("name", REAL)
def test_real_series_are_archived_beside_their_source(
    orthanc: Orthanc, shared_data: Path, tmp_path: Path, name: str
) -> None:
    some = io.read(shared_data / "dicom" / name).source.files[:6]
    place = tmp_path / "in"
    place.mkdir()
    for path in dict.fromkeys(some):
        shutil.copy(path, place)
        with_uids(place / path.name)
    check_archived(orthanc, place, tmp_path)


@pytest.mark.parametrize("kind", ["u2", "i2", "u1"])
def test_made_series_are_archived_beside_their_source(
    orthanc: Orthanc, make_series: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    voxels = np.random.default_rng(0).integers(0, 120, (4, 16, 20)).astype(kind)
    place = make_series(
        voxels - np.array(60, kind) if kind == "i2" else voxels,
        Modality="CT" if kind == "i2" else "MR",
        RescaleIntercept=-20 if kind == "i2" else None,
        RescaleSlope=1 if kind == "i2" else None,
    )
    check_archived(orthanc, place, tmp_path)
