"""A file of uint8 images that is built once, survives interruption, and is read at memory speed.

A cache is two files: ``<name>.u8`` holds the pixels and nothing else; ``<name>.json`` is a note with the digest of
their sources, the number of images, and their checksum. During the build they are called ``<name>.part.u8`` and
``<name>.part.json``, and the note counts the sources done so far. At the end the pixels are renamed first and the note
last: pixels without a note that fits them are no cache, so half a cache is never taken for a whole one.
"""

import errno
import json
import math
import mmap
import os
import pathlib
import shutil
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import torch

from .files import locked, write_whole

__all__ = ["Cache", "cache_folder"]

PIECE = 1 << 24                   # bytes checked or read at a time
SAVE_SECONDS = 2.0                # between two notes of a build: a killed build loses this much work

Chunk = tuple[int, torch.Tensor, dict[str, str]]   # number of sources, their images (n, C, S, S), failed source: reason
Note = dict[str, object]                           # digest, files, images, crc, bad


def cache_folder() -> pathlib.Path:
    """The default folder of caches: $BVAE_CACHE, else $XDG_CACHE_HOME/bvae_helpers, else ~/.cache/bvae_helpers.

    Caches are never kept beside the pictures: those may be on a mounted Drive, slow or read-only. Raises OSError if
    neither variable is set and the user has no home folder.
    """
    if os.environ.get("BVAE_CACHE"):
        return pathlib.Path(os.environ["BVAE_CACHE"]).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        return pathlib.Path(os.environ["XDG_CACHE_HOME"]).expanduser() / "bvae_helpers"
    try:
        return pathlib.Path.home() / ".cache" / "bvae_helpers"
    except RuntimeError as error:
        raise OSError(errno.ENOENT, "this user has no home folder to keep caches in: set the variable BVAE_CACHE "
                      "to a folder that can be written") from error


