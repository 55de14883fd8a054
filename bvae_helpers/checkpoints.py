"""Atomic save, safe load, models rebuilt from their files, and the pretrained ones.

A checkpoint is a dict with at least ``model_state_dict``, ``optimizer_state_dict``, ``epoch``,
``val_loss`` and ``config``, made of tensors and plain values: ``torch.load(path, weights_only=True)``
reads it, so a checkpoint from a stranger cannot run code.
"""

import json
import pathlib
import random

import numpy as np
import torch

from .config import Config
from .data.files import first_line, write_whole
from .model import BetaVAE

PRETRAINED = pathlib.Path(__file__).parent / "pretrained"


def save(state, path):
    """Write ``state`` so that ``path`` is always whole: the old one, or the new one, never half of it."""
    write_whole(path, lambda file: torch.save(state, file))


def load(path, map_location="cpu"):
    """Read a checkpoint without running any code in it.

    Raises FileNotFoundError, and ValueError for a file that is not a whole checkpoint.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {str(path)!r}")
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:   # a pickle of nonsense makes the reader raise whatever it stumbles on
        raise ValueError(f"{str(path)!r} is not a readable checkpoint ({first_line(error)})") from error


def load_model(path, map_location="cpu"):
    """The model in a checkpoint, in eval mode. Its settings are kept as ``model.config``.

    Also reads checkpoints of the original notebook: without a ``network`` key they are the
    classic one. Raises ValueError for a file without weights or without settings.
    """
    state = load(path, map_location)
    if not isinstance(state, dict) or not {"model_state_dict", "config"} <= state.keys():
        raise ValueError(f"{str(path)!r} has no 'model_state_dict' and 'config'; build the model and use load_state_dict")
    config = Config(**state["config"])
    model = BetaVAE.from_config(config).to(map_location)
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state["model_state_dict"].items()})
    model.config = config
    return model.eval()


def pretrained_names():
    """Names of the models that ship with the package."""
    return sorted(p.stem for p in PRETRAINED.glob("*.pt"))


def load_pretrained(name, map_location="cpu"):
    """A model that ships with the package, in eval mode; what it is and scores: ``model.card``.

    Raises ValueError, with the names there are, for an unknown one.
    """
    if name not in pretrained_names():
        raise ValueError(f"no pretrained model {name!r}; there are: {', '.join(pretrained_names())}")
    model = load_model(PRETRAINED / f"{name}.pt", map_location)
    model.card = json.loads((PRETRAINED / f"{name}.json").read_text(encoding="utf-8"))
    return model


def rng_state():
    """The state of every random generator that training may draw from, as tensors and plain values."""
    numpy = np.random.get_state(legacy=False)
    return {"torch": torch.get_rng_state(), "python": random.getstate(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy": {**numpy, "state": {**numpy["state"], "key": numpy["state"]["key"].tolist()}}}


def set_rng_state(state):
    """Put the random generators back to where ``rng_state()`` found them."""
    torch.set_rng_state(state["torch"].cpu())
    random.setstate(state["python"])
    numpy = state["numpy"]
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": np.array(numpy["state"]["key"], dtype=np.uint32)}})
    for device, cuda in zip(range(torch.cuda.device_count()), state["cuda"]):
        torch.cuda.set_rng_state(cuda.cpu(), device)


# settings in which a stopped run and the call that goes on with it may differ
FREE = {"epochs", "save_dir", "log_dir", "data_path", "save_every", "save_seconds", "log_every", "compile"}


def folder(path):
    return pathlib.Path(path).expanduser()


def check_same_run(state, config, fingerprint):
    """Raise ValueError, naming the settings, if a checkpoint is of another run than ``config`` describes."""
    if not {"config", "data"} <= state.keys():
        raise ValueError(f"the last.pt in {config.save_dir!r} is not of a run of fit(). Use another save_dir, or resume=False "
                         "(--no-resume) to keep it aside")
    old, new = Config(**state["config"]).to_dict(), config.to_dict()
    fixed = set(new) - (FREE - {"epochs"} if config.lr_schedule == "cosine" else FREE)
    differ = [f"{name} {old[name]} there, {new[name]} here" for name in sorted(fixed) if old[name] != new[name]]
    if state["data"] != fingerprint:
        differ.append(f"data {state['data']} there, {fingerprint} here")
    if differ:
        raise ValueError(f"{config.save_dir!r} holds a run with other settings ({'; '.join(differ)}). Use another save_dir, "
                         "or resume=False (--no-resume) to train anew and keep the old files aside")


def move_aside(path):
    """Move the checkpoints in a folder to its first free ``previous-n``, so that none is overwritten."""
    n = 1
    while (path / f"previous-{n}").exists():
        n += 1
    (path / f"previous-{n}").mkdir()
    for file in path.glob("*.pt"):
        file.rename(path / f"previous-{n}" / file.name)
