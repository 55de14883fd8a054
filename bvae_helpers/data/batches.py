"""Images to train on, whatever they come from: recognised, split, made into batches.

Training takes images of any of these kinds, through ``as_images``:
- a tensor or NumPy array (N, C, S, S), uint8 or float in [0, 1];
- a folder of pictures: ``ImageFolder(path)``;
- any ``torch.utils.data.Dataset`` of images (or of tuples that begin with one, or of dicts that hold one);
- data with known factors: a ``FactorData``, such as ``Sprites()`` or ``DSprites(path)``.

Shapes: N images, C channels, S pixels a side, B images in a batch.
"""

import math
import os
import pathlib
import warnings
import zipfile
import zlib

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from .factor_files import MPI3D, Cars3D, DSprites, Shapes3D, SmallNORB
from .editions import ColourSprites, NoisySprites, PictureSprites
from .faces import CartoonFaces
from .factors import FactorData, factors_of
from .files import say
from .folder import DARK, ImageFolder, has_pictures
from .sprites import Sprites
from .zips import unpack

__all__ = ["DRAWN", "LARGEST_LATTICE", "Images", "as_images", "draw", "image_of", "load_data", "mirror_half", "render",
           "split", "to_batch", "to_rgb", "to_uint8"]

NORB_ENDINGS = tuple(f"-{kind}.mat{packed}" for kind in ("dat", "cat", "info") for packed in ("", ".gz"))
LOOKED_AT = 32                     # images of a Dataset whose values are looked at
MOST_CHANNELS = 64                 # more at the end of a shape are not channels
LARGEST_LATTICE = 1_000_000        # refuse to render more than this at once: 4 GB in grey, 12 GB in colour
DRAWN = {"sprites": Sprites, "sprites-colour": ColourSprites, "sprites-noise": NoisySprites,
         "sprites-picture": PictureSprites}


def load_data(config) -> FactorData | ImageFolder:
    """The data that ``config.data_path`` names.

    Drawn: 'sprites', 'sprites-colour', 'sprites-noise', 'sprites-picture', 'faces'. Files: a .npz of dSprites or MPI3D,
    a .h5 of 3D Shapes, the folders of Cars3D and SmallNORB, a folder of pictures or a zip of one. Suffixes may be in
    capitals. Warns if a folder lies there that is called like drawn data: write './faces' for it.
    """
    path = pathlib.Path(config.data_path).expanduser()
    if config.data_path in (*DRAWN, "faces"):
        if path.is_dir():
            warnings.warn(f"data_path {config.data_path!r} means the images drawn by our own code. For the folder of "
                          f"that name, write './{config.data_path}'", stacklevel=2)
        return CartoonFaces(img_size=config.img_size) if config.data_path == "faces" else DRAWN[config.data_path]()
    if path.is_dir():
        reader = _reader_of_folder(path)
        return reader(path) if reader else ImageFolder(config.data_path, config.img_size, config.in_channels,
                                                       config.crop, config.num_images)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return MPI3D(path) if path.is_file() and _holds(path, "images.npy") else DSprites(path)
    if suffix in (".h5", ".hdf5"):
        return Shapes3D(path)
    folder = unpack(path) if suffix == ".zip" and path.is_file() else config.data_path
    return ImageFolder(folder, config.img_size, config.in_channels, config.crop, config.num_images)


