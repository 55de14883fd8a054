"""Checks of notebook 08: total correlation, permuted latents, capacity, the covariance of the aggregate posterior."""

import math

import torch

from ...losses import log_gaussian, total_correlation
from ..checking import Answer, Case, Mistake, attempt, compare, compare_gradients, numbers, side_by_side


@attempt
def check_total_correlation(answer: Answer) -> str:
    cases = [Case(f"{batch} codes of {size} latents", _posterior(batch, size, seed))
             for batch, size, seed in ((40, 5, 0), (17, 3, 1), (12, 1, 2))]
    compare(answer, cases, total_correlation, {
        "you are (D - 1) log B nats too low, as without any weights: q(z) is a mean of B posteriors, and so is each "
        "marginal":
            lambda z, mu, logvar: _estimate(z, mu, logvar, 0, 0),
        "the marginals are sums over the batch; each is a mean of B posteriors":
            lambda z, mu, logvar: _estimate(z, mu, logvar, 1, 0),
        "the joint density is a sum over the batch; it is a mean of B posteriors":
            lambda z, mu, logvar: _estimate(z, mu, logvar, 0, 1),
        "the sign is wrong: it is the log of the joint density minus those of the marginals":
            lambda z, mu, logvar: -total_correlation(z, mu, logvar),
        "you average over the samples z under one posterior; q(z) averages over the posteriors of one z":
            lambda z, mu, logvar: _estimate(z, mu, logvar, 1, 1, over=0),
        "that is one number for each code; their mean over the batch is wanted":
            lambda z, mu, logvar: _estimate(z, mu, logvar, 1, 1, mean=False),
        "you sum over the batch; the mean over it is wanted":
            lambda z, mu, logvar: len(z) * total_correlation(z, mu, logvar),
    }, rtol=1e-3, atol=2e-4)
    compare_gradients(answer, cases[1], total_correlation, ("z", "mu", "logvar"), rtol=1e-2)
    return "a mean of posteriors in the joint, and one in every marginal"


