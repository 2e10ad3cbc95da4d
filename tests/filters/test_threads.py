from __future__ import annotations

import threading
import time

import pytest
import torch

from meddenoise.filters.threads import in_threads, keep_on


def test_results_come_in_order_and_each_job_has_one_core() -> None:
    before = torch.get_num_threads()
    gate = threading.Event()

    def job(number: int) -> tuple[int, int, bool]:
        # Where there are two cores, the first job waits for the second.
        if number == 0 and before > 1:
            assert gate.wait(20)
        gate.set()
        return number, torch.get_num_threads(), torch.is_inference_mode_enabled()

    assert list(in_threads(job, range(5))) == [(number, 1, True) for number in range(5)]
    assert torch.get_num_threads() == before


def test_torch_keeps_its_threads_for_threads_to_come() -> None:
    before = torch.get_num_threads()
    list(in_threads(lambda number: number, range(3)))
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [before]


def test_an_error_is_told_and_what_is_left_is_not_begun() -> None:
    begun = []

    def job(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise ValueError("the second")
        time.sleep(0.01)  # all of them take seconds: the error is told long before
        return number

    results = in_threads(job, range(1000))
    assert next(results) == 0
    with pytest.raises(ValueError, match="the second"):
        next(results)
    assert len(begun) < 1000


def test_a_long_job_ends_when_nobody_waits_for_it() -> None:
    begun, through = threading.Event(), []

    def job(number: int) -> int:
        if number == 0:
            return number
        begun.set()
        for _ in range(1000):
            keep_on()
            time.sleep(0.01)
        through.append(number)
        return number

    results = in_threads(job, range(2))
    assert next(results) == 0
    assert begun.wait(20)
    results.close()  # as Ctrl-C does
    assert through == []
    keep_on()  # nobody ends what was never begun
