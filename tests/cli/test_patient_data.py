"""Who the patient is must not be told by anything but the scans themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

import meddenoise as md

WORDS = (b"zebedee", b"quixote", b"19010203")  # in lower case
_ELEMENTS = {
    "PatientName": "Quixote^Zebedee",
    "PatientID": "ZEBEDEE-4711",
    "PatientBirthDate": "19010203",
    "OtherPatientIDs": "ZEBEDEE-4712",
    "PatientAddress": "1 Quixote Lane",
    "PatientComments": "Zebedee is afraid of windmills",
    "InstitutionName": "Quixote Hospital",
    "ReferringPhysicianName": "Quixote^Zebedee",
    "OperatorsName": "Zebedee^Quixote",
    "StationName": "ZEBEDEE1",
    "AccessionNumber": "ZEBEDEE",
    "StudyID": "ZEBEDEE",
    "StudyDescription": "Head of Zebedee",
    "SeriesDescription": "T1 Zebedee",
    "ProtocolName": "Zebedee's protocol",
    "ImageComments": "Zebedee moved",
}


def words_in(content: bytes) -> list[bytes]:
    return [word for word in WORDS if word in content.lower()]


def telling(path: Path) -> list[bytes]:
    """The words in a file, in a picture's texts, and in its name."""
    found = words_in(path.read_bytes()) + words_in(str(path.name).encode())
    if path.suffix == ".png":
        with Image.open(path) as picture:
            picture.load()
            found += words_in(repr(picture.info).encode())
    return found


def sign_dicom(series: Path) -> Path:
    """The patient's words in every slice, in public and in private elements."""
    for path in series.iterdir():
        header = pydicom.dcmread(path)
        for keyword, value in _ELEMENTS.items():
            setattr(header, keyword, value)
        header.private_block(0x0011, "ZEBEDEE", create=True).add_new(1, "LO", "Quixote")
        header.save_as(path)
    return series


def sign_nifti(scan: Path) -> Path:
    """The patient's words in every text of the header, an extension, and a sidecar."""
    opened = nib.load(scan)
    image = nib.Nifti1Image(np.asarray(opened.dataobj).copy(), opened.affine, opened.header)
    image.header["descrip"] = b"Zebedee Quixote 19010203"
    image.header["aux_file"] = b"Zebedee"
    image.header["intent_name"] = b"Quixote"
    image.header["db_name"] = b"Zebedee"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Zebedee Quixote"))
    nib.save(image, scan)
    told = {"PatientName": "Quixote^Zebedee", "PatientBirthDate": "19010203"}
    scan.with_name("scan.json").write_text(json.dumps(told))
    return scan


@pytest.fixture
def signed(make_scan: Any, make_series: Any) -> dict[str, Path]:
    """One scan of a patient in either format."""
    return {
        "nifti": sign_nifti(make_scan("patient/scan.nii")),
        "dicom": sign_dicom(make_series("patient/series", slices=12)),
    }


