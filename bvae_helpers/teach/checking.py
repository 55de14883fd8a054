"""How an exercise's check tries an answer: it calls it safely, compares, and explains in one message.

A check reads like a specification: cases, the right function, and the functions of well-known mistakes. A mistake is
named only where the answer agrees with that mistake on every case; otherwise the learner sees their numbers beside the
right ones. Whatever an answer does to the random generators, to the grad mode or to the default dtype is undone.
"""

import functools
import inspect
import linecache
import random
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from ..data.files import first_line
from ._progress import record

Function = Callable[..., Any]


class Mistake(Exception):
    """What is wrong with an answer, in words for the learner who wrote it."""


class Stopped(Mistake):
    """An exception in the learner's code."""


class NotAttempted(Exception):
    """The answer is still the stub that the notebook came with."""


class Case(NamedTuple):
    """Arguments on which an answer is tried, and how a message names them."""

    name: str
    args: tuple


def attempt(check: Callable[["Answer"], str]) -> Callable[[Function], None]:
    """Make a notebook's check of a function that takes an ``Answer`` and returns a line of praise, or raises Mistake.

    The check prints one line: "not attempted yet" for the stub, "correct: …", or "not yet: …" and the mistake. It
    never raises, so that *Run all* reaches the end of the notebook.
    """

    @functools.wraps(check)
    def checked(function: Function) -> None:
        with _global_state_kept():
            try:
                line, done = f"correct: {check(Answer(function))}", True
            except NotAttempted:
                line, done = f"{check.__name__}: not attempted yet", None
            except Mistake as mistake:
                line, done = f"not yet: {mistake}", False
            except Exception as error:      # what the answer returned does not work as asked
                line, done = f"not yet: what your function returned stops with {_one_line(error)}", False
        record(check.__name__, done)
        print(line)

    return checked


class Answer:
    """A learner's function, called like the function itself; what goes wrong in a call becomes a Mistake."""

    def __init__(self, function: Function):
        if not callable(function):
            raise Mistake(f"give the check your function itself, not {_kind(function)}")
        self.function, self.calls = function, 0

    def __call__(self, *args: Any) -> Any:
        """Call the function. Raises Mistake for an exception, None, changed arguments and a changed mode."""
        kept, self.calls = _copy(args), self.calls + 1
        mode, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                got = self.function(*args)
        except (Mistake, NotAttempted):
            raise
        except Exception as error:
            if self.calls == 1 and _is_stub(error, self.function):
                raise NotAttempted from None
            raise Stopped(_explained(error, self.function)) from error
        if got is None:
            raise Mistake("your function returned nothing: is there a `return` in front of its result?")
        self._check_arguments(args, kept)
        if torch.is_grad_enabled() != mode or torch.get_default_dtype() != dtype:
            raise Mistake("your function changes a setting of PyTorch for good (the recording of gradients, or the "
                          "default dtype): use a `with` block, which puts it back")
        return got

    def _check_arguments(self, args: tuple, kept: tuple) -> None:
        for position, (now, before) in enumerate(zip(args, kept)):
            if not _same(now, before):
                raise Mistake(f"your function changes its argument {_parameter(self.function, position)} in place, "
                              "and the caller still needs it: work on a copy")


# Comparing

def compare(answer: Answer, cases: Iterable[Case], right: Function | list[Function],
            mistakes: Mapping[str, Function] | None = None, rtol: float = 1e-4, atol: float = 1e-5,
            kind: Callable[[Any], str | None] | None = None,
            where: Callable[[Case, tuple], str] | None = None) -> None:
    """Raise Mistake unless ``answer`` gives what ``right`` gives, for every case.

    ``right``: the function, or several that are all right. ``mistakes``: a message for each well-known wrong function;
    the message is used if the answer agrees with that function on all cases. ``kind`` looks at what the answer returned
    before it is read as numbers, and returns what is wrong with its type, or None. ``where`` names a place in an array.
    """
    rights = right if isinstance(right, list) else [right]
    cases, tried = list(cases), []
    for case in cases:
        try:
            got = answer(*_copy(case.args))
        except Stopped as error:
            raise Mistake(f"{error} ({case.name})") from error.__cause__
        wrong_kind = kind(got) if kind is not None else None
        if wrong_kind is not None:
            raise Mistake(wrong_kind)
        tried.append(numbers(got))
    wanted = [[numbers(f(*_copy(case.args))) for f in rights] for case in cases]
    wrong = [i for i, got in enumerate(tried) if not any(close(got, want, rtol, atol) for want in wanted[i])]
    if not wrong:
        return
    for message, mistaken in (mistakes or {}).items():
        if _agrees(tried, cases, mistaken, rtol, atol):
            raise Mistake(message)
    first, got, want = cases[wrong[0]], tried[wrong[0]], wanted[wrong[0]][0]
    shown = side_by_side(got, want, first.name, None if where is None else lambda place: where(first, place))
    undefined = got.isnan().any() and not want.isnan().any()
    raise Mistake(shown + (" (nan comes from 0 · log 0, 0 / 0 or infinity − infinity)" if undefined else ""))


