"""Scores of codes whose score is known, the field's own numbers, and what cannot be scored."""

import json
import pathlib
import warnings

import numpy as np
import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import roc_auc_score

from bvae_helpers import checkpoints, latents
from bvae_helpers import metrics as M
from bvae_helpers.data import FactorData, Sprites
from bvae_helpers.metrics._groups import majority_accuracy
from bvae_helpers.metrics._infomec import neighbour_information
from bvae_helpers.metrics._predictors import areas_under_roc, concentration

FIXTURES = pathlib.Path(__file__).resolve().parent / "fixtures"
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


def test_more_samples_of_the_same_code_do_not_change_the_score():
    codes = np.hstack([LATTICE, LATTICE[:, :1] + LATTICE[:, 1:2]]).astype(float)
    score = M.mig(codes, LATTICE)
    assert 0 < score < 1 and M.mig(np.tile(codes, (3, 1)), np.tile(LATTICE, (3, 1))) == pytest.approx(score, abs=1e-12)
    assert type(score) is float


BAD = LATTICE.astype(float)
BAD[3, 1] = np.nan


@pytest.mark.parametrize("codes, factors, said", [
    (LATTICE[:, 0], LATTICE, r"codes must be \(N, D\)"), (LATTICE[:-1], LATTICE, "same N"),
    (LATTICE[:, :0], LATTICE, "1 latent"),
    (BAD, LATTICE, "NaN"), (LATTICE, LATTICE + 0.5, "whole numbers"),
    (LATTICE[:10], LATTICE[:10], "fewer than the 20 bins"),
    (LATTICE, LATTICE * [1, 0, 1], "factor 1 has only one value")])
def test_what_cannot_be_scored_is_named(codes, factors, said):
    with pytest.raises(ValueError, match=said):
        M.mig(codes, factors)


OF_TWO = {"mig": M.mig, "modularity": M.modularity, "mutual_information": M.mutual_information, "irs": M.irs,
          "infomec": M.infomec, "bank": M.Bank}
OF_FOUR = {"sap": M.sap, "explicitness": M.explicitness, "dci": M.dci}


@pytest.mark.parametrize("name", [*OF_TWO, *OF_FOUR])
@pytest.mark.parametrize("codes, factors, said", [
    (LATTICE[:-1], LATTICE, "same N"), (BAD, LATTICE, "NaN or infinite values: 1 of 180"),
    (LATTICE + np.inf, LATTICE, "infinite"), (LATTICE, LATTICE + 0.5, "whole numbers"),
    (LATTICE, LATTICE * np.nan, "whole numbers"),
    (LATTICE, LATTICE * [1, 0, 1], "factor 1 has only one value"), (LATTICE, LATTICE[:, 0], r"factors \(N, K\)")])
def test_every_score_says_what_it_cannot_score(name, codes, factors, said):
    with pytest.raises(ValueError, match=said):
        OF_TWO[name](codes, factors) if name in OF_TWO else OF_FOUR[name](codes, factors, LATTICE, LATTICE)


def test_too_few_samples():
    for score, few in ((M.modularity, 19), (M.mutual_information, 19), (M.infomec, 10)):
        with pytest.raises(ValueError, match="samples are"):
            score(LATTICE[-few:], LATTICE[-few:] % 2)


@pytest.mark.parametrize("score", (M.gaussian_total_correlation, M.active_units))
def test_scores_of_codes_alone_check_them_too(score):
    for codes, said in ((BAD, "NaN"), (LATTICE[0], "codes must be"), (LATTICE[:1], "at least 2 samples")):
        with pytest.raises(ValueError, match=said):
            score(codes)


# Every score on the answers that are known

FACTORS = np.tile(LATTICE, (10, 1))                                        # (600, 3)
CODES = np.hstack([FACTORS - FACTORS.mean(0), np.zeros((600, 1))]) / 2     # the truth, and a dead latent


def halves(codes):
    """The same samples to train and to test on: the lattice is all there is."""
    return codes, FACTORS, codes, FACTORS


FOUND = {}


def parts(score, z):
    """The dict of a score of several parts, computed once."""
    key = score, z.shape, z.tobytes()
    if key not in FOUND:
        FOUND[key] = score(*halves(z)) if score is M.dci else score(z, FACTORS)
    return FOUND[key]


