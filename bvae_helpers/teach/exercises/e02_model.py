"""Checks of notebook 02: the side a convolution leaves, a draw, the KL, the loss."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ...losses import kl_divergence
from ..checking import (Answer, Case, Mistake, attempt, close, compare, compare_gradients, numbers, side_by_side,
                        with_gradients)


@attempt
def check_output_size(answer: Answer) -> str:
    settings = [(10, 3, 1, 0), (10, 3, 1, 2), (64, 3, 2, 1), (7, 7, 3, 0), (8, 3, 4, 0), (9, 2, 3, 1), (31, 5, 4, 2),
                (32, 4, 2, 1), (5, 1, 1, 0), (13, 3, 5, 0), (28, 6, 3, 4)]
    cases = [Case("side {}, kernel {}, stride {}, padding {}".format(*args), args) for args in settings]
    compare(answer, cases, lambda n, k, s, p: nn.Conv2d(1, 1, k, s, p)(torch.zeros(1, 1, n, n)).shape[-1], {
        "padding is added on one side only; it comes on both": lambda n, k, s, p: (n + p - k) // s + 1,
        "padding is missing": lambda n, k, s, p: (n - k) // s + 1,
        "the first place of the kernel is not counted: it fits once before it makes a step":
            lambda n, k, s, p: (n + 2 * p - k) // s,
        "a step that does not fit whole is not made: the result is rounded down":
            lambda n, k, s, p: (n + 2 * p - k) / s + 1,
        "you round up; a step that does not fit whole is not made":
            lambda n, k, s, p: math.ceil((n + 2 * p - k) / s) + 1,
        "you round to the nearest; a step that does not fit whole is not made":
            lambda n, k, s, p: round((n + 2 * p - k) / s) + 1,
        "that is right for a padding that keeps the side and a stride that divides it; here are others":
            lambda n, k, s, p: n // s,
    }, rtol=0, atol=1e-9)
    return "the same as PyTorch's own convolutions"


@attempt
def check_sample(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(4)
    mu = torch.tensor([1.5, -3.0, 0.4]).repeat(20_000, 1)
    logvar = torch.tensor([-2.0, 0.8, -0.7]).repeat(20_000, 1)
    z = numbers(answer(mu, logvar)).float()
    if z.shape != mu.shape:
        raise Mistake(side_by_side(z, mu, f"mu of shape {tuple(mu.shape)}"))
    if torch.equal(z, numbers(answer(mu, logvar)).float()):
        raise Mistake("two calls give the same draw: a seed is set inside, or nothing is drawn")
    _check_spread(z - mu, logvar[0])
    _check_noise((z - mu) / (0.5 * logvar).exp())
    for shape in ((5, 3), (4, 2)):
        mu, logvar = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
        _check_path(answer, mu, logvar)
    return "the right mean, the right spread, independent draws, and the gradient flows"


def _check_spread(distance: torch.Tensor, logvar: torch.Tensor) -> None:
    """``distance`` = z - mu (N, D) has mean 0 and the variance exp(logvar); well-known other variances are named."""
    mean, var, want = distance.mean(0), distance.var(0), logvar.exp()
    if (var < 1e-6).any():
        raise Mistake("all images get the same draw; each needs noise of its own")
    if (mean.abs() > 0.05 * want.sqrt() + 0.01).any():
        if torch.allclose(mean, 0.5 * want.sqrt(), rtol=0.05):
            raise Mistake("the noise has the mean 1/2: `rand` is uniform from 0 to 1, and N(0, 1) is wanted (`randn`)")
        raise Mistake(f"the means of your draws differ from mu by {[round(m, 2) for m in mean.tolist()]}")
    for message, wrong in (("you multiply the noise by logvar; sigma is another function of it", logvar.square()),
                           ("exp(logvar) is the variance, and you use it as the standard deviation", want.square()),
                           ("the noise is not scaled: its standard deviation is 1 in every latent", torch.ones(3))):
        if torch.allclose(var, wrong, rtol=0.06):
            raise Mistake(message)
    if not torch.allclose(var, want, rtol=0.06):
        raise Mistake("for logvar = [-2, 0.8, -0.7] the variances of your draws are "
                      f"{[round(v, 3) for v in var.tolist()]}, and {[round(v, 3) for v in want.tolist()]} are right")


def _check_noise(epsilon: torch.Tensor) -> None:
    """``epsilon`` (N, D) is standard normal, and independent between latents and between images."""
    if (epsilon.T.corrcoef() - torch.eye(epsilon.shape[1])).abs().max() > 0.06:
        raise Mistake("the noise of two latents of an image is the same, or related; each needs its own")
    fourth = (epsilon - epsilon.mean(0)).pow(4).mean(0) / epsilon.var(0).square()
    if (fourth - 3).abs().max() > 0.5:
        raise Mistake("mean and variance are right, but the noise is not Gaussian: "
                      f"its fourth moment is {float(fourth.mean()):.1f} instead of 3")
    if any(column.unique().numel() < 0.9 * len(column) for column in epsilon.T):
        raise Mistake("many images get the same noise; each needs its own")


def _check_path(answer: Answer, mu: torch.Tensor, logvar: torch.Tensor) -> None:
    """dz/dmu = 1 and dz/dlogvar = (z - mu) / 2, whatever the noise."""
    mu, logvar = mu.requires_grad_(), logvar.requires_grad_()
    z = with_gradients(answer, (mu, logvar), ("mu", "logvar"))
    gradients = torch.autograd.grad(z.sum(), (mu, logvar), allow_unused=True)
    for name, got, want in zip(("mu", "logvar"), gradients, (torch.ones_like(mu), 0.5 * (z - mu).detach())):
        if got is None or not torch.allclose(got.float(), want.float(), rtol=1e-3, atol=1e-4):
            how = "missing" if got is None or not got.any() else "wrong"
            raise Mistake(f"the draws are right, but the gradient to {name} is {how}: shift and scale a draw that does "
                          "not depend on mu and logvar")


@attempt
def check_kl(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(0)
    cases = [Case(f"mu and logvar of shape {shape}", tuple(torch.randn(2, *shape, generator=generator) + 0.3))
             for shape in ((2, 3), (5, 4), (3, 7))]
    cases.append(Case("mu = 0 and logvar = 0, the prior itself", (torch.zeros(2, 3), torch.zeros(2, 3))))
    cases.append(Case("logvar from -12 to 6", (torch.zeros(1, 4), torch.linspace(-12, 6, 4)[None])))
    compare(answer, cases, _kl, {
        "you averaged over images and latents; the KLs of the latents add up, and each image has its own":
            lambda mu, logvar: kl_divergence(mu, logvar).mean(),
        "you summed over the images too; each image has its own KL":
            lambda mu, logvar: kl_divergence(mu, logvar).sum(),
        "you averaged over the images too; each image has its own KL": lambda mu, logvar: _kl(mu, logvar).mean(),
        "you averaged over the latents; their KLs add up": lambda mu, logvar: kl_divergence(mu, logvar).mean(1),
        "that is one number for each latent, summed over images; one for each image is wanted":
            lambda mu, logvar: kl_divergence(mu, logvar).sum(0),
        "that is the KL of each latent; those of one image add up": kl_divergence,
        "the sign is wrong: a KL is never negative": lambda mu, logvar: -_kl(mu, logvar),
        "it is twice too large: where is the factor 1/2?": lambda mu, logvar: 2 * _kl(mu, logvar),
        "mu is not squared": lambda mu, logvar: 0.5 * (mu + logvar.exp() - 1 - logvar).sum(1),
        "the 1 is missing: the KL of the prior to itself is 0":
            lambda mu, logvar: 0.5 * (mu ** 2 + logvar.exp() - logvar).sum(1),
        "logvar is taken for the standard deviation": lambda mu, logvar: _kl(mu, 2 * logvar.abs().log()),
        "logvar is taken for the variance":
            lambda mu, logvar: 0.5 * (mu ** 2 + logvar - 1 - logvar.abs().log()).sum(1),
    })
    compare_gradients(answer, cases[1], _kl, ("mu", "logvar"))
    return "summed over latents, one number for each image"


def _kl(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    return kl_divergence(mu, logvar).sum(1)


@attempt
def check_loss(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(0)
    batches = []
    for shape, latents in (((4, 1, 6, 6), 3), ((3, 2, 5, 7), 6)):
        logits, x = 2 * torch.randn(shape, generator=generator), (torch.rand(shape, generator=generator) > 0.4).float()
        mu, logvar = torch.randn(2, shape[0], latents, generator=generator) + 0.2
        batches.append((logits, x, mu, logvar))
        _check_terms(answer, logits, x, mu, logvar)
    cases = [Case(f"{len(b[0])} images, beta = {beta}", (*b, beta)) for b in batches for beta in (0.5, 3.0)]
    compare(answer, cases, _loss, {
        "beta is not used": lambda logits, x, mu, logvar, beta: _loss(logits, x, mu, logvar, 1.0),
        "beta weights the reconstruction; it is the weight of the KL":
            lambda logits, x, mu, logvar, beta: beta * _loss(logits, x, mu, logvar, 1 / beta),
        "beta weights both terms; it is the weight of the KL alone":
            lambda logits, x, mu, logvar, beta: beta * _loss(logits, x, mu, logvar, 1.0)})
    none = torch.zeros(1, 2)
    sure = torch.tensor([50.0, -50.0, 200.0]).reshape(1, 1, 1, 3)
    compare(answer, [Case("a black, a white and a white pixel with logits 50, -50 and 200 and no KL (calculate from "
                          "logits: the sigmoid of 50 is rounded to 1, and exp(200) to infinity)",
                          (sure, torch.tensor([0.0, 1.0, 1.0]).reshape(1, 1, 1, 3), none, none, 1.0))], _loss)
    compare_gradients(answer, cases[1], _loss, ("logits", "mu", "logvar"))
    return "nats per image, both terms"


def _loss(logits: torch.Tensor, x: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor, beta: float) -> torch.Tensor:
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    return (bce + beta * kl_divergence(mu, logvar).sum()) / len(x)


def _check_terms(answer: Answer, logits: torch.Tensor, x: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor) -> None:
    """The two terms apart, each against its well-known mistakes."""
    none, images, pixels = torch.zeros_like(mu), len(x), x[0].numel()
    rec = numbers(answer(logits, x, none, none, 1.0))
    total = numbers(answer(logits, x, mu, logvar, 1.0))
    want = _loss(logits, x, none, none, 1.0).double()
    p = torch.sigmoid(logits)
    _term(rec, want, "the reconstruction (the loss where mu = 0 and logvar = 0)", {
        "is averaged over pixels; the ELBO sums over pixels": want / pixels,
        "is summed over the images, so that the loss grows with the batch": want * images,
        "has the wrong sign": -want,
        "takes the sigmoid twice: the loss of PyTorch that you use takes it already":
            F.binary_cross_entropy_with_logits(p, x, reduction="sum").double() / images,
        "is the squared error; a Bernoulli likelihood is wanted": F.mse_loss(p, x, reduction="sum").double() / images})
    kl = kl_divergence(mu, logvar).double()
    _term(total - rec, kl.sum() / images, "the KL (the loss, less the reconstruction)", {
        "is summed over the images, and the reconstruction is not: beta is really larger, by the batch size": kl.sum(),
        "is averaged over latents; their KLs add up": kl.mean(),
        "has the wrong sign": -kl.sum() / images,
        "is twice too large: where is the factor 1/2?": 2 * kl.sum() / images})


def _term(got: torch.Tensor, want: torch.Tensor, name: str, mistakes: dict[str, torch.Tensor]) -> None:
    if close(got, want, rtol=1e-3, atol=1e-4):
        return
    for words, wrong in mistakes.items():
        if close(got, wrong, rtol=1e-3, atol=1e-4):
            raise Mistake(f"{name} {words}")
    raise Mistake(side_by_side(got, want, name))
