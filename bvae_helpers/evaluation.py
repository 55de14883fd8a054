"""All scores of a model at once, over several evaluation seeds, and the baselines to read them against."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from . import latents as L
from . import predictors as P
from . import scores as S
from .data import render, to_batch
from .infomec import infomec
from .model import BetaVAE
from .paired import Bank, beta_vae_score, factor_vae_score


@dataclass
class Evaluation:
    """Scores and seconds of every evaluation seed: name -> list. Printed, a table of means and ranges."""

    scores: dict
    seconds: dict
    seeds: tuple

    def mean(self, name):
        return float(np.mean(self.scores[name]))

    def spread(self, name):
        """Largest - smallest over the seeds."""
        return float(np.ptp(self.scores[name]))

    def __str__(self):
        rows = [f"{'score':28s}{'mean':>9s}{'range':>9s}{'seconds':>9s}"]
        rows += [f"{name:28s}{self.mean(name):9.3f}{self.spread(name):9.3f}{np.mean(self.seconds[name]):9.1f}"
                 for name in self.scores]
        return "\n".join([*rows, f"evaluation seeds {', '.join(map(str, self.seeds))}"])

    __repr__ = __str__


def evaluate(model, data, seeds=(0, 1, 2), train=10_000, test=5_000, dci=True, verbose=True):
    """Every score of ``model`` on ``data`` with factors, for each evaluation seed -> an ``Evaluation``.

    Each seed draws ``train`` + ``test`` images anew. The BetaVAE and FactorVAE scores draw their groups from these
    (``Bank``) where the papers encode 1.9 and 0.9 million images for them. ``dci=False`` leaves out the slowest score.
    Prints the table unless told not to.
    """
    made = []
    for seed in seeds:
        images, factors = render(data, train + test, seed)
        mu, logvar = L.encode(model, images)
        made.append(score_codes(mu[:train], factors[:train], mu[train:], factors[train:], seed, dci))
        made[-1][0]["kl"], made[-1][1]["kl"] = float(L.kl_per_latent(mu, logvar).sum()), 0.0
    scores, seconds = ({name: [one[part][name] for one in made] for name in made[0][part]} for part in (0, 1))
    found = Evaluation(scores, seconds, tuple(seeds))
    if verbose:
        print(found)
    return found


def score_codes(codes_train, factors_train, codes_test, factors_test, seed=0, dci=True):
    """Every score of codes whose factors are known -> ({name: score}, {name: seconds})."""
    four = [np.asarray(a) for a in (codes_train, factors_train, codes_test, factors_test)]
    bank = Bank(*four[:2])
    ways = {
        "beta_vae": lambda: beta_vae_score(bank, seed=seed), "factor_vae": lambda: factor_vae_score(bank, seed=seed),
        "mig": lambda: S.mig(*four[:2]), "sap": lambda: P.sap(*four), "modularity": lambda: S.modularity(*four[:2]),
        "explicitness": lambda: P.explicitness(*four), "irs": lambda: S.irs(*four[:2]),
        "infomec": lambda: infomec(*four[:2], seed=seed), "dci": lambda: P.dci(*four, seed=seed),
        "gaussian_total_correlation": lambda: S.gaussian_total_correlation(four[0]),
        "active_units": lambda: S.active_units(four[0])}
    if not dci:
        del ways["dci"]
    scores, seconds = {}, {}
    for name, way in ways.items():
        start = time.perf_counter()
        value = way()
        values = {f"{name}_{part}": v for part, v in value.items()} if isinstance(value, dict) else {name: value}
        scores.update(values)
        seconds.update(dict.fromkeys(values, time.perf_counter() - start))
    return scores, seconds


def baselines(model, data, n, seed=0):
    """Codes of ``n`` images that nothing was learned for, beside the model's: ({name: (n, D)}, factors (n, K)).

    An untrained encoder of the model's own shape, the pixels' principal components and a random projection of
    them, the ground truth itself, and the ground truth rotated: the same information, no axis of it a factor.
    All but the model's codes are scaled to unit variance.
    """
    images, factors = render(data, n, seed)
    pixels = to_batch(images).flatten(1)
    pixels -= pixels.mean(0)
    d, k = model.latent_dim, factors.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = BetaVAE(model.in_channels, d, model.hidden_dims, network=model.network, img_size=model.img_size)
        components = torch.pca_lowrank(pixels, d, center=False, niter=4)[2]
        projection, rotation = torch.randn(pixels.shape[1], d), torch.linalg.qr(torch.randn(k, k)).Q
    truth = unit(factors.float())
    return {"model": L.encode(model, images)[0], "untrained encoder": unit(L.encode(untrained, images)[0]),
            "pixels' PCA": unit(pixels @ components), "random projection": unit(pixels @ projection),
            "ground truth": truth, "rotated ground truth": truth @ rotation}, factors


def unit(codes):
    return (codes - codes.mean(0)) / codes.std(0)
