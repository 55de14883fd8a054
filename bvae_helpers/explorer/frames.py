"""Images to bytes, fast: the PNG of a row of images, the GIF of a motion. No matplotlib.

Shapes: K images, C x S x S pixels, uint8 or float in [0, 1].
"""

import base64
import io

import torch
import torch.nn.functional as F
from PIL import Image as Picture

from ..data import to_rgb, to_uint8


def fit_to(images, side):
    """Images (K, C, S, S) -> uint8 (K, C, T, T), T at most ``side``.

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


def row(images, side, gap):
    """Images (K, C, S, S) side by side, white between -> uint8 (C, T, K T + (K - 1) gap)."""
    big = fit_to(images, side)
    white = torch.full((*big.shape[1:3], gap), 255, dtype=torch.uint8)
    parts = [part for image in big for part in (image, white)]
    return torch.cat(parts[:-1], dim=2)


def column(pictures, gap):
    """uint8 pictures (C, H, W) of any sizes, under each other on white -> uint8 (3, H', W')."""
    width = max(p.shape[2] for p in pictures)
    parts = [F.pad(p.expand(3, -1, -1), (0, width - p.shape[2], 0, gap), value=255) for p in pictures]
    return torch.cat(parts, dim=1)[:, :-gap or None]


def to_picture(image):
    """uint8 (C, H, W), C 1 or 3 -> a PIL image."""
    return Picture.fromarray(image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).contiguous().numpy())


def png(image):
    """uint8 (C, H, W) -> PNG bytes; compressed little, since speed is what counts here."""
    buffer = io.BytesIO()
    to_picture(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def gif(images, milliseconds=70):
    """uint8 pictures (C, H, W) of one size -> GIF bytes, repeating for ever."""
    first, *rest = [to_picture(image) for image in images]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return buffer.getvalue()


def link(name, data, kind):
    """Bytes -> an HTML link that saves them: it works in JupyterLab, VS Code and Colab alike."""
    return f'<a download="{name}" href="data:{kind};base64,{base64.b64encode(data).decode()}">{name}</a>'
