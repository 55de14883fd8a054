# make lab        install everything into .venv and open the course in JupyterLab
# make test       install everything and run all tests, the notebooks included
# make notebooks  run the notebooks again and keep their outputs in them
# make lint       check the code's style

LAB_ARGS ?=
TEST_ARGS ?=
PY := .venv/bin/python
INSTALLED := .venv/.installed
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# In a container one is root, and JupyterLab wants to be told that this is meant
AS_ROOT := $(shell test "$$(id -u)" = 0 && echo --allow-root)
# Overridable: make test PYTHON=/path/to/python
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && echo $$p && break; done)

.PHONY: lab test notebooks lint
.DEFAULT_GOAL := lab

lab: $(INSTALLED)
	$(PY) -m jupyterlab $(AS_ROOT) $(LAB_ARGS) notebooks/00_quickstart.ipynb

test: $(INSTALLED)
	$(PY) -m pytest $(TEST_ARGS)

notebooks: $(INSTALLED)
	$(PY) tools/stamp.py
	$(PY) tools/execute.py

lint: $(INSTALLED)
	$(PY) -m ruff check .

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "This course needs Python 3.11 or newer, called python3 or python3.11 to python3.14." \
		"Install one (https://www.python.org/downloads), or name yours: make lab PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "$(PYTHON) could not make .venv." \
		"On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Installing the course into .venv: once, a few minutes, most of them PyTorch."
	$(PY) -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $@
