"""Caches killed while they are built, or damaged: the next reading has the right pixels under the right names."""

import json
import multiprocessing
import os
import random
import shutil
import warnings

import numpy as np
import torch
from PIL import Image

from bvae_helpers.data import cache as cache_module
from bvae_helpers.data import folder as folder_module
from bvae_helpers.data.folder import ImageFolder

CHUNKS, STEP, SIZE = 25, 4, 8
START = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
START.set_forkserver_preload(["bvae_helpers.data.folder"])         # imported once, not in every process


def small_chunks():
    """A chunk of four pictures, one worker, and a note after each chunk."""
    folder_module.CHUNK_BYTES, cache_module.SAVE_SECONDS = STEP * 3 * SIZE * SIZE, -1.0
    folder_module.cpus = lambda: 1


def pictures(folder):
    """A hundred pictures, number k all 2 k; every tenth is broken."""
    folder.mkdir()
    for k in range(CHUNKS * STEP):
        path = folder / f"{k:03d}.png"
        if k % 10 == 9:
            path.write_bytes(b"broken")
        else:
            Image.fromarray(np.full((9, 9, 3), 2 * k, np.uint8)).save(path)
    return folder


def read(folder, cache):
    """The folder's images, and what the warnings said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        images = ImageFolder(folder, SIZE, cache=cache, progress=False)
    return images, [str(warning.message) for warning in said]


def build_until_killed(folder, cache, chunk, line):
    """Build the cache; when ``chunk`` is reached, say so, and continue, so that the kill comes at any moment after."""
    small_chunks()
    append = cache_module.Cache._append

    def counted(self, file, note, decoded):
        def chunks():
            for n, images in enumerate(decoded):
                if n == chunk:
                    line.send(n)
                yield images
        append(self, file, note, chunks())

    cache_module.Cache._append = counted
    read(folder, cache)


def kill(folder, cache, rng):
    """Start a process that builds the cache, and kill it at a random chunk."""
    here, there = START.Pipe(duplex=False)
    process = START.Process(target=build_until_killed, args=(folder, cache, rng.randrange(CHUNKS), there))
    process.start()
    there.close()
    try:
        here.recv()
    except EOFError:                    # resumed after that chunk, it is finished already
        pass
    process.kill()
    process.join()


def damage(cache, rng):
    """Change, cut or remove one of the cache's files, or a value in its note."""
    file = rng.choice(sorted(cache.glob("*.u8")) + sorted(cache.glob("*.json")))
    data = bytearray(file.read_bytes())
    way = rng.randrange(6)
    if way == 0 and file.suffix == ".json":
        note = json.loads(data)
        key = rng.choice(list(note))
        note[key] = rng.choice((None, -1, 0, 10 ** 15, 0.5, "text", [], {}, {"000.png": "why"}, True, note["files"]))
        data = json.dumps(note).encode()
    elif way == 1:
        del data[rng.randrange(len(data)):]
    elif way == 2:
        file.unlink()
        return
    elif way == 3:
        data += bytes(rng.choice((1, 500)))
    elif way == 4 and file.suffix == ".json":
        data = bytearray(rng.choice((b"[" * 100_000, b"\xff\xfe", b"{}", b"null")))
    else:
        for _ in range(rng.choice((1, 10))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def check(folder, cache, name, pixels, names):
    """Read the folder, which builds or resumes the cache, and compare."""
    images, said = read(folder, cache)
    assert images.names == names, f"{name}: other names"
    assert torch.equal(images.pixels, pixels), f"{name}: other pixels"
    assert any("10 of 100 pictures could not be read" in line for line in said), f"{name}: {said}"
    again, _ = read(folder, cache)
    assert torch.equal(again.pixels, pixels), f"{name}: other pixels the second time"
    left = {path.suffix for path in cache.iterdir()} | {path.name for path in cache.glob("*part*")}
    assert left <= {".u8", ".json", ".lock"}, f"{name}: {sorted(left)} is left"


def run(count, seed, folder):
    """``count`` caches: half killed, up to three times in a row, half damaged."""
    old = folder_module.CHUNK_BYTES, cache_module.SAVE_SECONDS, folder_module.cpus
    small_chunks()
    try:
        source, kills = pictures(folder / "pictures"), 0
        names = [f"{k:03d}.png" for k in range(CHUNKS * STEP) if k % 10 != 9]
        pixels = torch.tensor([2 * int(name[:3]) for name in names], dtype=torch.uint8).view(-1, 1, 1, 1)
        pixels = pixels.expand(-1, 3, SIZE, SIZE).contiguous()
        for n in range(count):
            rng, name, cache = random.Random(f"{seed} {n}"), f"cache {n} of seed {seed}", folder / "cache"
            if n % 2:
                read(source, cache)
                damage(cache, rng)
            else:
                for _ in range(rng.choice((1, 1, 2, 3))):
                    kill(source, cache, rng)
                    kills += 1
            check(source, cache, name, pixels, names)
            shutil.rmtree(cache)
    finally:
        folder_module.CHUNK_BYTES, cache_module.SAVE_SECONDS, folder_module.cpus = old
    return f"{count} caches: {kills} builds killed, {count // 2} damaged; every one read back with its pixels and names"


def test_a_few(tmp_path):
    run(12, 0, tmp_path)
