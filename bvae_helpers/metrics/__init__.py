"""All scores of disentanglement, by one name each.

Codes (N, D) are the encoder's means, factors (N, K) whole numbers. The protocols are disentanglement_lib's
(Locatello et al. 2019, "Challenging Common Assumptions", appendix C): 10,000 samples to train on, 5,000 to
test. ``beta_vae_score`` and ``factor_vae_score`` draw their own samples, ``udr`` compares several models'
codes and needs no factors, and ``evaluate`` computes all other scores and prints a table.

Collapsed latents are part of the codes, and some scores depend on them: ``active_codes`` leaves them out, and
``evaluate`` shows both.
"""

from ..latents import kl_per_latent
from ._checks import varying
from ._evaluation import BASELINES, Evaluation, baselines, evaluate, main_scores, score_codes
from ._groups import Bank, beta_vae_score, factor_vae_score
from ._histograms import (
    active_codes,
    active_units,
    discretize,
    entropy,
    factor_entropies,
    gaussian_total_correlation,
    irs,
    mig,
    modularity,
    mutual_information,
)
from ._infomec import infomec
from ._predictors import dci, explicitness, importances, sap
from ._udr import udr

__all__ = ["BASELINES", "Bank", "Evaluation", "active_codes", "active_units", "baselines", "beta_vae_score", "dci",
           "discretize", "entropy", "evaluate", "explicitness", "factor_entropies", "factor_vae_score",
           "gaussian_total_correlation", "importances", "infomec", "irs", "kl_per_latent", "main_scores", "mig",
           "modularity", "mutual_information", "sap", "score_codes", "udr", "varying"]