def _holds(path, member):
    """Whether a zip, such as an .npz, has a member of this name; a broken one has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return member in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _reader_of_folder(path):
    """The reader of a folder of .mat files, by their names; None for a folder of pictures."""
    matrices = [name for _, _, names in os.walk(path) for name in names if name.endswith((".mat", ".mat.gz"))]
    if any(name.endswith(NORB_ENDINGS) for name in matrices):
        return SmallNORB
    return Cars3D if matrices and not has_pictures(path) else None


class Images:
    """Images to train on: a tensor (N, C, S, S), or a Dataset read item by item."""

    def __init__(self, source: Tensor | torch.utils.data.Dataset):
        if len(source) == 0:
            raise ValueError("the data hold no images")
        self.source = source
        self.shape = tuple(self.take(torch.tensor([0])).shape[1:])     # (C, S, S)

    def __len__(self) -> int:
        return len(self.source)

    def take(self, index: Tensor) -> Tensor:
        """The images at these positions: uint8, or float in [0, 1], (B, C, S, S)."""
        if isinstance(self.source, torch.Tensor):
            return self.source[index.to(self.source.device)]
        images = [image_of(self.source[i]) for i in index.tolist()]
        kinds = {(image.dtype, tuple(image.shape)) for image in images}
        if len(kinds) > 1:
            raise ValueError("the images of a Dataset must have one type and one shape, got "
                             + " and ".join(sorted(f"{dtype} {shape}" for dtype, shape in kinds)[:3]))
        return torch.stack(images)

    def to(self, device: str | torch.device) -> "Images":
        """Held in the memory of ``device``, when they are in memory at all."""
        return Images(self.source.to(device)) if isinstance(self.source, torch.Tensor) else self

    def fingerprint(self) -> str:
        """A short text that changes when the images do: how many, their shape, a checksum of 64 of them."""
        kind = type(self.source).__name__              # a Dataset may draw augmentations: not read here
        if isinstance(self.source, torch.Tensor):
            index = torch.linspace(0, len(self) - 1, min(64, len(self))).long()
            some = self.take(index).cpu().contiguous().view(torch.uint8)           # numpy knows no bfloat16
            kind = f"{zlib.crc32(some.numpy().tobytes()):08x}"
        return f"{len(self)} x {self.shape}, {kind}"


def image_of(item) -> Tensor:
    """The image in a Dataset's item: a tensor, an array or a PIL picture; alone, first in a tuple, or in a dict.

    In a dict it is called image, img, pixel_values, x or input, or is the only one that is neither text nor a number.
    Whole numbers and bool become uint8. Raises ValueError for an item without an image (C, S, S), and for values that
    are neither 0 to 255, as whole numbers, nor 0 to 1, as floats.
    """
    return _checked_image(_raw_image(item))


def _checked_image(image):
    """An image whose values are what a batch takes: uint8, or floats in [0, 1]."""
    if image.dtype == torch.uint8:
        return image
    if image.dtype == torch.bool:
        return image.to(torch.uint8) * 255
    whole = not image.is_floating_point()
    image = image.long() if whole else image                          # torch has no minimum of uint16
    low, high = image.min().item(), image.max().item()
    if low < 0 or high > (255 if whole else 1):          # NaN passes: the loss finds it, and says at which step
        remedy = "rescale them" if whole else "leave out Normalize, or divide by 255"
        raise ValueError("a Dataset's images must be whole numbers from 0 to 255, or floats from 0 to 1, got "
                         f"{image.dtype} from {low:g} to {high:g}: {remedy}")
    return image.to(torch.uint8) if whole else image


def _raw_image(item):
    """The image (C, S, S) in a Dataset's item, with the values it has."""
    if isinstance(item, dict):
        held = [name for name in ("image", "img", "pixel_values", "x", "input") if name in item]
        held = held or [name for name, value in item.items() if np.ndim(value) > 1 or hasattr(value, "getbands")]
        if not held:
            raise ValueError(f"no image in a Dataset's item with the keys {', '.join(map(str, item))}: call it 'image'")
        item = item[held[0]]
    image = item[0] if isinstance(item, (tuple, list)) and len(item) > 0 else item
    if hasattr(image, "getbands"):
        image = pil_to_tensor(image)
    elif not isinstance(image, Tensor):
        array = np.asanyarray(image)                 # masked arrays stay masked
        if array.dtype.kind not in "buif":
            raise ValueError(f"no image in a Dataset's item: a {type(image).__name__}, expected a tensor, an array or "
                             "a picture")
        image = _tensor_of(array)
    if image.is_complex() or image.numel() == 0 or not _is_plain(image):
        raise ValueError(f"a Dataset's image must be a plain tensor of numbers, got {image.dtype} {tuple(image.shape)}")
    if image.ndim == 2:
        image = image[None]
    if image.ndim == 3 and image.shape[0] != image.shape[1] == image.shape[2] and image.shape[0] > 0:
        return image
    if image.ndim == 3 and image.shape[0] == image.shape[1] != image.shape[2] <= MOST_CHANNELS:
        return image.permute(2, 0, 1)                # channels last
    if image.ndim != 3:
        raise ValueError(f"a Dataset's image must have shape (C, S, S), got {tuple(image.shape)}")
    return image


