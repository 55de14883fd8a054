"""Every setting of a run, its default and its range."""

import contextlib
import difflib
import json
import os
import pathlib
import tomllib
import typing
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from typing import Any

__all__ = ["ALIASES", "Config", "is_optional", "kind_of", "unknown_settings"]

ALIASES = {"learning_rate": "lr"}
RETIRED = {"compile"}           # settings of older checkpoints that no longer exist: accepted and ignored
ELSEWHERE = {                   # of other programs
    "device": "it is an argument of fit(), and --device on the command line",
    "num_workers": "leave it out, images are read without worker processes",
    "optimizer": "leave it out, it is always Adam"}
MANY = 10 ** 12                 # the largest count: more of anything is a mistake
MOST_BLOCKS = 16                # the longest list of numbers


def knob(default, help, low=None, high=None, choices=None):
    """A dataclass field with its meaning, its range and its choices as metadata."""
    meta = {"help": help, "low": low, "high": high, "choices": choices}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=meta)
    return field(default=default, metadata=meta)


@dataclass(init=False)
class Config:
    """All settings of a run. The defaults are the classic ones, for colour photographs of 64 x 64 pixels.

    ``Config(**dictionary)`` takes the classic dictionary as it is; ``learning_rate`` is accepted for ``lr``. Values
    are kept as plain Python numbers and strings, whatever their type was, so that a checkpoint can hold them.
    Raises TypeError for unknown settings, naming the nearest known ones, and ValueError for a value out of range,
    naming the range. Presets: ``Config.sprites()``, ``Config.falling()``, ``Config.faces()``.
    """

    # data
    data_path: str = knob("./CelebA/img_align_celeba", "'sprites', 'sprites-colour', 'sprites-noise', "
                                                       "'sprites-picture' or 'faces' (drawn), a folder of images or a "
                                                       "zip of one, a dSprites or MPI3D .npz, a 3D Shapes .h5, a "
                                                       "folder of Cars3D or SmallNORB")
    num_images: int | None = knob(None, "use at most this many images (default: all)", 2, MANY)
    img_size: int = knob(64, "side of the square images, in pixels", 8, 1024)
    in_channels: int = knob(3, "colour channels", 1, 64)
    crop: int | None = knob(None, "side of the central square cut out of each picture, in the picture's own pixels; "
                                  "148 is usual for CelebA (default: the largest square; 0: no cut, the whole picture "
                                  "is squeezed square)", 0, MANY)
    flip: bool = knob(False, "mirror a random half of each training batch left to right")
    val_fraction: float = knob(0.2, "share of the images kept for validation", 0.0, 0.9)
    # model
    network: str = knob("classic", "architecture", choices=("classic", "sprites"))
    latent_dim: int = knob(128, "number of latents", 1, 4096)
    hidden_dims: list[int] = knob([32, 64, 128, 256], "channels of the stride-2 blocks", 1, 4096)
    patch: int = knob(1, "side of the squares of pixels that become channels before the first block (1: none); on "
                         "sprites, patch 4 with hidden_dims [32, 64] trains nearly five times as fast on a CPU", 1, 64)
    # objective
    objective: str = knob("beta_vae", "objective", choices=(
        "beta_vae", "annealed", "btcvae", "btcvae_stratified", "btcvae_gamma", "factorvae", "dipvae1", "dipvae2"))
    beta: float = knob(4.0, "weight of the KL (annealed: of |KL - capacity|; btcvae, factorvae: of the total "
                            "correlation; dipvae: of the covariances)", 0.0, 1e6)
    gamma: float = knob(1.0, "btcvae_gamma: weight of the dimension-wise KL; below 1, the distribution of a latent's "
                             "codes may differ more from the prior", 0.0, 1e6)
    beta_schedule: str = knob("constant", "how beta changes over the steps",
                              choices=("constant", "warmup", "cyclical", "decreasing"))
    schedule_steps: int = knob(0, "steps of the warm-up, of one cycle, or of the decrease", 0, MANY)
    beta_start: float = knob(40.0, "decreasing: beta at the first step", 0.0, 1e6)
    capacity_max: float = knob(25.0, "annealed: the final capacity, in nats", 0.0, 1e6)
    capacity_steps: int = knob(100_000, "annealed: steps over which the capacity rises from 0", 1, MANY)
    discriminator_width: int = knob(1000, "factorvae: units in each of the discriminator's six layers", 1, 100_000)
    discriminator_lr: float = knob(1e-4, "factorvae: the discriminator's learning rate", 0.0, 100.0)
    reconstruction: str = knob("mse", "likelihood", choices=("mse", "bernoulli", "gaussian", "laplace"))
    sigma: float = knob(1.0, "scale of the gaussian or laplace likelihood, for pixels from 0 to 1", 1e-6, 1e6)
    # optimisation
    epochs: int = knob(50, "passes over the training images", 1, 10 ** 9)
    batch_size: int = knob(32, "images per step", 1, 10 ** 9)
    lr: float = knob(1e-4, "Adam's learning rate", 0.0, 100.0)
    lr_schedule: str = knob("plateau", "learning-rate schedule", choices=("plateau", "constant", "cosine"))
    lr_factor: float = knob(0.5, "plateau: multiply the learning rate by this", 0.01, 0.99)
    lr_patience: int = knob(5, "plateau: epochs without a better validation loss before that", 0, MANY)
    grad_clip: float = knob(1000.0, "largest norm of the gradient, in nats (0: no clipping)", 0.0)
    seed: int = knob(0, "seed of the split, the order of the images and the noise", 0, 2 ** 63 - 1)
    precision: str = knob("auto", "of the convolutions; auto: float32 on a CPU, 16 bits on CUDA",
                          choices=("auto", "float32", "bfloat16", "float16"))
    sync_batchnorm: bool = knob(False, "several processes: BatchNorm over the whole batch, not over each process's "
                                       "share of it")
    # records
    save_dir: str | None = knob("./checkpoints", "folder of the checkpoints (None: keep nothing)")
    log_dir: str | None = knob("./runs", "folder of the TensorBoard logs (None: no logs)")
    save_every: int = knob(10, "epochs between the checkpoints that are kept", 1, MANY)
    save_seconds: float = knob(60.0, "seconds between saves of last.pt inside an epoch", 0.0)
    log_every: int = knob(50, "steps between two points of the curves", 1, MANY)

    def __init__(self, **values: Any):
        unknown = unknown_settings(values)
        if unknown:
            raise TypeError("; ".join(map(_instead_of, unknown)))
        values = {ALIASES.get(key, key): value for key, value in values.items() if key not in RETIRED}
        for f in fields(self):
            default = f.default_factory() if f.default is MISSING else f.default
            setattr(self, f.name, _checked(f, values.get(f.name, default)))

    @classmethod
    def sprites(cls, **changes: Any) -> "Config":
        """The literature's setting for dSprites: 1 x 64 x 64 pixels, 10 latents, Bernoulli likelihood."""
        preset = dict(data_path="sprites", in_channels=1, network="sprites", latent_dim=10,
                      hidden_dims=[32, 32, 64, 64], reconstruction="bernoulli", batch_size=64, lr=5e-4)
        return cls(**{**preset, **changes})

    @classmethod
    def falling(cls, **changes: Any) -> "Config":
        """Sprites whose factors separate within minutes on a CPU: the beta-TCVAE, with beta decreasing from 64 to 4.

        At beta 64 only position and size are worth their KL, and each gets a latent of its own; the other factors
        follow as beta falls. 35,616 steps of a small network (``patch`` 4). The decrease takes 24,000 steps whatever
        the length of the run: for another length, set ``schedule_steps`` to two thirds of the steps.
        """
        preset = dict(objective="btcvae", beta=4.0, beta_schedule="decreasing", beta_start=64.0, schedule_steps=24_000,
                      hidden_dims=[32, 64], patch=4, num_images=200_000, val_fraction=0.05, lr=1e-3,
                      lr_schedule="cosine", epochs=12)
        return cls.sprites(**{**preset, **changes})

    @classmethod
    def faces(cls, **changes: Any) -> "Config":
        """For the drawn faces: the classic network on 3 x 64 x 64 pixels, with 16 latents for nine factors.

        The likelihood is Gaussian with sigma 0.2: in nats, the pixels that a smile changes then weigh 12.5 times as
        much as in the classic squared error (notebook 07 measures both). The default is 50,000 of the 10,584,000 faces.
        """
        preset = dict(data_path="faces", num_images=50_000, latent_dim=16, reconstruction="gaussian", sigma=0.2,
                      batch_size=64, lr=1e-3)
        return cls(**{**preset, **changes})

    @classmethod
    def load(cls, path: str | os.PathLike, **changes: Any) -> "Config":
        """Read a .json or .toml file of settings; ``changes`` override the file's.

        Raises ValueError for another kind of file, or one that cannot be read as a table of settings.
        """
        path = pathlib.Path(path)
        readers = {".json": json.loads, ".toml": tomllib.loads}
        if path.suffix.lower() not in readers:
            raise ValueError(f"settings are read from .json or .toml, not {path.name!r}")
        try:
            settings = readers[path.suffix.lower()](path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise ValueError(f"{str(path)!r} is not in UTF-8: save it in this encoding ({error})") from error
        except (ValueError, RecursionError) as error:       # not JSON or TOML, or nested too deeply
            raise ValueError(f"{str(path)!r} is not a readable {path.suffix} file: {error}") from error
        if not isinstance(settings, dict):
            raise ValueError(f"{str(path)!r} must hold one table of settings, such as {{\"beta\": 4}}")
        return cls(**{**settings, **changes})

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain numbers, strings and lists: what a checkpoint stores."""
        return asdict(self)

    def replace(self, **changes: Any) -> "Config":
        """A copy with some settings changed, and checked."""
        return Config(**{**self.to_dict(), **changes})


def unknown_settings(values: dict[str, Any]) -> list[str]:
    """Those of the keys that are no settings, in their order."""
    return [key for key in values if key not in {f.name for f in fields(Config)} | ALIASES.keys() | RETIRED]


def _instead_of(key):
    """What to say of a key that is no setting."""
    if key in ELSEWHERE:
        return f"unknown setting {key!r}: {ELSEWHERE[key]}"
    near = difflib.get_close_matches(key, [f.name for f in fields(Config)] + list(ALIASES), n=1, cutoff=0.0)[0]
    return f"unknown setting {key!r}; the nearest known one is {near!r}"


def is_optional(f: Field) -> bool:
    """Whether the setting may be None."""
    return type(None) in typing.get_args(f.type)


def kind_of(f: Field) -> type:
    """The type of a setting's values other than None: int, float, bool, str or list[int]."""
    return typing.get_args(f.type)[0] if is_optional(f) else f.type


def _checked(f, value):
    """``value`` as a plain value of the field's type; ValueError with the range if it is none."""
    kind, value = kind_of(f), _plain(value)
    if value is None and is_optional(f):
        return None
    if kind == list[int]:
        return _checked_list(f, value)
    if kind is bool:
        if not isinstance(value, bool):
            raise ValueError(f"{f.name} must be True or False, got {_short(value)}")
        return value
    if kind is str:
        choices = f.metadata["choices"]
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"{f.name} must not hold the character of number 0, got {_short(value)}")
        if not isinstance(value, str) or (choices and value not in choices):
            raise ValueError(f"{f.name} must be {' or '.join(choices or ['a string'])}, got {_short(value)}")
        return value
    return _checked_number(f, value, kind)


