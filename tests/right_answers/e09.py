"""Right answers to the exercises of notebook 09, in other styles than the solution's."""

RIGHT = {
    "check_best_of": ("scores, n", [
        "import itertools\nbests = [max(c) for c in itertools.combinations(scores, n)]\nreturn sum(bests) / len(bests)",
        "v = sorted(scores)\nreturn sum(math.comb(i, n - 1) * x for i, x in enumerate(v)) / math.comb(len(v), n)",
        "from itertools import combinations\nreturn np.array(list(combinations(scores, n))).max(1).mean()",
        "import itertools\nreturn torch.tensor([max(c) for c in itertools.combinations(scores, n)], "
        "dtype=torch.float64).mean()",
        "import itertools\nv = np.array(scores)\n"
        "return np.mean([v[list(p[:n])].max() for p in itertools.permutations(range(len(v)))])",
        "import statistics, itertools\n"
        "return statistics.fmean(max(c) for c in itertools.combinations(sorted(scores, reverse=True), n))",
        "t = torch.tensor(scores, dtype=torch.float64)\nreturn torch.combinations(t, r=n).max(1).values.mean().item()",
        "def best(v, n):\n    if n == 0:\n        return [-math.inf]\n    return [max(v[i], b) for i in range(len(v))\n"
        "            for b in best(v[i + 1:], n - 1)]\nfound = best(list(scores), n)\nreturn sum(found) / len(found)",
        "v, s = sorted(scores, reverse=True), len(scores)\nmean, left = 0.0, 1.0\nfor i, x in enumerate(v):\n"
        "    taken = n / (s - i) if s - i >= n else 1.0\n    taken = min(1.0, taken)\n    mean += left * taken * x\n"
        "    left *= 1 - taken\nreturn mean",
    ]),
}
