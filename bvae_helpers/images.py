"""A folder of pictures -> uint8 images of one size, decoded once."""

import os
import pathlib
import warnings
from concurrent.futures import ThreadPoolExecutor

import torch
from PIL import Image, ImageOps
from torchvision.transforms.functional import pil_to_tensor
from tqdm.auto import tqdm

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


def find_images(path):
    """All picture files under ``path``, nested folders included, in a stable order.

    Raises FileNotFoundError for a missing folder or one without pictures.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"no folder at {str(path)!r}: set data_path to a folder of pictures, or to 'sprites'")
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise FileNotFoundError(f"no pictures ({', '.join(sorted(SUFFIXES))}) under {str(path)!r}")
    return files


def decode(file, img_size, in_channels=3):
    """One picture file -> uint8 (C, S, S): upright, cut to its central square, shrunk with antialiasing."""
    with Image.open(file) as picture:
        picture.draft("RGB", (img_size, img_size))     # JPEG: decode at the nearest larger eighth
        picture = ImageOps.exif_transpose(picture).convert("RGB" if in_channels == 3 else "L")
        picture = ImageOps.fit(picture, (img_size, img_size), Image.Resampling.BILINEAR)
    return pil_to_tensor(picture)


def load_folder(path, img_size=64, in_channels=3, num_images=None):
    """Decode a folder of pictures, in parallel -> uint8 (N, C, S, S).

    Files that cannot be read are skipped and named in one warning. Raises ValueError when more
    than half of them fail, and for channels other than 1 or 3.
    """
    if in_channels not in (1, 3):
        raise ValueError(f"pictures have in_channels 1 (grey) or 3 (colour), got {in_channels}")
    files = find_images(path)[:num_images]
    bad = []

    def attempt(file):
        try:
            return decode(file, img_size, in_channels)
        except Exception as error:   # a decoder raises whatever a broken file makes it raise
            bad.append(f"{file.name} ({error})")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = [i for i in tqdm(pool.map(attempt, files), "decoding", len(files), disable=len(files) < 1000) if i is not None]
    if bad:
        message = f"{len(bad)} of {len(files)} pictures could not be read: {'; '.join(bad[:10])}"
        if len(bad) * 2 > len(files):
            raise ValueError(message)
        warnings.warn(message, stacklevel=2)
    return torch.stack(images)
