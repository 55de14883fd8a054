"""UDR: which of several models are disentangled, without knowing any factor."""

import numpy as np
from sklearn.linear_model import Lasso

from ._checks import as_array, check_codes, ranks, standardized

INFORMATIVE = 0.01      # nats of KL above which a latent takes part
ALPHA = 0.1             # of the Lasso's penalty, as in disentanglement_lib


def udr(codes, kls, method="lasso"):
    """Unsupervised disentanglement ranking, 0 to 1, one number a model: a list. Duan et al. 2020, section 4, eq. 3.

    ``codes``: the codes (N, D) that at least two models, trained alike from different seeds, give to the same
    images; ``kls``: the mean KL of their latents, (D,) each, in nats. The idea: disentangled models find the same
    latents, up to order and sign; entangled ones each their own mixture. Two models agree in so far as every
    informative latent (above 0.01 nats) of one resembles one latent of the other only. ``method``: resemblance as
    weights of a Lasso regression (``lasso``), or as absolute rank correlation (``spearman``). The score of a model is
    the median over the others. Needs no factors, so it can choose among models trained on photographs. It fails where
    all models share the same wrong latents, and says nothing about which factors were found.
    Raises ValueError for unequal arrays.
    """
    codes = [check_codes(z) for z in codes]
    informative = [as_array(kl).astype(np.float64) > INFORMATIVE for kl in kls]
    if len(codes) < 2 or len(codes) != len(informative):
        raise ValueError(f"UDR compares at least 2 models, each with its codes and KLs; got {len(codes)} and {len(informative)}")
    if len({len(z) for z in codes}) > 1 or any(z.shape[1:] != i.shape for z, i in zip(codes, informative)):
        raise ValueError("all codes must be of the same images, with one KL for each latent")
    if method not in RESEMBLANCES:
        raise ValueError(f"method must be {' or '.join(RESEMBLANCES)}, got {method!r}")
    scaled = [standardized(z) * keep for z, keep in zip(codes, informative)]
    n = len(codes)
    agreements = np.array([[agreement(RESEMBLANCES[method](scaled[i], scaled[j]), informative[i], informative[j])
                            if i != j else np.nan for j in range(n)] for i in range(n)])
    return [float(v) for v in np.nanmedian(agreements, axis=0)]


def spearman(a, b):
    """Absolute rank correlation of every two latents, (N, D), (N, D') -> (D, D')."""
    return np.abs(standardized(ranks(a)).T @ standardized(ranks(b))) / len(a)


def lasso(a, b):
    """Absolute weights with which latents of ``a`` (N, D) predict each latent of ``b`` (N, D'), (D, D')."""
    return np.abs(np.atleast_2d(Lasso(alpha=ALPHA).fit(a, b).coef_)).T


RESEMBLANCES = {"lasso": lasso, "spearman": spearman}


def agreement(r, rows, columns):
    """How far each informative latent, row or column of r (D, D'), stands out for one counterpart only; 0 to 1."""
    def share(r):
        total = r.sum(0)
        return (r.max(0) ** 2 / np.where(total > 0, total, 1)).sum()

    r = r[rows][:, columns]
    return float((share(r) + share(r.T)) / sum(r.shape)) if r.size else 0.0
