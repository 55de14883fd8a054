"""UDR: which of several models are disentangled, without knowing any factor."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._checks import as_array, check_codes, ranks, standardised

INFORMATIVE = 0.01      # nats of KL above which a latent takes part
ALPHA = 0.1             # of the Lasso's penalty, as in disentanglement_lib


def udr(codes: Sequence[ArrayLike], kls: Sequence[ArrayLike], method: str = "lasso") -> list[float]:
    """Unsupervised disentanglement ranking, 0 to 1: a list, one number per model. Duan et al. 2020, section 4, eq. 3.

    ``codes``: the codes (N, D) that at least two models, trained alike from different seeds, give to the same
    images; ``kls``: the mean KL of their latents, (D,) each, in nats. The idea: disentangled models find the same
    latents, up to order and sign; each entangled model finds its own mixture. Two models agree as far as every
    informative latent (above 0.01 nats) of one resembles one latent of the other only. ``method``: resemblance as
    weights of a Lasso regression (``lasso``), or as absolute rank correlation (``spearman``). The score of a model is
    the median over the others. Needs no factors, so it can choose among models trained on photographs. It is wrong if
    all models share the same wrong latents, and does not show which factors were found.
    Raises ValueError for unequal arrays.
    """
    codes = [check_codes(z) for z in codes]
    informative = [as_array(kl).astype(np.float64) > INFORMATIVE for kl in kls]
    if len(codes) < 2 or len(codes) != len(informative):
        raise ValueError("UDR compares at least 2 models, each with its codes and KLs; "
                         f"got {len(codes)} and {len(informative)}")
    if len({len(z) for z in codes}) > 1 or any(z.shape[1:] != i.shape for z, i in zip(codes, informative)):
        raise ValueError("all codes must be of the same images, with one KL for each latent")
    if method not in RESEMBLANCES:
        raise ValueError(f"method must be {' or '.join(RESEMBLANCES)}, got {method!r}")
    resemblance = RESEMBLANCES[method]
    scaled = [standardised(z) * keep for z, keep in zip(codes, informative)]
    agreements = np.full((len(codes), len(codes)), np.nan)
    for i, a in enumerate(scaled):
        for j, b in enumerate(scaled):
            if i != j:
                agreements[i, j] = agreement(resemblance(a, b), informative[i], informative[j])
    return [float(v) for v in np.nanmedian(agreements, axis=0)]


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Absolute rank correlation of every two latents, (N, D), (N, D') -> (D, D')."""
    return np.abs(standardised(ranks(a)).T @ standardised(ranks(b))) / len(a)


def lasso(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Absolute weights with which latents of ``a`` (N, D) predict each latent of ``b`` (N, D'), (D, D')."""
    from sklearn.linear_model import Lasso

    return np.abs(np.atleast_2d(Lasso(alpha=ALPHA).fit(a, b).coef_)).T


RESEMBLANCES = {"lasso": lasso, "spearman": spearman}


def agreement(r: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    """How far each informative latent, row or column of r (D, D'), resembles one counterpart only; 0 to 1."""
    r = r[rows][:, columns]
    if r.size == 0:
        return 0.0
    return float((single_share(r) + single_share(r.T)) / sum(r.shape))


def single_share(r: np.ndarray) -> float:
    """Sum over columns of (largest squared) / (sum): each column counts 1 if its one entry is 1."""
    total = r.sum(0)
    return (r.max(0) ** 2 / np.where(total > 0, total, 1)).sum()
