"""Checks of the exercises in notebook 01, data."""

import torch

from ...data import index_of
from ...data.sprites import FACTOR_SIZES, Sprites
from ..notebook import attempt


@attempt
def check_position(fn):
    factors = Sprites().sample_factors(500, torch.Generator().manual_seed(3))
    got = fn(factors, FACTOR_SIZES)
    assert tuple(got.shape) == (500,), (
        f"your positions have shape {tuple(got.shape)}; one number per image, (500,), is wanted")
    assert not got.is_floating_point(), (
        "positions are whole numbers; yours are floats, which are not exact past 16,777,216")
    first, last, next_y = (fn(torch.tensor([f]), FACTOR_SIZES).item()
                           for f in ([0, 0, 0, 0, 0], [2, 5, 39, 31, 31], [0, 0, 0, 0, 1]))
    assert first == 0, f"all factors 0 is the first image, at position 0; yours says {first}"
    assert next_y == 1, f"posY moves fastest, so [0, 0, 0, 0, 1] is at position 1; yours says {next_y}"
    assert last == 737_279, f"the last image is at 737,279; yours says {last:,}"
    assert torch.equal(got, index_of(factors, FACTOR_SIZES)), (
        "some positions are wrong: try [0, 0, 1, 0, 0], which is 32 · 32")
    assert fn(torch.tensor([[1, 2]]), (2, 3)).item() == 5, (
        "use the sizes you are given: [1, 2] of sizes (2, 3) is at position 5")
    return "correct: every one of the 737,280 images has its place"


@attempt
def check_diamond(fn):
    axis = torch.arange(-20, 21).float()
    u, v = axis[None, :].expand(41, 41), axis[:, None].expand(41, 41)
    got = fn(u, v, 1.0)
    assert tuple(got.shape) == (41, 41), (
        f"your answer has shape {tuple(got.shape)}; one bool per pixel, (41, 41), is wanted")
    assert got.dtype == torch.bool, f"inside or not is a bool; yours is {got.dtype}"
    assert got[20, 20], "the centre is inside"
    assert got[20, 31] and not got[20, 33], (
        "it reaches 12 to the right: u = 11 is inside and u = 13 is outside, at v = 0")
    assert got[27, 20] and not got[29, 20], "it reaches 8 down: v = 7 is inside and v = 9 is outside, at u = 0"
    assert got[20, 9] and got[13, 20], "the diamond is the same to the left and above: |u| and |v|"
    assert not got[26, 29], "u = 9, v = 6 is outside: a diamond's sides are straight lines between its corners"
    assert got[23, 26], "u = 6, v = 3 is inside"
    small = fn(u, v, 0.5)
    assert small[20, 25] and not small[20, 27], "s = 0.5 makes it half as large: it then reaches 6 to the right"
    return "correct: a diamond in one line; the renderer would draw it as it draws the heart"


@attempt
def check_to_channels_first(fn):
    pictures = torch.randint(256, (2, 5, 7, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    got = fn(pictures)
    assert tuple(got.shape) == (2, 3, 5, 7), (
        f"your images have shape {tuple(got.shape)}; (N, C, H, W) = (2, 3, 5, 7) is wanted")
    assert got.dtype == torch.uint8, f"pixels stay uint8 until they are a batch; yours are {got.dtype}"
    truth = torch.stack([pictures[..., c] for c in range(3)], dim=1)
    scrambled = torch.equal(got, pictures.reshape(2, 3, 5, 7))
    assert not scrambled, (
        "reshape only cuts the row of numbers elsewhere: red, green and blue of one pixel land in neighbours")
    assert not torch.equal(got, truth.flip(1)), "the colours are in reverse order: channel 0 must stay channel 0"
    assert torch.equal(got, truth), "pixel (h, w) of channel c is not where it was: are height and width exchanged?"
    return "correct: the axes changed places, the picture did not"


@attempt
def check_split(fn):
    train, validation = fn(1000, 0.2, 0)
    assert (len(train), len(validation)) == (800, 200), (
        f"sizes {len(train)} and {len(validation)}; 800 and 200 are wanted")
    both = len(set(train.tolist()) & set(validation.tolist()))
    assert both == 0, (
        f"{both} of 200 validation images are training images too: the model was shown them. Shuffle once, then cut")
    assert set(train.tolist()) | set(validation.tolist()) == set(range(1000)), (
        "every position must be in one of the two parts")
    in_order = sorted(validation.tolist()) in (list(range(200)), list(range(800, 1000)))
    assert not in_order, "you cut without shuffling: in a sorted data set the two parts are then of different kinds"
    assert torch.equal(fn(1000, 0.2, 0)[1], validation), "the same seed must give the same split, run after run"
    assert not torch.equal(fn(1000, 0.2, 1)[1], validation), "another seed must give another split"
    return "correct: shuffled once, cut once, nothing in both"
