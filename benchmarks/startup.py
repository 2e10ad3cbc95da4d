"""How long the commands that compute nothing take, as whole processes.

    python benchmarks/startup.py [--runs N] [--json FILE]

Starts each command N times and reports the fastest and the median. Also counts the heavy
packages that such a command imports: there should be none.
"""

from __future__ import annotations

import statistics
import sys
import time

from common import Report, arguments, call

HEAVY = ("torch", "monai", "SimpleITK", "scipy", "skimage", "matplotlib", "accelerate", "pydicom")
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import meddenoise": ["-c", "import meddenoise"],
    "meddenoise --version": ["-m", "meddenoise", "--version"],
    "meddenoise --help": ["-m", "meddenoise", "--help"],
    "meddenoise train --help": ["-m", "meddenoise", "train", "--help"],
}
TARGETS = {"import meddenoise": 1.0, "meddenoise --help": 1.0, "meddenoise --version": 1.0}
# Runs the command in this process and tells which heavy packages it left in sys.modules.
SPY = """
import contextlib, io, runpy, sys
mode, *sys.argv[1:] = sys.argv[1:]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    if mode == "import":
        import meddenoise
    else:
        runpy.run_module("meddenoise", run_name="__main__", alter_sys=True)
print(*[name for name in {heavy!r} if name in sys.modules])
"""


def seconds(command: list[str], runs: int) -> list[float]:
    """The wall time of each run; one run beforehand fills the caches of files and bytecode."""
    call([sys.executable, *command])
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        call([sys.executable, *command])
        taken.append(time.perf_counter() - started)
    return taken


def heavy_imports(*command: str) -> list[str]:
    """The heavy packages that ``import meddenoise`` or a command imports."""
    mode = ["command", *command] if command else ["import"]
    return call([sys.executable, "-c", SPY.format(heavy=HEAVY), *mode]).stdout.split()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, help="of each command (default 20; quick: 5)")
    options = parser.parse_args()
    runs = options.runs or (5 if options.quick else 20)
    report = Report(f"Start-up ({runs} runs of each command)")
    for name, command in COMMANDS.items():
        print(name, file=sys.stderr)
        taken = seconds(command, runs)
        report.add(f"`{name}`, median", statistics.median(taken), "s", at_most=TARGETS.get(name))
        report.add(f"`{name}`, fastest", min(taken), "s")
    for name, found in {
        "import meddenoise": heavy_imports(),
        "meddenoise --version": heavy_imports("--version"),
        "meddenoise --help": heavy_imports("--help"),
    }.items():
        if found:
            print(f"{name} imports {', '.join(found)}", file=sys.stderr)
        report.add(f"`{name}`, heavy packages imported", len(found), "packages", at_most=0)
    report.finish(options.json)


if __name__ == "__main__":
    main()
