"""A BIDS dataset in, a BIDS derivative dataset of denoised images out."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from meddenoise._version import __version__
from meddenoise.errors import FileError, OutputError
from meddenoise.io import ScanFile, Sidecars
from meddenoise.io.atomic import atomic_files
from meddenoise.io.bids import (
    BidsImage,
    context_of,
    find_images,
    gradients_of,
    metadata_of,
    read_description,
)
from meddenoise.io.named import path_of
from meddenoise.io.sidecars import sidecars_for
from meddenoise.volume import Volume
from meddenoise.workflows.batch import (
    Batch,
    Outcome,
    Progress,
    inputs_of,
    way_to_denoise,
)
from meddenoise.workflows.places import Job

__all__ = ["denoise_bids"]

_VERSION = "1.10.0"
_LABEL = "denoised"
# The validator knows b-values and the order of labels of raw images only. Programs look for them
# beside the image, by its name, where all that derive such images put them.
_IGNORED = "*_dwi.bval\n*_dwi.bvec\n*_aslcontext.tsv\n"


def denoise_bids(
    dataset: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    participants: Collection[str] = (),
    model: str | os.PathLike[str] | None = None,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    sigma: str | float | None = None,
    stabilise: str | None = None,
    debias: bool = False,
    coils: int | None = None,
    budget: float | None = None,
    adapt: float | None = None,
    strength: float = 1.0,
    units: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
    **writing: Any,
) -> list[Outcome]:
    """Denoise the raw images of a BIDS dataset into a derivative dataset.

    An image ``sub-01/anat/sub-01_T1w.nii.gz`` becomes
    ``sub-01/anat/sub-01_desc-denoised_T1w.nii.gz``, with all that the dataset's sidecars say of it
    (inherited ones too) and where it comes from in the JSON beside it. Masks, phases, maps and
    field maps are passed over, and so is what has a ``desc-`` already.

    Args:
        dataset: a raw BIDS dataset.
        output: the derivative dataset: a new directory, one that an earlier call made, or
            ``DATASET/derivatives/NAME``.
        participants: ``01`` or ``sub-01``; all if there is none.
        model: a model file, or
        method: the name of a filter.
        options: the filter's, by name.
        sigma: the noise's standard deviation in image units, or ``"10%"`` of each image's 99.9th
            percentile.
        stabilise: as in :func:`meddenoise.denoise`.
        debias: as there.
        coils: as there.
        budget: as there, for each image.
        adapt: as there, for each image.
        strength: as there.
        units: as there.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        overwrite: replace existing outputs (never inputs).
        progress: called with the finished fraction.
        writing: what else :func:`meddenoise.io.write` takes: ``dtype``, ...

    Returns:
        One outcome an image; one that fails does not stop the others. One that was passed over
        has neither output nor error, and says why in its notes.

    Raises:
        FileError: no raw BIDS dataset, or no image in it.
        ParameterError: no such participant.
        OutputError: the output is something else, or in the raw dataset.
    """
    asked: dict[str, Any] = {
        "sigma": sigma,
        "stabilise": stabilise,
        "debias": debias,
        "coils": coils,
        "budget": budget,
        "adapt": adapt,
        "strength": strength,
        "units": units,
    }
    way = way_to_denoise(model, method, device, options=options, **asked)
    root, into = path_of(dataset), path_of(output)
    # An option of a filter may have the name of one of ours.
    said = [*(options or {}).items(), *asked.items()]
    derivative = _Derivative(root, into, read_description(root), _named(way.name, said))
    derivative.check()
    images = find_images(root, participants)
    chosen = {image.path: image for image in images if not image.passed}
    if not chosen:
        raise FileError(
            f"{root} holds no image to denoise: none in sub-*/[ses-*/]{{anat,dwi,func,perf,pet}} "
            "is a raw image of intensities."
        )

    def beside(job: Job, volume: Volume, target: Path) -> Sidecars:
        return derivative.sidecars(chosen[job.scan.path], target)

    jobs = [derivative.job(image) for image in chosen.values()]
    batch, inputs = Batch(way, overwrite, writing, beside), inputs_of(jobs)
    # Where all are there already, this call is none of those that the dataset was made by.
    passed = all(batch.finished(job, job.target, inputs) for job in jobs)
    made = not passed and derivative.describe()
    outcomes = batch.all(jobs, progress)
    if made and all(outcome.error for outcome in outcomes):
        derivative.withdraw()
    return [*outcomes, *_passed(images)]


def _named(name: str, settings: Iterable[tuple[str, Any]]) -> str:
    """A way with what was asked of it; what is as it would be anyway was not."""
    asked = (
        f"{key} {said}"
        for key, said in settings
        if not (said is None or said is False or (key, said) == ("strength", 1))
    )
    return ", ".join((name, *asked))


def _passed(images: Sequence[BidsImage]) -> list[Outcome]:
    return [
        Outcome(str(image.path), None, 0.0, notes=(f"Passed over: {image.passed}.",))
        for image in images
        if image.passed
    ]


@dataclass(frozen=True)
class _Derivative:
    """The dataset to be made.

    Attributes:
        root: the raw dataset.
        into: its own directory.
        raw: the raw dataset's description.
        way: how images are denoised, in words.
    """

    root: Path
    into: Path
    raw: dict[str, Any]
    way: str

    @property
    def _description(self) -> Path:
        return self.into / "dataset_description.json"

    @property
    def _ignored(self) -> Path:
        return self.into / ".bidsignore"

    @property
    def _link(self) -> str:
        """Where the raw dataset is, seen from this one."""
        raw, here = self.root.resolve(), self.into.resolve()
        try:
            return quote(Path(os.path.relpath(raw, here)).as_posix())
        except ValueError:  # another drive
            return raw.as_uri()

    @property
    def _generator(self) -> dict[str, str]:
        return {
            "Name": "meddenoise",
            "Version": __version__,
            "Description": f"Denoised with {self.way}",
        }

    def check(self) -> None:
        """Raise for a dataset that is not raw, and for a place that is not a derivative's own.

        Raises:
            FileError, OutputError: as said.
        """
        if self.raw.get("DatasetType", "raw") != "raw":
            raise FileError(
                f"{self.root} is a {self.raw['DatasetType']} dataset: name the raw one, or leave "
                "out --bids."
            )
        if self.into.exists() and not self.into.is_dir():
            raise OutputError(f"{self.into} is a file: a derivative dataset is a directory.")
        raw, here = self.root.resolve(), self.into.resolve()
        below = here.relative_to(raw).parts if here.is_relative_to(raw) else None
        if below is not None and (len(below) < 2 or below[0] != "derivatives"):
            raise OutputError(
                f"{self.into} lies in the raw dataset, which is left as it is: choose a directory "
                f"beside it, or {self.root / 'derivatives' / 'meddenoise'}."
            )
        if self._description.exists():
            self._check_own(read_description(self.into))
        elif self.into.is_dir() and any(self.into.glob("sub-*")):
            raise OutputError(
                f"{self.into} holds participants but no dataset_description.json, so it is not "
                "ours: choose another output."
            )

    def _check_own(self, found: dict[str, Any]) -> None:
        by = found.get("GeneratedBy")
        entries = by if isinstance(by, list) else []
        names = [entry.get("Name") for entry in entries if isinstance(entry, dict)]
        if found.get("DatasetType") != "derivative" or "meddenoise" not in names:
            raise OutputError(
                f"{self.into} is a BIDS dataset that meddenoise did not make: choose another "
                "output."
            )
        links = found.get("DatasetLinks")
        if not isinstance(links, dict) or links.get("raw") != self._link:
            raise OutputError(
                f"{self.into} is derived from another raw dataset than {self.root}: choose "
                "another output."
            )

    def job(self, image: BidsImage) -> Job:
        """What is read, and where its result goes."""
        scan = ScanFile(image.path, "nifti", None, image.relative)
        target = self.into / image.relative.with_name(image.name.described(_LABEL))
        return Job(scan, target, named=True)

    def sidecars(self, image: BidsImage, target: Path) -> Sidecars:
        """What goes beside a result: what is known of the image, and where it comes from."""
        subject = image.relative.parts[0]
        known = {key: _rebased(key, value, subject) for key, value in metadata_of(image).items()}
        made = {
            "Description": f"Denoised by meddenoise {__version__} with {self.way}",
            "Sources": [f"bids:raw:{quote(image.relative.as_posix())}"],
            # Required of every derived image. The raw sidecar may know better.
            "SkullStripped": bool(known.get("SkullStripped", False)),
        }
        text = json.dumps({**known, **made}, indent=2, ensure_ascii=False) + "\n"
        contents = {".json": text.encode(), **gradients_of(image), **context_of(image)}
        return sidecars_for(target, contents)

    def describe(self) -> bool:
        """Write ``dataset_description.json``, or say in it what is new; whether it was not there.

        Raises:
            OutputError: it cannot be written.
        """
        new = not self._description.exists()
        found = self._fresh() if new else read_description(self.into)
        if not new:
            if self._generator in found["GeneratedBy"]:
                return False
            found["GeneratedBy"].append(self._generator)
        files = {self._description: json.dumps(found, indent=2, ensure_ascii=False) + "\n"}
        if new and not self._ignored.exists():
            files = {self._ignored: _IGNORED, **files}
        # Calls for several participants at a time may each write them: all write the same.
        with atomic_files(list(files), overwrite=True) as parts:
            for part, text in zip(parts, files.values(), strict=True):
                part.write_text(text, "utf-8")
        return new

    def _fresh(self) -> dict[str, Any]:
        source = {"URL": self._link}
        if isinstance(self.raw.get("DatasetDOI"), str):
            source["DOI"] = self.raw["DatasetDOI"]
        return {
            "Name": f"{self.raw.get('Name') or self.root.resolve().name}, denoised",
            "BIDSVersion": _VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [self._generator],
            "SourceDatasets": [source],
            "DatasetLinks": {"raw": self._link},
        }

    def withdraw(self) -> None:
        """Take the description back where no image followed it."""
        if set(os.listdir(self.into)) > {self._ignored.name, self._description.name}:
            return
        self._description.unlink()
        if self._ignored.read_text("utf-8") == _IGNORED:
            self._ignored.unlink()


def _rebased(key: str, value: Any, subject: str) -> Any:
    """A field of the raw sidecar whose references to raw files still lead there."""
    if isinstance(value, list):
        return [_rebased(key, item, subject) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith("bids::"):
        return "bids:raw:" + value.removeprefix("bids::")
    if key == "IntendedFor" and not value.startswith("bids:"):
        return f"bids:raw:{subject}/{quote(value)}"
    return value
