#!/usr/bin/env bash
# Run notebooks with the notebook packages that Colab has, in a second environment, in the tiny profile, each in a
# process of its own. Prints a table with a line for each, and returns 1 if a cell of one failed.
#
#   tools/colab_check.sh [notebooks/00_quickstart.ipynb ...]      (default: all)
#
# The second environment, .venv-colab, holds Colab's ipywidgets, IPython and ipykernel; all else (torch,
# numpy, matplotlib, scikit-learn) it borrows from .venv, which `make lab` or `make test` makes.
#
# What differs from the real Colab: Python is this machine's; torch and numpy are those of .venv; there is
# no GPU, no Drive, no google.colab module, and no browser: the callbacks run, no slider is drawn; the
# package comes from this clone, not from pip.
set -euo pipefail
cd "$(dirname "$0")/.."

test -x .venv/bin/python || { echo "no .venv here: run 'make test' or 'make lab' first" >&2; exit 1; }
if [ ! -e .venv-colab/.made ]; then
    rm -rf .venv-colab
    .venv/bin/python -m venv .venv-colab
    .venv-colab/bin/python -m pip install --quiet --disable-pip-version-check \
        ipywidgets==7.7.1 ipython==7.34.0 ipykernel==6.17.1 nbval pytest setuptools
    # Behind its own packages come those of .venv
    site=$(.venv-colab/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    .venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$site/borrowed.pth"
    # nbval asks for the kernel by the name that the notebooks carry
    .venv-colab/bin/python -m ipykernel install --sys-prefix --name python3 >/dev/null 2>&1
    touch .venv-colab/.made
fi

.venv-colab/bin/python -c 'import ipywidgets, IPython, ipykernel, torch, sys; print(
    f"Python {sys.version.split()[0]}, ipywidgets {ipywidgets.__version__}, IPython {IPython.__version__}, "
    f"ipykernel {ipykernel.__version__}, torch {torch.__version__}")'

if [ $# = 0 ]; then set -- notebooks/*.ipynb; fi
export BVAE_PROFILE=tiny TQDM_DISABLE=1 JUPYTER_PREFER_ENV_PATH=1 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
for notebook in "$@"; do
    start=$SECONDS
    if .venv-colab/bin/python -m pytest -p no:cacheprovider -c /dev/null --rootdir . --nbval-lax \
            --nbval-kernel-name python3 -q "$notebook" > "$log" 2>&1; then
        end=passed
    else
        end=FAILED failed=1
        tail -n 60 "$log" >&2
    fi
    printf '%-24s %s %5s s   %s\n' "$(basename "$notebook" .ipynb)" $end $((SECONDS - start)) "$(tail -n 1 "$log")"
done
exit $failed
