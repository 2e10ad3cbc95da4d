import logging
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from meddenoise.io.quiet import hearing, quiet, stay_quiet, threads_apart


@pytest.fixture(autouse=True)
def all_warnings() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield said


def say(text: str) -> None:
    warnings.warn_explicit(text, UserWarning, "file.py", 1, module="meddenoise.some")


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


def test_what_is_said_is_heard_while_another_thread_reads(
    all_warnings: list[warnings.WarningMessage],
) -> None:
    before = (warnings.filters, warnings.showwarning)
    inside, heard = threading.Event(), threading.Event()

    def reads_ahead() -> None:
        with quiet():
            say("Doe^Jane")
            inside.set()
            heard.wait(10)
            say("Doe^Jane")

    with threads_apart():
        thread = threading.Thread(target=reads_ahead)
        thread.start()
        inside.wait(10)
        with hearing() as said:
            say("of the scan at hand")
            warnings.warn("of a library", stacklevel=1)
            heard.set()
            thread.join()  # its block ends first
            say("at its end")
        say("between scans")
    assert said == ["of the scan at hand", "at its end"]
    assert [str(w.message) for w in all_warnings] == ["between scans"]
    assert (warnings.filters, warnings.showwarning) == before


def test_each_thread_hears_its_own_and_what_works_for_it() -> None:
    before = (warnings.filters, warnings.showwarning)
    both = threading.Barrier(2, timeout=10)

    def denoises(name: str) -> list[str]:
        with hearing() as said:
            both.wait()
            say(name)
            both.wait()
        return said

    with ThreadPoolExecutor(2) as pool:
        assert [*pool.map(denoises, ("one", "two"))] == [["one"], ["two"]]
    assert (warnings.filters, warnings.showwarning) == before
    with hearing() as said, ThreadPoolExecutor(1) as pool:
        pool.submit(say, "of a channel").result()
    assert said == ["of a channel"]


def test_threads_of_a_pool_stay_quiet(all_warnings: list[warnings.WarningMessage]) -> None:
    with hearing() as said, ThreadPoolExecutor(2, initializer=stay_quiet) as pool:
        [*pool.map(say, ["Doe^Jane"] * 4)]
    assert not said
    assert not all_warnings
