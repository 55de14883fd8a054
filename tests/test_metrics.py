"""Scores of codes whose score is known, the field's own numbers, and what cannot be scored."""

import json
import warnings

import numpy as np
import pytest
import torch

from bvae_helpers import metrics as M
from bvae_helpers.paired import majority_accuracy
from bvae_helpers.sprites import Sprites

SIZES = (3, 4, 5)
LATTICE = np.stack(np.meshgrid(*map(np.arange, SIZES), indexing="ij"), axis=-1).reshape(-1, 3)     # (60, 3), each once


def test_identity_scores_1():
    assert M.mig(LATTICE, LATTICE) == pytest.approx(1.0, abs=1e-12)
    noise = np.random.default_rng(0).permutation(60)[:, None] * 0.0
    scrambled = np.hstack([noise, -2.5 * LATTICE[:, [2, 0, 1]] + 7])      # order, sign and scale don't matter
    assert M.mig(scrambled, LATTICE) == pytest.approx(1.0, abs=1e-12)


def test_constant_and_duplicated_codes_score_0():
    assert M.mig(np.ones((60, 4)), LATTICE) == pytest.approx(0.0, abs=1e-12)
    assert M.mig(np.hstack([LATTICE, LATTICE]), LATTICE) == pytest.approx(0.0, abs=1e-12)


