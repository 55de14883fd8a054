"""tools/colab_check.sh, with stand-ins for the two environments: its table, and its exit status."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def clone(tmp_path):
    """A folder with the script, two notebooks, and a Python that passes whatever is not called "bad"."""
    for folder in (".venv/bin", ".venv-colab/bin", "tools", "notebooks"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "colab_check.sh", tmp_path / "tools")
    for name in ("00_good", "01_bad"):
        (tmp_path / "notebooks" / f"{name}.ipynb").touch()
    for environment in (".venv", ".venv-colab"):
        python = tmp_path / environment / "bin" / "python"
        python.write_text('#!/bin/sh\necho "$BVAE_PROFILE: what pytest prints"\n'
                          'case "$*" in *bad*) exit 1;; esac\n')
        python.chmod(0o755)
    (tmp_path / ".venv-colab" / ".made").touch()
    return tmp_path


def check(clone, *notebooks):
    return subprocess.run([clone / "tools" / "colab_check.sh", *notebooks], capture_output=True, text=True, timeout=60)


def test_every_notebook_has_a_line_and_a_failure_an_exit_status(clone):
    done = check(clone)
    lines = [line.split()[:2] for line in done.stdout.splitlines()[1:]]
    assert lines == [["00_good", "passed"], ["01_bad", "FAILED"]] and done.returncode == 1
    assert "tiny: what pytest prints" in done.stderr and "tiny: what pytest prints" in done.stdout


def test_notebooks_may_be_named(clone):
    done = check(clone, "notebooks/00_good.ipynb")
    assert done.returncode == 0 and "01_bad" not in done.stdout
