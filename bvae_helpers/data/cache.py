"""A file of uint8 images that is built once, survives interruption, and is read at memory speed.

A cache is two files: ``<name>.u8``, the pixels and nothing else, and ``<name>.json``, a note of what
they are, with a checksum. While it is being built they are called ``.part.u8`` and ``.part.json``,
and the note says how far the building has come. The finished pixels get their name first and the
note last: without a note that fits there is no cache, so half of one is never taken for a whole.
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
from contextlib import contextmanager, suppress

import torch

from .files import locked, write_whole

PIECE = 1 << 24                   # bytes checked or read at a time
SAVE_SECONDS = 2.0                # an interrupted build loses at most so much work


def cache_folder():
    """Where caches go by default: $BVAE_CACHE, else $XDG_CACHE_HOME/bvae_helpers, else ~/.cache/bvae_helpers.

    Never beside the pictures: those may be on a mounted Drive, slow or read-only.
    """
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("BVAE_CACHE") or pathlib.Path(base) / "bvae_helpers").expanduser()


def write_note(path, note):
    """Write a dict as JSON, whole or not at all."""
    write_whole(path, lambda file: file.write(json.dumps(note).encode()))


def read_note(path):
    """The dict in a note; an empty one where there is none, or none that can be read."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def read_into(buffer, file):
    """Fill a uint8 tensor (N,) from an open file, piece by piece -> the checksum of what was read."""
    crc = 0
    for piece in buffer.split(PIECE):
        view = memoryview(piece.numpy())
        if file.readinto(view) != len(view):
            return None
        crc = zlib.crc32(view, crc)
    return crc


def checksum(file, size):
    """The checksum of the first ``size`` bytes of an open file, None if there are fewer."""
    crc, piece = 0, torch.empty(min(PIECE, size), dtype=torch.uint8)
    for start in range(0, size, PIECE):
        view = memoryview(piece[:size - start].numpy())
        if file.readinto(view) != len(view):
            return None
        crc = zlib.crc32(view, crc)
    return crc


def mapped(file, size):
    """The bytes of an open file as a uint8 tensor that stays on disk until it is read. What is written to it stays in memory."""
    no_reserve = 0x4000 if sys.platform == "linux" else 0               # else a file larger than the memory could be refused
    flags = mmap.MAP_PRIVATE | no_reserve
    mapping = mmap.mmap(file.fileno(), size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    mapping.madvise(mmap.MADV_RANDOM)                                   # no reading ahead: the order is shuffled
    return torch.frombuffer(mapping, dtype=torch.uint8)


class Cache:
    """One cache: uint8 images of one shape, made of ``count`` sources that ``digest`` stands for.

    ``name``: the same for the same pictures and settings, so that a rebuilt cache replaces the old one.
    """

    def __init__(self, folder, name, digest, count, shape):
        self.folder, self.digest, self.count, self.shape = pathlib.Path(folder), digest, count, tuple(shape)
        self.pixels, self.note = self.folder / f"{name}.u8", self.folder / f"{name}.json"
        self.part, self.part_note = self.folder / f"{name}.part.u8", self.folder / f"{name}.part.json"
        self.image_bytes = math.prod(self.shape)

    def load(self, budget):
        """(pixels (N, C, S, S), what failed: a dict), or None where no cache is, or one of other sources, or a damaged one.

        Up to ``budget`` bytes are held in memory. More stay on disk, mapped: the system reads a page
        when an image on it is asked for, and may drop it again when memory is short.
        """
        note = read_note(self.note)
        if note.get("digest") != self.digest or note.get("files") != self.count:
            return None
        try:
            size = note["images"] * self.image_bytes
            with open(self.pixels, "rb", buffering=0) as file:
                if size <= budget:
                    pixels = torch.empty(size, dtype=torch.uint8)
                    crc = read_into(pixels, file)
                else:
                    crc = checksum(file, size)
                    pixels = mapped(file, size)
                whole = crc == note["crc"] and os.fstat(file.fileno()).st_size == size
            if whole:
                return pixels.view(-1, *self.shape), dict(note["bad"])
        except (OSError, KeyError, TypeError, ValueError):
            pass
        warnings.warn(f"the cache {str(self.pixels)!r} is damaged: the pictures are decoded again", stacklevel=1)
        return None

    @contextmanager
    def lock(self):
        """One process at a time: a second one waits here."""
        with self.explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            file = open(self.note.with_suffix(".lock"), "w")
        with locked(file, "another process is decoding these pictures: waiting for it"):
            yield

    def build(self, decoded):
        """Write the cache, going on where an interrupted build stopped.

        ``decoded(start, bad)`` yields, for the sources from number ``start`` on and in order,
        (how many sources, their images (n, C, S, S), what failed: a dict); ``bad`` failed before. Raises
        OSError when the disk is full or the folder cannot be written, and leaves nothing half-written then.
        """
        note = self.resumable()
        with self.explained():
            with open(self.part, "ab") as file:
                file.truncate(note["images"] * self.image_bytes)
                needed, free = (self.count - note["files"]) * self.image_bytes, shutil.disk_usage(self.folder).free
                if needed > free:
                    raise OSError(errno.ENOSPC, f"{needed / 1e9:.2f} GB needed, {free / 1e9:.2f} GB free")
                try:
                    self.append(file, note, decoded(note["files"], note["bad"]))
                except ValueError:             # the pictures are at fault: there is nothing to go on with
                    self.discard()
                    raise
                finally:
                    file.flush()
                    if self.part.exists():
                        write_note(self.part_note, note)
            os.replace(self.part, self.pixels)         # without waiting for the disk: should the power fail, the checksum tells
            os.replace(self.part_note, self.note)

    def append(self, file, note, decoded):
        """Append images to the pixels as they come, and keep the note up to date with them."""
        saved = time.monotonic()
        for files, images, bad in decoded:
            pixels = images.numpy()
            file.write(pixels)
            note.update(files=note["files"] + files, images=note["images"] + len(pixels), crc=zlib.crc32(pixels, note["crc"]))
            note["bad"].update(bad)
            if time.monotonic() - saved > SAVE_SECONDS:
                file.flush()
                write_note(self.part_note, note)
                saved = time.monotonic()

    def resumable(self):
        """The note of an interrupted build of the same sources, if its pixels are intact; else that of a new one."""
        note, new = read_note(self.part_note), {"digest": self.digest, "files": 0, "images": 0, "crc": 0, "bad": {}}
        if note.get("digest") == self.digest and note.keys() == new.keys():
            try:
                with open(self.part, "rb", buffering=0) as file:
                    if checksum(file, note["images"] * self.image_bytes) == note["crc"]:
                        return note
            except (OSError, TypeError, ValueError):
                pass
        return new

    def discard(self):
        """Remove what an unfinished build has written."""
        for file in (self.part, self.part_note):
            with suppress(OSError):
                file.unlink()

    @contextmanager
    def explained(self):
        """Turn an OSError inside into one that says what to do about the cache."""
        try:
            yield
        except OSError as error:
            self.discard()
            why = "the disk is full" if error.errno == errno.ENOSPC else "it cannot be written"
            raise OSError(error.errno, f"no cache in {str(self.folder)!r}: {why} ({error.strerror}). Set cache= (or the variable "
                          "BVAE_CACHE) to a folder with room, or pass cache=False to decode into memory") from error
