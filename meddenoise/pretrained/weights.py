"""The weights that ship with the package, and the list that says what they must be."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from meddenoise.errors import ModelError
from meddenoise.hashing import file_hash
from meddenoise.inference.model_file import read_model_info
from meddenoise.io.atomic import atomic_file

__all__ = ["LARGEST", "ship", "shipped_dims", "shipped_weights"]

LARGEST = 16_000_000
"""Bytes of all weights together, so that the package stays small."""

_HERE = Path(__file__).parent
_LIST = "weights.json"


def shipped_dims(directory: Path = _HERE) -> tuple[int, ...]:
    """For which numbers of axes there are weights."""
    return tuple(sorted(int(dims) for dims in _listed(directory)))


def shipped_weights(dims: int = 3, directory: Path = _HERE) -> Path:
    """The model file for scans of so many axes, after a look at its hash.

    Raises:
        ModelError: no such weights, or a file that is missing or not what the list says; with both
            hashes.
    """
    listed = _listed(directory).get(str(dims))
    if listed is None:
        raise ModelError(f"No weights for {dims}-D scans ship with this version of meddenoise.")
    file = directory / listed["file"]
    install = "install meddenoise again, or give --model or --method"
    if not file.is_file():
        raise ModelError(
            f"The weights {file} ({listed['sha256']}) that ship with meddenoise are missing: "
            f"{install}."
        )
    stat = file.stat()
    found = _hash_of(file, stat.st_mtime_ns, stat.st_size)
    if found != listed["sha256"]:
        raise ModelError(
            f"The weights {file} are not those that ship with meddenoise: their hash is {found} "
            f"and should be {listed['sha256']}: {install}."
        )
    return file


def ship(model: Path, directory: Path = _HERE) -> Path:
    """Put a model file that ``meddenoise pretrain`` wrote into the package, and its hash on the
    list.

    Its weights are rounded to float16, which halves the package and moves an output by less than a
    thousandth of the noise; they are loaded into float32.

    Raises:
        ModelError: no model file, one that was trained on scans, or one that is too large.
    """
    info = read_model_info(model)
    if "procedural" not in info.get("data", {}):
        raise ModelError(f"{model} was not trained on procedural anatomy: only such weights ship.")
    dims = info["network"]["dims"]
    listed = _listed(directory)
    others = sum(
        (directory / entry["file"]).stat().st_size for key, entry in listed.items()
        if key != str(dims)
    )  # fmt: skip
    halved = _halved(model)
    if len(halved) + others >= LARGEST:
        raise ModelError(f"With {model} the weights would exceed {LARGEST / 1e6:g} MB.")
    target = directory / f"model_{dims}d.safetensors"
    with atomic_file(target, overwrite=True) as temporary:
        Path(temporary).write_bytes(halved)
    listed[str(dims)] = {"file": target.name, "sha256": file_hash(target)}
    (directory / _LIST).write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    return target


@lru_cache(maxsize=8)
def _hash_of(file: Path, changed: int, size: int) -> str:
    """Once a process, as long as the file stays: it takes a tenth of a small scan's time."""
    return file_hash(file)


def _halved(model: Path) -> bytes:
    """The model file with its weights in float16."""
    from safetensors import safe_open
    from safetensors.torch import save

    with safe_open(model, "pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        told = file.metadata()
    half = {n: w.half() if w.is_floating_point() else w for n, w in weights.items()}
    return save(half, metadata=told)


def _listed(directory: Path) -> dict[str, Any]:
    file = directory / _LIST
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as fault:
        raise ModelError(
            f"{file}, which lists the weights that ship with meddenoise, is damaged ({fault}): "
            "install meddenoise again, or give --model or --method."
        ) from None
    if not isinstance(listed, dict) or not all(map(_is_entry, listed, listed.values())):
        raise ModelError(
            f"{file}, which lists the weights that ship with meddenoise, is damaged: install "
            "meddenoise again, or give --model or --method."
        )
    return listed


def _is_entry(dims: str, told: Any) -> bool:
    """Whether that is a line of the list: for how many axes, which file, and its hash."""
    named = isinstance(told, dict) and all(isinstance(told.get(k), str) for k in ("file", "sha256"))
    return named and dims.isdecimal()
