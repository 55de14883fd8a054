"""Atomic save, safe load, models rebuilt from their checkpoints, and the pretrained models.

A checkpoint is a dict with at least ``model_state_dict``, ``optimizer_state_dict``, ``epoch``, ``val_loss`` and ``config``.
It holds tensors and plain values only, so that ``torch.load(path, weights_only=True)`` reads it: a stranger's checkpoint
cannot run code.
"""

import json
import os
import pathlib
import random
from typing import Any

import numpy as np
import torch

from .config import Config
from .data.files import first_line, write_whole
from .model import BetaVAE

__all__ = ["PRETRAINED", "check_same_run", "folder", "load", "load_model", "load_pretrained", "move_aside",
           "pretrained_names", "rng_state", "save", "set_rng_state"]

PRETRAINED = pathlib.Path(__file__).parent / "pretrained"


def save(state: dict[str, Any], path: str | os.PathLike) -> None:
    """Write ``state`` to ``path``, whole or not at all: if the writing fails, the old file stays.

    Raises OSError, such as "No space left on device".
    """
    write_whole(path, lambda file: torch.save(state, file))


def load(path: str | os.PathLike, map_location: str | torch.device = "cpu") -> Any:
    """Read a checkpoint without running any code in it.

    Raises FileNotFoundError, and ValueError for a file that is not a whole checkpoint.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {str(path)!r}")
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:   # a damaged pickle raises errors of any kind
        raise ValueError(f"{str(path)!r} is not a readable checkpoint ({first_line(error)})") from error


def load_model(path: str | os.PathLike, map_location: str | torch.device = "cpu") -> BetaVAE:
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


def pretrained_names() -> list[str]:
    """The names of the models that ship with the package."""
    return sorted(p.stem for p in PRETRAINED.glob("*.pt"))


def load_pretrained(name: str, map_location: str | torch.device = "cpu") -> BetaVAE:
    """A model that ships with the package, in eval mode. ``model.card``: its data, settings, steps and scores.

    Raises ValueError for an unknown name, with the known ones.
    """
    if name not in pretrained_names():
        raise ValueError(f"no pretrained model {name!r}; there are: {', '.join(pretrained_names())}")
    model = load_model(PRETRAINED / f"{name}.pt", map_location)
    model.card = json.loads((PRETRAINED / f"{name}.json").read_text(encoding="utf-8"))
    return model


def rng_state() -> dict[str, Any]:
    """The states of the random generators of torch, CUDA, Python and NumPy, as tensors and plain values."""
    numpy = np.random.get_state(legacy=False)
    return {"torch": torch.get_rng_state(), "python": random.getstate(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy": {**numpy, "state": {**numpy["state"], "key": numpy["state"]["key"].tolist()}}}


def set_rng_state(state: dict[str, Any]) -> None:
    """Set the random generators to the states that ``rng_state()`` returned."""
    torch.set_rng_state(state["torch"].cpu())
    random.setstate(state["python"])
    numpy = state["numpy"]
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": np.array(numpy["state"]["key"], dtype=np.uint32)}})
    for device, cuda in zip(range(torch.cuda.device_count()), state["cuda"]):
        torch.cuda.set_rng_state(cuda.cpu(), device)


# settings in which a stopped run and the call that resumes it may differ
FREE = {"epochs", "save_dir", "log_dir", "data_path", "save_every", "save_seconds", "log_every"}


def folder(path: str | os.PathLike) -> pathlib.Path:
    """The path of a folder, with ~ replaced by the home folder."""
    return pathlib.Path(path).expanduser()


def check_same_run(state: dict[str, Any], config: Config, fingerprint: str) -> None:
    """Raise ValueError, naming the settings that differ, if a checkpoint is not of the run that ``config`` describes.

    ``fingerprint``: that of the images to train on, ``data.Images.fingerprint()``.
    """
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
                         "or resume=False (--no-resume) to start a new run and move the old files aside")


def move_aside(path: pathlib.Path) -> None:
    """Move the checkpoints of a folder to its first free subfolder ``previous-n``, so that none is overwritten."""
    n = 1
    while (path / f"previous-{n}").exists():
        n += 1
    (path / f"previous-{n}").mkdir()
    for file in path.glob("*.pt"):
        file.rename(path / f"previous-{n}" / file.name)
