"""Natural mistakes in notebook 09: what is wrong, words of the message (None: numbers are shown), code."""

CHOICES = "import itertools\nfound = [{best} for c in itertools.{choices}]\nreturn {result}"


def choose(best="max(c)", choices="combinations(scores, n)", result="sum(found) / len(found)"):
    return CHOICES.format(best=best, choices=choices, result=result)


WRONG = {
    "check_best_of": ("scores, n", [
        ("the best of all", "best of all seeds", "return max(scores)"),
        ("the mean of all", "mean of all seeds", "return sum(scores) / len(scores)"),
        ("the first n", "first n", "return max(scores[:n])"),
        ("the mean of the n best", "n best", "return np.mean(sorted(scores, reverse=True)[:n])"),
        ("drawn with replacement", "more than once", choose(choices="product(scores, repeat=n)")),
        ("replacement, other function", None, choose(choices="combinations_with_replacement(scores, n)")),
        ("the median of the bests", "median", choose(result="np.median(found)")),
        ("the worst of each", "worst", choose(best="min(c)")),
        ("the mean of each", "mean of all seeds", choose(best="sum(c) / n")),
        ("the sum", None, choose(result="sum(found)")),
        ("the best of the bests", "best of all seeds", choose(result="max(found)")),
        ("divided by the number of seeds", None, choose(result="sum(found) / len(scores)")),
        ("neighbours only", None, "return np.mean([max(scores[i:i + n]) for i in range(len(scores) - n + 1)])"),
        ("a quantile", None, "return np.quantile(scores, n / (n + 1))"),
        ("the list", "shape", choose(result="found")),
        ("draws that are too few", None, "g = np.random.default_rng(0)\n"
         "return np.mean([max(g.choice(scores, n, replace=False)) for _ in range(50)])"),
    ]),
}
