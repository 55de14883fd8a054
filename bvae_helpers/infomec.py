"""InfoMEC: modularity, compactness and explicitness in terms of information."""

import numpy as np
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from .arrays import check_arrays
from .predictors import fitted
from .scores import factor_entropies

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
    z = standardized(active)
    told = [mutual_info_classif(z, v, discrete_features=False, n_neighbors=NEIGHBOURS, random_state=seed) for v in factors.T]
    shares = np.stack(told, axis=1) / factor_entropies(factors)                          # (D, K)
    everything = standardized(codes)
    return {"modularity": peak(shares), "compactness": peak(shares.T),
            "explicitness": float(np.mean([explained(everything, v) for v in factors.T]))}


def standardized(x):
    """Columns (N, D) with mean 0 and standard deviation 1; constant ones are 0."""
    return (x - x.mean(0)) / np.where(np.ptp(x, axis=0) > 0, x.std(0), 1)


def peak(shares):
    """Mean over rows of largest / sum, rescaled from 1/n..1 to 0..1; rows that hold nothing are left out."""
    rows, n = shares[shares.sum(1) > 0], shares.shape[1]
    if len(rows) == 0:
        return 0.0
    return 1.0 if n == 1 else float((np.mean(rows.max(1) / rows.sum(1)) - 1 / n) / (1 - 1 / n))


def explained(z, v):
    """1 - the log loss of a logistic regression, in its own samples, in units of that of equal odds for all classes."""
    rule = fitted(LogisticRegression(C=np.inf, class_weight="balanced"), z, v)
    return 1 - log_loss(v, rule.predict_proba(z), labels=rule.classes_) / np.log(len(rule.classes_))
