"""Every knob, its default and its range; and the profiles, which say how much of everything to run."""

import difflib
import json
import os
import pathlib
import tomllib
import typing
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import NamedTuple

import torch

ALIASES = {"learning_rate": "lr"}


def knob(default, help, low=None, high=None, choices=None):
    """A dataclass field that knows what it means and which values it takes."""
    meta = {"help": help, "low": low, "high": high, "choices": choices}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=meta)
    return field(default=default, metadata=meta)


@dataclass(init=False)
class Config:
    """All settings of a run. The defaults are the classic ones, for colour photographs at 64 x 64.

    ``Config(**dictionary)`` takes the classic dictionary as it is (``learning_rate`` means ``lr``).
    Raises TypeError for an unknown key, naming the nearest known one, and ValueError for a value
    out of range, naming the range. ``Config.sprites()`` is the preset for dSprites, ``Config.faces()`` for the drawn faces.
    """

    # data
    data_path: str = knob("./CelebA/img_align_celeba", "'sprites' or 'faces' (drawn), a folder of images or a zip "
                          "of one, a dSprites .npz, a 3D Shapes .h5")
    num_images: int | None = knob(None, "use at most this many images (default: all)", 2)
    img_size: int = knob(64, "side of the square images, in pixels", 8, 1024)
    in_channels: int = knob(3, "colour channels", 1, 64)
    crop: int | None = knob(None, "side of the central square cut out of each picture, in its own pixels, 148 being usual for "
                            "CelebA (default: the largest; 0: no cut, the whole picture squeezed square)", 0)
    flip: bool = knob(False, "mirror half of the training images, drawn anew at every step, left to right")
    val_fraction: float = knob(0.2, "share of the images kept for validation", 0.0, 0.9)
    # model
    network: str = knob("classic", "architecture", choices=("classic", "sprites"))
    latent_dim: int = knob(128, "number of latents", 1, 4096)
    hidden_dims: list[int] = knob([32, 64, 128, 256], "channels of the stride-2 blocks", 1, 4096)
    patch: int = knob(1, "side of the squares of pixels that become channels before the first block (1: none); on sprites "
                      "patch 4 with hidden_dims [32, 64] trains nearly five times as fast", 1, 64)
    # objective
    objective: str = knob("beta_vae", "objective", choices=("beta_vae", "annealed", "btcvae", "btcvae_stratified", "btcvae_gamma",
                                                              "factorvae", "dipvae1", "dipvae2"))
    beta: float = knob(4.0, "weight of the KL (annealed: of |KL - capacity|; btcvae, factorvae: of the total correlation; "
                       "dipvae: of the covariances)", 0.0, 1e6)
    gamma: float = knob(1.0, "btcvae_gamma: weight of the dimension-wise KL; below 1 each latent's codes may spread as they "
                        "like", 0.0, 1e6)
    beta_schedule: str = knob("constant", "how beta moves over the steps",
                              choices=("constant", "warmup", "cyclical", "decreasing"))
    schedule_steps: int = knob(0, "steps of the warm-up, of one cycle, or of the decrease", 0)
    beta_start: float = knob(40.0, "decreasing: beta at the first step", 0.0, 1e6)
    capacity_max: float = knob(25.0, "annealed: the capacity in the end, in nats", 0.0, 1e6)
    capacity_steps: int = knob(100_000, "annealed: steps over which the capacity rises from 0", 1)
    discriminator_width: int = knob(1000, "factorvae: units in each of the discriminator's six layers", 1, 100_000)
    discriminator_lr: float = knob(1e-4, "factorvae: the discriminator's learning rate", 0.0, 100.0)
    reconstruction: str = knob("mse", "likelihood", choices=("mse", "bernoulli", "gaussian", "laplace"))
    sigma: float = knob(1.0, "scale of the gaussian or laplace likelihood, pixels being 0 to 1", 1e-6, 1e6)
    # optimisation
    epochs: int = knob(50, "passes over the training images", 1)
    batch_size: int = knob(32, "images per step", 1)
    lr: float = knob(1e-4, "Adam's learning rate", 0.0, 100.0)
    lr_schedule: str = knob("plateau", "learning-rate schedule", choices=("plateau", "constant", "cosine"))
    lr_factor: float = knob(0.5, "plateau: multiply the learning rate by this", 0.01, 0.99)
    lr_patience: int = knob(5, "plateau: epochs without a better validation loss before that", 0)
    grad_clip: float = knob(1000.0, "largest norm of the gradient, in nats (0: no clipping)", 0.0)
    seed: int = knob(0, "seed of the split, the order of the images and the noise", 0)
    precision: str = knob("auto", "of the convolutions; auto: float32 on a CPU, 16 bits on CUDA",
                          choices=("auto", "float32", "bfloat16", "float16"))
    compile: bool = knob(False, "torch.compile the networks")
    sync_batchnorm: bool = knob(False, "several processes: BatchNorm over the whole batch, not over each one's share")
    # records
    save_dir: str | None = knob("./checkpoints", "folder of the checkpoints (None: keep nothing)")
    log_dir: str | None = knob("./runs", "folder of the TensorBoard logs (None: no logs)")
    save_every: int = knob(10, "epochs between the checkpoints that are kept", 1)
    save_seconds: float = knob(60.0, "seconds between saves of last.pt inside an epoch", 0.0)
    log_every: int = knob(50, "steps between two points of the curves", 1)

    def __init__(self, **values):
        values = {ALIASES.get(key, key): value for key, value in values.items()}
        names = [f.name for f in fields(self)]
        for key in values.keys() - set(names):
            near = difflib.get_close_matches(key, names + list(ALIASES), n=1, cutoff=0.0)[0]
            raise TypeError(f"unknown setting {key!r}; the nearest known one is {near!r}")
        for f in fields(self):
            default = f.default_factory() if f.default is MISSING else f.default
            setattr(self, f.name, checked(f, values.get(f.name, default)))

    @classmethod
    def sprites(cls, **changes):
        """The literature's dSprites setting: 1 x 64 x 64, 10 latents, Bernoulli likelihood."""
        preset = dict(data_path="sprites", in_channels=1, network="sprites", latent_dim=10, hidden_dims=[32, 32, 64, 64],
                      reconstruction="bernoulli", batch_size=64, lr=5e-4)
        return cls(**{**preset, **changes})

    @classmethod
    def falling(cls, **changes):
        """Sprites whose causes separate while you watch, on a CPU: the beta-TCVAE, its beta falling from 64 to 4.

        At first only position and size are worth a latent, each its own; 35,616 steps of a network that folds (``patch``).
        For a run of another length, let ``schedule_steps`` be two thirds of its steps.
        """
        preset = dict(objective="btcvae", beta=4.0, beta_schedule="decreasing", beta_start=64.0, schedule_steps=24_000,
                      hidden_dims=[32, 64], patch=4, num_images=200_000, val_fraction=0.05, lr=1e-3, lr_schedule="cosine",
                      epochs=12)
        return cls.sprites(**{**preset, **changes})

    @classmethod
    def faces(cls, **changes):
        """For the procedural cartoon faces: the classic network on 3 x 64 x 64 with 16 latents for nine causes.

        The likelihood is Gaussian with sigma 0.2: all that a smile changes is then worth 68 nats, where as the classic
        squared error it is 5.5, less than beta times the KL of a latent for it. 50,000 of the 10,584,000 faces.
        """
        preset = dict(data_path="faces", num_images=50_000, latent_dim=16, reconstruction="gaussian", sigma=0.2,
                      batch_size=64, lr=1e-3)
        return cls(**{**preset, **changes})

    @classmethod
    def load(cls, path, **changes):
        """Read a .json or .toml file of settings; ``changes`` win over it."""
        path = pathlib.Path(path)
        readers = {".json": json.loads, ".toml": tomllib.loads}
        if path.suffix not in readers:
            raise ValueError(f"settings are read from .json or .toml, not {path.name!r}")
        return cls(**{**readers[path.suffix](path.read_text(encoding="utf-8")), **changes})

    def to_dict(self):
        """Plain numbers, strings and lists: what a checkpoint stores."""
        return asdict(self)

    def replace(self, **changes):
        """A copy with some settings changed (and checked)."""
        return Config(**{**self.to_dict(), **changes})


