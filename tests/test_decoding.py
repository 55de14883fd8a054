"""Single picture files: every format and mode, and what is no picture."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from bvae_helpers.data import decoding
from bvae_helpers.data.decoding import decode, resize


def saved(picture, format, **options):
    """The bytes of a PIL picture saved as a file."""
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def noise(width=60, height=40, mode="RGB", seed=0):
    """Random colours that pass smoothly into one another, as in photographs: 6 x 5 of them, interpolated."""
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def image(data, img_size=16, in_channels=3, crop=None):
    """Decoded and resized: uint8 (C, S, S)."""
    return resize([decode(data, img_size, in_channels, crop)], img_size)[0]


def by_pil(picture, img_size, mode="RGB"):
    """PIL's own central square, bilinear and antialiased: float (C, S, S)."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side,
                           top + side)).convert(mode).resize((img_size,) * 2, Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).reshape(img_size, img_size, -1).permute(2, 0, 1).float()


@pytest.mark.parametrize("mode, in_channels", [("RGB", 3), ("RGB", 1), ("L", 3), ("L", 1)])
@pytest.mark.parametrize("size", [(60, 40), (700, 500)])         # the latter goes by PIL, at an eighth of its size
def test_jpegs_look_as_pil_shows_them(mode, in_channels, size):
    data = saved(noise(*size, mode=mode), "JPEG", quality=95)
    seen = image(data, 16, in_channels)
    wanted = by_pil(Image.open(io.BytesIO(data)), 16, "RGB" if in_channels == 3 else "L")
    assert seen.shape == (in_channels, 16, 16) and seen.dtype == torch.uint8
    differ = (seen - wanted).abs()
    assert differ.mean() < 0.01 if size == (60, 40) else differ.mean() < 3  # a fraction of a pixel's shift at the most


def test_without_torchvisions_decoder_pil_does_it_all(monkeypatch):
    data = saved(noise(50, 44), "JPEG")
    fast = image(data)
    monkeypatch.setattr(decoding, "_decode_jpeg", None)
    slow = image(data)
    assert (fast.float() - slow.float()).abs().max() < 8 and fast.float().std() > 10


@pytest.mark.parametrize("format, options",
                         [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("GIF", {})])
def test_formats(format, options):
    picture = noise().quantize(64).convert("RGB")          # few enough colours for a GIF
    assert (image(saved(picture, format, **options)) - by_pil(picture, 16)).abs().max() <= 1


