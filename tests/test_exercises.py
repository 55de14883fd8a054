"""Every exercise: the stub is left in peace, the solution passes, and planted mistakes are told apart."""

import importlib
import json
import pathlib
import pkgutil
import re
import runpy

import bvae_helpers.teach.exercises as exercises
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMPORTS = """
import math, numpy as np, torch, torch.nn.functional as F
from torch import nn
from bvae_helpers import checkpoints, config, data, latents, losses, metrics, model, training
from bvae_helpers.data import folder as images
from bvae_helpers.data import sprites
from bvae_helpers.training import history as records
"""
CHECKS = {name: (module.name, check) for module in pkgutil.iter_modules(exercises.__path__)
          for name, check in vars(importlib.import_module(f"bvae_helpers.teach.exercises.{module.name}")).items()
          if name.startswith("check_") and hasattr(check, "__wrapped__")}


def answer_of(code):
    """The last function that a piece of code defines."""
    namespace = {}
    exec(IMPORTS, namespace)
    exec(code, namespace)
    return namespace[re.findall(r"^def (\w+)", code, re.MULTILINE)[-1]]


def exercises_in_notebooks():
    """check name -> (stub code, solution code), read from the notebooks as a learner would."""
    found = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts = ["".join(c["source"]) for c in cells]
        for i, (cell, text) in enumerate(zip(cells, texts)):
            call = re.search(r"^(check_\w+)\((\w+)\)", text, re.MULTILINE)
            if cell["cell_type"] == "code" and call and "NotImplementedError" in text:
                solution = re.search(r"Solution</summary>.*?```python\n(.*?)```", texts[i + 1], re.DOTALL)
                assert solution, f"{path.name}: no solution follows the stub of {call[1]}"
                found[call[1]] = (text[:call.start()], solution[1])
    return found


FOUND = exercises_in_notebooks()
WRONG = [(name, *planted) for file in sorted((ROOT / "tests" / "wrong_answers").glob("*.py"))
         for name, answers in runpy.run_path(str(file))["WRONG"].items() for planted in answers]


def test_every_check_is_used_and_has_two_planted_mistakes():
    assert CHECKS
    assert set(FOUND) == set(CHECKS)
    for name in CHECKS:
        assert sum(wrong[0] == name for wrong in WRONG) >= 2, f"{name} needs two planted wrong answers"


@pytest.mark.parametrize("name", sorted(FOUND))
def test_stub_is_not_attempted_yet(name, capsys):
    CHECKS[name][1](answer_of(FOUND[name][0]))
    assert "not attempted yet" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(FOUND))
def test_solution_passes(name, capsys):
    CHECKS[name][1](answer_of(FOUND[name][1]))
    said = capsys.readouterr().out
    assert said.strip() and "not attempted" not in said


@pytest.mark.parametrize("name, mistake, words, code", WRONG, ids=[f"{w[0]}: {w[1]}" for w in WRONG])
def test_planted_mistake_is_named(name, mistake, words, code):
    with pytest.raises(AssertionError, match=re.escape(words)):
        CHECKS[name][1](answer_of(code))
