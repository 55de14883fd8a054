"""CelebA, wherever it lies: folder, zip, torchvision's layout, download; else drawn faces. And its lists."""

import io
import pathlib
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from bvae_helpers.config import Config
from bvae_helpers.data import as_images, celeba, files, load_data, zips
from bvae_helpers.data.celeba import CelebA, load_celeba
from bvae_helpers.data.lists import read_list
from bvae_helpers.data.zips import unpack

NAMES = [f"{n:06d}.jpg" for n in range(1, 7)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(celeba, "DRIVE", tmp_path / "drive")


def photographs(folder, names=NAMES):
    """Stand-ins: number n is all 20 n."""
    folder.mkdir(parents=True)
    for name in names:
        Image.new("RGB", (178, 218), (20 * int(name[:6]),) * 3).save(folder / name, quality=100)
    return folder


ATTRIBUTES = "6\nSmiling Young \n" + "".join(f"{name} {'-1' if n % 2 else ' 1'}  1\n" for n, name in enumerate(NAMES))
PARTITION = "".join(f"{name} {n // 2}\n" for n, name in enumerate(NAMES))


def lists(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "list_attr_celeba.txt").write_text(ATTRIBUTES)
    (folder / "list_eval_partition.txt").write_text(PARTITION)


def zipped(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def members(tmp_path, inside="img_align_celeba/"):
    """What a zip of the photographs holds."""
    folder = photographs(tmp_path / "originals")
    return {inside + name: (folder / name).read_bytes() for name in NAMES}


@pytest.mark.parametrize("place, given", [("CelebA/img_align_celeba", "CelebA/img_align_celeba"),
                                          ("any/name", "any/name"),
                                          ("CelebA/img_align_celeba", "CelebA"),
                                          ("data/celeba/img_align_celeba", "data"),
                                          ("data/celeba/img_align_celeba", "data/img_align_celeba")])
def test_the_folder_in_every_layout(tmp_path, place, given, capsys):
    photographs(tmp_path / place)
    faces = load_celeba(tmp_path / given, 16)
    assert faces.path == tmp_path / place and faces.names == NAMES and faces.shape == (6, 3, 16, 16)
    assert faces.settings["crop"] == 148 and faces.attributes is None
    assert faces.partition is None and faces.attribute_names == ()
    assert capsys.readouterr().out == f"photographs: {tmp_path / place}\n"


@pytest.mark.parametrize("beside", [".", "..", "../Anno", "../.."])
def test_attributes_and_the_official_partition(tmp_path, beside):
    folder = photographs(tmp_path / "CelebA" / "Img" / "img_align_celeba")
    lists(folder / beside)
    faces = CelebA(folder, 8)
    if beside == "../Anno":                                  # the official layout has the partition elsewhere
        (folder / "../Anno/list_eval_partition.txt").unlink()
        (folder / "../Eval").mkdir()
        (folder / "../Eval/list_eval_partition.txt").write_text(PARTITION)
        faces = CelebA(folder, 8)
    assert faces.attribute_names == ("Smiling", "Young") and faces.attributes.dtype == torch.bool
    assert faces.attributes[:, 0].tolist() == [True, False] * 3 and faces.attributes[:, 1].all()
    assert faces.partition.tolist() == [0, 0, 1, 1, 2, 2]
    assert len(as_images(faces)) == 6


def test_kaggles_lists_are_csv(tmp_path):
    folder = photographs(tmp_path / "img_align_celeba" / "img_align_celeba")
    rows = [f"{name},{'-1' if n % 2 else '1'},1" for n, name in enumerate(NAMES)]
    (tmp_path / "list_attr_celeba.csv").write_text("\n".join(["image_id,Smiling,Young", *rows]))
    (tmp_path / "list_eval_partition.csv").write_text("image_id,partition\n" + PARTITION.replace(" ", ","))
    faces = load_celeba(tmp_path / "img_align_celeba", 8)
    assert faces.path == folder and faces.attribute_names == ("Smiling", "Young")
    assert faces.attributes[:, 0].tolist() == [True, False] * 3 and faces.partition.tolist() == [0, 0, 1, 1, 2, 2]


def test_attributes_stay_with_their_pictures(tmp_path):
    folder = photographs(tmp_path / "img_align_celeba")
    lists(tmp_path)
    (folder / NAMES[1]).write_bytes(b"broken")
    with pytest.warns(UserWarning, match=f"1 of 6 .*{NAMES[1]}"):
        faces = CelebA(folder, 8)
    assert faces.names == [NAMES[0], *NAMES[2:]] and faces.attributes[:, 0].tolist() == [True, True, False, True, False]
    assert CelebA(folder, 8, num_images=1).attributes.tolist() == [[True, True]]


def test_pictures_without_a_line(tmp_path):
    folder = photographs(tmp_path / "img_align_celeba")
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join(ATTRIBUTES.splitlines()[:-2]))
    with pytest.warns(UserWarning, match="2 of 6 pictures have no line of their own in .*list_attr_celeba.txt.* "
                                         f"{NAMES[4]}"):
        faces = CelebA(folder, 8)
    assert faces.described.tolist() == [True] * 4 + [False] * 2
    assert faces.attributes[:4, 0].tolist() == [True, False] * 2 and not faces.attributes[4:].any()
    (tmp_path / "list_attr_celeba.txt").write_text(ATTRIBUTES.replace("0000", "9999"))
    with pytest.warns(UserWarning, match=r"6 of 6 pictures have no line .*the list is left out"):
        assert CelebA(folder, 8).attributes is None


@pytest.mark.parametrize("line", ["000009.jpg 1", "000009.jpg 1 1 1", "000009.jpg yes 1"])
def test_damaged_lists(tmp_path, line):
    (tmp_path / "list.txt").write_text(ATTRIBUTES + line)
    with pytest.raises(ValueError, match=f"line 9 of .*list.txt' is damaged: '{line}'"):
        read_list(tmp_path / "list.txt")


# Zips

@pytest.mark.parametrize("place, given", [("CelebA/img_align_celeba.zip", "CelebA/img_align_celeba"),
                                          ("CelebA/img_align_celeba.zip", "CelebA"), ("x/other.zip", "x/other.zip"),
                                          ("drive/img_align_celeba.zip", "CelebA/img_align_celeba")])
def test_a_zip(tmp_path, place, given, capsys):
    zipped(tmp_path / place, {**members(tmp_path), "list_attr_celeba.txt": ATTRIBUTES, "readme.exe": b"not unpacked"})
    before = sorted((tmp_path / place).parent.iterdir())
    faces = load_celeba(tmp_path / given, 8)
    assert [pathlib.Path(n).name for n in faces.names] == NAMES and faces.attributes[:, 0].tolist() == [True, False] * 3
    said = capsys.readouterr().out
    assert "no photographs in" in said and f"a zip: {tmp_path / place}, 0.00 GB" in said
    assert faces.path.is_relative_to(tmp_path / "cache") and not list(faces.path.rglob("*.exe"))
    assert sorted((tmp_path / place).parent.iterdir()) == before         # nothing is written beside it
    assert load_celeba(tmp_path / given, 8).path == faces.path           # unpacked once


def test_processes_that_start_at_once_unpack_once(tmp_path, monkeypatch):
    archive, extract, calls = zipped(tmp_path / "pictures.zip", members(tmp_path, "")), zips._extract, []
    waiting = threading.Semaphore(0)
    monkeypatch.setattr(files, "say", lambda text: waiting.release())

    def when_all_wait(*args):
        calls.append(args)
        assert all(waiting.acquire(timeout=120) for _ in range(3))
        extract(*args)

    monkeypatch.setattr(zips, "_extract", when_all_wait)
    with ThreadPoolExecutor(4) as pool:             # each opens the lock for itself, as processes do
        folders = list(pool.map(unpack, [archive] * 4))
    assert len(calls) == 1 and len(set(folders)) == 1 and len(list(folders[0].glob("*.jpg"))) == 6


def test_a_zip_through_the_config(tmp_path):
    archive = zipped(tmp_path / "pictures.zip", members(tmp_path, ""))
    data = load_data(Config(data_path=archive, img_size=8))
    assert data.names == NAMES and data.shape == (6, 3, 8, 8)


@pytest.mark.parametrize("name", ["../evil.jpg", "/evil.jpg", "a/../../evil.jpg", "..\\evil.jpg", "C:\\evil.jpg",
                                  "C:/evil.txt"])
def test_zip_slip(tmp_path, name):
    archive = zipped(tmp_path / "x" / "slip.zip", {**members(tmp_path, ""), name: b"evil"})
    with pytest.raises(ValueError, match="not to be trusted: its member .*evil.* written elsewhere"):
        unpack(archive)
    assert not list(tmp_path.rglob("*evil*")) and not list((tmp_path / "cache").rglob("*.jpg"))


def test_links_in_a_zip_lead_nowhere(tmp_path):
    link = zipfile.ZipInfo("link.jpg")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    archive = zipped(tmp_path / "links.zip", members(tmp_path, ""))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "/etc/passwd")
    assert not any(path.is_symlink() for path in unpack(archive).rglob("*"))


