"""Brain Imaging Data Structure: which images a dataset holds, and what is known of each.

After the specification, version 1.10: its file names, its suffixes, and its inheritance
principle, by which a sidecar higher up holds for all images below that have its entities.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from meddenoise.errors import FileError, ParameterError
from meddenoise.io.sidecars import read_sidecar

__all__ = [
    "BidsImage",
    "BidsName",
    "context_of",
    "find_images",
    "gradients_of",
    "metadata_of",
    "read_description",
]

_ENTITY = re.compile(r"(?P<key>[a-z]+)-(?P<label>[A-Za-z0-9+]+)")
_SUFFIX = re.compile(r"[A-Za-z0-9]+")
_NIFTI = (".nii.gz", ".nii")

#: Suffixes of images of intensities by datatype: no masks, phases, or maps of a quantity, in which
#: noise is not what it is in an image. Field maps are measurements of the scanner, not of the head.
_INTENSITIES = {
    "anat": {
        *("T1w", "T2w", "PDw", "T2starw", "FLAIR", "PDT2", "inplaneT1", "inplaneT2", "angio"),
        *("T2star", "FLASH", "PD"),  # deprecated
        *("MEGRE", "MESE", "VFA", "IRT1", "MP2RAGE", "MPM", "MTS", "MTR"),
    },
    "dwi": {"dwi", "sbref"},
    "func": {"bold", "cbv", "sbref"},
    "perf": {"asl", "m0scan"},
    "pet": {"pet"},
}
_PARTS = {"phase": "a phase", "real": "a real part", "imag": "an imaginary part"}


@dataclass(frozen=True)
class BidsName:
    """A file name taken apart.

    Attributes:
        entities: labels by key, in the name's order: ``{"sub": "01", "task": "rest"}``.
        suffix: what is measured: ``"bold"``.
        extension: ``".nii.gz"``, ``".json"``, ...
    """

    entities: dict[str, str]
    suffix: str
    extension: str

    @classmethod
    def parse(cls, name: str) -> BidsName | None:
        """``None`` for a name that is none of BIDS."""
        stem, dot, extension = name.partition(".")
        *parts, suffix = stem.split("_")
        pairs = [_ENTITY.fullmatch(part) for part in parts]
        entities = {pair["key"]: pair["label"] for pair in pairs if pair is not None}
        if len(entities) < len(parts) or not _SUFFIX.fullmatch(suffix):
            return None  # a part that is no entity, or an entity twice
        return cls(entities, suffix, dot + extension)

    def described(self, label: str) -> str:
        """The name of a derivative with ``desc-label``, which is last of all entities."""
        pairs = [f"{key}-{value}" for key, value in self.entities.items()]
        return "_".join([*pairs, f"desc-{label}", self.suffix]) + self.extension

    def applies_to(self, other: BidsName) -> bool:
        """Whether a sidecar of this name is one of an image of the other, wherever it lies."""
        return self.suffix == other.suffix and self.entities.items() <= other.entities.items()


@dataclass(frozen=True)
class BidsImage:
    """An image of a dataset.

    Attributes:
        root: the dataset.
        relative: its place in it: ``sub-01/anat/sub-01_T1w.nii.gz``.
        name: its name, taken apart.
        passed: why it is no raw image of intensities; empty if it is one.
    """

    root: Path
    relative: Path
    name: BidsName
    passed: str = ""

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.root / self.relative


def read_description(root: Path) -> dict[str, Any]:
    """What ``dataset_description.json`` says.

    Raises:
        FileError: it is not there, or is damaged.
    """
    path = root / "dataset_description.json"
    if not path.is_file():
        raise FileError(
            f"{root} is no BIDS dataset: it has no dataset_description.json. Name the directory "
            "that does, or leave out --bids."
        )
    return _read_object(path)


def find_images(root: Path, participants: Collection[str] = ()) -> list[BidsImage]:
    """Every NIfTI in ``sub-*/[ses-*/]DATATYPE``, in the order of their paths.

    ``derivatives``, ``sourcedata`` and all else beside the participants is not looked at.

    Args:
        root: a dataset.
        participants: ``01`` or ``sub-01``; all if there is none.

    Raises:
        ParameterError: there is no such participant.
    """
    there = [path.name for path in _directories(root, "sub-")]
    asked = ["sub-" + label.removeprefix("sub-") for label in participants]
    for subject in asked:
        if subject not in there:
            known = ", ".join(name.removeprefix("sub-") for name in there[:10]) or "none"
            more = f" and {len(there) - 10} more" if len(there) > 10 else ""
            raise ParameterError(
                f"There is no participant {subject.removeprefix('sub-')} in {root}: it has "
                f"{known}{more}."
            )
    found = []
    for subject in [name for name in there if not asked or name in asked]:
        for place in [root / subject, *_directories(root / subject, "ses-")]:
            for datatype in _directories(place):
                if not datatype.name.startswith("ses-"):
                    found += list(_images_in(root, datatype))
    return sorted(found, key=lambda image: image.relative)


def _directories(place: Path, start: str = "") -> list[Path]:
    try:
        inside = sorted(place.iterdir())
    except OSError as error:
        raise FileError(f"{place} cannot be read: {error.strerror or error}.") from error
    return [p for p in inside if p.name.startswith(start) and p.name[0] != "." and p.is_dir()]


def _images_in(root: Path, datatype: Path) -> Iterator[BidsImage]:
    place = datatype.relative_to(root).parts
    for path in datatype.iterdir():
        extension = next((end for end in _NIFTI if path.name.endswith(end)), None)
        if extension is None or path.name.startswith(".") or path.is_dir():
            continue
        name = BidsName.parse(path.name)
        if name is None or name.extension != extension or "sub" not in name.entities:
            name, passed = BidsName({}, "", extension), "its name is none of BIDS"
        else:
            passed = _reason(name, place)
        yield BidsImage(root, path.relative_to(root), name, passed)


def _reason(name: BidsName, place: tuple[str, ...]) -> str:
    """Why an image is none to denoise, or nothing."""
    *above, datatype = place
    if above != [f"{key}-{name.entities[key]}" for key in ("sub", "ses") if key in name.entities]:
        return "its name and its directory say different participants or sessions"
    if "desc" in name.entities:
        return "it has a desc- already, so it is no raw image"
    if datatype not in _INTENSITIES:
        return f"what is in {datatype} is left as it is"
    if name.suffix not in _INTENSITIES[datatype]:
        return f"{datatype} of kind {name.suffix} is no image of intensities"
    if name.entities.get("part") in _PARTS:
        return f"it is {_PARTS[name.entities['part']]}, not a magnitude"
    return ""


def metadata_of(image: BidsImage) -> dict[str, Any]:
    """All that JSON sidecars say of an image: from the root down, the nearer one over the farther.

    Raises:
        FileError: one that is damaged.
    """
    merged: dict[str, Any] = {}
    for path in _inherited(image, ".json"):
        merged.update(_read_object(path))
    return merged


def gradients_of(image: BidsImage) -> dict[str, bytes]:
    """The b-values and directions of an image, by extension: of each the nearest file.

    Raises:
        FileError: one that cannot be read.
    """
    kinds = (".bval", ".bvec")
    nearest = {kind: _inherited(image, kind)[-1:] for kind in kinds}
    return {kind: read_sidecar(path) for kind, paths in nearest.items() for path in paths}


def context_of(image: BidsImage) -> dict[str, bytes]:
    """Which volumes of an ASL image are labels and which controls: what its name goes on with, and
    the content of the nearest file of that name.

    Raises:
        FileError: it cannot be read.
    """
    if image.name.suffix != "asl":
        return {}
    named = replace(image, name=replace(image.name, suffix="aslcontext"))
    found = _inherited(named, ".tsv")
    return {"context.tsv": read_sidecar(found[-1])} if found else {}


def _inherited(image: BidsImage, extension: str) -> list[Path]:
    """The sidecars of an image, from the root down; of several in one directory, which should
    not be, the one with the most entities last."""
    found: list[Path] = []
    for directory in reversed(image.relative.parents):
        place = image.root / directory
        names = [name for name in sorted(os.listdir(place)) if name.endswith(extension)]
        named = [(BidsName.parse(name), place / name) for name in names]
        here = [
            (len(name.entities), path)
            for name, path in named
            if name is not None
            and name.extension == extension
            and name.applies_to(image.name)
            and path.is_file()
        ]
        found += [path for _, path in sorted(here)]
    return found


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_sidecar(path).decode("utf-8-sig"))
    except ValueError as error:
        raise FileError(f"{path} is damaged: it is no JSON ({error}).") from None
    except RecursionError:
        raise FileError(f"{path} is damaged: it is nested too deeply.") from None
    if not isinstance(value, dict):
        raise FileError(f"{path} is damaged: it holds no JSON object.")
    return value
