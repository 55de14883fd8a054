"""The whole suite of scores against the reference's protocol run plainly, in one run.

    python benchmarks/metrics.py [--data ../shared/data/metrics] [--train 10000 --test 5000] [--plain] [--fresh]

Arrays: those of ``--data`` (perfect.npz, partial.npz and expected.json), else a synthetic code of the sprites' factors.
``--plain`` also fits the reference's DCI, scikit-learn's GradientBoostingClassifier (minutes), and compares D, C and
times. ``--fresh`` adds what a ``Bank`` changes against fresh images, on a shipped model.
"""

import argparse
import json
import os
import pathlib
import platform
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
import sklearn  # noqa: E402
import torch  # noqa: E402
from sklearn.ensemble import GradientBoostingClassifier  # noqa: E402

from bvae_helpers import checkpoints, latents, metrics  # noqa: E402
from bvae_helpers.data import (
    Sprites,  # noqa: E402
    render,  # noqa: E402
)
from bvae_helpers.metrics._predictors import concentration  # noqa: E402


def synthetic(n, seed=0):
    """Codes in which some factors are clear, some shared, with noise: (n, 10), and the sprites' factors (n, 5)."""
    factors = Sprites().sample_factors(n, torch.Generator().manual_seed(seed)).numpy()
    rng = np.random.default_rng(seed)
    z = (factors - factors.mean(0)) / factors.std(0)
    return np.hstack([z @ rng.normal(size=(5, 5)) * 0.3 + z,
                      rng.normal(size=(n, 5))]) + 0.2 * rng.normal(size=(n, 10)), factors


def cases(args):
    """name -> (the four arrays, what the reference gave)."""
    if args.data:
        expected = json.loads((args.data / "expected.json").read_text())
        for name in ("perfect", "partial"):
            a = np.load(args.data / f"{name}.npz")
            yield name, [a[k] for k in ("codes_train", "factors_train", "codes_test", "factors_test")], expected[name]
    else:
        z, v = synthetic(args.train + args.test)
        yield "synthetic", [z[:args.train], v[:args.train], z[args.train:], v[args.train:]], None


def compare_dci(train, y_train, test, y_test):
    """D, C, informativeness and seconds of DCI from scikit-learn's trees, one factor after the other, and of ours."""
    start, weights, right = time.perf_counter(), [], []
    for y, truth in zip(y_train.T, y_test.T):
        trees = GradientBoostingClassifier(random_state=0).fit(train, y)
        weights.append(trees.feature_importances_)
        right.append(trees.score(test, truth))
    matrix = np.stack(weights, axis=1)
    plain = concentration(matrix), concentration(matrix.T), np.mean(right), time.perf_counter() - start
    start = time.perf_counter()
    ours = *metrics.dci(train, y_train, test, y_test).values(), time.perf_counter() - start
    for name, found in (("scikit-learn", plain), ("ours", ours)):
        print(f"  DCI, {name:12s}  D {{:.4f}}  C {{:.4f}}  informativeness {{:.4f}}  {{:.1f}} s".format(*found))
    gaps = abs(ours[0] - plain[0]), abs(ours[1] - plain[1])
    print(f"  |dD| {gaps[0]:.4f}, |dC| {gaps[1]:.4f}, {plain[3] / ours[3]:.1f} x as fast", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=5_000)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    args = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, scikit-learn {sklearn.__version__}, torch "
          f"{torch.__version__}")
    for name, four, expected in cases(args):
        four = [a[:n] for a, n in zip(four, (args.train, args.train, args.test, args.test))]
        scores, seconds = metrics.score_codes(*four)
        print(f"\n{name}: {len(four[0])} / {len(four[2])} samples")
        for score, value in scores.items():
            print(f"  {score:28s}{value:8.4f}{seconds[score]:8.2f} s")
        dci = seconds["dci_disentanglement"]
        timed = {s.split("_")[0] if s.startswith(("dci", "infomec")) else s: t for s, t in seconds.items()}
        print(f"  all but DCI {sum(timed.values()) - dci:.1f} s, DCI {dci:.1f} s, all {sum(timed.values()):.1f} s")
        if expected:
            print("  the reference: " + ", ".join(f"{k.split('.')[-1]} {v:.4f}" for k, v in expected["arrays"].items()))
            print(f"  its DCI took {expected['timing_wall_cpu_s']['dci'][1]} CPU seconds, elsewhere")
        if args.plain:
            compare_dci(*four)
    if args.fresh:
        model, sprites = checkpoints.load_pretrained("btcvae"), Sprites()
        images, factors = render(sprites, 10_000, 0)
        bank = metrics.Bank(latents.encode(model, images)[0], factors)
        for score in (metrics.beta_vae_score, metrics.factor_vae_score):
            few = dict(train=1000, test=500)
            banks = [score(bank, seed=s) for s in range(3)], [score(bank, seed=s, **few) for s in range(3)]
            fresh = [score(lambda x: latents.encode(model, x)[0], sprites, seed=s, **few) for s in range(3)]
            found = [f"{np.mean(v):.3f} ± {np.ptp(v) / 2:.3f}" for v in (*banks, fresh)]
            print(f"  {score.__name__}, mean ± half the range over 3 seeds: from a bank {found[0]} (10,000 / 5,000 "
                  f"groups) and {found[1]} (1,000 / 500), from fresh images {found[2]} (1,000 / 500)")


if __name__ == "__main__":
    main()
