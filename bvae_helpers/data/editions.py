"""dSprites' harder editions, drawn: in colour, on noise, on a picture.

Locatello et al. 2019, "Challenging Common Assumptions".

What an edition adds at random is no factor, and is the same whenever an image is drawn: it is computed from the image's
position in the lattice, on every device to the same bit.
"""

import torch
from torch import Tensor

from .factors import check_factors, index_of
from .sprites import IMG_SIZE, Sprites

__all__ = ["ColourSprites", "NoisySprites", "PictureSprites", "drawn_picture", "uniform"]

CHUNK = 256          # images made at a time
MIX = (-4658895280553007687, -7723592293110705685)  # the two multipliers of splitmix64 (Steele et al. 2014), as int64


def uniform(keys: Tensor, seed: int = 0) -> Tensor:
    """A number in [0, 1) for every key, long of any shape -> float32: always the same for the same key and seed.

    Steele, Lea & Flood 2014, "Fast Splittable Pseudorandom Number Generators": splitmix64's finaliser.
    """
    z = (keys + seed * 1_000_003 + 1) * -7046029254386353131
    for shift, factor in zip((30, 27), MIX):
        z = (z ^ (z >> shift & (1 << 64 - shift) - 1)) * factor
    z = z ^ (z >> 31 & (1 << 33) - 1)
    return (z >> 40 & 0xFFFFFF).float() / (1 << 24)


def drawn_picture(side: int = 256) -> Tensor:
    """A picture of wavy bands in three colours, uint8 (3, side, side): the background if none is given."""
    y, x = torch.meshgrid(*(torch.arange(side).double() / side * 6.28,) * 2, indexing="ij")
    bends = x + 1.5 * torch.sin(2 * y) + 0.8 * torch.sin(3 * x + y)
    waves = [torch.sin(frequency * bends + phase) for frequency, phase in ((2, 0.0), (3, 1.0), (5, 2.5))]
    return ((torch.stack(waves) + 1) * 127.5).round().to(torch.uint8)


class _ColourEdition(Sprites):
    """Sprites in three channels. A subclass says what is drawn for masks (n, 1, 64, 64) and keys (n,)."""

    def __init__(self, device: str | torch.device = "cpu", seed: int = 0):
        super().__init__(device)
        self.seed = seed

    def images(self, factors: Tensor) -> Tensor:
        """Integer classes (N, 5) -> uint8 (N, 3, 64, 64).

        Raises ValueError for a wrong shape or a class out of range.
        """
        factors = check_factors(factors, self.factor_sizes, self.factor_names)
        out = torch.empty(len(factors), 3, IMG_SIZE, IMG_SIZE, dtype=torch.uint8, device=self.device)
        keys = index_of(factors, self.factor_sizes).to(self.device)
        for part in torch.arange(len(factors)).split(CHUNK):
            inside = super().images(factors[part]) > 0
            out[part] = (self.dress(inside, keys[part]) * 255).round().to(torch.uint8)
        return out

    def draws(self, keys: Tensor, *shape: int) -> Tensor:
        """Numbers in [0, 1) for every key (n,) -> (n, *shape)."""
        count = torch.Size(shape).numel()
        each = torch.arange(count, device=keys.device)
        return uniform(keys[:, None] * count + each, self.seed).view(len(keys), *shape)

    def dress(self, inside: Tensor, keys: Tensor) -> Tensor:
        raise NotImplementedError


class ColourSprites(_ColourEdition):
    """Sprites in a random colour on black: each channel uniform in 0.5 to 1."""

    def dress(self, inside: Tensor, keys: Tensor) -> Tensor:
        return inside * (0.5 + 0.5 * self.draws(keys, 3, 1, 1))


class NoisySprites(_ColourEdition):
    """White sprites on noise: every pixel and channel of the background uniform in 0 to 1."""

    def dress(self, inside: Tensor, keys: Tensor) -> Tensor:
        return torch.where(inside, 1.0, self.draws(keys, 3, IMG_SIZE, IMG_SIZE))


class PictureSprites(_ColourEdition):
    """Sprites that invert a background: a random 64 x 64 part of a picture, in a random tint.

    ``picture``: uint8 (3, H, W), H and W at least 64; by default ``drawn_picture()``. (Locatello et al. use Munch's
    "The Scream".) Raises ValueError for another picture.
    """

    def __init__(self, device: str | torch.device = "cpu", seed: int = 0, picture: Tensor | None = None):
        super().__init__(device, seed)
        picture = drawn_picture() if picture is None else torch.as_tensor(picture)
        if picture.dtype != torch.uint8 or picture.ndim != 3 or len(picture) != 3 or min(picture.shape[1:]) < IMG_SIZE:
            raise ValueError(f"picture must be uint8 (3, H, W), H and W at least {IMG_SIZE}, got {picture.dtype} "
                             f"{tuple(picture.shape)}")
        self.picture = picture.to(self.device)

    def dress(self, inside: Tensor, keys: Tensor) -> Tensor:
        at = self.draws(keys, 5)
        room = torch.tensor(self.picture.shape[1:], device=self.device) - IMG_SIZE + 1
        top, left = (at[:, :2] * room).long().T
        span = torch.arange(IMG_SIZE, device=self.device)
        part = self.picture[:, (top[:, None] + span)[:, :, None],
                            (left[:, None] + span)[:, None, :]].transpose(0, 1) / 255
        background = (part + at[:, 2:, None, None]) / 2
        return torch.where(inside, 1 - background, background)
