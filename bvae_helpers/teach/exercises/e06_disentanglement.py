"""Checks of notebook 06: the mutual information gap, a majority vote, DCI's disentanglement, a model rotated."""

import copy

import numpy as np
import torch

from ...metrics import discretize, entropy, mig, mutual_information
from ...model import BetaVAE
from ..checking import Answer, Case, Mistake, ModelState, attempt, close, compare, numbers, side_by_side


@attempt
def check_gap(answer: Answer) -> str:
    settings = [((5, 20), 3, 20, 0), ((3, 8, 2), 4, 20, 1), ((6,), 2, 12, 2), ((30, 4), 5, 20, 3)]
    cases = [Case(f"factors of {' and '.join(map(str, sizes))} values, {bins} bins",
                  (*_data(sizes, latents, seed), bins)) for sizes, latents, bins, seed in settings]
    compare(answer, cases, mig, {
        "the joint table's axes are scrambled, as in the code above": _scrambled,
        "only the best latent is counted; the second best is to be subtracted": lambda c, f, b: _gap(c, f, b, 0.0),
        "the gaps are in nats: divide each by the entropy of its factor":
            lambda c, f, b: _gap(c, f, b, divided=lambda v, best: 1.0),
        "you divide by the largest entropy that a factor could have, not by that of its drawn values":
            lambda c, f, b: _gap(c, f, b, divided=lambda v, best: np.log(v.max() + 1)),
        "you divide by the information of the best latent, not by the entropy of the factor":
            lambda c, f, b: _gap(c, f, b, divided=lambda v, best: best),
        "that is the sum over the factors; their mean is wanted": lambda c, f, b: mig(c, f, b) * f.shape[1],
        "that is one gap for each factor; their mean is wanted": lambda c, f, b: [mig(c, v[:, None], b) for v in f.T],
    }, rtol=1e-5, atol=1e-6)
    return f"{mig(*cases[0].args):.4f} for the first data set, as the package's own, for square tables and others"


