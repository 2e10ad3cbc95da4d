"""What the reader and the writer have to say, as a line each instead of a Python warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["printing_warnings"]


@contextmanager
def printing_warnings() -> Iterator[None]:
    """Print our own warnings on standard error, and no other library's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"meddenoise\.")
        warnings.showwarning = _show
        yield


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"meddenoise: {message}", file=sys.stderr)
