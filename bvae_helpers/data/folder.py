"""A folder of pictures -> uint8 images of one size: found, decoded once, and kept for the next time."""

import hashlib
import json
import math
import os
import pathlib
import stat
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from .cache import Cache, cache_folder
from .decoding import decode, resize

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}
MAX_BYTES = 1 << 29               # of one picture file
CHUNK_BYTES = 1 << 22             # of images decoded together by one core; 32 times that at most before they are resized
VERSION = 1                       # of the decoding: another number, and every cache is built anew


class Found(NamedTuple):
    """A picture file as the scan saw it."""

    name: str                     # relative to the folder
    size: int                     # bytes
    mtime: int                    # ns


def scan(path):
    """All picture files under ``path``, nested folders and links included, in a stable order -> a list of ``Found``.

    Hidden files and folders (a leading dot) are left out. A folder that links lead to more than
    once counts once, so that loops end. Raises FileNotFoundError for a missing folder or one
    without pictures, NotADirectoryError for a file.
    """
    path = pathlib.Path(path).expanduser()
    if path.is_file():
        raise NotADirectoryError(f"{str(path)!r} is a file: data_path must be a folder of pictures")
    if not path.is_dir():
        raise FileNotFoundError(f"no folder at {str(path)!r}: set data_path to a folder of pictures, or to 'sprites'")
    found, folders, links, seen = [], [""], [], set()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)           # links last: a folder goes by its real name
        try:
            here = os.stat(path / folder)
            entries = sorted(os.scandir(path / folder), key=lambda entry: entry.name)
        except OSError as error:
            warnings.warn(f"cannot look into {str(path / folder)!r}: {error.strerror}", stacklevel=2)
            continue
        if (here.st_dev, here.st_ino) in seen:
            continue
        seen.add((here.st_dev, here.st_ino))
        for entry in entries:
            name, info = os.path.join(folder, entry.name), stat_of(entry)
            if entry.name.startswith("."):
                continue
            if info and stat.S_ISDIR(info.st_mode):
                (links if entry.is_symlink() else folders).append(name)
            elif os.path.splitext(name)[1].lower() in SUFFIXES and (info is None or stat.S_ISREG(info.st_mode)):
                found.append(Found(name, info.st_size, info.st_mtime_ns) if info else Found(name, 0, 0))
    if not found:
        raise FileNotFoundError(f"no pictures ({', '.join(sorted(SUFFIXES))}) under {str(path)!r}")
    return sorted(found, key=lambda f: f.name.split(os.sep))


def stat_of(entry):
    """What a directory entry, or the target of a link, is; None for a link that leads nowhere."""
    try:
        return entry.stat()
    except OSError:
        return None


def find_images(path):
    """All picture files under ``path``, as ``scan`` finds and orders them -> a list of paths."""
    return [pathlib.Path(path).expanduser() / f.name for f in scan(path)]


def read(path, found):
    """The bytes of a file that is still what the scan found; ValueError or OSError if it is not."""
    if found.size > MAX_BYTES:
        raise ValueError(f"{found.size:,} bytes are more than a picture may have ({MAX_BYTES:,})")
    with open(os.path.join(path, found.name), "rb", buffering=0) as file:
        info = os.fstat(file.fileno())
        if (info.st_size, info.st_mtime_ns) != found[1:]:
            raise ValueError("the file changed after the folder was scanned")
        return file.readall()


