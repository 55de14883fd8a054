"""Folders of pictures: found, decoded once, cut square; broken ones named; the cache follows the files."""

import math
import multiprocessing
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings

import numpy as np
import pytest
import torch
from conftest import curves, new_model, same_state, small_config
from PIL import Image, features

from bvae_helpers.config import Config
from bvae_helpers.data import as_images, load_data, mirror_half, to_batch
from bvae_helpers.data import folder as I
from bvae_helpers.data.cache import Cache
from bvae_helpers.data.folder import ImageFolder, find_images, load_folder, scan
from bvae_helpers.training import fit


def paint(path, colour="red", size=(40, 40), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


def gallery(folder, n=6):
    """n PNGs, each of its own grey: number k is all 10 k."""
    for k in range(n):
        paint(folder / f"{k:03d}.png", (10 * k,) * 3)
    return folder


@pytest.fixture
def decoding_counted(monkeypatch):
    """The sizes of the files decoded so far."""
    seen, decode = [], I.decode
    monkeypatch.setattr(I, "decode", lambda data, **settings: seen.append(len(data)) or decode(data, **settings))
    return seen


# Finding

def test_nested_folders_and_upper_case_suffixes(tmp_path):
    paint(tmp_path / "b.png", "blue")
    paint(tmp_path / "deep" / "er" / "c.JPG", "red", format="JPEG")
    paint(tmp_path / "a.jpeg", "green")
    (tmp_path / "notes.txt").write_text("no picture")
    assert [p.name for p in find_images(tmp_path)] == ["a.jpeg", "b.png", "c.JPG"]
    images = load_folder(tmp_path, img_size=16)
    assert images.shape == (3, 3, 16, 16) and images.dtype == torch.uint8
    assert images[1].flatten(1).float().mean(1).tolist() == [0, 0, 255]
    assert torch.equal(load_folder(tmp_path, img_size=16, num_images=2), images[:2])


def test_names_of_every_kind(tmp_path):
    names = ["Zoë.png", "猫/三毛.png", "a b;c'd.png", "emoji 🙂.png", "ünder/ü.png", "-rf.png"]
    for name in names:
        paint(tmp_path / name)
    folder = ImageFolder(tmp_path, 8)
    assert sorted(folder.names) == sorted(names) and len(ImageFolder(tmp_path, 8)) == 6


def test_a_name_that_is_no_text(tmp_path):
    paint(tmp_path / "a.png")
    try:
        shutil.copy(tmp_path / "a.png", os.fsencode(tmp_path) + b"/\xff\xfe.png")
    except OSError:
        pytest.skip("this file system takes only names that are text")
    assert len(ImageFolder(tmp_path, 8)) == len(ImageFolder(tmp_path, 8)) == 2


def test_hidden_files_are_left_out(tmp_path):
    for name in ("a.png", "._a.png", ".thumbnails/a.png", "deep/.ipynb_checkpoints/a-checkpoint.png"):
        paint(tmp_path / name)
    assert [f.name for f in scan(tmp_path)] == ["a.png"]


def test_links_are_followed_once_and_loops_end(tmp_path):
    paint(tmp_path / "here" / "z" / "a.png")
    paint(tmp_path / "elsewhere" / "b.png")
    os.symlink(tmp_path / "here", tmp_path / "here" / "z" / "loop")
    os.symlink(tmp_path / "elsewhere", tmp_path / "here" / "linked")
    os.symlink(tmp_path / "here" / "z", tmp_path / "here" / "again")
    os.symlink(tmp_path / "elsewhere" / "b.png", tmp_path / "here" / "one.png")
    os.symlink("itself.png", tmp_path / "here" / "itself.png")
    os.symlink("nowhere.png", tmp_path / "here" / "dangling.png")
    assert [f.name for f in scan(tmp_path / "here")] == ["dangling.png", "itself.png", "linked/b.png", "one.png",
                                                         "z/a.png"]
    os.symlink(tmp_path / "here", tmp_path / "start")
    with pytest.warns(UserWarning, match=r"2 of 5 pictures .*dangling.png \(No such file.*itself.png \(Too many"):
        assert len(ImageFolder(tmp_path / "start", 8)) == 3


def test_only_files_are_opened(tmp_path):
    """A pipe named like a picture would wait for ever."""
    paint(tmp_path / "a.png")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    assert [f.name for f in scan(tmp_path)] == ["a.png"]


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder at .*nowhere.*data_path"):
        load_folder(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no pictures .*jpg"):
        load_folder(tmp_path)
    with pytest.raises(NotADirectoryError, match="notes.txt' is a file"):
        ImageFolder(tmp_path / "notes.txt")


def test_a_folder_of_folders(tmp_path):
    for name in ("cats", "dogs", "empty"):
        (tmp_path / name).mkdir()
    gallery(tmp_path / "cats", 2)
    gallery(tmp_path / "dogs", 1)
    assert ImageFolder(tmp_path, 8).names == ["cats/000.png", "cats/001.png", "dogs/000.png"]


# Decoding

def test_the_central_square_is_kept(tmp_path):
    picture = Image.new("RGB", (90, 30), "red")
    picture.paste("lime", (30, 0, 60, 30))
    picture.save(tmp_path / "a.png")
    assert load_folder(tmp_path, img_size=10)[0].flatten(1).unique(dim=1).flatten().tolist() == [0, 255, 0]
    squeezed = ImageFolder(tmp_path, 9, crop=0)[0]
    assert squeezed[0].float().mean() == pytest.approx(170, abs=10)             # two thirds of it are red


def test_grey_and_other_modes(tmp_path):
    paint(tmp_path / "a.png", 100, mode="L")
    paint(tmp_path / "b.png", (100, 100, 100, 255), mode="RGBA")
    paint(tmp_path / "c.png", 0, mode="P")
    grey = load_folder(tmp_path, img_size=8, in_channels=1)
    assert grey.shape == (3, 1, 8, 8) and (grey[:2] == 100).all()
    assert (load_folder(tmp_path, img_size=8)[:2] == 100).all()


@pytest.mark.parametrize("setting, said", [({"in_channels": 2}, "in_channels 1 .* or 3"),
                                           ({"img_size": 0}, "img_size must"),
                                           ({"crop": -1}, "crop at least 0")])
def test_settings_out_of_range(tmp_path, setting, said):
    with pytest.raises(ValueError, match=said):
        ImageFolder(gallery(tmp_path), **setting)


def test_many_pictures_keep_their_order(tmp_path):
    gallery(tmp_path, 25)
    for n in range(25, 200):
        shutil.copy(tmp_path / f"{n % 25:03d}.png", tmp_path / f"{n:03d}.png")
    folder = ImageFolder(tmp_path, 8)
    assert torch.equal(folder.pixels[:, 0, 0, 0].int(), torch.arange(200).int() % 25 * 10)
    assert folder.names == [f"{n:03d}.png" for n in range(200)]


# Broken files

def test_a_broken_picture_is_skipped_and_named(tmp_path):
    gallery(tmp_path, 4)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff this is no JPEG")
    paint(tmp_path / "whole.jpg", size=(200, 200))
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "001.png").write_bytes(b"")
    for _ in range(2):                                    # decoded, then from the cache
        with pytest.warns(UserWarning,
                          match=r"3 of 7 pictures .*001\.png \(the file is empty\); broken\.jpg .*left out") as said:
            folder = ImageFolder(tmp_path, img_size=8)
        assert len(folder) == 4 and "cut.jpg" in str(said[0].message)
        assert set(folder.bad) == {"001.png", "broken.jpg", "cut.jpg"}
        assert folder.names == ["000.png", "002.png", "003.png", "whole.jpg"]
        assert folder.pixels[:3, 0, 0, 0].tolist() == [0, 20, 30]


def test_more_broken_than_whole_is_an_error(tmp_path):
    paint(tmp_path / "a.png")
    for name in "bc":
        (tmp_path / f"{name}.png").write_bytes(b"nothing")
    for cache in (None, False):
        with pytest.raises(ValueError, match="2 of 3 pictures could not be read"):
            ImageFolder(tmp_path, cache=cache)


def test_of_many_failures_the_first_ten_are_named(tmp_path):
    gallery(tmp_path, 15)
    for n in range(12):
        (tmp_path / f"bad{n:02d}.png").write_bytes(b"nothing")
    with pytest.warns(UserWarning, match="12 of 27 .*bad00.*bad09") as said:
        ImageFolder(tmp_path, 8)
    assert "bad10" not in str(said[0].message)


@pytest.mark.parametrize("cpus", [1, 16])
def test_hopeless_folders_are_given_up_early(tmp_path, decoding_counted, monkeypatch, cpus):
    """Half of 1,000 files are 125 chunks of 4; when the error comes, at most 33 more have been submitted."""
    monkeypatch.setattr(I, "CHUNK_BYTES", 3 * 8 * 8 * 4)
    monkeypatch.setattr(I, "cpus", lambda: cpus)
    for n in range(1000):
        (tmp_path / f"{n:04d}.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="of 1000 pictures could not be read"):
        ImageFolder(tmp_path, 8)
    assert 500 < len(decoding_counted) <= 4 * (126 + 2 * cpus + 1)


@pytest.mark.parametrize("cpus", [1, 2, 16])
def test_what_is_queued_is_cancelled(monkeypatch, cpus):
    """The caller stops after the first result: what runs is finished, what waits is not begun."""
    monkeypatch.setattr(I, "cpus", lambda: cpus)
    begun, gate = [], threading.Event()

    class Pool(I.ThreadPoolExecutor):
        def shutdown(self, wait=True, **options):
            super().shutdown(wait=False, **options)
            gate.set()                           # only now may what runs come to its end
            super().shutdown(wait=True)

    def work(item):
        begun.append(item)
        if item:
            gate.wait(60)
        return item

    monkeypatch.setattr(I, "ThreadPoolExecutor", Pool)
    results = I.in_order(work, range(1000))
    assert next(results) == 0
    results.close()
    assert len(begun) <= cpus + 1                # of the 2 * cpus + 1 that were submitted


def test_failures_before_an_interruption_count(tmp_path, monkeypatch):
    for n in range(100):
        (tmp_path / f"{n:04d}.png").write_bytes(b"nothing")
    gallery(tmp_path / "good", 90)
    decode_chunk = ImageFolder._decode_chunk

    def stop(self, chunk, white):
        if "0064.png" in (found.name for found in chunk):
            raise KeyboardInterrupt
        return decode_chunk(self, chunk, white)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ImageFolder, "_decode_chunk", stop)
        ImageFolder(tmp_path, 8)
    with pytest.raises(ValueError, match=r"(9[6-9]|100) of 190 pictures could not be read"):
        ImageFolder(tmp_path, 8)


@pytest.mark.parametrize("harm, why", [(lambda p: p.unlink(), "No such file"),
                                       (lambda p: p.write_bytes(b"other"), "changed"),
                                       (lambda p: os.utime(p, ns=(1, 1)), "changed")])
def test_a_file_that_goes_or_changes_after_the_scan(tmp_path, monkeypatch, harm, why):
    gallery(tmp_path)
    found = scan(tmp_path)
    harm(tmp_path / "002.png")
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match=rf"1 of 6 .*002\.png \(.*{why}"):
        patch.setattr(I, "scan", lambda path: found)
        assert len(ImageFolder(tmp_path, 8)) == 5
    again = load_folder(gallery(tmp_path), 8)
    assert torch.equal(ImageFolder(tmp_path, 8).pixels, again)  # and the next time it is seen as it is then


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX users")
def test_an_unreadable_file_and_folder():
    with tempfile.TemporaryDirectory() as place:          # pytest's own folders are closed to other users
        folder, root = gallery(pathlib.Path(place)), os.geteuid() == 0
        paint(folder / "closed" / "a.png")
        for path, mode in ((folder, 0o755), (folder / "003.png", 0), (folder / "closed", 0)):
            path.chmod(mode)
        try:
            if root:
                os.seteuid(65534)                         # root may read everything: nobody may not
            with pytest.warns(UserWarning, match=r"1 of 6 .*003\.png \(Permission denied"), \
                    pytest.warns(UserWarning, match="cannot look into .*closed"):
                assert len(ImageFolder(folder, 8, cache=False)) == 5
        finally:
            if root:
                os.seteuid(0)
            (folder / "closed").chmod(0o755)


