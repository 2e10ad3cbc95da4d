"""What the toolkit denoises with where nothing was trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from meddenoise.filters import describe_filter, filter_names, filter_options, is_joint
from meddenoise.workflows import refined as refined  # registers a method

__all__ = ["Method", "list_methods"]


@dataclass(frozen=True)
class Method:
    """A filter, as people are told of it.

    Attributes:
        name: for ``--method``.
        summary: one line.
        joint: only for 4-D scans, all volumes of which it takes at once.
        options: with their defaults; None is chosen from the image.
    """

    name: str
    summary: str
    joint: bool
    options: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def list_methods() -> list[Method]:
    """All registered filters, by name."""
    return [
        Method(name, describe_filter(name), is_joint(name), filter_options(name))
        for name in filter_names()
    ]