@pytest.mark.parametrize("cut", [1, 100, 2000])
def test_half_a_zip(tmp_path, cut):
    archive = zipped(tmp_path / "half.zip", members(tmp_path))
    archive.write_bytes(archive.read_bytes()[:-cut])
    with pytest.raises(ValueError, match="half.zip' cannot be unpacked .*in full"):
        unpack(archive)
    assert {p.suffix for p in (tmp_path / "cache").glob("*")} <= {".lock"}


def test_a_zip_with_a_flipped_bit(tmp_path):
    archive = zipped(tmp_path / "flipped.zip", members(tmp_path))
    data = bytearray(archive.read_bytes())
    data[200] ^= 1
    archive.write_bytes(data)
    with pytest.raises(ValueError, match="cannot be unpacked: its member 'img_align_celeba/00000..jpg' .*CRC"):
        unpack(archive)
    assert {p.suffix for p in (tmp_path / "cache").glob("*")} <= {".lock"}


def test_other_zips(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no pictures in .*empty.zip"):
        unpack(zipped(tmp_path / "empty.zip", {"a.txt": b""}))
    with pytest.raises(FileNotFoundError, match="nowhere.zip"):
        unpack(tmp_path / "nowhere.zip")
    archive = zipped(tmp_path / "large.zip", members(tmp_path))
    monkeypatch.setattr(zips.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(OSError, match="no room to unpack .*large.zip.*BVAE_CACHE"):
        unpack(archive)
    assert {p.suffix for p in (tmp_path / "cache").glob("*")} <= {".lock"}


# The last resorts

def test_nothing_there_gives_drawn_faces(tmp_path, capsys):
    faces = load_celeba(tmp_path / "CelebA" / "img_align_celeba", 32)
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in said] == [["no", "photographs"], ["no", "zip"], ["no", "download:"],
                                                   ["drawn", "faces"]]
    assert faces.images(faces.sample_factors(2, torch.Generator().manual_seed(0))).shape == (2, 3, 32, 32)
    assert len(faces.factor_names) >= 8 and not (tmp_path / "CelebA").exists()


def test_an_empty_folder_is_passed_over(tmp_path, capsys):
    (tmp_path / "CelebA" / "img_align_celeba").mkdir(parents=True)
    assert hasattr(load_celeba(tmp_path / "CelebA" / "img_align_celeba"), "sample_factors")
    assert "no photographs in" in capsys.readouterr().out


@pytest.mark.parametrize("error, said", [
    (RuntimeError("The daily quota of the file img_align_celeba.zip is exceeded.\nMore."), "daily quota"),
    (ModuleNotFoundError("No module named 'gdown'"), "gdown"), (OSError(), "OSError")])
def test_a_download_that_fails_is_explained(tmp_path, monkeypatch, capsys, error, said):
    asked = []

    def fail(root, **options):
        asked.append((root, options))
        raise error

    monkeypatch.setattr(celeba.torchvision.datasets, "CelebA", fail)
    faces = load_celeba(tmp_path / "CelebA" / "img_align_celeba", download=True)
    out = capsys.readouterr().out
    assert asked == [(str(tmp_path / "CelebA"), {"split": "all", "download": True})]
    assert hasattr(faces, "sample_factors")
    assert f"{said}" in out and "More." not in out and "Try again tomorrow" in out and celeba.PAGE in out


def test_a_download_that_works(tmp_path, monkeypatch):
    def fetch(root, **options):
        photographs(pathlib.Path(root) / "celeba" / "img_align_celeba")
        lists(pathlib.Path(root) / "celeba")

    monkeypatch.setattr(celeba.torchvision.datasets, "CelebA", fetch)
    faces = load_celeba(tmp_path / "CelebA" / "img_align_celeba", 8, download=True)
    assert faces.names == NAMES and faces.partition.tolist() == [0, 0, 1, 1, 2, 2]
    again = load_celeba(tmp_path / "CelebA" / "img_align_celeba", 8)          # found from the same path
    assert again.path == faces.path


def test_real_lists(shared_file):
    faces = CelebA(shared_file("faces/img_align_celeba"), 16, crop=74, num_images=500)
    assert faces.attributes.shape == (500, 40) and faces.partition.tolist() == [0] * 500
    male, beard = (faces.attributes[:, faces.attribute_names.index(name)] for name in ("Male", "No_Beard"))
    assert (~beard & ~male).float().mean() < 0.02 < (~beard & male).float().mean()
    blond, black = (faces.pixels[faces.attributes[:, faces.attribute_names.index(name)]].float()
                    for name in ("Blond_Hair", "Black_Hair"))
    assert blond[:, :, :3].mean() > black[:, :, :3].mean()                    # the lines belong to the pictures


def test_the_lists_are_read_as_torchvision_reads_them(shared_file):
    file = shared_file("faces/list_attr_celeba.txt")
    header, rows = read_list(file)
    words = [line.split() for line in file.read_text().splitlines()]
    assert header == tuple(words[1]) and len(rows) == int(words[0][0])
    assert np.array_equal(np.array(list(rows.values())), np.array([[int(w) for w in line[1:]] for line in words[2:]]))


# Zips of strangers

@pytest.mark.parametrize("name", ["PHOTOS.ZIP", "Photos.Zip"])
def test_a_zip_in_capitals(tmp_path, name):
    zipped(tmp_path / name, members(tmp_path, ""))
    assert load_celeba(tmp_path / name, 8).names == NAMES


def test_links_and_hidden_files_stay_in_the_zip(tmp_path):
    link = zipfile.ZipInfo("link.jpg")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    archive = zipped(tmp_path / "a.zip",
                     {**members(tmp_path, ""), "__MACOSX/._000001.jpg": b"mac", ".hidden/a.jpg": b"hidden"})
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "/etc/passwd")
    assert sorted(path.name for path in unpack(archive).rglob("*")) == NAMES


