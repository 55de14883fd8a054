"""The two scores that draw samples of their own, in groups that share a factor."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from .. import latents
from ._checks import check_arrays, check_codes
from ._predictors import protocol

TOGETHER = 50          # groups encoded at a time


def encoder(encode):
    """``encode`` itself, a function from images to codes (n, D); of a model, the means of its latents."""
    if isinstance(encode, torch.nn.Module):
        return lambda images: latents.encode(encode, images)[0]
    return encode


class Fresh:
    """Images drawn anew for every group: the papers' protocol. A draw is an array of factors (n, K)."""

    def __init__(self, encode, data):
        missing = [name for name in ("factor_sizes", "sample_factors", "images") if not hasattr(data, name)]
        if missing:
            raise TypeError(f"data must know its factors, and {type(data).__name__} has no {' and no '.join(missing)}")
        self.encode, self.data, self.factors = encoder(encode), data, len(data.factor_sizes)

    def draw(self, n, generator):
        return self.data.sample_factors(n, generator)

    def partners(self, draw, ks, generator):
        """For each of ``draw`` another one: the same in its factor of ``ks`` (n,), and new in all else."""
        other, n = self.draw(len(draw), generator), torch.arange(len(draw))
        other[n, ks] = draw[n, ks]
        return other

    def codes(self, draw):
        codes = check_codes(self.encode(self.data.images(draw)))
        if len(codes) != len(draw):
            raise ValueError(f"encode must give one code for each image, got {len(codes)} for {len(draw)}")
        return codes


class Bank:
    """Codes (N, D) of images encoded once, drawn from again and again. A draw is an array of row numbers (n,).

    The protocol without a million images to encode; groups that share a factor come from fewer of them.
    """

    def __init__(self, codes, factors):
        self.stored, values = check_arrays(codes, factors)
        self.factors, (rows, numbers, counts) = values.shape[1], ([], [], [])
        for v in values.T:
            number, count = np.unique(v, return_inverse=True, return_counts=True)[1:]
            numbers.append(number + sum(map(len, counts)))         # of all values of all factors
            rows.append(np.argsort(number, kind="stable"))         # those with the same value side by side
            counts.append(count)
        self.numbers, self.rows = torch.from_numpy(np.stack(numbers, axis=1)), torch.from_numpy(np.concatenate(rows))
        self.counts = torch.from_numpy(np.concatenate(counts))
        self.first = self.counts.cumsum(0) - self.counts

    def draw(self, n, generator):
        return torch.randint(len(self.stored), (n,), generator=generator)

    def partners(self, draw, ks, generator):
        value = self.numbers[draw, ks]
        return self.rows[self.first[value] + (torch.rand(len(draw), generator=generator) * self.counts[value]).long()]

    def codes(self, draw):
        return self.stored[draw.numpy()]


def groups(source, points, generator):
    """Random factors ks, (TOGETHER,) or fewer at a time, until there are ``points``."""
    ks = torch.randint(source.factors, (points,), generator=generator)
    return ks.split(TOGETHER)


def differences(source, points, size, generator):
    """Features of the BetaVAE score (points, D): mean |z1 - z2| over ``size`` pairs; and the factor each pair shares."""
    features, labels = [], []
    for ks in groups(source, points, generator):
        one = source.draw(len(ks) * size, generator)
        other = source.partners(one, ks.repeat_interleave(size), generator)
        gaps = np.abs(source.codes(one) - source.codes(other))
        features.append(gaps.reshape(len(ks), size, -1).mean(1))
        labels.append(ks.numpy())
    return np.concatenate(features), np.concatenate(labels)


def beta_vae_score(encode, data=None, seed=0, train=10_000, test=5_000, size=64):
    """BetaVAE score, 1/K to 1. Higgins et al. 2017, section 3: which factor did a batch of pairs share?

    A logistic regression tells it from mean |z1 - z2|; its accuracy on new batches. Rewards codes in which something
    stands still when a factor does; a guess is right once in K. It is too easy: rotated codes and many poor models
    score 1. ``encode``: a model, or a function from images to codes (n, D), with ``data`` that draws the images; or
    a ``Bank``, without.
    """
    source, generator = source_of(encode, data), torch.Generator().manual_seed(seed)
    x, y = differences(source, train, size, generator)
    x_test, y_test = differences(source, test, size, generator)
    if len(np.unique(y)) == 1:               # one factor, or as good as no points: nothing to tell apart
        return float(np.mean(y_test == y[0]))
    with protocol():
        return float(LogisticRegression().fit(x, y).score(x_test, y_test))


def votes(source, points, size, variance, active, generator):
    """Vote table of the FactorVAE score (K, D): for each fixed factor, which latent varied least."""
    table = np.zeros((source.factors, len(variance)), dtype=int)
    for ks in groups(source, points, generator):
        first = source.draw(len(ks), generator)
        together = source.partners(first.repeat_interleave(size, 0), ks.repeat_interleave(size), generator)
        local = source.codes(together).reshape(len(ks), size, -1).var(1, ddof=1)
        ratio = np.where(active, local / np.where(active, variance, 1), np.inf)
        np.add.at(table, (ks.numpy(), ratio.argmin(1)), 1)
    return table


def majority_accuracy(train, test):
    """How often the factor that a latent mostly votes for in ``train`` (K, D) is right in ``test`` (K, D)."""
    return float(test[train.argmax(0), np.arange(train.shape[1])].sum() / test.sum())


def factor_vae_score(encode, data=None, seed=0, train=10_000, test=5_000, size=64, samples=10_000, threshold=0.05):
    """FactorVAE score, 1/K to 1, or 0. Kim & Mnih 2018, section 4: which latent stands still when a factor does?

    In batches that share a factor, the latent of least variance, in units of its variance everywhere, votes for it;
    the accuracy of the majority vote on new batches. Latents with a standard deviation below ``threshold`` have no
    vote; 0 if none has. Rewards a latent for every factor. It does not see what else a latent holds, nor
    a factor that is spread over several. Arguments as for ``beta_vae_score``.
    """
    source, generator = source_of(encode, data), torch.Generator().manual_seed(seed)
    parts = [source.codes(source.draw(min(1000, samples), generator)) for _ in range(-(-samples // 1000))]
    variance = np.concatenate(parts).var(0, ddof=1)
    active = np.sqrt(variance) >= threshold
    if not active.any():
        return 0.0
    return majority_accuracy(*(votes(source, n, size, variance, active, generator) for n in (train, test)))


def source_of(encode, data):
    if isinstance(encode, Bank):
        return encode
    if data is None or not callable(encode):
        raise ValueError("this score draws its own images: pass encode (images -> codes) and data with factors, or a Bank")
    return Fresh(encode, data)
