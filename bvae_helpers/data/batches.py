"""What a data set is here: images to train on; and, where they are known, the factors behind them.

Training takes ``images`` of any of these kinds, through ``as_images``:
- a tensor (N, C, S, S), uint8 or float in [0, 1];
- a folder of pictures: ``ImageFolder(path)``;
- any ``torch.utils.data.Dataset`` of images (or of tuples that begin with one);
- data with known factors: ``Sprites()``, ``DSprites(path)``, ``Shapes3D(path)``, or anything with
  ``factor_names``, ``factor_sizes``, ``images(factors)`` and ``sample_factors(n, generator)``.
"""

import math
import pathlib
import warnings
import zipfile
import zlib

import numpy as np
import torch
from torchvision.transforms.functional import pil_to_tensor

from .celeba import unpack
from .faces import CartoonFaces
from .folder import ImageFolder
from .sprites import FACTOR_NAMES, FACTOR_SIZES, Sprites, check_factors

LARGEST_LATTICE = 1_000_000        # images rendered when no number is given: 4 to 12 GB


def factors_of(index, sizes):
    """Position in the full lattice -> integer classes: (N,) -> (N, K). The last factor moves fastest."""
    columns = []
    for size in reversed(sizes):
        columns.insert(0, index % size)
        index = index // size
    return torch.stack(columns, dim=1)


def index_of(factors, sizes):
    """Integer classes -> position in the full lattice: (N, K) -> (N,)."""
    index = torch.zeros(len(factors), dtype=torch.long)
    for column, size in zip(factors.cpu().unbind(1), sizes):
        index = index * size + column
    return index


class FactorFile:
    """Data with known factors, read from a file that holds the full lattice in order."""

    def __init__(self, path, where):
        self.path = pathlib.Path(path).expanduser()
        if not self.path.is_file():
            raise FileNotFoundError(f"no file at {str(self.path)!r}. Get it from {where} and pass its path, "
                                    "or use Sprites(), which needs no file")

    def __len__(self):
        return math.prod(self.factor_sizes)

    def images(self, factors):
        """Integer classes (N, K) -> uint8 (N, C, 64, 64), 0 to 255."""
        factors = check_factors(factors, self.factor_sizes, self.factor_names)
        return self.read(index_of(factors, self.factor_sizes).numpy())

    sample_factors = Sprites.sample_factors


