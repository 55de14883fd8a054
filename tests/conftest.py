"""What several test modules share: one thread, small pictures, a small network, and a way to compare runs.

    BVAE_TEST_CORES=16 python -m pytest       # as on a machine of 16 cores
    BVAE_TEST_CUDA=1 python -m pytest         # CUDA is the default device: what uses a card unasked fails without one

Both change what Python is told, not what the machine has. They hold in the process of the tests, not in
processes that tests start.
"""

import os
import pathlib
from dataclasses import asdict

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch

import bvae_helpers.model

if "BVAE_TEST_CUDA" in os.environ:        # before other modules take the function by its name
    bvae_helpers.model.default_device = lambda: torch.device("cuda")

from bvae_helpers.config import Config
from bvae_helpers.data import Sprites
from bvae_helpers.model import BetaVAE
from bvae_helpers.training import fit

torch.set_num_threads(1)      # networks this small gain nothing from more, and lose much on a busy machine

if "BVAE_TEST_CORES" in os.environ:
    CORES = int(os.environ["BVAE_TEST_CORES"])
    os.cpu_count = lambda: CORES
    os.sched_getaffinity = lambda process: set(range(CORES))

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"   # real data, next to a checkout or not at all


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """Pictures decoded by tests are cached where pytest cleans up, not in the user's cache."""
    os.environ["BVAE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def shared_file():
    """``shared_file("dsprites/frames.npz")`` -> its path; skips the test where the file is not there."""
    def find(name):
        if not (SHARED / name).exists():
            pytest.skip(f"needs {name}, real data that is not part of the repository")
        return SHARED / name
    return find


def small_pictures(n=100):
    """n sprites, every fourth pixel: uint8 (n, 1, 16, 16)."""
    sprites = Sprites()
    return sprites.images(sprites.sample_factors(n, torch.Generator().manual_seed(0)))[:, :, 2::4, 2::4].contiguous()


def small_config(save_dir=None, **changes):
    """A network of two blocks and three latents on 16 x 16 pixels: an epoch takes a blink."""
    settings = dict(img_size=16, hidden_dims=[4, 8], latent_dim=3, batch_size=8, lr=1e-3, epochs=2, precision="float32",
                    save_dir=save_dir, log_dir=None, log_every=4)
    return Config.sprites(**{**settings, **changes})


def new_model(config, seed=0):
    """A model with weights drawn from ``seed``."""
    torch.manual_seed(seed)
    return BetaVAE.from_config(config)


def train(config, data=None, model=None, **options):
    """Train a small model on the CPU, whatever the machine has -> model, history."""
    model = model or new_model(config)
    data = small_pictures() if data is None else data
    return model, fit(model, data, config, **{"progress": False, "device": "cpu", **options})


def curves(history):
    """A history without what the clock says: plain values that can be compared with ==."""
    values = asdict(history)
    for name in ("seconds", "images_per_second"):
        values["epochs"].pop(name)
    values["pictures"] = {step: pair.tolist() for step, pair in history.pictures.items()}
    return values


def same_state(one, two):
    """Whether two state dicts hold the same names and the same bits."""
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
