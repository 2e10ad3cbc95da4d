"""Turns what goes wrong into one sentence and an exit status; never a traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperGroup

from meddenoise.errors import MeddenoiseError, ParameterError
from meddenoise.free_memory import is_out_of_memory

__all__ = ["CommandGroup", "Stopped", "failing_well"]

# What the system refuses for reasons that the user can mend, wherever it happens.
_USERS_TO_MEND = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG,
}  # fmt: skip


class Stopped(MeddenoiseError):
    """Ctrl-C, outside of training (which saves a checkpoint and says so)."""

    exit_status = 130


class CommandGroup(TyperGroup):
    """Commands whose Ctrl-C reaches :func:`failing_well`: Typer would end without a word.

    Nor does it see an empty argument, which it takes for the directory where one is.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The command line's words.

        Raises:
            ParameterError: one of them is empty.
        """
        if "" in args:
            before = args[args.index("") - 1] if args[0] else "meddenoise"
            raise ParameterError(
                f"The argument after '{before}' is empty: name a file or a value; perhaps a "
                "variable of the shell has none."
            )
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command line's subcommand."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Stopped("Stopped; nothing half-written was left.") from None


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
    except OSError as fault:
        status = 2 if fault.errno in _USERS_TO_MEND else 1
        todo = " Choose a shorter name." if fault.errno == errno.ENAMETOOLONG else ""
        where = fault.filename or "The system"
        _leave(f"{where}: {fault.strerror or fault}.{todo}", status, fault)
    except Exception as fault:
        if is_out_of_memory(fault):
            _leave(
                "Not enough memory: close what else needs it, or denoise a part of the scan; in "
                "training, take a smaller data.patch or data.batch.",
                2,
                fault,
            )
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
