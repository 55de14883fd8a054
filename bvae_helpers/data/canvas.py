"""Painting on batches of images with soft-edged shapes: what the cartoon faces are made with.

A shape is a function of pixel centres, x (w,) to the right and y (h, 1) down, that returns its signed
distance (n, h, w), negative inside. Lengths are in units of 1/64 of the image's side, so that a picture
is drawn alike at every size. A pixel that the outline crosses is covered in part, 0.5 - d in pixels cut
to 0..1, which is what makes the edges soft. A shape's numbers may differ from image to image: (n,).
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Canvas", "both", "box", "ellipse", "lens", "outside", "stroke"]

SIDE = 64.0                                      # units
Number = Tensor | float                          # one for all images, or one for each (n,)
Shape = Callable[[Tensor, Tensor], Tensor]       # pixel centres x (w,), y (h, 1) -> signed distances (n, h, w)


class Canvas:
    """``n`` images (n, 3, S, S) being painted, float in [0, 1]; lengths are in units."""

    def __init__(self, n: int, img_size: int, device: str | torch.device):
        self.pixels = torch.empty(n, 3, img_size, img_size, device=device)
        self.unit = SIDE / img_size                                        # units a pixel
        self.at = (torch.arange(img_size, device=device) + 0.5) * self.unit   # pixel centres

    def paint(self, window: tuple[float, ...], shape: Shape, colour: Tensor, strength: float = 1.0,
              soft: float = 0.0) -> None:
        """Lay ``colour`` (3,) or (n, 3) over what ``shape(x, y)`` -> distance covers, with edges ``soft`` wide."""
        left, top, right, bottom = (round(edge / self.unit) for edge in window)
        x, y = self.at[left:right], self.at[top:bottom, None]              # (w,), (h, 1)
        alpha = shape(x, y).div(-max(self.unit, soft)).add_(0.5).clamp_(0, 1).mul_(strength)     # (n, h, w)
        pixels = self.pixels[:, :, top:bottom, left:right]
        pixels.lerp_(colour.to(pixels.device).expand(len(pixels), 3)[:, :, None, None],
                     alpha.expand(len(pixels), -1, -1)[:, None])


def column(value: Tensor | float) -> Tensor | float:
    """(n,) -> (n, 1, 1), to meet pixels (n, h, w); plain numbers stay."""
    return value[:, None, None] if isinstance(value, torch.Tensor) else value


def ellipse(cx: Number, cy: Number, rx: Number, ry: Number) -> Shape:
    """Axis-aligned ellipse: first-order distance, (k - 1) / |grad k| of k = (x/rx)^2 + (y/ry)^2."""
    cx, cy, rx, ry = map(column, (cx, cy, rx, ry))

    def distance(x, y):
        dx, dy = ((x - cx) / rx).square(), ((y - cy) / ry).square()        # (n, 1, w), (n, h, 1)
        slope = (dx / rx ** 2 + dy / ry ** 2).clamp_min_(1e-6).rsqrt_()    # 2 / |grad k|
        return (dx + dy).sub_(1).mul_(slope).mul_(0.5)
    return distance


def box(cx: Number, half: Number, top: Number, bottom: Number, radius: Number) -> Shape:
    """Upright box with round corners; exact outside its core, constant within."""
    cx, half, top, bottom = map(column, (cx, half, top, bottom))

    def distance(x, y):
        dx = ((x - cx).abs() - (half - radius)).clamp_min(0).square()
        dy = ((y - (top + bottom) / 2).abs() - ((bottom - top) / 2 - radius)).clamp_min(0).square()
        return (dx + dy).sqrt_().sub_(radius)
    return distance


def stroke(cx: Number, cy: Number, half: Number, bend: Number, tilt: Number, thick: Number) -> Shape:
    """A bent line, y = cy + tilt u + bend u^2 for u = (x - cx) / half in -1..1, ``thick`` to each side."""
    cx, cy, half, bend, tilt = map(column, (cx, cy, half, bend, tilt))

    def distance(x, y):
        u = ((x - cx) / half).clamp(-1, 1)
        steep = (tilt + 2 * bend * u) / half
        beyond = ((x - cx).abs() - half).clamp_min(0).square()
        return ((y - (cy + u * (tilt + bend * u))).square() / (1 + steep.square()) + beyond).sqrt_().sub_(thick)
    return distance


def lens(cx: Number, half: Number, middle: Number, upper: Number, lower: Number) -> Shape:
    """Between two parabolas that meet at x = cx - half and cx + half, at the height ``middle``; 0.6 in from both."""
    cx, half, middle, upper, lower = map(column, (cx, half, middle, upper, lower))

    def distance(x, y):
        arch = 1 - ((x - cx) / half).square()
        ends = (x - cx).abs() - half
        return torch.maximum(middle + upper * arch - y, y - (middle + lower * arch)).maximum(ends).add_(0.6)
    return distance


def both(*shapes: Shape) -> Shape:
    """Where all the shapes overlap."""
    def distance(x, y):
        first, *others = (shape(x, y) for shape in shapes)
        for other in others:
            first = torch.maximum(first, other)
        return first
    return distance


def outside(shape: Shape) -> Shape:
    return lambda x, y: -shape(x, y)
