"""What a model of the drawn faces separates, and what can be read from its codes.

    python benchmarks/faces.py            # the shipped model; or the path of a checkpoint
    python benchmarks/faces.py checkpoints/last.pt --seed 200 201 202

For each factor: the latent whose mean follows it most closely, and the rank correlation of the two (Spearman; 1 or -1
for a latent that rises or falls with every class of the factor). For each attribute: how often it is read rightly from
the means along the difference of two means (Larsen et al. 2016), with and without counted alike, and from the same
means by boosted trees, which need not be linear. Found on one half of the images, tested on the other.
"""

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from scipy.stats import spearmanr  # noqa: E402      (installed with scikit-learn)
from sklearn.ensemble import GradientBoostingClassifier  # noqa: E402
from sklearn.metrics import balanced_accuracy_score  # noqa: E402

from bvae_helpers import checkpoints, latents  # noqa: E402
from bvae_helpers.data import CartoonFaces, render  # noqa: E402
from bvae_helpers.data.faces import ATTRIBUTES  # noqa: E402

SAMPLES = 6_000


def rank_correlations(mu, factors):
    """Codes (N, D), factors (N, K) -> the rank correlation of each latent's mean with each factor, (D, K)."""
    return spearmanr(mu, factors).statistic[:mu.shape[1], mu.shape[1]:]


def read_rightly(mu, has):
    """The share of the second half whose attribute ``has`` (N,) is read from ``mu`` (N, D): by direction, by trees."""
    half = len(mu) // 2
    z, known, test, true = mu[:half], has[:half], mu[half:], has[half:]
    plus, minus = z[known].mean(0), z[~known].mean(0)
    along = (test - (plus + minus) / 2) @ (plus - minus) > 0
    trees = GradientBoostingClassifier(random_state=0).fit(z, known)
    return balanced_accuracy_score(true, along), balanced_accuracy_score(true, trees.predict(test))


def report(model, seeds):
    """Print the two tables; each number is the mean over ``seeds``."""
    faces, correlations, shares = CartoonFaces(), [], []
    for seed in seeds:
        images, factors = render(faces, SAMPLES, seed)
        mu, v = latents.encode(model, images)[0].numpy(), factors.numpy()
        correlations.append(np.abs(rank_correlations(mu, v)))
        has = [np.isin(v[:, faces.factor_names.index(name)], classes) for name, classes in ATTRIBUTES.values()]
        shares.append([read_rightly(mu, column) for column in has])
    correlation = np.mean(correlations, axis=0)
    print(f"{'factor':14s} latent  |rank correlation|  next")
    for name, column in zip(faces.factor_names, correlation.T):
        second, first = column.argsort()[-2:]
        print(f"{name:14s} z{first:<6d}{column[first]:19.2f}{column[second]:6.2f}")
    print(f"\n{'attribute':14s} direction  trees")
    for name, (along, trees) in zip(ATTRIBUTES, np.mean(shares, axis=0)):
        print(f"{name:14s}{100 * along:8.0f} %{100 * trees:6.0f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="faces", help="name of a shipped model, or path of a checkpoint")
    parser.add_argument("--seed", type=int, nargs="+", default=[300], help="of the images")
    args = parser.parse_args()
    torch.set_num_threads(1)
    load = checkpoints.load_model if pathlib.Path(args.model).is_file() else checkpoints.load_pretrained
    report(load(args.model), args.seed)


if __name__ == "__main__":
    main()
