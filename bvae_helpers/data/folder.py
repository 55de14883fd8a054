"""A folder of pictures -> uint8 images of one size: found, decoded once, and kept for the next time."""

import functools
import hashlib
import json
import math
import os
import pathlib
import stat
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from .cache import Cache, Chunk, cache_folder
from .decoding import SUFFIXES, decode, largest_value, one_large, resize
from .files import cpus, printable

__all__ = ["Found", "ImageFolder", "find_images", "has_pictures", "load_folder", "scan"]

UNREAD = {".heic", ".heif", ".jxl", ".psd", ".xcf", ".svg", ".eps", ".ps", ".ai", ".pdf", ".ico", ".icns", ".dib",
          ".dds", ".qoi", ".sgi", ".exr", ".hdr", ".pfm", ".dcm", ".fits", ".nii", ".cr2", ".cr3", ".nef", ".dng"}
DATA = {".npz", ".h5", ".hdf5", ".zip"}
MAX_BYTES = 1 << 28               # of one picture file
LARGE_BYTES = 1 << 25             # larger files are read one at a time, to spare memory
CHUNK_BYTES = 1 << 22             # of images that one core decodes together; before they are resized, 32 times as many
DARK = 16                         # of 255: a folder without a brighter pixel gets a warning
SAMPLE = 64                       # pictures that are looked at for values of more than 8 bits
VERSION = 2                       # of the decoding: a change of this number makes every cache be built again


class Found(NamedTuple):
    """A picture file as the scan saw it."""

    name: str                     # relative to the folder
    size: int                     # bytes
    mtime: int                    # ns


def scan(path: str | os.PathLike) -> list[Found]:
    """All picture files under ``path``, nested folders and links included, in a stable order.

    Hidden files and folders (a leading dot) are left out. A folder that several links lead to counts once, so loops
    end. Warns of folders that cannot be read, and of pictures in formats that are not read. Raises FileNotFoundError
    for a missing folder or one without pictures, NotADirectoryError for a file.
    """
    root = pathlib.Path(path).expanduser()
    if not root.is_dir():
        raise _no_folder(root, str(path))
    files = list(_walk(root))
    found = [file for file in files if _is_picture(file)]
    unread = Counter(suffix for file in files if (suffix := _suffix(file)) in UNREAD)
    left_out = f"{', '.join(f'{suffix} ({n})' for suffix, n in sorted(unread.items()))}: save them as JPEG or PNG"
    if not found:
        hint = f"; there are files in formats that are not read, {left_out}" if unread else ""
        held = [printable(file.name) for file in files if _suffix(file) in DATA]
        hint += f"; for a data set that is one file, set data_path to it: {', '.join(held[:3])}" if held else ""
        raise FileNotFoundError(f"no pictures ({', '.join(sorted(SUFFIXES))}) under {str(root)!r}{hint}")
    if unread:
        warnings.warn(f"pictures in formats that are not read are left out, {left_out}", stacklevel=3)
    return sorted(found, key=lambda file: file.name.split(os.sep))


def _no_folder(root: pathlib.Path, given: str) -> OSError:
    """The error for a path that is no folder, with what to do instead."""
    if root.is_file() and root.suffix.lower() in SUFFIXES:
        return NotADirectoryError(f"{str(root)!r} is one picture: set data_path to the folder it is in")
    if root.exists():
        return NotADirectoryError(f"{str(root)!r} is a file: data_path must be a folder of pictures or a zip of one, "
                                  "a dSprites or MPI3D .npz, a 3D Shapes .h5")
    if "://" in given:
        return FileNotFoundError(f"{given!r} is a web address: download it, and set data_path to the folder")
    if set("*?[") & set(given):
        return FileNotFoundError(f"no folder at {given!r}: patterns are not expanded, set data_path to the folder")
    return FileNotFoundError(f"no folder at {str(root)!r}: set data_path to a folder of pictures, or to 'sprites'")


def has_pictures(path: str | os.PathLike) -> bool:
    """Whether ``scan`` would find a picture under a folder."""
    return any(_is_picture(file) for file in _walk(pathlib.Path(path)))


