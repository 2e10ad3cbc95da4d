"""What libraries say about odd values in foreign files is no news to the user."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """No warnings in the block, and nothing from these loggers.

    What is said there may quote a header, and so name the patient. Around threads, not in them:
    both are of the whole process.
    """

    def drop(_: logging.LogRecord) -> bool:
        return False

    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in loggers:
            logger = logging.getLogger(name)
            logger.addFilter(drop)
            stack.callback(logger.removeFilter, drop)
        yield
