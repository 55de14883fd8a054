"""How often a model redraws the right shape: its reconstructions, judged by a small classifier of the sprites' shapes.

    python benchmarks/shapes.py [MODEL ...]

The classifier is trained on 512,000 sprites of the renderer; how often it is right on new originals is printed first.
"""

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import nn  # noqa: E402

from bvae_helpers import checkpoints, latents  # noqa: E402
from bvae_helpers.data import Sprites, render, to_batch  # noqa: E402
from bvae_helpers.data.sprites import SHAPES  # noqa: E402

STEPS, BATCH, IMAGES = 4_000, 128, 6_000
SEED = 300          # of the images judged; the trials that led to the recipe of `labelled` were judged on them, too


def classifier(seed=0):
    """A convolutional network, sprites (B, 1, 64, 64) -> logits of the three shapes (B, 3), trained."""
    torch.manual_seed(seed)
    widths = ((1, 16), (16, 32), (32, 64), (64, 64))
    layers = [layer for a, b in widths for layer in (nn.Conv2d(a, b, 4, 2, 1), nn.ReLU())]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, len(SHAPES)))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    generator, data = torch.Generator().manual_seed(seed), Sprites()
    for _ in range(STEPS):
        factors = data.sample_factors(BATCH, generator)
        loss = nn.functional.cross_entropy(net(to_batch(data.images(factors))), factors[:, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def right(net, pictures, shape):
    """Which pictures (N, 1, 64, 64) in [0, 1] the classifier gives their shape, bool (N,)."""
    return torch.cat([net(batch).argmax(1) for batch in pictures.split(500)]) == shape


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [name for name in checkpoints.pretrained_names() if not name.startswith("faces")]
    parser.add_argument("model", nargs="*", default=names, help="a pretrained model, or a checkpoint's file")
    args = parser.parse_args()
    images, factors = render(Sprites(), IMAGES, SEED)
    shape, net = factors[:, 0], classifier()
    print(f"{'share of right shapes':24s}     all  " + "  ".join(f"{name:>7s}" for name in SHAPES))
    for name in ["originals", *args.model]:
        pictures = to_batch(images)
        if name != "originals":
            load = checkpoints.load_model if pathlib.Path(name).is_file() else checkpoints.load_pretrained
            pictures = latents.reconstruct(load(name), images)
        found = right(net, pictures, shape)
        if name == "originals" and found.float().mean() < 0.99:
            raise SystemExit(f"the classifier knows {found.float().mean():.3f} of the originals only: train it longer")
        each = "  ".join(f"{found[shape == k].float().mean():7.3f}" for k in range(len(SHAPES)))
        print(f"{name:24s}   {found.float().mean():.3f}  {each}", flush=True)


if __name__ == "__main__":
    main()
