"""Pictures: sound ones of every kind show what was painted; others are decoded, or refused in words, within limits."""

import io
import random
import resource
import struct
import time
import zlib

import numpy as np
import torch
from PIL import Image

from bvae_helpers.data.decoding import decode, largest_value, resize

SIZE = 24
SECONDS, MEGABYTES = 5, 2000        # what a single case may take: of the CPU, and of memory


def saved(picture, kind, **options):
    """The bytes of a PIL picture saved as a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind, body):
    """One chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png16(values):
    """A PNG of 16 bits per channel, which PIL cannot write: uint16 (H, W, C), C 2 for grey with alpha, 3 or 4."""
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def smooth(channels, rng):
    """Colours that pass smoothly into one another: uint8 (SIZE, SIZE, channels)."""
    small = np.frombuffer(rng.randbytes(9 * channels), np.uint8).reshape(3, 3, channels)
    planes = [Image.fromarray(np.ascontiguousarray(small[:, :, c])).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
              for c in range(channels)]
    return np.stack([np.asarray(plane) for plane in planes], 2)


# Sound pictures: (bytes, what is to be seen as uint8 (SIZE, SIZE, 3), by how much a lossy format may be off)

def colour(rng):
    pixels = smooth(3, rng)
    kind, options, off = rng.choice([
        ("PNG", {}, 0), ("BMP", {}, 0), ("TIFF", {}, 0), ("TIFF", {"compression": "tiff_lzw"}, 0), ("JPEG2000", {}, 0),
        ("WEBP", {"lossless": True}, 0), ("PPM", {}, 0), ("TGA", {}, 0), ("TGA", {"compression": "tga_rle"}, 0),
        ("PCX", {}, 0), ("JPEG", {"quality": 95, "progressive": rng.random() < 0.5}, 40)])
    return saved(Image.fromarray(pixels), kind, **options), pixels, off


def grey(rng):
    pixels = smooth(1, rng)
    kind, options, off = rng.choice([
        ("PNG", {}, 0), ("BMP", {}, 0), ("TIFF", {}, 0), ("PPM", {}, 0), ("TGA", {}, 0), ("JPEG2000", {}, 0),
        ("GIF", {}, 0), ("PCX", {}, 0), ("JPEG", {"quality": 95}, 12)])
    return saved(Image.fromarray(pixels[:, :, 0]), kind, **options), pixels.repeat(3, 2), off


