"""dSprites without the file: five known factors of variation, drawn as 64 x 64 black-and-white images.

The originals (Matthey et al. 2017, "dSprites: Disentanglement testing Sprites dataset") were drawn as all
computer graphics are, and so are these, step by step:

- *outline*: a shape is a polygon, with 4, 100 or 150 corners;
- *transform*: its corners are scaled, turned and moved, in float32;
- *snap*: they are rounded to a grid of 1/256 pixel;
- *fill*: a pixel is lit if its centre lies inside the snapped polygon, in arithmetic of whole numbers.

No sine and no fused operation runs on the device, so the images are the same to the bit on each. The
constants were found on 46,080 real images, which this draws without an error: notebook 01, benchmarks/sprites.py.
x points to the right and y down, as in every image; row r has its pixel centres at y = r + 1/2.
"""

import math

import torch
from torch import Tensor

from .factors import FactorData, check_factors
from .threads import one_thread

__all__ = ["FACTOR_NAMES", "FACTOR_SIZES", "SHAPES", "Sprites", "angles", "crossings", "draw", "ellipse",
           "factor_values", "fill", "fold", "heart", "snap", "square", "transform"]

FACTOR_NAMES = ("shape", "scale", "orientation", "posX", "posY")
FACTOR_SIZES = (3, 6, 40, 32, 32)
SHAPES = ("square", "ellipse", "heart")
IMG_SIZE = 64
SIZE = 9.6           # pixels, half a square's side at scale 1; the other shapes are multiples of it
SNAP = 256           # sub-pixels in a pixel
CHUNK = 1024         # images drawn at a time: keeps the working set inside the cache

# What the classes stand for. Tables, because devices differ in the last bit of a division or a sine.
ORIENTATION = (torch.arange(40).double() * (2 * math.pi / 39)).float()      # radians
COS, SIN = ORIENTATION.double().cos().float(), ORIENTATION.double().sin().float()
SCALE = (0.5 + torch.arange(6).double() / 10).float()
POSITION = (16 + 32 * torch.arange(32).double() / 31).float()               # pixels

# For every byte, its 8 bits as 8 pixels, lowest first, packed into one integer (256,)
EIGHT_PIXELS = ((torch.arange(256)[:, None] >> torch.arange(8) & 1) * 255).to(torch.uint8).view(torch.long).squeeze(1)


def angles(n: int) -> Tensor:
    """n angles, evenly round the circle, from 0 -> float64 (n,)."""
    return torch.arange(n).double() * (2 * math.pi / n)


def square() -> tuple[Tensor, Tensor]:
    """Corners (4, 2) at scale 1, in pixels, and the move (2,) that puts the middle at 0."""
    side = 2 * SIZE
    return torch.tensor([[0, 0], [side, 0], [side, side], [0, side]]), torch.tensor([-SIZE, -SIZE])


def ellipse() -> tuple[Tensor, Tensor]:
    """A circle of 100 corners, 1.33 times as wide and 1.33 times less high -> (100, 2) and (2,), as in ``square``."""
    t = angles(100)
    return SIZE * torch.stack([1.33 * t.cos(), t.sin() / 1.33], dim=1), torch.zeros(2)


def heart() -> tuple[Tensor, Tensor]:
    """150 corners of a famous curve, 32 wide and 29 high, made 2 SIZE each way -> (150, 2), (2,), as in ``square``."""
    t = angles(150)
    x = 16 * t.sin() ** 3
    y = 13 * t.cos() - 5 * (2 * t).cos() - 2 * (3 * t).cos() - (4 * t).cos()
    return SIZE * torch.stack([x / 16, -y / 14.5], dim=1), torch.tensor([0, -0.15 * SIZE])


OUTLINES = (square, ellipse, heart)
PERIODS = torch.tensor([4, 2, 1])     # in how many positions of a whole turn each shape looks the same


def factor_values(factors: Tensor) -> dict[str, Tensor]:
    """Integer classes (N, 5) -> the physical quantities the renderer draws.

    Returns a dict of float32 tensors (N,): ``scale`` (0.5 to 1), ``orientation`` (radians, counter-
    clockwise on screen), ``x`` and ``y`` (pixels, the centre; y down).
    """
    tables = {"scale": SCALE, "orientation": ORIENTATION, "x": POSITION, "y": POSITION}
    return {name: table.to(factors.device)[column] for (name, table), column in zip(tables.items(), factors.T[1:])}


def transform(factors: Tensor) -> tuple[Tensor, Tensor]:
    """Classes (N, 5), all of one shape -> the corners' x and y, float32 (N, M), in pixels from the image's middle.

    Moved, scaled, turned, moved to the centre: as matrices, multiplied first. Each operation rounds, so their
    order counts: against float64, one image in 12,000 has another pixel.
    """
    (x, y), (move_x, move_y) = (v.to(factors.device, torch.float32).unbind(-1)
                                for v in OUTLINES[int(factors[0, 0])]())
    value = {name: v[:, None] for name, v in factor_values(factors).items()}
    cos, sin = (table.to(factors.device)[factors[:, 2], None] * value["scale"] for table in (COS, SIN))
    middle_x = cos * move_x + sin * move_y + value["x"] - IMG_SIZE / 2
    middle_y = -sin * move_x + cos * move_y + value["y"] - IMG_SIZE / 2
    return cos * x + sin * y + middle_x, -sin * x + cos * y + middle_y


