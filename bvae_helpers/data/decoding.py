"""The bytes of picture files -> uint8 images: upright, opaque, cut square, shrunk with antialiasing.

Most folders are full of small JPEGs, and torchvision decodes those fastest. PIL decodes all other pictures, and large
JPEGs too, because it can decode a JPEG at an eighth of its size in a fraction of the time.

A stranger's file is only data. It is opened as one of FORMATS or not at all: PostScript is none of them, because PIL
would start Ghostscript for it. The limits below are checked before the pixels are decoded.
"""

import functools
import io
import re
import struct
import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch.nn.functional import interpolate
from torchvision.transforms.functional import pil_to_tensor

__all__ = ["FORMATS", "SUFFIXES", "decode", "largest_value", "one_large", "resize"]

FORMATS = {                       # PIL's name of each format that is read -> the suffixes of its files
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "AVIF": (".avif",),           # Pillow 11.3 and later
    "TIFF": (".tif", ".tiff"),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "PCX": (".pcx",),
    "TGA": (".tga",),             # last: its files carry no mark, so PIL takes other files for TGA most easily
}
SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)

MAX_PIXELS = 50_000_000           # decoded at once: up to 1 GB of memory on the way to RGB
SLOW_PIXELS = 2_000_000           # the same for decoders that take microseconds for a pixel
MAX_HEADER = 4096                 # bytes of a PPM before its pixels
MAX_SCANS = 500                   # of a progressive JPEG; usual are 10
MAX_WORK = 1_000_000_000          # pixels of a JPEG times its scans: a few seconds
SMALL_BYTES = 1 << 16             # a JPEG of fewer bytes and few pixels cannot take long, whatever its scans
LARGE = 8_000_000                 # pixels; pictures above it are decoded one at a time, to spare memory
TILE_WIDTH, TILE_LENGTH = 322, 323                # tags of a TIFF
KEEP = 3                          # a large JPEG is decoded at KEEP times img_size or more, which hardly changes a pixel

# torchvision's JPEG decoder, called as the operator: the function around it warns at every call, as of 0.29,
# that it will be removed one day. Without it PIL decodes all JPEGs, more slowly.
_decode_jpeg = getattr(torch.ops.image, "decode_jpeg", None)
_JPEG_MARKER, SOS = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL), 0xDA       # any marker; the one that begins a scan
one_large = threading.RLock()     # held while a large picture is read and decoded


def decode(data: bytes, img_size: int, in_channels: int = 3, crop: int | None = None,
           white: int = 65535) -> torch.Tensor:
    """Decode a picture file -> uint8 (C, h, w), the part that is kept; ``resize`` brings it to ``img_size``.

    ``in_channels`` C is 1 (grey) or 3 (colour). ``crop`` is the side, in the file's pixels, of the central square that
    is kept, at most the largest there is; None keeps the largest square, 0 the whole picture. ``white`` is the value
    shown as 255 in pictures of 16 or 32 bits; 0 stays 0. Pictures are turned as their EXIF tag says and laid on white
    where they are transparent; of an animation the first frame is decoded. Raises ValueError or OSError, with the
    reason, for bytes that are no whole picture, exceed a limit, or hold values without a known range.
    """
    if not data:
        raise ValueError("the file is empty")
    try:
        frame = _claimed_frame(data)
        if _is_small_jpeg(data, frame, img_size, crop):
            try:                      # its modes are 1 for grey and 3 for RGB; True: turned as EXIF says
                pixels = _decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), in_channels, True)
                return _cut(pixels, crop)
            except RuntimeError:      # PIL has the better words for what is wrong, or decodes it
                pass
        return _decode_with_pil(data, frame, img_size, in_channels, crop, white)
    except (ValueError, OSError):
        raise
    except Exception as error:        # a decoder raises whatever a broken file makes it raise
        raise ValueError(f"it cannot be decoded ({type(error).__name__}: {error})") from error


def largest_value(data: bytes) -> int | None:
    """The largest value in a picture of more than 8 bits per channel; None for any other picture and for other bytes.

    PIL hands out only the upper 8 bits of 16-bit colours: for those it is the largest value that these bits allow.
    """
    if data[:2] == b"\xff\xd8":       # a JPEG always has 8
        return None
    try:
        with _opened(data, _claimed_frame(data)) as picture:
            if _is_deep_colour(picture):
                return 256 * max(high for _, high in picture.getextrema()[:3]) + 255
            return int(np.asarray(picture).max()) if picture.mode.startswith("I") else None
    except Exception:                 # the reason comes when it is decoded
        return None