def test_a_zip_that_unpacks_to_too_much(tmp_path, monkeypatch):
    """A few bytes that would fill the disk are refused by what the zip itself says, before anything is written."""
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", bytes(2_000_000))
    with monkeypatch.context() as patch, pytest.raises(ValueError,
                                                       match="would unpack to 0.00 GB, more than .*by hand"):
        patch.setattr(zips, "FREE_BYTES", 1_000_000)
        unpack(archive)
    with monkeypatch.context() as patch, pytest.raises(ValueError, match="has 6 members, more than the limit of 5"):
        patch.setattr(zips, "MAX_MEMBERS", 5)
        unpack(zipped(tmp_path / "many.zip", members(tmp_path)))
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".lock"}


def test_a_zip_of_zips(tmp_path):
    with pytest.raises(FileNotFoundError, match="no pictures in .*outer.zip', but 2 zips: unpack it by hand"):
        unpack(zipped(tmp_path / "outer.zip", {"a.zip": b"PK", "b/c.ZIP": b"PK", "notes.txt": b""}))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_named(tmp_path, method):
    archive = tmp_path / "pictures.zip"
    with zipfile.ZipFile(archive, "w", method) as file:
        file.writestr("deep/a.png", bytes(range(256)) * 40)
        start = file.infolist()[0].header_offset + 30 + len("deep/a.png")
    data = bytearray(archive.read_bytes())
    data[start + 4:start + 24] = b"\xff" * 20
    archive.write_bytes(data)
    with pytest.raises(ValueError, match="pictures.zip' cannot be unpacked: its member 'deep/a.png' is damaged"):
        unpack(archive)


