"""``--method auto`` on one noisy scan, beside BM4D and CAREamics' self-supervised networks.

    python benchmarks/auto.py [--quick] [--seconds S] [--head NAME ...] [--level PERCENT ...]
        [--careamics-level PERCENT ...] [--no-careamics] [--resume] [--json FILE]

Truths: the central 96 x 96 x 48 voxels of three T1-weighted heads and one T2-weighted, clipped at
0 and divided by their 99.9th percentile, with Gaussian and Rician noise of 3, 10 and 20 %, drawn
once.
``auto`` is told nothing but what a file's header says, and has ``--seconds`` to train on the very
scan, filtering included; without them it only filters. The ``bm4d`` package is told the true
standard deviation (it has no Rician mode). CAREamics trains Noise2Void and N2V2, in 2-D and 3-D,
for as long, by its own defaults, and predicts without tiles.

PSNR and SSIM in 3-D over the whole crop, data range 1. What every method gave is kept in
``build/auto`` case by case: ``--resume`` goes on where a run was cut off.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from common import Report, add_data, add_peer_env, arguments, call, peer_python
from filters import (
    HEADS,
    PEER_BM4D,
    Bench,
    Case,
    Result,
    add_bench,
    baseline,
    costs,
    heads,
    matrix,
    rows,
)

TRUTHS = HEADS | {"t2": "t2"}
NETWORKS = {
    f"CAREamics {name}, {dims}-D": (dims, name == "N2V2")
    for name in ("N2V", "N2V2")
    for dims in (3, 2)
}
# It splits off patches to validate on, of which it finds too few in 96 x 96 x 48 voxels: it gets
# the crop mirrored at its borders to 128 x 128 x 64.
PAD = ((16, 16), (16, 16), (8, 8))
SIDE = Path(__file__).with_name("careamics_side.py")
LEVELS = (3, 10, 20)


def percent(case: Case) -> int:
    """The noise's level."""
    return round(case.sigma * 100)


def careamics(bench: Bench, env: Path, name: str, cases: Sequence[Case], seconds: float) -> Result:
    """Train one of its networks on each case for so long."""
    dims, n2v2 = NETWORKS[name]
    place = bench.place / name.replace(" ", "_").replace(",", "")
    place.mkdir(exist_ok=True)
    result = Result({}, {}, {}, {}, float("nan"))
    for case in cases:
        stem = place / case.name.replace(" ", "_").replace(",", "").replace("%", "pct")
        given, made, told = (Path(f"{stem}{end}") for end in (".in.npy", ".npy", ".json"))
        if not told.exists():
            print(f"  {name}: {case.name}", file=sys.stderr, flush=True)
            # Z first, as it wants.
            np.save(
                given, np.ascontiguousarray(np.pad(case.noisy, PAD, "reflect").transpose(2, 0, 1))
            )
            more = ["--n2v2"] if n2v2 else []
            limits = ["--dims", str(dims), "--minutes", str(seconds / 60)]
            done = call([peer_python(env), SIDE, given, made, *limits, *more])
            told.write_text(done.stdout.strip().splitlines()[-1])
        figures = json.loads(told.read_text())
        spent = figures["seconds"] + figures["predict_seconds"]
        image = np.load(made).transpose(1, 2, 0)[tuple(slice(a, -a) for a, _ in PAD)]
        result.psnr[case.name], result.ssim[case.name] = case.scores(image)
        result.seconds[case.name] = result.cpu[case.name] = spent
    return result


def means(report: Report, name: str, ours: Result, theirs: Result, least: float) -> None:
    """How far ours are above theirs, over the cases of theirs."""
    for what, unit, target in (("psnr", "dB", least), ("ssim", "", 0.0)):
        mine, other = (getattr(result, what) for result in (ours, theirs))
        gains = [mine[case] - other[case] for case in other]
        told = f"auto above {name}, {what.upper()}, mean over {len(gains)}"
        report.add(told, float(np.mean(gains)), unit, at_least=target)
        report.add(f"auto above {name}, {what.upper()}, least", min(gains), unit)


def main() -> None:
    parser = arguments(__doc__)
    add_data(parser)
    add_peer_env(parser)
    add_bench(parser, "--filter-env")
    parser.add_argument(
        "--seconds", type=float, help="that auto and CAREamics may train (default 600; quick: 30)"
    )
    parser.add_argument("--head", action="append", choices=list(TRUTHS), help="only these")
    parser.add_argument("--level", action="append", type=int, choices=LEVELS, help="only these")
    parser.add_argument(
        "--careamics-level",
        action="append",
        type=int,
        choices=LEVELS,
        help="CAREamics only at these",
    )
    parser.add_argument("--no-careamics", action="store_true", help="leave it out")
    options = parser.parse_args()
    seconds = options.seconds or (30.0 if options.quick else 600.0)
    bench = Bench.opened("auto", options, options.filter_env)
    chosen = {name: TRUTHS[name] for name in options.head or TRUTHS}
    cases = list(heads(options.data, options.quick, chosen))
    cases = [case for case in cases if percent(case) in (options.level or LEVELS)]
    if options.quick:
        cases = [case for case in cases if percent(case) == 10]
    refined = f"auto, {seconds:g} s"
    results = {"noisy": baseline(cases)}
    for name in ("nlmeans alone", PEER_BM4D, "auto", refined):
        results[name] = bench.run(name, cases)
    some = [case for case in cases if percent(case) in (options.careamics_level or LEVELS)]
    networks = [] if options.no_careamics else list(NETWORKS)[: 1 if options.quick else None]
    peers = {name: careamics(bench, options.peer_env, name, some, seconds) for name in networks}

    report = Report(f"One noisy scan and {seconds:g} seconds: auto, BM4D, CAREamics")
    means(report, "the bm4d package", results[refined], results[PEER_BM4D], 0.0)
    means(report, "auto without training", results[refined], results["auto"], 0.0)
    for name, result in peers.items():
        means(report, name, results[refined], result, 3.0)
    report.finish(None)
    for what, digits in (("psnr", 2), ("ssim", 3)):
        title = "PSNR in dB" if what == "psnr" else "SSIM"
        matrix(title, results, cases, lambda r, case, w=what: getattr(r, w)[case], digits)
        if peers:
            shown = {name: results[name] for name in ("noisy", refined)} | peers
            told = f"{title}: CAREamics"
            matrix(told, shown, some, lambda r, case, w=what: getattr(r, w)[case], digits)
    costs({name: result for name, result in results.items() if result.seconds}, cases)
    if options.json is not None:
        told = [*report.rows, *rows(results, cases), *rows(peers, some)]
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in told], indent=2) + "\n")


if __name__ == "__main__":
    main()
