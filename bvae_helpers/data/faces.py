"""Procedural cartoon faces: nine known factors of variation, drawn as colour images.

They need no file and answer to the same four names as the sprites. Nothing here is measured on, or
copied from, any photograph.

A face is painted back to front out of ellipses, boxes and bent lines (canvas.py), each in the smallest
window that holds it at every value of the factors. Lengths are in units of 1/64 of the image's side.
"""

import math
import os
import pathlib
import shutil

import torch
from PIL import Image
from torch import Tensor

from .canvas import Canvas, both, box, ellipse, lens, outside, stroke
from .files import write_whole
from .factors import FactorData, check_factors

__all__ = ["ATTRIBUTES", "CartoonFaces"]

CHUNK = 256     # images drawn at a time: more leave the cache, fewer pay for a hundred small operations


def rgb(*colours: str) -> Tensor:
    """Hexadecimal colours -> float (len, 3) in [0, 1]."""
    return torch.tensor([[int(c[i:i + 2], 16) / 255 for i in (0, 2, 4)] for c in colours])


# Every factor: what its classes stand for. Neighbours look alike: hues follow the rainbow, the rest grows.
VALUES = {
    "background": rgb("f6a6b8", "f9be94", "f6dc88", "c8e48c", "92dcaa", "86d2de", "94b4f0", "bda2ee"),
    "skin": rgb("ffe0cb", "f8caa8", "e6ac83", "c98a60", "a1683f", "79492c"),
    "hair_colour": rgb("f6d878", "e3a23f", "c46a2b", "8f4526", "5a3023", "2b2029"),
    "hair_length": torch.linspace(33.0, 63.0, 6),             # where it ends, y in units
    "eyes": torch.linspace(0.35, 1.0, 5),                     # how far they are open
    "gaze": torch.linspace(-1.0, 1.0, 5),                     # of the irises' reach; > 0 is to the right of the image
    "brows": torch.linspace(-1.0, 1.0, 5),                    # angry to worried
    "smile": torch.linspace(-1.0, 1.0, 7),                    # frown to laugh
    "turn": torch.deg2rad(torch.linspace(-26.0, 26.0, 7)),    # of the head, radians; > 0 is to the right of the image
}
FACTOR_NAMES = tuple(VALUES)
FACTOR_SIZES = tuple(len(values) for values in VALUES.values())
WHITE, INK, IRIS, LIPS = rgb("fffdf8", "2a1e2b", "3f7f93", "c0354a")
MOUTH, BLUSH, SHIRT, COLLAR = rgb("7d2233", "ffbfbc", "3f5f8c", "f4efe2")

# What CelebA's annotators would tick, under its names where it has one: a factor, and the classes that count
ATTRIBUTES = {
    "Smiling": ("smile", (4, 5, 6)), "Narrow_Eyes": ("eyes", (0, 1)), "Pale_Skin": ("skin", (0,)),
    "Blond_Hair": ("hair_colour", (0, 1)), "Brown_Hair": ("hair_colour", (3, 4)), "Black_Hair": ("hair_colour", (5,)),
    "Long_Hair": ("hair_length", (3, 4, 5)), "Angry_Brows": ("brows", (0, 1)),
    "Looking_Right": ("gaze", (3, 4)), "Turned_Right": ("turn", (4, 5, 6)),
}


