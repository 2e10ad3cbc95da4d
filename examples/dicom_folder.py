"""A folder with a DICOM series in, a new, derived DICOM series out; the source is not touched.

python examples/dicom_folder.py path/to/series path/to/result
"""

import argparse
from pathlib import Path

import meddenoise as md

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("series", type=Path, help="a folder with one DICOM series")
parser.add_argument("output", type=Path, help="a folder to be made")
parser.add_argument("--model", type=Path, help="a model file; without it, a median filter")
args = parser.parse_args()

scan = md.read(args.series)
print(f"{scan.modality} of {scan.shape} voxels, {scan.spacing} mm, {scan.units or 'no units'}")

method = {"model": args.model} if args.model else {"method": "median"}
clean = md.denoise(scan, **method)

# Same study, geometry, rescale and bit depth; new series and instance UIDs; ImageType DERIVED;
# how it was made is in DerivationDescription.
md.write(clean, args.output)
print(f"wrote {len(list(args.output.iterdir()))} files to {args.output}: {clean.history[-1]}")