def compare_gradients(answer: Answer, case: Case, right: Function, names: Iterable[str], rtol: float = 1e-3) -> None:
    """Raise Mistake unless the gradients of ``answer`` to the arguments ``names`` are those of ``right``."""
    positions = [list(inspect.signature(right).parameters).index(name) for name in names]
    mine, rights = _leaves(case.args, positions), _leaves(case.args, positions)
    got = with_gradients(answer, mine, names)
    weights = torch.linspace(1, 2, got.numel()).reshape(got.shape)
    mine = torch.autograd.grad((weights * got).sum(), [mine[p] for p in positions], allow_unused=True)
    wanted = torch.autograd.grad((weights * right(*rights)).sum(), [rights[p] for p in positions])
    for name, gradient, want in zip(names, mine, wanted):
        if gradient is None or not close(gradient.double(), want.double(), rtol, 1e-5):
            how = "missing" if gradient is None or not gradient.any() else "wrong"
            raise Mistake(f"the numbers are right, but the gradient to {name} is {how}: does some part of your "
                          "calculation leave PyTorch?")


def with_gradients(answer: Answer, args: Iterable[Any], names: Iterable[str]) -> torch.Tensor:
    """Call the answer with arguments that require gradients. Raises Mistake if its result is cut off from them."""
    try:
        got = answer(*args)
    except Stopped as error:
        raise Mistake("the numbers are right, but with arguments that require gradients, as in training, "
                      f"{error}") from error.__cause__
    if not isinstance(got, torch.Tensor) or not got.requires_grad:
        raise Mistake(f"the numbers are right, but no gradient flows back to {', '.join(names)}, so that nothing can "
                      "be trained with them: `.item()`, `float()`, `.detach()`, `no_grad`, numpy and a draw from a "
                      "distribution cut it off")
    return got


def numbers(value: Any) -> torch.Tensor:
    """Numbers, arrays, tensors or nested lists of them as one tensor of float64. Raises Mistake for anything else."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double()
    try:
        nested = (torch.Tensor, np.ndarray, list, tuple)
        if isinstance(value, (list, tuple)) and any(isinstance(v, nested) for v in value):
            return torch.stack([numbers(v) for v in value])
        return torch.as_tensor(np.asarray(value, dtype=np.float64).copy())
    except (TypeError, ValueError, RuntimeError):
        raise Mistake(f"your function returned {_kind(value)}, which cannot be read as numbers of one shape") from None


def close(got: torch.Tensor, want: torch.Tensor, rtol: float = 1e-4, atol: float = 1e-5) -> bool:
    """Whether two tensors have the same shape and the same finite numbers, to a tolerance."""
    return got.shape == want.shape and torch.allclose(got, want, rtol=rtol, atol=atol)


def side_by_side(got: torch.Tensor, want: torch.Tensor, case: str, where: Callable[[tuple], str] | None = None) -> str:
    """A message that shows the learner's numbers beside the right ones, for one case; ``where`` names a place."""
    if (got.shape == want.shape or got.ndim == want.ndim == 1) and max(got.numel(), want.numel()) <= 6:
        return f"{case}: yours is {_shown(got)}, and {_shown(want)} is right"
    if got.shape != want.shape:
        return f"{case}: your answer has {_shape(got)}, and {_shape(want)} is wanted"
    off = ~torch.isclose(got, want, rtol=1e-4, atol=1e-5)
    place = tuple((off if off.any() else got != want).nonzero()[0].tolist())
    at = list(place) if where is None else where(place)
    return (f"{case}: {int(off.sum())} of {got.numel()} numbers are wrong; at {at} yours is {_shown(got[place])}, and "
            f"{_shown(want[place])} is right")


def one_number(value: Any) -> str | None:
    """What is wrong with the type of a plain number: None for a float, an int or a numpy number; a tensor is none."""
    if isinstance(value, torch.Tensor):
        return "you return a tensor; a plain float is wanted (`.item()`): a tensor may keep a whole graph in memory"
    return None


# Models