@pytest.mark.parametrize("names", [["a.png", "a.png/b.png"], ["n" * 300 + ".png", "a.png"]])
def test_names_that_no_file_system_takes(tmp_path, names):
    with pytest.raises(ValueError, match="its member '.*' is damaged or cannot be written"):
        unpack(zipped(tmp_path / "names.zip", dict.fromkeys(names, b"picture")))


def test_two_members_of_one_name(tmp_path):
    archive = zipped(tmp_path / "twice.zip", {"a.png": b"one"})
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(archive, "a") as file:
        file.writestr("a.png", b"two")
    with pytest.raises(ValueError, match="two files of one name"):
        unpack(archive)


def test_what_a_killed_process_left_is_swept(tmp_path):
    archive = zipped(tmp_path / "pictures.zip", members(tmp_path, ""))
    folder = unpack(archive)
    folder.rename(f"{folder}.part")                       # as if it had been killed before the last step
    assert unpack(archive) == folder and len(list(folder.iterdir())) == 6
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".lock", ""}


def test_the_disk_fills_up_while_a_zip_is_unpacked(tmp_path, monkeypatch):
    archive = zipped(tmp_path / "pictures.zip", members(tmp_path, ""))
    monkeypatch.setattr(zipfile.ZipFile, "extract",
                        lambda *args: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="the disk is full: .*pictures.zip.*BVAE_CACHE"):
        unpack(archive)
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".lock"}


def test_a_cache_folder_that_takes_no_zip(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match="cannot be unpacked into .*: set the variable BVAE_CACHE"):
        unpack(zipped(tmp_path / "pictures.zip", members(tmp_path, "")))


def test_what_is_found_is_said_on_terminals_of_ascii(tmp_path, monkeypatch):
    photographs(tmp_path / "Zoë\x1b[2J" / "img_align_celeba")
    terminal = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    load_celeba(tmp_path / "Zoë\x1b[2J", 8)
    line = terminal.buffer.getvalue()
    assert line.startswith(b"photographs: ") and rb"Zo\xeb\x1b[2J" in line
