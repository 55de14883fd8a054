"""Checks of notebook 01: positions in the lattice, a shape's inside, channels first, a split that does not leak."""

import numpy as np
import torch

from ...data import index_of
from ..checking import Answer, Case, Mistake, attempt, compare, numbers


@attempt
def check_split(answer: Answer) -> str:
    for n, fraction, seed in ((1000, 0.2, 0), (43, 0.25, 5), (300, 0.7, 7)):
        held_out = round(n * fraction)
        train, validation = _split(answer, n, fraction, seed)
        if (len(train), len(validation)) != (n - held_out, held_out):
            exchanged = ": training comes first" if (len(train), len(validation)) == (held_out, n - held_out) else ""
            raise Mistake(f"n = {n}, val_fraction = {fraction}: your parts have {len(train)} and {len(validation)} "
                          f"positions, and {n - held_out} and {held_out} are wanted{exchanged}")
        both = len(set(train) & set(validation))
        if both:
            raise Mistake(f"n = {n}: {both} of the {held_out} validation images are training images too, so the "
                          "model was trained on them")
        if set(train) | set(validation) != set(range(n)):
            raise Mistake(f"n = {n}: every position from 0 to {n - 1} is to be in one of the two parts, once")
        places = sorted(validation)
        gaps = {(b - a) % n for a, b in zip(places, places[1:] + places[:1])}
        if len(gaps) <= 2:
            raise Mistake(f"n = {n}: the validation images stand in the data at equal distances, {places[:4]} …: "
                          "nothing decides by chance which image is in which part")
        again = _split(answer, n, fraction, seed)
        if (set(again[1]), set(again[0])) != (set(validation), set(train)):
            raise Mistake("two calls with the same seed give two splits: every draw has to depend on the seed alone")
        if set(_split(answer, n, fraction, seed + 1)[1]) == set(validation):
            raise Mistake("two seeds give the same split: the seed is not used")
    return "shuffled once, cut once, nothing in both"


def _split(answer: Answer, *args: float) -> tuple[list, list]:
    """The two parts as lists of whole numbers."""
    got = answer(*args)
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        raise Mistake("your function is to return two parts: `return train, validation`")
    parts = [numbers(part) for part in got]
    if any(np.asarray(part).dtype.kind == "f" and len(part) for part in got):
        raise Mistake("the positions are to index images, so they have to be whole numbers (long); yours are floats")
    if any(part.ndim != 1 or not torch.equal(part, part.round()) for part in parts):
        raise Mistake("each part is a row of positions, which are whole numbers")
    return tuple(part.long().tolist() for part in parts)


@attempt
def check_position(answer: Answer) -> str:
    # past the whole numbers of float32, and of int32
    lattices = [(2, 3), (4, 5, 7), (3, 6, 40, 32, 32), (600, 500, 400), (3000, 2000, 1000, 2)]
    cases = [Case(f"factors {factors[:1].tolist()}{' and 39 others' if len(factors) > 1 else ''}, sizes {sizes}",
                  (factors, sizes)) for sizes in lattices for factors in (_factors(sizes, 1), _factors(sizes, 40))]
    compare(answer, cases, index_of, {
        "the first factor moves fastest in your row; the last one is to":
            lambda factors, sizes: index_of(factors.flip(1), sizes[::-1]),
        "you count from 1; the first image is at position 0": lambda factors, sizes: index_of(factors, sizes) + 1,
        "your positions are rounded: float32 has no whole numbers past 16,777,216; calculate with whole numbers":
            _rounded,
    }, rtol=0, atol=0)
    return "every image of every lattice has its place"


def _rounded(factors: torch.Tensor, sizes: tuple) -> torch.Tensor:
    """The mistake of calculating in float32."""
    index = torch.zeros(len(factors))
    for column, size in zip(factors.T, sizes):
        index = index * size + column
    return index


def _factors(sizes: tuple, n: int) -> torch.Tensor:
    """``n`` random rows of factor classes: (n, K)."""
    generator = torch.Generator().manual_seed(n)
    return torch.stack([torch.randint(size, (n,), generator=generator) for size in sizes], dim=1)


