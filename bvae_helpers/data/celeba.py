"""CelebA (Liu et al. 2015, "Deep Learning Face Attributes in the Wild"): 202,599 faces, 178 x 218, 40 attributes.

``load_celeba`` takes it as it lies there: the folder of the classic tutorial, a zip, torchvision's layout.
"""

import hashlib
import os
import pathlib
import shutil
import warnings
import zipfile
import zlib

import torch
import torchvision

from .cache import cache_folder
from .files import first_line, locked
from .folder import SUFFIXES, ImageFolder

FOLDER = "img_align_celeba"
PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
DRIVE = pathlib.Path("/content/drive/MyDrive")          # where Colab mounts Google Drive


class CelebA(ImageFolder):
    """An ``ImageFolder`` with what CelebA's lists say of its pictures.

    ``attributes``: bool (N, 40), their names in ``attribute_names``; ``partition``: long (N,), the
    official 0 train, 1 validation, 2 test. None, and (), where there is no list beside the folder.
    ``crop`` is 148 by default, as usual: the face fills the square.
    """

    def __init__(self, path, img_size=64, in_channels=3, crop=148, num_images=None, **options):
        super().__init__(path, img_size, in_channels, crop, num_images, **options)
        self.attribute_names, values = self.listed("list_attr_celeba")
        self.attributes = None if values is None else values > 0              # in the files -1 (or 0) and 1
        _, values = self.listed("list_eval_partition")
        self.partition = None if values is None else values[:, 0]

    def listed(self, name):
        """A list's column names, and its values for the pictures (N, columns); (), None where it is not there."""
        folder = self.path.resolve()
        places = [base / inside for base in (folder, *list(folder.parents)[:2]) for inside in ("", "Anno", "Eval")]
        file = next((p / (name + end) for p in places for end in (".txt", ".csv") if (p / (name + end)).is_file()), None)
        if file is None:
            return (), None
        header, rows = read_list(file)
        keys = [os.path.basename(n) for n in self.names]
        lacking = [key for key in keys if key not in rows]
        if lacking:
            warnings.warn(f"{len(lacking)} of {len(keys)} pictures have no line in {str(file)!r} (the first: {lacking[0]}): "
                          "the list is left out", stacklevel=3)
            return (), None
        return header, torch.tensor([rows[key] for key in keys])


def read_list(file):
    """One of CelebA's lists, as .txt or as Kaggle's .csv -> (column names, {picture: [whole numbers]}).

    Raises ValueError, with the line, for one that is not as long as the others, or holds no number.
    """
    header, rows, columns = (), {}, None
    for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        words = line.replace(",", " ").split()
        if words and os.path.splitext(words[0])[1].lower() in SUFFIXES:
            columns = columns or len(words)
            try:
                rows[words[0]] = [int(word) for word in words[1:]]
            except ValueError:
                columns = 0
            if len(words) != columns:
                raise ValueError(f"line {n} of {str(file)!r} is damaged: {line[:80]!r}")
        elif len(words) > 1:
            header = tuple(word for word in words if word != "image_id")
    return header, rows


def load_celeba(path=f"./CelebA/{FOLDER}", img_size=64, in_channels=3, crop=148, num_images=None, *, download=False, **options):
    """CelebA from wherever it can be had, else drawn faces; says at each step what it found.

    In this order: the folder ``path`` (or torchvision's or the tutorial's layout in it), a zip of it
    beside it or on a mounted Drive, with ``download=True`` torchvision's download, and last
    ``CartoonFaces``, drawn by our own code -> ``CelebA`` or ``CartoonFaces``. ``options`` go to ``ImageFolder``.
    """
    path = pathlib.Path(path).expanduser()
    folder = find_folder(path)
    print(f"photographs: {folder}" if folder else f"no photographs in {str(path)!r}")
    if folder is None:
        folder = from_zip(path)
    if folder is None and download:
        folder = downloaded(path)
    elif folder is None:
        print("no download: download=True would fetch 1.4 GB from Google Drive")
    if folder is not None:
        return CelebA(folder, img_size, in_channels, crop, num_images, **options)
    from .faces import CartoonFaces  # only now: it is the last resort
    print("drawn faces instead, with known causes: they need no file")
    return CartoonFaces(img_size=img_size)


