"""The cache on disk: whole or not there, whatever happens while it is built, and in two processes at once."""

import errno
import json
import multiprocessing
import os
import pathlib
import threading
import warnings
import zlib

import pytest
import torch

from bvae_helpers.data import cache as C
from bvae_helpers.data import files
from bvae_helpers.data.cache import Cache

SHAPE = (1, 4, 4)
PIXELS = torch.randint(0, 256, (50, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make(folder, digest="a", count=50):
    return Cache(folder, "faces", digest, count, SHAPE)


def chunks(start=0, bad=(), step=7, stop=None, error=KeyboardInterrupt):
    """All of PIXELS but number 9, which is a failure, seven at a time; ``error`` before source ``stop``."""
    for first in range(start, 50, step):
        if stop is not None and first >= stop:
            raise error(f"stopped at {first}")
        n = range(first, min(first + step, 50))
        yield len(n), PIXELS[[i for i in n if i != 9]], {"9": "bad"} if 9 in n else {}


GOOD = PIXELS[[i for i in range(50) if i != 9]]


def built(folder, digest="a"):
    cache = make(folder, digest)
    cache.build(chunks)
    return cache


@pytest.mark.parametrize("budget", [0, 1 << 30])
def test_what_was_built_is_read_back(tmp_path, budget):
    pixels, bad = built(tmp_path).load(budget)
    assert torch.equal(pixels, GOOD) and bad == {"9": "bad"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["faces.json", "faces.u8"]


def test_a_stray_write_does_not_reach_the_disk(tmp_path):
    cache = built(tmp_path)
    cache.load(0)[0].zero_()
    assert torch.equal(cache.load(0)[0], GOOD)


def test_other_sources_are_no_cache(tmp_path):
    built(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")                 # stale is not damaged
        assert make(tmp_path, "b").load(0) is None
        assert make(tmp_path, count=51).load(0) is None
        assert make(tmp_path / "nowhere").load(0) is None
    other = built(tmp_path, "b")                       # and takes the old one's place
    assert other.load(0) and make(tmp_path).load(0) is None and len(list(tmp_path.iterdir())) == 2


def damage(kind, cache):
    data, note = cache.pixels.read_bytes(), json.loads(cache.note.read_text())
    if kind == "one bit":
        cache.pixels.write_bytes(data[:99] + bytes([data[99] ^ 1]) + data[100:])
    elif kind == "cut short":
        cache.pixels.write_bytes(data[:-1])
    elif kind == "too long":
        cache.pixels.write_bytes(data + b"x")
    elif kind == "holes":
        cache.pixels.write_bytes(bytes(len(data)))
    elif kind == "pixels gone":
        cache.pixels.unlink()
    elif kind == "no checksum":
        cache.note.write_text(json.dumps({k: v for k, v in note.items() if k != "crc"}))
    elif kind == "nonsense in the note":
        cache.note.write_text(json.dumps({**note, "images": "many", "bad": 3}))
    elif kind == "no images":
        cache.note.write_text(json.dumps({**note, "images": 0}))


@pytest.mark.parametrize("budget", [0, 1 << 30])
@pytest.mark.parametrize("kind", ["one bit", "cut short", "too long", "holes", "pixels gone", "no checksum",
                                  "nonsense in the note", "no images"])
def test_a_damaged_cache_is_noticed(tmp_path, kind, budget):
    cache = built(tmp_path)
    damage(kind, cache)
    with pytest.warns(UserWarning, match="faces.u8' is damaged"):
        assert cache.load(budget) is None
    cache.build(chunks)
    assert torch.equal(cache.load(budget)[0], GOOD)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", "\xff"])
def test_a_note_that_cannot_be_read_is_no_cache(tmp_path, text):
    cache = built(tmp_path)
    cache.note.write_text(text, encoding="latin-1")
    assert cache.load(0) is None


def test_an_interrupted_build_is_resumed(tmp_path):
    cache, starts = make(tmp_path), []
    with pytest.raises(KeyboardInterrupt):
        cache.build(lambda start, bad: chunks(start, stop=21))
    assert cache.load(0) is None                       # never half of one

    def rest(start, bad):
        starts.append((start, dict(bad)))
        return chunks(start)

    make(tmp_path).build(rest)
    pixels, bad = cache.load(0)
    assert starts == [(21, {"9": "bad"})] and torch.equal(pixels, GOOD) and bad == {"9": "bad"}


def test_an_interrupted_build_of_other_sources_is_not_resumed(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path).build(lambda start, bad: chunks(start, stop=21))
    assert make(tmp_path, "b")._resumable()["files"] == 0 and make(tmp_path)._resumable()["files"] == 21


@pytest.mark.parametrize("harm", [lambda part: part.write_bytes(bytes(len(part.read_bytes()))),
                                  lambda part: part.unlink(), lambda part: part.write_bytes(part.read_bytes()[:-1])])
def test_a_damaged_interrupted_build_starts_again(tmp_path, harm):
    cache = make(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        cache.build(lambda start, bad: chunks(start, stop=21))
    harm(cache.part)
    assert cache._resumable()["files"] == 0
    cache.build(chunks)
    assert torch.equal(cache.load(0)[0], GOOD)


SPAWN = multiprocessing.get_context("spawn")


def build_and_hang(folder, reached):
    """Build three chunks, with a note after each, and wait to be killed."""
    C.SAVE_SECONDS = -1.0

    def three(start, bad):
        for n, chunk in enumerate(chunks(start)):
            if n == 3:
                reached.set()
                threading.Event().wait()
            yield chunk

    make(folder).build(three)


def test_kill_9_loses_no_noted_chunk(tmp_path):
    reached = SPAWN.Event()
    process = SPAWN.Process(target=build_and_hang, args=(tmp_path, reached))
    process.start()
    assert reached.wait(120)
    process.kill()
    process.join()
    cache = make(tmp_path)
    assert cache.load(0) is None and cache._resumable()["files"] == 21
    cache.build(chunks)
    assert torch.equal(cache.load(0)[0], GOOD) and sorted(os.listdir(tmp_path)) == ["faces.json", "faces.u8"]


def take(folder, log, inside, waiting, first):
    """What ImageFolder does: lock, look, build if need be. The first builds only when the second waits for the lock."""
    if not first:
        files.say = lambda text: waiting.set()
        assert inside.wait(120)
    cache = make(folder)
    with cache.lock():
        inside.set()
        if cache.load(0) is None:
            with open(log, "a") as file:
                file.write("built\n")
            assert waiting.wait(120)
            cache.build(chunks)
    assert torch.equal(cache.load(0)[0], GOOD)


def test_two_processes_at_once_build_once(tmp_path):
    inside, waiting = SPAWN.Event(), SPAWN.Event()
    two = [SPAWN.Process(target=take, args=(tmp_path, tmp_path / "log", inside, waiting, first))
           for first in (True, False)]
    for process in two:
        process.start()
    for process in two:
        process.join(240)
    assert [process.exitcode for process in two] == [0, 0] and (tmp_path / "log").read_text() == "built\n"


class FullDisk:
    """A file on a disk that has room for N bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        self.room -= memoryview(data).nbytes
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_the_disk_fills_up(tmp_path, monkeypatch):
    cache, append = make(tmp_path), Cache._append
    monkeypatch.setattr(Cache, "_append", lambda self, file, *rest: append(self, FullDisk(file, 300), *rest))
    with pytest.raises(OSError, match="no cache in .*the disk is full .*cache= .*BVAE_CACHE.*cache=False") as caught:
        cache.build(chunks)
    assert caught.value.errno == errno.ENOSPC and list(tmp_path.iterdir()) == [] and cache.load(0) is None


def test_no_room_from_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(C.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 799}))
    with pytest.raises(OSError, match="the disk is full .*0.00 GB needed"):
        make(tmp_path).build(chunks)
    assert list(tmp_path.iterdir()) == []


def test_a_real_full_disk():
    """/dev/full says that the disk is full at every write."""
    if not pathlib.Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which is Linux's")
    with open("/dev/full", "wb") as file:
        cache = make(pathlib.Path("/dev"))
        with pytest.raises(OSError, match="the disk is full"), cache._explained():
            file.write(bytes(100_000))
            file.flush()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = make(tmp_path / "file" / "deeper")
    with pytest.raises(OSError, match="no cache in .*it cannot be written .*BVAE_CACHE"), cache.lock():
        pass


def test_pictures_at_fault_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="stopped at 21"):
        make(tmp_path).build(lambda start, bad: chunks(start, stop=21, error=ValueError))
    assert list(tmp_path.iterdir()) == []


def test_where_caches_go(monkeypatch, tmp_path):
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "mine"))
    assert C.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("BVAE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert C.cache_folder() == tmp_path / "bvae_helpers"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert C.cache_folder() == tmp_path / ".cache" / "bvae_helpers"


def test_checksums_run_over_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(C, "PIECE", 64)
    cache, whole = built(tmp_path), zlib.crc32(GOOD.numpy())
    with open(cache.pixels, "rb", buffering=0) as file:
        assert C._checksum(file, GOOD.nbytes) == whole
    assert torch.equal(cache.load(1 << 30)[0], GOOD)