def test_a_file_too_large_to_be_a_picture(tmp_path):
    gallery(tmp_path)
    with open(tmp_path / "huge.tif", "wb") as file:
        file.truncate(1 << 30)                            # a hole: takes no room on the disk
    with pytest.warns(UserWarning, match=r"huge.tif \(1,073,741,824 bytes"):
        assert len(ImageFolder(tmp_path, 8)) == 6


# The cache

def test_decoded_once(tmp_path, decoding_counted):
    first = ImageFolder(gallery(tmp_path), 8)
    again = ImageFolder(tmp_path, 8)
    assert len(decoding_counted) == 6 and torch.equal(first.pixels, again.pixels) and first.names == again.names
    assert torch.equal(load_folder(tmp_path, 8), first.pixels)
    ImageFolder(tmp_path, 8, rebuild=True)
    assert len(decoding_counted) == 18


@pytest.mark.parametrize("change", [lambda p: paint(p / "new.png"), lambda p: (p / "003.png").unlink(),
                                    lambda p: paint(p / "003.png", "white"),
                                    lambda p: (p / "003.png").rename(p / "3.png"),
                                    lambda p: os.utime(p / "003.png", ns=(1, 1))])
def test_the_cache_follows_the_files(tmp_path, decoding_counted, change):
    cache, pictures = tmp_path / "cache", gallery(tmp_path / "pictures")
    ImageFolder(pictures, 8, cache=cache)
    change(pictures)
    decoding_counted.clear()
    folder = ImageFolder(pictures, 8, cache=cache)
    assert len(decoding_counted) == len(folder) and torch.equal(folder.pixels, load_folder(pictures, 8))
    assert len(list(cache.glob("*.u8"))) == 1             # the old one is gone


