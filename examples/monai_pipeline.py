"""A MONAI pipeline with these transforms and this writer: load, add noise, crop, train, save.

python examples/monai_pipeline.py              the embedded sample
python examples/monai_pipeline.py clean.nii.gz
"""

import argparse
import tempfile
from pathlib import Path

import torch
from monai.data import DataLoader, Dataset, list_data_collate
from monai.transforms import Compose, RandSpatialCropSamplesd, SaveImaged
from monai.utils import set_determinism

import meddenoise as md
from meddenoise.io.monai import MeddenoiseWriter
from meddenoise.networks import build_network
from meddenoise.transforms import AddNoised, LoadVolumed, NormaliseIntensityd

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("scan", type=Path, nargs="?", help="a clean scan")
parser.add_argument("--output", type=Path, help="a directory for the result")
parser.add_argument("--steps", type=int, default=40, help="epochs of one batch each")
args = parser.parse_args()
work = args.output or Path(tempfile.mkdtemp(prefix="meddenoise-"))
scan = args.scan or md.write(md.sample("head", shape=(64, 80, 64)), work / "scan.nii.gz")

set_determinism(seed=0)  # the same noise, crops and network in every run
normalise = NormaliseIntensityd(["noisy", "clean"], like="noisy")  # one map for both
prepare = Compose([
    LoadVolumed("clean"),
    AddNoised("clean", "rician", new_keys="noisy", sigma=["5%", "15%"]),
    normalise,
])  # fmt: skip
crop = RandSpatialCropSamplesd(["noisy", "clean"], [32, 32, 32], num_samples=4, random_size=False)
data = Dataset([{"clean": str(scan)}], Compose([prepare, crop]))
loader = DataLoader(data, collate_fn=list_data_collate)

network = build_network("unet", dims=3, channels=[8, 16])
optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
for _ in range(args.steps):
    for batch in loader:
        loss = (network(batch["noisy"]) - batch["clean"]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(f"loss {float(loss.detach()):.4f}")

# The result keeps the scan's header: MONAI hands it through, the writer puts it back.
item = prepare({"clean": str(scan)})
with torch.inference_mode():
    item["noisy"][:] = network(item["noisy"][None])[0]
item = normalise.inverse(item)
save = SaveImaged(
    "noisy", writer=MeddenoiseWriter, output_dir=work, output_postfix="denoised",
    separate_folder=False, print_log=False,
)  # fmt: skip
save(item)
print("wrote", *work.glob("*denoised*"))