def find_folder(path):
    """The folder with CelebA's pictures: in torchvision's root, in the tutorial's, or the folder itself; else None."""
    places = (path / "celeba" / FOLDER, path / FOLDER, path, path.parent / "celeba" / FOLDER)
    return next((p for p in places if p.is_dir() and any(f.suffix.lower() in SUFFIXES for f in p.rglob("*"))), None)


def from_zip(path):
    """The pictures of a zip at ``path``, beside it, in it or on a mounted Drive, unpacked; None without one."""
    places = [path] if path.suffix == ".zip" else [
        folder / f"{FOLDER}.zip" for folder in (path.parent, path, path / "celeba", DRIVE, DRIVE / "CelebA")]
    for archive in places:
        if archive.is_file():
            print(f"a zip: {archive}, {archive.stat().st_size / 1e9:.2f} GB")
            return unpack(archive)
    print(f"no zip at {', '.join(map(str, places))}")
    return None


def unpack(archive):
    """The pictures and lists of a zip, unpacked once into the cache folder -> the folder they are in.

    Raises ValueError for a file that is no whole zip, or whose members would land elsewhere (zip-slip);
    FileNotFoundError for one without pictures; OSError when the disk has no room.
    """
    archive = pathlib.Path(archive).expanduser().resolve()
    info = archive.stat()
    key = hashlib.sha256(f"{archive} {info.st_size} {info.st_mtime_ns}".encode("utf-8", "surrogateescape")).hexdigest()[:12]
    target = cache_folder() / f"{archive.stem}-{key}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(open(f"{target}.lock", "w"), "another process is unpacking it: waiting"):
        if not target.is_dir():
            extract(archive, target)
    return target


def extract(archive, target):
    """Unpack a zip into a folder that is there in whole or not at all."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(archive) as file:
            members = [m for m in file.infolist() if os.path.splitext(m.filename)[1].lower() in SUFFIXES | {".txt", ".csv"}]
            check_members(members, archive)
            partial.mkdir()
            if sum(m.file_size for m in members) > shutil.disk_usage(partial).free:
                raise OSError(f"no room to unpack {str(archive)!r}: {sum(m.file_size for m in members) / 1e9:.2f} GB, into "
                              f"{str(target.parent)!r}; set BVAE_CACHE to a folder with room")
            file.extractall(partial, members)
        os.rename(partial, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:      # RuntimeError: a password, a method unknown
        raise ValueError(f"{str(archive)!r} cannot be unpacked ({error}): was it uploaded or downloaded in full?") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_members(members, archive):
    """Raise ValueError for a member that would be written outside the folder, FileNotFoundError where none is a picture."""
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if ".." in parts or parts[0] == "" or ":" in parts[0]:
            raise ValueError(f"{str(archive)!r} is not to be trusted: its member {member.filename!r} would be written elsewhere")
    if not any(os.path.splitext(m.filename)[1].lower() in SUFFIXES for m in members):
        raise FileNotFoundError(f"no pictures in {str(archive)!r}")


def downloaded(path):
    """torchvision's download into the folder above ``path`` -> the folder of pictures; None, with the reason, if it fails."""
    root = path.parent if path.name == FOLDER else path
    print(f"downloading CelebA (1.4 GB) from Google Drive into {root}")
    try:
        torchvision.datasets.CelebA(str(root), split="all", download=True)
    except Exception as error:                # of its own, of gdown, of the network
        print(f"the download failed ({first_line(error)}).\n"
              "Google Drive allows each file only so many downloads a day, for everybody together, and CelebA's are often used "
              f"up. Try again tomorrow, or fetch {FOLDER}.zip by hand from {PAGE} and put it into {root}.")
        return None
    return find_folder(root)
