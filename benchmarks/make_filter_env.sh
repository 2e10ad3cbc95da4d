#!/usr/bin/env bash
# Makes the environment of the filters that filters.py compares with, apart from the environment
# you develop in: their licences (bm4d: not for commercial use) and versions are their own.
#
#   benchmarks/make_filter_env.sh DIR
#
# PYTHON   the interpreter (default python3)
set -euo pipefail

if [ $# -ne 1 ]; then
    sed -n '2,7p' "$0" >&2
    exit 2
fi
"${PYTHON:-python3}" -m venv "$1"
"$1/bin/python" -m pip install -q --disable-pip-version-check \
    'bm4d==4.2.5' 'dipy==1.12.1' 'antspyx==0.6.3' 'scikit-image==0.26.0' 'PyWavelets==1.9.0'
