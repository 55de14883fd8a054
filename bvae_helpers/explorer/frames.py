"""Images to bytes, fast: the PNG of a row of images, the GIF of a motion. No matplotlib.

Shapes: K images, C x S x S pixels, uint8 or float in [0, 1]. A picture is uint8 (1 or 3, H, W).
"""

import base64
import html
import io
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image as PILImage
from torch import Tensor

from ..data import to_rgb, to_uint8

__all__ = ["column", "fit_to", "gif", "link", "mask", "png", "row"]


def fit_to(images: Tensor, side: int) -> Tensor:
    """Images (K, C, S, S) -> uint8 (K, 1 or 3, T, T), with T at most ``side``.

    Small images grow by a whole factor, so that their pixels stay squares; large ones shrink smoothly.
    """
    images = images if images.shape[1] == 1 else to_rgb(images)
    size = images.shape[-1]
    if size > side:
        small = F.interpolate(images.float(), (side, side), mode="bilinear", antialias=True)
        images = small.round().to(torch.uint8) if images.dtype == torch.uint8 else small
    factor = max(1, side // size)
    images = images if images.dtype == torch.uint8 else to_uint8(images)
    return images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def row(images: Tensor, side: int, gap: int) -> Tensor:
    """Images (K, C, S, S) side by side, white between them -> uint8 (1 or 3, T, K T + (K - 1) gap)."""
    big = fit_to(images, side)
    white = torch.full((*big.shape[1:3], gap), 255, dtype=torch.uint8)
    parts = [part for image in big for part in (image, white)]
    return torch.cat(parts[:-1], dim=2)


def mask(shown: Sequence[bool], width: int, height: int, gap: int) -> Tensor:
    """The opacity of a row of equal images: 255 on the images that are shown, else 0 -> uint8 (H, W)."""
    opaque = torch.zeros(height, width, dtype=torch.uint8)
    side = (width + gap) // len(shown) - gap
    for k, visible in enumerate(shown):
        if visible:
            opaque[:, k * (side + gap):k * (side + gap) + side] = 255
    return opaque


def column(pictures: Sequence[Tensor], gap: int) -> Tensor:
    """Pictures (1 or 3, H, W) of any sizes, one below the other on white -> uint8 (3, H', W')."""
    width = max(p.shape[2] for p in pictures)
    parts = [F.pad(p.expand(3, -1, -1), (0, width - p.shape[2], 0, gap), value=255) for p in pictures]
    return torch.cat(parts, dim=1)[:, :-gap or None]


def _to_pil(picture):
    """uint8 (C, H, W), C 1 to 4: grey, grey and opacity, RGB, or RGB and opacity -> a PIL image."""
    pixels = picture[0] if len(picture) == 1 else picture.permute(1, 2, 0).contiguous()
    return PILImage.fromarray(pixels.numpy())


def png(picture: Tensor, opacity: Tensor | None = None) -> bytes:
    """uint8 (1 or 3, H, W) -> PNG; ``opacity`` (H, W). Compressed little: here speed matters more than size."""
    buffer = io.BytesIO()
    picture = picture if opacity is None else torch.cat([picture, opacity[None]])
    _to_pil(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def gif(pictures: Sequence[Tensor], milliseconds: int = 70) -> bytes:
    """Pictures (1 or 3, H, W) of one size -> an endless GIF."""
    first, *rest = [_to_pil(picture) for picture in pictures]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return buffer.getvalue()


def link(name: str, data: bytes, kind: str) -> str:
    """Bytes -> an HTML link that saves them as a file, in JupyterLab, VS Code and Colab alike."""
    name, size = html.escape(name), f"{max(1, round(len(data) / 1000)):,} kB"
    address = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return f'<a download="{name}" href="{address}" style="text-decoration:underline">save {name}</a> ({size})'