SCORES = {
    "mig": lambda z: M.mig(z, FACTORS), "sap": lambda z: M.sap(*halves(z)),
    "modularity": lambda z: M.modularity(z, FACTORS),
    "explicitness": lambda z: M.explicitness(*halves(z)), "irs": lambda z: M.irs(z, FACTORS),
    "disentanglement": lambda z: parts(M.dci, z)["disentanglement"],
    "completeness": lambda z: parts(M.dci, z)["completeness"],
    "informativeness": lambda z: parts(M.dci, z)["informativeness"],
    "infomodularity": lambda z: parts(M.infomec, z)["modularity"],
    "infocompactness": lambda z: parts(M.infomec, z)["compactness"],
    "infoexplicitness": lambda z: parts(M.infomec, z)["explicitness"],
    "beta_vae": lambda z: M.beta_vae_score(M.Bank(z, FACTORS), train=600, test=300),
    "factor_vae": lambda z: M.factor_vae_score(M.Bank(z, FACTORS), train=600, test=300)}
# name: identity, constant codes, duplicated codes (what theory says), a rotation of two factors
KNOWN = {
    "mig": (1, 0, 0), "sap": (None, 0, 0), "modularity": (0.75, 0, 0.75), "explicitness": (None, 0.5, None),
    "irs": (1, 0, 1), "disentanglement": (1, 0, 1), "completeness": (1, 0, None), "informativeness": (1, None, 1),
    "infomodularity": (1, 0, 1), "infocompactness": (1, 0, None), "infoexplicitness": (None, 0, None),
    "beta_vae": (1, None, 1), "factor_vae": (1, 0, 1)}