def _plain(value):
    """NumPy's and PyTorch's scalars, paths and subclasses of str as Python's own types; anything else as it is."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        with contextlib.suppress(RuntimeError):         # a tensor without data
            value = value.item()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return str.__str__(value) if isinstance(value, str) else value       # str(value) of an Enum would be its name


def _checked_list(f, value):
    """``value`` as a list of whole numbers within the field's range."""
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__getitem__") or not 1 <= len(value) <= MOST_BLOCKS:
        raise ValueError(f"{f.name} must be a non-empty list of at most {MOST_BLOCKS} whole numbers, got "
                         f"{_short(value)}")
    return [_checked_number(f, number, int) for number in value]


def _checked_number(f, value, kind):
    """``value`` as an int or a float within the field's range."""
    low = -float("inf") if f.metadata["low"] is None else f.metadata["low"]
    high = float("inf") if f.metadata["high"] is None else f.metadata["high"]
    expected = f"{f.name} must be a {'whole ' if kind is int else ''}number from {low} to {high}, got {_short(value)}"
    value = _plain(value)
    if isinstance(value, bool) or hasattr(value, "__len__"):            # text and lists, too
        raise ValueError(expected)
    try:
        number = kind(value)
        fits = number == value and low <= number <= high
    except (TypeError, ValueError, ArithmeticError):
        fits = False
    if not fits:
        raise ValueError(expected)
    return number


def _short(value):
    """``repr`` of a value for an error message, in one line of at most 80 characters."""
    try:
        text = " ".join(repr(value).split())
    except Exception:           # an int of more than 4,300 digits, or a class whose own __repr__ fails
        return f"a value of type {type(value).__name__} that cannot be shown"
    return text if len(text) <= 80 else f"{text[:77]}..."
