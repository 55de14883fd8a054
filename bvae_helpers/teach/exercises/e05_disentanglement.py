"""Checks of notebook 05: the mutual information gap, a majority vote, DCI's disentanglement, a model rotated."""

import copy

import numpy as np
import torch

from ...metrics import mig
from ...model import BetaVAE
from ..notebook import attempt


def samples(sizes, n=600, seed=0):
    """Factors (n, K), each value of factor k drawn with a probability proportional to 1, 2, 3 ..."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.choice(s, n, p=np.arange(1, s + 1) / (s * (s + 1) / 2)) for s in sizes], axis=1)


@attempt
def check_gap(fn):
    factors = samples((20, 5))                                # 20 values in 20 bins: a square table hides scrambled axes
    noise = np.random.default_rng(1).normal(size=(len(factors), 3))
    codes = np.concatenate([factors + 0.4 * noise[:, :2], noise[:, 2:]], axis=1)
    got, want = fn(codes, factors), mig(codes, factors)
    assert np.ndim(got) == 0, f"your answer has shape {np.shape(got)}; one number is wanted, the mean over factors"
    five = fn(codes[:, 1:], factors[:, 1:])
    assert five > 0.6, f"a code that tells the 5-valued factor well scores {five:.2f}: the joint table's axes are scrambled"
    twice = fn(np.concatenate([codes, codes], axis=1), factors)
    assert abs(twice) < 1e-6, f"codes that hold everything twice score {twice:.2f}, not 0: subtract the second best"
    assert got <= 1, f"your gap is {got:.2f} and cannot be above 1: divide it by H(v)"
    assert abs(got - want) < 1e-6, (f"your gap is {got:.4f}, the package's {want:.4f}: divide by H(v), the entropy of the factor "
                                    "as it was drawn, not by its largest possible value, nor by the information found")
    return f"correct: {got:.4f}, as the package says, for square tables and others"


@attempt
def check_vote(fn):
    rng = np.random.default_rng(0)
    variance = np.array([100.0, 1.0, 1e-6])                   # a wide latent, a narrow one, a dead one
    wide = rng.normal(size=(64, 3)) * np.sqrt(variance) * [0.1, 0.9, 1.0]
    got = fn(wide, variance)
    assert np.ndim(got) == 0, f"your vote has shape {np.shape(got)}; the index of one latent is wanted"
    narrow = rng.normal(size=(64, 3)) * np.sqrt(variance) * [0.9, 0.2, 1.0]
    assert np.ndim(got) or int(fn(narrow, variance)) != 0, "the latent that varies least is wanted, not the one that varies most"
    assert int(got) != 2, "the dead latent got the vote: leave out latents with a standard deviation below 0.05"
    assert int(got) != 1, "you compared bare variances: a narrow latent wins them all; divide by the global variance"
    assert int(got) == 0, f"your vote is latent {int(got)}; latent 0 stands still, a hundredth of its variance is left"
    return "correct: the latent that stands still has the vote, and the dead have none"


@attempt
def check_disentanglement(fn):
    identity = np.eye(3)
    assert abs(fn(identity) - 1) < 1e-6, f"one latent a factor gives {fn(identity):.3f}; 1 is wanted"
    even = np.ones((4, 3)) / 4
    assert abs(fn(even)) < 1e-6, f"every latent for every factor gives {fn(even):.3f}; 0 is wanted: log to the base K, factors"
    twice = np.concatenate([identity, identity]) / 2
    assert abs(fn(twice) - 1) < 1e-6, \
        f"duplicated latents give {fn(twice):.3f}; 1 is wanted: the entropy is over the factors, along a row (you took columns)"
    shares = np.array([[0.9, 0.0], [0.1, 0.0], [0.0, 0.5], [0.0, 0.5]])
    assert abs(fn(shares) - 1) < 1e-6, "rows of pure latents score 1, however the columns are shared"
    dead = np.array([[1.0, 0.0], [0.0, 0.98], [0.01, 0.01], [0.0, 0.0]])
    got, want = float(fn(dead)), 1.98 / 2.0
    assert np.isfinite(got), "a latent without any importance gives NaN: it has no say"
    assert abs(got - want) < 1e-4, f"you found {got:.3f}, not {want:.3f}: weight each latent by its share of all importance"
    return "correct: rows, base K, weighted by importance"


@attempt
def check_rotated(fn):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BetaVAE(1, 4, [4, 4], img_size=16, network="sprites")
        x, rotation = torch.rand(6, 1, 16, 16), torch.linalg.qr(torch.randn(4, 4)).Q
    kept = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        mu, turned = model.encode(x), fn(model, rotation)
        assert all(torch.equal(v, kept[k]) for k, v in model.state_dict().items()), \
            "the model that was passed in has changed: work on a copy.deepcopy"
        new = turned.encode(x)
        assert not torch.allclose(new, mu @ rotation, atol=1e-5), "the codes are turned backwards: mu' = R mu, the weights R W"
        linear = mu @ rotation.T
        bias = rotation @ model.encoder.fc_mu.bias - model.encoder.fc_mu.bias
        assert not torch.allclose(new, linear - bias, atol=1e-5), "the bias of fc_mu is not turned: mu' = R (W h + b)"
        assert torch.allclose(new, linear, atol=1e-5), "the new codes are not R mu"
        assert torch.allclose(turned.decoder(new), model.decoder(mu), atol=1e-5), \
            "the pictures have changed: the decoder has to turn back first, its first weights times the transpose of R"
    return "correct: other codes, the same pictures"