def _data(sizes: tuple, latents: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes (500, latents) and factors (500, K), whose values are drawn more often the larger they are."""
    generator = np.random.default_rng(seed)
    factors = np.stack([generator.choice(s, 500, p=np.arange(1, s + 1) / (s * (s + 1) / 2)) for s in sizes], axis=1)
    codes = factors @ generator.normal(size=(len(sizes), latents)) + 0.8 * generator.normal(size=(500, latents))
    return codes, factors


def _gap(codes, factors, bins, second=1.0, divided=lambda v, best: entropy(np.bincount(v))) -> float:
    information = np.sort(mutual_information(codes, factors, bins), axis=0)
    gaps = [(i[-1] - second * i[-2]) / divided(v, i[-1]) for i, v in zip(information.T, factors.T)]
    return float(np.mean(gaps))


def _scrambled(codes, factors, bins):
    """The mistake as it circulates, which the notebook shows."""
    binned, gaps = discretize(codes, bins) - 1, []
    for v in factors.T:
        n, information = v.max() + 1, []
        h_v = entropy(np.bincount(v))
        for z in binned.T:
            joint = np.bincount(z * n + v, minlength=bins * n).reshape(n, bins).T
            information.append(entropy(joint.sum(1)) + h_v - entropy(joint))
        second, first = sorted(information)[-2:]
        gaps.append((first - second) / h_v)
    return np.mean(gaps)


@attempt
def check_vote(answer: Answer) -> str:
    cases = []
    # standard deviations over all images, and the share of each that is left: wide, narrow, collapsed latents
    for deviations, left in (((10.0, 0.3, 1.0), (0.5, 0.8, 0.9)),
                             ((0.04, 1.0, 0.15, 10.0), (0.01, 0.6, 0.2, 0.9)),
                             ((0.001, 2.0, 1.0, 0.3), (0.2, 0.7, 0.3, 0.6)),
                             ((0.15, 1.0), (0.5, 0.9)),
                             ((0.2, 0.01, 3.0), (0.9, 0.5, 0.1)),
                             ((0.06, 5.0, 0.6), (0.3, 0.8, 0.7)),
                             ((1.0, 0.045, 1.2, 0.8), (0.5, 0.9, 0.95, 0.9)),
                             ((1.0, 1.2), (0.9, 0.7)), ((0.3, 2.0), (0.4, 0.8)), ((0.4, 10.0), (0.5, 0.9))):
        noise = np.random.default_rng(len(cases)).normal(size=(64, len(left)))
        noise[0, np.argmin(left)] += 8.0            # one code far out: the range is not the variance
        noise = (noise - noise.mean(0)) / noise.std(0, ddof=1)
        codes = 3.0 + noise * np.array(left) * np.array(deviations)
        cases.append(Case(f"standard deviations {deviations} over all images, of which {left} are left",
                          (codes, np.square(deviations))))
    compare(answer, cases, _vote, {
        "the latent that varies least is wanted, not the one that varies most":
            lambda codes, var: np.where(var >= 0.0025, codes.var(0) / np.maximum(var, 1e-9), -1).argmax(),
        "you compare bare variances: a narrow latent wins them all; the share of its own variance counts":
            lambda codes, var: np.where(var >= 0.0025, codes.var(0), np.inf).argmin(),
        "collapsed latents have a vote": lambda codes, var: _vote(codes, var, 0.0),
        "you compare the variance with 0.05; the standard deviation is its square root":
            lambda codes, var: _vote(codes, var, 0.05),
        "you leave out latents that stand still here; those that stand still over all images have no vote":
            lambda codes, var: np.where(codes.std(0) >= 0.05, codes.var(0) / np.maximum(var, 1e-30), np.inf).argmin(),
        "your index counts only the latents that have a vote; count all of them":
            lambda codes, var: (codes.var(0)[var >= 0.0025] / var[var >= 0.0025]).argmin(),
    }, rtol=0, atol=0)
    return "the latent that varies least has the vote, and collapsed ones have none"


def _vote(codes: np.ndarray, variance: np.ndarray, least: float = 0.0025) -> int:
    share = codes.var(0, ddof=1) / np.maximum(variance, 1e-30)
    return int(np.where(variance >= least, share, np.inf).argmin())


@attempt
def check_disentanglement(answer: Answer) -> str:
    generator = np.random.default_rng(0)
    tables = [np.array([[4.0, 1.0], [0.0, 3.0], [2.0, 2.0]]), generator.exponential(size=(5, 3)),
              generator.exponential(size=(3, 6)) ** 2, np.eye(4),
              np.vstack([generator.exponential(size=(4, 2)), [0.0, 0.0]]),
              np.vstack([np.zeros(3), 3 * np.eye(3)[:2], [[0.2, 1.0, 0.0]]])]
    cases = [Case(f"importance {np.round(table, 2).tolist()}", (table,)) for table in tables]
    compare(answer, cases, _disentanglement, {
        "you go along the columns (that is completeness); each latent is a row": lambda t: _disentanglement(t.T),
        "the logarithm is the natural one; its base is to be K, the number of factors":
            lambda t: _disentanglement(t, base=np.e),
        "the logarithm has base 2; its base is to be K, the number of factors": lambda t: _disentanglement(t, base=2),
        "the logarithm has base D, the number of latents; its base is to be K, the number of factors":
            lambda t: _disentanglement(t, base=len(t)),
        "every latent counts the same; weight each by its share of all importance": lambda t: _purity(t).mean(),
        "every latent with some importance counts the same; weight each by its share":
            lambda t: _purity(t)[t.sum(1) > 0].mean(),
        "the weights do not add up to 1: divide by all importance": lambda t: (_purity(t) * t.sum(1)).sum(),
    }, rtol=2e-3, atol=2e-3)
    return "rows, base K, weighted by importance"


def _purity(table: np.ndarray, base: float | None = None) -> np.ndarray:
    p = table / np.maximum(table.sum(1), 1e-12)[:, None]
    return 1 + (p * np.log(p + 1e-12)).sum(1) / np.log(base or table.shape[1])


def _disentanglement(table: np.ndarray, base: float | None = None) -> float:
    return float((_purity(table, base) * table.sum(1)).sum() / table.sum())


def rotated_model(model: BetaVAE, rotation: torch.Tensor) -> BetaVAE:
    """A copy of a model with the mean codes R mu and the same pictures; ``rotation``: R (D, D), orthogonal.

    The notebook shows such a model long before the exercise that asks for this function.
    """
    twin = copy.deepcopy(model)
    with torch.no_grad():
        last, first = twin.encoder.fc_mu, twin.decoder.decoder_input[0]
        last.weight.copy_(rotation @ last.weight)
        last.bias.copy_(rotation @ last.bias)
        first.weight.copy_(first.weight @ rotation.T)
    return twin


@attempt
def check_rotated(answer: Answer) -> str:
    for latents, seed in ((4, 0), (3, 1)):
        torch.manual_seed(seed)
        model = BetaVAE(1, latents, [4, 4], img_size=16, network="sprites")
        with torch.no_grad():
            model.encoder.fc_mu.bias.normal_()
        x, rotation = torch.rand(6, 1, 16, 16), torch.linalg.qr(torch.randn(latents, latents)).Q
        kept, state = copy.deepcopy(model), ModelState(model)
        turned = answer(model, rotation)
        state.check()
        if not isinstance(turned, torch.nn.Module):
            raise Mistake("your function is to return the rotated model")
        if turned is model:
            raise Mistake("you return the model itself; a copy is wanted")
        with torch.no_grad():
            _check_codes(turned, kept, x, rotation)
    return "other codes, the same pictures"


def _check_codes(turned: torch.nn.Module, model: BetaVAE, x: torch.Tensor, rotation: torch.Tensor) -> None:
    (mu, logvar), (new, new_logvar) = model.encoder(x), turned.encoder(x)
    want, bias = mu @ rotation.T, model.encoder.fc_mu.bias
    for message, wrong in {
            "the codes are turned backwards: mu' = R mu is wanted, for each image": mu @ rotation,
            "the bias of fc_mu is not turned": want - rotation @ bias + bias,
            "the codes are as they were": mu}.items():
        if close(numbers(new), wrong.double()) and not close(numbers(new), want.double()):
            raise Mistake(message)
    if not close(numbers(new), want.double()):
        raise Mistake(side_by_side(numbers(new)[0], want[0].double(), "the code of one image, against R mu"))
    if not close(numbers(new_logvar), logvar.double()):
        raise Mistake("the log variances have changed; only the means are to be turned")
    if not close(numbers(turned.decoder(new)), model.decoder(mu).double()):
        raise Mistake("the codes are right, but the pictures have changed: the decoder has to undo the rotation "
                      "first")
