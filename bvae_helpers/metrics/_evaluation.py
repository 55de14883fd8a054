"""All scores of a model at once, over several evaluation seeds, beside baselines that learned nothing."""

import copy
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.decomposition import PCA

from .. import latents as L
from ..data import render, to_batch
from . import _histograms as S
from . import _predictors as P
from ._checks import as_array
from ._groups import Bank, beta_vae_score, factor_vae_score
from ._infomec import infomec

BASELINES = ("pixels' PCA", "untrained encoder", "random projection", "ground truth", "rotated ground truth")


@dataclass
class Evaluation:
    """Scores of a model and seconds they took, name -> list, one entry for each evaluation seed; ``baselines``: the
    same scores of other codes, column -> name -> list. Printed, a table: mean ± half the range over the seeds."""

    scores: dict
    seconds: dict
    seeds: tuple
    baselines: dict = field(default_factory=dict)

    def mean(self, name, of="model"):
        return float(np.mean(self.column(of)[name]))

    def spread(self, name, of="model"):
        """Largest - smallest over the seeds."""
        values = self.column(of)[name]
        return float(max(values) - min(values)) if max(values) > min(values) else 0.0      # inf - inf is no number

    def column(self, of):
        return self.scores if of == "model" else self.baselines[of]

    def table(self):
        """The lines of the table, lists of text: a head, then one for each score."""
        columns = ["model", *self.baselines]

        def cell(name, of):
            if name not in self.column(of):
                return ""
            return f"{self.mean(name, of):.3f} ± {self.spread(name, of) / 2:.3f}"

        lines = [[name, *(cell(name, of) for of in columns), f"{np.mean(self.seconds[name]):.1f}"] for name in self.scores]
        return [["score", *columns, "seconds"], *lines]

    def caption(self):
        return f"evaluation seeds {', '.join(map(str, self.seeds))}: mean ± half the range; seconds: of the model's, a seed"

    def __str__(self):
        table = self.table()
        widths = [max(map(len, column)) + 2 for column in zip(*table)]
        lines = [first.ljust(widths[0]) + "".join(text.rjust(w) for text, w in zip(rest, widths[1:])) for first, *rest in table]
        return "\n".join([*lines, self.caption()])

    __repr__ = __str__

    def _repr_html_(self):
        head, *lines = ("".join(f"<{tag}>{text}</{tag}>" for text in line)
                        for tag, line in zip(["th"] + ["td"] * len(self.scores), self.table()))
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table><p>{self.caption()}</p>"


def evaluate(model, data, seeds=(0, 1, 2), train=10_000, test=5_000, dci=True, verbose=True, against=BASELINES):
    """Every score of ``model`` on ``data`` with factors, for each evaluation seed, beside baselines -> an ``Evaluation``.

    Each seed draws ``train`` + ``test`` images anew. The BetaVAE and FactorVAE scores draw their groups from the first
    of these (``Bank``), where the papers encode 1.9 and 1 million images for them; ``beta_vae_score(model, data)`` does.
    Measured on the shipped ``btcvae``, three seeds, 1,000 / 500 groups: .894 ± .021 and .740 ± .035 from a bank, .889 ± .003
    and .735 ± .003 from fresh images; with all 10,000 / 5,000 groups .882 and .735 (``benchmarks/metrics.py --fresh``).
    ``dci=False`` leaves out the slowest score, ``against=()`` the baselines, each of which costs as much as the model.
    Prints the table unless told not to. Raises ValueError for an unknown baseline, or where a score can't be computed.
    """
    unknown = set(against) - set(BASELINES)
    if unknown or not seeds:
        raise ValueError(f"against may hold {', '.join(BASELINES)}, got {', '.join(sorted(unknown))}" if unknown
                         else "seeds must hold at least one number")
    scores, seconds = {"model": {}, **{name: {} for name in against}}, {}
    for seed in seeds:
        images, factors = render(data, train + test, seed)
        mu, logvar = L.encode(model, images)
        for name in scores:
            codes = mu if name == "model" else baseline(name, model, images, factors, seed)
            found, took = score_codes(codes[:train], factors[:train], codes[train:], factors[train:], seed, dci)
            if name == "model":
                found["kl"], took["kl"] = float(L.kl_per_latent(mu, logvar).sum()), 0.0
                collect(seconds, took)
            collect(scores[name], found)
    found = Evaluation(scores.pop("model"), seconds, tuple(seeds), scores)
    if verbose:
        print(found)
    return found


def collect(lists, values):
    """Add each of ``values``, a dict, to the list of its name."""
    for name, value in values.items():
        lists.setdefault(name, []).append(value)


def score_codes(codes_train, factors_train, codes_test, factors_test, seed=0, dci=True):
    """Every score of codes whose factors are known -> ({name: score}, {name: seconds})."""
    four = [as_array(a) for a in (codes_train, factors_train, codes_test, factors_test)]
    two, bank = four[:2], Bank(*four[:2])
    ways = {
        "beta_vae": lambda: beta_vae_score(bank, seed=seed), "factor_vae": lambda: factor_vae_score(bank, seed=seed),
        "mig": lambda: S.mig(*two), "sap": lambda: P.sap(*four), "modularity": lambda: S.modularity(*two),
        "explicitness": lambda: P.explicitness(*four), "irs": lambda: S.irs(*two), "infomec": lambda: infomec(*two, seed=seed),
        "dci": lambda: P.dci(*four, seed=seed), "gaussian_total_correlation": lambda: S.gaussian_total_correlation(four[0]),
        "active_units": lambda: S.active_units(four[0])}
    if not dci:
        del ways["dci"]
    scores, seconds = {}, {}
    for name, way in ways.items():
        start = time.perf_counter()
        value = way()
        values = {f"{name}_{part}": v for part, v in value.items()} if isinstance(value, dict) else {name: value}
        scores.update(values)
        seconds.update(dict.fromkeys(values, time.perf_counter() - start))      # the parts of one score share its time
    return scores, seconds


def baseline(name, model, images, factors, seed=0):
    """Codes of the same images for which nothing was learned, (N, D): ``name`` is one of BASELINES.

    The first components of the pixels' PCA, as many as the model has latents; an encoder like the model's with random
    weights; a random projection of the pixels; the standardised factors; these, rotated: the same information, no axis a
    factor, and under a Gaussian prior as likely as before (Locatello et al. 2019, theorem 1).
    """
    if name == "untrained encoder":
        untrained = copy.deepcopy(model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module in untrained.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
        return L.encode(untrained, images)[0]
    rng = np.random.default_rng(seed)
    if name.endswith("ground truth"):
        truth = as_array(factors).astype(np.float64)
        truth = (truth - truth.mean(0)) / truth.std(0)
        return truth @ np.linalg.qr(rng.normal(size=(truth.shape[1],) * 2))[0] if name.startswith("rotated") else truth
    pixels = as_array(to_batch(images).flatten(1))
    if name == "random projection":
        return pixels @ rng.normal(size=(pixels.shape[1], model.latent_dim)).astype(np.float32) / pixels.shape[1] ** 0.5
    components = min(model.latent_dim, *pixels.shape)
    return PCA(components, svd_solver="randomized", random_state=seed).fit_transform(pixels)


def baselines(model, data, n, seed=0):
    """Codes of ``n`` images, (n, D) each, by the name of who made them, the model first; and the factors (n, K)."""
    images, factors = render(data, n, seed)
    codes = {name: baseline(name, model, images, factors, seed) for name in BASELINES}
    return {"model": L.encode(model, images)[0], **codes}, factors
