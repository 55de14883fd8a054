"""Checks of notebook 07: total correlation, permuted latents, capacity, the covariance of the aggregate posterior."""

import math

import torch

from ...losses import total_correlation
from ..notebook import attempt


@attempt
def check_total_correlation(fn):
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(40, 5, generator=generator)
    logvar = -1 + 0.3 * torch.randn(40, 5, generator=generator)
    z = mu + (logvar / 2).exp() * torch.randn(40, 5, generator=generator)
    got = torch.as_tensor(fn(z, mu, logvar))
    assert got.shape == (), f"your answer has shape {tuple(got.shape)}; one number is wanted, the mean over the batch"
    got, want, step = float(got), float(total_correlation(z, mu, logvar)), math.log(40)
    assert abs(got - (want - 4 * step)) > 1e-3, \
        f"you get {got:.1f}: (D - 1) log B nats too low. Both densities are means over the batch, not sums: weight them 1/B"
    assert abs(got - (want - 5 * step)) > 1e-3, f"you get {got:.1f}: the marginals lack their weight, 1/B in each latent"
    assert abs(got - (want + step)) > 1e-3, f"you get {got:.1f}: the joint density lacks its weight, 1/B"
    assert abs(got + want) > 1e-3, f"you get {got:.2f}, the negative: it is the log of the joint minus the marginals'"
    assert abs(got - swapped(z, mu, logvar)) > 1e-3, "you averaged over the samples z; q(z) averages over the posteriors"
    assert abs(got - want) < 1e-3, f"you get {got:.3f}; {want:.3f} is right"
    own = float(fn(z[:, :1], mu[:, :1], logvar[:, :1]))
    assert abs(own) < 1e-4, f"a single latent has no total correlation, you get {own:.3f}"
    return "correct: a mean of posteriors in the joint, and one in every marginal"


def swapped(z, mu, logvar):
    """The estimate with its two images mixed up: averaged over the samples under one posterior."""
    log_q = -0.5 * ((z[None] - mu[:, None]).square() / logvar[:, None].exp() + logvar[:, None] + math.log(2 * math.pi))
    count = math.log(len(z))
    joint = torch.logsumexp(log_q.sum(2), 1) - count
    return float((joint - (torch.logsumexp(log_q, 1) - count).sum(1)).mean())


@attempt
def check_permute_latents(fn):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(500, 1, generator=generator)
    z = torch.cat([a, a, -a], dim=1)                          # three latents that tell the same
    kept = z.clone()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        got, again = fn(z), fn(z)
    assert got.shape == (500, 3), f"your answer has shape {tuple(got.shape)}; (B, D) = (500, 3) is wanted"
    assert torch.equal(z, kept), "the caller's z came back changed; write into a copy"
    assert torch.equal(got.sort(0).values, z.sort(0).values), \
        "a latent has other values than before: shuffle within each latent, over the batch, and draw nothing twice"
    correlation = float(torch.corrcoef(got.T)[0, 1])
    assert abs(correlation) < 0.3, f"latents 0 and 1 still correlate at {correlation:.2f}: every latent needs its own shuffle"
    assert not torch.equal(got[:, 0], z[:, 0]), "latent 0 was not shuffled"
    assert not torch.equal(got, again), "a second call gives the same shuffle; draw it anew each time"
    return "correct: each latent keeps its values, and forgets the others"


@attempt
def check_capacity_penalty(fn):
    kl, gamma = torch.tensor([3.0, 1.0, 0.0]), 10.0           # 4 nats in all
    low, met, high = (torch.as_tensor(fn(kl, c, gamma)) for c in (1.0, 4.0, 6.0))
    assert low.shape == (), f"your penalty has shape {tuple(low.shape)}; one number is wanted"
    low, met, high = float(low), float(met), float(high)
    assert high >= 0, f"4 nats with 6 allowed cost {high:g}: below the capacity you pay out. Take the distance, |KL - C|"
    assert high > 0, "4 nats with 6 allowed cost nothing: the objective asks for C nats, it does not only allow them"
    assert met == 0, f"4 nats with a capacity of 4 cost {met:g}: C is for the sum over the latents, not for each"
    assert (low, high) == (30.0, 20.0), f"4 nats cost {low:g} at C = 1 and {high:g} at C = 6; 30 and 20 are right"
    return "correct: gamma times the distance of the whole KL from C"


@attempt
def check_aggregate_covariance(fn):
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(300, 3, generator=generator) @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 0.1]])
    logvar = torch.tensor([-3.0, -1.0, 0.0]) + 1.5 * torch.randn(300, 3, generator=generator)
    got, centred = fn(mu, logvar), mu - mu.mean(0)
    assert got.shape == (3, 3), f"your covariance has shape {tuple(got.shape)}; (D, D) = (3, 3) is wanted"
    cov = centred.T @ centred / len(mu)
    for added, words in ((torch.zeros(3), "that is Cov[mu], DIP-VAE I: the noise of the posteriors is missing"),
                         ((logvar / 2).exp().mean(0), "you added standard deviations; variances add"),
                         (logvar.mean(0).exp(), "you averaged logvar and took exp; average the variances")):
        assert not torch.allclose(got, cov + added.diag(), atol=1e-4), words
    want = cov + logvar.exp().mean(0).diag()
    assert torch.allclose(got - got.diag().diag(), want - want.diag().diag(), atol=3e-3), \
        "off the diagonal only mu counts: the noise of two latents is independent"
    assert torch.allclose(got, want, atol=1e-2), "the diagonal is wrong; the variance of z is that of mu plus the mean of sigma^2"
    return "correct: the spread of the means, and the mean of the spreads"
