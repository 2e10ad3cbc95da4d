"""The ``meddenoise`` command: one thin file a subcommand, no numerics here.

Nothing heavy is imported before a subcommand runs: ``--help`` must answer at once.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """The entry point; ends the process with 0, 1 (our fault), 2 (bad input) or 130 (Ctrl-C)."""
    from meddenoise.cli.app import app
    from meddenoise.cli.failing import failing_well

    with failing_well():
        sys.exit(app(prog_name="meddenoise"))


if __name__ == "__main__":
    main()
