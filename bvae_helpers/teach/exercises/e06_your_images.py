"""Checks of notebook 06: the direction of an attribute, and cutting a picture square."""

import torch

from ..notebook import attempt


@attempt
def check_attribute_direction(fn):
    mu = torch.tensor([[1.0, 0.0], [3.0, 2.0], [0.0, 4.0], [2.0, 4.0], [1.0, 7.0]])
    has = torch.tensor([True, True, False, False, False])
    got = fn(mu, has)
    assert got.shape == (2,), f"your direction has shape {tuple(got.shape)}; one number a latent is wanted, (D,) = (2,)"
    assert not torch.allclose(got, torch.tensor([-1.0, 4.0])), "the direction leads away from the attribute: with minus without"
    assert not torch.allclose(got, torch.tensor([1.0, -13.0])), "you took sums: the larger group then weighs more; take means"
    assert not torch.allclose(got, torch.tensor([0.6, -2.4])), "you compared with the mean of all; compare with those without it"
    assert torch.allclose(got, torch.tensor([1.0, -4.0])), f"you found {got.tolist()}; the means differ by [1.0, -4.0]"
    return "correct: from the mean code without the attribute to the mean code with it"


@attempt
def check_centre_square(fn):
    wide = torch.arange(24).reshape(1, 4, 6)
    got = fn(wide)
    assert got.shape != (1, 6, 6), "the square has the longer side: it would reach beyond the picture"
    assert got.shape == (1, 4, 4), f"a picture (1, 4, 6) became {tuple(got.shape)}; the largest square is (1, 4, 4)"
    assert not torch.equal(got, wide[:, :, :4]), "you cut at the left edge: half of the surplus belongs to each side"
    assert torch.equal(got, wide[:, :, 1:5]), "these are not the central four columns (did you resize instead of cutting?)"
    tall = wide.transpose(1, 2)
    got = fn(tall)
    assert got.shape == (1, 4, 4), f"a tall picture (1, 6, 4) became {tuple(got.shape)}; (1, 4, 4) is wanted"
    assert torch.equal(got, tall[:, 1:5]), "the tall picture is not cut at its centre: are rows and columns exchanged?"
    return "correct: the centre is kept, and nothing is squeezed"