def _is_picture(file: Found) -> bool:
    """Whether a file has the suffix of a format that is read."""
    return _suffix(file) in SUFFIXES


def _suffix(file: Found) -> str:
    """The suffix of a file's name in lower case, with its dot."""
    return os.path.splitext(file.name)[1].lower()


def _walk(root: pathlib.Path) -> Iterator[Found]:
    """All files under ``root`` that are not hidden. Links to folders come last: a folder goes by its real name."""
    folders, links, seen = [""], deque(), set()
    while folders or links:
        folder = folders.pop() if folders else links.popleft()
        try:
            here = os.stat(root / folder)
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            warnings.warn(f"cannot look into {str(root / folder)!r}: {error.strerror}", stacklevel=3)
            continue
        if (here.st_dev, here.st_ino) in seen:
            continue
        seen.add((here.st_dev, here.st_ino))
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name, info = os.path.join(folder, entry.name), _stat(entry)
            if info is None:                                # a link that leads nowhere: its decoding will fail
                yield Found(name, 0, 0)
            elif stat.S_ISREG(info.st_mode):
                yield Found(name, info.st_size, info.st_mtime_ns)
            elif stat.S_ISDIR(info.st_mode) and entry.is_symlink():
                links.append(name)
            elif stat.S_ISDIR(info.st_mode):
                folders.append(name)


def _stat(entry: os.DirEntry) -> os.stat_result | None:
    """The status of a directory entry, or of the target of a link; None for a link that leads nowhere."""
    try:
        return entry.stat()
    except OSError:
        return None


def find_images(path: str | os.PathLike) -> list[pathlib.Path]:
    """The paths of all picture files under ``path``, as ``scan`` finds and orders them."""
    return [pathlib.Path(path).expanduser() / file.name for file in scan(path)]


def _read(path: pathlib.Path, found: Found) -> bytes:
    """The bytes of a file; raise ValueError or OSError if it is no longer the file that the scan found."""
    if found.size > MAX_BYTES:
        raise ValueError(f"{found.size:,} bytes are more than a picture may have ({MAX_BYTES:,})")
    with open(os.path.join(path, found.name), "rb", buffering=0) as file:
        info = os.fstat(file.fileno())
        if (info.st_size, info.st_mtime_ns) != (found.size, found.mtime):
            raise ValueError("the file changed after the folder was scanned")
        return file.readall()


