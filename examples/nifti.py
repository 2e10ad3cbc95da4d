"""Train on one noisy NIfTI, denoise it, and write the result with the header it came with.

python examples/nifti.py                       the embedded sample
python examples/nifti.py scan.nii.gz --output denoised.nii.gz
"""

import argparse
import tempfile
from pathlib import Path

import meddenoise as md

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("scan", type=Path, nargs="?", help="a noisy scan")
parser.add_argument("--output", type=Path, help="where the result goes")
parser.add_argument("--steps", type=int, default=200, help="training steps")
args = parser.parse_args()

work = Path(tempfile.mkdtemp(prefix="meddenoise-"))
scan = args.scan or md.write(md.sample("head-noisy", shape=(64, 80, 64)), work / "scan.nii.gz")

# A patch fits into the scan, which may be thin.
patch = [min(32, length) for length in md.read(scan).shape]

# The same as configs/mri_n2v.yaml, as a dictionary; a path to a YAML file does as well.
config = {
    "data": {"images": str(scan), "patch": patch, "batch": 1},
    "trainer": {"name": "noise2void"},
    "network": {"name": "unet", "channels": [8, 16, 32]},
    "training": {"steps": args.steps, "learning_rate": 2e-3, "ema": 0.98},
}
run = md.train(config, output=work / "run")

# The model file can be used again, on this scan or on others like it.
clean = md.denoise(scan, model=run.directory / "model.safetensors")
print("denoised:", md.write(clean, args.output or work / "denoised.nii.gz"))
print("picture: ", run.directory / "preview.png")
