"""Two scans in, one page to look at out: what was taken away, and whether anatomy went with it.

python examples/look_at_result.py                             the embedded sample, by BM4D
python examples/look_at_result.py noisy.nii.gz clean.nii.gz   any two scans, ours or not
"""

import argparse
import tempfile
from pathlib import Path

import meddenoise as md
from meddenoise.workflows.report import report_scans

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("noisy", type=Path, nargs="?", help="the scan before")
parser.add_argument("denoised", type=Path, nargs="?", help="the same after, on the same grid")
parser.add_argument("--reference", type=Path, help="the truth, if it is known")
parser.add_argument("--units", default="", help="HU for CT in a format that does not say so")
parser.add_argument("--output", type=Path, help="the page to be made")
args = parser.parse_args()
if (args.noisy is None) != (args.denoised is None):
    parser.error("give two scans, noisy and denoised, or none")
if args.reference and args.noisy is None:
    parser.error("--reference is for two scans: the sample knows its own truth")
output = args.output or Path(tempfile.mkdtemp(prefix="meddenoise-")) / "report.html"

if args.noisy:
    noisy, denoised, truth = args.noisy, args.denoised, args.reference
else:
    truth = md.sample("head", shape=(64, 80, 64))
    noisy = md.simulate(truth, "rician", sigma="8%", seed=0)
    denoised = md.denoise(noisy, method="bm4d", stabilise="auto")

# Open it from the disk with any browser; it loads nothing, and names nobody.
report_scans(noisy, denoised, output, reference=truth, units=args.units)
print(f"wrote {output}")