def test_cmyk():
    assert (image(saved(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG", quality=100))[:, 8, 8].tolist()
            == pytest.approx([254, 0, 0], abs=3))          # no cyan, all magenta and yellow: red


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits(format):
    values = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    seen = image(saved(Image.fromarray(values), format), 32, 1)
    assert (seen[0].int() - torch.from_numpy((values // 256).astype(np.int32))).abs().max() <= 1


@pytest.mark.parametrize("values, said", [(np.full((9, 9), 70_000, np.int32),
                                           "from 70,000 to 70,000, beyond 0 to 65,535"),
                                          (np.full((9, 9), -1000, np.int32), "from -1,000 to -1,000"),
                                          (np.zeros((9, 9), np.float32), "floats")])
def test_pixels_of_unknown_range(values, said):
    with pytest.raises(ValueError, match=said):
        decode(saved(Image.fromarray(values), "TIFF"), 8)


@pytest.mark.parametrize("mode, options", [("P", {"transparency": 0}), ("RGBA", {}), ("LA", {})])
def test_transparent_is_white(mode, options):
    picture = Image.new(mode, (20, 20), 0)
    assert image(saved(picture, "PNG", **options)).min() == 255
    half = image(saved(Image.new("RGBA", (20, 20), (0, 0, 0, 128)), "PNG"))
    assert half.unique().tolist() == [127]


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(format, orientation):
    upright = np.zeros((24, 24), np.uint8)
    upright[:12, :12] = 255                                  # white above, on the left
    upright[:12, 12:] = 128
    turned = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T,
              6: np.rot90(upright, 1), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1)}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = image(saved(Image.fromarray(np.ascontiguousarray(turned)), format, exif=exif), 24, 1)[0].float()
    assert [seen[6, 6].item(), seen[6, 18].item(), seen[18, 6].item()] == pytest.approx([255, 128, 0], abs=3)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame(format):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    seen = image(saved(frames[0], format, save_all=True, append_images=frames[1:]))
    assert seen.flatten(1).float().mean(1).tolist() == pytest.approx([255, 0, 0], abs=3)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (16, 16)])
@pytest.mark.parametrize("crop", [None, 0, 3])
def test_odd_sizes(format, size, crop):
    assert (image(saved(Image.new("RGB", size, "white"), format), crop=crop) >= 254).all()


@pytest.mark.parametrize("size", [(60, 40), (600, 400)])      # torchvision's way, PIL's way
def test_crop(size):
    width, height = size
    picture = Image.new("RGB", size, "red")
    picture.paste("lime", (width // 2 - height // 4, height // 4, width // 2 + height // 4, 3 * height // 4))
    data = saved(picture, "JPEG", quality=100, subsampling=0)
    inner, largest, beyond, squeezed = (image(data, crop=crop)[:, 1:-1, 1:-1].float()
                                        for crop in (height // 2, None, 10_000, 0))
    assert inner[0].max() < 40 and inner[1].min() > 215                       # all of it green
    share = [(part[1] > 128).float().mean().item() for part in (largest, squeezed)]
    assert share == pytest.approx([64 / 196, 40 / 196], abs=0.06)  # 1/2 x 1/2 of the square; 1/3 x 1/2 of the whole
    assert torch.equal(largest, beyond)


def test_large_jpegs_are_decoded_at_a_fraction(monkeypatch):
    asked = []

    def flatten(picture, in_channels, white):
        asked.append(picture.size)
        return torch.zeros(in_channels, *picture.size[::-1], dtype=torch.uint8)

    monkeypatch.setattr(decoding, "_flatten", flatten)
    decode(saved(Image.new("RGB", (1600, 1200)), "JPEG"), 64)
    decode(saved(Image.new("RGB", (1600, 1200)), "JPEG"), 64, crop=300)
    assert asked == [(400, 300), (1600, 1200)]               # never less than 3 times 64 of what is kept


def bomb(width, height):
    """A PNG of a few bytes that claims to be huge."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT",
                                                                 zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def jpeg_bomb(width, height):
    data = bytearray(saved(Image.new("RGB", (8, 8)), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


JPEG = saved(noise(), "JPEG")
BAD = {
    "empty": (b"", "empty"),
    "text": (b"This is a text, whatever its name says.", "no picture"),
    "half a JPEG": (JPEG[:len(JPEG) // 2], "truncated"),
    "a JPEG's first bytes": (JPEG[:20], "no picture|truncated|identify"),
    "a JPEG's marker only": (b"\xff\xd8\xff", "no picture"),
    "half a PNG": (saved(noise(), "PNG")[:-2000], "truncated|broken"),
    "bomb": (bomb(12_000, 12_000), "12,000 x 12,000 pixels"),
    "larger bomb": (bomb(60_000, 60_000), "decompression bomb"),
    "JPEG bomb": (jpeg_bomb(65_000, 65_000), "65,000 x 65,000 pixels"),
    "PDF": (b"%PDF-1.4 nothing more", "no picture"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_picture(name):
    data, said = BAD[name]
    with pytest.raises((ValueError, OSError), match=f"(?i){said}") as caught:
        decode(data, 16)
    assert "\n" not in str(caught.value) and "0x" not in str(caught.value)       # words for a user


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_any_bytes_are_decoded_or_refused():
    """Bytes changed at random raise, or give an image: never anything else."""
    rng, refused = np.random.default_rng(0), 0
    files = [JPEG, saved(noise(), "PNG"), saved(noise(), "GIF"), saved(noise(), "TIFF"), saved(noise(), "BMP")]
    for n in range(200):
        data = bytearray(files[n % len(files)])
        for at in rng.integers(0, min(len(data), 600), 5):
            data[at] = rng.integers(0, 256)
        try:
            seen = image(bytes(data))
        except (ValueError, OSError):
            refused += 1
        else:
            assert seen.shape == (3, 16, 16) and seen.dtype == torch.uint8
    assert 0 < refused < 200


def test_together_or_alone_they_are_resized_alike():
    pictures = [decode(saved(noise(70, 60, seed=seed), "JPEG"), 16) for seed in range(3)]
    alone = torch.cat([resize([p], 16) for p in pictures])
    assert torch.equal(resize(pictures, 16), alone) and resize(pictures, 16).is_contiguous()
    mixed = [pictures[0], decode(saved(noise(90, 20), "JPEG"), 16)]
    assert torch.equal(resize(mixed, 16)[0], alone[0]) and resize(mixed, 16).shape == (2, 3, 16, 16)


# Limits before decoding: small files that claim or do much

def progressive(scans, side):
    data = saved(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[start:end] * scans + data[end:]


def tiled(side, tile):
    """A grey TIFF in LZW that claims tiles of ``tile`` x ``tile`` pixels."""
    tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 5), (262, 3, 1), (277, 3, 1), (322, 4, tile),
            (323, 4, tile),
            (324, 4, 150), (325, 4, 100)]
    return (b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", tag, kind, 1, value)
            for tag, kind, value in tags) + bytes(200))


WEBP = b"RIFF" + struct.pack("<I", 26) + b"WEBP"
LIMITS = {
    "20,000 scans of a JPEG": (progressive(20_000, 1000),
                               "20,010 scans of 1,000 x 1,000 pixels, more than the limit of 500"),
    "20,000 scans of a small JPEG": (progressive(20_000, 16), "20,010 scans of 16 x 16 pixels"),
    "30 scans of a large JPEG": (progressive(30, 7000), "40 scans of 7,000 x 7,000 pixels, more than the limit of 20"),
    "a marker without a length before the frame": (b"\xff\xd8\xff\x01" + jpeg_bomb(40_000, 30_000)[2:],
                                                   "40,000 x 30,000"),
    "fill bytes before the frame": (b"\xff\xd8\xff\xff\xff" + jpeg_bomb(40_000, 30_000)[2:], "40,000 x 30,000"),
    "a WebP of 34 bytes, lossless": (WEBP + b"VP8L" + struct.pack("<IBI", 14, 47, 16_382 | 16_382 << 14) + bytes(9),
                                     "16,383 x"),
    "a WebP, extended": (WEBP + b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xfe\x3f\0\xfe\x3f\0" + bytes(30),
                         "16,383 x"),
    "a WebP, lossy": (WEBP + b"VP8 " + struct.pack("<I", 14) + b"\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(9),
                      "16,383 x"),
    "a GIF of 88 million pixels": (saved(Image.new("P", (9400, 9400)), "GIF"),
                                   "9,400 x 9,400 pixels, more than the limit of"),
    "a TIFF with a tile larger than itself": (tiled(8, 40_000), "40,000 x 40,000 pixels, more than the limit of"),
    "a PPM with a comment of a megabyte": (b"P6 #" + bytes(1 << 20) + b"\n8 8 255\n" + bytes(192),
                                           "header is longer than 4,096"),
    "a PPM with a megabyte of blanks": (b"P5 8 8" + b" " * (1 << 20) + b"255\n" + bytes(64),
                                        "header is longer than 4,096"),
    "numbers as text": (b"P2 2000 2000 255\n" + b"0 " * 4_000_000,
                        "slowly: 2,000 x 2,000 pixels are more than the limit"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_small_files_that_claim_much_are_refused_before_they_are_decoded(name, monkeypatch):
    data, said = LIMITS[name]
    decoded = []
    monkeypatch.setattr(decoding, "_flatten", lambda *args: decoded.append(args))
    monkeypatch.setattr(decoding, "_decode_jpeg", lambda *args: decoded.append(args))
    with pytest.raises(ValueError, match=said):
        decode(data, 1024)
    assert decoded == []


def test_a_progressive_jpeg_and_one_with_a_film_behind_it_are_read():
    """What follows the end of the picture holds the bytes of a scan's marker by chance: they do not count."""
    data = saved(noise(700, 700), "JPEG", progressive=True)
    assert torch.equal(image(data + b"\xff\xda" * 600), image(data))


def test_sixteen_bit_colours():
    """PIL reads their upper 8 bits: right for 16 bits, all but black for 12, which therefore are refused."""
    def png(high):
        rows = b"".join(b"\0" + np.full((9, 3), high, ">u2").tobytes() for _ in range(9))
        header = struct.pack(">IIBBBBB", 9, 9, 16, 2, 0, 0, 0)
        parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in parts)

    assert (image(png(0x8012)) == 0x80).all() and decoding.largest_value(png(0x8012)) == 0x80FF
    assert decoding.largest_value(png(0x0F12)) == 0x0FFF
    with pytest.raises(ValueError, match="colours have 16 bits, of which PIL reads the upper 8, but white is 4,095"):
        decode(png(0x0F12), 8, white=4095)


def test_every_error_of_a_decoder_is_one_of_two(monkeypatch):
    for error in (SyntaxError("broken"), struct.error("unpack"), ZeroDivisionError(), MemoryError(),
                  AttributeError("x")):
        monkeypatch.setattr(decoding, "_flatten", lambda *args, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(ValueError, match=f"cannot be decoded .{type(error).__name__}"):
            decode(saved(noise(), "PNG"), 16)


@pytest.mark.parametrize("header",
                         [b"P6\n# made by hand\n9 9\n255\n", b"P6 9 9 255 ", b"P6\n#" + b"x" * 3000 + b"\n9 9 255\n"])
def test_headers_of_ppm(header):
    assert image(header + bytes([200]) * (81 * 3), 9).unique().tolist() == [200]
    assert image(header.replace(b"9", b"90") + bytes([200]) * (8100 * 3), 9).unique().tolist() == [200]
