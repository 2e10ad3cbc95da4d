"""Takes the noise out of medical images."""

from meddenoise._version import __version__

__all__ = ["__version__"]
