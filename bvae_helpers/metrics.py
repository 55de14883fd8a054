"""Scores of disentanglement, on arrays: codes (N, D) and the factors (N, K) behind them."""

import numpy as np


def discretize(codes, bins=20):
    """Each latent in equal-width bins 1..bins: (N, D) -> integers (N, D). Locatello et al. 2019, appendix."""
    codes = np.asarray(codes, dtype=np.float64)
    edges = [np.histogram(column, bins)[1][:-1] for column in codes.T]
    return np.stack([np.digitize(column, edge) for column, edge in zip(codes.T, edges)], axis=1)


def entropy(counts):
    """Entropy of a table of counts, in nats."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def mutual_information(codes, factors, bins=20):
    """I(z_d; v_k) of every binned latent and every factor, in nats: (N, D), (N, K) -> (D, K)."""
    codes, factors = check_arrays(codes, factors, bins)
    binned = discretize(codes, bins)
    table = np.empty((binned.shape[1], factors.shape[1]))
    for k, v in enumerate(factors.T):
        classes, v = np.unique(v, return_inverse=True)
        for d, z in enumerate(binned.T):
            joint = np.zeros((bins + 1, len(classes)))
            np.add.at(joint, (z, v), 1)
            table[d, k] = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)
    return table


def mig(codes, factors, bins=20):
    """Mutual information gap, 0 to 1. Chen et al. 2018, eq. 6; binned as in disentanglement_lib.

    The mean over factors of (I(z_1st; v) - I(z_2nd; v)) / H(v): rewards codes in which each factor
    lives in one latent only. Two latents that share a factor, say rotated positions, score 0 for it.
    """
    factors = check_arrays(codes, factors, bins)[1]
    information = np.sort(mutual_information(codes, factors, bins), axis=0)
    entropies = [entropy(np.unique(v, return_counts=True)[1]) for v in factors.T]
    return float(np.mean((information[-1] - information[-2]) / entropies))


def check_arrays(codes, factors, bins):
    """The arrays as numpy; ValueError, naming what is wrong, where no score can be computed."""
    codes, factors = np.asarray(codes, dtype=np.float64), np.asarray(factors)
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
        raise ValueError(f"codes must be (N, D) and factors (N, K) with the same N, got {codes.shape} and {factors.shape}")
    if codes.shape[1] < 2:
        raise ValueError(f"a gap needs at least 2 latents, got {codes.shape[1]}")
    if not np.isfinite(codes).all():
        raise ValueError("codes hold NaN or infinite values")
    if not np.equal(np.mod(factors, 1), 0).all():
        raise ValueError("factors must be discrete: whole numbers")
    if len(codes) < bins:
        raise ValueError(f"{len(codes)} samples are fewer than the {bins} bins")
    for k, v in enumerate(factors.T):
        if (v == v[0]).all():
            raise ValueError(f"factor {k} has only one value, {v[0]}: nothing to find out about it")
    return codes, factors
