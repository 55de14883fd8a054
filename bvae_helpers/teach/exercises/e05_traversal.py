"""Checks of notebook 05: ranking latents, traversing, decoding and showing them, walking between codes."""

import math

import torch
import torch.nn.functional as F

from ...latents import kl_per_latent, slerp
from ...losses import kl_divergence
from ...model import BetaVAE
from ..checking import Answer, Case, Mistake, ModelState, attempt, close, compare, numbers, side_by_side
from .e01_data import pixels


@attempt
def check_top_latents(answer: Answer) -> str:
    cases = []
    for seed, k in ((0, 3), (1, 1), (2, 6), (3, 2), (4, 4)):
        generator = torch.Generator().manual_seed(seed)
        # a latent may be far out and still, far spread, certain, collapsed, or certain of some images only
        scales = torch.tensor([[1.5], [2.0], [4.0], [2.0]])
        place, spread, certain, varied = scales * torch.rand(4, 7, generator=generator)
        mu = place + spread * torch.randn(150, 7, generator=generator)
        logvar = -certain + varied * torch.randn(150, 7, generator=generator)
        cases.append(Case(f"k = {k} of 7 latents", (mu, logvar, k)))
    compare(answer, cases, lambda mu, logvar, k: _largest(kl_per_latent(mu, logvar), k), {
        "your order is ascending: the largest KL comes first":
            lambda mu, logvar, k: kl_per_latent(mu, logvar).argsort()[:k],
        "these are the right latents, the smallest KL first":
            lambda mu, logvar, k: _largest(kl_per_latent(mu, logvar), k).flip(0),
        "you look at the spread of mu alone; a certain latent (a small variance) costs nats, too":
            lambda mu, logvar, k: _largest(mu.std(0), k),
        "you look at mu alone; a certain latent (a small variance) costs nats, too":
            lambda mu, logvar, k: _largest(mu.square().mean(0), k),
        "you look at logvar alone; a mean far from 0 costs nats, too":
            lambda mu, logvar, k: _largest(-logvar.mean(0), k),
        "you average mu and logvar first; average the KL over the images":
            lambda mu, logvar, k: _largest(kl_divergence(mu.mean(0), logvar.mean(0)), k),
        "you return the KLs; their indices are wanted":
            lambda mu, logvar, k: kl_per_latent(mu, logvar).sort().values.flip(0)[:k],
        "you return all latents; k are wanted": lambda mu, logvar, k: _largest(kl_per_latent(mu, logvar), 7),
    }, rtol=0, atol=1e-6)
    return "the KL counts both, how far the mean moves and how certain it is"


def _largest(values: torch.Tensor, k: int) -> torch.Tensor:
    return values.argsort(descending=True)[:k]


@attempt
def check_slerp(answer: Answer) -> str:
    cases = [Case(f"two ends of length {length}, {steps} points",
                  (*_ends(size, length, seed), torch.linspace(0, 1, steps)))
             for size, length, seed, steps in ((2, 2.0, 0, 3), (3, 0.5, 1, 5), (10, 3.0, 2, 7), (2, 1.5, 3, 4))]
    _check_equal_ends(answer)
    compare(answer, cases, [slerp, _slerp_by_direction], {
        "that is the straight line": lambda z0, z1, t: torch.lerp(z0, z1, t[:, None]),
        "the points are on the sphere, but at uneven steps: turn the angle, instead of stretching the straight line":
            lambda z0, z1, t: z0.norm() * F.normalize(torch.lerp(z0, z1, t[:, None])),
        "the lengths of the ends are lost: the path is to begin at z0 and end at z1":
            lambda z0, z1, t: slerp(z0 / z0.norm(), z1 / z1.norm(), t),
        "you turn by a quarter of a circle, whatever the angle between the ends":
            lambda z0, z1, t: torch.cos(t * math.pi / 2)[:, None] * z0 + torch.sin(t * math.pi / 2)[:, None] * z1,
        "the path begins at z1 and ends at z0": lambda z0, z1, t: slerp(z1, z0, t),
    }, rtol=1e-3, atol=1e-3)
    z0, z1 = _ends(6, 2.0, 4)
    compare(answer, [Case("ends of length 2 and 5", (z0, 2.5 * z1, torch.tensor([0.0, 0.2, 0.9, 1.0])))],
            [slerp, _slerp_by_direction], rtol=1e-3, atol=1e-3)
    return "equal steps along the great circle, and equal ends survive"


def _check_equal_ends(answer: Answer) -> None:
    t = torch.linspace(0, 1, 5)
    for seed in range(12):                  # for some of these the cosine is rounded to more than 1
        end = _ends(3 + seed, 2.0, seed)[0]
        got, want = numbers(answer(end, end.clone(), t)), end.expand(5, -1).double()
        if not got.isfinite().all():
            raise Mistake("two equal ends give NaN: the angle is 0, or the cosine is rounded to a little more than 1")
        if not close(got, want, rtol=1e-3, atol=1e-3):
            raise Mistake(side_by_side(got, want, "two equal ends, between which the path stays where it is"))


