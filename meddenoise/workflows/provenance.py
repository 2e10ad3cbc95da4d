"""What a result was made with, so that it can be made again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["provenance"]

_PACKAGES = ("meddenoise", "torch", "monai", "accelerate", "numpy", "nibabel", "pydicom")


def provenance(device: object = None) -> dict[str, Any]:
    """Versions, machine, and the command as it was given, with its paths; no user name."""
    from meddenoise._version import __version__

    found: dict[str, Any] = {"meddenoise": __version__, "python": platform.python_version()}
    for package in _PACKAGES[1:]:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return {
        "versions": found,
        "git": _git_commit(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "device": None if device is None else str(device),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _git_commit() -> str | None:
    """The commit of the package's own checkout, if it runs from one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        asked = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None