@pytest.mark.parametrize("kind", ["nifti", "dicom"])
@pytest.mark.parametrize("trainer", ["noise2void", "supervised"])
def test_nothing_but_scans_tells_of_the_patient(
    cli: Any, tiny: Callable[..., list[str]], signed: dict[str, Path], tmp_path: Path,
    kind: str, trainer: str,
) -> None:  # fmt: skip
    source, run = signed[kind], tmp_path / "run"
    extension = {"nifti": ".nii", "dicom": ""}[kind]
    options = [f"data.images={source}", f"trainer.name={trainer}"]
    options += ["training.trackers=[tensorboard]", "training.checkpoint_every=1"]
    if trainer == "supervised":
        options.append("noise={name: gaussian, sigma: 5}")
    model = run / "model.safetensors"
    clean, median, noisy = (
        tmp_path / f"{name}{extension}" for name in ("clean", "median", "noisy")
    )
    heard = [
        cli(*tiny(*options), "--output", run),
        cli("info", model),
        cli("denoise", source, clean, "--model", model),
        cli("denoise", source, median, "--method", "median", "--json"),
        cli("simulate", source, noisy, "--noise", "gaussian", "--sigma", "5"),
        cli("evaluate", source, clean, "--json", tmp_path / "score.json"),
        cli("denoise", source, source, "--method", "median"),  # refused
    ]
    assert [said.status for said in heard] == [0, 0, 0, 0, 0, 0, 2], [said.err for said in heard]
    assert not words_in("".join(said.out + said.err for said in heard).encode())

    scans = ("patient/", "clean", "median", "noisy", "run/denoised/", "run/noisy/", "run/truth/")
    told, silent = [], []
    for path in tmp_path.rglob("*"):
        if path.is_file():
            name = path.relative_to(tmp_path).as_posix()
            (told if name.startswith(scans) else silent).append(path)
    assert {"model.safetensors", "log.jsonl", "metrics.json", "splits.json", "config.yaml",
            "preview.png", "score.json", "last.pt"} <= {path.name for path in silent}  # fmt: skip
    assert any(path.name.startswith("events.out.tfevents") for path in silent)
    assert {str(path): telling(path) for path in silent if telling(path)} == {}
    # The search finds what it looks for where it may be: the results keep their header.
    assert all(telling(path) for path in told if path.is_relative_to(run))


@pytest.mark.parametrize("kind", ["nifti", "dicom"])
def test_python_does_not_tell_either(signed: dict[str, Path], kind: str) -> None:
    volume = md.read(signed[kind])
    assert not words_in(f"{volume!r} {volume.source!r} {volume.history}".encode())


def test_info_tells_of_the_series_and_not_of_the_patient(cli: Any, signed: dict[str, Path]) -> None:
    for place in (signed["dicom"], signed["dicom"].parent):  # alone, and in a list
        for words in ((), ("--json",)):
            said = cli("info", place, *words)
            assert said.status == 0
            assert "T1 Zebedee" in said.out  # by which a series is chosen
            assert not words_in((said.out.replace("T1 Zebedee", "") + said.err).encode())
    assert not words_in(cli("info", signed["nifti"]).out.encode())


def test_results_are_not_named_after_the_patient(
    cli: Any, signed: dict[str, Path], make_series: Any, tmp_path: Path
) -> None:
    sign_dicom(make_series("patient/series", uid="1.2.4", number=6))  # a second one beside it
    said = cli("denoise", signed["dicom"].parent, tmp_path / "out", "--method", "median")
    assert (said.status, said.err) == (0, "")
    assert not words_in(said.out.encode())
    names = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")]
    assert {"out/series/series-5", "out/series/series-6", "out/scan.nii"} <= set(names)
    assert not words_in(" ".join(names).encode())


@pytest.mark.parametrize("fault", ["cut", "charset", "dates", "two patients"])
def test_refusals_do_not_tell_of_the_patient(
    cli: Any, signed: dict[str, Path], make_series: Any, tmp_path: Path, fault: str
) -> None:
    series = signed["dicom"]
    for path in series.iterdir():
        if fault == "cut":
            path.write_bytes(path.read_bytes()[:-100])
        elif fault == "charset":
            path.write_bytes(path.read_bytes().replace(b"Quixote", b"Quix\xf6te"))
        elif fault == "dates":  # pydicom warns of these, and quotes them
            path.write_bytes(path.read_bytes().replace(b"19010203", b"ZEBEDEE!"))
    if fault == "two patients":
        make_series("patient/series", uid="1.2.4", number=6)
    said = cli("denoise", series, tmp_path / "out", "--method", "median", "--keep-private")
    assert said.status == (2 if fault in ("cut", "two patients") else 0), said.err
    heard = (said.out + said.err).replace("T1 Zebedee", "")
    assert not words_in(heard.encode())
