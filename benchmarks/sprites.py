"""What each step of the renderer gains, counted in real images, and how long the whole of dSprites takes.

    python benchmarks/sprites.py [dsprites.npz] [--device cpu]

The file holds imgs and latents_values: the original, or a part of it. Without one, the tests' 5,040 images are used.
"""

import argparse
import math
import pathlib
import sys
import time
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from bvae_helpers.data import sprites  # noqa: E402

FITTED = (      # the constants that fit best if one takes the outlines for smooth curves
    sprites.square,
    lambda: (sprites.ellipse()[0] * torch.tensor([12.766 / (9.6 * 1.33), 7.2127 / (9.6 / 1.33)]), torch.zeros(2)),
    lambda: (sprites.heart()[0] * torch.tensor([0.5997 / 0.6, 0.662 / (9.6 / 14.5)]), torch.tensor([0, -1.437])))


def other_edges(x, y, fill=sprites.fill):
    """``sprites.fill``, but a centre on an edge counts at the right and at the top: filled upside down."""
    size = 64 * sprites.SNAP
    return fill(size - x, size - y).flip(1, 2)


def in_float64(factors):
    """``sprites.transform`` with nothing rounded."""
    corners, move = sprites.OUTLINES[int(factors[0, 0])]()
    x, y = (corners.double() + move).T
    _, scale, turn, right, down = factors.double()[:, :, None].unbind(1)
    scale, turn = 0.5 + scale / 10, turn * (2 * math.pi / 39)
    cos, sin = scale * turn.cos(), scale * turn.sin()
    return cos * x + sin * y + 32 * right / 31 - 16, cos * y - sin * x + 32 * down / 31 - 16


STEPS = {       # each with what stands in its place until it is taken
    "corners snapped to 1/256 pixel": {"SNAP": 65536},
    "100 and 150 corners": {"angles": lambda n: torch.arange(1000).double() * (2 * math.pi / 1000)},
    "round constants": {"OUTLINES": FITTED},
    "fill rule: left and bottom edges": {"fill": other_edges},
    "float32, in the original's order": {"transform": in_float64}}


def real_images(path):
    """The file's images (N, 64, 64), 0 or 1, and their classes (N, 5)."""
    with np.load(path or ROOT / "tests" / "fixtures" / "dsprites.npz") as file:
        if "rows" in file:
            factors = np.stack(np.unravel_index(file["rows"], sprites.FACTOR_SIZES), axis=1)
            return np.unpackbits(file["images"], axis=1).reshape(-1, 64, 64), torch.from_numpy(factors)
        steps = file["latents_values"][:, -5:] - [1, 0.5, 0, 0, 0]
        factors = (steps / [1, 0.1, 2 * np.pi / 39, 1 / 31, 1 / 31]).round().astype(int)
        return file["imgs"], torch.from_numpy(factors)


def report(real, factors, device):
    """One line a step: exact images of each shape, and the most wrong pixels in one image."""
    total = factors[:, 0].bincount(minlength=3)
    print(f"{len(real):,} images: " + ", ".join(f"{int(n):,} {name}s" for n, name in zip(total, sprites.SHAPES)))
    print(f"{'':34s}" + "".join(f"{name + 's':>18s}" for name in sprites.SHAPES) + "   worst")
    for taken in range(len(STEPS) + 1):
        missing = {k: v for step in list(STEPS.values())[taken:] for k, v in step.items()}
        with mock.patch.dict(vars(sprites), missing):
            ours = sprites.Sprites(device).images(factors)[:, 0].cpu().numpy() // 255
        wrong = torch.from_numpy((ours != real).sum(axis=(1, 2)))
        exact = factors[wrong == 0, 0].bincount(minlength=3)
        name = ["smooth curves, nothing snapped", *("+ " + step for step in STEPS)][taken]
        print(f"{name:34s}" + "".join(f"{int(e):9,} {100 * e / t:6.2f} %" for e, t in zip(exact, total))
              + f"{int(wrong.max()):8d}", flush=True)


def whole(device):
    """Draws all 737,280 images, 30,720 at a time."""
    lattice = torch.cartesian_prod(*(torch.arange(size) for size in sprites.FACTOR_SIZES))
    start, used = time.perf_counter(), time.process_time()
    for factors in lattice.split(30_720):
        sprites.Sprites(device).images(factors)[-1, 0, 0, 0].item()        # waits for the device
    print(f"all {len(lattice):,}: {time.perf_counter() - start:.1f} s, {time.process_time() - used:.1f} s of "
          f"processor, {torch.get_num_threads()} threads, {device}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    report(*real_images(args.file), args.device)
    whole(args.device)
