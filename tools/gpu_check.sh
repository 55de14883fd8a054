#!/usr/bin/env bash
# Check this clone on a CUDA card, in at most 6 minutes: the GPU tests and, beside them, every notebook in the tiny
# profile; then training speeds. Prints one table, and returns 1 if anything failed, 2 if nothing could be checked.
#
#   tools/gpu_check.sh [python]        (default: .venv/bin/python if it is there, else python3)
#
# Needs the packages of requirements.txt, and nothing from the network. Without nbval the notebooks are left out.
set -uo pipefail
cd "$(dirname "$0")/.."

python=${1:-$(test -x .venv/bin/python && echo .venv/bin/python || echo python3)}
"$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null \
    || { echo "no CUDA here: $("$python" -c 'import torch; print("torch", torch.__version__)' 2>&1 | tail -1)" >&2; exit 2; }
"$python" -c 'import matplotlib, pytest, sklearn, tensorboard, torchvision, tqdm, ipywidgets' \
    || { echo "install what is missing: $python -m pip install -r requirements.txt" >&2; exit 2; }
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=0

checked() {     # name, seconds allowed, command ...: run it, keep what it prints, note how it ended
    local name=$1 allowed=$2 start=$SECONDS code=0
    shift 2
    timeout "$allowed" "$@" > "$logs/$name.out" 2> "$logs/$name.err" || code=$?
    echo "$code $((SECONDS - start))" > "$logs/$name.end"
}

reported() {    # name: its line of the table; after a failure also the end of what it printed
    local name=$1 code=1 seconds=0
    read -r code seconds < "$logs/$name.end"
    if test "$code" = 0; then
        printf '%-24s passed %5s s\n' "$name" "$seconds"
        return
    fi
    failed=1
    test "$code" = 124 && printf '%-24s NOT ENDED after %s s\n' "$name" "$seconds" || printf '%-24s FAILED\n' "$name"
    tail -n 40 "$logs/$name.out" "$logs/$name.err" >&2
}

names=(tests)
checked tests 200 "$python" -m pytest -q -p no:cacheprovider tests/test_cuda.py &
if "$python" -c 'import nbval' 2>/dev/null; then
    for notebook in notebooks/*.ipynb; do
        name=$(basename "$notebook" .ipynb)
        names+=("$name")
        BVAE_PROFILE=tiny TQDM_DISABLE=1 checked "$name" 200 "$python" -m pytest --nbval-lax --nbval-current-env -q -p no:cacheprovider \
            "$notebook" &
    done
else
    echo "nbval is not installed: the notebooks are left out"
fi
wait
checked benchmark 150 "$python" benchmarks/training.py --device cuda --limit 120

for name in "${names[@]}"; do reported "$name"; done
tail -n 1 "$logs/tests.out"                                        # how many tests passed and were skipped
cat "$logs/benchmark.out"
reported benchmark
exit $failed
