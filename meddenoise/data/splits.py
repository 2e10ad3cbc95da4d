"""Divides cases into train, validation and test by subject."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from meddenoise.data.cases import Case
from meddenoise.errors import ParameterError

__all__ = ["Split", "split_by_subject"]


@dataclass(frozen=True)
class Split:
    """Which cases train, which choose, which test. A single scan is all three."""

    train: tuple[Case, ...]
    val: tuple[Case, ...]
    test: tuple[Case, ...]

    @property
    def single(self) -> bool:
        """Whether there is but one subject, which then trains on itself."""
        return self.train == self.test

    def as_dict(self) -> dict[str, list[dict[str, str]]]:
        """For the file that a run writes."""
        return {
            side: [
                {"name": case.name, "subject": case.subject, "image": case.where}
                for case in getattr(self, side)
            ]
            for side in ("train", "val", "test")
        }


def split_by_subject(
    cases: Sequence[Case], shares: tuple[float, float, float] = (0.70, 0.15, 0.15), seed: int = 0
) -> Split:
    """Shuffles the subjects and deals them out, train first; no subject is on two sides.

    With one subject everything trains, validates and tests on it. With two or more, each side
    with a share above 0 gets at least one subject as far as they go, test before validation;
    validation falls back to the training subjects.

    Args:
        cases: all cases.
        shares: of train, validation and test; they add up to 1.
        seed: of the shuffle, which does not depend on the order of ``cases``.

    Raises:
        ParameterError: shares that are none.
    """
    if min(shares) < 0 or shares[0] == 0 or abs(sum(shares) - 1) > 1e-6:
        raise ParameterError(
            f"The shares of train, validation and test are {', '.join(f'{s:g}' for s in shares)}: "
            "they add up to 1, with that of train above 0."
        )
    subjects = sorted({case.subject for case in cases})
    if len(subjects) == 1:
        everything = tuple(cases)
        return Split(everything, everything, everything)
    random.Random(f"split {seed}").shuffle(subjects)
    tests, vals = _counts(len(subjects), shares)
    test = set(subjects[:tests])
    val = set(subjects[tests : tests + vals])

    def of(chosen: set[str]) -> tuple[Case, ...]:
        return tuple(case for case in cases if case.subject in chosen)

    train = of(set(subjects) - test - val)
    return Split(train, of(val) or train, of(test) or train)


def _counts(subjects: int, shares: tuple[float, float, float]) -> tuple[int, int]:
    """How many subjects test and validate; at least one is left to train."""
    tests = max(1, round(shares[2] * subjects)) if shares[2] > 0 else 0
    tests = min(tests, subjects - 1)
    vals = max(1, round(shares[1] * subjects)) if shares[1] > 0 else 0
    return tests, min(vals, subjects - 1 - tests)
