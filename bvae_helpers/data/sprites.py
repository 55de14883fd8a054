"""Procedural dSprites: five known factors of variation, drawn as 64 x 64 black-and-white images.

The geometry was measured on frames of the real dSprites (Matthey et al. 2017, "dSprites:
Disentanglement testing Sprites dataset"); the whole set of 737,280 images needs no file.

A pixel is lit if and only if its centre lies inside the shape, so a shape is nothing but an
inside-test on the coordinates (u, v), in pixels, of a frame that moves and turns with it
(u to the right, v down, as in every image).
"""

import math

import torch

FACTOR_NAMES = ("shape", "scale", "orientation", "posX", "posY")
FACTOR_SIZES = (3, 6, 40, 32, 32)
SHAPES = ("square", "ellipse", "heart")
IMG_SIZE = 64
WINDOW = 32          # pixels; no shape reaches further than 14 from its centre
CHUNK = 1024         # images drawn at a time: keeps the working set inside the cache


def in_square(u, v, s):
    """Half-side 9.6 s; 9.599 leaves out pixel centres exactly on the border, as dSprites does."""
    half = 9.599 * s
    return torch.maximum(u.abs(), v.abs()) <= half


def in_ellipse(u, v, s):
    """Semi-axes 12.766 s (horizontal when unturned) and 7.2127 s."""
    return (u / (12.766 * s)).square() + (v / (7.2127 * s)).square() <= 1.0


def in_heart(u, v, s):
    """The curve x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, in closed form.

    x fixes sin t, so a vertical line meets the curve at t and pi - t, that is at cos t = +c and
    -c. Written in c, those two points are y = middle(c) +- half(c), and inside is in between.
    """
    sin2 = (u.abs() / (16 * 0.5997 * s)).pow(2 / 3)
    c2 = (1 - sin2).clamp_min(0)
    middle = 4 + c2 * (-2 - 8 * c2)
    half = c2.sqrt() * (19 - 8 * c2)
    y = (v / s + 1.437) / -0.662
    return (sin2 <= 1) & ((y - middle).abs() <= half)


INSIDE = (in_square, in_ellipse, in_heart)


def factor_values(factors):
    """Integer classes (N, 5) -> the physical quantities the renderer draws.

    Returns a dict of float tensors (N,): ``scale`` (0.5 to 1), ``orientation`` (radians, counter-
    clockwise on screen), ``x`` and ``y`` (pixels, the centre; y down).
    """
    _, scale, orientation, pos_x, pos_y = factors.to(torch.float64).unbind(1)
    return {"scale": 0.5 + scale / 10, "orientation": orientation * (2 * math.pi / 39),
            "x": 16 + 32 * pos_x / 31, "y": 16 + 32 * pos_y / 31}


def draw(factors):
    """Integer classes (N, 5), all of one shape -> uint8 (N, 64, 64), 0 or 255."""
    value = factor_values(factors)
    left, top = (value[k].floor().long() - WINDOW // 2 for k in "xy")
    span = torch.arange(WINDOW, device=factors.device)
    dx = (left[:, None] + span + 0.5 - value["x"][:, None]).float()   # (N, W), pixel centres
    dy = (top[:, None] + span + 0.5 - value["y"][:, None]).float()
    cos, sin = (f(value["orientation"]).float()[:, None] for f in (torch.cos, torch.sin))
    u = (cos * dx)[:, None, :] - (sin * dy)[:, :, None]               # (N, W, W)
    v = (sin * dx)[:, None, :] + (cos * dy)[:, :, None]
    lit = INSIDE[int(factors[0, 0])](u, v, value["scale"].float()[:, None, None])
    images = torch.zeros(len(factors), IMG_SIZE, IMG_SIZE, dtype=torch.uint8, device=factors.device)
    n = torch.arange(len(factors), device=factors.device)[:, None, None]
    images[n, (top[:, None] + span)[:, :, None], (left[:, None] + span)[:, None, :]] = lit.to(torch.uint8) * 255
    return images


def check_factors(factors, sizes=FACTOR_SIZES, names=FACTOR_NAMES):
    """Integer classes within their ranges, as a long tensor (N, K); a ValueError says what is not."""
    factors = torch.as_tensor(factors)
    if factors.ndim != 2 or factors.shape[1] != len(sizes):
        raise ValueError(f"factors must have shape (N, {len(sizes)}), one column each for {', '.join(names)}; "
                         f"got {tuple(factors.shape)}")
    if factors.is_floating_point() or factors.is_complex() or factors.dtype == torch.bool:
        raise ValueError(f"factors must be integer classes, got {factors.dtype}")
    for name, size, column in zip(names, sizes, factors.unbind(1)):
        bad = column[(column < 0) | (column >= size)]
        if len(bad):
            raise ValueError(f"{name} must be 0 to {size - 1}, got {int(bad[0])}")
    return factors.long()


class Sprites:
    """The procedural dSprites. Nothing is stored: every image is drawn from its five factors.

    ``device`` is where images are drawn and returned.
    """

    factor_names = FACTOR_NAMES
    factor_sizes = FACTOR_SIZES

    def __init__(self, device="cpu"):
        self.device = torch.device(device)

    def __len__(self):
        return math.prod(self.factor_sizes)

    def images(self, factors):
        """Draw the images of integer classes (N, 5) -> uint8 (N, 1, 64, 64), 0 or 255.

        Raises ValueError for a wrong shape or a class out of range.
        """
        factors = check_factors(factors).to(self.device)
        out = torch.empty(len(factors), 1, IMG_SIZE, IMG_SIZE, dtype=torch.uint8, device=self.device)
        for shape in factors[:, 0].unique().tolist():   # those that occur: an empty index would still split into one
            for index in (factors[:, 0] == shape).nonzero().squeeze(1).split(CHUNK):
                out[index, 0] = draw(factors[index])
        return out

    def sample_factors(self, n, generator=None):
        """n independent uniform draws of every factor -> long (n, 5)."""
        columns = [torch.randint(size, (n,), generator=generator) for size in self.factor_sizes]
        return torch.stack(columns, dim=1)
