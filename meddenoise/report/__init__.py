"""Pictures of results."""

from meddenoise.report.preview import preview

__all__ = ["preview"]
