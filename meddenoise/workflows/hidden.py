"""What a page does not show of a configuration: whatever names scans or files."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["HIDDEN", "without_paths"]

HIDDEN = "(not shown)"
"""What stands in its place."""

# These do so, whatever they look like.
_TOLD = (
    "data.images",
    "data.targets",
    "data.series",
    "data.cache_directory",
    "training.start_from",
)
# "2.5%" has a point and is no file.
_LEVEL = re.compile(r"(SNR *)?[-+]?(\d+\.\d*|\.\d+)(e[-+]?\d+)? *(%|HU)?", re.IGNORECASE)


def without_paths(value: Any, key: str = "") -> Any:
    """The value of a key, or a whole configuration, with :data:`HIDDEN` for paths.

    Args:
        value: plain values, as ``config.model_dump(mode="json")`` gives them.
        key: where they stand, such as ``"data.images"``; ``""`` for a whole configuration.
    """
    if key in _TOLD:
        return None if value is None else HIDDEN
    if isinstance(value, dict):
        return {
            name: without_paths(inner, f"{key}.{name}" if key else name)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [without_paths(inner, key) for inner in value]
    # Options of parts may name files.
    looks = isinstance(value, str) and any(sign in value for sign in "/\\.")
    return HIDDEN if looks and not _LEVEL.fullmatch(value) else value
