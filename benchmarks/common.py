"""What the benchmarks share: targets and their table, the machine, data, the other environment."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# What is measured is this checkout, whatever else is installed.
sys.path.insert(0, str(ROOT))

# The settings that CAREamics' own examples train with.
PATCH = {2: (64, 64), 3: (16, 64, 64)}
BATCH = {2: 16, 3: 2}


@dataclass
class Row:
    """One figure. ``met`` is ``None`` where there is no target."""

    name: str
    value: float
    target: float | None
    unit: str
    met: bool | None


@dataclass
class Report:
    """Collects figures, prints them as a table and writes them as JSON."""

    title: str
    rows: list[Row] = field(default_factory=list)

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """A figure, with its target if it has one."""
        target = at_most if at_least is None else at_least
        met = None
        if at_least is not None:
            met = value >= at_least
        elif at_most is not None:
            met = value <= at_most
        self.rows.append(Row(name, value, target, unit, met))

    def finish(self, file: Path | None) -> None:
        """Print the Markdown table to stdout, and write the JSON file if one is asked for."""
        print(f"# {self.title}\n")
        for name, told in environment().items():
            print(f"- {name}: {told}")
        print("\n| figure | value | target | met |\n|---|---|---|---|")
        for row in self.rows:
            target = "" if row.target is None else f"{row.target:g} {row.unit}"
            met = {None: "", True: "yes", False: "NO"}[row.met]
            print(f"| {row.name} | {_digits(row.value)} {row.unit} | {target} | {met} |")
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps([asdict(row) for row in self.rows], indent=2) + "\n")


def _digits(value: float) -> str:
    """Four digits, or all of a whole number."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def environment() -> dict[str, str]:
    """Machine, versions, load and command; nothing that names a host or a person."""
    names = ["numpy", "torch", "monai", "accelerate", "careamics", "lightning"]
    versions = [f"Python {platform.python_version()}"]
    for name in names:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    script = Path(sys.argv[0]).resolve()
    shown = script.relative_to(ROOT) if script.is_relative_to(ROOT) else script.name
    told = {"machine": machine(), "versions": ", ".join(versions)}
    if hasattr(os, "getloadavg"):
        told["load at the end"] = f"{os.getloadavg()[0]:.1f} (1 min mean)"
    return told | {"command": shlex.join(["python", str(shown), *sys.argv[1:]])}


def machine() -> str:
    """Cores, vector instructions and GPU, such as ``2 cores, AVX2, AVX-512, no GPU``."""
    told = [f"{os.cpu_count()} cores"]
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    told += [name for flag, name in (("avx2", "AVX2"), ("avx512f", "AVX-512")) if flag in flags]
    told.append("GPU" if Path("/proc/driver/nvidia").exists() else "no GPU")
    return ", ".join(told)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a rough answer within 5 minutes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


def add_data(parser: argparse.ArgumentParser) -> None:
    """``--data DIR``."""
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT.parent / "shared" / "data",
        help="directory with the public scans (default: ../shared/data beside the checkout)",
    )


def add_peer_env(parser: argparse.ArgumentParser) -> None:
    """``--peer-env DIR``."""
    parser.add_argument(
        "--peer-env",
        type=Path,
        default=ROOT / "build" / "peers",
        help="what make_peer_env.sh made (default: build/peers)",
    )


def peer_python(env: Path) -> Path:
    """The interpreter of the peer environment; ends the program where there is none."""
    python = env / "bin" / "python"
    if not python.exists():
        raise SystemExit(
            f"There is no peer environment {env}: run benchmarks/make_peer_env.sh {env}"
        )
    return python


def run_in_peer_env(env: Path) -> None:
    """Go on in the peer environment's interpreter, unless this is it."""
    python = peer_python(env)
    if Path(sys.prefix).resolve() != env.resolve():
        sys.exit(subprocess.run([python, *sys.argv], check=False).returncode)


def call(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """A whole process with this checkout on its path; ends the program if it fails."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    if done.returncode:
        raise SystemExit(f"{shlex.join(map(str, command))} failed:\n{done.stderr[-3000:]}")
    return done
