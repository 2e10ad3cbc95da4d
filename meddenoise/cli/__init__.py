"""The ``meddenoise`` command: one thin file a subcommand, no numerics here.

Nothing heavy is imported before a subcommand runs: ``--help`` must answer at once.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

__all__ = ["main", "run"]


def main() -> NoReturn:
    """The entry point of the process: :func:`run`, for networks in a process started anew."""
    network = sys.argv[1:2] == ["train"] or (
        sys.argv[1:2] == ["denoise"] and any(word.startswith("--model") for word in sys.argv)
    )
    if network:
        from meddenoise.cli.allocator import keep_memory

        keep_memory()
    run()


def run() -> NoReturn:
    """The command that ``sys.argv`` names, in this process.

    Ends the process with 0, 1 (our fault), 2 (bad input), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    from meddenoise.cli.app import app
    from meddenoise.cli.failing import failing_well
    from meddenoise.cli.notes import printing_warnings

    with failing_well(), printing_warnings():
        signal.signal(signal.SIGTERM, _terminated)
        sys.exit(app(prog_name="meddenoise"))


def _terminated(number: int, _: FrameType | None) -> NoReturn:
    """Unwind, so that half-written files are removed: the default action leaves them."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
