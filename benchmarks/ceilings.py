"""What an encoder of the sprites can score at best that finds every factor, as far as the pixels show it.

    python benchmarks/ceilings.py

A square looks the same after a quarter of a turn and an ellipse after half a turn, so their orientation can be seen
only up to that. The codes are made from the factors, without an image: scores of three such encoders by the protocol of
the models' cards, means over its evaluation seeds.
"""

import pathlib
import sys

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from pretrain import EVALUATION_SEEDS, SAMPLES, disentanglement, mean_of  # noqa: E402

from bvae_helpers.data import Sprites  # noqa: E402

SCORES = "mig", "dci_disentanglement", "factor_vae", "sap", "modularity"


def encoders(factors):
    """The codes of three perfect encoders: title -> (N, D)."""
    values = factors.astype(float)
    others, angle = np.delete(values, 2, axis=1), Sprites().visible(factors).numpy()[:, 2]
    circle = np.stack([np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)], axis=1)
    return {"the factors themselves": values,
            "orientation as seen, one latent": np.column_stack([others, angle]),
            "orientation as seen, on a circle, two latents": np.column_stack([others, circle])}


def main():
    rows = {}
    for seed in EVALUATION_SEEDS:
        factors = Sprites().sample_factors(SAMPLES, torch.Generator().manual_seed(seed)).numpy()
        for title, codes in encoders(factors).items():
            rows.setdefault(title, []).append(disentanglement(codes, factors, seed))
    print(f"{'':46}", *(f"{score:>20}" for score in SCORES))
    for title, scores in rows.items():
        mean = mean_of(scores)
        print(f"{title:46}", *(f"{mean[score]:20.3f}" for score in SCORES))


if __name__ == "__main__":
    main()
