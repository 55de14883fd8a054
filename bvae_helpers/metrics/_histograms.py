"""Scores read off histograms and variances, the same at every call: codes (N, D) and factors (N, K) -> a number."""

import numpy as np

from ._checks import check_arrays, check_codes


def discretize(codes, bins=20):
    """Each latent in equal-width bins 1..bins: (N, D) -> integers (N, D). Locatello et al. 2019, appendix."""
    codes = np.asarray(codes, dtype=np.float64)
    edges = [np.histogram(column, bins)[1][:-1] for column in codes.T]
    return np.stack([np.digitize(column, edge) for column, edge in zip(codes.T, edges)], axis=1)


def entropy(counts):
    """Entropy of a table of counts, in nats."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def factor_entropies(factors):
    """H(v_k) of every factor, in nats: (N, K) -> (K,)."""
    return np.array([entropy(np.unique(v, return_counts=True)[1]) for v in factors.T])


def mutual_information(codes, factors, bins=20):
    """I(z_d; v_k) of every binned latent and every factor, in nats: (N, D), (N, K) -> (D, K)."""
    codes, factors = check_arrays(codes, factors, bins=bins)
    binned = discretize(codes, bins)
    table = np.empty((binned.shape[1], factors.shape[1]))
    for k, v in enumerate(factors.T):
        classes, v = np.unique(v, return_inverse=True)
        for d, z in enumerate(binned.T):
            joint = np.bincount(z * len(classes) + v, minlength=(bins + 1) * len(classes)).reshape(bins + 1, -1)
            table[d, k] = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)
    return table


def mig(codes, factors, bins=20):
    """Mutual information gap, 0 to 1. Chen et al. 2018, eq. 6; binned as in disentanglement_lib.

    The mean over factors of (I(z_1st; v) - I(z_2nd; v)) / H(v): rewards codes in which each factor
    lives in one latent only. Two latents that share a factor, say rotated positions, score 0 for it.
    It fails where 20 bins are too coarse: a perfect copy of a factor of 40 values stays below 1.
    """
    factors = check_arrays(codes, factors, bins=bins)[1]
    information = np.sort(mutual_information(codes, factors, bins), axis=0)
    return float(np.mean((information[-1] - information[-2]) / factor_entropies(factors)))


def modularity(codes, factors, bins=20):
    """Modularity, 0 to 1. Ridgeway & Mozer 2018, eq. 2: does each latent tell about one factor only?

    The mean over latents of 1 - (sum of I^2 over the other factors) / ((K - 1) I_max^2); 0 for a dead one.
    Rewards latents that know one thing. It does not ask whether a factor is missing, or spread over several latents:
    duplicated codes keep their score; and latents of pure noise, whose estimated I is never quite 0, count like others.
    """
    squared = mutual_information(codes, factors, bins) ** 2
    most = squared.max(1)
    alive = most > 1e-20          # what rounding leaves of 0
    others = (squared.sum(1) - most) / np.where(alive, most, 1) / max(1, squared.shape[1] - 1)
    return float(np.mean(np.where(alive, 1 - others, 0)))


def irs(codes, factors, quantile=0.99, bins=20):
    """Interventional robustness score, 0 to 1. Suter et al. 2019, section 4: what does not move a latent?

    For each factor, samples are grouped by its value (in 20 bins, as the reference does); a latent is robust
    if it stays put within the groups whatever else changes: 1 - (99th percentile of its deviation in a group, mean
    over groups) / (its largest deviation of all). Best factor for each latent, mean over latents weighted by their
    largest deviation; 0 if all are constant. Rewards latents that one factor alone moves; duplicates change nothing. It
    fails on outliers: one large deviation in the denominator makes everything else look robust.
    """
    codes, factors = check_arrays(codes, factors)
    codes = codes[:, codes.var(0) > 0]
    if codes.shape[1] == 0:
        return 0.0
    largest = np.abs(codes - codes.mean(0)).max(0)
    deviations = np.zeros((codes.shape[1], factors.shape[1]))
    for k, v in enumerate(discretize(factors, bins).T):
        groups = [codes[v == value] for value in np.unique(v)]
        deviations[:, k] = np.mean([np.percentile(np.abs(g - g.mean(0)), 100 * quantile, axis=0) for g in groups], axis=0)
    return float(np.average((1 - deviations / largest[:, None]).max(1), weights=largest))


def gaussian_total_correlation(codes):
    """Total correlation of a Gaussian with the codes' covariance, in nats, 0 and up; lower is better.

    Locatello et al. 2019, section 5.2: 0.5 (sum of log variances - log determinant). Needs no factors. It sees
    linear dependence only; infinite where a latent is a linear function of the others. Constant latents are left out.
    """
    codes = check_codes(codes)
    codes = codes[:, codes.var(0) > 0]
    if codes.shape[1] < 2:
        return 0.0
    sign, log_determinant = np.linalg.slogdet(np.corrcoef(codes.T))
    if sign <= 0 or log_determinant < -30:          # what rounding leaves of a determinant of 0
        return float("inf")
    return float(max(0.0, -0.5 * log_determinant))


def active_units(codes, threshold=0.01):
    """Number of latents whose mean moves with the image: variance above ``threshold``. Burda et al. 2016, section 5."""
    return int((check_codes(codes).var(0) > threshold).sum())
