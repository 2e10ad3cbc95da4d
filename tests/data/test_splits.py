from __future__ import annotations

import random
from pathlib import Path

import pytest

from meddenoise.data.cases import Case
from meddenoise.data.splits import split_by_subject
from meddenoise.errors import ParameterError
from meddenoise.io import ScanFile


def cohort(subjects: int, scans: int = 1) -> list[Case]:
    return [
        Case(f"s{s}-{k}", f"s{s}", ScanFile(Path(f"{s}/{k}.nii"), "nifti", None, Path(f"{k}.nii")))
        for s in range(subjects)
        for k in range(scans)
    ]


def subjects(cases: tuple[Case, ...]) -> set[str]:
    return {case.subject for case in cases}


def test_a_subject_never_straddles() -> None:
    for seed in range(20):
        split = split_by_subject(cohort(10, scans=3), seed=seed)
        train, val, test = map(subjects, (split.train, split.val, split.test))
        assert not train & val
        assert not train & test
        assert not val & test
        assert len(split.train) + len(split.val) + len(split.test) == 30


def test_the_shares_are_about_70_15_15() -> None:
    split = split_by_subject(cohort(100))
    assert (len(split.train), len(split.val), len(split.test)) == (70, 15, 15)


def test_the_seed_decides_and_the_order_does_not() -> None:
    cases = cohort(20, scans=2)
    mixed = random.Random(1).sample(cases, len(cases))
    one, two = split_by_subject(cases, seed=4), split_by_subject(mixed, seed=4)
    assert subjects(one.train) == subjects(two.train)
    assert subjects(one.test) == subjects(two.test)
    assert subjects(one.test) != subjects(split_by_subject(cases, seed=5).test)


def test_every_subject_is_tested_under_some_seed() -> None:
    tested = {
        s for seed in range(60) for s in subjects(split_by_subject(cohort(6), seed=seed).test)
    }
    assert len(tested) == 6


def test_one_subject_is_everything() -> None:
    split = split_by_subject(cohort(1, scans=3))
    assert split.single
    assert split.train == split.val == split.test
    assert len(split.train) == 3


@pytest.mark.parametrize(
    ("count", "train", "val", "test"), [(2, 1, 1, 1), (3, 1, 1, 1), (4, 2, 1, 1), (7, 5, 1, 1)]
)
def test_tiny_cohorts(count: int, train: int, val: int, test: int) -> None:
    split = split_by_subject(cohort(count))
    assert not split.single
    assert (len(split.train), len(split.val), len(split.test)) == (train, val, test)
    assert not subjects(split.train) & subjects(split.test)


@pytest.mark.parametrize("shares", [(0.1, 0.1, 0.8), (0.01, 0.98, 0.01), (0.01, 0, 0.99)])
def test_training_is_left_with_at_least_one(shares: tuple[float, float, float]) -> None:
    for count in range(2, 12):
        assert split_by_subject(cohort(count), shares).train


@pytest.mark.parametrize("shares", [(0.5, 0.1, 0.1), (1.5, -0.5, 0.0), (0.0, 0.5, 0.5)])
def test_shares_that_are_none(shares: tuple[float, float, float]) -> None:
    with pytest.raises(ParameterError, match="they add up to 1"):
        split_by_subject(cohort(4), shares)


def test_no_share_no_subject() -> None:
    split = split_by_subject(cohort(10), (1.0, 0.0, 0.0))
    assert len(split.train) == 10
    assert split.val == split.test == split.train


def test_the_recorded_lists() -> None:
    split = split_by_subject(cohort(4))
    told = split.as_dict()
    assert list(told) == ["train", "val", "test"]
    assert told["test"] == [
        {"name": c.name, "subject": c.subject, "image": c.where} for c in split.test
    ]
