"""The bytes of picture files -> uint8 images: upright, opaque, cut square, shrunk with antialiasing.

Most folders are full of small JPEGs, and torchvision decodes those fastest. PIL reads everything
else, and large photographs too: it decodes a JPEG at an eighth of its size in a fraction of the time.
"""

import io
import math
import struct
import threading

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch.nn.functional import interpolate
from torchvision.transforms.functional import pil_to_tensor

# torchvision's JPEG decoder, called as the operator: the function around it warns at every call, as of 0.29,
# that it will go one day. Where it has gone, PIL does it all, more slowly.
decode_jpeg = getattr(torch.ops.image, "decode_jpeg", None)
LARGE = 16_000_000                # pixels; pictures above it are decoded one at a time, to spare memory
KEEP = 3                          # times img_size a large JPEG keeps when decoded smaller: hardly to be told from all of it
one_large = threading.Lock()


def decode(data, img_size, in_channels=3, crop=None):
    """The bytes of a picture file -> uint8 (C, h, w): the part that is kept, for ``resize`` to bring to ``img_size``.

    C is ``in_channels`` (1: grey, 3: colour). ``crop``: the side, in the file's pixels, of the
    central square that is kept (at most what there is); None keeps the largest square; 0 the whole picture.
    Turned as its EXIF tag says; laid on white where it is transparent; of an animation the first frame.
    Raises ValueError or OSError, with the reason, for what is no whole picture.
    """
    if not data:
        raise ValueError("the file is empty")
    jpeg = jpeg_frame(data)
    if jpeg and decode_jpeg:
        height, width, components = jpeg
        small = shrinking(width, height, img_size, crop) < 2 * KEEP and width * height <= 32 * img_size ** 2
        if small and components in (1, 3):
            try:                          # its modes are 1 for grey and 3 for RGB; True: turned as EXIF says
                return cut(decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), in_channels, True), crop)
            except RuntimeError:          # PIL has the better words for what is wrong, or manages
                pass
    return decode_with_pil(data, img_size, in_channels, crop)


def jpeg_frame(data):
    """(height, width, components) from the frame header of a JPEG; None for anything else."""
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2:at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):       # SOF0 to SOF15
            return struct.unpack_from(">HHB", data, at + 5)
        at += 2 + length
    return None


def shrinking(width, height, img_size, crop):
    """How many times larger than ``img_size`` the kept part of a picture is."""
    return min(width, height, crop or width) / img_size


def decode_with_pil(data, img_size, in_channels, crop):
    """As ``decode``, for every format that PIL reads, and resized already: the picture may be huge."""
    try:
        picture = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise ValueError("its contents are no picture in a format that PIL reads") from None
    with picture:
        width, height = picture.size
        if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):             # a decompression bomb; PIL stops at twice that
            raise ValueError(f"it claims {width:,} x {height:,} pixels, more than PIL's limit of {Image.MAX_IMAGE_PIXELS:,}")
        ahead = shrinking(width, height, img_size, crop) / KEEP
        if ahead >= 2:
            picture.draft(None, (int(width / ahead), int(height / ahead)))    # a JPEG at 1/2, 1/4 or 1/8; else nothing
        scale = picture.width / width
        if picture.width * picture.height > LARGE:
            with one_large:
                image = flatten(picture, in_channels)
        else:
            image = flatten(picture, in_channels)
    return resize([cut(image, crop and max(1, round(crop * scale)))], img_size)[0]


def flatten(picture, in_channels):
    """A PIL picture of any mode, upright, on white -> uint8 (C, H, W)."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):                     # 16 bits: the upper eight
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels have 32 bits; save it with 8 or 16")
        picture = Image.fromarray((values // 256).astype(np.uint8))
    elif picture.mode == "F":
        raise ValueError("its pixels are floats of unknown range; save it with 8 or 16 bits")
    elif "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return pil_to_tensor(picture.convert("RGB" if in_channels == 3 else "L"))


def cut(image, crop):
    """The central square of an image (C, H, W) -> (C, s, s), s at most ``crop``; the image itself where crop is 0."""
    height, width = image.shape[1:]
    if crop == 0:
        return image
    side = min(height, width, crop or width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top:top + side, left:left + side]


def resize(images, img_size):
    """uint8 images (C, h, w) -> (N, C, S, S), bilinear with antialiasing: every pixel of the original counts.

    Images of one size are resized together, channels last, as they were decoded: three times as fast.
    """
    if any(image.shape != images[0].shape for image in images):
        return torch.cat([resize([image], img_size) for image in images])
    x = torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)
    return interpolate(x, (img_size, img_size), mode="bilinear", antialias=True).contiguous()
