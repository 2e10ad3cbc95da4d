"""What a run trains on: where scans come from, how they are split, how patches are drawn."""

from meddenoise.data.cases import Case, find_cases
from meddenoise.data.splits import Split, split_by_subject

__all__ = ["Case", "Split", "find_cases", "split_by_subject"]
