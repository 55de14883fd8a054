"""Reconstruction terms, the KL, and the objectives, all in nats per image.

Every term is summed over pixels or over latents and averaged over the batch, so that
``loss = reconstruction + beta * kl`` means the same for every image size and batch size.
Shapes: B images in a batch, C x S x S pixels, D latents.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from .model import BetaVAE, Pass

__all__ = ["OBJECTIVES", "RECONSTRUCTIONS", "Discriminator", "annealed", "average_shared", "bernoulli", "beta_at",
           "beta_vae", "btcvae", "btcvae_gamma", "btcvae_stratified", "capacity_at", "convert_beta", "covariance",
           "dimension_wise_kl", "dipvae1", "dipvae2", "factorvae", "gaussian", "kl_divergence", "label_error",
           "laplace", "log_gaussian", "log_weights", "moment_penalties", "mse", "objective", "permute_latents",
           "terms_of", "total_correlation"]

Terms = dict[str, Tensor]       # the terms of a loss by name, in nats per image

LOG_2PI = math.log(2 * math.pi)


# Reconstruction: -log p(x | z), in nats per image. logits and x (B, C, S, S) -> a scalar. All take ``sigma``, so that
# one call serves every likelihood; it has no meaning for ``bernoulli`` and ``mse``.

def bernoulli(logits: Tensor, x: Tensor, sigma: float | None = None) -> Tensor:
    """-sum log Bernoulli(x; sigmoid(logits)) over the pixels, for black-and-white images.

    Computed from logits, never from clipped probabilities: exact however sure the decoder is.
    """
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)


def mse(logits: Tensor, x: Tensor, sigma: float | None = None) -> Tensor:
    """sum (recon - x)^2 over the pixels, the classic: a Gaussian with sigma^2 = 1/2, without its constant."""
    return F.mse_loss(torch.sigmoid(logits), x, reduction="sum") / len(x)


def gaussian(logits: Tensor, x: Tensor, sigma: float = 1.0) -> Tensor:
    """-sum log N(x; recon, sigma^2) over the pixels."""
    squared = F.mse_loss(torch.sigmoid(logits), x, reduction="sum") / len(x)
    return squared / (2 * sigma ** 2) + x[0].numel() * (math.log(sigma) + 0.5 * LOG_2PI)


def laplace(logits: Tensor, x: Tensor, sigma: float = 1.0) -> Tensor:
    """-sum log Laplace(x; recon, sigma) over the pixels."""
    absolute = F.l1_loss(torch.sigmoid(logits), x, reduction="sum") / len(x)
    return absolute / sigma + x[0].numel() * math.log(2 * sigma)


RECONSTRUCTIONS = {"mse": mse, "bernoulli": bernoulli, "gaussian": gaussian, "laplace": laplace}


# The KL and its parts

def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL( N(mu, exp(logvar)) || N(0, 1) ) of every latent, in nats: (B, D), (B, D) -> (B, D).

    Kingma & Welling 2014, appendix B. Sum over D and average over B for the KL of the ELBO.
    """
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def log_gaussian(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; mu, exp(logvar)), elementwise, in nats."""
    return -0.5 * ((z - mu).square() / logvar.exp() + logvar + LOG_2PI)


def log_weights(batch_size: int, dataset_size: int | None = None, device: torch.device | None = None) -> Tensor:
    """The log-weights (B, B) with which q(z) is estimated from the B posteriors of a batch.

    ``dataset_size=None``: minibatch weighting, every posterior counts 1/B. Chen et al. 2018 (eq. 3)
    write 1/(N B) for a data set of N: the gradient is the same, but the total correlation is off
    by (D - 1) log N. With ``dataset_size=N``: stratified, the posterior that z was drawn from
    counts 1/N and the others share the rest, which makes the estimate of q(z) unbiased.
    """
    if dataset_size is None:
        return torch.full((batch_size, batch_size), -math.log(batch_size), device=device)
    own = 1 / dataset_size
    others = torch.full((batch_size, batch_size), math.log((1 - own) / (batch_size - 1)), device=device)
    return others.fill_diagonal_(math.log(own))


def total_correlation(z: Tensor, mu: Tensor, logvar: Tensor, dataset_size: int | None = None) -> Tensor:
    """KL( q(z) || prod_d q(z_d) ), in nats: zero if and only if the latents are independent.

    z, mu, logvar (B, D), z drawn from q(z | x) -> a scalar. Chen et al. 2018, "Isolating Sources of
    Disentanglement in VAEs", eq. 2. Raises ValueError for a batch of one image.
    """
    if len(z) < 2:
        raise ValueError("the total correlation needs at least 2 images in a batch, got 1; raise batch_size")
    log_q = log_gaussian(z[:, None], mu[None], logvar[None])             # (B, B, D): z_i under x_j
    weights = log_weights(len(z), dataset_size, z.device)
    log_qz = torch.logsumexp(weights + log_q.sum(2), dim=1)              # (B,)
    log_qz_d = torch.logsumexp(weights[:, :, None] + log_q, dim=1)       # (B, D)
    return (log_qz - log_qz_d.sum(1)).mean()


def dimension_wise_kl(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """sum_d KL( q(z_d) || N(0, 1) ), in nats: how far the distribution of each single latent is from the prior.

    z, mu, logvar (B, D), z drawn from q(z | x) -> a scalar. Chen et al. 2018, eq. 2; minibatch-weighted.
    """
    log_q = log_gaussian(z[:, None], mu[None], logvar[None])             # (B, B, D): z_i under x_j
    log_qz_d = torch.logsumexp(log_weights(len(z), device=z.device)[:, :, None] + log_q, dim=1)
    prior = torch.zeros_like(z)
    return (log_qz_d - log_gaussian(z, prior, prior)).sum(1).mean()


def covariance(codes: Tensor) -> Tensor:
    """The covariance of a batch of codes: (B, D) -> (D, D)."""
    centred = codes - codes.mean(0)
    return (centred[:, :, None] * centred[:, None]).mean(0)              # no matmul: autocast leaves it in float32


def moment_penalties(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """How far a covariance (D, D) is from the identity: the sums of squares off the diagonal, and on it."""
    squared = (covariance - torch.eye(len(covariance), device=covariance.device)).square()
    on = squared.diagonal().sum()
    return squared.sum() - on, on


def average_shared(mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """Average the posteriors of the latents that the two images of a pair seem to share: (2P, D), (2P, D) -> the same.

    Rows i and i + P are a pair. A latent counts as shared where the KL between its two posteriors is below the middle
    between the smallest and the largest of the pair's D; mean and variance are then averaged. The number of shared
    latents is found for each pair, so that no label is needed. Ada-GVAE: Locatello et al. 2020, "Weakly-Supervised
    Disentanglement Without Compromises", section 4. Raises ValueError for an odd number of images.
    """
    if len(mu) % 2:
        raise ValueError(f"a batch of pairs holds an even number of images, got {len(mu)}; pass cat([first, second])")
    (mu1, mu2), (logvar1, logvar2) = mu.chunk(2), logvar.chunk(2)                   # (P, D) each
    var1, var2 = logvar1.exp(), logvar2.exp()
    kl = 0.5 * (var1 / var2 + (mu1 - mu2).square() / var2 - 1 - logvar1 + logvar2)  # (P, D): KL( q1 || q2 )
    middle = 0.5 * (kl.amin(1, keepdim=True) + kl.amax(1, keepdim=True))            # (P, 1)
    shared = (kl < middle).repeat(2, 1)                                             # (2P, D)
    mean, variance = ((mu1 + mu2) / 2).repeat(2, 1), ((var1 + var2) / 2).repeat(2, 1)
    return torch.where(shared, mean, mu), torch.where(shared, variance.log(), logvar)


def label_error(mu: Tensor, codes: Tensor) -> Tensor:
    """The squared distance of the first K latents' means from the codes of K labels: (B, D), (B, K) -> a scalar.

    Summed over labels, averaged over images; without unit. Added to the loss for the images whose factors are known:
    Locatello et al. 2020, "Disentangling Factors of Variation Using Few Labels", section 3, there with other distances.
    Raises ValueError for fewer latents than labels.
    """
    if codes.shape[1] > mu.shape[1]:
        raise ValueError(f"each of the {codes.shape[1]} labels needs a latent of its own, got {mu.shape[1]} latents")
    return (mu[:, :codes.shape[1]] - codes).square().sum(1).mean()


# Objectives: a Pass, its reconstruction term and its KL -> (loss, further terms to record)

def beta_vae(out: Pass, reconstruction: Tensor, kl: Tensor, beta: float) -> tuple[Tensor, Terms]:
    """loss = reconstruction + beta KL. Higgins et al. 2017, eq. 4; beta = 1 is the ELBO, negated."""
    return reconstruction + beta * kl, {}


def btcvae(out: Pass, reconstruction: Tensor, kl: Tensor, beta: float) -> tuple[Tensor, Terms]:
    """loss = reconstruction + KL + (beta - 1) TC: only the total correlation is weighted.

    Chen et al. 2018, eq. 4 with alpha = gamma = 1; minibatch-weighted. beta = 1 is the ELBO, negated.
    """
    tc = total_correlation(out.z, out.mu, out.logvar)
    return reconstruction + kl + (beta - 1) * tc, {"total_correlation": tc}


def btcvae_gamma(out: Pass, reconstruction: Tensor, kl: Tensor, beta: float, gamma: float) -> tuple[Tensor, Terms]:
    """loss = that of ``btcvae`` + (gamma - 1) sum_d KL( q(z_d) || p(z_d) ): the dimension-wise KL is weighted, too.

    Chen et al. 2018, eq. 4 with alpha = 1; minibatch-weighted. beta = gamma = 1 is the ELBO, negated. With ``gamma``
    below 1 the distribution of a latent's codes may differ more from the prior, and so do samples from codes.
    """
    loss, terms = btcvae(out, reconstruction, kl, beta)
    dimension_wise = dimension_wise_kl(out.z, out.mu, out.logvar)
    return loss + (gamma - 1) * dimension_wise, {**terms, "dimension_wise_kl": dimension_wise}


def annealed(out: Pass, reconstruction: Tensor, kl: Tensor, beta: float, capacity: Tensor) -> tuple[Tensor, Terms]:
    """loss = reconstruction + gamma |KL - C|, gamma being ``beta``: the KL is pulled to C nats, from both sides.

    Burgess et al. 2018, "Understanding disentangling in beta-VAE", eq. 8. ``capacity`` is C, a scalar that rises with
    the steps: ``capacity_at``. C = 0 is the beta-VAE.
    """
    return reconstruction + beta * (kl - capacity).abs(), {"capacity": capacity}


def btcvae_stratified(out: Pass, reconstruction: Tensor, kl: Tensor, beta: float,
                      dataset_size: int) -> tuple[Tensor, Terms]:
    """The loss of ``btcvae``, with the stratified estimate of the total correlation.

    Chen et al. 2018, appendix C.2; ``dataset_size`` is the number of training images. beta = 1 is the ELBO, negated.
    """
    tc = total_correlation(out.z, out.mu, out.logvar, dataset_size)
    return reconstruction + kl + (beta - 1) * tc, {"total_correlation": tc}


def factorvae(out: Pass, reconstruction: Tensor, kl: Tensor, beta: float,
              discriminator: "Discriminator") -> tuple[Tensor, Terms]:
    """loss = reconstruction + KL + gamma TC, gamma being ``beta``, and the TC estimated by the discriminator.

    Kim & Mnih 2018, "Disentangling by Factorising", eq. 2; gamma = 0 is the ELBO, negated. The discriminator has a
    loss of its own, ``discriminator_loss``: a training step minimises both, each by its own network's weights.
    """
    tc = discriminator.total_correlation(out.z)
    terms = {"total_correlation": tc, "discriminator_loss": discriminator.loss(out.z)}
    return reconstruction + kl + beta * tc, terms


def dipvae1(out: Pass, reconstruction: Tensor, kl: Tensor, beta: float, diagonal: float = 10.0) -> tuple[Tensor, Terms]:
    """loss = reconstruction + KL + lambda (sum_i!=j C_ij^2 + 10 sum_i (C_ii - 1)^2), C = Cov[mu], lambda being
    ``beta``.

    DIP-VAE-I: Kumar et al. 2018, "Variational Inference of Disentangled Latent Concepts from Unlabeled Observations",
    eq. 6, with lambda_od = lambda and lambda_d = 10 lambda. lambda = 0 is the ELBO, negated.
    """
    off, on = moment_penalties(covariance(out.mu))
    return reconstruction + kl + beta * (off + diagonal * on), {"off_diagonal": off, "diagonal": on}


def dipvae2(out: Pass, reconstruction: Tensor, kl: Tensor, beta: float, diagonal: float = 1.0) -> tuple[Tensor, Terms]:
    """loss = reconstruction + KL + lambda (sum_i!=j C_ij^2 + sum_i (C_ii - 1)^2), C = Cov[z], lambda being ``beta``.

    DIP-VAE-II: Kumar et al. 2018, eq. 7, with lambda_od = lambda_d = lambda; Cov[z] = Cov[mu] + E[diag sigma^2].
    lambda = 0 is the ELBO, negated.
    """
    off, on = moment_penalties(covariance(out.mu) + out.logvar.exp().mean(0).diag())
    return reconstruction + kl + beta * (off + diagonal * on), {"off_diagonal": off, "diagonal": on}


OBJECTIVES = {f.__name__: f for f in (beta_vae, annealed, btcvae, btcvae_stratified, btcvae_gamma, factorvae, dipvae1,
                                      dipvae2)}


def objective(model: BetaVAE, x: Tensor, config, beta: float, **state) -> Terms:
    """All terms of the config's objective for a batch x (B, C, S, S), by name, in nats per image.

    ``loss``, ``reconstruction`` and ``kl`` are scalars, ``kl_per_latent`` is (D,); some objectives add terms.
    ``state``: further arguments of the objective, such as the capacity; ``training.objective.Objective`` keeps them.
    """
    out = model.run(x)
    reconstruction = RECONSTRUCTIONS[config.reconstruction](out.logits, x, config.sigma)
    return terms_of(out, reconstruction, config, beta, **state)


def terms_of(out: Pass, reconstruction: Tensor, config, beta: float, **state) -> Terms:
    """The terms that ``objective`` returns, from a Pass and its reconstruction term."""
    kl_per_latent = kl_divergence(out.mu, out.logvar).mean(0)
    kl = kl_per_latent.sum()
    loss, more = OBJECTIVES[config.objective](out, reconstruction, kl, beta, **state)
    return {"loss": loss, "reconstruction": reconstruction, "kl": kl, "kl_per_latent": kl_per_latent, **more}


def beta_at(step: int, config) -> float:
    """The weight beta at a step (from 0), by ``config.beta_schedule``.

    ``constant``; ``warmup``: a straight line from 0; ``decreasing``: a straight line from ``beta_start``;
    ``cyclical``: each cycle rises from 0 in its first half and stays at beta in its second. Fu et al. 2019,
    "Cyclical Annealing Schedule".
    """
    if config.beta_schedule == "constant" or config.schedule_steps == 0:
        return config.beta
    if config.beta_schedule == "warmup":
        return config.beta * min(1.0, step / config.schedule_steps)
    if config.beta_schedule == "decreasing":
        return config.beta + (config.beta_start - config.beta) * max(0.0, 1 - step / config.schedule_steps)
    return config.beta * min(1.0, 2 * (step % config.schedule_steps) / config.schedule_steps)


def capacity_at(step: int, config) -> float:
    """The capacity C at a step (from 0), in nats: a straight line from 0 to ``capacity_max``, then flat.

    Burgess et al. 2018, sec. 5: 25 nats over 100,000 steps on dSprites.
    """
    return config.capacity_max * min(1.0, step / config.capacity_steps)


# Other conventions of the loss

def convert_beta(beta: float, source: str, target: str, pixels: int, latents: int, sigma: float = 1.0) -> float:
    """The weight that gives the same optimum under another convention of the loss.

    ``pixels`` = C x S x S, ``latents`` = D. Conventions, the first four for any reconstruction term:
    ``sum``: reconstruction term summed over pixels + beta KL, as in this course;
    ``mean``: reconstruction term averaged over pixels + beta KL (KL summed over latents);
    ``mean_mean``: reconstruction term averaged over pixels + beta KL averaged over latents;
    ``norm``: Higgins et al. 2017, sec. 4.2, beta_norm = beta D / pixels; the same number as ``mean_mean``;
    ``gaussian``: -log N(x; recon, sigma^2) + beta KL, where the term of the others is the squared error.
    Raises ValueError for an unknown convention.
    """
    per_sum = {"sum": 1.0, "mean": 1 / pixels, "mean_mean": latents / pixels, "norm": latents / pixels,
               "gaussian": 1 / (2 * sigma ** 2)}
    for name in (source, target):
        if name not in per_sum:
            raise ValueError(f"the convention must be {' or '.join(per_sum)}, got {name!r}")
    return beta * per_sum[target] / per_sum[source]


# The discriminator of FactorVAE: Kim & Mnih 2018, "Disentangling by Factorising"

def permute_latents(z: Tensor) -> Tensor:
    """Shuffle each latent over the batch, independently: (B, D) -> (B, D), draws from prod_d q(z_d).

    Kim & Mnih 2018, algorithm 1.
    """
    return z.gather(0, torch.rand_like(z).argsort(0))


class Discriminator(nn.Module):
    """The log-odds that z was drawn from q(z), not from prod_d q(z_d): (B, D) -> (B,).

    Six hidden layers of LeakyReLU, 1,000 units each in the paper (appendix A). The paper's network ends in two logits;
    the single output here is their difference. The optimal log-odds are log( q(z) / prod_d q(z_d) ).
    """

    def __init__(self, latent_dim: int, width: int = 1000, layers: int = 6):
        super().__init__()
        widths = [latent_dim] + [width] * layers
        hidden = [nn.Sequential(nn.Linear(a, b), nn.LeakyReLU(0.2)) for a, b in zip(widths, widths[1:])]
        self.net = nn.Sequential(*hidden, nn.Linear(width, 1))

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)[:, 0].float()

    def total_correlation(self, z: Tensor) -> Tensor:
        """TC = E_q(z)[log q(z) / prod_d q(z_d)], the mean of the log-odds, in nats: (B, D) -> a scalar.

        The gradient reaches z alone: this term does not train the discriminator. Kim & Mnih 2018, eq. 3.
        """
        frozen = {name: value.detach() for name, value in self.named_parameters()}
        return functional_call(self, frozen, z).mean()

    def loss(self, z: Tensor) -> Tensor:
        """The cross-entropy of telling z from permuted z, in nats: (B, D) -> a scalar; guessing gives log 2.

        The mean of -log D(z) and -log(1 - D(z')), with z' = ``permute_latents(z)``. The gradient reaches the
        discriminator alone. Kim & Mnih 2018, algorithm 2, which takes z' from a second batch.
        """
        z = z.detach()
        joint, independent = self(z), self(permute_latents(z))
        return 0.5 * (F.softplus(-joint).mean() + F.softplus(independent).mean())
