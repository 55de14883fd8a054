"""The field's data sets with known factors, read from the files that their authors publish.

All are ``FactorData``: what takes ``Sprites()`` takes each of them. The layouts are those that the loaders of
disentanglement_lib document (Locatello et al. 2019). Files are checked when they are opened; pickles in them are never
read.
"""

import math
import os
import pathlib
import zipfile
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .factors import FactorData, check_factors, index_of
from .files import first_line, printable, say
from .sprites import FACTOR_NAMES, FACTOR_SIZES, fold

__all__ = ["Cars3D", "DSprites", "FactorFile", "MPI3D", "Shapes3D", "SmallNORB"]

MOST_BYTES = 13 * 10 ** 9        # of the images in an .npz: those of MPI3D
# h5py's, of damaged files
H5_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, MemoryError, OverflowError)


class FactorFile(FactorData):
    """A lattice of images that a file holds; a subclass has ``read``.

    ``title`` and ``where``: of the file, and where to get it.

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
        return ValueError(f"{str(self.path)!r} is not {self.title}, or not all of it: {reason}. Get it from "
                          f"{self.where}")


def archive(path: pathlib.Path, names: tuple[str, ...], check: Callable[[tuple[int, ...], np.dtype], None]
            ) -> dict[str, np.ndarray]:
    """Those of the arrays ``names`` that an .npz holds. Raises ValueError for a broken one; pickles are not read.

    ``check`` gets the shape and type of the first of ``names``, which must be there, before its numbers are read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if names[0] not in file:
                raise ValueError(f"it holds {', '.join(map(printable, file.files[:5])) or 'nothing'}, no {names[0]!r}")
            check(*_header(file.zip, f"{names[0]}.npy"))
            return {name: file[name] for name in names if name in file}
    except Exception as error:             # NumPy raises errors of many kinds for broken files
        raise ValueError(first_line(error)) from error


