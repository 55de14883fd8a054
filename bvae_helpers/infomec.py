"""InfoMEC: modularity, compactness and explicitness in terms of information."""

import numpy as np
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from .scores import check_arrays, entropy, fitted

ACTIVE = 0.05       # standard deviation below which a latent counts as pruned


def infomec(codes, factors, seed=0):
    """InfoModularity, InfoCompactness, InfoExplicitness, each 0 to 1 (the last may fall below 0): a dict.

    Hsu et al. 2023, "Disentanglement via Latent Quantization", section 3. From the mutual information of every
    latent and factor, by nearest neighbours (Ross 2014), in units of the factor's entropy. Modularity: how
    much of a latent's information is about its best factor; compactness: how much of what is known about a
    factor is in its best latent; both rescaled so that an even spread is 0. Explicitness: the share of a factor's
    entropy that a logistic regression on all latents removes. Pruned latents (std < 0.05) are left out; without
    any, all are 0.
    """
    codes, factors = check_arrays(codes, factors, bins=10)
    codes = codes[:, codes.std(0) >= ACTIVE]
    if codes.shape[1] == 0:
        return {"modularity": 0.0, "compactness": 0.0, "explicitness": 0.0}
    entropies = [entropy(np.unique(v, return_counts=True)[1]) for v in factors.T]
    shares = np.stack([mutual_info_classif(codes, v, discrete_features=False, random_state=seed) / h
                       for v, h in zip(factors.T, entropies)], axis=1)                    # (D, K)
    return {"modularity": peak(shares), "compactness": peak(shares.T),
            "explicitness": float(np.mean([explained(codes, v, h) for v, h in zip(factors.T, entropies)]))}


def peak(shares):
    """Mean over rows of largest / sum, rescaled from 1/n..1 to 0..1; rows that hold nothing are left out."""
    rows = shares[shares.sum(1) > 0]
    n = shares.shape[1]
    if len(rows) == 0:
        return 0.0
    return 1.0 if n == 1 else float((np.mean(rows.max(1) / rows.sum(1)) - 1 / n) / (1 - 1 / n))


def explained(codes, v, h):
    """1 - (log loss of a logistic regression) / H(v), in its own samples."""
    x = (codes - codes.mean(0)) / codes.std(0)
    rule = fitted(LogisticRegression(), x, v)
    return 1 - log_loss(v, rule.predict_proba(x), labels=rule.classes_) / h
