"""InfoMEC: modularity, compactness and explicitness in terms of information."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from ._checks import check_arrays, standardized
from ._histograms import factor_entropies
from ._predictors import in_threads

NEIGHBOURS = 10
ACTIVE = 1 / 20       # of the widest latent's range; a latent of less range counts as pruned


def infomec(codes, factors, seed=0):
    """InfoModularity, InfoCompactness, InfoExplicitness, each 0 to 1: a dict, ``modularity``, ``compactness``, ``explicitness``.

    Hsu et al. 2023, "Disentanglement via Latent Quantization", section 3, as in their code. From the mutual information
    of every latent and factor, by 10 nearest neighbours (Ross 2014), in units of the factor's entropy. Modularity: how
    much of what a latent tells is about its best factor; compactness: how much of what is told about a factor is in
    its best latent; both rescaled so that an even spread is 0. Explicitness: by what share a logistic
    regression on all latents (no penalty, classes balanced, 100 steps, on its own samples) beats guessing.
    Rewards codes like the factors themselves; no bins, so fine ones count. Duplicated codes keep modularity and
    explicitness and lose compactness. It fails where latents tell nearly nothing: their ratios are those of noise.
    Latents whose range is below a twentieth of the widest are left out; without any, and for what tells nothing, all are 0.
    """
    codes, factors = check_arrays(codes, factors, samples=NEIGHBOURS + 1)
    width = np.ptp(codes, axis=0)
    active = codes[:, width > width.max() * ACTIVE]
    if active.shape[1] == 0:
        return {"modularity": 0.0, "compactness": 0.0, "explicitness": 0.0}
    shares = neighbour_information(standardized(active), factors, seed) / factor_entropies(factors)
    everything = standardized(codes)
    return {"modularity": peak(shares), "compactness": peak(shares.T),
            "explicitness": float(np.mean(in_threads(lambda v: explained(everything, v), factors.T)))}


def neighbour_information(codes, factors, seed=0):
    """I(z_d; v_k) in nats without bins: (N, D), (N, K) -> (D, K). Ross 2014, "Mutual information between discrete and
    continuous data sets", eq. 3; as scikit-learn's mutual_info_classif, but neighbours on a line are found by sorting.

    For every sample: how far is its 10th neighbour among those of the same class, and how many of any class are nearer?
    A tiny noise, drawn with ``seed``, parts equal codes.
    """
    z = codes + 1e-10 * np.maximum(1, np.abs(codes).mean(0)) * np.random.default_rng(seed).normal(size=codes.shape)
    return np.array([[information_on_a_line(column, v) for v in factors.T] for column in z.T])


def information_on_a_line(z, v):
    _, v, sizes = np.unique(v, return_inverse=True, return_counts=True)
    z, v = z[sizes[v] > 1], v[sizes[v] > 1]                      # who is alone in its class has no neighbour
    if len(z) == 0:
        return 0.0
    order = np.lexsort((z, v))                                   # class after class, rising in each
    x, size = z[order], sizes[v[order]]
    first = np.searchsorted(v[order], v[order])
    k, place = np.minimum(NEIGHBOURS, size - 1), np.arange(len(x))
    radius, lower, upper = np.full(len(x), np.inf), x, x
    for below in range(NEIGHBOURS + 1):                          # of the k neighbours, so many lie below, the rest above
        low, high = place - below, place - below + k
        fits = (below <= k) & (low >= first) & (high < first + size)
        down, up = x - x[low], x[np.minimum(high, len(x) - 1)] - x
        better = fits & (np.maximum(down, up) < radius)
        radius = np.where(better, np.maximum(down, up), radius)
        # the end at the farthest neighbour is that neighbour itself: x + radius would round to either side of it
        lower = np.where(better, np.where(down >= up, x[low], x - up), lower)
        upper = np.where(better, np.where(up >= down, x[np.minimum(high, len(x) - 1)], x + down), upper)
    rising = np.sort(z)
    near = np.searchsorted(rising, upper) - np.searchsorted(rising, lower, "right")          # itself among them
    mean_digamma = lambda n: float(torch.digamma(torch.from_numpy(n).double()).mean())
    return max(0.0, mean_digamma(np.array([len(x)])) + mean_digamma(k) - mean_digamma(size) - mean_digamma(near))


def peak(shares):
    """Mean over rows of largest / sum, rescaled from 1/n..1 to 0..1; rows that hold nothing are left out."""
    rows, n = shares[shares.sum(1) > 0], shares.shape[1]
    if len(rows) == 0:
        return 0.0
    return 1.0 if n == 1 else float((np.mean(rows.max(1) / rows.sum(1)) - 1 / n) / (1 - 1 / n))


def explained(z, v):
    """1 - the log loss of a logistic regression, in its own samples, in units of that of equal odds for all classes."""
    rule = LogisticRegression(C=np.inf, class_weight="balanced").fit(z, v)
    return 1 - log_loss(v, rule.predict_proba(z), labels=rule.classes_) / np.log(len(rule.classes_))