def resize(images: list[torch.Tensor], img_size: int) -> torch.Tensor:
    """uint8 images (C, h, w) -> (N, C, S, S), bilinear with antialiasing: every pixel of the original counts.

    Images of one size are resized together, channels last, as they were decoded: three times as fast.
    """
    if any(image.shape != images[0].shape for image in images):
        return torch.cat([resize([image], img_size) for image in images])
    x = torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)
    return interpolate(x, (img_size, img_size), mode="bilinear", antialias=True).contiguous()


# What a file claims to be

class _Frame(NamedTuple):
    """The size of a picture as its file's header gives it, before anything is decoded."""

    width: int
    height: int
    components: int


def _claimed_frame(data: bytes) -> _Frame | None:
    """The frame of a JPEG or WebP, whose decoders allocate memory before PIL knows a size; None for anything else.

    Raises ValueError for more pixels, more scans of a JPEG, or a longer header of a PPM than the limits allow.
    """
    if data[:2] == b"\xff\xd8":
        frame = _jpeg_frame(data)
    elif data[:1] == b"P":
        _check_ppm_header(data)
        return None
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        frame = _webp_frame(data)
    else:
        return None
    if frame is not None:
        _check_size(frame.width, frame.height, Image.MAX_IMAGE_PIXELS or MAX_PIXELS)
        _check_scans(data, frame)
    return frame


def _check_ppm_header(data: bytes) -> None:
    """Raise ValueError for a PPM whose header is long, because PIL reads it byte by byte."""
    words = re.sub(rb"#[^\r\n]*", b"", data[:MAX_HEADER]).split()
    if len(data) > MAX_HEADER and len(words) < (3 if data[1:2] in (b"1", b"4") else 4):
        raise ValueError(f"its header is longer than {MAX_HEADER:,} bytes")


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, where its segment begins) of a JPEG, found as libjpeg finds them."""
    at = 2
    while found := _JPEG_MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == 0xD9:                                       # the end of the picture
            return
        if marker != 0x01 and not 0xD0 <= marker <= 0xD8:        # those are markers without a segment
            yield marker, at
            at += max(2, int.from_bytes(data[at:at + 2], "big"))


def _jpeg_frame(data: bytes) -> _Frame | None:
    """The frame of a JPEG; None if its pixels begin without one."""
    for marker, at in _jpeg_markers(data):
        if marker == SOS:
            return None
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 8 <= len(data):
            height, width, components = struct.unpack_from(">HHB", data, at + 3)
            return _Frame(width, height, components)
    return None


def _check_scans(data: bytes, frame: _Frame) -> None:
    """Raise ValueError for a JPEG that takes too long to decode, because it goes through its pixels too often."""
    if len(data) <= SMALL_BYTES and len(data) * frame.width * frame.height <= MAX_WORK:
        return                                                   # a scan takes 10 bytes or more: they are few enough
    most = min(MAX_SCANS, MAX_WORK // max(1, frame.width * frame.height))
    if data.count(b"\xff\xda") <= most:                         # at least the number of scans, and counted quickly
        return
    scans = sum(marker == SOS for marker, _ in _jpeg_markers(data))
    if scans > most:
        raise ValueError(f"its JPEG has {scans:,} scans of {frame.width:,} x {frame.height:,} pixels, "
                         f"more than the limit of {most:,}: save it without the progressive option")


def _webp_frame(data: bytes) -> _Frame:
    """The frame of a WebP file, which begins in one of three ways."""
    kind = data[12:16]
    if kind == b"VP8X":
        return _Frame(1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little"), 4)
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return _Frame(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), 4)
    width, height = (int.from_bytes(data[at:at + 2], "little") & 0x3FFF for at in (26, 28))
    return _Frame(width, height, 3)


def _check_size(width: int, height: int, limit: int) -> None:
    """Raise ValueError for a picture of more than ``limit`` pixels."""
    if width * height > limit:
        raise ValueError(f"it claims {width:,} x {height:,} pixels, more than the limit of {limit:,}")


def _is_small_jpeg(data: bytes, frame: _Frame | None, img_size: int, crop: int | None) -> bool:
    """Whether torchvision decodes the picture faster than PIL: a JPEG in grey or RGB, not much larger than needed."""
    if _decode_jpeg is None or frame is None or data[:2] != b"\xff\xd8" or frame.components not in (1, 3):
        return False
    pixels = frame.width * frame.height
    return pixels <= 32 * img_size ** 2 and _shrinking(frame.width, frame.height, img_size, crop) < 2 * KEEP


def _shrinking(width: int, height: int, img_size: int, crop: int | None) -> float:
    """How many times larger than ``img_size`` the kept part of a picture is."""
    return min(width, height, crop or width) / img_size


# PIL

@functools.cache
def _formats() -> list[str]:
    """Those of FORMATS that the installed PIL can open."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _opened(data: bytes, frame: _Frame | None) -> Image.Image:
    """Open a picture without decoding it; raise ValueError if it is none or exceeds a limit."""
    try:
        picture = Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError:
        raise ValueError(f"its contents are no picture in a format that is read ({', '.join(_formats())})") from None
    _check_size(*picture.size, Image.MAX_IMAGE_PIXELS or MAX_PIXELS)
    if frame is not None and picture.size != (frame.width, frame.height):
        raise ValueError(f"its header gives two sizes: {frame.width:,} x {frame.height:,} and "
                         f"{picture.width:,} x {picture.height:,} pixels")
    return picture


