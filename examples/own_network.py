"""Your own network: any module that keeps the shape, passed as it is or registered by a name.

python examples/own_network.py
"""

import argparse
import tempfile
from pathlib import Path

from torch import Tensor, nn

import meddenoise as md

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=200, help="training steps")
steps = parser.parse_args().steps


@md.register_network("two-layers")
class TwoLayers(nn.Module):
    """The parameters after ``dims`` are what a configuration's network section may set."""

    def __init__(self, dims: int = 3, width: int = 16) -> None:
        super().__init__()
        conv = nn.Conv3d if dims == 3 else nn.Conv2d
        self.layers = nn.Sequential(
            conv(1, width, 3, padding=1), nn.ReLU(), conv(width, 1, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # (B, 1, *spatial) to the same shape


scan = md.sample("head-noisy", shape=(48, 48, 48))
work = Path(tempfile.mkdtemp(prefix="meddenoise-"))

# As a module: nothing needs to be registered, but loading the model file needs the module again.
denoiser = md.Noise2VoidTrainer().fit(
    scan, network=TwoLayers(width=8), patch=[24, 24, 24], batch=1, steps=steps
)
model = denoiser.save(work / "module.safetensors")
again = md.Denoiser.load(model, network=TwoLayers(width=8))
print("as a module:", again(scan).history[-1])

# By name: also in a YAML file, `network: {name: two-layers, width: 8}`.
run = md.train(
    {
        "data": {
            "images": str(md.write(scan, work / "scan.nii.gz")),
            "patch": [24, 24, 24],
            "batch": 1,
        },
        "trainer": {"name": "noise2void"},
        "network": {"name": "two-layers", "width": 8},
        "training": {"steps": steps},
    },
    output=work / "run",
)
print("by name:", run.denoiser.info["network"])
