"""All scores of a model at once, over several evaluation seeds, beside baselines that learned nothing."""

import copy
import html
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from tqdm.auto import tqdm

from .. import latents
from ..data import draw, render, to_batch
from ..data.files import say
from ._checks import as_array, standardised, varying
from ._groups import Bank, beta_vae_score, factor_vae_score
from ._histograms import active_codes, active_units, gaussian_total_correlation, irs, mig, modularity
from ._infomec import infomec
from ._predictors import dci, explicitness, sap

UNTRAINED = "untrained encoder"
BASELINES = ("pixels' PCA", UNTRAINED, "random projection", "ground truth", "rotated ground truth")
MODEL, ACTIVE = "model", "active latents"      # columns of an Evaluation: all latents, and the active ones alone


@dataclass
class Evaluation:
    """Scores of a model and the seconds they took: name -> list, one entry per evaluation seed.

    ``active``: the scores of the active latents alone; ``baselines``: the scores of other codes, column -> name ->
    list. Printed, a table: mean ± half the range over the seeds.
    """

    scores: dict
    seconds: dict
    seeds: tuple
    baselines: dict = field(default_factory=dict)
    active: dict = field(default_factory=dict)

    def mean(self, name: str, of: str = MODEL) -> float:
        """Mean of a score over the evaluation seeds; ``of``: "model", "active latents" or a baseline."""
        return float(np.mean(self.columns[of][name]))

    def spread(self, name: str, of: str = MODEL) -> float:
        """Largest - smallest of a score over the evaluation seeds; ``of`` as for ``mean``."""
        values = self.columns[of][name]
        return float(max(values) - min(values)) if max(values) > min(values) else 0.0      # inf - inf is no number

    @property
    def columns(self) -> dict:
        """Every column of the table: title -> name -> list."""
        active = {ACTIVE: self.active} if self.active else {}
        return {MODEL: self.scores, **active, **self.baselines}

    def cell(self, name: str, of: str) -> str:
        """The text of one cell; empty if the column has no such score."""
        if name not in self.columns[of]:
            return ""
        return f"{self.mean(name, of):.3f} ± {self.spread(name, of) / 2:.3f}"

    def table(self) -> list[list[str]]:
        """The lines of the table, lists of text: a head, then one line for each score."""
        lines = [[name, *(self.cell(name, of) for of in self.columns), f"{np.mean(self.seconds[name]):.1f}"]
                 for name in self.scores]
        return [["score", *self.columns, "seconds"], *lines]

    def caption(self) -> str:
        """One line below the table: the seeds, and what the cells show."""
        seeds = ", ".join(map(str, self.seeds))
        return f"evaluation seeds {seeds}: mean ± half the range; seconds: the model's, per seed"

    def __str__(self) -> str:
        table = self.table()
        first, *others = [max(map(len, column)) + 2 for column in zip(*table)]
        lines = [name.ljust(first) + "".join(text.rjust(width) for text, width in zip(cells, others))
                 for name, *cells in table]
        return "\n".join([*lines, self.caption()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        tags = ["th"] + ["td"] * len(self.scores)
        lines = ["".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in line)
                 for tag, line in zip(tags, self.table())]
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table><p>{html.escape(self.caption())}</p>"


def evaluate(model: Any, data: Any, seeds: Sequence[int] = (0, 1, 2), train: int = 10_000, test: int = 5_000,
             dci: bool = True, verbose: bool = True, against: Sequence[str] = BASELINES, active: bool = True
             ) -> Evaluation:
    """Compute every score of ``model`` on ``data`` with known factors, for each evaluation seed, beside baselines.

    ``model``: anything with an ``encoder(x)`` -> (mu, logvar) and a ``latent_dim``. Each seed draws ``train`` +
    ``test`` images. Factors with one value in the data are left out. The BetaVAE and FactorVAE scores draw their groups
    from the first of the images (``Bank``), where the papers encode 1.9 and 1 million; ``beta_vae_score(model, data)``
    does as the papers. Measured on the shipped ``btcvae``, three seeds, 1,000 / 500 groups: .894 ± .021 and .740 ± .035
    from a bank, .889 ± .003 and .735 ± .003 from fresh images; with all 10,000 / 5,000 groups .882 and .735
    (``benchmarks/metrics.py --fresh``).

    ``active``: also score the active latents alone (if some are collapsed), since modularity, DCI, Gaussian TC and
    others depend on collapsed latents. ``dci=False`` leaves out the slowest score, ``against=()`` the baselines; each
    column costs as much time as the model's. An encoder that is not a torch module has no "untrained encoder". Shows a
    bar in a terminal and in a notebook, and prints the table unless ``verbose=False``. Raises ValueError for an unknown
    baseline, or if a score cannot be computed.
    """
    unknown = sorted(set(against) - set(BASELINES))
    if unknown:
        raise ValueError(f"against may hold {', '.join(BASELINES)}, got {', '.join(unknown)}")
    if not seeds:
        raise ValueError("seeds must hold at least one number")
    columns, seconds = {}, {}
    with tqdm(desc="scores", unit="column", leave=False, disable=None) as bar:
        for seed in seeds:
            images, factors = draw(data, train + test, seed)
            factors = factors[:, _scored(factors[:train], data, verbose and seed == seeds[0])]
            mu, logvar = latents.encode(model, images)
            codes = {MODEL: mu}
            if active and not latents.active(mu, logvar).all():
                codes[ACTIVE] = active_codes(mu, logvar)
            for name in against:
                if name != UNTRAINED or isinstance(model.encoder, nn.Module):
                    codes[name] = baseline(name, model, images, factors, seed)
            bar.total = len(seeds) * len(codes)
            for name, z in codes.items():
                scores, took = score_codes(z[:train], factors[:train], z[train:], factors[train:], seed, dci)
                if name == MODEL:
                    scores["kl"], took["kl"] = float(latents.kl_per_latent(mu, logvar).sum()), 0.0
                    collect(seconds, took)
                collect(columns.setdefault(name, {}), scores)
                bar.update()
    found = Evaluation(columns.pop(MODEL), seconds, tuple(seeds), active=columns.pop(ACTIVE, {}), baselines=columns)
    if verbose:
        say(str(found))
    return found


def _scored(factors: torch.Tensor, data: Any, verbose: bool) -> np.ndarray:
    """Which factors can be scored, bool (K,): those with more than one value. The others are named if ``verbose``."""
    varied = varying(factors)
    if verbose and not varied.all():
        names = [str(name) for name, varies in zip(data.factor_names, varied) if not varies]
        say(f"not scored, since they have one value in these data: {', '.join(names)}")
    return varied


def collect(lists: dict[str, list], values: dict[str, float]) -> None:
    """Append each of ``values`` to the list of its name."""
    for name, value in values.items():
        lists.setdefault(name, []).append(value)


def score_codes(codes_train: ArrayLike, factors_train: ArrayLike, codes_test: ArrayLike, factors_test: ArrayLike,
                seed: int = 0, dci: bool = True) -> tuple[dict[str, float], dict[str, float]]:
    """Compute every score of codes with known factors -> ({name: score}, {name: seconds}).

    To score active latents alone, pass ``active_codes``. A score of several parts gives one entry per part,
    "dci_disentanglement"; its parts share its seconds. ``dci=False`` leaves out the slowest one.
    """
    four = [as_array(a) for a in (codes_train, factors_train, codes_test, factors_test)]
    two, bank = four[:2], Bank(*four[:2])
    scores, seconds = {}, {}
    for name, score, arguments, takes_seed in SCORES:
        if name == "dci" and not dci:
            continue
        given = {"two": two, "four": four, "bank": [bank], "codes": four[:1]}[arguments]
        start = time.perf_counter()
        value = score(*given, seed=seed) if takes_seed else score(*given)
        parts = {f"{name}_{part}": v for part, v in value.items()} if isinstance(value, dict) else {name: value}
        scores.update(parts)
        seconds.update(dict.fromkeys(parts, time.perf_counter() - start))
    return scores, seconds


# name, function, which arrays it takes, whether it takes a seed
SCORES = (("beta_vae", beta_vae_score, "bank", True), ("factor_vae", factor_vae_score, "bank", True),
          ("mig", mig, "two", False), ("sap", sap, "four", False), ("modularity", modularity, "two", False),
          ("explicitness", explicitness, "four", False),
          ("irs", irs, "two", False), ("infomec", infomec, "two", True), ("dci", dci, "four", True),
          ("gaussian_total_correlation", gaussian_total_correlation, "codes", False),
          ("active_units", active_units, "codes", False))


def main_scores(mu: torch.Tensor, logvar: torch.Tensor, factors: torch.Tensor, seed: int = 0, dci: bool = True
                ) -> dict[str, float]:
    """The scores by which runs are compared, with and without collapsed latents: a dict of plain numbers.

    mu, logvar (N, D), factors (N, K), N of 100 or more. ``active_latents`` is their number; ``mig``, ``factor_vae`` and
    ``dci_disentanglement`` are of all latents, the same names with ``_active`` of the active ones alone. DCI is trained
    on the first 1,000 samples (two thirds, if fewer) and tested on half as many: seconds instead of a minute;
    FactorVAE's groups are drawn from all. ``dci=False`` leaves out the slowest score. Factors with one value are left
    out.
    """
    active, factors = latents.active(mu, logvar), factors[:, varying(factors)]
    scores = {"active_latents": int(active.sum()), **_main_scores_of(mu, factors, seed, dci)}
    alone = scores if active.all() else _main_scores_of(active_codes(mu, logvar), factors, seed, dci)
    names = ("mig", "factor_vae", "dci_disentanglement") if dci else ("mig", "factor_vae")
    return {**scores, **{f"{name}_active": alone[name] for name in names}}


def _main_scores_of(codes: torch.Tensor, factors: torch.Tensor, seed: int, with_dci: bool) -> dict[str, float]:
    scores = {"mig": mig(codes, factors), "factor_vae": factor_vae_score(Bank(codes, factors), seed=seed)}
    if with_dci:
        train = min(1000, 2 * len(codes) // 3)
        test = slice(train, train + train // 2)
        found = dci(codes[:train], factors[:train], codes[test], factors[test], seed)
        scores["dci_disentanglement"] = found["disentanglement"]
    return scores


def baseline(name: str, model: Any, images: torch.Tensor, factors: torch.Tensor, seed: int = 0
             ) -> np.ndarray | torch.Tensor:
    """Codes of the same images for which nothing was learned, (N, D): ``name`` is one of BASELINES.

    The first components of the pixels' PCA, as many as the model has latents; an encoder like the model's with random
    weights; a random projection of the pixels; the standardised factors; the same, rotated: equal information, but no
    axis is a factor, and under a Gaussian prior as likely as before (Locatello et al. 2019, theorem 1).
    """
    rng = np.random.default_rng(seed)
    if name == UNTRAINED:
        return latents.encode(with_random_weights(model, seed), images)[0]
    if name.endswith("ground truth"):
        truth = standardised(as_array(factors).astype(np.float64))
        rotation = np.linalg.qr(rng.normal(size=(truth.shape[1],) * 2))[0]
        return truth @ rotation if name.startswith("rotated") else truth
    pixels = as_array(to_batch(images).flatten(1))
    if name == "random projection":
        return pixels @ rng.normal(size=(pixels.shape[1], model.latent_dim)).astype(np.float32) / pixels.shape[1] ** 0.5
    from sklearn.decomposition import PCA

    components = min(model.latent_dim, *pixels.shape)
    return PCA(components, svd_solver="randomized", random_state=seed).fit_transform(pixels)


def with_random_weights(model: Any, seed: int) -> Any:
    """A copy of the model on the CPU, the weights of its encoder drawn as at the start of a training."""
    untrained = copy.deepcopy(model)
    untrained.encoder.cpu()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)      # torch.manual_seed would seed CUDA too, which is not restored
        for module in untrained.encoder.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return untrained


def baselines(model: Any, data: Any, n: int, seed: int = 0
              ) -> tuple[dict[str, np.ndarray | torch.Tensor], torch.Tensor]:
    """Codes of ``n`` images, (n, D) each, by the title of their column, the model's first; and the factors (n, K)."""
    images, factors = render(data, n, seed)
    codes = {name: baseline(name, model, images, factors, seed) for name in BASELINES}
    return {MODEL: latents.encode(model, images)[0], **codes}, factors