def alpha(rng):
    pixels = smooth(4, rng)
    kind, options = rng.choice([("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True}), ("TGA", {})])
    share = pixels[:, :, 3:].astype(float) / 255
    return saved(Image.fromarray(pixels), kind, **options), pixels[:, :, :3] * share + 255 * (1 - share), 2


def palette(rng):
    colours = np.frombuffer(rng.randbytes(16 * 3), np.uint8).reshape(16, 3)
    index = smooth(1, rng)[:, :, 0] // 16
    picture = Image.frombytes("P", (SIZE, SIZE), index.tobytes())
    picture.putpalette(colours.tobytes())
    options = rng.choice([{}, {"transparency": 3}])
    seen = colours.copy()
    if options:
        seen[3] = 255
    return saved(picture, rng.choice(["PNG", "GIF"]), **options), seen[index], 0


def one_bit(rng):
    pixels = smooth(1, rng)[:, :, 0] > 127
    data = saved(Image.fromarray(pixels), rng.choice(["PNG", "TIFF", "BMP", "PPM", "PCX"]))
    return data, pixels[:, :, None].repeat(3, 2) * 255, 0


def deep(rng):
    values = smooth(1, rng)[:, :, 0].astype(np.uint16) * 257
    data = saved(Image.fromarray(values), rng.choice(["PNG", "TIFF", "PPM"]))
    return data, (values // 257)[:, :, None].repeat(3, 2), 1


def deep_colour(rng):
    pixels = smooth(3, rng)
    return png16(pixels.astype(np.uint16) * 257), pixels, 1


def turned(rng):
    """Turned by its EXIF tag."""
    pixels, orientation = smooth(3, rng), rng.randrange(1, 9)
    back = {1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.swapaxes(0, 1),
            6: np.rot90(pixels, 1), 7: pixels[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(pixels, -1)}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    kind, off = rng.choice([("PNG", 0), ("JPEG", 40), ("WEBP", 0), ("TIFF", 0)])
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    return saved(Image.fromarray(np.ascontiguousarray(back)), kind, exif=exif, **options), pixels, off


SOUND = (colour, grey, alpha, palette, one_bit, deep, deep_colour, turned)


# Damage

def damaged(data, other, rng):
    """Bytes changed at random, left out, put in; two files spliced; a PNG's chunks changed and their checksums
    mended."""
    data = bytearray(data)
    way = rng.choice(["flip", "flip", "head", "head", "cut", "put in", "splice", "number", "mend"])
    if way in ("flip", "head"):
        for _ in range(rng.choice((1, 3, 20))):
            data[rng.randrange(len(data) if way == "flip" else min(len(data), 80))] = rng.randrange(256)
    elif way == "cut":
        del data[rng.randrange(len(data)):]
    elif way == "put in":
        at = rng.randrange(len(data))
        data[at:at] = rng.choice((rng.randbytes(9), b"\xff\xda", b"\xff\x01", bytes(300), b"\xff" * 40))
    elif way == "splice":
        data = data[:rng.randrange(len(data))] + other[rng.randrange(len(other)):]
    elif way == "number":                                    # a width, an offset, a length becomes extreme
        at = rng.randrange(max(1, min(len(data), 120) - 4))
        data[at:at + 4] = rng.choice((b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4), b"\0\0\xff\xff", b"\xff\xff\0\0"))
    elif data[:4] == b"\x89PNG":
        at = 8
        while at + 12 <= len(data):
            size = min(int.from_bytes(data[at:at + 4], "big"), len(data) - at - 12)
            if size and rng.random() < 0.7:
                data[at + 8 + rng.randrange(size)] = rng.randrange(256)
            data[at + 8 + size:at + 12 + size] = struct.pack(">I", zlib.crc32(data[at + 4:at + 8 + size]))
            at += 12 + size
    return bytes(data)


# Hostile on purpose: small files that claim or do much

def scans(rng):
    """A progressive JPEG that goes through its pixels thousands of times."""
    side = rng.choice((64, 1000, 4000))
    data = saved(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[start:end] * rng.choice((600, 20_000)) + data[end:]


def claims(rng):
    """A JPEG, with or without markers before its frame, a PNG, GIF, WebP, BMP, TGA or PPM that claims a huge size."""
    wide, high = rng.choice((9_999, 16_383, 65_000)), rng.choice((8_999, 16_383, 65_000))
    small = Image.new("RGB", (8, 8))
    jpeg = bytearray(saved(small, "JPEG", progressive=rng.random() < 0.5))
    at = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2"))
    jpeg[at + 5:at + 9] = struct.pack(">HH", high, wide)
    png = bytearray(saved(small, "PNG"))
    png[16:24] = struct.pack(">II", wide, high)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    gif = bytearray(saved(small, "GIF"))
    gif[6:10] = struct.pack("<HH", wide, high)
    bits = (min(wide, 16_384) - 1) | (min(high, 16_384) - 1) << 14
    bmp = bytearray(saved(small, "BMP"))
    bmp[18:26] = struct.pack("<ii", wide, high)
    tga = bytearray(saved(small, "TGA"))
    tga[12:16] = struct.pack("<HH", wide, high)
    webp = b"RIFF" + struct.pack("<I", 26) + b"WEBPVP8L" + struct.pack("<IBI", 14, 47, bits) + bytes(9)
    return bytes(rng.choice([jpeg, jpeg[:2] + b"\xff\x01" + jpeg[2:], jpeg[:2] + b"\xff" * 9 + jpeg[2:], png, gif, webp,
                             bmp, tga, b"P6 %d %d 255\n" % (wide, high), b"P2 %d %d 255\n1 2" % (wide, high)]))


def foreign(rng):
    """What PIL would open with another program, or is no picture."""
    return rng.choice([b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n",
                       b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 30, 40, 0, 0, 0, 0) + b"%!PS-Adobe-3.0\n{} loop\n",
                       b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n", b"PK\x03\x04", b"", b"\0" * 5000,
                       rng.randbytes(rng.choice((1, 20, 3000)))])


HOSTILE = (scans, claims, claims, foreign)


def check(data, name):
    """Decode one file within the limits -> uint8 (3, SIZE, SIZE), or None if it is refused as documented."""
    start = time.process_time()
    try:
        largest_value(data)
        seen = resize([decode(data, SIZE)], SIZE)[0]
    except (ValueError, OSError) as error:
        seen = None
        assert str(error).strip(), f"{name}: refused without a word"
    except Exception as error:
        raise AssertionError(f"{name}: {type(error).__name__} is not documented ({error})") from error
    assert seen is None or (seen.shape == (3, SIZE, SIZE) and seen.dtype == torch.uint8), name
    seconds, megabytes = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert seconds < SECONDS, f"{name}: {seconds:.1f} s"
    assert megabytes < MEGABYTES, f"{name}: {megabytes:.0f} MB"
    return seen


def run(count, seed, folder):
    """``count`` pictures: a third sound, half damaged, the others hostile."""
    decoded, sound, before = 0, 0, b"nothing"
    for n in range(count):
        rng = random.Random(f"{seed} {n}")
        name = f"picture {n} of seed {seed}"
        if n % 6 == 5:
            decoded += check(rng.choice(HOSTILE)(rng), name) is not None
            continue
        make = rng.choice(SOUND)
        data, painted, off = make(rng)
        if n % 6 < 3:
            decoded += check(damaged(data, before, rng), name) is not None
        else:
            seen = check(data, name)
            assert seen is not None, f"{name} ({make.__name__}): refused"
            differ = np.abs(seen.permute(1, 2, 0).numpy().astype(float) - painted).max()
            assert differ <= off, f"{name} ({make.__name__}): misread by {differ}"
            sound += 1
        before = data
    return (f"{count} pictures: {sound} sound ones seen as painted, {decoded} of {count - sound} others decoded, "
            "the rest refused")


def test_a_few(tmp_path):
    run(240, 0, tmp_path)