def on_head(longitude: float, turn: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """A feature at a longitude (radians) of a turned round head -> x in units, and its foreshortening."""
    return 32 + radius * torch.sin(longitude + turn), torch.cos(longitude + turn)


def paint_behind(canvas: Canvas, v: dict[str, Tensor]) -> None:
    """Background, shoulders, the hair that falls behind them, neck and ears."""
    canvas.pixels[:] = v["background"][:, :, None, None]
    canvas.paint((0, 0, 64, 64), ellipse(32, 30, 27, 27), WHITE, 0.35, soft=26)
    canvas.paint((3, 55, 61, 64), ellipse(32, 70, 26, 14), SHIRT)
    for side in (-1, 1):
        x = 32 + side * 16.4 - 1.8 * v["sway"]
        window = (10, 32, 22, 46) if side < 0 else (42, 32, 54, 46)
        canvas.paint(window, ellipse(x, 39, 3.4, 4.6), v["skin"] * 0.95)
        canvas.paint(window, ellipse(x, 39.2, 1.6, 2.8), v["skin"] * 0.8)
    long = (v["hair_length"] - VALUES["hair_length"][0]) / 30
    canvas.paint((8, 22, 56, 64), box(32, 19.5 + 2.5 * long, 22, v["hair_length"], 6), v["hair_colour"] * 0.82)
    canvas.paint((21, 53, 43, 64), ellipse(32, 57.5, 8.5, 4.5), COLLAR)
    canvas.paint((25, 46, 39, 62), box(32, 5.5, 42, 60.5, 5), v["skin"] * 0.86)


def paint_face(canvas: Canvas, v: dict[str, Tensor]) -> None:
    """The face itself, its cheeks and its nose."""
    canvas.paint((12, 14, 52, 57), ellipse(32 + 0.8 * v["sway"], 36.5, 16.3, 18.3), v["skin"])
    for side in (-1, 1):
        x, width = on_head(side * math.radians(40), v["turn"], 16)
        canvas.paint((12, 38, 52, 50), ellipse(x, 43.8, 1 + 3 * width, 2.6), v["skin"] * BLUSH, 0.7, soft=3)
    nose = on_head(0.0, v["turn"], 19)[0]
    canvas.paint((18, 36, 46, 46), ellipse(nose, 41.3, 2.2, 1.7), v["skin"] * 0.8, 0.9)
    canvas.paint((18, 36, 46, 46), ellipse(nose - 0.2, 40.7, 1.8, 1.3), v["skin"] * 0.97)


def paint_eyes(canvas: Canvas, v: dict[str, Tensor]) -> None:
    """Whites, irises that look to a side, and lids."""
    for side in (-1, 1):
        x, width = on_head(side * math.radians(27), v["turn"], 16.5)
        left = 14 if side < 0 else 24
        window, half, tall = (left, 28, left + 26, 42), 4.9 * width, 5.2 * v["eyes"]
        white = ellipse(x, 35.0, half, tall)
        look = x + 1.9 * v["gaze"] * width
        canvas.paint(window, white, WHITE)
        canvas.paint(window, both(ellipse(look, 35.2, 3.1 * width.sqrt(), 3.4), white), IRIS)
        canvas.paint(window, both(ellipse(look, 35.2, 1.7 * width.sqrt(), 1.9), white), INK)
        canvas.paint(window, both(ellipse(look - 1.0, 33.9, 0.9, 0.9), white), WHITE)
        canvas.paint(window, both(outside(white), ellipse(x, 34.6, half + 0.8, tall + 0.7), lambda x, y: y - 35.5), INK)


def paint_mouth(canvas: Canvas, v: dict[str, Tensor]) -> None:
    """A line that bends from a frown to a smile, and opens as it laughs."""
    x, width = on_head(0.0, v["turn"], 14)
    half, laugh = (6.8 + 1.2 * v["smile"]) * width, v["smile"].clamp_min(0).sqrt()
    bend = 3.2 * v["smile"]
    window = (15, 41, 49, 57)
    canvas.paint(window, stroke(x, 47.3, half, -bend, 0.0, 1.1), LIPS)
    canvas.paint(window, lens(x, half, 47.3 - bend, bend, bend + 5.5 * laugh), MOUTH)
    canvas.paint(window, lens(x, half - 1, 47.3 - bend, bend, bend + 3.4 * laugh), WHITE)


def paint_hair(canvas: Canvas, v: dict[str, Tensor]) -> None:
    """The hair over the forehead, its gloss, and the brows."""
    x = 32 + 3 * v["sway"]
    cap = ellipse(32, 30.5, 19.5, 22)
    brim = both(cap, outside(ellipse(x, 41, 15.2, 19.5)), lambda x, y: y - 38)
    canvas.paint((11, 7, 53, 44), brim, v["hair_colour"])
    canvas.paint((11, 7, 53, 30), both(cap, ellipse(x - 9, 15.5, 17, 9.5)), v["hair_colour"])
    canvas.paint((20, 4, 50, 16), ellipse(33, 12, 12, 5.2), v["hair_colour"])
    gloss = stroke(32 + 2.5 * v["sway"], 13.2, 9.0, 2.2, 0.0, 1.0)
    canvas.paint((16, 9, 48, 20), gloss, v["hair_colour"] * 0.6 + 0.4, 0.7, soft=1.6)
    for side in (-1, 1):                                   # brows are drawn over the hair, as cartoonists do
        x, width = on_head(side * math.radians(27), v["turn"], 16.5)
        brow = stroke(x + side * 0.3, 26.5, 5.0 * width, 1.1, side * 2.8 * v["brows"], 1.3)
        canvas.paint((12, 20, 40, 33) if side < 0 else (24, 20, 52, 33), brow, v["hair_colour"] * 0.5)


def factor_values(factors: Tensor) -> dict[str, Tensor]:
    """Integer classes (N, 9) -> what the renderer draws: the rows of VALUES, and the turn in -1..1 (``sway``)."""
    value = {name: VALUES[name].to(factors.device)[classes] for name, classes in zip(FACTOR_NAMES, factors.unbind(1))}
    value["sway"] = value["turn"] / VALUES["turn"][-1]
    return value


def draw(factors: Tensor, img_size: int) -> Tensor:
    """Integer classes (n, 9) -> uint8 (n, 3, img_size, img_size)."""
    canvas, values = Canvas(len(factors), img_size, factors.device), factor_values(factors)
    for paint in (paint_behind, paint_face, paint_eyes, paint_mouth, paint_hair):
        paint(canvas, values)
    return canvas.pixels.mul_(255).add_(0.5).to(torch.uint8)


class CartoonFaces(FactorData):
    """Procedural cartoon faces. Nothing is stored: every image is drawn from its nine factors.

    ``device`` is where images are drawn and returned; ``img_size`` their side in pixels.
    """

    factor_names = FACTOR_NAMES
    factor_sizes = FACTOR_SIZES

    def __init__(self, device: str | torch.device = "cpu", img_size: int = 64):
        if img_size < 16:
            raise ValueError(f"img_size must be 16 or more, got {img_size}: a smaller face is no face")
        self.device, self.img_size = torch.device(device), img_size

    def images(self, factors: Tensor) -> Tensor:
        """Draw the images of integer classes (N, 9) -> uint8 (N, 3, img_size, img_size).

        Raises ValueError for a wrong shape or a class out of range.
        """
        factors = check_factors(factors, self.factor_sizes, self.factor_names).to(self.device)
        out = torch.empty(len(factors), 3, self.img_size, self.img_size, dtype=torch.uint8, device=self.device)
        for start in range(0, len(factors), CHUNK):
            out[start:start + CHUNK] = draw(factors[start:start + CHUNK], self.img_size)
        return out

    def attributes(self, factors: Tensor) -> Tensor:
        """Integer classes (N, 9) -> long (N, len(ATTRIBUTES)): as in CelebA, 1 where an attribute holds, else -1."""
        factors = check_factors(factors, self.factor_sizes, self.factor_names)
        held = [torch.isin(factors[:, FACTOR_NAMES.index(name)], torch.tensor(classes, device=factors.device))
                for name, classes in ATTRIBUTES.values()]
        return torch.stack(held, dim=1).long() * 2 - 1

    def write_folder(self, path: str | os.PathLike, n: int, seed: int = 0, quality: int = 95) -> pathlib.Path:
        """Write n faces as JPEGs, in CelebA's layout -> the folder of pictures, ``path``/img_align_celeba.

        Beside it stands ``path``/list_attr_celeba.txt: the count, the names of ATTRIBUTES, and a line of 1 and -1
        for each picture. The factors are those of ``data.render(self, n, seed)``. ``quality`` is JPEG's, 1 to 95.
        Raises FileExistsError where pictures are already: nobody's are overwritten. When it is interrupted or the disk
        is full (OSError), nothing is left behind.
        """
        root = pathlib.Path(path).expanduser()
        pictures, attributes = root / "img_align_celeba", root / "list_attr_celeba.txt"
        if attributes.exists() or (pictures.is_dir() and any(pictures.iterdir())):
            raise FileExistsError(f"{str(root)!r} already holds pictures: name another folder, or delete that one")
        pictures.mkdir(parents=True, exist_ok=True)
        try:
            self._write_pictures(pictures, attributes, n, seed, quality)
        except BaseException as error:
            shutil.rmtree(pictures, ignore_errors=True)
            if isinstance(error, OSError):
                raise OSError(error.errno, f"the faces cannot be written to {str(root)!r} ({error.strerror}): name a "
                              "folder with room; nothing is left in that one") from error
            raise
        return pictures

    def _write_pictures(self, pictures, attributes, n, seed, quality):
        """Write n faces into the folder ``pictures``, and then their list to the file ``attributes``."""
        factors = self.sample_factors(n, torch.Generator().manual_seed(seed))
        names = [f"{i:06d}.jpg" for i in range(1, n + 1)]
        for start in range(0, n, CHUNK):
            chunk = self.images(factors[start:start + CHUNK]).permute(0, 2, 3, 1).cpu().numpy()
            for name, pixels in zip(names[start:start + CHUNK], chunk):
                Image.fromarray(pixels).save(pictures / name, quality=quality)
        rows = [[name, *(f"{held:2d}" for held in row)] for name, row in zip(names, self.attributes(factors).tolist())]
        lines = [str(n), " ".join(ATTRIBUTES), *(" ".join(row) for row in rows)]
        write_whole(attributes, lambda file: file.write(("\n".join(lines) + "\n").encode()))