@pytest.mark.parametrize("setting", [{"img_size": 9}, {"in_channels": 1}, {"crop": 20}, {"num_images": 5}])
def test_other_settings_are_another_cache(tmp_path, decoding_counted, setting):
    settings = {"img_size": 8, **setting}
    pictures, cache = gallery(tmp_path / "pictures"), tmp_path / "cache"
    for wanted in ({"img_size": 8}, settings, {"img_size": 8}, settings):
        folder = ImageFolder(pictures, **wanted, cache=cache)
    assert len(decoding_counted) == 6 + len(folder) and len(list(cache.glob("*.u8"))) == 2


def test_folders_of_the_same_name_do_not_meet(tmp_path):
    for n, place in enumerate("ab"):
        paint(tmp_path / place / "faces" / "1.png", (n,) * 3)
    values = [ImageFolder(tmp_path / place / "faces", 8, cache=tmp_path / "cache")[0].max().item() for place in "abab"]
    assert values == [0, 1, 0, 1]


def test_a_corrupted_cache_is_built_again(tmp_path):
    pictures, cache = gallery(tmp_path / "pictures"), tmp_path / "cache"
    whole = ImageFolder(pictures, 8, cache=cache).pixels
    file, = cache.glob("*.u8")
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.warns(UserWarning, match="damaged: the pictures are decoded again"):
        assert torch.equal(ImageFolder(pictures, 8, cache=cache).pixels, whole)
    assert torch.equal(ImageFolder(pictures, 8, cache=cache).pixels, whole)


