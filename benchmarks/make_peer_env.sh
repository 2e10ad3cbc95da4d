#!/usr/bin/env bash
# Makes the environment that the comparisons run in: meddenoise and CAREamics side by side, with the
# same Python, torch and numpy, apart from the environment you develop in.
#
#   benchmarks/make_peer_env.sh DIR
#
# PYTHON   the interpreter (default python3; CAREamics needs 3.11 or later)
# Any PIP_* variable works as usual. Where PyPI would give a CUDA build of torch and you want the
# CPU's, set PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu and TORCH=torch==2.13.0+cpu.
set -euo pipefail

if [ $# -ne 1 ]; then
    sed -n '2,10p' "$0" >&2
    exit 2
fi
dir=$1
torch=${TORCH:-torch==2.13.0}
checkout=$(cd "$(dirname "$0")/.." && pwd)

"${PYTHON:-python3}" -m venv "$dir"
pip() { "$dir/bin/python" -m pip --disable-pip-version-check "$@"; }

# Every command names the same torch, so that no dependency can bring another.
pip install -q "$torch"

# CAREamics 0.3.5 without its own requirements: they include torchvision, of which it only reads
# the version and, in a network that Noise2Void does not use, pads images. A stub stands in, with
# the names that torchmetrics imports for perceptual metrics once it finds a torchvision.
pip install -q --no-deps "careamics==0.3.5"
stub=$("$dir/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torchvision
if [ ! -e "$stub" ]; then
    mkdir -p "$stub/transforms" "$stub/models"
    echo '__version__ = "0.0.0"  # a stub: see benchmarks/make_peer_env.sh' >"$stub/__init__.py"
    : >"$stub/transforms/__init__.py"
    : >"$stub/transforms/functional.py"
    echo 'resnet50 = vgg16 = VGG16_Weights = None' >"$stub/models/__init__.py"
fi
# The rest of what CAREamics 0.3.5 asks for, within its own bounds.
pip install -q "$torch" \
    'bioimageio-core>=0.9,<=0.11' 'lightning>=2.2,<=2.6.6,!=2.6.2,!=2.6.3' 'matplotlib<=3.11.2' \
    'microssim<=0.0.5' 'numpy>=1.26,<=2.4.6' 'pillow<=13.0.0' 'psutil<=7.2.2' \
    'pydantic>=2.11,<=2.14.1' 'pyyaml<=6.0.3' 'scikit-image<=0.26.0' 'tifffile<=2026.3.3' \
    'torchmetrics>0.7,<1.9' 'zarr>=3,<4' \
    'accelerate>=1.0' 'nibabel>=5.2' 'rich>=13.7' 'safetensors>=0.4.3' 'scipy>=1.11' \
    'tensorboard>=2.16' 'typer>=0.12.4'

# This checkout, without the readers of formats that no benchmark here opens. Editable: what is
# measured is the code as it stands.
pip install -q --no-deps -e "$checkout"

"$dir/bin/python" - <<'PY'
import careamics, meddenoise, numpy, torch

print(f"torch {torch.__version__}, numpy {numpy.__version__}, "
      f"careamics {careamics.__version__}, meddenoise {meddenoise.__version__}")
PY