def is_optional(f):
    return type(None) in typing.get_args(f.type)


def kind_of(f):
    """The type of a field's values, None aside: int, float, bool, str or list[int]."""
    return typing.get_args(f.type)[0] if is_optional(f) else f.type


def checked(f, value):
    """``value`` in the type of the field ``f``; ValueError with the range when it is not a value of it."""
    meta, kind = f.metadata, kind_of(f)
    if value is None and is_optional(f):
        return None
    if kind == list[int]:
        if isinstance(value, str) or not hasattr(value, "__len__") or len(value) == 0:
            raise ValueError(f"{f.name} must be a non-empty list of whole numbers, got {value!r}")
        return [check_number(f.name, v, int, meta) for v in value]
    if kind is bool:
        if not isinstance(value, bool):
            raise ValueError(f"{f.name} must be True or False, got {value!r}")
        return value
    if kind is str:
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(value, str) or (meta["choices"] and value not in meta["choices"]):
            raise ValueError(f"{f.name} must be {' or '.join(meta['choices'] or ['a string'])}, got {value!r}")
        return value
    return check_number(f.name, value, kind, meta)


def check_number(name, value, kind, meta):
    low = -float("inf") if meta["low"] is None else meta["low"]
    high = float("inf") if meta["high"] is None else meta["high"]
    what = f"{name} must be a {'whole ' if kind is int else ''}number from {low} to {high}, got {value!r}"
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(what) from None
    if isinstance(value, (bool, str)) or number != value or not low <= number <= high:
        raise ValueError(what)
    return number


class Profile(NamedTuple):
    """How much to run. A profile changes amounts only, never shapes or code paths."""

    name: str
    images: int    # sprites to train on
    epochs: int    # passes over them
    samples: int   # images to measure with
    seeds: int     # evaluation seeds to measure with


PROFILES = {p.name: p for p in (Profile("tiny", 512, 2, 300, 1), Profile("laptop", 20_000, 3, 5_000, 3),
                                Profile("gpu", 737_280, 30, 10_000, 5))}


def profile(name=None):
    """The profile called ``name``, else by BVAE_PROFILE, else gpu where CUDA is, else laptop."""
    name = name or os.environ.get("BVAE_PROFILE") or ("gpu" if torch.cuda.is_available() else "laptop")
    if name not in PROFILES:
        raise ValueError(f"the profile (BVAE_PROFILE) must be {' or '.join(PROFILES)}, got {name!r}")
    return PROFILES[name]
