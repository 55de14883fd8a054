"""Every exercise: the stub is left in peace, right answers of every style pass, and natural mistakes do not."""

import importlib
import json
import pathlib
import pkgutil
import random
import re
import runpy

import bvae_helpers.teach.exercises as exercises
import numpy as np
import pytest
import torch

TESTS = pathlib.Path(__file__).resolve().parent
IMPORTS = """
import itertools, math, numpy as np, torch, torch.nn.functional as F
from torch import nn
from bvae_helpers import checkpoints, config, data, latents, losses, metrics, training
from bvae_helpers import model as model_module
from bvae_helpers.data import sprites
"""
CHECKS = {name: check for module in pkgutil.iter_modules(exercises.__path__)
          for name, check in vars(importlib.import_module(f"{exercises.__name__}.{module.name}")).items()
          if name.startswith("check_") and hasattr(check, "__wrapped__")}


def defined(code):
    """The last function that a piece of code defines."""
    namespace = {}
    exec(IMPORTS, namespace)
    exec(code, namespace)
    return namespace[re.findall(r"^def (\w+)", code, re.MULTILINE)[-1]]


def answer(parameters, body):
    """A function made of its parameters and the lines of its body."""
    return defined(f"def answer({parameters}):\n" + "".join(f"    {line}\n" for line in body.splitlines()))


def planted(folder, kind):
    """(check, number, parameters, what the file says) of every planted answer."""
    return [(name, number, parameters, each)
            for file in sorted((TESTS / folder).glob("*.py"))
            for name, (parameters, answers) in runpy.run_path(str(file))[kind].items()
            for number, each in enumerate(answers)]


def exercises_in_notebooks():
    """check name -> (stub code, solution code), read from the notebooks as a learner would."""
    found = {}
    for path in sorted((TESTS.parent / "notebooks").glob("*.ipynb")):
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
RIGHT, WRONG = planted("right_answers", "RIGHT"), planted("wrong_answers", "WRONG")


def said(name, function, capsys):
    """The one line that a check prints."""
    CHECKS[name](function)
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "Traceback" not in out
    return out


def test_every_check_is_used_and_has_planted_answers():
    assert CHECKS
    assert set(FOUND) == set(CHECKS)
    for name in CHECKS:
        assert sum(right[0] == name for right in RIGHT) >= 8, f"{name} needs eight right answers"
        assert sum(wrong[0] == name for wrong in WRONG) >= 8, f"{name} needs eight wrong answers"


@pytest.mark.parametrize("name", sorted(FOUND))
def test_stub_is_not_attempted_yet(name, capsys):
    assert said(name, defined(FOUND[name][0]), capsys) == f"{name}: not attempted yet\n"


@pytest.mark.parametrize("name", sorted(FOUND))
def test_solution_passes(name, capsys):
    assert said(name, defined(FOUND[name][1]), capsys).startswith("correct: ")


def test_the_rotated_model_of_notebook_06_passes_its_own_exercise(capsys):
    from bvae_helpers.teach.exercises.e06_disentanglement import rotated_model
    assert said("check_rotated", rotated_model, capsys).startswith("correct: ")


@pytest.mark.parametrize("name, number, parameters, body", RIGHT, ids=[f"{r[0]} {r[1]}" for r in RIGHT])
def test_right_answer_of_another_style_passes(name, number, parameters, body, capsys):
    assert said(name, answer(parameters, body), capsys).startswith("correct: ")


@pytest.mark.parametrize("name, number, parameters, planted", WRONG, ids=[f"{w[0]}: {w[3][0]}" for w in WRONG])
def test_planted_mistake_is_refused_and_named(name, number, parameters, planted, capsys):
    mistake, words, body = planted
    line = said(name, answer(parameters, body), capsys)
    assert line.startswith("not yet: ")
    assert words is None or words in line


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_nothing_returned_is_said(name, capsys):
    assert "your function returned nothing" in said(name, lambda *args: None, capsys)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_pytorchs_own_not_implemented_error_is_an_attempt(name, capsys):
    def attempted(*args):
        return torch.nn.functional.interpolate(torch.zeros(1, 1, 2, 2, dtype=torch.long), size=(4, 4), mode="bilinear")

    line = said(name, attempted, capsys)
    assert line.startswith("not yet: ") and "NotImplementedError" in line and "not implemented for" in line


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_check_leaves_the_global_state_alone(name, capsys):
    def careless(*args):
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        raise ValueError("and stops")

    draws = []
    for seed in (1, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        if draws:
            assert "ValueError: and stops" in said(name, careless, capsys)
        draws.append((torch.rand(1).item(), np.random.rand(), random.random()))
    assert draws[0] == draws[1]
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32