def without_warnings(work, *arguments):
    """Call ``work`` with numpy's warnings (a division by 0, an invalid value) and ConvergenceWarning as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("error", ConvergenceWarning)
        return work(*arguments)


@pytest.mark.parametrize("name", SCORES)
def test_known_answers(name):
    identity, constant, duplicated = KNOWN[name]
    found = [without_warnings(SCORES[name], z) for z in (CODES, np.ones_like(CODES), np.hstack([CODES, CODES]))]
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
@pytest.mark.parametrize("name",
                         ["mig", "sap", "modularity", "irs", "disentanglement", "infomodularity", "infocompactness"])
def test_rotation_ruins_the_scores_that_ask_for_axes(name):
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    z = (FACTORS - FACTORS.mean(0)) / FACTORS.std(0)
    assert SCORES[name](z @ rotation) < SCORES[name](z) - (0.01 if name == "sap" else 0.1)


@pytest.mark.parametrize("name", SCORES)
def test_a_single_latent_scores_as_if_beside_a_constant_one(name):
    """Or is defined by itself, where a constant latent counts."""
    one = without_warnings(SCORES[name], CODES[:, :1])
    assert type(one) is float and np.isfinite(one)
    beside = SCORES[name](np.pad(CODES[:, :1], ((0, 0), (0, 1))))
    alone = {"modularity": 2 * beside, "completeness": 0, "infocompactness": 1}
    assert one == pytest.approx(alone.get(name, beside), abs=0.02)


def with_collapsed_latents(n=3000):
    """mu, logvar (n, 6) and factors (n, 3): a latent for each factor; three collapsed ones whose tiny means are
    mixtures."""
    generator = torch.Generator().manual_seed(0)
    factors = torch.stack([torch.randint(size, (n,), generator=generator) for size in SIZES], dim=1)
    truth = (factors - factors.float().mean(0)) / factors.float().std(0)
    weights, noise = torch.tensor([[1.0, 1, 0], [0, 1, 1], [1, 0, 1]]), torch.randn(n, 3, generator=generator)
    mixtures = 0.01 * (truth @ weights + noise)
    return torch.cat([truth, mixtures], 1), torch.tensor([-4.0, -4, -4, 0, 0, 0]).repeat(n, 1), factors


def test_active_codes_are_those_of_latents_with_kl():
    mu, logvar, _ = with_collapsed_latents()
    assert torch.equal(M.active_codes(mu, logvar), mu[:, :3])
    nothing = M.active_codes(0.01 * mu, 0 * logvar)
    assert nothing.shape == (3000, 1) and not nothing.any()            # no latent at all scores as a constant one


def test_which_scores_depend_on_collapsed_latents():
    mu, logvar, factors = with_collapsed_latents()
    active = M.active_codes(mu, logvar)
    assert M.modularity(active, factors) > 0.95 > 0.85 > M.modularity(mu, factors)
    assert M.gaussian_total_correlation(active) < 0.01 and M.gaussian_total_correlation(mu) > 0.5
    assert M.mig(active, factors) > M.mig(mu, factors) + 0.1           # the runner-up is a collapsed latent
    both = [M.factor_vae_score(M.Bank(z, factors)) for z in (mu, active)]
    assert both[0] == pytest.approx(both[1], abs=0.01)
    assert M.infomec(mu, factors)["modularity"] == pytest.approx(M.infomec(active, factors)["modularity"], abs=0.01)


def test_trees_give_noise_to_collapsed_latents():
    """A factor that cannot be predicted spreads its importance over all latents: DCI depends on the collapsed ones."""
    mu, logvar, factors = with_collapsed_latents(600)
    hidden = torch.randint(40, (600, 1), generator=torch.Generator().manual_seed(1))
    logvar[:, 3:], mu[:, 3:] = 0, 0.01 * torch.randn(600, 3, generator=torch.Generator().manual_seed(2))
    more = torch.cat([factors[:, :2], hidden], 1)
    scores = [M.dci(z[:400], more[:400], z[400:], more[400:])["disentanglement"]
              for z in (mu, M.active_codes(mu, logvar))]
    assert scores[0] > scores[1] + 0.1


def test_main_scores_are_the_scores_with_and_without_collapsed_latents():
    mu, logvar, factors = with_collapsed_latents(300)
    found = M.main_scores(mu, logvar, factors, seed=1)
    assert list(found) == ["active_latents", "mig", "factor_vae", "dci_disentanglement", "mig_active",
                           "factor_vae_active", "dci_disentanglement_active"]
    assert found["active_latents"] == 3 and found["mig"] == M.mig(mu, factors)
    assert found["mig_active"] == M.mig(mu[:, :3], factors)
    assert found["factor_vae_active"] == M.factor_vae_score(M.Bank(mu[:, :3], factors), seed=1)
    trees = M.dci(mu[:200, :3], factors[:200], mu[200:, :3], factors[200:])
    assert found["dci_disentanglement_active"] == trees["disentanglement"]
    quick = M.main_scores(mu, logvar, factors, seed=1, dci=False)
    assert quick == {name: value for name, value in found.items() if "dci" not in name}


def test_main_scores_of_a_collapsed_model_are_0():
    mu, logvar, factors = with_collapsed_latents(300)
    assert set(M.main_scores(0 * mu, 0 * logvar, factors).values()) == {0}
    alive = M.main_scores(mu[:, :3], logvar[:, :3], factors, dci=False)
    assert alive["mig"] == alive["mig_active"] and alive["active_latents"] == 3


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
    assert M.udr([z, np.ones_like(z)], [kl] * 2, method) == [0.0, 0.0]         # a constant code resembles nothing


def test_udr_by_hand():
    a = np.random.default_rng(0).permutation(200.0 * np.arange(200))[:, None]
    one, two = np.hstack([a, np.roll(a, 1)]), np.hstack([-a, a ** 3])
    kl = [np.array([1.0, 0.0]), np.ones(2)]
    # the first's one informative latent has the ranks of both of the second's: R = [1, 1]; rows 1/2, columns 1 and 1
    assert M.udr([one, two], kl, "spearman") == pytest.approx([(0.5 + 1 + 1) / 3] * 2, abs=1e-9)
    # 1 - alpha
    assert M.udr([a @ [[1.0, 0]] + [[0, 1.0]], -a @ [[1.0, 0]]], [np.array([1.0, 0])] * 2)[0] == pytest.approx(0.9)


@pytest.mark.parametrize("codes, kls, said", [
    ([CODES], [np.ones(4)], "at least 2 models"), ([CODES, CODES[:50]], [np.ones(4)] * 2, "same images"),
    ([CODES, CODES], [np.ones(4), np.ones(3)], "one KL for each latent")])
def test_udr_names_what_is_wrong(codes, kls, said):
    with pytest.raises(ValueError, match=said):
        M.udr(codes, kls)


def test_fresh_images_and_a_bank_agree():
    sprites, sizes = Sprites(), torch.tensor(Sprites.factor_sizes)

    class Factors(FactorData):          # the images are the factors themselves, so that encoding costs nothing
        factor_names, factor_sizes = sprites.factor_names, sprites.factor_sizes

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


def test_a_model_is_an_encoder():
    model, few = checkpoints.load_pretrained("btcvae"), {"train": 20, "test": 10, "samples": 100}
    by_model = M.factor_vae_score(model, Sprites(), **few)
    assert by_model == M.factor_vae_score(lambda images: latents.encode(model, images)[0], Sprites(), **few)
    assert 0.2 <= by_model <= 1


@pytest.mark.parametrize("score", (M.beta_vae_score, M.factor_vae_score))
def test_scores_that_draw_say_what_they_need(score):
    with pytest.raises(ValueError, match="pass encode .* and data"):
        score(lambda images: images)
    with pytest.raises(TypeError, match="FactorData.*got a list"):
        score(lambda images: images, [1, 2])
    with pytest.raises(ValueError, match="NaN"):
        score(lambda images: np.full((len(images), 3), np.nan), Sprites())
    with pytest.raises(ValueError, match="one code for each image, got 7"):
        score(lambda images: np.ones((7, 3)), Sprites())


@pytest.mark.parametrize("score", (M.sap, M.explicitness, M.dci))
def test_test_arrays_must_fit(score):
    with pytest.raises(ValueError, match="test arrays must be"):
        score(CODES, FACTORS, CODES[:, :2], FACTORS)


def reference(name):
    """Codes and factors to train and to test on, vote tables, disentanglement_lib's scores: see fixtures/README.md."""
    with np.load(FIXTURES / "disentanglement_lib.npz") as arrays:
        packed = dict(arrays)
    four = []
    for part in ("train", "test"):
        q, (low, high) = packed[f"{name}_{part}"].T, packed[f"{name}_{part}_ends"]
        codes = low + (q + 0.5) / (20 * 3276) * (high - low)
        codes = np.where(q == 65_534, low, np.where(q == 65_535, high, codes))
        four += [codes, packed[f"factors_{part}"].T.astype(int)]
    votes = [packed[f"{name}_votes_{part}"].astype(int) for part in ("train", "eval")]
    return four, votes, json.loads((FIXTURES / "disentanglement_lib.json").read_text())[name]


