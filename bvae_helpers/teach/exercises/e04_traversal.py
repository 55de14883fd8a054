"""Checks of notebook 04: ranking latents, traversing, decoding and showing them, walking between codes."""

import math

import torch

from ...model import BetaVAE
from ..notebook import attempt


@attempt
def check_top_latents(fn):
    # latent 0: certain, but in one place; 1: far spread, but unsure; 2: collapsed; 3: spread and certain
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(200, 4, generator=generator) * torch.tensor([0.01, 2.5, 0.05, 2.0])
    logvar = torch.tensor([-6.0, -0.2, 0.0, -8.0]).repeat(200, 1)
    got = torch.as_tensor(fn(mu, logvar, 3))
    assert got.shape == (3,), f"your answer has shape {tuple(got.shape)}; the k = 3 best latents are wanted, (3,)"
    got = got.tolist()
    assert got[0] != 2, "you start with the latent that carries least; sort in descending order"
    assert got[:2] != [1, 3], "you looked at the spread of mu only; certainty (a small variance) costs nats too"
    assert got != [3, 0, 1], "you looked at the certainty only; how far mu moves costs nats too"
    assert got == [3, 1, 0], f"you found {got}; by mean KL, latents 3, 1, 0 are the first three"
    return "correct: the KL counts both, how far the mean moves and how certain it is"


@attempt
def check_traverse_all(fn):
    z, values = torch.tensor([10.0, 20.0, 30.0]), torch.tensor([-1.0, 0.0, 1.0, 2.0])
    kept = z.clone()
    got = fn(lambda codes: codes.clone(), z, values)          # a decoder that shows its code
    assert got.shape == (3, 4, 3), f"your rows have shape {tuple(got.shape)}; (D, K, ...) = (3, 4, 3) is wanted"
    assert torch.equal(got[0, :, 0], values), "latent 0 does not take the values in row 0"
    assert not torch.equal(got[1, :, 0], values[-1].expand(4)), \
        "row 1 still has latent 0 at its last value: rows accumulate, since one z is written into again and again"
    for d in range(3):
        others = [k for k in range(3) if k != d]
        assert torch.equal(got[d][:, others], kept[others].expand(4, 2)), f"row {d} moves other latents than {d}"
        assert torch.equal(got[d, :, d], values), f"latent {d} does not take the values in row {d}"
    assert torch.equal(z, kept), "the caller's z came back changed; write into a copy"
    return "correct: every row starts from the same code, and z is left alone"


@attempt
def check_decode_in_eval(fn):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, z = BetaVAE(1, 3, [4, 8], img_size=16), 3 * torch.randn(6, 3)
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_mean += 0.3
        norm.running_var *= 2.0
    model.eval()
    with torch.no_grad():
        want = model.decoder(z)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    got = fn(model, z)
    assert got.shape == want.shape, f"your images have shape {tuple(got.shape)}; {tuple(want.shape)} is wanted"
    same = all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert same, "looking at the model changed it: BatchNorm's running averages moved; decode in eval mode"
    assert torch.allclose(got, want, atol=1e-5), "the picture depends on the batch: decode in eval mode"
    assert not got.requires_grad, "your images keep gradients; decode under torch.no_grad()"
    assert model.training, "the model came in training mode and left in eval mode; put it back as it was"
    model.eval()
    fn(model, z)
    assert not model.training, "the model came in eval mode and left in training mode; put it back as it was"
    return "correct: one code, one picture, and the model is as it was"


@attempt
def check_to_pixels(fn):
    grey = fn(torch.full((1, 1, 2, 2), 0.5) + torch.tensor([0.0, 0.1]))
    assert grey.dtype == torch.uint8, f"your pixels are {grey.dtype}; torch.uint8 is wanted"
    grey = grey.flatten().tolist()
    assert grey[:2] != [0, 255], "0.5 and 0.6 became black and white: contrast stretched by minimum and maximum"
    beyond = fn(torch.tensor([-0.1, 1.1]).reshape(1, 1, 1, 2)).flatten().tolist()
    assert beyond == [0, 255], f"-0.1 and 1.1 became {beyond}: values outside [0, 1] wrap round; clamp them"
    fine = fn(torch.tensor([0.0, 0.999, 1.0]).reshape(1, 1, 1, 3)).flatten().tolist()
    assert fine[1] == 255, f"0.999 became {fine[1]}: a cast to uint8 cuts off; round first"
    assert fine[0] == 0 and fine[2] == 255, f"0 and 1 became {fine[0]} and {fine[2]}; black is 0 and white 255"
    assert grey[:2] == [128, 153], f"0.5 and 0.6 became {grey[:2]}; 255 times the value, rounded, is 128 and 153"
    return "correct: grey stays grey"


@attempt
def check_slerp(fn):
    z0, z1, t = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0]), torch.linspace(0, 1, 5)
    got = fn(z0, z1, t)
    assert got.shape == (5, 3), f"your path has shape {tuple(got.shape)}; (K, D) = (5, 3) is wanted"
    assert torch.allclose(got[0], z0, atol=1e-5) and torch.allclose(got[-1], z1, atol=1e-5), \
        "the path does not begin at z0 and end at z1 (did you normalise the ends and forget their lengths?)"
    middle = float(got[2].norm())
    assert abs(middle - 2) < 1e-4, f"halfway the norm is {middle:.2f}, the ends have 2.00: that is the straight line"
    want = torch.stack([2 * torch.cos(t * math.pi / 2), 2 * torch.sin(t * math.pi / 2), 0 * t], dim=1)
    assert torch.allclose(got, want, atol=1e-4), "the path is on the sphere, but its steps are uneven: turn the angle"
    still = fn(z0, z0, t)
    assert still.isfinite().all(), "two equal ends give NaN: sin(0) in the denominator; fall back on the straight line"
    assert torch.allclose(still, z0.expand(5, 3), atol=1e-4), "between two equal ends the path has to stay where it is"
    return "correct: equal steps along the great circle, and equal ends survive"
