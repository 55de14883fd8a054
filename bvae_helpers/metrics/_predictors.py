"""Scores from predictors that are trained on the codes of some samples and tested on others.

scikit-learn is imported inside the functions that use it: a slider or a training run loads no classifier.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike

from ..data.threads import one_thread
from ._checks import check_split, ranks, standardised
from ._trees import BoostedTrees


@contextmanager
def protocol() -> Iterator[None]:
    """Context for fitting classifiers. One BLAS and torch thread: these problems are too small to gain from more.

    ConvergenceWarning is silenced: the papers' protocols stop at the default iteration limit.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits      # installed with scikit-learn

    with one_thread(), threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def in_threads(work: Callable, *columns: Iterable) -> list:
    """Call ``work`` on the columns of every factor, each factor in a thread of its own -> the list of results."""
    with protocol(), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, *columns))


def sap(codes_train: ArrayLike, factors_train: ArrayLike, codes_test: ArrayLike, factors_test: ArrayLike) -> float:
    """Separated attribute predictability, 0 to 1. Kumar et al. 2018, section 3; discrete factors.

    How well a linear SVM (C = 0.01, balanced classes) predicts each factor from each single latent; the mean over
    factors of the gap between the best and the second best latent's test accuracy. Rewards factors that can be
    predicted from one latent only; duplicated codes score 0. It is low for factors of many values: no line cuts a
    latent into 40 classes, so even a perfect code of the sprites stays near 0.24. Of a single latent, the second best
    is a constant; collapsed latents play that part, so they hardly change the score.

    The SVM's primal problem is solved, as scikit-learn does by default since 1.5: nothing is random.
    """
    from sklearn.svm import LinearSVC

    train, y_train, test, y_test = check_split(codes_train, factors_train, codes_test, factors_test)
    if train.shape[1] == 1:
        train, test = np.pad(train, ((0, 0), (0, 1))), np.pad(test, ((0, 0), (0, 1)))

    def accuracies(y: np.ndarray, truth: np.ndarray) -> list[float]:
        machines = [LinearSVC(C=0.01, class_weight="balanced", dual=False).fit(z[:, None], y) for z in train.T]
        return [np.mean(machine.predict(z[:, None]) == truth) for machine, z in zip(machines, test.T)]

    accuracy = np.array(in_threads(accuracies, y_train.T, y_test.T)).T                    # (D, K)
    accuracy.sort(axis=0)
    return float(np.mean(accuracy[-1] - accuracy[-2]))


def explicitness(codes_train: ArrayLike, factors_train: ArrayLike, codes_test: ArrayLike, factors_test: ArrayLike
                 ) -> float:
    """Explicitness, 0.5 to 1. Ridgeway & Mozer 2018, section 3: does a linear rule predict the factors?

    The area under the ROC curve of a logistic regression on all latents, standardised, one class against the rest, mean
    over classes and factors, on the test samples. Rewards codes from which every factor can be read linearly. It does
    not ask where: rotated and duplicated codes score the same. Classes that are missing from the test samples are left
    out. Raises ValueError if a factor has a single value among the test samples.
    """
    from sklearn.linear_model import LogisticRegression

    train, y_train, test, y_test = check_split(codes_train, factors_train, codes_test, factors_test)
    train, test = standardised(train), standardised(test, by=train)

    def areas(y: np.ndarray, truth: np.ndarray) -> np.ndarray:
        rule = LogisticRegression().fit(train, y)
        positive = truth[:, None] == rule.classes_                                        # (N, classes)
        present = positive.any(0) & ~positive.all(0)
        return areas_under_roc(rule.predict_proba(test)[:, present], positive[:, present])

    found = in_threads(areas, y_train.T, y_test.T)
    if not all(map(len, found)):
        raise ValueError("a factor has only one value among the test samples, so no ROC curve: test on more samples")
    return float(np.mean([np.mean(a) for a in found]))


def areas_under_roc(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each column: scores (N, K), positive (N, K) bool -> (K,). Mann & Whitney 1947.

    The share of pairs, one positive and one negative sample, that the scores put in the right order; ties count half.
    """
    n = positive.sum(0)
    return ((ranks(scores) * positive).sum(0) - n * (n + 1) / 2) / (n * (len(scores) - n))


def importances(codes: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, list[BoostedTrees]]:
    """Importance of each latent for each factor in boosted trees -> (D, K), columns summing to 1, and the trees."""
    trees = in_threads(lambda y: BoostedTrees().fit(codes, y), factors.T)
    return np.stack([t.importances for t in trees], axis=1), trees


def dci(codes_train: ArrayLike, factors_train: ArrayLike, codes_test: ArrayLike, factors_test: ArrayLike, seed: int = 0
        ) -> dict[str, float]:
    """Disentanglement, completeness and informativeness, each 0 to 1: a dict. Eastwood & Williams 2018, section 2.

    From the importance of each latent for each factor in gradient-boosted trees. Disentanglement: 1 - the
    entropy, over factors, of each latent's importances, weighted by the latent's share of all; rewards latents
    that serve one factor. Completeness: the same over latents for each factor; rewards factors that are in one latent.
    Informativeness: test accuracy, mean over factors. Duplicated codes keep their disentanglement and
    lose completeness.

    Trees fit noise, which makes the score depend on the number of samples: a factor of many values that is hard to
    predict spreads its importance over collapsed latents too. Each of these then serves that one factor, which raises
    disentanglement: score ``active_codes`` too.

    The trees are those of scikit-learn's GradientBoostingClassifier, found faster (``_trees``): on the reference's
    arrays D and C differ by less than 0.005. They need no random numbers: ``seed`` is accepted because every score
    takes one.
    """
    train, y_train, test, y_test = check_split(codes_train, factors_train, codes_test, factors_test)
    matrix, trees = importances(train, y_train)
    accuracy = in_threads(lambda t, y: np.mean(t.predict(test) == y), trees, y_test.T)
    return {"disentanglement": concentration(matrix), "completeness": concentration(matrix.T),
            "informativeness": float(np.mean(accuracy))}


def concentration(matrix: np.ndarray) -> float:
    """1 - the entropy of each row, in units of its maximum; rows weighted by their share of the whole matrix."""
    if matrix.sum() == 0 or matrix.shape[1] == 1:
        return 0.0
    p = (matrix + 1e-11) / (matrix + 1e-11).sum(1, keepdims=True)        # as the reference does, to avoid log 0
    rows = 1 + (p * np.log(p)).sum(1) / np.log(matrix.shape[1])
    return float(np.average(rows, weights=matrix.sum(1)))
