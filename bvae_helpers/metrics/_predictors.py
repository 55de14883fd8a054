"""Scores of how well a predictor, trained on the codes of some samples, finds the factors of others."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits  # comes with scikit-learn

from ._checks import check_split, ranks, standardized
from ._trees import BoostedTrees


@contextmanager
def protocol():
    """How classifiers are trained here: numerics in one thread, as so small ones are split only at a loss, many times
    over on a busy machine; and no word of one that stops before it has converged, for that is the papers' choice."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            yield
    finally:
        torch.set_num_threads(threads)


def in_threads(work, *columns):
    """``work`` on the columns of every factor, a thread each: a list of what it returns."""
    with protocol(), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, *columns))


def sap(codes_train, factors_train, codes_test, factors_test):
    """Separated attribute predictability, 0 to 1. Kumar et al. 2018, section 3; discrete factors.

    How well a linear SVM (C = 0.01, balanced classes) tells each factor from each single latent; the mean
    over factors of the gap between the best and the second best latent's test accuracy. Rewards factors that
    one latent alone gives away; duplicated codes score 0. It fails on factors of many values: no line cuts a latent
    into 40 classes, so even a perfect code of the sprites stays near 0.24.

    The SVM's primal problem is solved, as scikit-learn does by itself since 1.5: nothing is random.
    """
    train, y_train, test, y_test = check_split(codes_train, factors_train, codes_test, factors_test)
    def accuracies(y, truth):
        machines = [LinearSVC(C=0.01, class_weight="balanced", dual=False).fit(z[:, None], y) for z in train.T]
        return [np.mean(machine.predict(z[:, None]) == truth) for machine, z in zip(machines, test.T)]

    accuracy = np.array(in_threads(accuracies, y_train.T, y_test.T)).T                    # (D, K)
    accuracy.sort(axis=0)
    return float(np.mean(accuracy[-1] - accuracy[-2]))


def explicitness(codes_train, factors_train, codes_test, factors_test):
    """Explicitness, 0.5 to 1. Ridgeway & Mozer 2018, section 3: can a linear rule read the factors off?

    The area under the ROC curve of a logistic regression on all latents, standardised, one class against the rest, mean
    over classes and factors, on the test samples. Rewards codes that hold every factor in plain sight. It does not
    ask where: rotated and duplicated codes score the same. Classes that the test samples lack are left out.
    """
    train, y_train, test, y_test = check_split(codes_train, factors_train, codes_test, factors_test)
    train, test = standardized(train), standardized(test, by=train)

    def areas(y, truth):
        rule = LogisticRegression().fit(train, y)
        positive = truth[:, None] == rule.classes_                                        # (N, classes)
        there = positive.any(0) & ~positive.all(0)
        return areas_under_roc(rule.predict_proba(test)[:, there], positive[:, there])

    found = in_threads(areas, y_train.T, y_test.T)
    if not all(map(len, found)):
        raise ValueError("a factor has only one value among the test samples: no ROC curve")
    return float(np.mean([np.mean(a) for a in found]))


def areas_under_roc(scores, positive):
    """Area under the ROC curve of each column, (N, K) scores and bool -> (K,): the share of pairs, a positive sample and
    another, that the score puts in order, ties counting half. Mann & Whitney 1947."""
    n = positive.sum(0)
    return ((ranks(scores) * positive).sum(0) - n * (n + 1) / 2) / (n * (len(scores) - n))


def importances(codes, factors):
    """How much boosted trees use each latent to tell each factor -> (D, K), columns summing to 1, and the trees."""
    trees = in_threads(lambda y: BoostedTrees().fit(codes, y), factors.T)
    return np.stack([t.importances for t in trees], axis=1), trees


def dci(codes_train, factors_train, codes_test, factors_test, seed=0):
    """Disentanglement, completeness, informativeness, each 0 to 1. Eastwood & Williams 2018, section 2.

    From the importance of each latent for each factor in gradient-boosted trees. Disentanglement: 1 - the
    entropy, over factors, of each latent's importances, weighted by the latent's share of all; rewards latents
    that serve one factor. Completeness: the same over latents for each factor; rewards factors that live in one latent.
    Informativeness: test accuracy, mean over factors. Duplicated codes keep their disentanglement and
    lose completeness. It fails where trees fit noise: a factor of many values that is hard to predict spreads its
    importance over idle latents, so that scores depend on the number of samples.

    The trees are those of scikit-learn's GradientBoostingClassifier, found faster (``trees``): on the reference's
    arrays D and C differ by less than 0.005. They draw nothing at random: ``seed`` is there for the protocol's sake.
    """
    train, y_train, test, y_test = check_split(codes_train, factors_train, codes_test, factors_test)
    matrix, trees = importances(train, y_train)
    accuracy = in_threads(lambda t, y: np.mean(t.predict(test) == y), trees, y_test.T)
    return {"disentanglement": concentration(matrix), "completeness": concentration(matrix.T),
            "informativeness": float(np.mean(accuracy))}


def concentration(matrix):
    """1 - the entropy of each row, in units of its maximum; rows weighted by their share of the whole matrix."""
    if matrix.sum() == 0 or matrix.shape[1] == 1:
        return 0.0
    p = (matrix + 1e-11) / (matrix + 1e-11).sum(1, keepdims=True)        # the reference's way around log 0
    rows = 1 + (p * np.log(p)).sum(1) / np.log(matrix.shape[1])
    return float(np.average(rows, weights=matrix.sum(1)))
