"""Checks of the exercises in notebook 02, model."""

import torch
import torch.nn.functional as F
from torch import nn

from ...losses import kl_divergence
from ..notebook import attempt


@attempt
def check_output_size(fn):
    got = fn(10, 3, 1, 0)
    assert got == 8, f"without padding, a kernel of 3 has 8 places on 10, the first one included; yours says {got}"
    got = fn(10, 3, 1, 2)
    assert got == 12, f"padding comes on both sides: 10 with padding 2 is 14 wide, and 12 is wanted; yours says {got}"
    got = fn(64, 3, 2, 1)
    assert got == 32, f"a step that does not fit whole is not made: 32 is wanted, yours says {got}"
    for n, kernel, stride, padding in [(7, 7, 3, 0), (9, 2, 3, 1), (31, 5, 4, 2)]:
        truth = nn.Conv2d(1, 1, kernel, stride, padding)(torch.zeros(1, 1, n, n)).shape[-1]
        got = fn(n, kernel, stride, padding)
        assert got == truth, f"side {n}, kernel {kernel}, stride {stride}, padding {padding}: it is {truth}, not {got}"
    return "correct: the same as PyTorch's own convolutions"


@attempt
def check_sample(fn):
    torch.manual_seed(0)
    mu = torch.tensor([[0.0, 3.0]]).repeat(50_000, 1).requires_grad_()
    logvar = torch.tensor([[-2.0, 1.0]]).repeat(50_000, 1).requires_grad_()
    z = fn(mu, logvar)
    assert z.shape == mu.shape, (
        f"your samples have shape {tuple(z.shape)}; one for each mu, {tuple(mu.shape)}, is wanted")
    assert z.requires_grad, (
        "no gradient flows back to mu and logvar: you drew from the distribution instead of shifting a draw")
    var, want = z.detach().var(0), logvar.detach()[0].exp()
    assert not torch.allclose(var, logvar.detach()[0] ** 2, rtol=0.1), \
        "you used logvar as the standard deviation; sigma is exp(logvar / 2)"
    assert not torch.allclose(var, want ** 2, rtol=0.1), "exp(logvar) is the variance, not the standard deviation"
    assert (var > 0).all() and z.detach()[:, 0].unique().numel() > 1000, (
        "your samples hardly vary: one epsilon each is needed")
    assert torch.allclose(var, want, rtol=0.05), f"variances {var.tolist()}; exp(logvar) = {want.tolist()} is wanted"
    mean = z.detach().mean(0)
    assert torch.allclose(mean, torch.tensor([0.0, 3.0]), atol=0.05), f"means {mean.tolist()}; mu = [0, 3] is wanted"
    apart = torch.corrcoef(((z - mu).detach()).T)[0, 1].abs()
    assert apart < 0.05, "all latents of an image got the same epsilon; each needs its own"
    return "correct: the right mean, the right variance, and the gradient flows"


@attempt
def check_kl(fn):
    generator = torch.Generator().manual_seed(0)
    mu, logvar = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    got, per_latent = torch.as_tensor(fn(mu, logvar)), kl_divergence(mu, logvar)
    assert got.numel() != 1 or not torch.isclose(got, per_latent.mean()), \
        "you averaged over images and latents; the ELBO sums over latents, and one number per image is wanted"
    assert tuple(got.shape) == (4,), f"your KL has shape {tuple(got.shape)}; one number per image, (4,), is wanted"
    truth = per_latent.sum(1)
    assert not torch.allclose(got, per_latent.mean(1)), "you averaged over latents; the ELBO sums"
    assert not torch.allclose(got, -truth), "the sign is wrong: a KL is never negative"
    assert not torch.allclose(got, 2 * truth), "twice too large: where is the factor 1/2?"
    free = fn(torch.zeros(1, 3), torch.zeros(1, 3))
    assert torch.allclose(free, torch.zeros(1), atol=1e-6), (
        f"mu = 0 and logvar = 0 is the prior itself: its KL is 0, not {free.item():.2f}")
    assert torch.allclose(got, truth, atol=1e-5), (
        "some term is wrong: 1/2 (mu² + exp(logvar) - 1 - logvar), summed over latents")
    return "correct: summed over latents, one number per image"


@attempt
def check_loss(fn):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 1, 8, 8, generator=generator)
    x = (torch.rand(4, 1, 8, 8, generator=generator) > 0.5).float()
    mu, logvar = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    none = torch.zeros(4, 3)
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / 4
    kl = kl_divergence(mu, logvar).sum(1).mean()
    total = fn(logits, x, mu, logvar, 2.0)
    assert total.ndim == 0, f"your loss has shape {tuple(total.shape)}; a scalar is wanted"
    rec = fn(logits, x, none, none, 1.0)                 # mu = 0 and logvar = 0: no KL
    assert not torch.isclose(rec, bce / 64), (
        "the reconstruction is averaged over pixels; sum over pixels, average over images")
    assert not torch.isclose(rec, 4 * bce), (
        "the reconstruction is summed over the batch: the loss then grows with batch_size")
    assert torch.isclose(rec, bce), f"the reconstruction is {rec:.3f}, and {bce:.3f} nats per image is wanted"
    cost = fn(logits, x, mu, logvar, 1.0) - rec
    assert not torch.isclose(cost, 4 * kl, rtol=1e-3), (
        "the KL is summed over the batch, the reconstruction is not: beta is B times larger")
    assert not torch.isclose(cost, kl / 3, rtol=1e-3), "the KL is averaged over latents; the ELBO sums"
    assert torch.isclose(cost, kl, rtol=1e-3), f"the KL is {cost:.3f}, and {kl:.3f} nats per image is wanted"
    assert torch.isclose(total, bce + 2 * kl, rtol=1e-4), "beta weights the KL, and nothing else"
    sure = fn(torch.full((1, 1, 1, 1), 50.0), torch.zeros(1, 1, 1, 1), none[:1], none[:1], 1.0)
    assert torch.isclose(sure, torch.tensor(50.0)), \
        f"a black pixel with logit 50 costs 50 nats; yours says {sure:.1f}: from logits, not from clipped probabilities"
    return "correct: nats per image, both terms"
