"""Scores from histograms and variances, without chance: codes (N, D) and factors (N, K) -> a number."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from .. import latents
from ._checks import as_array, check_arrays, check_codes


def active_codes(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """The means of the active latents alone: (N, D), (N, D) -> (N, A).

    Active: a mean KL above 0.1 nats (``latents.active``). If no latent is active, one constant latent is returned, so
    that every score is defined: those of codes that carry nothing.
    """
    active = latents.active(mu, logvar)
    return mu[:, active] if active.any() else torch.zeros_like(mu[:, :1])


def discretize(codes: ArrayLike, bins: int = 20) -> np.ndarray:
    """Sort each latent into equal-width bins 1..bins: (N, D) -> integers (N, D). Locatello et al. 2019, appendix."""
    codes = as_array(codes).astype(np.float64)
    edges = [np.histogram(column, bins)[1][:-1] for column in codes.T]
    return np.stack([np.digitize(column, edge) for column, edge in zip(codes.T, edges)], axis=1)


def entropy(counts: np.ndarray) -> float:
    """Entropy of a table of counts, in nats."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def factor_entropies(factors: ArrayLike) -> np.ndarray:
    """H(v_k) of every factor, in nats: (N, K) -> (K,)."""
    return np.array([entropy(np.unique(v, return_counts=True)[1]) for v in as_array(factors).T])


def mutual_information(codes: ArrayLike, factors: ArrayLike, bins: int = 20) -> np.ndarray:
    """I(z_d; v_k) = H(z_d) + H(v_k) - H(z_d, v_k) of binned latents and factors, in nats: (N, D), (N, K) -> (D, K)."""
    codes, factors = check_arrays(codes, factors, bins=bins)
    binned = discretize(codes, bins)
    table = np.empty((binned.shape[1], factors.shape[1]))
    for k, v in enumerate(factors.T):
        classes, v = np.unique(v, return_inverse=True)
        for d, z in enumerate(binned.T):
            joint = np.bincount(z * len(classes) + v, minlength=(bins + 1) * len(classes)).reshape(bins + 1, -1)
            table[d, k] = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)
    return table


def mig(codes: ArrayLike, factors: ArrayLike, bins: int = 20) -> float:
    """Mutual information gap, 0 to 1. Chen et al. 2018, eq. 6; binned as in disentanglement_lib.

    The mean over factors of (I(z_1st; v) - I(z_2nd; v)) / H(v): rewards codes in which each factor
    is in one latent only. Two latents that share a factor, say rotated positions, score 0 for it.
    Where 20 bins are too coarse, it is too low: a perfect copy of a factor of 40 values stays below 1.
    Of a single latent, the second best counts 0. Bins do not depend on scale, so the tiny means of a collapsed latent
    may be second best: score ``active_codes`` too.
    """
    codes, factors = check_arrays(codes, factors, bins=bins)
    information = mutual_information(codes, factors, bins)
    nothing = np.zeros((1, factors.shape[1]))
    second, first = np.sort(np.vstack([nothing, information]), axis=0)[-2:]
    return float(np.mean((first - second) / factor_entropies(factors)))


def modularity(codes: ArrayLike, factors: ArrayLike, bins: int = 20) -> float:
    """Modularity, 0 to 1. Ridgeway & Mozer 2018, eq. 2: is each latent informative about one factor only?

    The mean over latents of 1 - (sum of I^2 over the other factors) / ((K - 1) I_max^2); 0 for a constant latent.
    It does not ask whether a factor is missing, or spread over several latents: duplicated codes keep their score.
    Collapsed latents that are not exactly constant count like all others, with the bias of the histogram as their
    information: score ``active_codes`` too.
    """
    squared = mutual_information(codes, factors, bins) ** 2
    most = squared.max(1)
    informative = most > 1e-20          # rounding leaves less than this of 0
    others = (squared.sum(1) - most) / np.where(informative, most, 1) / max(1, squared.shape[1] - 1)
    return float(np.mean(np.where(informative, 1 - others, 0)))


def irs(codes: ArrayLike, factors: ArrayLike, quantile: float = 0.99, bins: int = 20) -> float:
    """Interventional robustness score, 0 to 1. Suter et al. 2019, section 4: what does not move a latent?

    For each factor, samples are grouped by its value (in 20 bins, as the reference does). A latent is robust if it
    hardly varies within the groups, whatever else changes: 1 - (99th percentile of its deviation within a group, mean
    over groups) / (its largest deviation overall). Best factor for each latent, mean over latents weighted by their
    largest deviation; 0 if all are constant. Rewards latents that one factor alone moves; duplicates change nothing.
    Outliers spoil it: one large deviation in the denominator makes everything else look robust. Collapsed latents weigh
    little, since their deviations are small.
    """
    codes, factors = check_arrays(codes, factors)
    codes = codes[:, codes.var(0) > 0]
    if codes.shape[1] == 0:
        return 0.0
    largest = np.abs(codes - codes.mean(0)).max(0)
    deviations = np.zeros((codes.shape[1], factors.shape[1]))
    for k, v in enumerate(discretize(factors, bins).T):
        groups = [codes[v == value] for value in np.unique(v)]
        far = [np.percentile(np.abs(g - g.mean(0)), 100 * quantile, axis=0) for g in groups]
        deviations[:, k] = np.mean(far, axis=0)
    return float(np.average((1 - deviations / largest[:, None]).max(1), weights=largest))


def gaussian_total_correlation(codes: ArrayLike) -> float:
    """Total correlation of a Gaussian with the codes' covariance, in nats, 0 and up; lower is better.

    Locatello et al. 2019, section 5.2: 0.5 (sum of log variances - log determinant). Needs no factors. It sees
    linear dependence only; infinite if a latent is a linear function of the others. Constant latents are left out.
    It does not depend on scale, so the tiny means of collapsed latents count as much as the others: score
    ``active_codes`` too.
    """
    codes = check_codes(codes)
    codes = codes[:, codes.var(0) > 0]
    if codes.shape[1] < 2:
        return 0.0
    sign, log_determinant = np.linalg.slogdet(np.corrcoef(codes.T))
    if sign <= 0 or log_determinant < -30:          # rounding leaves more than this of a determinant of 0
        return float("inf")
    return float(max(0.0, -0.5 * log_determinant))


def active_units(codes: ArrayLike, threshold: float = 0.01) -> int:
    """Number of latents whose mean varies over the images: variance above ``threshold``. Burda et al. 2016, sec. 5."""
    return int((check_codes(codes).var(0) > threshold).sum())