def _posterior(batch: int, size: int, seed: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    mu = torch.randn(batch, size, generator=generator)
    logvar = -1 + 0.5 * torch.randn(batch, size, generator=generator)
    return mu + (logvar / 2).exp() * torch.randn(batch, size, generator=generator), mu, logvar


def _estimate(z, mu, logvar, joint: float, marginal: float, over: int = 1, mean: bool = True) -> torch.Tensor:
    """The estimate with log B taken ``joint`` and ``marginal`` times (1 each is right), summed over axis ``over``."""
    log_q, log_b = log_gaussian(z[:, None], mu[None], logvar[None]), math.log(len(z))
    log_qz_d = torch.logsumexp(log_q, over) - marginal * log_b
    each = torch.logsumexp(log_q.sum(2), over) - joint * log_b - log_qz_d.sum(1)
    return each.mean() if mean else each


@attempt
def check_capacity_penalty(answer: Answer) -> str:
    cases = [Case(f"KL {kl}, C = {capacity}, gamma = {gamma}", (torch.tensor(kl), capacity, gamma))
             for kl, capacity, gamma in (([3.0, 1.0, 0.0], 1.0, 10.0), ([3.0, 1.0, 0.0], 4.0, 10.0),
                                         ([0.5, 2.0], 6.0, 3.0),
                                         ([1.5, 0.25, 2.0, 4.0], 0.0, 1.5), ([0.2, 0.1, 0.4, 0.3, 1.0], 9.5, 100.0))]
    compare(answer, cases, _penalty, {
        "below C you pay out: too few nats cost as much as too many": lambda kl, c, gamma: gamma * (kl.sum() - c),
        "the sign is wrong, or the distance is none: too many nats cost as much as too few":
            lambda kl, c, gamma: gamma * (c - kl.sum()),
        "fewer nats than C cost nothing; they are to cost as much as too many":
            lambda kl, c, gamma: gamma * (kl.sum() - c).clamp(min=0),
        "more nats than C cost nothing; they are to cost as much as too few":
            lambda kl, c, gamma: gamma * (c - kl.sum()).clamp(min=0),
        "C is for the whole code, and you ask it of each latent": lambda kl, c, gamma: gamma * (kl - c).abs().sum(),
        "C is for the whole code: sum the KL over the latents": lambda kl, c, gamma: gamma * (kl.mean() - c).abs(),
        "C is for the whole code, and you compare it with each latent": lambda kl, c, gamma: gamma * (kl - c).abs(),
        "the distance is squared; it counts as it is": lambda kl, c, gamma: gamma * (kl.sum() - c) ** 2,
        "gamma is missing": lambda kl, c, gamma: (kl.sum() - c).abs(),
    })
    for case in (cases[0], cases[2]):
        compare_gradients(answer, case, _penalty, ("kl_per_latent",))
    return "gamma times the distance of the whole KL from C"


def _penalty(kl_per_latent: torch.Tensor, capacity: float, gamma: float) -> torch.Tensor:
    return gamma * (kl_per_latent.sum() - capacity).abs()


@attempt
def check_permute_latents(answer: Answer) -> str:
    for batch, size, seed in ((500, 3, 11), (300, 5, 12)):
        z = torch.randn(batch, size, generator=torch.Generator().manual_seed(seed))
        got, again = numbers(answer(z)), numbers(answer(z))
        if got.shape != z.shape:
            raise Mistake(side_by_side(got, z.double(), f"z of shape {tuple(z.shape)}"))
        if not torch.equal(got.sort(0).values, z.sort(0).values.double()):
            raise Mistake("a latent holds other values than before: each is to keep its own, every one of them once, "
                          "in another order over the batch")
        _check_order(_moved(got, z), batch)
        if torch.equal(got, again):
            raise Mistake("two calls give the same shuffle: it is to be another one every time")
    return "each latent keeps its values, and forgets the others"


def _moved(got: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """From which row each value came: (B, D)."""
    return z.double().argsort(0).gather(0, got.argsort(0).argsort(0))


def _check_order(source: torch.Tensor, batch: int) -> None:
    """``source`` (B, D) holds a shuffle of its own for every latent."""
    for d, column in enumerate(source.T):
        if (column == torch.arange(batch)).float().mean() > 0.5:
            raise Mistake(f"latent {d}, or most of it, is not shuffled; each of them is to be")
        if ((column[1:] - column[:-1]).abs() == 1).float().mean() > 0.5:
            raise Mistake(f"latent {d} is shifted or turned round, and neighbours stay neighbours: shuffle it")
        for e in range(d):
            if (column == source[:, e]).float().mean() > 0.5:
                raise Mistake(f"latents {e} and {d} get the same shuffle, and depend on each other as before")


@attempt
def check_aggregate_covariance(answer: Answer) -> str:
    cases = []
    for n, size, seed in ((300, 3, 0), (60, 2, 1), (100, 5, 2)):
        generator = torch.Generator().manual_seed(seed)
        mu = torch.randn(n, size, generator=generator) @ torch.randn(size, size, generator=generator) + 1.5
        logvar = 1.5 * torch.randn(n, size, generator=generator) - torch.rand(size, generator=generator)
        cases.append(Case(f"{n} images, {size} latents", (mu, logvar)))
    compare(answer, cases, [_covariance, lambda mu, logvar: torch.cov(mu.T) + logvar.exp().mean(0).diag()], {
        "that is the covariance of mu, DIP-VAE I's: the noise of the posteriors is missing":
            lambda mu, logvar: torch.cov(mu.T, correction=0),
        "you add standard deviations; variances add":
            lambda mu, logvar: torch.cov(mu.T, correction=0) + (logvar / 2).exp().mean(0).diag(),
        "you average logvar and then take exp; average the variances":
            lambda mu, logvar: torch.cov(mu.T, correction=0) + logvar.mean(0).exp().diag(),
        "you add logvar; variances add": lambda mu, logvar: torch.cov(mu.T, correction=0) + logvar.mean(0).diag(),
        "the noise is added off the diagonal, too; that of two latents of an image is independent":
            lambda mu, logvar: torch.cov(mu.T, correction=0) + logvar.exp().mean(0),
        "you sum the variances over the images; their mean is wanted":
            lambda mu, logvar: torch.cov(mu.T, correction=0) + logvar.exp().sum(0).diag(),
        "the means are not subtracted: a covariance is about the mean":
            lambda mu, logvar: mu.T @ mu / len(mu) + logvar.exp().mean(0).diag(),
        "that is a correlation; a covariance is wanted":
            lambda mu, logvar: torch.corrcoef(mu.T) + logvar.exp().mean(0).diag(),
        "only the noise is there; the spread of the means belongs to it":
            lambda mu, logvar: logvar.exp().mean(0).diag(),
    }, rtol=1e-3, atol=1e-3)
    return "the spread of the means, and the mean of the spreads"


def _covariance(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    return torch.cov(mu.T, correction=0) + logvar.exp().mean(0).diag()
