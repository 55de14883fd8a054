"""Every term against torch.distributions or a closed form; all in nats per image."""

import itertools
import math

import pytest
import torch
from torch import distributions as dist

from bvae_helpers import losses as L
from bvae_helpers.config import Config
from bvae_helpers.model import BetaVAE


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(5, 2, 4, 4, generator=generator, dtype=torch.float64)
    return logits, torch.rand(5, 2, 4, 4, generator=generator, dtype=torch.float64)


def nll(distribution, x):
    """-log p(x), summed over the pixels and averaged over the batch."""
    return -distribution.log_prob(x).sum((1, 2, 3)).mean()


def test_bernoulli(batch):
    logits, x = batch[0], batch[1].round()
    assert L.bernoulli(logits, x) == pytest.approx(float(nll(dist.Bernoulli(logits=logits), x)), rel=1e-12)


@pytest.mark.parametrize("sigma", (0.1, 1.0, 2.5))
def test_gaussian_and_laplace(batch, sigma):
    logits, x = batch
    recon = torch.sigmoid(logits)
    assert L.gaussian(logits, x, sigma) == pytest.approx(float(nll(dist.Normal(recon, sigma), x)), rel=1e-12)
    assert L.laplace(logits, x, sigma) == pytest.approx(float(nll(dist.Laplace(recon, sigma), x)), rel=1e-12)


def test_mse_is_the_gaussian_with_variance_one_half_less_its_constant(batch):
    logits, x = batch
    sigma = math.sqrt(0.5)
    constant = 32 * (math.log(sigma) + 0.5 * math.log(2 * math.pi))
    expected = float(nll(dist.Normal(torch.sigmoid(logits), sigma), x)) - constant
    assert L.mse(logits, x) == pytest.approx(expected, rel=1e-12)


def test_bernoulli_is_exact_where_probabilities_saturate():
    logits = torch.tensor([500.0, -500.0, 30.0]).reshape(1, 1, 1, 3).requires_grad_()
    loss = L.bernoulli(logits, torch.tensor([0.0, 0.0, 0.0]).reshape(1, 1, 1, 3))
    loss.backward()
    assert loss.item() == 530.0 and logits.grad.flatten().tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("name", L.RECONSTRUCTIONS)
def test_reconstructions_sum_over_pixels_and_average_over_the_batch(batch, name):
    logits, x = batch
    term = L.RECONSTRUCTIONS[name]
    once = float(term(logits, x, 1.0))
    assert float(term(logits.repeat(3, 1, 1, 1), x.repeat(3, 1, 1, 1), 1.0)) == pytest.approx(once)
    assert float(term(logits.repeat(1, 1, 2, 1), x.repeat(1, 1, 2, 1), 1.0)) == pytest.approx(2 * once)


def test_kl_divergence():
    generator = torch.Generator().manual_seed(0)
    mu, logvar = torch.randn(2, 6, 4, generator=generator, dtype=torch.float64)
    expected = dist.kl_divergence(dist.Normal(mu, (0.5 * logvar).exp()), dist.Normal(torch.zeros_like(mu), 1.0))
    assert torch.allclose(L.kl_divergence(mu, logvar), expected, rtol=1e-12, atol=1e-12)
    assert (L.kl_divergence(torch.zeros(1, 2), torch.zeros(1, 2)) == 0).all()


def test_log_gaussian():
    z, mu, logvar = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(L.log_gaussian(z, mu, logvar), dist.Normal(mu, (0.5 * logvar).exp()).log_prob(z))


@pytest.mark.parametrize("dataset_size", (None, 100_000))
@pytest.mark.parametrize("correlation", (0.0, 0.6, 0.9))
def test_total_correlation_of_a_gaussian(dataset_size, correlation):
    # Posteriors of variance 0.05 around means of covariance C - 0.05 make q(z) = N(0, C) with
    # C = [[1, r], [r, 1]], whose total correlation is -log(1 - r^2) / 2.
    # Tolerance: the average of log-ratios with a spread of at most 1 nat over 1500 images has a standard error of up
    # to 0.026 nats, and the estimate of q(z) from 1500 posteriors is off by some 0.02 more. Half the answer, or twice
    # the answer, misses by 0.4 at r = 0.9.
    torch.manual_seed(0)
    root = torch.linalg.cholesky(torch.tensor([[0.95, correlation], [correlation, 0.95]], dtype=torch.float64))
    mu = torch.randn(1500, 2, dtype=torch.float64) @ root.T
    z = mu + math.sqrt(0.05) * torch.randn(1500, 2, dtype=torch.float64)
    tc = float(L.total_correlation(z, mu, torch.full_like(mu, math.log(0.05)), dataset_size))
    assert tc == pytest.approx(-0.5 * math.log(1 - correlation ** 2), abs=0.08)