def test_a_disk_that_fills_up(tmp_path, monkeypatch):
    """Images within the budget stay in memory; more have nowhere to go."""
    pictures, cache = gallery(tmp_path / "pictures"), tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(Cache, "_append", lambda *rest: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="the disk is full.*BVAE_CACHE.*cache=False"):
            ImageFolder(pictures, 8, cache=cache, budget=6 * 192 - 1)
        with pytest.warns(UserWarning, match="the disk is full.*BVAE_CACHE.*decoded into memory"):
            kept = ImageFolder(pictures, 8, cache=cache, budget=6 * 192)
    assert not list(cache.glob("*.u8")) and not list(cache.glob("*.json"))
    assert torch.equal(kept.pixels, ImageFolder(pictures, 8, cache=cache).pixels)


def test_a_cache_folder_that_cannot_be_written(tmp_path):
    pictures = gallery(tmp_path / "pictures")
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(UserWarning, match="no cache in .*cannot be written .*decoded into memory") as said:
        assert len(ImageFolder(pictures, 8, cache=tmp_path / "file" / "cache")) == 6
    assert len(said) == 1 and "Errno" not in str(said[0].message)


def test_no_home_folder(tmp_path, monkeypatch):
    """A container with a user that no list knows, and without HOME: BVAE_CACHE decides; without it, memory is the
    cache."""
    pictures = gallery(tmp_path / "pictures")
    monkeypatch.setattr(pathlib.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert len(ImageFolder(pictures, 8)) == 6                # the tests set BVAE_CACHE
    monkeypatch.delenv("BVAE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.warns(UserWarning, match="no home folder .*BVAE_CACHE.*decoded into memory"):
        assert len(ImageFolder(pictures, 8)) == 6


def test_interrupted_and_resumed(tmp_path, monkeypatch):
    gallery(tmp_path, 20)
    monkeypatch.setattr(I, "CHUNK_BYTES", 3 * 8 * 8 * 4)          # four pictures at a time
    seen, decode = [], I.decode

    def interrupted(data, **settings):
        seen.append(data)
        if len(seen) == 13:
            raise KeyboardInterrupt
        return decode(data, **settings)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(I, "decode", interrupted)
        patch.setattr(I, "cpus", lambda: 1)
        ImageFolder(tmp_path, 8)
    again = []
    monkeypatch.setattr(I, "decode", lambda data, **settings: again.append(data) or decode(data, **settings))
    folder = ImageFolder(tmp_path, 8)
    assert len(again) == 8 and set(again) & set(seen[:12]) == set()          # 12 were kept
    assert torch.equal(folder.pixels, load_folder(tmp_path, 8))


def open_folder(path, cache, queue):
    queue.put(ImageFolder(path, 8, cache=cache, progress=False).pixels.sum().item())


def test_two_processes_start_at_once(tmp_path):
    gallery(tmp_path / "pictures", 25)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    several = [context.Process(target=open_folder, args=(tmp_path / "pictures", tmp_path / "cache", queue))
               for _ in range(2)]
    for process in several:
        process.start()
    sums = {queue.get(timeout=60) for _ in several}
    for process in several:
        process.join(60)
    assert sums == {load_folder(tmp_path / "pictures", 8).sum().item()}
    assert len(list((tmp_path / "cache").glob("*.u8"))) == 1


def test_pictures_may_be_read_only(tmp_path):
    pictures = gallery(tmp_path / "pictures")
    before = sorted(pictures.iterdir())
    ImageFolder(pictures, 8)
    assert sorted(pictures.iterdir()) == before            # nothing is written beside them


# Memory

MEMORY = """
import ctypes, sys
from bvae_helpers.data import folder as I
from bvae_helpers.data.folder import ImageFolder

I.cpus = lambda: 2                                                  # each one more holds a few images more

def anonymous():
    trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda keep: None)
    trim(0)    # what is free and only kept by the allocator does not count
    return int(next(line for line in open("/proc/self/status") if line.startswith("RssAnon")).split()[1]) * 1024

def total(folder):
    return sum(image.long().sum().item() for image in folder)

path, cache, budget = sys.argv[1:]
total(ImageFolder(path, 64, cache=cache, budget=int(budget)))      # all code is loaded by now
for _ in range(2):                                                 # while it is built, and from the cache
    before = anonymous()
    folder = ImageFolder(path, 1024, cache=cache, budget=int(budget), progress=False)
    total(folder)
    print(folder.pixels.nbytes, anonymous() - before)
    del folder
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
@pytest.mark.parametrize("budget", [0, 1 << 30])
def test_over_budget_the_images_stay_on_disk(tmp_path, budget):
    gallery(tmp_path / "pictures", 25)
    for n in range(75):
        shutil.copy(tmp_path / "pictures" / f"{n % 25:03d}.png", tmp_path / "pictures" / f"copy{n:03d}.png")
    done = subprocess.run([sys.executable, "-c", MEMORY, tmp_path / "pictures", tmp_path / "cache", str(budget)],
                          capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    for line in done.stdout.splitlines():
        images, held = map(int, line.split())
        assert images == 100 * 3 * 1024 ** 2
        assert held > 0.9 * images if budget else held < 0.2 * images


def test_in_memory_within_the_budget_only(tmp_path):
    gallery(tmp_path)
    with pytest.raises(ValueError, match="6 images take 0.00 GB, more than the budget .*cached on disk"):
        ImageFolder(tmp_path, 8, cache=False, budget=6 * 192 - 1)
    assert len(ImageFolder(tmp_path, 8, cache=False, budget=6 * 192)) == 6


# What takes it

@pytest.mark.parametrize("budget", [0, 1 << 30])
def test_fit_takes_a_folder(tmp_path, budget):
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for n in range(40):
        Image.fromarray(rng.integers(0, 256, (20, 20), dtype=np.uint8)).save(tmp_path / "pictures" / f"{n}.png")
    config = small_config(None, flip=True)
    folder = ImageFolder(tmp_path / "pictures", 16, 1, budget=budget)
    images = as_images(folder, 30)
    assert len(images) == 30 and torch.equal(images.take(torch.tensor([3])), folder.pixels[[3]])
    histories = [fit(new_model(config), data, config, progress=False, device="cpu")
                 for data in (folder, folder.pixels.clone())]
    assert curves(histories[0]) == curves(histories[1])
    loaded = load_data(config.replace(data_path=tmp_path / "pictures"))
    assert loaded.shape == (40, 1, 16, 16) and torch.equal(loaded.pixels, folder.pixels)


def test_it_is_a_dataset(tmp_path):
    folder = ImageFolder(gallery(tmp_path), 8)
    batch = next(iter(torch.utils.data.DataLoader(folder, batch_size=4)))
    assert torch.equal(batch, folder.pixels[:4])
    assert torch.equal(pickle.loads(pickle.dumps(folder)).pixels, folder.pixels)


def test_larger_pictures_train(tmp_path):
    for n in range(4):
        paint(tmp_path / f"{n}.jpg", (50 * n, 0, 0), (160, 140))
    config = Config(data_path=tmp_path, img_size=128, hidden_dims=[4, 8, 8, 8], latent_dim=4, batch_size=2, epochs=1,
                    crop=100, flip=True, save_dir=None, log_dir=None)
    model = new_model(config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    history = fit(model, load_data(config), config, progress=False, device="cpu")
    assert len(history) == 1 and math.isfinite(history["train_loss"][0]) and not same_state(before, model.state_dict())


def test_half_are_mirrored():
    x = to_batch(torch.arange(400 * 4, dtype=torch.uint8).view(400, 1, 2, 2))
    before, y = x.clone(), mirror_half(x)
    same, turned = ((y == z).flatten(1).all(1) for z in (x, x.flip(3)))
    assert (same ^ turned).all() and 150 < turned.sum() < 250 and torch.equal(x, before)


def test_flip_is_part_of_a_resumed_run(tmp_path):
    config = small_config(tmp_path, flip=True)
    pictures = torch.randint(0, 256, (40, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = fit(new_model(config), pictures, config.replace(save_dir=None), progress=False, device="cpu")
    fit(new_model(config), pictures, config, progress=False, device="cpu", stop_after=3)
    assert curves(fit(new_model(config), pictures, config, progress=False, device="cpu")) == curves(whole)
    plain = config.replace(save_dir=None, flip=False)
    assert curves(fit(new_model(plain), pictures, plain, progress=False, device="cpu")) != curves(whole)


def test_photographs(shared_file):
    path = shared_file("faces/img_align_celeba")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = ImageFolder(path, crop=74, num_images=200).pixels
    assert images.shape == (200, 3, 64, 64)
    assert (images.float().flatten(1).std(1) > 10).all()     # pictures, not blanks


# Other people's folders

def test_every_suffix_of_a_format_that_is_read(tmp_path):
    """A list of ten suffixes that PIL reads, of which eight were left out without a word."""
    kinds = {".jfif": "JPEG", ".pgm": "PPM", ".ppm": "PPM", ".tga": "TGA", ".jp2": "JPEG2000", ".mpo": "JPEG",
             ".apng": "PNG", ".pcx": "PCX", ".JPE": "JPEG"}
    if features.check("avif"):
        kinds[".avif"] = "AVIF"
    for n, (suffix, kind) in enumerate(kinds.items()):
        paint(tmp_path / f"{n}{suffix}", 100, mode="L" if suffix == ".pgm" else "RGB", format=kind)
    folder = ImageFolder(tmp_path, 8)
    assert len(folder) == len(kinds) and folder.bad == {}


def test_pictures_in_other_formats_are_named(tmp_path):
    for name in ("a.heic", "b.HEIC", "c.psd", "notes.txt"):
        (tmp_path / name).write_bytes(b"not read")
    with pytest.raises(FileNotFoundError,
                       match=r"no pictures .*not read, \.heic \(2\), \.psd \(1\): save them as JPEG or PNG"):
        ImageFolder(tmp_path, 8)
    paint(tmp_path / "a.png")
    with pytest.warns(UserWarning, match=r"left out, \.heic \(2\), \.psd \(1\): save them"):
        assert len(ImageFolder(tmp_path, 8)) == 1


@pytest.mark.parametrize("given, said", [("folder/a.png", "is one picture: .*the folder it is in"),
                                         ("folder/notes.txt", "is a file: .*a folder of pictures or a zip"),
                                         ("folder/*.png", "patterns are not expanded"), ("nowhere", "no folder at")])
def test_paths_that_are_no_folder(tmp_path, given, said):
    paint(tmp_path / "folder" / "a.png")
    (tmp_path / "folder" / "notes.txt").write_text("no picture")
    with pytest.raises(OSError, match=said):
        ImageFolder(tmp_path / given)


def test_a_web_address_is_no_folder():
    with pytest.raises(FileNotFoundError, match="'https://example.org/faces' is a web address: download it"):
        ImageFolder("https://example.org/faces")


def test_postscript_is_never_opened(tmp_path, monkeypatch):
    """PIL would run Ghostscript on it, whatever the file is called."""
    called = []
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **options: called.append(args))
    gallery(tmp_path, 3)
    for name in ("a.jpg", "b.png", "c.eps"):
        (tmp_path / name).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n0 0 moveto "
                                      b"showpage\n")
    with pytest.warns(UserWarning,
                      match=r"2 of 5 .*a\.jpg \(its contents are no picture in a format that is read .*JPEG"):
        assert len(ImageFolder(tmp_path, 8)) == 3
    assert called == []


def test_names_of_bad_pictures_cannot_write_on_the_terminal(tmp_path):
    gallery(tmp_path, 3)
    (tmp_path / "\x1b[2J\x1b]0;title\x07\u202egnp.png").write_bytes(b"broken")
    with pytest.warns(UserWarning, match="1 of 4 pictures") as said:
        ImageFolder(tmp_path, 8)
    message = str(said[0].message)
    assert message.isprintable() and r"\x1b[2J\x1b]0;title\x07\u202egnp.png" in message


def deep_gallery(folder, values, kind="PNG"):
    """Pictures of 16 bits, or of 32 as a TIFF: number k rises from 0 to ``values[k]``."""
    folder.mkdir()
    for k, high in enumerate(values):
        ramp = np.linspace(0, high, 64).round().reshape(8, 8)
        Image.fromarray(ramp.astype(np.int32 if kind == "TIFF" else np.uint16)).save(folder / f"{k:03d}.{kind.lower()}")
    return folder


@pytest.mark.parametrize("kind, values, white", [("PNG", [4000, 900, 3000], 4095), ("PNG", [60_000, 900], 65535),
                                                 ("TIFF", [255, 100], 255), ("TIFF", [1000, 1023], 1023),
                                                 ("PNG", [16_383], 16383), ("PNG", [0, 0], 65535)])
def test_pictures_of_more_than_8_bits_keep_their_contrast(tmp_path, kind, values, white):
    """One range for the whole folder: 12 bits of a scanner are not read as the lowest sixteenth of 16."""
    pictures, cache = deep_gallery(tmp_path / "pictures", values, kind), tmp_path / "cache"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = ImageFolder(pictures, 8, 1, cache=cache)
    said = [str(warning.message) for warning in caught if "more than 8 bits" in str(warning.message)]
    assert len(said) == (white < 65535)
    assert all(f"{max(values):,}" in line and f"{white:,} as white" in line for line in said)
    for image, high in zip(images.pixels, values):
        wanted = np.linspace(0, high, 64).round() * 255 / white
        assert np.abs(image.flatten().numpy() - wanted).max() <= 0.5 + 1e-6


def test_white_can_be_given(tmp_path):
    pictures = deep_gallery(tmp_path / "pictures", [1000, 1000, 3000])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ImageFolder(pictures, 8, 1, white=5000).pixels.max() == round(3000 * 255 / 5000)
    with pytest.warns(UserWarning,
                      match=r"1 of 3 .*002\.png \(its values go from 0 to 3,000, beyond 0 to 2,000: pass white="):
        assert len(ImageFolder(pictures, 8, 1, white=2000)) == 2
    with pytest.raises(ValueError, match="white must be from 1 to"):
        ImageFolder(pictures, 8, 1, white=0)


def test_masks_are_noticed(tmp_path):
    """Class numbers 0 and 1 saved as grey values look black, and train as black."""
    for n in range(3):
        paint(tmp_path / f"{n}.png", 1, mode="L")
    with pytest.warns(UserWarning, match="almost black: their largest value is 1 of 255.*mask"):
        ImageFolder(tmp_path, 8, 1)
    paint(tmp_path / "3.png", 16, mode="L")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ImageFolder(tmp_path, 8, 1)


def test_a_note_with_other_names_is_no_cache(tmp_path):
    """A changed name among the failures would move every name after it to another picture."""
    pictures, cache = gallery(tmp_path / "pictures"), tmp_path / "cache"
    (pictures / "002.png").write_bytes(b"broken")
    with pytest.warns(UserWarning, match="1 of 6"):
        names = ImageFolder(pictures, 8, cache=cache).names
    note, = cache.glob("*.json")
    note.write_text(note.read_text().replace("002.png", "009.png"))
    with pytest.warns(UserWarning, match="1 of 6"):
        again = ImageFolder(pictures, 8, cache=cache)
    assert again.names == names and len(again) == 5


@pytest.mark.parametrize("n", [1, 2])
def test_one_picture_and_two(tmp_path, n):
    assert ImageFolder(gallery(tmp_path, n), 8).shape == (n, 3, 8, 8)


def test_a_folder_called_like_drawn_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gallery(tmp_path / "faces", 2)
    with pytest.warns(UserWarning, match="'faces' means the images drawn by our own code.* write './faces'"):
        assert not isinstance(load_data(Config(data_path="faces", img_size=16)), ImageFolder)
    assert len(load_data(Config(data_path="./faces", img_size=16))) == 2


@pytest.mark.parametrize("name", ["PHOTOS.ZIP", "photos.zip"])
def test_zips_and_folders_by_any_name(tmp_path, name):
    gallery(tmp_path / "pictures.npz", 2)                  # a folder, whatever it is called
    archive = shutil.make_archive(tmp_path / "made", "zip", tmp_path / "pictures.npz")
    pathlib.Path(archive).rename(tmp_path / name)
    for path in (name, "pictures.npz"):
        assert load_data(Config(data_path=tmp_path / path, img_size=16)).names == ["000.png", "001.png"]


@pytest.mark.parametrize("name", ["dsprites.NPZ", "shapes.hdf5", "shapes.H5"])
def test_files_with_factors_by_any_suffix(tmp_path, name):
    """They reach the readers of such files, which then say what is wrong with this one."""
    with pytest.raises((FileNotFoundError, ImportError), match="no file at|h5py"):
        load_data(Config(data_path=tmp_path / name))


def test_what_is_not_there_is_named(tmp_path):
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "dsprites.npz").write_bytes(b"")
    for path, said in (("gone.zip", "no folder at"), ("https://x.org/a.zip", "is a web address"),
                       ("held", "set data_path to it: dsprites.npz")):
        path = path if "://" in path else str(tmp_path / path)
        with pytest.raises(FileNotFoundError, match=said):
            load_data(Config(data_path=path))
