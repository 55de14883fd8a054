"""All scores of disentanglement, by one name each.

Codes (N, D) are the encoder's means, factors (N, K) whole numbers. The protocols are disentanglement_lib's
(Locatello et al. 2019, "Challenging Common Assumptions", appendix C): 10,000 samples to train on, 5,000 to
test. ``beta_vae_score`` and ``factor_vae_score`` draw samples of their own, ``udr`` takes several models'
codes and no factors, and ``evaluate`` computes them all and prints a table.
"""

from .evaluation import BASELINES, baselines, evaluate, score_codes
from .infomec import infomec
from .latents import kl_per_latent
from .paired import Bank, beta_vae_score, factor_vae_score
from .predictors import dci, explicitness, importances, sap
from .scores import (
    active_units,
    discretize,
    entropy,
    gaussian_total_correlation,
    irs,
    mig,
    modularity,
    mutual_information,
)
from .udr import udr

__all__ = ["BASELINES", "Bank", "active_units", "baselines", "beta_vae_score", "dci", "discretize", "entropy", "evaluate",
           "explicitness", "factor_vae_score", "gaussian_total_correlation", "importances", "infomec", "irs", "kl_per_latent",
           "mig", "modularity", "mutual_information", "sap", "score_codes", "udr"]