@pytest.mark.parametrize("dataset_size, count", [(None, 16), (1000, 1000)])
def test_total_correlation_saturates_where_posteriors_do_not_overlap(dataset_size, count):
    # each z lies under its own posterior only, which counts 1/B or 1/N: (D - 1) log B, or (D - 1) log N
    mu = torch.arange(16.0, dtype=torch.float64)[:, None].repeat(1, 3) * 100
    tc = L.total_correlation(mu, mu, torch.zeros_like(mu), dataset_size)
    assert float(tc) == pytest.approx(2 * math.log(count), rel=1e-6)


def test_dimension_wise_kl_of_a_gaussian():
    # Posteriors of variance 0.05 around means that make q(z) = N(m, diag v): the KL to N(0, 1) is known. The tolerance
    # is three standard errors over 1500 images; the wrong sign, or one latent left out, misses by more than 0.5.
    torch.manual_seed(0)
    m, v = torch.tensor([1.5, 0.0], dtype=torch.float64), torch.tensor([1.0, 4.0], dtype=torch.float64)
    mu = m + (v - 0.05).sqrt() * torch.randn(1500, 2, dtype=torch.float64)
    z = mu + math.sqrt(0.05) * torch.randn(1500, 2, dtype=torch.float64)
    got = float(L.dimension_wise_kl(z, mu, torch.full_like(mu, math.log(0.05))))
    assert got == pytest.approx(float(0.5 * (m.square() + v - 1 - v.log()).sum()), abs=0.2)


def test_weights():
    assert torch.allclose(L.log_weights(4).exp(), torch.full((4, 4), 0.25))
    weights = L.log_weights(4, dataset_size=10).exp()
    assert torch.allclose(weights.sum(1), torch.ones(4)) and torch.allclose(weights.diagonal(), torch.full((4,), 0.1))


def test_stratified_weights_make_the_estimate_of_q_unbiased():
    # over all batches of 3 that hold x_0, out of a data set of 6, the average is the mean density over the data set
    density = torch.rand(6, generator=torch.Generator().manual_seed(0))       # q(z | x_j) at one z drawn under x_0
    own_row = L.log_weights(3, dataset_size=6).exp()[0]
    estimates = [float(own_row @ density[[0, *others]]) for others in itertools.combinations(range(1, 6), 2)]
    assert sum(estimates) / len(estimates) == pytest.approx(float(density.mean()), rel=1e-6)


def test_total_correlation_of_a_batch_of_one_is_refused():
    with pytest.raises(ValueError, match="at least 2 images"):
        L.total_correlation(*torch.zeros(3, 1, 4))


def terms_and_gradient(objective, beta):
    """Terms of the objective on a fixed batch with fixed noise, and the gradient of the loss."""
    config = Config.sprites(img_size=16, hidden_dims=[4, 8], latent_dim=3, objective=objective)
    torch.manual_seed(0)
    model = BetaVAE.from_config(config)
    with torch.no_grad():
        model.encoder.fc_mu.weight *= 300        # posteriors that lie apart, so that the total correlation counts
    terms = L.objective(model, torch.rand(8, 1, 16, 16).round(), config, beta)
    terms["loss"].backward()
    return terms, torch.cat([p.grad.flatten() for p in model.parameters()])


def test_objectives_are_made_of_their_terms():
    terms = terms_and_gradient("beta_vae", 4.0)[0]
    assert terms["kl_per_latent"].shape == (3,)
    assert torch.allclose(terms["kl"], terms["kl_per_latent"].sum())
    assert torch.allclose(terms["loss"], terms["reconstruction"] + 4 * terms["kl"])
    terms = terms_and_gradient("btcvae", 4.0)[0]
    assert terms["total_correlation"].abs() > 0.1
    assert torch.allclose(terms["loss"], terms["reconstruction"] + terms["kl"] + 3 * terms["total_correlation"])


def test_beta_schedules():
    def betas(steps, **settings):
        config = Config(beta=4.0, **settings)
        return [L.beta_at(step, config) for step in steps]

    assert betas((0, 7), schedule_steps=10) == [4.0, 4.0]
    assert betas((0, 5, 10, 99), beta_schedule="warmup", schedule_steps=10) == [0.0, 2.0, 4.0, 4.0]
    cycles = betas((0, 1, 5, 9, 10, 12), beta_schedule="cyclical", schedule_steps=10)
    assert cycles == pytest.approx([0, 0.8, 4, 4, 0, 1.6])
    assert betas((0,), beta_schedule="warmup", schedule_steps=0) == [4.0]
    assert betas((0, 5, 10, 99), beta_schedule="decreasing", beta_start=40.0,
                 schedule_steps=10) == [40.0, 22.0, 4.0, 4.0]


