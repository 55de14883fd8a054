"""Scores of disentanglement on arrays, the deterministic part of ``metrics``: codes (N, D) and factors (N, K)."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC

from .trees import BoostedTrees


def discretize(codes, bins=20):
    """Each latent in equal-width bins 1..bins: (N, D) -> integers (N, D). Locatello et al. 2019, appendix."""
    codes = np.asarray(codes, dtype=np.float64)
    edges = [np.histogram(column, bins)[1][:-1] for column in codes.T]
    return np.stack([np.digitize(column, edge) for column, edge in zip(codes.T, edges)], axis=1)


def entropy(counts):
    """Entropy of a table of counts, in nats."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def mutual_information(codes, factors, bins=20):
    """I(z_d; v_k) of every binned latent and every factor, in nats: (N, D), (N, K) -> (D, K)."""
    codes, factors = check_arrays(codes, factors, bins)
    binned = discretize(codes, bins)
    table = np.empty((binned.shape[1], factors.shape[1]))
    for k, v in enumerate(factors.T):
        classes, v = np.unique(v, return_inverse=True)
        for d, z in enumerate(binned.T):
            joint = np.zeros((bins + 1, len(classes)))
            np.add.at(joint, (z, v), 1)
            table[d, k] = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)
    return table


def mig(codes, factors, bins=20):
    """Mutual information gap, 0 to 1. Chen et al. 2018, eq. 6; binned as in disentanglement_lib.

    The mean over factors of (I(z_1st; v) - I(z_2nd; v)) / H(v): rewards codes in which each factor
    lives in one latent only. Two latents that share a factor, say rotated positions, score 0 for it.
    """
    factors = check_arrays(codes, factors, bins)[1]
    information = np.sort(mutual_information(codes, factors, bins), axis=0)
    entropies = [entropy(np.unique(v, return_counts=True)[1]) for v in factors.T]
    return float(np.mean((information[-1] - information[-2]) / entropies))


def modularity(codes, factors, bins=20):
    """Modularity, 0 to 1. Ridgeway & Mozer 2018, eq. 2: does each latent tell about one factor only?

    The mean over latents of 1 - (sum of I^2 over the other factors) / ((K - 1) I_max^2); 0 for a dead one.
    It does not ask whether a factor is spread over several latents: duplicated codes keep their score.
    """
    squared = mutual_information(codes, factors, bins) ** 2
    most = squared.max(1)
    alive = most > 1e-20
    others = (squared.sum(1) - most) / np.where(alive, most, 1) / max(1, squared.shape[1] - 1)
    return float(np.mean(np.where(alive, 1 - others, 0)))


def sap(codes_train, factors_train, codes_test, factors_test):
    """Separated attribute predictability, 0 to 1. Kumar et al. 2018, section 3; discrete factors.

    How well a linear SVM (C = 0.01, balanced classes) tells each factor from each single latent; the mean
    over factors of the gap between the best and the second best latent's test accuracy. A line cannot
    follow a factor that a latent carries in a curve, so scores are low even for good codes.
    """
    train, y_train, test, y_test = check_split(codes_train, factors_train, codes_test, factors_test)
    accuracy = np.empty((train.shape[1], y_train.shape[1]))
    for d in range(train.shape[1]):
        for k in range(y_train.shape[1]):
            machine = fitted(LinearSVC(C=0.01, class_weight="balanced"), train[:, [d]], y_train[:, k])
            accuracy[d, k] = np.mean(machine.predict(test[:, [d]]) == y_test[:, k])
    accuracy.sort(axis=0)
    return float(np.mean(accuracy[-1] - accuracy[-2]))


def explicitness(codes_train, factors_train, codes_test, factors_test):
    """Explicitness, 0.5 to 1. Ridgeway & Mozer 2018, section 3: can a linear rule read the factors off?

    The area under the ROC curve of a logistic regression on all (standardised) latents, one class
    against the rest, mean over classes and factors, on the test samples. Blind to rotations.
    """
    train, y_train, test, y_test = check_split(codes_train, factors_train, codes_test, factors_test)
    mean, std = train.mean(0), train.std(0)
    train, test = ((x - mean) / np.where(std > 0, std, 1) for x in (train, test))
    areas = []
    for y, truth in zip(y_train.T, y_test.T):
        rule = fitted(LogisticRegression(), train, y)
        p = rule.predict_proba(test)
        areas.append(np.mean([roc_auc_score(truth == c, p[:, i]) for i, c in enumerate(rule.classes_)
                              if 0 < (truth == c).sum() < len(truth)]))
    return float(np.mean(areas))


def importances(codes, factors):
    """How much boosted trees use each latent to tell each factor -> (D, K), columns summing to 1, and the trees."""
    trees = [BoostedTrees().fit(codes, y) for y in factors.T]
    return np.stack([t.importances for t in trees], axis=1), trees