def render(data: FactorData, n: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
    """``n`` images of data with known factors (default: the full lattice) -> images, factors (N, K).

    Fewer than all are drawn with ``sample_factors`` from ``seed``. Raises ValueError if all are asked for and are
    more than ``LARGEST_LATTICE``.
    """
    if n is None and len(data) > LARGEST_LATTICE:
        raise ValueError(f"all {len(data):,} images of this data are too many to hold: give a number (in a Config, "
                         "num_images)")
    if n is None or n >= len(data):
        factors = factors_of(torch.arange(len(data)), data.factor_sizes)
    else:
        return draw(data, n, seed)
    return data.images(factors), factors


def draw(data: FactorData, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """``n`` independent draws from data with known factors -> images, factors (N, K). An image may be drawn twice."""
    factors = data.sample_factors(n, torch.Generator().manual_seed(seed))
    return data.images(factors), factors


def as_images(data, num_images: int | None = None, seed: int = 0) -> "Images":
    """Anything that this module's first lines list -> ``Images``, at most ``num_images`` of them.

    Arrays in other common forms are recognised, which is said in one line: 0/1 and bool, wider integers, 16-bit
    pictures, channels last, grey images without a channel. Raises ValueError for values or shapes that are not
    recognised, with the remedy, and TypeError for an object that holds no images. Of a Dataset, which is read item by
    item, ``LOOKED_AT`` images are looked at.
    """
    if isinstance(data, Images):
        return data
    if isinstance(data, FactorData):
        return Images(render(data, num_images, seed)[0])
    if isinstance(data, ImageFolder):
        data = data.pixels
    if isinstance(data, np.ndarray):
        data = _tensor_of(data)
    if isinstance(data, Tensor):
        if not _is_plain(data):
            raise ValueError("images must be a plain tensor: not sparse, quantised or on the meta device")
        return Images(_with_pixels(_with_channels(data.detach()[:num_images] if data.ndim else data)))
    if isinstance(data, (str, bytes, dict)) or not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        raise TypeError(f"no images in a {type(data).__name__}: {_instead_of(data)}")
    if num_images is not None:
        data = torch.utils.data.Subset(data, range(min(num_images, len(data))))
    images = Images(data)
    _check_some(images)
    return images


def _check_some(images):
    """Raise ValueError if some of a Dataset's images, evenly spread, hold 0 and 1 of 255; warn if they are dark."""
    some = images.take(torch.linspace(0, len(images) - 1, min(LOOKED_AT, len(images))).long())
    whole = some.dtype == torch.uint8
    if whole and some.max() == 1:
        raise ValueError("the Dataset's images hold 0 and 1 as whole numbers, of 255: make them bool, or multiply by "
                         "255")
    _warn_of_darkness(some.max().item() * (1 if whole else 255))


def _instead_of(data):
    """What to give where ``data`` holds no images."""
    if isinstance(data, (str, os.PathLike)):
        return "open a path first, with data.load_data(config), whose data_path names it"
    if isinstance(data, torch.utils.data.DataLoader):
        return "give its dataset, loader.dataset; training makes its own batches"
    return "give a tensor, a Dataset, or data with factors (a data.FactorData)"


def _is_plain(images):
    """Whether a tensor holds its numbers one by one, in memory."""
    return images.layout is torch.strided and not images.is_quantized and not images.is_meta


def _tensor_of(array):
    """A NumPy array as a tensor, whatever its numbers; torch knows no big-endian numbers and hardly uint16."""
    if array.dtype.kind not in "buif":
        raise ValueError(f"images must be numbers, got an array of {array.dtype}")
    if np.ma.is_masked(array):
        raise ValueError(f"{np.ma.count_masked(array):,} values of the images are masked, and an image needs all its "
                         "values: fill them first, as array.filled(0) does")
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(array, array.dtype.newbyteorder("=")))


def _with_channels(images):
    """Images as (N, C, S, S)."""
    shape = tuple(images.shape)
    if images.ndim == 3 and shape[1] == shape[2]:
        say(f"images of shape {shape}: taken for grey ones, (N, S, S)")
        return images[:, None]
    if images.ndim != 4:
        raise ValueError(f"images must be uint8 or float of shape (N, C, S, S), got {images.dtype} {shape}")
    if shape[1] == shape[2] != shape[3] <= MOST_CHANNELS:
        say(f"images of shape {shape}: taken for channels last, (N, S, S, C)")
        return images.permute(0, 3, 1, 2).contiguous()
    return images


def _with_pixels(images):
    """Images as uint8 0..255 or float 0..1.

    Looks at every value: what is meant shows in the smallest and the largest.
    """
    if len(images) == 0:
        return images
    if images.numel() == 0 or images.is_complex():
        raise ValueError(f"images must be uint8 or float of shape (N, C, S, S), got {images.dtype} "
                         f"{tuple(images.shape)}")
    if images.dtype == torch.bool:
        return images.to(torch.uint8) * 255
    if not images.is_floating_point() and images.dtype != torch.uint8:
        images = images.long()                                        # torch has no minimum of uint16
    low, high = images.min().item(), images.max().item()
    if images.is_floating_point():
        if 0 <= low and high <= 1:
            _warn_of_darkness(high * 255)
            return images
        remedy = "rescale them, or leave out Normalize"
        if not math.isfinite(low) or not math.isfinite(high):
            remedy = "remove NaN and infinity"
        elif low >= 0 and DARK <= high <= 255:
            remedy = "divide by 255"
        raise ValueError(f"float images must lie in [0, 1], got values from {low:g} to {high:g}: {remedy}")
    if low < 0 or high > 65535:
        raise ValueError(f"whole-number images must lie in 0 to 255, got values from {low} to {high}: rescale them")
    if high == 1:
        say("images of 0 and 1: taken for black and white")
        return images.to(torch.uint8) * 255
    if high > 255:
        say(f"images with values up to {high}: taken for 16 bits per pixel")
        return (images.double() / 257).round().to(torch.uint8)
    _warn_of_darkness(high)
    return images.to(torch.uint8)


def _warn_of_darkness(high):
    """Warn if the brightest pixel of all images, of 255, is almost black."""
    if 0 < high < DARK:
        warnings.warn(f"all images are almost black: their largest value is {high:.3g} of 255. Spread the values over "
                      "0 to 255, or 0 to 1", stacklevel=4)


def split(n: int, val_fraction: float = 0.2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Positions 0..n-1, shuffled by ``seed``, as (train, validation)."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    held_out = min(n - 1, max(1, round(n * val_fraction))) if val_fraction > 0 else 0
    return order[held_out:], order[:held_out]


def to_batch(images: Tensor, device: str | torch.device = "cpu") -> Tensor:
    """uint8 0..255 or float 0..1 (B, C, S, S) -> float32 in [0, 1] on ``device``, channels last."""
    x = images.to(device, non_blocking=True)
    x = x.float().div_(255) if x.dtype == torch.uint8 else x.float()
    return x.contiguous(memory_format=torch.channels_last)


def to_uint8(images: Tensor) -> Tensor:
    """Images in [0, 1] -> uint8, without stretching their contrast."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def mirror_half(x: Tensor, u: Tensor | None = None) -> Tensor:
    """Each image of a batch (B, C, S, S) mirrored left to right with probability 1/2: faces have no handedness.

    ``u`` (B, 1, 1, 1): the draws from U(0, 1) that decide, if they are given.
    """
    u = torch.rand(len(x), 1, 1, 1, device=x.device) if u is None else u
    return torch.where(u < 0.5, x.flip(3), x)


def to_rgb(images: Tensor) -> Tensor:
    """Images (N, C, S, S) as three channels to look at: (N, 3, S, S).

    One channel is grey, two are red and green, and of more than three the first three are kept.
    """
    count = images.shape[1]
    if count == 1:
        return images.expand(-1, 3, -1, -1)
    if count == 2:
        return torch.cat([images, torch.zeros_like(images[:, :1])], dim=1)
    return images[:, :3]