def _ends(size: int, length: float, seed: int) -> torch.Tensor:
    """Two codes (2, size) of the same length and different directions."""
    z = torch.randn(2, size, generator=torch.Generator().manual_seed(seed))
    return length * z / z.norm(dim=1, keepdim=True)


def _slerp_by_direction(z0: torch.Tensor, z1: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The other great circle: directions turned, lengths interpolated along a straight line."""
    return slerp(z0 / z0.norm(), z1 / z1.norm(), t) * torch.lerp(z0.norm(), z1.norm(), t)[:, None]


@attempt
def check_traverse_all(answer: Answer) -> str:
    cases = []
    for size, steps, seed in ((3, 4, 0), (2, 5, 1), (4, 3, 2)):
        generator = torch.Generator().manual_seed(seed)
        weights = torch.randn(size, 2, 3, generator=generator)
        z, values = torch.randn(size, generator=generator), torch.linspace(-2, 1, steps)
        cases.append(Case(f"{size} latents, {steps} values", (_decoder(weights), z, values)))
    compare(answer, cases, _rows, {
        "the rows accumulate: row 1 starts with latent 0 still at its last value": _accumulated,
        "the other latents are 0; they are to keep the values of z":
            lambda decode, z, values: _rows(decode, 0 * z, values),
        "you add the values to z; latent d is to take them": lambda decode, z, values: torch.stack(
            [_rows(decode, z, z[d] + values)[d] for d in range(len(z))]),
        "rows and columns are exchanged: a row for each latent":
            lambda decode, z, values: _rows(decode, z, values).transpose(0, 1),
    })
    return "every row starts from the same code, and z is left alone"


def _decoder(weights: torch.Tensor):
    """A decoder of codes (B, D) -> pictures (B, 2, 3), in which every latent shows."""

    def decode(codes: torch.Tensor) -> torch.Tensor:
        if codes.ndim != 2:
            raise ValueError(f"decode takes codes (B, D), got shape {tuple(codes.shape)}")
        return torch.tensordot(codes + 0.3 * codes ** 2, weights.to(codes.dtype), dims=1)

    return decode


def _rows(decode, z: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    rows = []
    for d in range(len(z)):
        codes = z.repeat(len(values), 1)
        codes[:, d] = values
        rows.append(decode(codes))
    return torch.stack(rows)


def _accumulated(decode, z: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The mistake of writing into one and the same code."""
    z, rows = z.clone(), []
    for d in range(len(z)):
        codes = z.repeat(len(values), 1)
        codes[:, d] = values
        rows.append(decode(codes))
        z[d] = values[-1]
    return torch.stack(rows)


@attempt
def check_decode_in_eval(answer: Answer) -> str:
    for training, batch, latents, seed in ((True, 6, 3, 0), (False, 4, 2, 1), (True, 1, 5, 2)):
        torch.manual_seed(seed)
        model, z = BetaVAE(1, latents, [4, 8], img_size=16), 3 * torch.randn(batch, latents)
        for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            norm.running_mean += 0.3 * torch.rand(norm.running_mean.shape)
            norm.running_var *= 2.0
        with torch.no_grad():
            want = model.eval().decoder(z)
        model.train(training)
        state = ModelState(model)
        got = answer(model, z)
        state.check()
        if not close(numbers(got), want.double(), atol=1e-4):
            raise Mistake(side_by_side(numbers(got), want.double(), f"{batch} codes, against a decoding in eval "
             f"mode"))
        if isinstance(got, torch.Tensor) and got.requires_grad:
            raise Mistake("the pictures are right, but keep a graph for gradients that nobody asks for: "
                          "`torch.no_grad()`")
    return "one code, one picture, and the model is as it was"


@attempt
def check_to_pixels(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(0)
    cases = [Case(f"images {shape} with values from {low} to {high}",
                  (low + (high - low) * torch.rand(shape, generator=generator),))
             for shape, low, high in (((1, 1, 1, 4), 0.3, 0.6), ((3, 1, 4, 5), 0.0, 1.0), ((2, 3, 5, 4), -0.3, 1.2))]
    compare(answer, cases, lambda x: (x.clamp(0, 1) * 255).round(), {
        "the contrast is stretched: the smallest value becomes 0 and the largest 255, whatever they are":
            lambda x: ((x - x.min()) / (x.max() - x.min()) * 255).to(torch.uint8),
        "the contrast is stretched from 0 to 255, whatever the smallest and the largest value are":
            lambda x: ((x - x.min()) / (x.max() - x.min()) * 255).round(),
        "a cast to uint8 cuts off the fraction: the nearest whole number is wanted":
            lambda x: (x.clamp(0, 1) * 255).floor(),
        "values below 0 and above 1 wrap round: keep them within [0, 1]":
            lambda x: (x * 255).round().to(torch.int64).to(torch.uint8),
        "values below 0 and above 1 wrap round, and fractions are cut off":
            lambda x: (x * 255).to(torch.int64).to(torch.uint8),
        "1 is to become 255, the largest uint8; you multiply by 256": lambda x: (x * 256).floor().clamp(0, 255),
    }, rtol=0, atol=1e-6)
    compare(answer, cases, lambda x: (x.clamp(0, 1) * 255).round(), rtol=0, atol=1e-6, kind=pixels)
    return "grey stays grey"
