"""``python -m meddenoise.pretrained MODEL``: put newly trained weights into the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from meddenoise.errors import MeddenoiseError
from meddenoise.pretrained.weights import ship


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m meddenoise.pretrained", description=__doc__)
    parser.add_argument("model", type=Path, help="model.safetensors of meddenoise pretrain")
    try:
        print(ship(parser.parse_args().model))
    except MeddenoiseError as fault:
        print(f"meddenoise: {fault}", file=sys.stderr)
        return fault.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