def snap(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels from the middle, float32 -> whole sub-pixels from the left and the top, long: the nearest, halves to even.

    The original's y pointed up, which shows in nothing but the rounding.
    """
    right, up = (((IMG_SIZE / 2 + v) * SNAP).round().long() for v in (x, -y))
    return right, IMG_SIZE * SNAP - up


def crossings(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where the edges of polygons cross the lines of pixel centres.

    x, y: corners in sub-pixels, long (N, M). Returns four long tensors (C,), one entry per crossing: the
    image, the row, the first column whose centre is not left of the edge, and the edge's way: 1 down, -1 up.
    """
    row = (y + SNAP // 2) // SNAP                         # of a corner: the first whose centres lie below it
    steps = (row.roll(-1, 1) - row).flatten()             # rows that the edge to the next corner crosses, and its way
    count = steps.abs()
    edge = torch.arange(len(count), device=x.device).repeat_interleave(count)
    first = torch.minimum(row, row.roll(-1, 1)).flatten() - (count.cumsum(0) - count)
    row = first[edge] + torch.arange(len(edge), device=x.device)
    x0, dx, y0, dy = (v.flatten().index_select(0, edge) for v in (x, x.roll(-1, 1) - x, y, y.roll(-1, 1) - y))
    half = SNAP // 2                                      # a centre's place in its pixel
    # cut at x0 + (row's y - y0) dx / dy; as -(a // -b) rounds a / b up, all this stays in whole numbers
    column = -(((x0 - half) * dy + (row * SNAP + half - y0) * dx) // (-dy * SNAP))
    return edge // x.shape[1], row, column, steps[edge].sign()


def fill(x: Tensor, y: Tensor) -> Tensor:
    """Corners in sub-pixels, clockwise, long (N, M) -> uint8 (N, 64, 64), 0 or 255.

    A row of pixels is the 64 bits of one integer. A polygon that it enters at column a and leaves at
    column b lights the bits a to b - 1, which are 2^b - 2^a: each crossing adds or takes away a power of two.
    """
    image, row, column, way = crossings(x, y)
    bits = torch.zeros(len(x) * IMG_SIZE, dtype=torch.long, device=x.device)
    bits.index_add_(0, image * IMG_SIZE + row, way << column)
    pixels = EIGHT_PIXELS.to(x.device).index_select(0, bits.view(torch.uint8).int())
    return pixels.view(torch.uint8).view(len(x), IMG_SIZE, IMG_SIZE)


def draw(factors: Tensor) -> Tensor:
    """Integer classes (N, 5), all of one shape -> uint8 (N, 64, 64), 0 or 255."""
    return fill(*snap(*transform(factors)))


class Sprites(FactorData):
    """The procedural dSprites. Nothing is stored: every image is drawn from its five factors.

    ``device`` is where images are drawn and returned.
    """

    factor_names = FACTOR_NAMES
    factor_sizes = FACTOR_SIZES

    def __init__(self, device: str | torch.device = "cpu"):
        self.device = torch.device(device)

    def images(self, factors: Tensor) -> Tensor:
        """Draw the images of integer classes (N, 5) -> uint8 (N, 1, 64, 64), 0 or 255.

        Raises ValueError for a wrong shape or a class out of range.
        """
        factors = check_factors(factors, self.factor_sizes, self.factor_names).to(self.device)
        out = torch.empty(len(factors), 1, IMG_SIZE, IMG_SIZE, dtype=torch.uint8, device=self.device)
        with one_thread():
            for shape in factors[:, 0].unique().tolist():  # those that occur: an empty index would still split into one
                for index in (factors[:, 0] == shape).nonzero().squeeze(1).split(CHUNK):
                    out[index, 0] = draw(factors[index])
        return out

    def visible(self, factors: Tensor) -> Tensor:
        """Integer classes (N, 5) -> what images show of them, each from 0 to 1, float32 (N, 5): ``fold``."""
        return fold(super().visible(factors), torch.as_tensor(factors)[:, 0])


def fold(values: Tensor, shape: Tensor) -> Tensor:
    """The factors from 0 to 1 (N, 5), with the part of the orientation that can be seen; ``shape``: its classes (N,).

    A square looks the same after a quarter of a turn and an ellipse after half a turn: the orientation becomes the part
    of this period, from 0 to below 1.
    """
    periods = PERIODS.to(values.device)[shape.to(values.device).long()]
    return torch.cat([values[:, :2], (values[:, 2] * periods % 1)[:, None], values[:, 3:]], dim=1)
