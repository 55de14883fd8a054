"""The field's data sets with known factors, read from the files that their authors publish.

All are ``FactorData``: what takes ``Sprites()`` takes each of them. The layouts are those that the loaders of
disentanglement_lib document (Locatello et al. 2019). Files are checked when they are opened; pickles in them are never read.
"""

import os
import pathlib
import zipfile
import zlib

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .factors import FactorData, check_factors, index_of
from .files import first_line, say
from .sprites import FACTOR_NAMES, FACTOR_SIZES

__all__ = ["Cars3D", "DSprites", "FactorFile", "MPI3D", "Shapes3D", "SmallNORB"]


class FactorFile(FactorData):
    """A lattice of images that a file holds; a subclass has ``read``. ``title`` and ``where``: of the file, and where to get it.

    Raises FileNotFoundError, naming ``where``, if there is nothing at ``path``.
    """

    title = where = ""

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path).expanduser()
        if not self.path.exists():
            raise FileNotFoundError(f"no file at {str(self.path)!r}. Get it from {self.where} and pass its path, "
                                    "or use Sprites(), which needs no file")

    def images(self, factors: Tensor) -> Tensor:
        """Integer classes (N, K) -> uint8 (N, C, 64, 64), 0 to 255."""
        factors = check_factors(factors, self.factor_sizes, self.factor_names)
        return self.read(index_of(factors, self.factor_sizes).numpy())

    def read(self, index: np.ndarray) -> Tensor:
        """Images at positions (N,) of the lattice -> uint8 (N, C, 64, 64)."""
        raise NotImplementedError

    def refuse(self, reason: str) -> ValueError:
        """The error for a file that is not what it should be."""
        return ValueError(f"{str(self.path)!r} is not {self.title}, or not all of it: {reason}. Get it from {self.where}")