@attempt
def check_diamond(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(3)
    cases = []
    for s, shape in ((1.0, (400,)), (0.5, (20, 30)), (1.7, (4, 5, 30))):
        u, v = (s * reach * (2.4 * torch.rand(shape, generator=generator) - 1.2) for reach in (12, 8))
        clear = (_diamond(u, v, s, rim=True) - 1).abs() > 1e-3           # a point on the rim may fall on either side
        u, v = u * clear, v * clear
        cases.append(Case(f"s = {s}, random points {shape}", (u, v, s)))
    compare(answer, cases, _diamond, {
        "the reach is exchanged: 12 s is to the left and right, 8 s is up and down":
            lambda u, v, s: _diamond(v, u, s),
        "s is missing: the diamond is to grow with it": lambda u, v, s: _diamond(u, v, 1),
        "the sides of a diamond are straight lines; yours is an ellipse":
            lambda u, v, s: (u / (12 * s)) ** 2 + (v / (8 * s)) ** 2 <= 1,
        "that is the rectangle around the diamond": lambda u, v, s: (u.abs() <= 12 * s) & (v.abs() <= 8 * s),
        "only one of the four sides is tested: the others are its mirror images": lambda u, v, s: u / 12 + v / 8 <= s,
        "only a quarter of the diamond is inside: it reaches left and up, too":
            lambda u, v, s: (u >= 0) & (v >= 0) & (u / 12 + v / 8 <= s),
        "your diamond is half as wide and half as high: 12 s and 8 s are counted from the centre":
            lambda u, v, s: _diamond(u, v, s / 2),
        "inside and outside are exchanged": lambda u, v, s: ~_diamond(u, v, s),
    }, kind=_bool, where=_point)
    return "a diamond in one line; the renderer would draw it as it draws the heart"


def _diamond(u: torch.Tensor, v: torch.Tensor, s: float, rim: bool = False) -> torch.Tensor:
    distance = u.abs() / (12 * s) + v.abs() / (8 * s)
    return distance if rim else distance <= 1


def _point(case: Case, place: tuple) -> str:
    return f"u = {case.args[0][place]:.1f}, v = {case.args[1][place]:.1f} (1 is inside)"


def _bool(got: object) -> str | None:
    dtype = got.dtype if isinstance(got, (torch.Tensor, np.ndarray)) else np.asarray(got).dtype
    return None if dtype in (torch.bool, np.bool_) else f"inside or outside is a bool; yours is {dtype}"


@attempt
def check_to_channels_first(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(0)
    cases = [Case(f"pictures {shape}", (torch.randint(256, shape, generator=generator).to(torch.uint8),))
             for shape in ((2, 5, 7, 3), (3, 4, 4, 3), (1, 6, 2, 4), (2, 3, 4, 1))]
    compare(answer, cases, lambda p: p.permute(0, 3, 1, 2), {
        "reshape and view only cut the row of numbers elsewhere: red, green and blue of one pixel become neighbours":
            lambda p: p.reshape(len(p), p.shape[3], p.shape[1], p.shape[2]),
        "height and width are exchanged": lambda p: p.permute(0, 3, 2, 1),
        "the colours are in reverse order: channel 0 is to stay channel 0": lambda p: p.permute(0, 3, 1, 2).flip(1),
        "the axes are the right ones in another order, and reshape then scrambles the picture":
            lambda p: p.transpose(1, 3).reshape(len(p), p.shape[3], p.shape[1], p.shape[2]),
        "the pictures are divided by 255; here they are to stay as they are": lambda p: p.permute(0, 3, 1, 2) / 255,
    }, rtol=0, atol=0)
    compare(answer, cases, lambda p: p.permute(0, 3, 1, 2), rtol=0, atol=0, kind=pixels)
    return "the axes changed places, the picture did not"


def pixels(got: object) -> str | None:
    """What is wrong with the type of pixels: None for uint8, a tensor's or an array's."""
    dtype = getattr(got, "dtype", np.asarray(got).dtype if not isinstance(got, torch.Tensor) else None)
    return None if dtype in (torch.uint8, np.uint8) else f"pixels are to be uint8; yours are {dtype}"
