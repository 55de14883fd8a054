"""The two scores that draw their own samples, in groups that share the value of one factor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from .. import latents
from ..data import FactorData
from ._checks import check_arrays, check_codes
from ._predictors import protocol

TOGETHER = 50          # groups encoded at a time


def encoder(encode: Any) -> Callable[[torch.Tensor], ArrayLike]:
    """A function from images to codes (n, D): ``encode`` itself, or the means of a model's latents."""
    if hasattr(encode, "encoder"):
        return lambda images: latents.encode(encode, images)[0]
    return encode


class Fresh:
    """Images drawn for every group: the papers' protocol. A draw is an array of factors (n, K)."""

    def __init__(self, encode: Any, data: Any):
        if not isinstance(data, FactorData):
            raise TypeError(f"data must know its factors (a data.FactorData), got a {type(data).__name__}")
        self.encode, self.data, self.num_factors = encoder(encode), data, len(data.factor_sizes)

    def draw(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return self.data.sample_factors(n, generator)

    def partners(self, draw: torch.Tensor, ks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """For each sample i, another one with the same value of factor ``ks[i]`` and all other factors redrawn."""
        other, n = self.draw(len(draw), generator), torch.arange(len(draw))
        other[n, ks] = draw[n, ks]
        return other

    def codes(self, draw: torch.Tensor) -> np.ndarray:
        codes = check_codes(self.encode(self.data.images(draw)))
        if len(codes) != len(draw):
            raise ValueError(f"encode must give one code for each image, got {len(codes)} for {len(draw)}")
        return codes


class Bank:
    """Codes (N, D) of images that are encoded once and drawn from repeatedly. A draw is an array of row numbers (n,).

    Saves encoding a million images; the groups that share a factor come from fewer images.
    """

    def __init__(self, codes: ArrayLike, factors: ArrayLike):
        self.stored, values = check_arrays(codes, factors)
        self.num_factors = values.shape[1]
        rows, numbers, counts = [], [], []
        for v in values.T:
            number, count = np.unique(v, return_inverse=True, return_counts=True)[1:]
            numbers.append(number + sum(map(len, counts)))         # numbered over all values of all factors
            rows.append(np.argsort(number, kind="stable"))         # samples with the same value side by side
            counts.append(count)
        self.numbers, self.rows = torch.from_numpy(np.stack(numbers, axis=1)), torch.from_numpy(np.concatenate(rows))
        self.counts = torch.from_numpy(np.concatenate(counts))
        self.first = self.counts.cumsum(0) - self.counts

    def draw(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return torch.randint(len(self.stored), (n,), generator=generator)

    def partners(self, draw: torch.Tensor, ks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """For each sample i, a random one with the same value of factor ``ks[i]``."""
        value = self.numbers[draw, ks]
        return self.rows[self.first[value] + (torch.rand(len(draw), generator=generator) * self.counts[value]).long()]

    def codes(self, draw: torch.Tensor) -> np.ndarray:
        return self.stored[draw.numpy()]


Source = Fresh | Bank


def groups(source: Source, points: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Which factor each of ``points`` groups shares, drawn at random, in batches of at most TOGETHER."""
    return iter(torch.randint(source.num_factors, (points,), generator=generator).split(TOGETHER))


def differences(source: Source, points: int, size: int, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features of the BetaVAE score (points, D), and the factor that each group shares.

    A feature is the mean of |z1 - z2| over ``size`` pairs.
    """
    features, labels = [], []
    for ks in groups(source, points, generator):
        one = source.draw(len(ks) * size, generator)
        other = source.partners(one, ks.repeat_interleave(size), generator)
        gaps = np.abs(source.codes(one) - source.codes(other))
        features.append(gaps.reshape(len(ks), size, -1).mean(1))
        labels.append(ks.numpy())
    return np.concatenate(features), np.concatenate(labels)


def beta_vae_score(encode: Any, data: Any = None, seed: int = 0, train: int = 10_000, test: int = 5_000, size: int = 64
                   ) -> float:
    """BetaVAE score, 1/K to 1. Higgins et al. 2017, section 3: which factor did a batch of pairs share?

    The accuracy, on new batches, of a logistic regression that predicts the factor from mean |z1 - z2|. Rewards codes
    in which something stays constant when a factor does; guessing is right once in K. It is too easy: rotated codes and
    many poor models score 1. Collapsed latents hardly matter: their differences are small.

    ``encode``: a model, or a function from images to codes (n, D), with ``data`` that draws the images; or
    a ``Bank`` alone. Raises ValueError or TypeError if data or codes do not fit.
    """
    from sklearn.linear_model import LogisticRegression

    source, generator = source_of(encode, data), torch.Generator().manual_seed(seed)
    x, y = differences(source, train, size, generator)
    x_test, y_test = differences(source, test, size, generator)
    if len(np.unique(y)) == 1:               # one factor, or hardly any points: nothing to distinguish
        return float(np.mean(y_test == y[0]))
    with protocol():
        return float(LogisticRegression().fit(x, y).score(x_test, y_test))


def votes(source: Source, points: int, size: int, variance: np.ndarray, active: np.ndarray, generator: torch.Generator
          ) -> np.ndarray:
    """Vote table of the FactorVAE score (K, D): for each fixed factor, which latent varied least."""
    table = np.zeros((source.num_factors, len(variance)), dtype=int)
    for ks in groups(source, points, generator):
        first = source.draw(len(ks), generator)
        together = source.partners(first.repeat_interleave(size, 0), ks.repeat_interleave(size), generator)
        local = source.codes(together).reshape(len(ks), size, -1).var(1, ddof=1)
        ratio = np.where(active, local / np.where(active, variance, 1), np.inf)
        np.add.at(table, (ks.numpy(), ratio.argmin(1)), 1)
    return table


def majority_accuracy(train: np.ndarray, test: np.ndarray) -> float:
    """Share of votes in ``test`` (K, D) for the factor that has most of the latent's votes in ``train`` (K, D)."""
    return float(test[train.argmax(0), np.arange(train.shape[1])].sum() / test.sum())


def factor_vae_score(encode: Any, data: Any = None, seed: int = 0, train: int = 10_000, test: int = 5_000,
                     size: int = 64, samples: int = 10_000, threshold: float = 0.05) -> float:
    """FactorVAE score, 1/K to 1, or 0. Kim & Mnih 2018, section 4: which latent stays constant when a factor does?

    In batches that share a factor, the latent of least variance, in units of its variance over all images, votes for
    it; the score is the accuracy of the majority vote on new batches. Latents with a standard deviation below
    ``threshold`` do not vote; 0 if no latent votes. So latents that are collapsed in their means are left out, but one
    whose mean still varies by more than that votes, whatever its KL. Rewards a latent for every factor. It does not see
    what else a latent carries, nor a factor that is spread over several. Arguments as for ``beta_vae_score``.
    """
    source, generator = source_of(encode, data), torch.Generator().manual_seed(seed)
    parts = [source.codes(source.draw(min(1000, samples), generator)) for _ in range(-(-samples // 1000))]
    variance = np.concatenate(parts).var(0, ddof=1)
    active = np.sqrt(variance) >= threshold
    if not active.any():
        return 0.0
    return majority_accuracy(*(votes(source, n, size, variance, active, generator) for n in (train, test)))


def source_of(encode: Any, data: Any) -> Source:
    """The ``Bank`` that was given, or images drawn afresh from ``data``."""
    if isinstance(encode, Bank):
        return encode
    if data is None or not (callable(encode) or hasattr(encode, "encoder")):
        raise ValueError("this score draws its own images: pass encode (images -> codes) and data with factors, "
                         "or a Bank")
    return Fresh(encode, data)