def archive(path: pathlib.Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Those of the arrays ``names`` that an .npz holds. Raises ValueError for a broken one; pickles are not read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names if name in file}
    except (EOFError, ValueError, OSError, MemoryError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise ValueError(first_line(error)) from error


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Pixels of black-and-white images, (N, 64, 64) of 0/1 or 0/255 in any type -> uint8, 0 or 255.

    Raises ValueError for other shapes or other values.
    """
    if pixels.ndim == 4 and 1 in (pixels.shape[1], pixels.shape[3]):
        pixels = pixels.squeeze(1 if pixels.shape[1] == 1 else 3)
    if pixels.ndim != 3 or pixels.shape[1:] != (64, 64) or len(pixels) == 0:
        raise ValueError(f"images must have shape (N, 64, 64), got {pixels.shape}")
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"images must be numbers, got {pixels.dtype}")
    white = pixels.max()
    parts = np.array_split(pixels, 1 + len(pixels) // 4096)
    if white not in (1, 255) or not all(np.isin(part, (0, white)).all() for part in parts):
        raise ValueError(f"pixels must be 0 or 1, or 0 or 255, got values from {pixels.min()} to {white}")
    if white == 255 and pixels.dtype == np.uint8:
        return pixels
    return (pixels != 0) * np.uint8(255)


class DSprites(FactorFile):
    """dSprites (Matthey et al. 2017), an .npz file: 737,280 black-and-white images of five factors.

    Any edition: pixels of 0 and 1 or of 0 and 255, saved again, in another order, or a part of the lattice. ``imgs`` are
    the images; ``latents_classes`` their classes, (N, 5), or (N, 6) with the colour, which is always white. Without
    classes the file must hold all images in the original order. In a part of the lattice the classes count the values
    that are there; every combination of them must be there once.

    Raises ValueError for a file that is none of these.
    """

    factor_names, factor_sizes = FACTOR_NAMES, FACTOR_SIZES
    title = "dSprites"
    where = "https://github.com/google-deepmind/dsprites-dataset"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        try:
            found = archive(self.path, ("imgs", "latents_classes"))
            if "imgs" not in found:
                raise ValueError("it holds no 'imgs'")
            self.pixels = to_bytes(found["imgs"])
            self.rows = None
            if "latents_classes" in found:
                self.factor_sizes, self.rows = lattice_of(found["latents_classes"], len(self.pixels))
            elif len(self.pixels) != len(self):
                raise ValueError(f"without 'latents_classes' it must hold all {len(self):,} images, got {len(self.pixels):,}")
        except ValueError as error:
            raise self.refuse(str(error)) from error
        if self.factor_sizes != type(self).factor_sizes:
            say(f"{self.path.name}: a part of dSprites, {len(self):,} images: "
                + ", ".join(f"{size} of {name}" for name, size in zip(self.factor_names, self.factor_sizes)))

    def read(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(self.pixels[index if self.rows is None else self.rows[index]])[:, None]


def lattice_of(classes: np.ndarray, n: int) -> tuple[tuple[int, ...], np.ndarray | None]:
    """The classes of n images, (n, 5) or (n, 6) -> how many values each factor takes, and the row of each lattice position.

    The rows are None if they are in the order of the lattice. Raises ValueError if a combination is missing or there twice.
    """
    if classes.ndim != 2 or classes.shape[1] not in (5, 6) or len(classes) != n or classes.dtype.kind not in "ui":
        raise ValueError(f"'latents_classes' must be whole numbers of shape ({n}, 5) or ({n}, 6), got {classes.dtype} "
                         f"{classes.shape}")
    if classes.shape[1] == 6 and (classes[:, 0] != classes[0, 0]).any():
        raise ValueError("the first of the six 'latents_classes', the colour, must be the same for all images")
    columns = [np.unique(column, return_inverse=True) for column in classes[:, -5:].T]
    sizes = tuple(len(values) for values, _ in columns)
    place = np.ravel_multi_index([inverse.ravel() for _, inverse in columns], sizes)
    if n != np.prod(sizes) or np.bincount(place, minlength=n).max() > 1:
        raise ValueError(f"it must hold each of the {np.prod(sizes):,} combinations of its classes once, and has "
                         f"{len(np.unique(place)):,} of them in {n:,} images")
    return sizes, None if (place == np.arange(n)).all() else place.argsort()


class Shapes3D(FactorFile):
    """3D Shapes (Burgess & Kim 2018), an HDF5 file: 480,000 colour images of six factors. Needs h5py.

    Images stay in the file. Those asked for are read in rising order, each compressed block once.

    Raises ImportError without h5py, and ValueError for another file.
    """

    factor_names = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    factor_sizes = (10, 10, 10, 8, 4, 15)
    title = "3D Shapes"
    where = "https://github.com/google-deepmind/3d-shapes"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        try:
            import h5py
        except ImportError:
            raise ImportError("3D Shapes is an HDF5 file: pip install h5py") from None
        try:
            file = h5py.File(self.path, "r")
        except OSError as error:
            raise self.refuse(first_line(error)) from error
        self.pixels = file.get("images")
        if self.pixels is None:
            raise self.refuse(f"it holds {', '.join(file) or 'nothing'}, no 'images'")
        shape = (len(self), 64, 64, 3)
        if self.pixels.shape != shape or self.pixels.dtype != np.uint8:
            raise self.refuse(f"'images' must be uint8 {shape}, got {self.pixels.dtype} {self.pixels.shape}")

    def read(self, index: np.ndarray) -> Tensor:
        rows, back = np.unique(index, return_inverse=True)
        block = self.pixels.chunks[0] if self.pixels.chunks else 1
        out, start = np.empty((len(rows), 64, 64, 3), np.uint8), 0
        while start < len(rows):
            first = rows[start] // block * block
            stop = np.searchsorted(rows, first + block)
            out[start:stop] = self.pixels[first:first + block][rows[start:stop] - first]
            start = stop
        return torch.from_numpy(out[back.ravel()]).permute(0, 3, 1, 2).contiguous()


class MPI3D(FactorFile):
    """MPI3D (Gondal et al. 2019), an .npz file: colour images of a robot's arm, seven factors.

    The number of images says which: 1,036,800 (toy, realistic, real) or 460,800 (complex). All are held in memory:
    12.7 or 5.7 GB. Raises ValueError for another file.
    """

    factor_names = ("object_color", "object_shape", "object_size", "camera_height", "background_color", "horizontal_axis",
                    "vertical_axis")
    factor_sizes = (6, 6, 2, 3, 3, 40, 40)
    editions = ((6, 6, 2, 3, 3, 40, 40), (4, 4, 2, 3, 3, 40, 40))
    title = "MPI3D"
    where = "https://github.com/rr-learning/disentanglement_dataset"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        try:
            found = archive(self.path, ("images",))
        except ValueError as error:
            raise self.refuse(str(error)) from error
        if "images" not in found:
            raise self.refuse("it holds no 'images'")
        self.pixels = found["images"]
        sizes = {int(np.prod(sizes)): sizes for sizes in self.editions}
        if self.pixels.shape[1:] != (64, 64, 3) or self.pixels.dtype != np.uint8 or len(self.pixels) not in sizes:
            raise self.refuse(f"'images' must be uint8 (N, 64, 64, 3) with N {' or '.join(f'{n:,}' for n in sizes)}, got "
                              f"{self.pixels.dtype} {self.pixels.shape}")
        self.factor_sizes = sizes[len(self.pixels)]

    def read(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(self.pixels[index]).permute(0, 3, 1, 2).contiguous()


class Cars3D(FactorFile):
    """Cars3D (Reed et al. 2015), a folder of 183 .mat files: 17,568 colour images, made 64 x 64.

    Each file is a car: ``im`` (128, 128, 3, 24, 4), 24 azimuths and 4 elevations. Cars are in the order of the files'
    names. Raises ValueError for a folder with other files.
    """

    factor_names = ("elevation", "azimuth", "object_type")
    factor_sizes = (4, 24, 183)
    title = "Cars3D"
    where = "http://www.scottreed.info/files/nips2015-analogy-data.tar.gz"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        names = sorted(p for p in self.path.rglob("*.mat") if p.is_file())
        if len(names) != self.factor_sizes[2]:
            raise self.refuse(f"it must hold {self.factor_sizes[2]} .mat files, got {len(names)}")
        self.pixels = np.stack([self.car(name) for name in names], axis=2).reshape(-1, 64, 64, 3)

    def car(self, path: pathlib.Path) -> np.ndarray:
        """The images of one file -> uint8 (4, 24, 64, 64, 3)."""
        from scipy.io import loadmat       # scipy is installed with scikit-learn

        try:
            images = loadmat(path)["im"]
        except Exception as error:         # scipy raises many kinds for broken files
            raise self.refuse(f"{path.name} cannot be read ({first_line(error)})") from error
        elevations, azimuths, _ = self.factor_sizes
        if images.shape != (128, 128, 3, azimuths, elevations) or images.dtype != np.uint8:
            raise self.refuse(f"'im' in {path.name} must be uint8 (128, 128, 3, {azimuths}, {elevations}), got {images.dtype} "
                              f"{images.shape}")
        flat = np.ascontiguousarray(images.transpose(4, 3, 0, 1, 2)).reshape(-1, 128, 128, 3)
        return shrink(flat).reshape(elevations, azimuths, 64, 64, 3)

    def read(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(self.pixels[index]).permute(0, 3, 1, 2).contiguous()


def shrink(images: np.ndarray) -> np.ndarray:
    """uint8 (N, S, S) or (N, S, S, 3) -> the same 64 x 64, each pixel the mean of the area it covers."""
    return np.stack([np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BOX)) for image in images])


NORB_TYPES = {0x1E3D4C55: np.dtype(np.uint8), 0x1E3D4C54: np.dtype("<i4")}


class SmallNORB(FactorFile):
    """SmallNORB (LeCun et al. 2004), a folder of six .mat files: 48,600 grey images of toys, made 64 x 64.

    The training and the test part together, of which each has five of the ten instances; the left camera. Raises
    ValueError for a folder without these files, or with damaged ones.
    """

    factor_names = ("category", "instance", "elevation", "azimuth", "lighting")
    factor_sizes = (5, 10, 9, 18, 6)
    side = 96
    title = "SmallNORB"
    where = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        pixels, factors = zip(*(self.part(part) for part in ("training", "testing")))
        pixels, factors = np.concatenate(pixels), np.concatenate(factors)
        try:
            sizes, rows = lattice_of(factors, len(factors))
        except ValueError as error:
            raise self.refuse(str(error)) from error
        if sizes != self.factor_sizes:
            raise self.refuse(f"its factors must take {self.factor_sizes} values, got {sizes}")
        self.pixels = pixels if rows is None else pixels[rows]

    def part(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """One of the two parts -> images uint8 (N, 64, 64) and classes (N, 5)."""
        dat, cat, info = (self.matrix(part, kind) for kind in ("dat", "cat", "info"))
        if dat.shape[1:] != (2, self.side, self.side) or cat.shape != (len(dat),) or info.shape != (len(dat), 4):
            raise self.refuse(f"the {part} part has images of shape {dat.shape}, categories {cat.shape}, infos {info.shape}")
        return shrink(dat[:, 0]), np.column_stack([cat, info])

    def matrix(self, part: str, kind: str) -> np.ndarray:
        """The array in the file of a part whose name ends in -KIND.mat: a type, the shape, then the numbers."""
        files = [p for p in self.path.rglob(f"*{part}-{kind}.mat") if p.is_file()]
        if len(files) != 1:
            raise self.refuse(f"it must hold one file *{part}-{kind}.mat, got {len(files)}")
        content = files[0].read_bytes()
        head = np.frombuffer(content[:len(content) // 4 * 4][:8], "<i4")
        if len(head) < 2 or int(head[0]) not in NORB_TYPES or not 1 <= head[1] <= 4:
            raise self.refuse(f"{files[0].name} does not begin as its matrices do")
        start = 8 + 4 * max(3, int(head[1]))                # at least three sizes are stored
        shape = tuple(np.frombuffer(content[8:8 + 4 * int(head[1])], "<i4").tolist())
        dtype = NORB_TYPES[int(head[0])]
        if len(shape) != head[1] or min(shape) < 1 or len(content) - start != np.prod(shape, dtype=object) * dtype.itemsize:
            raise self.refuse(f"{files[0].name} is not as long as its shape {shape} says")
        return np.frombuffer(content, dtype, offset=start).reshape(shape)

    def read(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(self.pixels[index])[:, None]