def _header(file: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the type of an array in an .npz, without its numbers."""
    with file.open(name) as member:
        version = np.lib.format.read_magic(member)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(member)
    return shape, dtype


def check_black_and_white(shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise ValueError unless an array can be images of dSprites: (N, 64, 64), an axis of one channel allowed."""
    if shape[1:] not in ((64, 64), (1, 64, 64), (64, 64, 1)) or shape[0] < 1:
        raise ValueError(f"images must have shape (N, 64, 64), got {shape}")
    if dtype.kind not in "buif":
        raise ValueError(f"images must be numbers, got {dtype}")
    size = math.prod(shape) * dtype.itemsize
    if size > MOST_BYTES:
        raise ValueError(f"its images take {size / 1e9:.0f} GB: save them as uint8")


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Pixels of black-and-white images, (N, 64, 64) of 0/1 or 0/255 in any type -> uint8, 0 or 255.

    Raises ValueError for other shapes or other values.
    """
    check_black_and_white(pixels.shape, pixels.dtype)
    pixels = pixels.reshape(-1, 64, 64)
    white = pixels.max()
    parts = np.array_split(pixels, 1 + len(pixels) // 4096)
    if white not in (1, 255) or not all(np.isin(part, (0, white)).all() for part in parts):
        raise ValueError(f"pixels must be 0 or 1, or 0 or 255, got values from {pixels.min()} to {white}")
    if white == 255 and pixels.dtype == np.uint8:
        return pixels
    return (pixels != 0) * np.uint8(255)


class DSprites(FactorFile):
    """dSprites (Matthey et al. 2017), an .npz file: 737,280 black-and-white images of five factors.

    Any edition: pixels of 0 and 1 or of 0 and 255, saved again, in another order, or a part of the lattice. ``imgs``
    are the images; ``latents_classes`` their classes, (N, 5), or (N, 6) with the colour, which is always white; without
    them ``latents_values``, the same in degrees and pixels. Without either the file must hold all images in the
    original order. In a part of the lattice the classes count the values that are there; every combination of them must
    be there once.

    Raises ValueError for a file that is none of these.
    """

    factor_names, factor_sizes = FACTOR_NAMES, FACTOR_SIZES
    title = "dSprites"
    where = "https://github.com/google-deepmind/dsprites-dataset"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        try:
            found = archive(self.path, ("imgs", "latents_classes", "latents_values"), check_black_and_white)
            self.pixels = to_bytes(found["imgs"])
            self.rows = None
            classes = found.get("latents_classes", found.get("latents_values"))
            if classes is not None:
                self.factor_sizes, self.rows = lattice_of(without_colour(classes), len(self.pixels), self.factor_sizes)
            elif len(self.pixels) != len(self):
                raise ValueError(f"without 'latents_classes' it must hold all {len(self):,} images, got "
                                 f"{len(self.pixels):,}")
        except ValueError as error:
            raise self.refuse(str(error)) from error
        if self.factor_sizes != type(self).factor_sizes:
            say(f"{self.path.name}: a part of dSprites, {len(self):,} images: "
                + ", ".join(f"{size} of {name}" for name, size in zip(self.factor_names, self.factor_sizes)))

    def read(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(self.pixels[index if self.rows is None else self.rows[index]])[:, None]

    def visible(self, factors: Tensor) -> Tensor:
        """As of ``Sprites``; of a part of the lattice, whose classes may be other angles, all of the orientation."""
        values = super().visible(factors)
        return fold(values, torch.as_tensor(factors)[:, 0]) if self.factor_sizes == FACTOR_SIZES else values


def without_colour(classes: np.ndarray) -> np.ndarray:
    """The classes of dSprites' five factors, (N, 5), from these or from six that begin with the colour."""
    if classes.ndim != 2 or classes.shape[1] != 6:
        return classes
    if (classes[:, 0] != classes[:1, 0]).any():
        raise ValueError("the first of the six 'latents_classes', the colour, must be the same for all images")
    return classes[:, 1:]


def lattice_of(classes: np.ndarray, n: int, most: tuple[int, ...]) -> tuple[tuple[int, ...], np.ndarray | None]:
    """The classes of n images, (n, K) -> how many values each factor takes, and the row of each lattice position.

    ``most``: how many values each factor takes in the whole data set. The rows are None if they are in the order of the
    lattice. Raises ValueError if a combination is missing or there twice, or a factor takes more values.
    """
    if classes.shape != (n, len(most)) or classes.dtype.kind not in "uif" or not np.isfinite(classes).all():
        raise ValueError(f"the classes of its images must be finite numbers of shape ({n}, {len(most)}), got "
                         f"{classes.dtype} {classes.shape}")
    columns = [np.unique(column, return_inverse=True) for column in classes.T]
    sizes = tuple(len(values) for values, _ in columns)
    if any(size > limit for size, limit in zip(sizes, most)):
        raise ValueError(f"its factors take {sizes} values, more than {most}: are the columns in another order?")
    place = np.ravel_multi_index([inverse.ravel() for _, inverse in columns], sizes)
    if n != np.prod(sizes) or np.bincount(place, minlength=n).max() > 1:
        raise ValueError(f"it must hold each of the {np.prod(sizes):,} combinations of its classes once, and has "
                         f"{len(np.unique(place)):,} of them in {n:,} images")
    return sizes, None if (place == np.arange(n)).all() else place.argsort()


class Shapes3D(FactorFile):
    """3D Shapes (Burgess & Kim 2018), an HDF5 file: 480,000 colour images of six factors. Needs h5py.

    ``images`` stay in the file. Those asked for are read in rising order, each compressed block once. ``labels`` (N, 6)
    give the order, and allow a part of the lattice; without them the file must hold all images in the original order.
    HDF5 files have no checksums: damaged pixels can only be noticed where they are compressed.

    Raises ImportError without h5py, and ValueError for another file, or a damaged one, when it is opened or read.
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
            self.pixels, labels = (self._array(file, name, h5py.Dataset) for name in ("images", "labels"))
            self._check(self.pixels, labels, file)
            self.rows = None
            if labels is not None:
                self.factor_sizes, self.rows = lattice_of(labels[()], len(self.pixels), self.factor_sizes)
        except H5_ERRORS as error:
            raise self.refuse(first_line(error)) from error

    def _array(self, file, name, kind):
        """The array of this name in an open file; None if there is none."""
        found = file.get(name)
        return found if isinstance(found, kind) else None

    def _check(self, images, labels, file):
        """Raise ValueError unless the arrays have the shapes and types of 3D Shapes; no number is read."""
        if images is None:
            raise ValueError(f"it holds {', '.join(map(printable, file)) or 'nothing'}, no array 'images'")
        if images.shape[1:] != (64, 64, 3) or images.dtype != np.uint8:
            raise ValueError(f"'images' must be uint8 (N, 64, 64, 3), got {images.dtype} {images.shape}")
        if labels is None and len(images) != len(self):
            raise ValueError(f"without 'labels' it must hold all {len(self):,} images, got {len(images):,}")
        if labels is not None and labels.shape != (len(images), 6):
            raise ValueError(f"'labels' must have shape ({len(images)}, 6), got {labels.shape}")

    def read(self, index: np.ndarray) -> Tensor:
        rows, back = np.unique(index if self.rows is None else self.rows[index], return_inverse=True)
        block = self.pixels.chunks[0] if self.pixels.chunks else 1
        out, start = np.empty((len(rows), 64, 64, 3), np.uint8), 0
        while start < len(rows):
            first = rows[start] // block * block
            stop = np.searchsorted(rows, first + block)
            try:
                out[start:stop] = self.pixels[first:first + block][rows[start:stop] - first]
            except H5_ERRORS as error:
                raise self.refuse(f"images {first} to {first + block - 1} cannot be read "
                                  f"({first_line(error)})") from error
            start = stop
        return torch.from_numpy(out[back.ravel()]).permute(0, 3, 1, 2).contiguous()


class MPI3D(FactorFile):
    """MPI3D (Gondal et al. 2019), an .npz file: colour images of a robot's arm, seven factors.

    The number of images says which: 1,036,800 (toy, realistic, real) or 460,800 (complex). All are held in memory:
    12.7 or 5.7 GB. Raises ValueError for another file.
    """

    factor_names = ("object_color", "object_shape", "object_size", "camera_height", "background_color",
                    "horizontal_axis", "vertical_axis")
    factor_sizes = (6, 6, 2, 3, 3, 40, 40)
    editions = ((6, 6, 2, 3, 3, 40, 40), (4, 4, 2, 3, 3, 40, 40))
    title = "MPI3D"
    where = "https://github.com/rr-learning/disentanglement_dataset"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        try:
            self.pixels = archive(self.path, ("images",), self._check)["images"]
        except ValueError as error:
            raise self.refuse(str(error)) from error
        self.factor_sizes = next(sizes for sizes in self.editions if math.prod(sizes) == len(self.pixels))

    def _check(self, shape, dtype):
        """Raise ValueError unless an array has the shape and type of an edition of MPI3D."""
        counts = [math.prod(sizes) for sizes in self.editions]
        if shape[1:] != (64, 64, 3) or dtype != np.uint8 or shape[0] not in counts:
            raise ValueError(f"'images' must be uint8 (N, 64, 64, 3) with N {' or '.join(f'{n:,}' for n in counts)}, "
                             f"got {dtype} {shape}")

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
        from scipy.io import loadmat, whosmat       # scipy is installed with scikit-learn

        elevations, azimuths, _ = self.factor_sizes
        shape = (128, 128, 3, azimuths, elevations)
        try:
            held = {name: (size, kind) for name, size, kind in whosmat(path)}
            if held.get("im") != (shape, "uint8"):
                raise ValueError(f"'im' must be uint8 {shape}, got {held.get('im', 'none')}")
            images = loadmat(path, variable_names=["im"])["im"]
            if images.shape != shape or images.dtype != np.uint8:
                raise ValueError(f"'im' must be uint8 {shape}, got {images.dtype} {images.shape}")
        except Exception as error:         # scipy raises many kinds for broken files
            raise self.refuse(f"{path.name} cannot be read ({first_line(error)})") from error
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
            sizes, rows = lattice_of(factors, len(factors), self.factor_sizes)
        except ValueError as error:
            raise self.refuse(str(error)) from error
        if sizes != self.factor_sizes:
            raise self.refuse(f"its factors must take {self.factor_sizes} values, got {sizes}")
        self.pixels = pixels if rows is None else pixels[rows]

    def part(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """One of the two parts -> images uint8 (N, 64, 64) and classes (N, 5)."""
        dat, cat, info = (self.matrix(part, kind) for kind in ("dat", "cat", "info"))
        if dat.shape[1:] != (2, self.side, self.side) or cat.shape != (len(dat),) or info.shape != (len(dat), 4):
            raise self.refuse(f"the {part} part has images of shape {dat.shape}, categories {cat.shape}, infos "
                              f"{info.shape}")
        return shrink(dat[:, 0]), np.column_stack([cat, info])

    def matrix(self, part: str, kind: str) -> np.ndarray:
        """The array in the file of a part whose name ends in -KIND.mat: a type, the shape, then the numbers."""
        files = [p for p in self.path.rglob(f"*{part}-{kind}.mat") if p.is_file()]
        if len(files) != 1:
            packed = "; unpack the .mat.gz files first" if list(self.path.rglob(f"*{part}-{kind}.mat.gz")) else ""
            raise self.refuse(f"it must hold one file *{part}-{kind}.mat, got {len(files)}{packed}")
        content = files[0].read_bytes()
        kind, axes, *sizes = np.frombuffer(content[:24].ljust(24, b"\0"), "<i4").tolist()       # four sizes at most
        if kind not in NORB_TYPES or not 1 <= axes <= 4:
            raise self.refuse(f"{files[0].name} does not begin as its matrices do")
        start, shape, dtype = 8 + 4 * max(3, axes), tuple(sizes[:axes]), NORB_TYPES[kind]       # three sizes at least
        if min(shape) < 1 or len(content) - start != math.prod(shape) * dtype.itemsize:
            raise self.refuse(f"{files[0].name} is not as long as its shape {shape} says")
        return np.frombuffer(content, dtype, offset=start).reshape(shape)

    def read(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(self.pixels[index])[:, None]