def _check_decoding(picture: Image.Image) -> None:
    """Raise ValueError if decoding an opened picture would take too much memory or time."""
    decoder = picture.tile[0][0] if picture.tile else None
    if decoder == "jpeg2k" or decoder in Image.DECODERS:        # the latter are written in Python
        if picture.width * picture.height > SLOW_PIXELS:
            raise ValueError(f"PIL decodes this kind of {picture.format} slowly: {picture.width:,} x {picture.height:,}"
                             f" pixels are more than the limit of {SLOW_PIXELS:,}; save it as PNG")
    _check_size(*picture.size, MAX_PIXELS)
    if picture.format == "TIFF":                                # a tile may be larger than its picture
        tags = picture.tag_v2
        _check_size(tags.get(TILE_WIDTH, 1), tags.get(TILE_LENGTH, 1), MAX_PIXELS)


def _decode_with_pil(data: bytes, frame: _Frame | None, img_size: int, in_channels: int, crop: int | None,
                     white: int) -> torch.Tensor:
    """As ``decode``, for every format, and resized already, because the picture may be huge."""
    with _opened(data, frame) as picture:
        width, height = picture.size
        ahead = _shrinking(width, height, img_size, crop) / KEEP
        if ahead >= 2:
            picture.draft(None, (int(width / ahead), int(height / ahead)))    # a JPEG at 1/2, 1/4 or 1/8; else nothing
        scale = picture.width / width
        _check_decoding(picture)
        if picture.width * picture.height > LARGE:
            with one_large:
                image = _flatten(picture, in_channels, white)
        else:
            image = _flatten(picture, in_channels, white)
    return resize([_cut(image, crop and max(1, round(crop * scale)))], img_size)[0]


def _flatten(picture: Image.Image, in_channels: int, white: int) -> torch.Tensor:
    """A PIL picture of any mode, upright, on white -> uint8 (C, H, W)."""
    if _is_deep_colour(picture) and white < 65535:
        raise ValueError(f"its colours have 16 bits, of which PIL reads the upper 8, but white is {white:,}: "
                         "save it with 8 bits")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        picture = _eight_bits(np.asarray(picture), white)
    elif picture.mode == "F":
        raise ValueError("its pixels are floats of unknown range; save it with 8 or 16 bits")
    elif {"A", "a"} & set(picture.getbands()) or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return pil_to_tensor(picture.convert("RGB" if in_channels == 3 else "L"))


def _eight_bits(values: np.ndarray, white: int) -> Image.Image:
    """Integers (H, W) of any width -> a grey picture, in which 0 is black and ``white`` is white."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > white:
        raise ValueError(f"its values go from {low:,} to {high:,}, beyond 0 to {white:,}: "
                         "pass white= to ImageFolder, or save it with 8 bits")
    return Image.fromarray(((values.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8))


def _is_deep_colour(picture: Image.Image) -> bool:
    """Whether an opened picture has 16 bits per channel, of which PIL will hand out only the upper 8."""
    args = picture.tile[0][3] if picture.tile else None
    raw_mode = args[0] if isinstance(args, tuple) and args else args
    return isinstance(raw_mode, str) and ";16" in raw_mode and not picture.mode.startswith("I")


def _cut(image: torch.Tensor, crop: int | None) -> torch.Tensor:
    """The central square of an image (C, H, W) -> (C, s, s), s at most ``crop``; the image itself if crop is 0."""
    height, width = image.shape[1:]
    if crop == 0:
        return image
    side = min(height, width, crop or width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top:top + side, left:left + side]