def test_a_score_worked_out_by_hand():
    # latent 0 is the factor with 4 classes; latent 1 tells its halves apart, 1 of its 2 bits: a gap of one half
    v = np.repeat(np.arange(4), 5)[:, None]
    assert M.mig(np.hstack([v, v // 2]), v) == pytest.approx(0.5, abs=1e-12)


def test_mutual_information_is_in_nats():
    table = M.mutual_information(LATTICE, LATTICE)
    assert table == pytest.approx(np.diag(np.log(SIZES)), abs=1e-12)
    assert M.entropy(np.array([5, 5, 0])) == pytest.approx(np.log(2))


def test_bins():
    codes = np.array([[0.0, 3.0], [0.49, 3.0], [0.51, 3.0], [1.0, 3.0]])
    binned = M.discretize(codes, bins=2)
    assert binned[:, 0].tolist() == [1, 1, 2, 2] and len(set(binned[:, 1])) == 1


@pytest.mark.parametrize("name", ("perfect", "partial"))
def test_the_fields_own_numbers(shared_file, name):
    expected = json.loads(shared_file("metrics/expected.json").read_text())[name]["arrays"]["mig.discrete_mig"]
    with np.load(shared_file(f"metrics/{name}.npz")) as arrays:
        assert M.mig(arrays["codes_train"], arrays["factors_train"]) == pytest.approx(expected, abs=1e-9)


def test_more_samples_of_the_same_code_do_not_change_the_score():
    codes = np.hstack([LATTICE, LATTICE[:, :1] + LATTICE[:, 1:2]]).astype(float)
    score = M.mig(codes, LATTICE)
    assert 0 < score < 1 and M.mig(np.tile(codes, (3, 1)), np.tile(LATTICE, (3, 1))) == pytest.approx(score, abs=1e-12)
    assert type(score) is float


BAD = LATTICE.astype(float)
BAD[3, 1] = np.nan


@pytest.mark.parametrize("codes, factors, said", [
    (LATTICE[:, 0], LATTICE, r"codes must be \(N, D\)"), (LATTICE[:-1], LATTICE, "same N"),
    (LATTICE[:, :1], LATTICE, "at least 2 latents"),
    (BAD, LATTICE, "NaN"), (LATTICE, LATTICE + 0.5, "whole numbers"),
    (LATTICE[:10], LATTICE[:10], "fewer than the 20 bins"),
    (LATTICE, LATTICE * [1, 0, 1], "factor 1 has only one value")])
def test_what_cannot_be_scored_is_named(codes, factors, said):
    with pytest.raises(ValueError, match=said):
        M.mig(codes, factors)


# Every score on the answers that are known

FACTORS = np.tile(LATTICE, (10, 1))                                        # (600, 3)
CODES = np.hstack([FACTORS - FACTORS.mean(0), np.zeros((600, 1))]) / 2     # the truth, and a dead latent


def halves(codes):
    """The same samples to train and to test on: the lattice is all there is."""
    return codes, FACTORS, codes, FACTORS


SCORES = {
    "mig": lambda z: M.mig(z, FACTORS), "sap": lambda z: M.sap(*halves(z)), "modularity": lambda z: M.modularity(z, FACTORS),
    "explicitness": lambda z: M.explicitness(*halves(z)), "irs": lambda z: M.irs(z, FACTORS),
    "disentanglement": lambda z: M.dci(*halves(z))["disentanglement"],
    "completeness": lambda z: M.dci(*halves(z))["completeness"],
    "informativeness": lambda z: M.dci(*halves(z))["informativeness"],
    "infomodularity": lambda z: M.infomec(z, FACTORS)["modularity"],
    "infocompactness": lambda z: M.infomec(z, FACTORS)["compactness"],
    "infoexplicitness": lambda z: M.infomec(z, FACTORS)["explicitness"],
    "beta_vae": lambda z: M.beta_vae_score(M.Bank(z, FACTORS), train=600, test=300),
    "factor_vae": lambda z: M.factor_vae_score(M.Bank(z, FACTORS), train=600, test=300)}
# name: identity, constant codes, duplicated codes (what theory says), a rotation of two factors
KNOWN = {
    "mig": (1, 0, 0), "sap": (None, 0, 0), "modularity": (0.75, 0, 0.75), "explicitness": (None, 0.5, None), "irs": (1, 0, 1),
    "disentanglement": (1, 0, 1), "completeness": (1, 0, None), "informativeness": (1, None, 1),
    "infomodularity": (1, 0, 1), "infocompactness": (1, 0, None), "infoexplicitness": (None, 0, None),
    "beta_vae": (1, None, 1), "factor_vae": (1, 0, 1)}


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", SCORES)
def test_known_answers(name):
    identity, constant, duplicated = KNOWN[name]
    found = [SCORES[name](z) for z in (CODES, np.ones_like(CODES), np.hstack([CODES, CODES]))]
    assert all(type(v) is float and np.isfinite(v) for v in found)
    for value, known in zip(found, (identity, constant, duplicated)):
        if known is not None:
            assert value == pytest.approx(known, abs=0.02)
    assert found[0] > found[1] + 0.1                            # the truth beats what knows nothing
    if name == "beta_vae":
        assert found[1] < 0.45                                  # a guess among three


@pytest.mark.parametrize("name", SCORES)
def test_order_and_signs_of_the_latents_change_nothing(name):
    noise = np.random.default_rng(0).normal(size=(600, 3))
    z = np.hstack([FACTORS / 3 + 0.2 * noise @ [[1, 0.5, 0], [0, 1, 0], [0.5, 0, 1]], 0.3 * noise[:, :1]])
    # bins do not mirror exactly, nor do the sampled scores draw the same: to a hundredth
    assert SCORES[name](-z[:, [2, 0, 3, 1]]) == pytest.approx(SCORES[name](z), abs=0.015)


# Some look for no axes; and with three factors a rotation does not fool the two that draw groups
@pytest.mark.parametrize("name", ["mig", "sap", "modularity", "irs", "disentanglement", "infomodularity", "infocompactness"])
def test_rotation_ruins_the_scores_that_ask_for_axes(name):
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    z = (FACTORS - FACTORS.mean(0)) / FACTORS.std(0)
    assert SCORES[name](z @ rotation) < SCORES[name](z) - (0.01 if name == "sap" else 0.1)


def test_gaussian_total_correlation_of_a_known_gaussian():
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 100_000)
    assert M.gaussian_total_correlation(z) == pytest.approx(-0.5 * np.log(1 - 0.81), abs=0.01)
    assert M.gaussian_total_correlation(CODES) == pytest.approx(0, abs=1e-9)
    assert M.gaussian_total_correlation(np.ones((10, 3))) == 0
    assert M.gaussian_total_correlation(np.hstack([CODES, CODES])) == float("inf")


def test_active_units_and_kl():
    assert M.active_units(CODES) == 3
    assert M.kl_per_latent(torch.zeros(5, 2), torch.zeros(5, 2)).tolist() == [0, 0]


@pytest.mark.parametrize("method", ("spearman", "lasso"))
def test_udr_knows_models_that_agree(method):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(500, 4))
    kl = np.array([2.0, 2.0, 2.0, 0.0])
    rotated = [np.hstack([z[:, :3] @ np.linalg.qr(rng.normal(size=(3, 3)))[0], z[:, 3:]]) for _ in range(3)]
    alike = M.udr([z, -z[:, [2, 1, 0, 3]], 3 * z], [kl] * 3, method)
    apart = M.udr(rotated, [kl] * 3, method)
    assert min(alike) > 0.75 and max(apart) < min(alike) - 0.15
    assert M.udr([z, z], [np.zeros(4)] * 2, method) == [0.0, 0.0]              # nothing informative


@pytest.mark.parametrize("codes, kls, said", [
    ([CODES], [np.ones(4)], "at least 2 models"), ([CODES, CODES[:50]], [np.ones(4)] * 2, "same images"),
    ([CODES, CODES], [np.ones(4), np.ones(3)], "one KL for each latent")])
def test_udr_names_what_is_wrong(codes, kls, said):
    with pytest.raises(ValueError, match=said):
        M.udr(codes, kls)


def test_fresh_images_and_a_bank_agree():
    sprites, sizes = Sprites(), torch.tensor(Sprites.factor_sizes)

    class Factors:                      # the images are the factors themselves, so that encoding costs nothing
        factor_names, factor_sizes, sample_factors = sprites.factor_names, sprites.factor_sizes, Sprites.sample_factors

        def images(self, factors):
            return factors

    def encode(factors):
        z = factors / sizes - 0.5
        return torch.cat([z[:, :1] + z[:, 1:2], z[:, 1:]], dim=1)

    factors = Factors().sample_factors(10_000, torch.Generator().manual_seed(1))
    bank = M.Bank(encode(factors), factors)
    for score in (M.beta_vae_score, M.factor_vae_score):
        fresh = score(encode, Factors(), train=1000, test=1000)
        assert 0.3 < fresh and score(bank, train=1000, test=1000) == pytest.approx(fresh, abs=0.04)
        assert score(bank, seed=3, train=100, test=100) == score(bank, seed=3, train=100, test=100)


def test_scores_that_draw_need_something_to_draw_from():
    with pytest.raises(ValueError, match="pass encode .* and data"):
        M.factor_vae_score(lambda x: x)


@pytest.mark.parametrize("score", (M.sap, M.explicitness, M.dci))
def test_test_arrays_must_fit(score):
    with pytest.raises(ValueError, match="test arrays must be"):
        score(CODES, FACTORS, CODES[:, :2], FACTORS)


@pytest.mark.parametrize("name", ("perfect", "partial"))
def test_parity_with_disentanglement_lib(shared_file, name):
    expected = json.loads(shared_file("metrics/expected.json").read_text())[name]["arrays"]
    with np.load(shared_file(f"metrics/{name}.npz")) as arrays:
        a = dict(arrays)
    four = [a[k] for k in ("codes_train", "factors_train", "codes_test", "factors_test")]
    exact = {"modularity_score": M.modularity(*four[:2]), "irs.IRS": M.irs(*four[:2]),
             "gaussian_total_correlation": M.gaussian_total_correlation(four[0])}
    for key, value in exact.items():
        assert value == pytest.approx(expected[key], abs=1e-6), key
    near = {"sap.SAP_score": M.sap(*four), "explicitness_score_test": M.explicitness(*four)}
    for key, value in near.items():
        assert value == pytest.approx(expected[key], abs=0.01), key
    assert majority_accuracy(a["factor_votes_train"], a["factor_votes_eval"]) == 1.0       # as expected.json's protocol


@pytest.mark.parametrize("name", ("perfect", "partial"))
def test_parity_of_dci(shared_file, name):
    """On a tenth of the samples of the reference, for time: benchmarks/metrics.py has all of them."""
    from sklearn.ensemble import GradientBoostingClassifier

    with np.load(shared_file(f"metrics/{name}.npz")) as arrays:
        z, v = arrays["codes_train"][:600], arrays["factors_train"][:600, :2]
    reference = np.stack([GradientBoostingClassifier(random_state=0).fit(z, y).feature_importances_ for y in v.T], axis=1)
    ours = M.importances(z, v)[0]
    assert np.abs(ours - reference).max() < 0.05
