"""UDR: which of several models are disentangled, without knowing any factor."""

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import Lasso

from .scores import check_codes

INFORMATIVE = 0.01      # nats of KL above which a latent takes part


def udr(codes, kls, method="spearman", alpha=0.1):
    """Unsupervised disentanglement ranking, 0 to 1, one number a model: a list. Duan et al. 2020, section 4, eq. 3.

    ``codes``: the codes (N, D) that at least two models, trained alike from different seeds, give to the same
    images; ``kls``: the mean KL of their latents, (D,) each, in nats. The idea: disentangled models find the same
    latents, up to order and sign; entangled ones each their own mixture. Two models agree in so far as every
    informative latent of one resembles one latent of the other only. ``method``: resemblance as the absolute rank
    correlation (``spearman``) or as weights of a Lasso regression (``lasso``). The score of a model is the median
    over the others. It says nothing about which factors were found. Raises ValueError for unequal arrays.
    """
    codes = [check_codes(z) for z in codes]
    informative = [np.asarray(kl, dtype=np.float64) > INFORMATIVE for kl in kls]
    if len(codes) < 2 or len(codes) != len(informative):
        raise ValueError(f"UDR compares at least 2 models, each with its codes and KLs; got {len(codes)} and {len(informative)}")
    if len({len(z) for z in codes}) > 1 or any(z.shape[1] != len(i) for z, i in zip(codes, informative)):
        raise ValueError("all codes must be of the same images, with one KL for each latent")
    if method not in ("spearman", "lasso"):
        raise ValueError(f"method must be spearman or lasso, got {method!r}")
    resemblance = spearman if method == "spearman" else lambda a, b: lasso(a, b, alpha)
    n = len(codes)
    scores = np.array([[agreement(resemblance(codes[i], codes[j]), informative[i], informative[j]) if i != j else np.nan
                        for j in range(n)] for i in range(n)])
    return [float(v) for v in np.nanmedian(scores, axis=1)]


def standardized(x):
    return (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)


def spearman(a, b):
    """Absolute rank correlation of every two latents, (D, D')."""
    a, b = (standardized(rankdata(x, axis=0)) for x in (a, b))
    return np.abs(a.T @ b) / len(a)


def lasso(a, b, alpha):
    """Absolute weights with which latents of ``a`` (N, D) predict each latent of ``b`` (N, D'), (D, D')."""
    a, b = standardized(a), standardized(b)
    return np.stack([np.abs(Lasso(alpha=alpha).fit(a, target).coef_) for target in b.T], axis=1)


def agreement(r, rows, columns):
    """How far each informative latent, row or column of r (D, D'), stands out for one counterpart only; 0 to 1."""
    def share(r, keep):
        total = r.sum(0)
        return (r.max(0) ** 2 / np.where(total > 0, total, 1))[keep].sum()

    count = rows.sum() + columns.sum()
    return float((share(r, columns) + share(r.T, rows)) / count) if count else 0.0
