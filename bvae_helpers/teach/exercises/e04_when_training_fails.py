"""Checks of notebook 04: a warm-up that waits, a gradient shortened, and a bug hunt in a validation."""

import torch
from torch import nn

from ..checking import Answer, Case, Mistake, ModelState, attempt, close, compare, numbers, one_number, side_by_side


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


@attempt
def check_clip(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(0)
    cases = [Case(f"gradients of shape {size}, limit {limit}", (scale * torch.randn(size, generator=generator), limit))
             for size, scale, limit in (((3, 4), 5.0, 2.0), ((3, 4), 0.1, 2.0), ((1, 6), 40.0, 0.5), ((5, 2), 1.0, 2.0),
                                        ((2, 3), 100.0, 10.0), ((4, 1), 0.01, 0.5))]
    compare(answer, cases, _clipped, {
        "each parameter is shortened by a factor of its own, which turns the whole gradient; one factor is wanted":
            lambda g, c: g * (c / g.norm(dim=1, keepdim=True)).clamp(max=1),
        "each number is cut off by itself, which turns the gradient; all are multiplied by one factor":
            lambda g, c: g.clamp(-c, c),
        "short gradients are lengthened to the limit; they are to stay as they are": lambda g, c: g * c / g.norm(),
        "the length is the root of the sum of squares: you compare its square with the limit":
            lambda g, c: g if g.square().sum() <= c else g * c / g.square().sum(),
        "the length is the root of the sum of squares, not the sum of absolute values":
            lambda g, c: g * (c / g.abs().sum()).clamp(max=1),
        "the length is the root of the sum of squares, not the largest number":
            lambda g, c: g * (c / g.abs().max()).clamp(max=1),
        "the lengths of the parameters are added; squares add up":
            lambda g, c: g * (c / g.norm(dim=1).sum()).clamp(max=1),
        "the gradient is divided by its length; the limit is missing":
            lambda g, c: g if g.norm() <= c else g / g.norm(),
        "long gradients are set to 0; they are to be shortened": lambda g, c: g if g.norm() <= c else 0 * g,
    }, rtol=1e-4, atol=1e-6)
    return "one factor for all, and only where it is needed"


def _clipped(gradients: torch.Tensor, limit: float) -> torch.Tensor:
    return gradients * (limit / gradients.norm()).clamp(max=1)


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
