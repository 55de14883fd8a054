"""MIG on codes whose score is known, against the field's own numbers, and on what it cannot score."""

import json

import numpy as np
import pytest

from bvae_helpers import metrics as M

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
