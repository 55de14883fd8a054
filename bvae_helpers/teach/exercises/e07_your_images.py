"""Checks of notebook 07: the direction of an attribute, and cutting a picture square."""

import torch
import torch.nn.functional as F

from ..checking import Answer, Case, attempt, compare


@attempt
def check_attribute_direction(answer: Answer) -> str:
    cases = []
    for n, latents, share, seed in ((5, 2, 0.5, 0), (40, 6, 0.3, 1), (33, 3, 0.8, 2)):
        generator = torch.Generator().manual_seed(seed)
        has = torch.rand(n, generator=generator) < share
        moved = torch.randn(latents, generator=generator)
        mu = 0.7 + torch.randn(n, latents, generator=generator) + has[:, None] * moved
        cases.append(Case(f"{n} codes, {int(has.sum())} with the attribute", (mu, has)))
    compare(answer, cases, _direction, {
        "the direction leads away from the attribute; from those without to those with is wanted":
            lambda mu, has: -_direction(mu, has),
        "you take sums: the larger group then weighs more": lambda mu, has: mu[has].sum(0) - mu[~has].sum(0),
        "you compare with the mean of all; compare with that of those without it":
            lambda mu, has: mu[has].mean(0) - mu.mean(0),
        "that is the mean code of those with the attribute; a direction begins at those without":
            lambda mu, has: mu[has].mean(0),
        "you make the direction one unit long; its length is the distance of the two means":
            lambda mu, has: F.normalize(_direction(mu, has), dim=0),
        "you average over the latents; one number for each latent is wanted":
            lambda mu, has: mu[has].mean() - mu[~has].mean(),
        "you divide by the number of all codes, not by that of each group":
            lambda mu, has: (mu[has].sum(0) - mu[~has].sum(0)) / len(mu),
        "those are medians; the difference of the means is wanted":
            lambda mu, has: mu[has].median(0).values - mu[~has].median(0).values,
    })
    return "from the mean code without the attribute to the mean code with it"


def _direction(mu: torch.Tensor, has: torch.Tensor) -> torch.Tensor:
    return mu[has].mean(0) - mu[~has].mean(0)


@attempt
def check_centre_square(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(0)
    cases = [Case(f"a picture {shape}", (torch.randint(256, shape, generator=generator),))
             for shape in ((1, 4, 6), (3, 9, 4), (2, 5, 5), (1, 3, 10), (3, 8, 5))]
    compare(answer, cases, [_square, lambda p: _square(p, later=1)], {
        "you cut at the left and upper edge: half of the surplus belongs to each side":
            lambda p: p[:, :min(p.shape[1:]), :min(p.shape[1:])],
        "you cut at the right and lower edge: half of the surplus belongs to each side":
            lambda p: p[:, -min(p.shape[1:]):, -min(p.shape[1:]):],
        "the picture is squeezed into a square; it is to be cut":
            lambda p: F.interpolate(p[None].float(), size=2 * (min(p.shape[1:]),))[0].to(p.dtype),
        "wide pictures are cut, and tall ones are not": lambda p: _square(p) if p.shape[2] >= p.shape[1] else p,
        "tall pictures are cut, and wide ones are not": lambda p: _square(p) if p.shape[1] >= p.shape[2] else p,
    }, rtol=0, atol=1e-3)
    return "the centre is kept, and nothing is squeezed"


def _square(picture: torch.Tensor, later: int = 0) -> torch.Tensor:
    """The central square; of an odd surplus, the larger half before it (``later`` = 1) or behind it (0)."""
    side = min(picture.shape[1:])
    top, left = ((size - side + later) // 2 for size in picture.shape[1:])
    return picture[:, top:top + side, left:left + side]
