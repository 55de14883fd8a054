"""All scores of disentanglement, by one name each.

Codes (N, D) are the encoder's means, factors (N, K) whole numbers. The protocols are disentanglement_lib's
(Locatello et al. 2019, "Challenging Common Assumptions", appendix C): 10,000 samples to train on, 5,000 to
test. ``beta_vae_score`` and ``factor_vae_score`` draw samples of their own, ``udr`` takes several models'
codes and no factors, and ``evaluate`` computes all others and prints a table.

What needs scikit-learn is loaded when it is first asked for: sliders need not wait for classifiers.
"""

import importlib

from ..latents import kl_per_latent
from ._histograms import (
    active_units,
    discretize,
    entropy,
    gaussian_total_correlation,
    irs,
    mig,
    modularity,
    mutual_information,
)

LATER = {"_evaluation": ("BASELINES", "baselines", "evaluate", "score_codes"), "_infomec": ("infomec",), "_udr": ("udr",),
         "_groups": ("Bank", "beta_vae_score", "factor_vae_score"), "_predictors": ("dci", "explicitness", "importances", "sap")}

__all__ = ["active_units", "discretize", "entropy", "gaussian_total_correlation", "irs", "kl_per_latent", "mig", "modularity",
           "mutual_information", *(name for names in LATER.values() for name in names)]


def __getattr__(name):
    for module, names in LATER.items():
        if name in names:
            return getattr(importlib.import_module(f".{module}", __package__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
