"""The procedural dSprites: against real images, and against answers worked out by hand."""

import pathlib

import numpy as np
import pytest
import torch
from conftest import SHARED

from bvae_helpers.data import sprites
from bvae_helpers.data.sprites import FACTOR_NAMES, FACTOR_SIZES, Sprites

SPRITES = Sprites()
FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "dsprites.npz"


def draw(*factors):
    """One image, bool (64, 64): shape, scale, orientation, posX, posY."""
    return SPRITES.images(torch.tensor([factors]))[0, 0] > 0


def wrong_pixels(factors, real):
    """Ours against real images of 0 and 1, (N, 64, 64): the number of wrong pixels in each image."""
    return (SPRITES.images(torch.as_tensor(factors))[:, 0].numpy() // 255 != real).sum(axis=(1, 2))


@pytest.fixture(scope="module")
def sample():
    """Real images: factors (5040, 5), pixels of 0 and 1 (5040, 64, 64). 50 of them turn on the last bits of float32."""
    with np.load(FIXTURE) as file:
        factors = np.stack(np.unravel_index(file["rows"], FACTOR_SIZES), axis=1)
        return factors, np.unpackbits(file["images"], axis=1).reshape(-1, 64, 64)


def test_real_images_to_the_pixel(sample):
    assert len(sample[0]) == 5040 and (np.bincount(sample[0][:, 0]) > 1600).all()
    assert wrong_pixels(*sample).sum() == 0


def mirrored(x, y, fill=sprites.fill):
    """``fill`` of the mirror image: the other sides own the pixel centres that lie on them."""
    return fill(64 * sprites.SNAP - x.flip(1), y.flip(1)).flip(2)


@pytest.mark.parametrize("name, instead, most", [
    ("SNAP", 1024, 500), ("fill", mirrored, 100), ("POSITION", 16 + 32 * torch.arange(32).double() / 31, 10),
    ("angles", lambda n: torch.arange(360).double() * (2 * np.pi / 360), 2000)])
def test_every_step_is_needed(sample, monkeypatch, name, instead, most):
    monkeypatch.setattr(sprites, name, instead)
    assert 1 <= (wrong_pixels(*sample) > 0).sum() <= most


def test_all_real_images_at_hand():
    """Those of the two files with more real images that lie beside this checkout; the fixture above is always there."""
    for path, n in ((SHARED / "dsprites" / "frames.npz", 258), (SHARED / "dsprites" / "downsampled.npz", 46_080)):
        if path.exists():
            with np.load(path) as file:
                real, factors = file["imgs"], file["latents_values"]
            factors = np.rint((factors[:, -5:] - [1, 0.5, 0, 0, 0]) / [1, 0.1, 2 * np.pi / 39, 1 / 31,
                                                                       1 / 31]).astype(int)
            assert len(real) == n and wrong_pixels(factors, real).sum() == 0


def test_contract():
    factors = SPRITES.sample_factors(5, torch.Generator().manual_seed(0))
    images = SPRITES.images(factors)
    assert len(SPRITES) == 737_280 and SPRITES.factor_names == FACTOR_NAMES and SPRITES.factor_sizes == FACTOR_SIZES
    assert images.shape == (5, 1, 64, 64) and images.dtype == torch.uint8
    assert set(images.unique().tolist()) == {0, 255}
    assert SPRITES.images(factors[:0]).shape == (0, 1, 64, 64)


def test_an_image_depends_on_its_own_factors_only():
    factors = SPRITES.sample_factors(3000, torch.Generator().manual_seed(1))    # several chunks, shapes mixed
    together = SPRITES.images(factors)
    some = torch.arange(0, 3000, 271)
    assert torch.equal(together[some], torch.cat([SPRITES.images(factors[i:i + 1]) for i in some]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_equals_the_cpu_to_the_bit():
    lattice = torch.cartesian_prod(*(torch.arange(size) for size in FACTOR_SIZES))
    for factors in lattice.split(122_880):               # all 737,280
        assert torch.equal(Sprites("cuda").images(factors).cpu(), SPRITES.images(factors))


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu", 0)])
def test_device(device):
    images = Sprites(device).images([[2, 5, 0, 15, 15]])
    assert images.device.type == "cpu" and images.is_contiguous()


def test_the_number_of_threads_is_as_it_was():
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        draw(2, 5, 0, 15, 15)
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)


def test_a_centre_on_an_edge_is_inside_on_the_left_and_at_the_bottom():
    corners = 256 * torch.tensor([[2.5, 2.5], [5.5, 2.5], [5.5, 5.5], [2.5, 5.5]])       # all four are pixel centres
    lit = sprites.fill(*corners.long().T[:, None])[0]
    assert lit.nonzero().tolist() == [[row, column] for row in (3, 4, 5) for column in (2, 3, 4)]


def test_a_row_can_be_entered_twice():
    corners = 256 * torch.tensor([[10, 10], [20, 20], [30, 10], [30, 30], [10, 30]])     # a notch from above
    rows = sprites.fill(*corners.T[:, None])[0] > 0
    assert rows[12].nonzero().flatten().tolist() == [10, 11, 27, 28, 29]    # 12.5 and 27.5 lie on the notch
    assert rows[25].nonzero().flatten().tolist() == list(range(10, 30)) and not rows[30:].any()


def test_corners_are_rounded_with_y_up_and_halves_to_even():
    half = 0.5 / 256
    x = torch.tensor([[half, 3 * half, -half]])
    right, down = sprites.snap(x, x)
    assert (right - 32 * 256).tolist() == [[0, 2, 0]] and (down - 32 * 256).tolist() == [[0, 2, 0]]
    x = torch.tensor([[-16 + half + 2**-19]])            # just over a half; 48 - half - 2^-19 is no float32
    right, down = sprites.snap(x, x)
    assert (int(right), int(down)) == (16 * 256 + 1, 16 * 256)


def test_sample_factors_reach_every_class_and_follow_the_generator():
    draws = [SPRITES.sample_factors(2000, torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert [len(column.unique()) for column in draws[0].T] == list(FACTOR_SIZES)


@pytest.mark.parametrize("shape", range(3))
def test_the_last_orientation_equals_the_first(shape):
    assert torch.equal(draw(shape, 5, 39, 7, 20), draw(shape, 5, 0, 7, 20))
    assert not torch.equal(draw(shape, 5, 5, 7, 20), draw(shape, 5, 0, 7, 20))


def test_the_square_counted_by_hand():
    # centre (16, 16), half-side 9.6: pixel centres 6.5 ... 25.5, twenty a side; half of that at half the scale
    for scale, low, high in ((5, 6, 26), (0, 11, 21)):
        expected = torch.zeros(64, 64, dtype=torch.bool)
        expected[low:high, low:high] = True
        assert torch.equal(draw(0, scale, 0, 0, 0), expected)


@pytest.mark.parametrize("shape", (0, 1))                # the heart's centre of mass is not its centre
def test_centre_positions(shape):
    for x, y in ((0, 0), (31, 0), (0, 31), (10, 21), (31, 31)):
        rows, columns = draw(shape, 5, 0, x, y).nonzero().T
        assert abs(columns.double().mean() + 0.5 - (16 + 32 * x / 31)) <= 0.5      # half a pixel
        assert abs(rows.double().mean() + 0.5 - (16 + 32 * y / 31)) <= 0.5


@pytest.mark.parametrize("shape", range(3))
def test_area_grows_with_scale_as_its_square(shape):
    areas = [int(draw(shape, scale, 0, 16, 16).sum()) for scale in range(6)]
    assert all(a < b for a, b in zip(areas, areas[1:]))
    assert areas[5] / areas[0] == pytest.approx(4, rel=0.15)       # pixels: the border rounds


def test_ellipse_axes_and_the_sense_of_turning():
    rows, columns = draw(1, 5, 0, 0, 0).nonzero().T
    assert columns.max() - columns.min() + 1 == 26 and rows.max() - rows.min() + 1 == 14    # 2 x 12.77, 2 x 7.21
    rows, columns = draw(1, 5, 5, 16, 16).double().nonzero().double().T     # 46 degrees
    covariance = ((rows - rows.mean()) * (columns - columns.mean())).mean()
    assert covariance < -10                              # counter-clockwise: the right end is up, where y is small


def test_heart_is_upright_and_symmetric():
    heart = draw(2, 5, 0, 0, 0)
    assert torch.equal(heart[:, :16].flip(1), heart[:, 16:32])      # about x = 16
    widths = heart.sum(1)[heart.any(1)]
    assert widths[-1] <= 4 < widths[: len(widths) // 2].max()       # a point below, lobes above


@pytest.mark.parametrize("factors, said", [
    (torch.zeros(2, 4, dtype=torch.long), r"shape \(N, 5\)"), (torch.zeros(5, dtype=torch.long), r"shape \(N, 5\)"),
    (torch.zeros(1, 5), "integer"), (torch.zeros(1, 5, dtype=torch.bool), "integer"),
    (torch.tensor([[3, 0, 0, 0, 0]]), "shape must be 0 to 2, got 3"),
    (torch.tensor([[0, 0, 40, 0, 0]]), "orientation must be 0 to 39, got 40"),
    (torch.tensor([[0, 0, 0, -1, 0]]), "posX must be 0 to 31, got -1")])
def test_wrong_factors_are_named(factors, said):
    with pytest.raises(ValueError, match=said):
        SPRITES.images(factors)


def test_factors_may_be_lists_and_small_integers():
    factors = [[2, 1, 3, 4, 5]]
    assert torch.equal(SPRITES.images(factors), SPRITES.images(torch.tensor(factors, dtype=torch.uint8)))