def dci(codes_train, factors_train, codes_test, factors_test, seed=0):
    """Disentanglement, completeness, informativeness, each 0 to 1. Eastwood & Williams 2018, section 2.

    From the importance of each latent for each factor in gradient-boosted trees. Disentanglement: 1 - the
    entropy, over factors, of each latent's importances, weighted by the latent's share of all. Completeness:
    the same over latents for each factor. Informativeness: test accuracy, mean over factors. Duplicated
    codes keep their disentanglement and lose completeness. ``seed`` is accepted for the protocol's sake:
    these trees draw nothing at random.
    """
    train, y_train, test, y_test = check_split(codes_train, factors_train, codes_test, factors_test)
    matrix, trees = importances(train, y_train)
    accuracy = [np.mean(t.predict(test) == y) for t, y in zip(trees, y_test.T)]
    return {"disentanglement": concentration(matrix), "completeness": concentration(matrix.T),
            "informativeness": float(np.mean(accuracy))}


def concentration(matrix):
    """1 - the entropy of each row, in units of its maximum; rows weighted by their share of the whole matrix."""
    if matrix.sum() == 0 or matrix.shape[1] == 1:
        return 0.0
    p = (matrix + 1e-11) / (matrix + 1e-11).sum(1, keepdims=True)
    rows = 1 + (p * np.log(p)).sum(1) / np.log(matrix.shape[1])
    return float(np.average(rows, weights=matrix.sum(1)))


def irs(codes, factors, quantile=0.99, bins=20):
    """Interventional robustness score, 0 to 1. Suter et al. 2019, section 4: what does not move a latent?

    For each factor, samples are grouped by its value (in 20 bins, as the reference does); a latent is robust
    if it stays put within the groups whatever else changes: 1 - (99th percentile of its deviation in a group, mean
    over groups) / (its largest deviation of all). Best factor for each latent, mean over latents weighted by their
    largest deviation.
    """
    codes, factors = check_arrays(codes, factors, bins=1)
    codes = codes[:, codes.var(0) > 0]
    if codes.shape[1] == 0:
        return 0.0
    largest = np.abs(codes - codes.mean(0)).max(0)
    deviations = np.zeros((codes.shape[1], factors.shape[1]))
    for k, v in enumerate(discretize(factors, bins).T):
        groups = [codes[v == value] for value in np.unique(v)]
        deviations[:, k] = np.mean([np.percentile(np.abs(g - g.mean(0)), 100 * quantile, axis=0) for g in groups], axis=0)
    return float(np.average((1 - deviations / largest[:, None]).max(1), weights=largest))


def gaussian_total_correlation(codes):
    """Total correlation of a Gaussian with the codes' covariance, in nats, 0 and up; lower is better.

    Locatello et al. 2019, section 5.2: 0.5 (sum of log variances - log determinant). Needs no factors. It sees
    linear dependence only; infinite where a latent is a linear function of the others. Constant latents are left out.
    """
    codes = check_codes(codes)
    codes = codes[:, codes.var(0) > 0]
    if codes.shape[1] < 2:
        return 0.0
    sign, log_determinant = np.linalg.slogdet(np.corrcoef(codes.T))
    if sign <= 0 or log_determinant < -30:          # what rounding leaves of a determinant of 0
        return float("inf")
    return float(max(0.0, -0.5 * log_determinant))


def active_units(codes, threshold=0.01):
    """Number of latents whose mean moves with the image: variance above ``threshold``. Burda et al. 2016, section 5."""
    return int((check_codes(codes).var(0) > threshold).sum())


def fitted(classifier, x, y):
    """The classifier, trained. That it stops before it has converged is the protocol's choice, no news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return classifier.fit(x, y)


def check_codes(codes):
    """Codes as float64 (N, D); ValueError for another shape, NaN or infinite values."""
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2 or len(codes) < 2:
        raise ValueError(f"codes must be (N, D) with at least 2 samples, got {codes.shape}")
    if not np.isfinite(codes).all():
        raise ValueError("codes hold NaN or infinite values")
    return codes


def check_split(codes_train, factors_train, codes_test, factors_test):
    """The four arrays as numpy; ValueError, naming what is wrong, where no score can be computed."""
    train, y_train = check_arrays(codes_train, factors_train, bins=1)
    test, y_test = check_codes(codes_test), np.asarray(factors_test)
    if test.shape[1] != train.shape[1] or y_test.shape != (len(test), y_train.shape[1]):
        raise ValueError(f"the test arrays must be (N, {train.shape[1]}) and (N, {y_train.shape[1]}) with the same N, "
                         f"got {test.shape} and {y_test.shape}")
    return train, y_train, test, y_test


def check_arrays(codes, factors, bins):
    """The arrays as numpy; ValueError, naming what is wrong, where no score can be computed."""
    codes, factors = np.asarray(codes, dtype=np.float64), np.asarray(factors)
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
        raise ValueError(f"codes must be (N, D) and factors (N, K) with the same N, got {codes.shape} and {factors.shape}")
    if codes.shape[1] < 2:
        raise ValueError(f"a gap needs at least 2 latents, got {codes.shape[1]}")
    if not np.isfinite(codes).all():
        raise ValueError("codes hold NaN or infinite values")
    if not np.equal(np.mod(factors, 1), 0).all():
        raise ValueError("factors must be discrete: whole numbers")
    if len(codes) < bins:
        raise ValueError(f"{len(codes)} samples are fewer than the {bins} bins")
    for k, v in enumerate(factors.T):
        if (v == v[0]).all():
            raise ValueError(f"factor {k} has only one value, {v[0]}: nothing to find out about it")
    return codes, factors
