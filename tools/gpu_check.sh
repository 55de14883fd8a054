#!/usr/bin/env bash
# Check this repository on a CUDA card: the GPU tests, then the table of training speeds. At most 6 minutes in all.
#
#   tools/gpu_check.sh [python]        (default: .venv/bin/python if it is there, else python)
#
# The notebooks are run by the tests in the tiny profile; leave them out with NOTEBOOKS=0.
set -uo pipefail
cd "$(dirname "$0")/.."

python=${1:-$(test -x .venv/bin/python && echo .venv/bin/python || echo python)}
"$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' \
    || { echo "no CUDA here: $("$python" -c 'import torch; print("torch", torch.__version__)' 2>&1 | tail -1)" >&2; exit 2; }
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

failed=0
choice=()
test "${NOTEBOOKS:-1}" = 0 && choice=(-k "not notebooks")
timeout 210 "$python" -m pytest -q -p no:cacheprovider tests/test_cuda.py "${choice[@]}" || failed=1
timeout 150 "$python" benchmarks/training.py --device cuda 2>/dev/null || { echo "the benchmark did not end" >&2; failed=1; }
exit $failed
