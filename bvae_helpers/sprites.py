"""dSprites without the file: five known factors of variation, drawn as 64 x 64 black-and-white images.

The originals (Matthey et al. 2017, "dSprites: Disentanglement testing Sprites dataset") were drawn by
a graphics card, and so are these, step by step. A shape is a polygon; its corners are scaled, turned and
moved; the card *snaps* them to a grid of 1/256 pixel; and a pixel is lit if its centre lies inside the
snapped polygon. Everything after the snapping is arithmetic of whole numbers, so the images are the
same to the bit on every machine. The constants were found on real images: see notebook 01.

x points to the right and y down, as in every image; row r has its pixel centres at y = r + 1/2.
"""

import math

import torch

FACTOR_NAMES = ("shape", "scale", "orientation", "posX", "posY")
FACTOR_SIZES = (3, 6, 40, 32, 32)
SHAPES = ("square", "ellipse", "heart")
IMG_SIZE = 64
SIZE = 9.6           # pixels, the square's half-side at scale 1; the other shapes are multiples of it
SNAP = 256           # sub-pixels in a pixel
CHUNK = 1024         # images drawn at a time: keeps the working set inside the cache


def turns(n):
    """n angles, evenly round the circle, from 0 -> float64 (n,)."""
    return torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)


def square():
    """Corners (4, 2) at scale 1, in pixels from the centre."""
    return SIZE * torch.tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=torch.float64)


def ellipse():
    """A circle of 100 corners, 1.33 times as wide and 1.33 times less high -> (100, 2)."""
    t = turns(100)
    return SIZE * torch.stack([1.33 * t.cos(), t.sin() / 1.33], dim=1)


def heart():
    """150 corners of a famous curve, 32 wide and 29 high, made SIZE each way and moved up -> (150, 2)."""
    t = turns(150)
    x = 16 * t.sin() ** 3
    y = 13 * t.cos() - 5 * (2 * t).cos() - 2 * (3 * t).cos() - (4 * t).cos()
    return SIZE * torch.stack([x / 16, -y / 14.5 - 0.15], dim=1)


OUTLINES = (square, ellipse, heart)


def factor_values(factors):
    """Integer classes (N, 5) -> the physical quantities the renderer draws.

    Returns a dict of float tensors (N,): ``scale`` (0.5 to 1), ``orientation`` (radians, counter-
    clockwise on screen), ``x`` and ``y`` (pixels, the centre; y down).
    """
    _, scale, orientation, pos_x, pos_y = factors.to(torch.float64).unbind(1)
    return {"scale": 0.5 + scale / 10, "orientation": orientation * (2 * math.pi / 39),
            "x": 16 + 32 * pos_x / 31, "y": 16 + 32 * pos_y / 31}


def place(factors):
    """Transform: classes (N, 5), all of one shape -> the corners' x and y in the image, float64 (N, M) each."""
    value = {k: v[:, None] for k, v in factor_values(factors).items()}
    x, y = value["scale"] * OUTLINES[int(factors[0, 0])]().T[:, None]
    cos, sin = value["orientation"].cos(), value["orientation"].sin()
    return cos * x + sin * y + value["x"], cos * y - sin * x + value["y"]


def snap(x):
    """Pixels -> whole sub-pixels, the nearest."""
    return (x * SNAP + 0.5).floor().long()


def crossings(x, y):
    """Where the edges of polygons cross the lines of pixel centres.

    x, y: corners in sub-pixels, long (N, M). Returns four long tensors (C,), one entry a crossing: the
    image, the row, the first column whose centre is not left of the edge, and the edge's way, -1 up, 1 down.
    """
    below = (y + SNAP // 2) // SNAP                       # the first row whose centre is below the corner, or through it
    rows = below.roll(-1, 1) - below                      # how many the edge to the next corner crosses, and which way
    first = torch.minimum(below, below.roll(-1, 1)).flatten()
    count = rows.abs().flatten()
    edge = torch.arange(len(count), device=x.device).repeat_interleave(count)
    row = first[edge] + torch.arange(len(edge), device=x.device) - (count.cumsum(0) - count)[edge]
    x0, dx, y0, dy = (v.flatten()[edge] for v in (x, x.roll(-1, 1) - x, y, y.roll(-1, 1) - y))
    at = x0 + (row * SNAP + SNAP // 2 - y0) * dx / dy.double()      # exact enough: whole numbers stay whole
    column = ((at - SNAP // 2) / SNAP).ceil().long()
    return edge // x.shape[1], row, column, rows.flatten()[edge].sign()


def fill(x, y):
    """Corners in sub-pixels, long (N, M) -> uint8 (N, 64, 64), 0 or 255.

    A row of pixels is the 64 bits of one integer. A polygon that it enters at column a and leaves at b
    lights the bits a to b - 1, and those are 2^b - 2^a: each crossing adds or takes away a power of two.
    """
    image, row, column, way = crossings(x, y)
    bits = torch.zeros(len(x) * IMG_SIZE, dtype=torch.long, device=x.device)
    bits.index_add_(0, image * IMG_SIZE + row, way << column)
    eight = torch.arange(8, dtype=torch.uint8, device=x.device)
    lit = bits.view(torch.uint8)[:, None] >> eight & 1
    return lit.view(len(x), IMG_SIZE, IMG_SIZE) * 255


def draw(factors):
    """Integer classes (N, 5), all of one shape -> uint8 (N, 64, 64), 0 or 255."""
    x, y = place(factors)
    return fill(snap(x), snap(y))


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