def in_order(work, items):
    """``work(item)`` for every item, on all cores, in order; only a few results wait in memory at a time."""
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        waiting = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class ImageFolder(Dataset):
    """The pictures of a folder as uint8 images, decoded once and then read from a cache at memory speed.

    ``pixels``: a tensor (N, C, S, S); ``names``: the N files, relative to the folder; ``bad``: for
    each file that could not be read, why. Goes to ``fit`` and ``as_images`` as it is, and is a Dataset.

    ``crop``: None cuts out the largest central square; a number, the central square of that side
    (148 is usual for CelebA); 0 squeezes the whole picture. ``num_images``: only the first so many files.
    ``cache``: a folder for the cache (default: ``cache_folder()``; False: decode into memory, keep
    nothing). ``budget``: bytes of memory the images may take; when they are more, they stay on disk,
    mapped. ``rebuild`` decodes again though the cache fits.

    Raises FileNotFoundError for a folder that is missing or empty, ValueError when more than half of
    the files fail or a setting is out of range, OSError when the cache cannot be written.
    """

    def __init__(self, path, img_size=64, in_channels=3, crop=None, num_images=None, *, cache=None, budget=1 << 30,
                 rebuild=False, progress=True):
        if in_channels not in (1, 3):
            raise ValueError(f"pictures have in_channels 1 (grey) or 3 (colour), got {in_channels}")
        if img_size < 1 or (crop is not None and crop < 0):
            raise ValueError(f"img_size must be at least 1 and crop at least 0, got {img_size} and {crop}")
        self.path = pathlib.Path(path).expanduser()
        self.settings = {"img_size": img_size, "in_channels": in_channels, "crop": crop}
        self.files, self.progress = scan(self.path)[:num_images], progress
        shape = (in_channels, img_size, img_size)
        self.pixels, self.bad = self.in_memory(shape, budget) if cache is False else \
            self.cached(pathlib.Path(cache or cache_folder()).expanduser(), num_images, shape, budget, rebuild)
        self.names = [f.name for f in self.files if f.name not in self.bad]
        if self.bad:
            warnings.warn(f"{self.failures(self.bad, len(self.files))}. They are left out", stacklevel=2)

    shape = property(lambda self: tuple(self.pixels.shape), doc="(N, C, S, S)")

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        return self.pixels[index]

    def cached(self, folder, num_images, shape, budget, rebuild):
        """Pixels and failures from the cache, which is built first where it does not fit."""
        recipe = [os.path.realpath(self.path), self.settings, num_images, VERSION]
        name = f"{self.path.resolve().name[:40]}-{hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]}"
        digest = hashlib.sha256(json.dumps(self.files).encode()).hexdigest()
        cache = Cache(folder, name, digest, len(self.files), shape)
        kept = None if rebuild else cache.load(budget)
        if kept is None:
            with cache.lock():
                kept = None if rebuild else cache.load(budget)          # another process may have been at it
                if kept is None:
                    cache.build(self.decoded)
                    kept = cache.load(budget)
        if kept is None:
            raise OSError(f"the cache {str(cache.pixels)!r} cannot be read back: is the disk in order?")
        return kept

    def in_memory(self, shape, budget):
        """Pixels and failures, decoded into memory."""
        needed = len(self.files) * math.prod(shape)
        if needed > budget:
            raise ValueError(f"{len(self.files):,} images take {needed / 1e9:.2f} GB, more than the budget of "
                             f"{budget / 1e9:.2f} GB: let them be cached on disk, or raise budget")
        pixels, n, bad = torch.empty(len(self.files), *shape, dtype=torch.uint8), 0, {}
        for _, images, failed in self.decoded(0):
            pixels[n:n + len(images)] = images
            n += len(images)
            bad.update(failed)
        return pixels[:n], bad

    def decoded(self, start, bad=()):
        """Decode the files from number ``start`` on -> (how many files, their images (n, C, S, S), failures), chunk by chunk.

        ``bad``: the failures before ``start``. Raises ValueError as soon as more than half of all files have failed.
        """
        bad, left, size = dict(bad), self.files[start:], self.settings["img_size"]
        step = max(1, min(64, CHUNK_BYTES // (3 * size * size)))
        chunks = [left[i:i + step] for i in range(0, len(left), step)]
        quiet = not self.progress or len(left) < 1000
        with tqdm(desc="decoding", total=len(self.files), initial=start, unit="pictures", disable=quiet) as bar:
            for chunk, (images, failed) in zip(chunks, in_order(self.decode_chunk, chunks)):
                bad.update(failed)
                if len(bad) * 2 > len(self.files):
                    raise ValueError(self.failures(bad, len(self.files)))
                yield len(chunk), images, failed
                bar.update(len(chunk))

    def decode_chunk(self, chunk):
        """Some files -> their images (n, C, S, S), and why the others failed."""
        images, failed = [], {}
        for found in chunk:
            try:
                images.append(decode(read(self.path, found), **self.settings))
            except Exception as error:        # a decoder raises whatever a broken file makes it raise
                failed[found.name] = getattr(error, "strerror", None) or str(error) or type(error).__name__
        size, channels = self.settings["img_size"], self.settings["in_channels"]
        return resize(images, size) if images else torch.empty(0, channels, size, size, dtype=torch.uint8), failed

    @staticmethod
    def failures(bad, count):
        """How many pictures could not be read, and why the first ten could not."""
        first = "; ".join(f"{name} ({why})" for name, why in list(bad.items())[:10])
        return f"{len(bad)} of {count} pictures could not be read: {first}{' …' if len(bad) > 10 else ''}"


def load_folder(path, img_size=64, in_channels=3, num_images=None):
    """A folder of pictures, decoded into memory -> uint8 (N, C, S, S). For many pictures, or to come back to: ``ImageFolder``."""
    return ImageFolder(path, img_size, in_channels, num_images=num_images, cache=False, budget=float("inf")).pixels
