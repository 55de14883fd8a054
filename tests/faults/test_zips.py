"""Zips: sound ones arrive byte for byte in the cache folder, others are refused; nothing is written elsewhere."""

import io
import os
import pathlib
import random
import resource
import time
import warnings
import zipfile
from unittest import mock

from PIL import Image

from bvae_helpers.data import zips

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
SECONDS, MEGABYTES = 5, 2000
PICTURE = io.BytesIO()
Image.new("RGB", (40, 40), "red").save(PICTURE, "PNG")
KEPT = (".png", ".jpg", ".csv", ".txt")


def sound(rng):
    """Names and contents of a harmless zip: pictures in nested folders, lists, and other files, which stay in the
    zip."""
    names = ["a.png", "deep/er/b.PNG", "Zoë 猫.png", "a b;c'd.jpg", "list_attr_celeba.csv", "read me.txt",
             "program.exe", "x/y.zip", "__MACOSX/._a.png", ".hidden.png", "deep/.thumbs/a.png"]
    chosen = ["first.png", *rng.sample(names, rng.randrange(len(names)))]
    return {name: PICTURE.getvalue() + rng.randbytes(rng.randrange(200)) for name in chosen}


HOSTILE = ("../evil.png", "/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png", "C:/evil.txt", "first.png",
           "first.png/evil.png", "n" * 300 + ".png", "a/" * 300 + "evil.png", "\0evil.png", "evil\n.png", "con.png",
           "./evil.png", "a//evil.png")


def pack(path, contents, rng):
    """Write a zip; the names may repeat, which zipfile warns of."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", rng.choice(METHODS)) as file:
        warnings.simplefilter("ignore")
        for name, data in contents:
            info = zipfile.ZipInfo(name)
            info.compress_type = rng.choice(METHODS)
            file.writestr(info, data)


def linked(path, rng):
    """Add a link out of the folder, and a file that would be written through it."""
    link = zipfile.ZipInfo(rng.choice(("link.png", "out")))
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(link, "../..")
        file.writestr("out/evil.png", PICTURE.getvalue())


def damaged(path, rng):
    """Bytes changed, left out, put in or cut off, at the ends most of all: there zips keep their directory."""
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 2, 10))):
        at = rng.randrange(len(data)) if rng.random() < 0.5 else len(data) - 1 - rng.randrange(min(len(data), 200))
        way = rng.randrange(4)
        if way == 0:
            data[at] = rng.randrange(256)
        elif way == 1:
            del data[at:at + rng.choice((1, 4, 1000))]
        elif way == 2:
            data[at:at] = rng.randbytes(4)
        else:
            data[at:at + 4] = rng.choice((b"\xff\xff\xff\xff", bytes(4)))
        if len(data) < 30:
            break
    path.write_bytes(bytes(data))


def bomb(path, rng):
    """A few megabytes, or none, that unpack to gigabytes."""
    zeros = bytes(1 << 24)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("a.png", "w", force_zip64=True) as member:
            for _ in range(4):
                member.write(zeros)
    data, size = path.read_bytes(), rng.choice((3 << 30, (1 << 32) - 2))
    path.write_bytes(data.replace((4 * len(zeros)).to_bytes(4, "little"), size.to_bytes(4, "little")))


def check(path, folder, name, contents):
    """Unpack into ``folder`` -> {name: bytes} of what arrived, or None if the zip is refused as documented."""
    start = time.process_time()
    with mock.patch.dict(os.environ, BVAE_CACHE=str(folder / "cache")):
        try:
            target = zips.unpack(path)
        except (ValueError, OSError) as error:
            target = None
            assert str(error).strip(), f"{name}: refused without a word"
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__} is not documented ({error})") from error
    arrived = {}
    for file in folder.rglob("*"):
        inside = target is not None and file.is_relative_to(target)
        assert not file.is_symlink(), f"{name}: a link at {file}"
        assert inside or file.is_dir() or file == path or file.suffix == ".lock", f"{name}: {file} was written"
        assert not (file.is_dir() and file.suffix == ".part"), f"{name}: {file} was left"
        if inside and file.is_file():
            arrived[str(file.relative_to(target))] = file.read_bytes()
            assert arrived[str(file.relative_to(target))] in contents, f"{name}: {file} has other bytes"
            assert file.suffix.lower() in KEPT, f"{name}: {file} was unpacked"
    assert time.process_time() - start < SECONDS, f"{name}: {time.process_time() - start:.1f} s"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 < MEGABYTES, name
    return None if target is None else arrived


def run(count, seed, folder):
    """``count`` zips: a third sound, a third damaged, the others hostile."""
    right, unpacked = 0, 0
    for n in range(count):
        rng, name, here = random.Random(f"{seed} {n}"), f"zip {n} of seed {seed}", folder / str(n)
        here.mkdir()
        path, contents = here / "pictures.zip", sound(rng)
        listed = list(contents.items())
        if n % 3 == 2:
            listed += [(rng.choice(HOSTILE), PICTURE.getvalue())]
            rng.shuffle(listed)
        pack(path, listed, rng)
        if n % 3 == 2 and rng.random() < 0.3:
            rng.choice((linked, bomb))(path, rng)
        if n % 3 == 1:
            damaged(path, rng)
        arrived = check(path, here, name, {*contents.values(), PICTURE.getvalue()})
        if n % 3 == 0:
            wanted = {key: data for key, data in contents.items()
                      if pathlib.Path(key).suffix.lower() in KEPT and "/." not in f"/{key}" and "__MACOSX" not in key}
            assert arrived == wanted, f"{name}: {sorted(arrived or ())} arrived, not {sorted(wanted)}"
            right += 1
        else:
            unpacked += arrived is not None
    return (f"{count} zips: {right} sound ones unpacked byte for byte, {unpacked} of {count - right} others unpacked, "
            "the rest refused")


def test_a_few(tmp_path):
    run(30, 0, tmp_path)
