"""What becomes of a scan in each tool: read, and written back in its own format.

    python benchmarks/fidelity.py [--quick] [--json FILE] [--data DIR] > docs/fidelity.md

Every case is a file or a directory with a known truth: made on the spot, or (without ``--quick``)
a real scan below ``--data``. Every tool gets the same files, through its own API as its
documentation shows, in a process of its own for each case. What it makes of them is compared to
the truth by the script; no cell of the table is written by hand. Tools that are not installed
have no column.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path

from common import ROOT, Report, add_data, arguments, machine
from files import derived, dicom, nifti, nrrd_mha
from files.tools import TOOLS
from files.verdict import KINDS, Case, Verdict, judge

PACKAGES = (*(tool.package for tool in TOOLS.values()), "itk", "pydicom", "numpy")
MARKS = {
    "right": "right", "refuses": "refuses", "warns": "warns", "changes": "changes",
    "wrong": "**wrong**",
    "traceback": "fails", "crash": "**crashes**", "hang": "**hangs**", "cannot": "–",
}  # fmt: skip
COUNTED = ("right", "refuses", "warns", "changes", "wrong", "traceback", "crash", "hang")
HEAD = """# What becomes of a scan

Each row is a scan; each column is what a tool makes of it. Every cell is found by
[`benchmarks/fidelity.py`](../benchmarks/fidelity.py): it makes the files (rows that begin with
"real" are public scans), hands the same ones to every tool through its own API as its
documentation shows, and compares voxels, their places in the patient and the header to the truth.

- **right**: the truth, to 0.02 mm and a tenth of a step of the stored integers.
- **refuses**: an error that names the file or the fault, unless it says otherwise. Where a right
  reading exists, this is safe but a loss.
- **warns**: not the truth, but the tool names the fault.
- **changes**: written back with the same voxels, but elements of the header are lost or changed,
  and not a word about it.
- **wrong**: not the truth, and not a word about it; what is wrong stands behind.
- **fails**: an exception that only a mistake in a program raises (its name stands behind), a crash
  or a hang.
- **–**: the tool does not claim the format or the direction.