class ModelState:
    """A model as it came: weights and buffers, the mode of each module, which parameters train, their gradients."""

    def __init__(self, model: torch.nn.Module):
        self.model = model
        self.tensors = {name: value.clone() for name, value in model.state_dict().items()}
        self.modes = {name: module.training for name, module in model.named_modules()}
        self.trainable = {name: p.requires_grad for name, p in model.named_parameters()}

    def check(self) -> None:
        """Raise Mistake, naming the first thing that is not as it came."""
        for name, value in self.model.state_dict().items():
            if not _same(value, self.tensors[name]):
                running = "running" in name or "tracked" in name
                kind = "BatchNorm's running averages, which change in training mode" if running else "weights"
                raise Mistake(f"your function changes the model: {name} ({kind}) is not as it came")
        for name, module in self.model.named_modules():
            if module.training != self.modes[name]:
                was, now = ("training", "eval") if self.modes[name] else ("eval", "training")
                what = f"module {name}" if name else "model"
                raise Mistake(f"the {what} came in {was} mode and is left in {now} mode: put it back as it was")
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad != self.trainable[name]:
                raise Mistake(f"{name} no longer requires a gradient after your function: the model cannot be "
                              "trained further")
            if parameter.grad is not None:
                raise Mistake(f"your function leaves a gradient in {name}: nothing is to be trained here")


# Inside

@contextmanager
def _global_state_kept() -> Iterator[None]:
    """Fixed seeds inside; the random generators, the grad mode and the default dtype as before afterwards."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    mode, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        torch.default_generator.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        torch.set_grad_enabled(mode)
        torch.set_default_dtype(dtype)


def _is_stub(error: Exception, function: Function) -> bool:
    """Whether the exception is the stub's own ``raise NotImplementedError``, without words and not from a library."""
    if type(error) is not NotImplementedError or error.args:
        return False
    code = getattr(inspect.unwrap(function), "__code__", None)
    return list(traceback.walk_tb(error.__traceback__))[-1][0].f_code is code


def _explained(error: Exception, function: Function) -> str:
    """An exception in one line, with the learner's own line in which it happened."""
    text = _one_line(error)
    code = getattr(inspect.unwrap(function), "__code__", None)
    theirs = [(frame, number) for frame, number in traceback.walk_tb(error.__traceback__)
              if code is not None and frame.f_code.co_filename == code.co_filename]
    if not theirs:
        return f"your function stops with {text}"
    frame, number = theirs[-1]
    source = linecache.getline(frame.f_code.co_filename, number, frame.f_globals).strip()
    return f"line {number} of your cell{f', `{source}`,' if source else ''} stops with {text}"


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}" if str(error) else type(error).__name__


def _agrees(tried: list[torch.Tensor], cases: list[Case], mistaken: Function, rtol: float, atol: float) -> bool:
    """Whether a wrong function gives the same numbers as the answer, on every case."""
    try:
        return all(close(got, numbers(mistaken(*_copy(case.args))), rtol, atol) for got, case in zip(tried, cases))
    except Exception:       # a mistake that does not run on these cases is another one
        return False


def _leaves(args: tuple, positions: list[int]) -> list[Any]:
    """Copies of the arguments, of which those at ``positions`` require gradients."""
    return [a.clone().requires_grad_() if i in positions else _copy(a) for i, a in enumerate(args)]


def _copy(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, np.ndarray):
        return value.copy()
    return type(value)(_copy(v) for v in value) if type(value) in (list, tuple) else value


def _same(now: Any, before: Any) -> bool:
    """Whether two arguments hold the same, NaN included; objects that are no arrays are not looked at."""
    if isinstance(now, torch.Tensor):
        return now.shape == before.shape and bool(((now == before) | ((now != now) & (before != before))).all())
    if isinstance(now, np.ndarray):
        return np.array_equal(now, before, equal_nan=now.dtype.kind == "f")
    if type(now) in (list, tuple):
        return len(now) == len(before) and all(_same(a, b) for a, b in zip(now, before))
    return now == before or now != now if isinstance(now, (int, float)) else True


def _parameter(function: Function, position: int) -> str:
    """The name of a parameter, as the learner wrote it."""
    try:
        return f"`{list(inspect.signature(function).parameters)[position]}`"
    except (ValueError, TypeError, IndexError):
        return f"number {position + 1}"


def _kind(value: Any) -> str:
    return type(value).__name__


def _shape(value: torch.Tensor) -> str:
    return f"shape {tuple(value.shape)}" if value.ndim else "no axis (one number)"


def _shown(value: torch.Tensor) -> str:
    """Numbers with six digits, whole ones without a point."""
    value = value.squeeze() if value.ndim > 2 else value
    if value.ndim:
        return f"[{', '.join(_shown(v) for v in value)}]"
    return f"{float(value):.6g}" if abs(float(value)) < 1e9 else f"{float(value):.0f}"
