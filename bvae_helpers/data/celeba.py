"""CelebA (Liu et al. 2015, "Deep Learning Face Attributes in the Wild"): 202,599 faces, 178 x 218, 40 attributes.

``load_celeba`` takes it in any of its usual layouts: the folder of the classic tutorial, a zip, torchvision's folders.
"""

import os
import pathlib
import warnings
from collections import Counter

import torch
import torchvision

from .files import first_line, printable, say
from .folder import ImageFolder, has_pictures
from .lists import key_of, read_list
from .zips import unpack

__all__ = ["CelebA", "load_celeba"]

FOLDER = "img_align_celeba"
PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
DRIVE = pathlib.Path("/content/drive/MyDrive")          # where Colab mounts Google Drive


class CelebA(ImageFolder):
    """An ``ImageFolder`` with the attributes and the official split of its pictures, from the lists beside it.

    ``attributes`` is bool (N, 40), in columns named by ``attribute_names``: True for 1, False for -1 or 0.
    ``partition`` is long (N,): 0 train, 1 validation, 2 test. Each is None, and the names (), without a list. Lists are
    matched by the pictures' names without suffix. ``described`` is bool (N,): False for pictures without a line in the
    list of attributes, which a warning counts; their attributes are False, their partition -1.
    ``crop`` is 148 by default, as usual for CelebA: the face fills the square. Raises ValueError for a damaged list,
    besides the errors of ``ImageFolder``.
    """

    def __init__(self, path: str | os.PathLike, img_size: int = 64, in_channels: int = 3, crop: int | None = 148,
                 num_images: int | None = None, **options) -> None:
        super().__init__(path, img_size, in_channels, crop, num_images, **options)
        self.attribute_names, values, self.described = self._listed("list_attr_celeba", {-1, 0, 1})
        self.attributes = None if values is None else values > 0
        _, values, _ = self._listed("list_eval_partition", {0, 1, 2})
        if values is not None and values.shape[1] != 1:
            raise ValueError(f"list_eval_partition has {values.shape[1]} columns beside the pictures, expected 1")
        self.partition = None if values is None else values[:, 0]

    def _listed(self, name: str, allowed: set[int]) -> tuple[tuple[str, ...], torch.Tensor | None, torch.Tensor]:
        """A list's column names, its values (N, columns) for the pictures, and which of them (N,) it describes.

        The values are None if there is no such list, or if it describes none of the pictures.
        """
        file = self._find_list(name)
        if file is None:
            return (), None, torch.zeros(len(self.names), dtype=torch.bool)
        columns, rows = read_list(file)
        lines = self._lines(rows)
        described = torch.tensor([line is not None for line in lines], dtype=torch.bool)
        if not described.all():
            self._warn_of_missing(file, described)
        if not described.any():
            return (), None, described
        nothing = [-1] * len(next(iter(rows.values())))
        values = torch.tensor([nothing if line is None else rows[line] for line in lines])
        unknown = set(values[described].unique().tolist()) - allowed
        if unknown:
            raise ValueError(f"{str(file)!r} holds the value {unknown.pop()}: its values must be in {sorted(allowed)}")
        return columns, values, described

    def _find_list(self, name: str) -> pathlib.Path | None:
        """The list's file: beside the pictures, or one or two folders above them; alone, or in Anno or Eval."""
        folder = self.path.resolve()
        for base in (folder, *list(folder.parents)[:2]):
            for inside in ("", "Anno", "Eval"):
                for suffix in (".txt", ".csv"):
                    file = base / inside / (name + suffix)
                    if file.is_file():
                        return file
        return None

    def _lines(self, rows: dict[str, list[int]]) -> list[str | None]:
        """The key in ``rows`` of each picture: its path, or its name if no other has that; None without a line."""
        paths = [key_of(name) for name in self.names]
        count = Counter(os.path.basename(path) for path in paths)
        lines = []
        for path in paths:
            alone = os.path.basename(path)
            if path in rows:
                lines.append(path)
            else:
                lines.append(alone if alone in rows and count[alone] == 1 else None)
        return lines

    def _warn_of_missing(self, file: pathlib.Path, described: torch.Tensor) -> None:
        """Warn that a list does not describe all pictures."""
        missing = [name for name, found in zip(self.names, described.tolist()) if not found]
        what = "the list is left out" if len(missing) == len(self.names) else "`described` is False for them"
        warnings.warn(f"{len(missing)} of {len(self.names)} pictures have no line of their own in {str(file)!r} "
                      f"(the first: {printable(missing[0])}): {what}", stacklevel=4)


def load_celeba(path: str | os.PathLike = f"./CelebA/{FOLDER}", img_size: int = 64, in_channels: int = 3,
                crop: int | None = 148, num_images: int | None = None, *, download: bool = False, **options):
    """Load CelebA from the first place that has it, else drawn faces; each step prints what it found.

    The places: the folder ``path`` (or torchvision's or the tutorial's layout in it), a zip of it beside it or on a
    mounted Drive, with ``download=True`` torchvision's download. The last resort is ``CartoonFaces``, drawn by our own
    code. Returns ``CelebA`` or ``CartoonFaces``; ``options`` go to ``ImageFolder``.
    """
    path = pathlib.Path(path).expanduser()
    folder = _find_folder(path)
    say(f"photographs: {printable(folder)}" if folder else f"no photographs in {str(path)!r}")
    if folder is None:
        folder = _from_zip(path)
    if folder is None and download:
        folder = _downloaded(path)
    elif folder is None:
        say("no download: download=True would fetch 1.4 GB from Google Drive")
    if folder is not None:
        return CelebA(folder, img_size, in_channels, crop, num_images, **options)
    from .faces import CartoonFaces  # only now: it is the last resort
    say("drawn faces instead, with known causes: they need no file")
    return CartoonFaces(img_size=img_size)


def _find_folder(path: pathlib.Path) -> pathlib.Path | None:
    """The folder of CelebA's pictures: in torchvision's root, in the tutorial's, or ``path`` itself."""
    places = (path / "celeba" / FOLDER, path / FOLDER, path, path.parent / "celeba" / FOLDER)
    return next((place for place in places if place.is_dir() and has_pictures(place)), None)


def _from_zip(path: pathlib.Path) -> pathlib.Path | None:
    """The unpacked pictures of a zip at ``path``, beside it, in it or on a mounted Drive; None without one."""
    if path.suffix.lower() == ".zip":
        places = [path]
    else:
        places = [folder / f"{FOLDER}.zip" for folder in (path.parent, path, path / "celeba", DRIVE, DRIVE / "CelebA")]
    for archive in places:
        if archive.is_file():
            say(f"a zip: {printable(archive)}, {archive.stat().st_size / 1e9:.2f} GB")
            return unpack(archive)
    say(f"no zip at {', '.join(printable(place) for place in places)}")
    return None


def _downloaded(path: pathlib.Path) -> pathlib.Path | None:
    """Let torchvision download into the folder above ``path`` -> the folder of pictures; None if it fails."""
    root = path.parent if path.name == FOLDER else path
    say(f"downloading CelebA (1.4 GB) from Google Drive into {printable(root)}")
    try:
        torchvision.datasets.CelebA(str(root), split="all", download=True)
    except Exception as error:                # of torchvision, of gdown, of the network
        say(f"the download failed ({printable(first_line(error))}).\n"
            "Google Drive allows each file a number of downloads a day, for everybody together, and CelebA's are often "
            f"used up. Try again tomorrow, or fetch {FOLDER}.zip by hand from {PAGE} and put it into "
            f"{printable(root)}.")
        return None
    return _find_folder(root)
