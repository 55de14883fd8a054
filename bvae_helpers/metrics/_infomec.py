"""InfoMEC: modularity, compactness and explicitness in terms of information."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from ._checks import check_arrays, standardised
from ._histograms import factor_entropies
from ._predictors import in_threads

NEIGHBOURS = 10
ACTIVE = 1 / 20       # of the widest latent's range; a latent of less range counts as pruned


def infomec(codes: ArrayLike, factors: ArrayLike, seed: int = 0) -> dict[str, float]:
    """InfoModularity, InfoCompactness, InfoExplicitness, each 0 to 1: a dict, ``modularity``, ``compactness``,
    ``explicitness``.

    Hsu et al. 2023, "Disentanglement via Latent Quantization", section 3, as in their code. From the mutual information
    of every latent and factor, by 10 nearest neighbours (Ross 2014), in units of the factor's entropy. Modularity:
    which share of a latent's information is about its best factor; compactness: which share of the information about a
    factor is in its best latent; both rescaled so that an even spread is 0. Explicitness: by what share a logistic
    regression on all latents (no penalty, classes balanced, 100 steps, on its own samples) beats guessing. Rewards
    codes like the factors themselves; no bins, so fine codes count. Duplicated codes keep modularity and explicitness
    and lose compactness. Latents that carry nearly nothing spoil it: their ratios are those of noise. Latents whose
    range is below a twentieth of the widest are left out, so collapsed ones are; without any other, and for codes that
    carry nothing, all three are 0.
    """
    codes, factors = check_arrays(codes, factors, samples=NEIGHBOURS + 1)
    width = np.ptp(codes, axis=0)
    active = codes[:, width > width.max() * ACTIVE]
    if active.shape[1] == 0:
        return {"modularity": 0.0, "compactness": 0.0, "explicitness": 0.0}
    shares = neighbour_information(standardised(active), factors, seed) / factor_entropies(factors)
    everything = standardised(codes)
    return {"modularity": peak(shares), "compactness": peak(shares.T),
            "explicitness": float(np.mean(in_threads(lambda v: explained(everything, v), factors.T)))}


def neighbour_information(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> np.ndarray:
    """I(z_d; v_k) in nats without bins: (N, D), (N, K) -> (D, K). Ross 2014, "Mutual information between discrete and
    continuous data sets", eq. 3; as scikit-learn's mutual_info_classif, but neighbours on a line are found by sorting.

    For every sample: how far is its 10th neighbour among those of the same class, and how many of any class are nearer?
    A tiny noise, drawn with ``seed``, separates equal codes.
    """
    z = codes + 1e-10 * np.maximum(1, np.abs(codes).mean(0)) * np.random.default_rng(seed).normal(size=codes.shape)
    return np.array([[information_on_a_line(column, v) for v in factors.T] for column in z.T])


def information_on_a_line(z: np.ndarray, v: np.ndarray) -> float:
    """I(z; v) in nats of one latent z (N,) and one factor v (N,), by nearest neighbours."""
    _, v, sizes = np.unique(v, return_inverse=True, return_counts=True)
    z, v = z[sizes[v] > 1], v[sizes[v] > 1]                      # a sample alone in its class has no neighbour
    if len(z) == 0:
        return 0.0
    order = np.lexsort((z, v))                                   # class after class, rising in each
    x, size = z[order], sizes[v[order]]
    first = np.searchsorted(v[order], v[order])
    k = np.minimum(NEIGHBOURS, size - 1)
    lower, upper = nearest(x, first, size, k)
    rising = np.sort(z)
    near = np.searchsorted(rising, upper) - np.searchsorted(rising, lower, "right")      # the sample itself included
    return max(0.0, mean_digamma(np.array([len(x)])) + mean_digamma(k) - mean_digamma(size) - mean_digamma(near))


def nearest(x: np.ndarray, first: np.ndarray, size: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The interval around each sample that reaches to its ``k``-th neighbour of the same class: its two ends, (N,)
    each.

    ``x`` (N,): samples, class after class, rising within each; ``first``, ``size``: where the class begins, and its
    size.
    """
    place = np.arange(len(x))
    radius, lower, upper = np.full(len(x), np.inf), x, x
    for below in range(NEIGHBOURS + 1):                          # how many of the k neighbours lie below the sample
        low, high = place - below, place - below + k
        fits = (below <= k) & (low >= first) & (high < first + size)
        down, up = x - x[low], x[np.minimum(high, len(x) - 1)] - x
        better = fits & (np.maximum(down, up) < radius)
        radius = np.where(better, np.maximum(down, up), radius)
        # the end at the farthest neighbour is that neighbour itself: x + radius would round to either side of it
        lower = np.where(better, np.where(down >= up, x[low], x - up), lower)
        upper = np.where(better, np.where(up >= down, x[np.minimum(high, len(x) - 1)], x + down), upper)
    return lower, upper


def mean_digamma(n: np.ndarray) -> float:
    """The mean of the digamma function over whole numbers (N,)."""
    return float(torch.digamma(torch.from_numpy(n).double()).mean())


def peak(shares: np.ndarray) -> float:
    """Mean over rows of largest / sum, rescaled from 1/n..1 to 0..1; rows whose sum is 0 are left out."""
    rows, n = shares[shares.sum(1) > 0], shares.shape[1]
    if len(rows) == 0:
        return 0.0
    if n == 1:
        return 1.0
    return float((np.mean(rows.max(1) / rows.sum(1)) - 1 / n) / (1 - 1 / n))


def explained(z: np.ndarray, v: np.ndarray) -> float:
    """1 - the log loss of a logistic regression, on its own samples, in units of that of equal odds for all classes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    rule = LogisticRegression(C=np.inf, class_weight="balanced").fit(z, v)
    return 1 - log_loss(v, rule.predict_proba(z), labels=rule.classes_) / np.log(len(rule.classes_))