A row without a true volume (such as a truncated file) can only be refused or warned about.
Colour, complex numbers and label maps are no intensities: to refuse them by name is what a denoiser
should do; a library for images may read them, and that is right if the values are.
"""


@dataclass
class Worker:
    """A process that runs a tool, one forked child a case."""

    name: str
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        script = Path(__file__).with_name("files") / "jobs.py"
        self.process = subprocess.Popen(
            [sys.executable, script, self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, case: Case, place: Path) -> Verdict:
        tool = TOOLS[self.name]
        claimed = tool.reads if case.op == "read" else tool.returns
        if case.format not in claimed:
            return Verdict("cannot")
        place.mkdir(parents=True)
        job = {
            "op": case.op, "path": str(case.path), "place": str(place), "out": str(case.out(place)),
        }  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"The process that runs {self.name} has ended.")
        return judge(case, place, json.loads(answer)["end"])

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def cases(place: Path, data: Path | None) -> Iterator[Case]:
    """All rows; the real ones only if there is a directory of real scans."""
    nowhere = place / "no-data"
    for number, maker in enumerate((dicom.reading, nifti.reading, nrrd_mha.reading)):
        folder = place / f"read{number}"
        folder.mkdir()
        yield from maker(folder)
    if data is not None:
        folder = place / "real"
        folder.mkdir()
        yield from dicom.real(folder, data)
    folder = place / "convert"
    folder.mkdir()
    yield from derived.converting(folder)
    for number, giver in enumerate((derived.returning, nifti.returning, nrrd_mha.returning)):
        folder = place / f"return{number}"
        folder.mkdir()
        yield from giver(folder, data or nowhere)


def installed() -> list[str]:
    return [name for name, tool in TOOLS.items() if util.find_spec(tool.module or tool.package)]


def versions() -> str:
    told = [f"Python {sys.version.split()[0]}"]
    for name in PACKAGES:
        try:
            told.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            if name == "meddenoise":
                from meddenoise import __version__

                told.append(f"meddenoise {__version__}")
    told.append("dciodvfy" if shutil.which("dciodvfy") else "no dciodvfy")
    return ", ".join(told)


def table(rows: dict[Case, dict[str, Verdict]], tools: list[str]) -> None:
    """The Markdown tables, a group at a time, and the sums."""
    groups: dict[str, list[Case]] = {}
    for case in rows:
        groups.setdefault(case.group, []).append(case)
    for group, members in groups.items():
        used = [
            tool for tool in tools if any(rows[case][tool].kind != "cannot" for case in members)
        ]
        print(f"\n## {group}\n\n| case | {' | '.join(used)} |\n|---|{'---|' * len(used)}")
        for case in members:
            cells = " | ".join(cell(rows[case][tool]) for tool in used)
            print(f"| {case.name} | {cells} |")
    print(f"\n## Counted\n\n| | {' | '.join(tools)} |\n|---|{'---|' * len(tools)}")
    counts = {tool: Counter(found[tool].kind for found in rows.values()) for tool in tools}
    for kind in COUNTED:
        if any(counts[tool][kind] for tool in tools):
            numbers = " | ".join(str(counts[tool][kind]) for tool in tools)
            print(f"| {MARKS[kind]} | {numbers} |")


def cell(verdict: Verdict) -> str:
    mark = MARKS[verdict.kind]
    text = verdict.text.replace("|", "/").replace("\n", " ")
    return f"{mark}: {text}" if text else mark


def report(rows: dict[Case, dict[str, Verdict]], tools: list[str], file: Path) -> None:
    """Counts in the form that all benchmarks write, and every cell but the empty."""
    counted = Report("fidelity")
    for tool in tools:
        counts = Counter(found[tool].kind for found in rows.values())
        for kind in COUNTED:
            limit = 0 if tool == "meddenoise" and kind in COUNTED[3:] else None
            counted.add(f"{tool}, {kind}", counts[kind], "cases", at_most=limit)
    figures = [vars(row) for row in counted.rows]
    cells = [
        {
            "name": f"{case.group}: {case.name}: {tool}", "value": verdict.kind,
            "target": None, "unit": verdict.text, "met": None,
        }
        for case, found in rows.items()
        for tool, verdict in found.items()
        if verdict.kind != "cannot"
    ]  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures + cells, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    parser: argparse.ArgumentParser = arguments(__doc__)
    add_data(parser)
    parser.add_argument("--only", default="", help="only rows whose group or name has this text")
    parser.add_argument("--verbose", action="store_true", help="tell what the tools say to stderr")
    options = parser.parse_args()
    data = None if options.quick or not options.data.is_dir() else options.data
    tools = installed()
    workers = {name: Worker(name) for name in tools}
    rows: dict[Case, dict[str, Verdict]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "cases").mkdir()
        for number, case in enumerate(cases(Path(scratch) / "cases", data)):
            if options.only.lower() not in f"{case.group} {case.name}".lower():
                continue
            rows[case] = {}
            for name, worker in workers.items():
                verdict = worker.run(case, Path(scratch) / f"{number}-{name}")
                assert verdict.kind in KINDS
                rows[case][name] = verdict
                print(f"{case.group}, {case.name}: {name}: {cell(verdict)}", file=sys.stderr)
                if options.verbose and verdict.details.get("said"):
                    print(f"    {verdict.details['said']}", file=sys.stderr)
                shutil.rmtree(Path(scratch) / f"{number}-{name}", ignore_errors=True)
    for worker in workers.values():
        worker.end()
    command = "python benchmarks/fidelity.py" + (" --quick" if options.quick else "")
    print(HEAD)
    print(f"- machine: {machine()}\n- versions: {versions()}\n- command: {command}")
    table(rows, tools)
    if options.json is not None:
        report(rows, tools, options.json)


if __name__ == "__main__":
    if not (ROOT / "meddenoise").is_dir():
        raise SystemExit("run this script from a checkout")
    main()