class Cache:
    """One cache: uint8 images of one shape (C, S, S), made from ``count`` sources that ``digest`` identifies.

    ``name`` is the same for the same pictures and settings, so that a rebuilt cache replaces the old one.
    """

    def __init__(self, folder: str | os.PathLike, name: str, digest: str, count: int, shape: tuple[int, ...]) -> None:
        self.folder, self.digest, self.count, self.shape = pathlib.Path(folder), digest, count, tuple(shape)
        self.pixels, self.note = self.folder / f"{name}.u8", self.folder / f"{name}.json"
        self.part, self.part_note = self.folder / f"{name}.part.u8", self.folder / f"{name}.part.json"
        self.image_bytes = math.prod(self.shape)

    def load(self, budget: float) -> tuple[torch.Tensor, dict[str, str]] | None:
        """Return (pixels (N, C, S, S), {failed source: reason}), or None if there is no whole cache of these sources.

        Up to ``budget`` bytes are held in memory. A larger cache stays on disk, mapped: the system reads a page when an
        image on it is used, and may drop it again when memory is short. A damaged cache is reported with a warning.
        """
        note = _read_note(self.note)
        if note.get("digest") != self.digest or note.get("files") != self.count:
            return None
        try:
            pixels = self._read(note, budget)
            if pixels is not None:
                return pixels, dict(note["bad"])
        except (OSError, KeyError, TypeError, ValueError):
            pass
        warnings.warn(f"the cache {str(self.pixels)!r} is damaged: the pictures are decoded again", stacklevel=1)
        return None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process at a time into the ``with`` block. Raises OSError if the folder cannot be written."""
        with self._explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            file = open(self.note.with_suffix(".lock"), "w")
        with locked(file, "another process is decoding these pictures: waiting for it"):
            yield

    def build(self, decoded: Callable[[int, dict[str, str]], Iterable[Chunk]]) -> None:
        """Write the cache; an interrupted build of the same sources is resumed.

        ``decoded(start, bad)`` yields the sources from number ``start``, in order, chunk by chunk: how many sources,
        their images (n, C, S, S), and {failed source: reason}; ``bad`` holds the failures before ``start``. Raises
        OSError, and leaves no file behind, if the disk is full or the folder cannot be written.
        """
        note = self._resumable()
        with self._explained():
            with open(self.part, "ab") as file:
                file.truncate(note["images"] * self.image_bytes)
                self._check_room(note)
                try:
                    self._append(file, note, decoded(note["files"], note["bad"]))
                except ValueError:             # too many pictures failed: the partial cache is of no use
                    self._discard()
                    raise
                finally:                       # also when interrupted: the next build resumes from here
                    file.flush()
                    if self.part.exists():
                        _write_note(self.part_note, note)
            os.replace(self.part, self.pixels)      # no fsync: after a power failure the checksum exposes a torn file
            os.replace(self.part_note, self.note)

    def _read(self, note: Note, budget: float) -> torch.Tensor | None:
        """The pixels (N, C, S, S) that a note describes; None if they have another length or checksum."""
        size = note["images"] * self.image_bytes
        if note["images"] + len(note["bad"]) != note["files"]:
            return None
        with open(self.pixels, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size != size:
                return None
            if size <= budget:
                pixels = torch.empty(size, dtype=torch.uint8)
                crc = _read_into(pixels, file)
            else:
                crc = _checksum(file, size)
                pixels = _mapped(file, size)
        return pixels.view(-1, *self.shape) if crc == note["crc"] else None

    def _append(self, file: BinaryIO, note: Note, decoded: Iterable[Chunk]) -> None:
        """Append images to the pixels as they come, and keep the note up to date with them."""
        saved = time.monotonic()
        for files, images, bad in decoded:
            pixels = images.numpy()
            file.write(pixels)
            note["files"] += files
            note["images"] += len(pixels)
            note["crc"] = zlib.crc32(pixels, note["crc"])
            note["bad"].update(bad)
            if time.monotonic() - saved > SAVE_SECONDS:
                file.flush()
                _write_note(self.part_note, note)
                saved = time.monotonic()

    def _resumable(self) -> Note:
        """The note of an interrupted build of the same sources, if its pixels are intact; else that of a new build."""
        note, new = _read_note(self.part_note), {"digest": self.digest, "files": 0, "images": 0, "crc": 0, "bad": {}}
        if note.get("digest") != self.digest or note.keys() != new.keys():
            return new
        try:
            with open(self.part, "rb", buffering=0) as file:
                size = note["images"] * self.image_bytes
                intact = size <= os.fstat(file.fileno()).st_size and _checksum(file, size) == note["crc"]
            return note if intact and note["images"] + len(note["bad"]) == note["files"] else new
        except (OSError, TypeError, ValueError):
            return new

    def _check_room(self, note: Note) -> None:
        """Raise OSError if the rest of the images does not fit on the disk."""
        needed, free = (self.count - note["files"]) * self.image_bytes, shutil.disk_usage(self.folder).free
        if needed > free:
            raise OSError(errno.ENOSPC, f"{needed / 1e9:.2f} GB needed, {free / 1e9:.2f} GB free")

    def _discard(self) -> None:
        """Remove what an unfinished build has written."""
        for file in (self.part, self.part_note):
            with suppress(OSError):
                file.unlink()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an OSError in the ``with`` block into one with the remedy."""
        try:
            yield
        except OSError as error:
            self._discard()
            why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "it cannot be written"
            raise OSError(error.errno, f"no cache in {str(self.folder)!r}: {why} ({error.strerror}). Set cache= (or "
                          "the variable BVAE_CACHE) to a folder with room, or pass cache=False to decode into memory"
                          ) from error


def _write_note(path: pathlib.Path, note: Note) -> None:
    """Write a note as JSON, whole or not at all."""
    write_whole(path, lambda file: file.write(json.dumps(note).encode()))


def _read_note(path: pathlib.Path) -> Note:
    """The dict in a note; an empty dict if there is no note or it cannot be read."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def _read_into(buffer: torch.Tensor, file: BinaryIO) -> int | None:
    """Fill a uint8 tensor (N,) from an open file, piece by piece -> their checksum; None if the file is shorter."""
    crc = 0
    for piece in buffer.split(PIECE):
        view = memoryview(piece.numpy())
        if file.readinto(view) != len(view):
            return None
        crc = zlib.crc32(view, crc)
    return crc


def _checksum(file: BinaryIO, size: int) -> int | None:
    """The checksum of the first ``size`` bytes of an open file; None if the file is shorter."""
    crc, piece = 0, torch.empty(min(PIECE, size), dtype=torch.uint8)
    for start in range(0, size, PIECE):
        view = memoryview(piece[:size - start].numpy())
        if file.readinto(view) != len(view):
            return None
        crc = zlib.crc32(view, crc)
    return crc


def _mapped(file: BinaryIO, size: int) -> torch.Tensor:
    """The bytes of an open file as a uint8 tensor that stays on disk until it is read; writes to it stay in memory."""
    no_reserve = 0x4000 if sys.platform == "linux" else 0     # without it a file larger than the memory may be refused
    flags = mmap.MAP_PRIVATE | no_reserve
    mapping = mmap.mmap(file.fileno(), size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    mapping.madvise(mmap.MADV_RANDOM)                         # no reading ahead: the order is shuffled
    return torch.frombuffer(mapping, dtype=torch.uint8)