class DSprites(FactorFile):
    """The real dSprites file. Its pickled metadata is never opened."""

    factor_names, factor_sizes = FACTOR_NAMES, FACTOR_SIZES

    def __init__(self, path):
        super().__init__(path, "https://github.com/google-deepmind/dsprites-dataset")
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                self.pixels = archive["imgs"]                      # (737280, 64, 64), 0 or 1
        except (KeyError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{str(self.path)!r} is not the dSprites file, or not all of it ({error}): download it again") from error

    def read(self, index):
        return torch.from_numpy(self.pixels[index] * np.uint8(255))[:, None]


class Shapes3D(FactorFile):
    """3D Shapes (Burgess & Kim 2018): 480,000 colour images of six factors. Needs h5py."""

    factor_names = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    factor_sizes = (10, 10, 10, 8, 4, 15)

    def __init__(self, path):
        super().__init__(path, "https://github.com/google-deepmind/3d-shapes")
        try:
            import h5py
        except ImportError:
            raise ImportError("3D Shapes is an HDF5 file: pip install h5py") from None
        file = h5py.File(self.path, "r")
        if "images" not in file:
            raise ValueError(f"{str(self.path)!r} is not 3D Shapes: it holds {', '.join(file) or 'nothing'}, no 'images'")
        self.pixels = file["images"]                               # (480000, 64, 64, 3)

    def read(self, index):
        unique, inverse = np.unique(index, return_inverse=True)    # h5py wants them rising, once each
        return torch.from_numpy(self.pixels[unique][inverse]).permute(0, 3, 1, 2).contiguous()


def load_data(config):
    """The data that ``config.data_path`` names: 'sprites', 'faces', a .npz, a .h5, a folder of pictures or a zip of one.

    Suffixes may be in capitals. Warns if a folder lies there that is called 'sprites' or 'faces': write './faces' for it.
    """
    path = pathlib.Path(config.data_path).expanduser()
    if config.data_path in ("sprites", "faces"):
        if path.is_dir():
            warnings.warn(f"data_path {config.data_path!r} means the images drawn by our own code. For the folder of that "
                          f"name, write './{config.data_path}'", stacklevel=2)
        return Sprites() if config.data_path == "sprites" else CartoonFaces(img_size=config.img_size)
    readers = {".npz": DSprites, ".h5": Shapes3D, ".hdf5": Shapes3D}
    suffix = path.suffix.lower()
    if suffix in readers and not path.is_dir():
        return readers[suffix](path)
    folder = unpack(path) if suffix == ".zip" and not path.is_dir() else config.data_path
    return ImageFolder(folder, config.img_size, config.in_channels, config.crop, config.num_images)


class Images:
    """Images to train on: a tensor (N, C, S, S), or a Dataset read item by item."""

    def __init__(self, source):
        if len(source) == 0:
            raise ValueError("the data hold no images")
        self.source = source
        self.shape = tuple(self.take(torch.tensor([0])).shape[1:])     # (C, S, S)

    def __len__(self):
        return len(self.source)

    def take(self, index):
        """The images at these positions: uint8, or float in [0, 1], (B, C, S, S)."""
        if isinstance(self.source, torch.Tensor):
            return self.source[index.to(self.source.device)]
        return torch.stack([image_of(self.source[i]) for i in index.tolist()])

    def to(self, device):
        """Held in the memory of ``device``, when they are in memory at all."""
        return Images(self.source.to(device)) if isinstance(self.source, torch.Tensor) else self

    def fingerprint(self):
        """A short text that changes when the images do: how many, their shape, a checksum of 64 of them."""
        kind = type(self.source).__name__              # a Dataset may draw augmentations: not read here
        if isinstance(self.source, torch.Tensor):
            index = torch.linspace(0, len(self) - 1, min(64, len(self))).long()
            kind = f"{zlib.crc32(self.take(index).cpu().contiguous().numpy().tobytes()):08x}"
        return f"{len(self)} x {self.shape}, {kind}"


def image_of(item):
    """The image in a Dataset's item: a tensor or a PIL picture, alone or first in a tuple."""
    image = item[0] if isinstance(item, (tuple, list)) else item
    if not isinstance(image, torch.Tensor):
        image = pil_to_tensor(image) if hasattr(image, "getbands") else torch.as_tensor(image)
    if image.ndim != 3:
        raise ValueError(f"a Dataset's image must have shape (C, S, S), got {tuple(image.shape)}")
    return image


def render(data, n=None, seed=0):
    """``n`` images of data with known factors (default: the full lattice) -> images, factors (N, K).

    Fewer than all are drawn with ``sample_factors`` from ``seed``. Raises ValueError where all are
    more than ``LARGEST_LATTICE``.
    """
    lattice = math.prod(data.factor_sizes)
    if n is None and lattice > LARGEST_LATTICE:
        raise ValueError(f"all {lattice:,} images of this data are too many to hold: give a number (in a Config, num_images)")
    if n is None or n >= lattice:
        factors = factors_of(torch.arange(lattice), data.factor_sizes)
    else:
        factors = data.sample_factors(n, torch.Generator().manual_seed(seed))
    return data.images(factors), factors


def as_images(data, num_images=None, seed=0):
    """Anything this module's first lines list -> ``Images``, at most ``num_images`` of them."""
    if isinstance(data, Images):
        return data
    if hasattr(data, "sample_factors"):
        return Images(render(data, num_images, seed)[0])
    if isinstance(data, ImageFolder):
        data = data.pixels
    if isinstance(data, np.ndarray):
        data = torch.from_numpy(data)
    if isinstance(data, torch.Tensor):
        if data.ndim != 4 or not (data.dtype == torch.uint8 or data.is_floating_point()):
            raise ValueError(f"images must be uint8 or float of shape (N, C, S, S), got {data.dtype} {tuple(data.shape)}")
        return Images(data[:num_images])
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        raise TypeError(f"cannot train on a {type(data).__name__}: give a tensor, a Dataset, or data with factors")
    return Images(data if num_images is None else torch.utils.data.Subset(data, range(min(num_images, len(data)))))


def split(n, val_fraction=0.2, seed=0):
    """Positions 0..n-1, shuffled by ``seed``, as (train, validation)."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    held_out = min(n - 1, max(1, round(n * val_fraction))) if val_fraction > 0 else 0
    return order[held_out:], order[:held_out]


def to_batch(images, device="cpu"):
    """uint8 0..255 or float 0..1 (B, C, S, S) -> float32 in [0, 1] on ``device``, channels last."""
    x = images.to(device, non_blocking=True)
    x = x.float().div_(255) if x.dtype == torch.uint8 else x.float()
    return x.contiguous(memory_format=torch.channels_last)


def to_uint8(images):
    """Images in [0, 1] -> uint8, without stretching their contrast."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def mirror_half(x, u=None):
    """Each image of a batch (B, C, S, S) mirrored left to right with probability 1/2: faces have no handedness.

    ``u`` (B, 1, 1, 1): the draws from U(0, 1) that decide, if they are given.
    """
    u = torch.rand(len(x), 1, 1, 1, device=x.device) if u is None else u
    return torch.where(u < 0.5, x.flip(3), x)


def to_rgb(images):
    """Images (N, C, S, S) as three channels to look at: (N, 3, S, S).

    One channel is grey, two are red and green, and of more than three the first three are kept.
    """
    count = images.shape[1]
    if count == 1:
        return images.expand(-1, 3, -1, -1)
    if count == 2:
        return torch.cat([images, torch.zeros_like(images[:, :1])], dim=1)
    return images[:, :3]
