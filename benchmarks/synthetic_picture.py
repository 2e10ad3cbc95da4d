"""Draws docs/synthetic.png: what the network that ships was trained on.

    python benchmarks/synthetic_picture.py [--output docs/synthetic.png] [--seed 0]

Six anatomies. Of each: the layers as they lie on one another, in two MR contrasts and in HU (window
-160 to 240), and a training patch with its noise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "synthetic.png")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import torch

    from meddenoise.data.draws import Draws, generator
    from meddenoise.data.synthetic import SyntheticSampler, make_anatomy
    from meddenoise.data.synthetic.contrast import ct_contrast, mr_contrast, paint

    count, size = 6, 96
    source = SyntheticSampler((60, 60), seed=given.seed, pool=count)
    titles = ("an MR contrast", "another", "HU", "a patch, with noise", "its truth")
    figure, axes = plt.subplots(len(titles), count, figsize=(1.6 * count, 1.6 * len(titles)))
    plane = [torch.arange(size), torch.arange(size), torch.tensor([size // 2])]
    batch = source.draw(Draws(given.seed, 0, count))
    assert batch.target is not None
    for column in range(count):
        drawn = generator(given.seed, "picture", column)
        anatomy = make_anatomy((size,) * 3, drawn)
        shown = [
            paint(anatomy, mr_contrast(anatomy, drawn), plane, in_air=True)[0][..., 0],
            paint(anatomy, mr_contrast(anatomy, drawn), plane, in_air=True)[0][..., 0],
            paint(anatomy, ct_contrast(anatomy, drawn), plane, in_air=True)[0][..., 0],
            batch.image[column, 0],
            batch.target[column, 0],
        ]
        low, high = float(shown[4].quantile(0.01)), float(shown[4].quantile(0.99))
        windows = [(0, 1), (0, 1), (-160, 240), (low, high), (low, high)]
        for row, (image, window) in enumerate(zip(shown, windows, strict=True)):
            place = axes[row][column]
            place.imshow(image.T, cmap="gray", vmin=window[0], vmax=window[1], origin="lower")
            place.set_xticks([])
            place.set_yticks([])
            if column == 0:
                place.set_ylabel(titles[row], fontsize=7)
    figure.tight_layout(pad=0.3)
    figure.savefig(given.output, dpi=80)


if __name__ == "__main__":
    main()
