"""What a result was made with, so that it can be made again."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from meddenoise.volume import Volume

__all__ = ["provenance", "voxel_hash"]

_PACKAGES = (
    "meddenoise", "torch", "monai", "accelerate", "numpy", "scipy", "scikit-image", "nibabel",
    "pydicom",
)  # fmt: skip


def provenance(
    device: object = None, *, seed: int | None = None, data: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Versions, machine, and the command as it was given, with its paths; no user name.

    Args:
        device: what was computed on.
        seed: of all random numbers.
        data: a hash of each scan by its name; see :func:`voxel_hash`.
    """
    from meddenoise._version import __version__

    found: dict[str, Any] = {"meddenoise": __version__, "python": platform.python_version()}
    for package in _PACKAGES[1:]:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    told = {
        "versions": found,
        "git": _git("rev-parse", "HEAD"),
        "git_changed": _changed(),
        "platform": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gib": _memory(),
        "threads": _threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "device": None if device is None else str(device),
        "gpu": _gpu(device),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }
    if seed is not None:
        told["seed"] = seed
    if data is not None:
        told["data"] = dict(data)
    return told


def voxel_hash(*volumes: Volume | None) -> str:
    """``"sha256:..."`` of voxels and places in space; the format and other headers are nothing."""
    digest = hashlib.sha256()
    for volume in volumes:
        if volume is None:
            digest.update(b"none")
            continue
        array = np.ascontiguousarray(volume.array)
        digest.update(f"{array.dtype.str}{array.shape}{volume.units}".encode())
        digest.update(array.data)
        digest.update(np.ascontiguousarray(volume.affine.round(6)).data)
    return f"sha256:{digest.hexdigest()}"


def _git(*words: str) -> str | None:
    """What git says of the package's own checkout, if it runs from one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        asked = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def _changed() -> bool | None:
    """Whether the checkout's package differs from its commit."""
    said = _git("status", "--porcelain", "--untracked-files=no", "--", "meddenoise")
    return None if said is None else bool(said)


def _processor() -> str | None:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or None


def _memory() -> float | None:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    return round(size / 2**30, 1)


def _threads() -> int | None:
    """Of torch, where it is at work."""
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def _gpu(device: object) -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or device is None or not str(device).startswith("cuda"):
        return None
    return str(torch.cuda.get_device_name(device))
