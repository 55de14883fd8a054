"""Checks of notebook 03: saving the best, halving the learning rate, and a bug hunt in an epoch of training."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..checking import Answer, Case, Mistake, attempt, close, compare, numbers, one_number, side_by_side


@attempt
def check_saves_best(answer: Answer) -> str:
    nan, generator = math.nan, np.random.default_rng(0)
    losses = [[5.0, 4.0, 4.5, 4.2, 3.0], [2.0, 2.0, 1.0], [nan, 3.0, nan, 2.0], [], [nan, nan],
              [-1.0, -3.0, -2.0, -4.5], [4e12, 5e12, 3e12],
              [2.0, 0.0, 1.0, -1.0], [0.5, 0.4999, 0.49985], generator.normal(size=30).tolist(), [7.0]]
    cases = [Case(f"losses {values if len(values) < 9 else 'of 30 epochs'}", (values,)) for values in losses]
    compare(answer, cases, _improvements, {
        "you compare with the epoch before; better than all before is wanted":
            lambda v: [e + 1 for e in range(len(v)) if not v[e] != v[e] and (e == 0 or v[e] < v[e - 1])],
        "you count epochs from 0; they are counted from 1": lambda v: [e - 1 for e in _improvements(v)],
        "you save a tie; as good as before is not better":
            lambda v: [e + 1 for e in range(len(v)) if v[e] <= min([x for x in v[:e] if x == x], default=math.inf)],
        "a NaN is saved as the best, or makes later epochs fail to be": _blocked,
        "the best of all is one epoch; wanted are all epochs that were the best when they ended":
            lambda v: _improvements(v)[-1:],
        "you return losses; epochs are wanted": lambda v: [v[e - 1] for e in _improvements(v)],
        "you save the largest losses; the smallest are the best": lambda v: _improvements([-x for x in v]),
    }, rtol=0, atol=0)
    return "better than all before, ties and NaN left out"


def _improvements(values: list[float]) -> list[int]:
    best, epochs = math.inf, []
    for epoch, value in enumerate(values, start=1):
        if value < best:
            best = value
            epochs.append(epoch)
    return epochs


def _blocked(values: list[float]) -> list[int]:
    """The mistake of starting from the first loss, whatever it is."""
    best, epochs = None, []
    for epoch, value in enumerate(values, start=1):
        if best is None or value < best:
            best = value
            epochs.append(epoch)
    return epochs


@attempt
def check_plateau(answer: Answer) -> str:
    losses = [[9.0, 7, 6, 6, 6, 6, 5, 5, 5, 5, 5], [5.0, 6, 4, 5, 6, 3, 4, 5, 6, 7, 8], [1.0], [4.0, 3, 2, 1],
              [-1.0, -2, -2, -1.5, -3, -2, -2.5, -2.5, -2], [2.0] * 12, [1.0, 0.99995, 0.9999, 0.99985, 0.9998]]
    settings = [(1e-3, 2), (0.5, 1), (0.1, 3), (0.2, 0), (1.0, 1), (3e-4, 0), (0.1, 0),
                (1e-3, 0), (0.5, 2), (0.1, 0), (0.2, 1), (1.0, 0), (3e-4, 4), (0.1, 1)]
    cases = [Case(f"losses {values}, lr = {lr}, patience = {patience}", (values, lr, patience))
             for values, (lr, patience) in zip(losses * 2, settings)]
    compare(answer, cases, _rates, {
        "the rate falls one epoch too soon: after `patience` bad epochs it waits for one more":
            lambda v, lr, n: _rates(v, lr, n - 1) if n else _rates(v, lr, 0),
        "you list the rate after each epoch; the one that the epoch was trained with is wanted":
            lambda v, lr, n: _rates([*v, math.inf], lr, n)[1:],
        "after a halving the count of bad epochs begins again at 0": lambda v, lr, n: _rates(v, lr, n, reset=False),
        "bad epochs are counted in a row: an epoch that improves sets the count to 0":
            lambda v, lr, n: _rates(v, lr, n, in_a_row=False),
        "you compare with the epoch before; an epoch improves if it is better than all before":
            lambda v, lr, n: _rates(v, lr, n, best_of_all=False),
        "as good as the best is not better": lambda v, lr, n: _rates(v, lr, n, tie=True),
        "the rate is halved only once": lambda v, lr, n: [max(rate, lr / 2) for rate in _rates(v, lr, n)],
    }, rtol=1e-6, atol=1e-12)
    return "patient, and then half as fast"


def _rates(values: list[float], lr: float, patience: int, reset: bool = True, in_a_row: bool = True,
           best_of_all: bool = True, tie: bool = False) -> list[float]:
    """The learning rate of each epoch; the flags make well-known mistakes."""
    rates, best, bad = [], math.inf, 0
    for value in values:
        rates.append(lr)
        improved = value <= best if tie else value < best
        bad = (0 if in_a_row else bad) if improved else bad + 1
        best = value if improved or not best_of_all else best
        if bad > patience:
            lr, bad = lr / 2, 0 if reset else bad
    return rates


@attempt
def check_train_epoch(answer: Answer) -> str:
    for sizes, make in (((4, 4, 4, 4), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5)),
                        ((5, 2, 6), lambda p: torch.optim.Adam(p, lr=0.05))):
        generator = torch.Generator().manual_seed(len(sizes))
        batches = [torch.randn(size, 3, generator=generator) for size in sizes]
        model, losses = _linear().eval(), []
        got = answer(model, batches, make(model.parameters()), _watched(losses))
        _check_weights(model, batches, make)
        if isinstance(got, torch.Tensor):
            raise Mistake(f"{one_number(got)}")
        _check_mean(numbers(got), losses, sizes)
    return "fresh gradients, train mode, a plain number"


def _linear() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(torch.linspace(-0.5, 0.7, value.numel()).reshape(value.shape))
    return model


def _loss_of(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(model(x), x.sum(1, keepdim=True))


def _watched(losses: list[float]) -> Callable[[nn.Module, torch.Tensor], torch.Tensor]:
    """The loss function that the answer is given: it notes what it returns, and complains about the wrong mode."""

    def loss_of(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        if not all(module.training for module in model.modules()):
            raise Mistake("the model is still in eval mode, in which the validation before left it: call "
                          "model.train()")
        if not torch.is_grad_enabled():
            raise Mistake("gradients are not recorded, so that nothing can be learned")
        loss = _loss_of(model, x)
        losses.append(loss.item())
        return loss

    return loss_of


def _check_weights(model: nn.Module, batches: list[torch.Tensor], make: Callable) -> None:
    """The weights after the pass are those of the right loop; those of well-known wrong loops are named."""
    mine = _flat(model)
    if close(mine, _trained(batches, make), rtol=1e-4):
        return
    for message, wrong in {
            "your function leaves the weights as they were: is there a `step()` after `backward()`, with its gradient?":
                _flat(_linear()),
            "each gradient is added to those of the batches before: `backward()` does not clear them":
                _trained(batches, make, clear=False),
            "only the last batch has a step": _trained(batches[-1:], make)}.items():
        if close(mine, wrong, rtol=1e-4):
            raise Mistake(message)
    raise Mistake(side_by_side(mine[:3], _trained(batches, make)[:3], "the first three weights after your pass"))


def _trained(batches: list[torch.Tensor], make: Callable, clear: bool = True) -> torch.Tensor:
    model = _linear()
    optimizer = make(model.parameters())
    for x in batches:
        if clear:
            optimizer.zero_grad()
        _loss_of(model, x).backward()
        optimizer.step()
    return _flat(model)


def _flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()]).double()


def _check_mean(got: torch.Tensor, losses: list[float], sizes: tuple) -> None:
    values = torch.tensor(losses[:len(sizes)], dtype=torch.float64)
    if close(got, values.mean()):
        return
    for message, wrong in {
            "you return the loss of the last batch; the mean over the batches is wanted": values[-1],
            "you return the sum of the batches' losses; their mean is wanted": values.sum(),
            "you weight each batch by its size; here every batch counts the same":
                (values * torch.tensor(sizes)).sum() / sum(sizes)}.items():
        if close(got, wrong):
            raise Mistake(message)
    raise Mistake(side_by_side(got, values.mean(), f"batch losses {[round(v, 4) for v in losses]}"))