@pytest.mark.parametrize("name", ("perfect", "partial"))
def test_parity_with_disentanglement_lib(name):
    four, votes, expected = reference(name)
    exact = {"mig.discrete_mig": M.mig(*four[:2]), "modularity_score": M.modularity(*four[:2])}
    for key, value in exact.items():
        assert value == pytest.approx(expected[key], abs=1e-9), key
    close = {"irs.IRS": M.irs(*four[:2]), "gaussian_total_correlation": M.gaussian_total_correlation(four[0])}
    for key, value in close.items():
        assert value == pytest.approx(expected[key], abs=2e-6), key
    near = {"sap.SAP_score": M.sap(*four), "explicitness_score_test": M.explicitness(*four)}
    for key, value in near.items():
        assert value == pytest.approx(expected[key], abs=0.002), key
    assert majority_accuracy(*votes) == 1.0                  # as in the reference


def test_parity_of_dci():
    """On all samples of the harder of the two codes: D and C within 0.01."""
    four, _, expected = reference("partial")
    found = M.dci(*four)
    assert found["disentanglement"] == pytest.approx(expected["dci.disentanglement"], abs=0.01)
    assert found["completeness"] == pytest.approx(expected["dci.completeness"], abs=0.01)
    assert found["informativeness"] == pytest.approx(expected["dci.informativeness_test"], abs=0.02)


