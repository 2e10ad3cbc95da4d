"""Everything this package raises on purpose.

    MeddenoiseError                a fault of our own               exit status 1
    └── InputError                 something the user can mend      exit status 2
        ├── FileError              a file or directory that cannot be read as a scan
        │   ├── DamagedScan        one that is truncated, or whose content makes no sense
        │   └── AmbiguousInput     several scans where one was asked for
        ├── GeometryError          grids that do not fit each other, or are irregular
        ├── ConfigError            a configuration or an option that makes no sense
        ├── ParameterError         an impossible argument (also a ValueError)
        ├── ModelError             a model file that is damaged or does not fit the scan
        ├── MissingDependency      an optional package that is not installed
        └── OutputError            a result that cannot be written where it was asked for

A message is one sentence or two: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "AmbiguousInput",
    "ConfigError",
    "DamagedScan",
    "FileError",
    "GeometryError",
    "InputError",
    "MeddenoiseError",
    "MissingDependency",
    "ModelError",
    "OutputError",
    "ParameterError",
]


_LONGEST_LINE = 1000


class MeddenoiseError(Exception):
    """The root: catch this to catch all that meddenoise raises on purpose.

    Messages quote what stands in files, and anything may stand there: as text, signs that a
    terminal obeys or cannot show are spelled out, and an endless message ends.
    """

    exit_status = 1
    #: What to do, where that is the same for all of a kind; added to the message.
    remedy = ""

    def __str__(self) -> str:
        said = f"{super().__str__()} {self.remedy}".rstrip()
        if not said.replace("\n", "").isprintable():
            said = "".join(
                sign if sign == "\n" or sign.isprintable() else ascii(sign)[1:-1] for sign in said
            )
        return "\n".join(_shortened(line) for line in said.split("\n"))


def _shortened(line: str) -> str:
    """What is wrong stands first and what to do last; what is quoted in between may be endless."""
    return line if len(line) <= _LONGEST_LINE else f"{line[:700]} ... {line[-200:]}"


class InputError(MeddenoiseError):
    """Something the user gave cannot be used; the message says what to do."""

    exit_status = 2


class FileError(InputError):
    """A file or directory is missing, damaged, or no scan that we read."""


class DamagedScan(FileError):
    """A file breaks off, or holds what its format does not allow."""

    remedy = "Copy or export it again."


class AmbiguousInput(FileError):
    """There are several scans where one was asked for; the message lists them."""


class GeometryError(InputError):
    """Two grids do not match, or one grid is irregular or singular."""


class ConfigError(InputError):
    """A configuration has an unknown key, a wrong type or an impossible value."""


class ParameterError(InputError, ValueError):
    """A function was called with an argument outside its valid range."""


class ModelError(InputError):
    """A model file is damaged, of another kind, or made for other data."""


class MissingDependency(InputError, ImportError):
    """An optional package is needed; the message says how to install it."""


class OutputError(InputError):
    """A result cannot be written; nothing half-written is left behind."""
