"""Checks of notebook 03: saving the best, a warm-up that waits, and two bug hunts."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..checking import Answer, Case, Mistake, ModelState, attempt, close, compare, numbers, one_number, side_by_side


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
def check_warmup(answer: Answer) -> str:
    schedules = [(10, 20, 4.0), (7, 3, 0.5), (0, 8, 2.0), (10, 0, 4.0), (0, 0, 3.0)]
    cases = [Case(f"step = {step}, hold = {hold}, ramp = {ramp}, beta = {beta}", (step, hold, ramp, beta))
             for hold, ramp, beta in schedules
             for step in sorted({0, max(0, hold - 1), hold, hold + 1, hold + ramp // 2, hold + ramp, 999})]
    compare(answer, cases, _warmup, {
        "there is no waiting: beta is to be 0 for the first `hold` steps": lambda s, h, r, b: _warmup(s, 0, r, b),
        "the ramp is counted from step 0; it begins at `hold`":
            lambda s, h, r, b: 0.0 if s < h else b * min(1.0, s / max(1, h + r)),
        "the ramp ends at step `ramp`; it takes `ramp` steps from `hold` on":
            lambda s, h, r, b: 0.0 if s < h else b if s >= r else b * (s - h) / r,
        "beta rises for ever; after the ramp it is to stay":
            lambda s, h, r, b: 0.0 if s < h else b * (s - h) / max(r, 1),
        "you are one step early: at `hold` the ramp begins, at 0":
            lambda s, h, r, b: 0.0 if s < h else b * min(1.0, (s - h + 1) / max(1, r)),
    }, rtol=1e-5, atol=1e-7)
    return "it waits, rises, and stays"


def _warmup(step: int, hold: int, ramp: int, beta: float) -> float:
    if step < hold:
        return 0.0
    return beta if step >= hold + ramp else beta * (step - hold) / ramp


class _Codes(nn.Sequential):
    """An encoder without a bottleneck: x -> mu and logvar, of the shape of pictures."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mu = super().forward(x)
        return mu, mu - 1


class _Fragile(nn.Module):
    """A small network that works differently in training and in eval mode, and notes if gradients are recorded."""

    def __init__(self, seed: int):
        super().__init__()
        self.encoder = _Codes(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Dropout(0.5))
        self.decoder = nn.Sequential(nn.Conv2d(2, 1, 3, padding=1), nn.BatchNorm2d(1), nn.Sigmoid())
        self.recorded = False
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, value in self.state_dict().items():
                if value.is_floating_point():
                    value.copy_(torch.rand(value.shape, generator=generator) + (0.3 if "running" in name else -0.5))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.recorded |= torch.is_grad_enabled()
        mu, logvar = self.encoder(x)
        return self.decoder(mu), mu, logvar


@attempt
def check_validate(answer: Answer) -> str:
    for n, batch_size, training, seed in ((10, 4, True, 1), (7, 3, False, 2), (6, 8, True, 3)):
        images = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
        images[n - n % batch_size:] *= 3            # the images of an incomplete batch are harder
        model = _Fragile(seed).train(training)
        state = ModelState(model)
        got = answer(model, images, batch_size)
        state.check()
        if isinstance(got, torch.Tensor):
            raise Mistake(f"{one_number(got)}")
        _check_error(numbers(got), seed, images, batch_size)
        if model.recorded:
            raise Mistake("the number is right, but gradients are recorded while you only measure, which costs "
                          "memory: use `torch.no_grad()`")
    return "eval mode, no graph, every image counts the same"


def _check_error(got: torch.Tensor, seed: int, images: torch.Tensor, batch_size: int) -> None:
    reference = _Fragile(seed).eval()
    with torch.no_grad():
        difference = reference(images)[0] - images
        errors = difference.square().sum((1, 2, 3)).double()                  # (N,)
    if close(got, errors.mean(), rtol=1e-4):
        return
    full = len(images) // batch_size * batch_size
    for message, wrong in {
            "you take the mean of the batches' means: an image in a small batch then counts more":
                torch.stack([e.mean() for e in errors.split(batch_size)]).mean(),
            "you average over pixels; the squared error of an image is a sum over its pixels":
                errors.mean() / images[0].numel(),
            "you sum over the images; the error per image is wanted": errors.sum(),
            "you leave out the last, incomplete batch": errors[:full].mean(),
            "that is the absolute error; the squared one is wanted": difference.abs().sum((1, 2, 3)).double().mean(),
    }.items():
        if close(got, wrong, rtol=1e-4):
            raise Mistake(message)
    raise Mistake(side_by_side(got, errors.mean(), f"{len(images)} images in batches of {batch_size}"))


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
