"""Turns what goes wrong into one sentence and an exit status; never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from meddenoise.errors import MeddenoiseError

__all__ = ["failing_well"]


@contextmanager
def failing_well() -> Iterator[None]:
    """Exit status 2 for what the user can mend, 1 for our faults, 130 for Ctrl-C.

    With ``MEDDENOISE_DEBUG`` set in the environment, the traceback is shown as well.
    """
    try:
        yield
    except MeddenoiseError as fault:
        _leave(str(fault), fault.exit_status, fault)
    except KeyboardInterrupt as fault:
        _leave("Stopped; nothing half-written was left.", 130, fault)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: not worth a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError as fault:
        _leave("Not enough memory: set inference.tile, or a smaller data.patch.", 1, fault)
    except OSError as fault:
        _leave(f"{fault.filename or 'The system'}: {fault.strerror or fault}.", 1, fault)
    except Exception as fault:
        _leave(
            f"This is a fault of meddenoise ({type(fault).__name__}: {fault}). Run it again with "
            "MEDDENOISE_DEBUG=1 and send what it prints.",
            1,
            fault,
        )


def _leave(message: str, status: int, fault: BaseException) -> None:
    if os.environ.get("MEDDENOISE_DEBUG"):
        raise fault
    print(f"meddenoise: {message}", file=sys.stderr)
    sys.exit(status)
