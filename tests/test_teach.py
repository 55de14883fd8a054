"""What the notebooks stand on."""

import json

import numpy as np
import pytest
import torch

import bvae_helpers
from bvae_helpers import losses, teach
from bvae_helpers.teach import _progress, checking
from bvae_helpers.teach.checking import Mistake


def test_setup_prints_one_line_and_seeds(capsys, monkeypatch):
    monkeypatch.setenv("BVAE_PROFILE", "tiny")
    env = teach.setup(seed=3)
    first = torch.rand(1)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "profile tiny" in said
    teach.setup(seed=3)
    assert torch.equal(first, torch.rand(1))
    assert env.folder("03") == "checkpoints/03-tiny"


def test_setup_says_in_one_line_when_another_version_is_installed(capsys):
    teach.setup(made_with=bvae_helpers.__version__)
    assert capsys.readouterr().out.count("\n") == 1
    teach.setup(made_with="0.9.0")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "made with bvae_helpers 0.9.0" in lines[1] and bvae_helpers.__version__ in lines[1]


def test_show_source_is_the_packages_code():
    shown = teach.show_source(losses.kl_divergence)._repr_markdown_()
    assert shown.startswith("```python\ndef kl_divergence") and shown.endswith("```")
    assert "0.5 * (mu.square() + logvar.exp() - 1 - logvar)" in shown


def test_show_source_of_a_method_stands_at_the_margin():
    from bvae_helpers.model import BetaVAE
    assert "\ndef reparameterize" in teach.show_source(BetaVAE.reparameterize).text


def test_agree_asserts(capsys):
    teach.agree("same", torch.ones(2), [1.0, 1.0])
    assert "same: agree, exactly" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="0.1"):
        teach.agree("off", torch.tensor(1.0), torch.tensor(1.1))
    with pytest.raises(AssertionError, match="shapes"):
        teach.agree("shape", torch.ones(2), torch.ones(3))
    with pytest.raises(AssertionError):
        teach.agree("nan", torch.tensor(float("nan")), torch.tensor(0.0))


def test_operations_are_counted_gradients_included_and_views_not():
    weight = torch.ones(3, 4, requires_grad=True)
    assert teach.count_operations(torch.add, weight, 1) == 1
    assert teach.count_operations(lambda: weight.t()[0]) == 0
    forward = teach.count_operations(lambda: (weight * 2).sum())
    assert forward == 2 and teach.count_operations(lambda: (weight * 2).sum().backward()) > forward


def check_of(value):
    """A check whose right answer is a function that returns ``value``."""
    @teach.attempt
    def check_one(answer):
        if answer() != value:
            raise Mistake("you returned something else")
        return "well done"
    return check_one


def stub():
    raise NotImplementedError


def test_attempt_tells_stub_success_and_mistake_apart(capsys):
    check_of(1)(stub)
    check_of(1)(lambda: 1)
    check_of(1)(lambda: 2)
    assert capsys.readouterr().out == ("check_one: not attempted yet\ncorrect: well done\n"
                                       "not yet: you returned something else\n")


def test_only_the_stubs_own_error_means_not_attempted(capsys):
    def with_words():
        raise NotImplementedError("for later")

    def deeper():
        return stub()

    calls = []

    def second_call():
        calls.append(1)
        if len(calls) > 1:
            raise NotImplementedError
        return 2

    for function in (with_words, deeper):
        check_of(1)(function)
        assert capsys.readouterr().out.startswith("not yet: line ")

    @teach.attempt
    def check_twice(answer):
        return f"{answer()}{answer()}"
    check_twice(second_call)
    assert "stops with NotImplementedError" in capsys.readouterr().out


def test_the_learners_own_line_is_shown(capsys):
    def attempted():
        numbers = [1, 2]
        return sorted(numbers, key=lambda n: numbers[n + 5])

    check_of(1)(attempted)
    assert "`return sorted(numbers, key=lambda n: numbers[n + 5])`, stops with IndexError: list index out of range" in (
        capsys.readouterr().out)


def test_what_is_no_function_is_named(capsys):
    check_of(1)(3)
    assert "your function itself, not int" in capsys.readouterr().out


@pytest.mark.parametrize("value, numbers", [
    (3, 3.0), (np.float32(2), 2.0), ([1, 2], [1.0, 2.0]), ((torch.ones(2), [3, 4]), [[1.0, 1.0], [3.0, 4.0]]),
    (torch.tensor([True, False]), [1.0, 0.0]), (np.arange(2), [0.0, 1.0]), (torch.ones(1, requires_grad=True), [1.0])])
def test_numbers_reads_what_python_numpy_and_torch_call_numbers(value, numbers):
    assert torch.equal(checking.numbers(value), torch.tensor(numbers, dtype=torch.float64))


@pytest.mark.parametrize("value", ["three", {"a": 1}, [[1], [1, 2]], [torch.ones(1), torch.ones(2)], object()])
def test_numbers_refuses_the_rest_with_a_word(value):
    with pytest.raises(Mistake, match="cannot be read as numbers"):
        checking.numbers(value)


def test_a_mistake_is_named_only_if_it_explains_every_case():
    cases = [checking.Case("one", (1,)), checking.Case("three", (3,))]
    mistakes = {"you double": lambda x: 2 * x}
    with pytest.raises(Mistake, match="you double"):
        checking.compare(checking.Answer(lambda x: 2 * x), cases, lambda x: x + 1, mistakes)
    with pytest.raises(Mistake, match="three: yours is 0, and 4 is right"):
        checking.compare(checking.Answer(lambda x: 2 * x if x < 2 else 0), cases, lambda x: x + 1, mistakes)


def test_progress_marks_today_and_remembers_other_days(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(_progress, "TODAY", {"check_diamond": False, "check_split": True})
    monkeypatch.setattr(_progress, "_file", lambda: tmp_path / "progress.json")
    (tmp_path / "progress.json").write_text('{"check_position": "2026-01-31"}')
    teach.progress("01")
    assert capsys.readouterr().out.splitlines() == [
        "✓ split", "✓ position  (on 2026-01-31)", "✗ diamond", "· to channels first", "2 of 4 exercises done"]
    with pytest.raises(ValueError, match="01 to 09"):
        teach.progress("10")


def test_progress_is_kept_whole_and_survives_a_damaged_file(monkeypatch, tmp_path):
    path = tmp_path / "progress.json"
    monkeypatch.setattr(_progress, "TODAY", {})
    monkeypatch.setattr(_progress, "_file", lambda: path)
    path.write_text("{ damaged")
    _progress.record("check_gap", None)
    _progress.record("check_gap", False)
    assert path.read_text() == "{ damaged"
    _progress.record("check_gap", True)
    assert list(json.loads(path.read_text())) == ["check_gap"] and list(tmp_path.iterdir()) == [path]


def test_progress_leaves_no_file_outside_a_notebook(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_progress, "TODAY", {})
    _progress.record("check_gap", True)
    assert not list(tmp_path.iterdir())


def test_what_an_answer_returns_may_fail_later(capsys):
    @teach.attempt
    def check_use(answer):
        return answer().missing

    check_use(lambda: 3)
    assert capsys.readouterr().out == (
        "not yet: what your function returned stops with AttributeError: 'int' object has no attribute 'missing'\n")
