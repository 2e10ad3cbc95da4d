"""The ``meddenoise`` command: one thin file a subcommand, no numerics here.

Nothing heavy is imported before a subcommand runs: ``--help`` must answer at once.
"""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

from meddenoise.signals import unwind

__all__ = ["main", "run"]


def main() -> NoReturn:
    """The entry point of the process: :func:`run`, for networks in a process started anew."""
    command, words = sys.argv[1:2], sys.argv[2:]
    # What --method names is seldom a network.
    denoises = command == ["denoise"] and not any(word.startswith("--method") for word in words)
    if denoises or command in (["train"], ["pretrain"]):
        from meddenoise.cli.allocator import DENOISE, TRAIN, keep_memory

        keep_memory(DENOISE if denoises else TRAIN)
    run()


def run() -> NoReturn:
    """The command that ``sys.argv`` names, in this process.

    Ends the process with 0, 1 (our fault), 2 (bad input), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    from meddenoise.cli.app import app
    from meddenoise.cli.failing import failing_well
    from meddenoise.cli.notes import printing_warnings

    with failing_well(), printing_warnings():
        signal.signal(signal.SIGTERM, unwind)
        sys.exit(app(prog_name="meddenoise"))


if __name__ == "__main__":
    main()
