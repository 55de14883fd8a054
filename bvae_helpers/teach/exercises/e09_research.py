"""Checks of notebook 09: what choosing the best of n seeds adds to a score."""

import itertools

import numpy as np

from ..checking import Answer, Case, attempt, compare


@attempt
def check_best_of(answer: Answer) -> str:
    generator = np.random.default_rng(0)
    scores = [[0.1, 0.4, 0.3], [0.1, 0.4, 0.3], [0.1, 0.4, 0.3], [0.42, 0.02, 0.25, 0.25, 0.4],
              generator.random(7).round(3).tolist(), [0.3], (-generator.random(6)).round(3).tolist()]
    cases = [Case(f"scores {values}, n = {n}", (values, n)) for values, n in zip(scores, (1, 2, 3, 2, 4, 1, 3))]
    compare(answer, cases, _best_of, {
        "that is the best of all seeds, whatever n": lambda v, n: max(v),
        "that is the mean of all seeds, whatever n": lambda v, n: np.mean(v),
        "you take the first n seeds; any n of them are as likely": lambda v, n: max(v[:n]),
        "that is the mean of the n best": lambda v, n: np.mean(sorted(v)[-n:]),
        "a seed is drawn more than once: nobody trains the same seed twice":
            lambda v, n: np.mean([max(each) for each in itertools.product(v, repeat=n)]),
        "you take the median over the choices; the mean is wanted":
            lambda v, n: np.median([max(each) for each in itertools.combinations(v, n)]),
        "you take the worst of each choice; the best is wanted":
            lambda v, n: np.mean([min(each) for each in itertools.combinations(v, n)]),
        "you average each choice; its best is wanted": lambda v, n: np.mean(v) + 0 * n,
    }, rtol=1e-6, atol=1e-9)
    return "more seeds, a better best, and no better method"


def _best_of(scores: list[float], n: int) -> float:
    return float(np.mean([max(each) for each in itertools.combinations(scores, n)]))