def half_known(n, seed=0):
    """Codes that tell some of two factors, with ties, gaps and noise: (n, 5), (n, 2)."""
    rng = np.random.default_rng(seed)
    factors = np.stack([rng.integers(0, size, n) for size in (3, 8)], axis=1)
    codes = factors @ [[1, 0, 0.5], [0.2, 1, 0]] + 0.5 * rng.normal(size=(n, 3))
    return np.hstack([codes, codes[:, :1].round(), rng.normal(size=(n, 1))]), factors


def test_boosted_trees_are_those_of_scikit_learn():
    codes, factors = half_known(600)
    others, truth = half_known(600, seed=1)
    ours, trees = M.importances(codes, factors)
    for k, v in enumerate(factors.T):
        reference = GradientBoostingClassifier(random_state=0).fit(codes, v)
        assert ours[:, k] == pytest.approx(reference.feature_importances_, abs=0.02)
        assert np.mean(trees[k].predict(others)
                       == truth[:, k]) == pytest.approx(reference.score(others, truth[:, k]), abs=0.03)


def test_modularity_by_hand():
    # latent 0 tells both factors apart, equally well: the worst; latent 1 tells one; latent 2 none
    v = np.stack(np.meshgrid([0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 2).repeat(10, axis=0)
    codes = np.stack([v[:, 0] + 2 * v[:, 1], v[:, 0], np.zeros(40)], axis=1)
    assert M.modularity(codes, v) == pytest.approx((0 + 1 + 0) / 3, abs=1e-12)


def test_irs_by_hand():
    # the latent is v plus -1 or 1: groups deviate by 1, everything together by 2 at most
    v = np.repeat([[0], [1], [2]], 4, axis=0)
    z = v[:, 0] + np.tile([-1.0, 1.0], 6)
    assert M.irs(np.stack([z, np.full(12, 7.0)], axis=1), v) == pytest.approx(1 - 1 / 2, abs=1e-12)


def test_concentration_by_hand():
    weights = np.array([[1.0, 0.0], [1.0, 1.0]])  # a row that says all, and twice as heavy one that says nothing
    assert concentration(weights) == pytest.approx(1 / 3, abs=1e-8) and concentration(np.zeros((3, 2))) == 0


def test_majority_vote_by_hand():
    train, test = np.array([[5, 0, 2], [1, 3, 2]]), np.array([[4, 1, 1], [0, 2, 2]])
    assert majority_accuracy(train, test) == (4 + 2 + 1) / 10  # the third latent is undecided: the first factor has it


def test_neighbours_on_a_line_are_those_of_scikit_learn():
    codes, factors = half_known(500)
    factors = np.hstack([factors, np.where(np.arange(500)[:, None] < 3, np.arange(500)[:, None], 9)])    # some alone
    theirs = [mutual_info_classif(codes[:, :3], v, n_neighbors=10, random_state=0) for v in factors.T[:2]]
    assert neighbour_information(codes[:, :3], factors[:, :2]) == pytest.approx(np.transpose(theirs), abs=1e-6)
    assert np.isfinite(neighbour_information(codes, factors)).all()


def test_neighbours_see_what_bins_cannot():
    """A code of 60 values in one bin of twenty: no bin tells them apart, neighbours do."""
    v = np.random.default_rng(0).integers(0, 6, (2000, 2))
    codes = v * 0.001
    codes[0] = 1.0
    assert M.mig(codes, v) < 0.01 and M.infomec(codes[1:], v[1:])["compactness"] > 0.95


def test_area_under_roc_is_scikit_learns():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 20, (500, 7)).astype(float), rng.random((500, 7)) < 0.3      # with many ties
    want = [roc_auc_score(positive[:, k], scores[:, k]) for k in range(7)]
    assert np.allclose(areas_under_roc(scores, positive), want, atol=1e-12)


def test_masked_values_are_refused_and_bfloat16_is_taken():
    codes, factors = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)), torch.arange(100)[:, None] % 4
    masked = np.ma.masked_array(codes.numpy(), codes.numpy() > 2.5)
    with pytest.raises(ValueError, match=f"{np.ma.count_masked(masked)} values are masked"):
        M.mig(masked, factors)
    assert M.mig(np.ma.masked_array(codes.numpy()), factors) == M.mig(codes, factors)
    assert M.mig(codes.bfloat16(), factors) == M.mig(codes.bfloat16().float(), factors)