def in_order(work: Callable, items: Iterable) -> Iterator:
    """Yield ``work(item)`` for every item, computed on all CPUs, in order; at most 2 results per CPU wait in memory.

    When the caller stops early, items that are still queued are cancelled.
    """
    workers = cpus()
    pool, waiting = ThreadPoolExecutor(workers), deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class ImageFolder(Dataset):
    """The pictures of a folder as uint8 images, decoded once and then read from a cache at memory speed.

    ``pixels`` is a tensor (N, C, S, S); ``names`` are the N files, relative to the folder; ``bad`` gives, for each file
    that could not be read, the reason. ``fit`` and ``as_images`` take an ``ImageFolder`` as it is, and it is a Dataset.

    ``crop``: None cuts out the largest central square; a number, the central square of that side (148 is usual for
    CelebA); 0 squeezes the whole picture. ``num_images``: read only the first N files. ``cache``: the folder of the
    cache (default: ``cache_folder()``); False decodes into memory and keeps nothing. ``budget``: bytes of memory that
    the images may take; more stay on disk, mapped. ``rebuild``: decode again even if the cache fits. If the cache
    cannot be written, a warning gives the reason, and the images stay in memory. ``white``: the value shown as white in
    pictures of more than 8 bits; None takes the most that 8, 10, 12, 14 or 16 bits hold, as the values of the pictures
    need, and warns if that is less than 16.

    Raises FileNotFoundError for a folder that is missing or empty, ValueError if more than half of the files fail or a
    setting is out of range, OSError if the cache cannot be written and the images exceed ``budget``.
    """

    def __init__(self, path: str | os.PathLike, img_size: int = 64, in_channels: int = 3, crop: int | None = None,
                 num_images: int | None = None, *, cache: str | os.PathLike | bool | None = None,
                 budget: float = 1 << 30, rebuild: bool = False, white: int | None = None,
                 progress: bool = True) -> None:
        if in_channels not in (1, 3):
            raise ValueError(f"pictures have in_channels 1 (grey) or 3 (colour), got {in_channels}")
        if img_size < 1 or (crop is not None and crop < 0):
            raise ValueError(f"img_size must be at least 1 and crop at least 0, got {img_size} and {crop}")
        if white is not None and not 1 <= white < 1 << 24:
            raise ValueError(f"white must be from 1 to {(1 << 24) - 1:,}, got {white}")
        self.path = pathlib.Path(path).expanduser()
        self.settings = {"img_size": img_size, "in_channels": in_channels, "crop": crop, "white": white}
        self.files, self.progress = scan(path)[:num_images], progress
        if cache is False:
            self.pixels, self.bad = self._in_memory(budget)
        else:
            self.pixels, self.bad = self._cached_or_in_memory(cache, num_images, budget, rebuild)
        self.names = [file.name for file in self.files if file.name not in self.bad]
        if self.bad:
            warnings.warn(f"{_failures(self.bad, len(self.files))}. They are left out", stacklevel=2)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, S, S)"""
        return tuple(self.pixels.shape)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.pixels[index]

    def _image_shape(self) -> tuple[int, int, int]:
        """(C, S, S)"""
        return self.settings["in_channels"], self.settings["img_size"], self.settings["img_size"]

    def _bytes(self) -> int:
        """The bytes that the images of all files take."""
        return len(self.files) * math.prod(self._image_shape())

    def _cached_or_in_memory(self, folder: str | os.PathLike | None, num_images: int | None, budget: float,
                             rebuild: bool) -> tuple[torch.Tensor, dict[str, str]]:
        """Pixels and failures from the cache; from memory, after a warning, if there cannot be one."""
        try:
            return self._cached(folder or cache_folder(), num_images, budget, rebuild)
        except OSError as error:
            if self._bytes() > budget:
                raise
            warnings.warn(f"{error.strerror or error}. For now the pictures are decoded into memory, at every start",
                          stacklevel=3)
            return self._in_memory(budget)

    def _cached(self, folder: str | os.PathLike, num_images: int | None, budget: float,
                rebuild: bool) -> tuple[torch.Tensor, dict[str, str]]:
        """Pixels and failures from the cache, which is built first if it does not fit the files."""
        recipe = [os.path.realpath(self.path), self.settings, num_images, VERSION]
        name = f"{self.path.resolve().name[:40]}-{hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]}"
        digest = hashlib.sha256(json.dumps(self.files).encode()).hexdigest()
        cache = Cache(pathlib.Path(folder).expanduser(), name, digest, len(self.files), self._image_shape())
        kept = None if rebuild else self._load(cache, budget)
        if kept is None:
            with cache.lock():
                kept = None if rebuild else self._load(cache, budget)     # another process may have built it meanwhile
                if kept is None:
                    cache.build(self._decoded)
                    kept = self._load(cache, budget)
        if kept is None:
            raise OSError(f"the cache {str(cache.pixels)!r} cannot be read back: is the disk in order?")
        return kept

    def _load(self, cache: Cache, budget: float) -> tuple[torch.Tensor, dict[str, str]] | None:
        """Pixels and failures from a cache; None if there is none, or its failures are not files of this folder."""
        kept = cache.load(budget)
        if kept is not None and kept[1].keys() <= {file.name for file in self.files}:
            return kept
        return None

    def _in_memory(self, budget: float) -> tuple[torch.Tensor, dict[str, str]]:
        """Pixels and failures, decoded into memory."""
        if self._bytes() > budget:
            raise ValueError(f"{len(self.files):,} images take {self._bytes() / 1e9:.2f} GB, more than the budget of "
                             f"{budget / 1e9:.2f} GB: let them be cached on disk, or raise budget")
        pixels, n, bad = torch.empty(len(self.files), *self._image_shape(), dtype=torch.uint8), 0, {}
        for _, images, failed in self._decoded():
            pixels[n:n + len(images)] = images
            n += len(images)
            bad.update(failed)
        return pixels[:n], bad

    def _decoded(self, start: int = 0, bad: dict[str, str] | None = None) -> Iterator[Chunk]:
        """Decode the files from number ``start``, chunk by chunk; ``bad`` holds the failures before it.

        Raises ValueError once more than half of all files have failed. Warns if all pictures are almost black.
        """
        bad, brightest = dict(bad or {}), 0
        for count, images, failed in self._chunks(start):
            bad.update(failed)
            if len(bad) * 2 > len(self.files):
                raise ValueError(_failures(bad, len(self.files)))
            if len(images):
                brightest = max(brightest, int(images.max()))
            yield count, images, failed
        if start == 0 and brightest < DARK:
            warnings.warn(f"all pictures are almost black: their largest value is {brightest} of 255. If the values "
                          "are classes, such as 0 and 1 of a mask, save them spread over 0 to 255", stacklevel=2)

    def _chunks(self, start: int) -> Iterator[Chunk]:
        """The files from number ``start``, decoded on all CPUs, with a progress bar if they are many."""
        left, size = self.files[start:], self.settings["img_size"]
        step = max(1, min(64, CHUNK_BYTES // (3 * size * size)))
        chunks = [left[i:i + step] for i in range(0, len(left), step)]
        work = functools.partial(self._decode_chunk, white=self._white())
        quiet = not self.progress or len(left) < 1000
        with tqdm(desc="decoding", total=len(self.files), initial=start, unit="pictures", disable=quiet) as bar:
            for chunk, (images, failed) in zip(chunks, in_order(work, chunks)):
                yield len(chunk), images, failed
                bar.update(len(chunk))

    def _white(self) -> int:
        """The value shown as white in pictures of more than 8 bits, from ``SAMPLE`` pictures if no setting gives it."""
        if self.settings["white"] is not None:
            return self.settings["white"]
        step = max(1, len(self.files) // SAMPLE)
        largest = max(self._largest_value(file) for file in self.files[::step])
        white = next((2 ** bits - 1 for bits in (8, 10, 12, 14) if 0 < largest < 2 ** bits), 65535)
        if white < 65535:
            warnings.warn(f"the pictures of more than 8 bits hold values up to {largest:,}: 0 is shown as black, "
                          f"{white:,} as white. ImageFolder(white=…) sets another value", stacklevel=2)
        return white

    def _largest_value(self, found: Found) -> int:
        """The largest value in a picture of more than 8 bits; 0 for other pictures and for unreadable files."""
        try:
            return largest_value(_read(self.path, found)) or 0
        except (ValueError, OSError):
            return 0

    def _decode_chunk(self, chunk: list[Found], white: int) -> tuple[torch.Tensor, dict[str, str]]:
        """Decode some files -> their images (n, C, S, S), and {failed file: reason}."""
        images, failed, settings = [], {}, {**self.settings, "white": white}
        for found in chunk:
            try:
                with one_large if found.size > LARGE_BYTES else nullcontext():
                    images.append(decode(_read(self.path, found), **settings))
            except (ValueError, OSError) as error:
                failed[found.name] = getattr(error, "strerror", None) or str(error)
        if not images:
            return torch.empty(0, *self._image_shape(), dtype=torch.uint8), failed
        return resize(images, self.settings["img_size"]), failed


def _failures(bad: dict[str, str], count: int) -> str:
    """How many pictures could not be read, and why the first ten could not."""
    first = "; ".join(f"{printable(name)} ({printable(why)})" for name, why in list(bad.items())[:10])
    more = " …" if len(bad) > 10 else ""
    return f"{len(bad)} of {count} pictures could not be read: {first}{more}"


def load_folder(path: str | os.PathLike, img_size: int = 64, in_channels: int = 3,
                num_images: int | None = None) -> torch.Tensor:
    """Decode a folder of pictures into memory -> uint8 (N, C, S, S). ``ImageFolder`` keeps them for the next time."""
    return ImageFolder(path, img_size, in_channels, num_images=num_images, cache=False, budget=math.inf).pixels
