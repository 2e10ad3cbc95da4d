import logging
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from meddenoise.io.quiet import quiet, stay_quiet


@pytest.fixture(autouse=True)
def all_warnings() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield said


def test_libraries_are_not_heard(
    all_warnings: list[warnings.WarningMessage], caplog: pytest.LogCaptureFixture
) -> None:
    with quiet("pydicom"), quiet():
        warnings.warn("Doe^Jane", stacklevel=1)
        logging.getLogger("pydicom").warning("Doe^Jane")
    assert not all_warnings
    assert not caplog.records
    warnings.warn("again", stacklevel=1)
    assert [str(w.message) for w in all_warnings] == ["again"]


def test_another_thread_is_heard_and_keeps_its_rules(
    all_warnings: list[warnings.WarningMessage],
) -> None:
    inside, leave = threading.Event(), threading.Event()
    unheard = []

    def reads_ahead() -> None:
        with quiet():
            warnings.warn("Doe^Jane", stacklevel=1)
            inside.set()
            leave.wait(10)
        unheard.append(True)

    thread = threading.Thread(target=reads_ahead)
    before = warnings.filters
    with warnings.catch_warnings(record=True) as notes:
        thread.start()
        inside.wait(10)
        warnings.warn("a note of the scan at hand", stacklevel=1)
    leave.set()
    thread.join()
    assert [str(w.message) for w in notes] == ["a note of the scan at hand"]
    assert unheard
    assert warnings.filters is before
    warnings.warn("again", stacklevel=1)
    assert [str(w.message) for w in all_warnings][-1:] == ["again"]


def test_threads_of_a_pool_stay_quiet(all_warnings: list[warnings.WarningMessage]) -> None:
    with quiet(), ThreadPoolExecutor(2, initializer=stay_quiet) as pool:
        [*pool.map(lambda _: warnings.warn("Doe^Jane", stacklevel=1), range(4))]
    assert not all_warnings
