from __future__ import annotations

import pytest

from meddenoise.errors import ParameterError
from meddenoise.workflows.shards import parse_shard, shard_of


def test_shares_are_all_and_have_nothing_in_common() -> None:
    things = list(range(23))
    for count in (1, 4, 23, 30):
        shares = [shard_of(things, (number, count)) for number in range(1, count + 1)]
        assert sorted(thing for share in shares for thing in share) == things
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_share_is_said_by_numbers_or_by_slurm() -> None:
    assert parse_shard("2/8") == (2, 8)
    array = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_MAX": "9"}
    assert parse_shard("slurm", array) == (3, 5)
    assert parse_shard("slurm", {**array, "SLURM_ARRAY_TASK_STEP": "2"}) == (2, 3)


@pytest.mark.parametrize("said", ["0/3", "4/3", "1/0", "one/3", "1", "-1/3", "1/3/2", ""])
def test_no_such_share(said: str) -> None:
    with pytest.raises(ParameterError, match="say I/N"):
        parse_shard(said)


@pytest.mark.parametrize("odd", [{}, {"SLURM_ARRAY_TASK_STEP": "3"}, {"SLURM_ARRAY_TASK_ID": "x"}])
def test_no_such_job_array(odd: dict[str, str]) -> None:
    array = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_MAX": "9"}
    with pytest.raises(ParameterError, match="say --shard I/N"):
        parse_shard("slurm", {**array, **odd} if odd else {})


def test_a_job_array_with_gaps_leaves_no_share_undone() -> None:
    array = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "7"}
    assert parse_shard("slurm", {**array, "SLURM_ARRAY_TASK_COUNT": "7"}) == (3, 7)
    with pytest.raises(ParameterError, match=r"3 tasks from 1 to 7, with gaps"):
        parse_shard("slurm", {**array, "SLURM_ARRAY_TASK_COUNT": "3"})
