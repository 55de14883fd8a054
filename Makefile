# make lab        install what the notebooks need into .venv and open the course in JupyterLab
# make test       add what the tests need to the same .venv and run all tests, the notebooks included
# make site       build the website into docs/_build/html
# make notebooks  run the notebooks again and keep their outputs in them
# make lint       check the code's style

LAB_ARGS ?=
TEST_ARGS ?=
PY := .venv/bin/python
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# In a container one is root, and JupyterLab needs to be told that this is meant
AS_ROOT := $(shell test "$$(id -u)" = 0 && echo --allow-root)
# Overridable: make test PYTHON=/path/to/python
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && echo $$p && break; done)
PIP := $(PY) -m pip install --disable-pip-version-check

.PHONY: lab test site notebooks lint
.DEFAULT_GOAL := lab

# default_url: the address that is printed leads to the quickstart too. tools/jupyter: no question about Jupyter's news
lab: .venv/.lab
	JUPYTER_CONFIG_PATH="tools/jupyter:$$JUPYTER_CONFIG_PATH" $(PY) -m jupyterlab $(AS_ROOT) \
		--LabApp.default_url=/lab/tree/notebooks/00_quickstart.ipynb $(LAB_ARGS)

test: .venv/.dev
	$(PY) -m pytest $(TEST_ARGS)

site: .venv/.dev
	$(PY) tools/make_site.py

notebooks: .venv/.dev
	$(PY) tools/stamp.py
	$(PY) tools/execute.py

lint: .venv/.dev
	$(PY) -m ruff check .

.venv/.python:
	@test -n "$(PYTHON)" || { echo "This course needs Python 3.11 or newer, called python3 or python3.11 to python3.14." \
		"Install one (https://www.python.org/downloads), or name yours: make lab PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "$(PYTHON) could not make .venv." \
		"On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@touch $@

.venv/.lab: pyproject.toml | .venv/.python
	@echo "Installing the course into .venv: once, a few minutes, most of them PyTorch."
	$(PIP) -e '.[lab]'
	@touch $@

.venv/.dev: pyproject.toml | .venv/.python
	@echo "Installing the course and its tests into .venv: once, a few minutes, most of them PyTorch."
	$(PIP) -e '.[dev]'
	@touch $@ .venv/.lab