CONVENTIONS = ("sum", "mean", "mean_mean", "norm", "gaussian")
PIXELS, LATENTS, SIGMA = 3 * 64 * 64, 128, 0.3


def loss_of(convention, beta, squared, kl):
    """The loss as each convention writes it, from the summed squared error and the summed KL."""
    return {"sum": squared + beta * kl,
            "mean": squared / PIXELS + beta * kl,
            "mean_mean": squared / PIXELS + beta * kl / LATENTS,
            "norm": squared + (beta * PIXELS / LATENTS) * kl,
            "gaussian": squared / (2 * SIGMA ** 2) + beta * kl}[convention]


@pytest.mark.parametrize("source, target", list(itertools.product(CONVENTIONS, CONVENTIONS)))
def test_a_converted_beta_has_the_same_optimum(source, target):
    kl = torch.linspace(0, 200, 4001, dtype=torch.float64)
    squared = 2000 * torch.exp(-kl / 30)                       # what a rate buys; optimum at KL = 30 log(2000/30/beta)
    beta = L.convert_beta(4.0, "sum", source, PIXELS, LATENTS, SIGMA)
    other = L.convert_beta(beta, source, target, PIXELS, LATENTS, SIGMA)
    best = loss_of(source, beta, squared, kl).argmin()
    assert 0 < best < 4000
    assert float(kl[best]) == pytest.approx(30 * math.log(2000 / 30 / 4.0), abs=0.05)         # the grid's step
    assert float(kl[loss_of(target, other, squared, kl).argmin()]) == pytest.approx(float(kl[best]), abs=0.051)
    assert L.convert_beta(other, target, source, PIXELS, LATENTS, SIGMA) == pytest.approx(beta, rel=1e-12)


def test_conversions_by_hand():
    assert L.convert_beta(4.0, "sum", "norm", 4096, 10) == pytest.approx(4 * 10 / 4096)       # Higgins et al., sec. 4.2
    assert L.convert_beta(1.0, "gaussian", "sum", 4096, 10, sigma=math.sqrt(0.5)) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="sum or mean or mean_mean"):
        L.convert_beta(1.0, "sum", "avg", 1, 1)


def test_shared_latents_are_averaged_and_the_others_kept():
    mu = torch.tensor([[0.0, 1.0, 2.0], [0.4, 1.2, -2.0]])              # one pair: its images differ in z2
    logvar = torch.tensor([[0.0, -1.0, -2.0], [0.5, -1.5, -3.0]])
    mean, log_variance = L.average_shared(mu, logvar)
    torch.testing.assert_close(mean, torch.tensor([[0.2, 1.1, 2.0], [0.2, 1.1, -2.0]]))
    variance = logvar.exp().mean(0)
    torch.testing.assert_close(log_variance.exp()[:, :2], variance[:2].expand(2, 2))
    torch.testing.assert_close(log_variance[:, 2], logvar[:, 2])


def test_each_pair_has_its_own_shared_latents():
    mu = torch.tensor([[0.0, 0.0], [1.0, 1.0], [3.0, 0.1], [1.2, -4.0]])     # rows 0 and 2, rows 1 and 3
    mean, _ = L.average_shared(mu, torch.zeros(4, 2))
    torch.testing.assert_close(mean, torch.tensor([[0.0, 0.05], [1.1, 1.0], [3.0, 0.05], [1.1, -4.0]]))


def test_the_distance_of_a_pair_is_the_kl_between_its_posteriors():
    """z0 and z1 differ by the same in mean; the KL is larger where the second posterior is the narrower one."""
    mu, logvar = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0], [-2.0, 2.0, 0.0]])
    mean, _ = L.average_shared(mu, logvar)
    assert mean[0].tolist() == [0.0, 0.5, 0.0]


def test_a_gradient_flows_through_the_average_to_both_images():
    mu, logvar = torch.randn(2, 6, 4, requires_grad=True).unbind(0)
    mean, log_variance = L.average_shared(mu, logvar)
    weights = torch.autograd.grad(mean.sum() + log_variance.sum(), [mu, logvar])
    assert all((w > 0).all() for w in weights)


def test_half_a_pair_is_refused():
    with pytest.raises(ValueError, match="even number of images, got 3"):
        L.average_shared(torch.zeros(3, 2), torch.zeros(3, 2))
