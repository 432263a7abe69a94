#!/usr/bin/env bash
# What only a machine with an NVIDIA GPU can show, in at most eight minutes: tools/gpu_check.sh [--out FILE] [--small]
# Needs the extras train, dev and rtx or tensorrt (and pycuda, where the CUDA toolkit is); what is missing is named.
cd "$(dirname "$0")/.." || exit 2
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=$(command -v python3 || command -v python) || { echo "gpu_check: no Python" >&2; exit 2; }
exec "$python" -m tools.gpu_check "$@"
