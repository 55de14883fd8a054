"""Atomic save, safe load, models rebuilt from their checkpoints, and the pretrained models.

A checkpoint is a dict with at least ``model_state_dict``, ``optimizer_state_dict``, ``epoch`` and ``config``, and, of
a run of ``fit``, ``val_loss``. It holds tensors and plain values only, so that ``torch.load(path, weights_only=True)``
reads it: a stranger's checkpoint cannot run code.
"""

import io
import json
import os
import pathlib
import random
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .config import Config, unknown_settings
from .data.files import first_line, printable, say, write_whole
from .model import BetaVAE

__all__ = ["PRETRAINED", "check_label_state", "check_run_state", "check_same_run", "folder", "load", "load_model",
           "load_optimizer", "load_pretrained", "move_aside", "plain_keys", "pretrained_names", "rng_state", "save",
           "set_rng_state"]

PRETRAINED = pathlib.Path(__file__).parent / "pretrained"
PIECE = 1 << 20                 # bytes read at a time
SHOWN = 5                       # lines of an error that lists differences
ASIDE = "use resume=False (--no-resume) to start a new run and move the old files aside"
MEANS = "encoder.fc_mu.weight"  # the weights by which those of a BetaVAE are recognised
NETWORK = {"network", "in_channels", "hidden_dims", "latent_dim", "img_size"}   # settings that shapes of weights show

# What a run of fit() keeps in a checkpoint, so that it can be resumed
RUN_STATE = {"model_state_dict", "optimizer_state_dict", "scheduler_state_dict", "scaler_state_dict",
             "discriminator_state_dict", "epoch", "step", "val_loss", "best_val_loss", "config", "data", "history",
             "recent", "sums", "seconds", "log_folder", "rng"}


# Files

def save(state: dict[str, Any], path: str | os.PathLike) -> None:
    """Write ``state`` to ``path``, whole or not at all: if the writing fails, the old file stays.

    Raises OSError with what to do, such as when the disk is full.
    """
    try:
        write_whole(path, lambda file: _write(state, file))
    except OSError as error:
        raise OSError(error.errno, f"the checkpoint {error.strerror}. Make room or set another save_dir, then start "
                                   "the same run again") from error


def _write(state, file):
    """``torch.save``, raising what stopped it, such as Ctrl-C, where torch reports a wrong position.

    Through memory: torch aborts the process if the file is closed or full while its writer is being deleted.
    """
    buffer = io.BytesIO()
    try:
        torch.save(state, buffer)
    except RuntimeError as error:
        if error.__context__ is not None:
            raise error.__context__ from None
        raise
    file.write(buffer.getbuffer())


def load(path: str | os.PathLike, map_location: str | torch.device = "cpu") -> Any:
    """Read a checkpoint without running any code in it, and in no more memory than its file's size suggests.

    Raises FileNotFoundError, ValueError for a file that is not a whole, undamaged checkpoint, and torch's RuntimeError
    for a device that this machine does not have.
    """
    path = pathlib.Path(path).expanduser()
    if path.is_dir():
        held = ", ".join(sorted(file.name for file in path.glob("*.pt"))[:SHOWN]) or "no .pt file"
        raise FileNotFoundError(f"no checkpoint at {str(path)!r}: it is a folder, which holds {held}")
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {str(path)!r}")
    torch.empty(0, device=map_location)                  # an error of the device is not one of the file
    try:
        _check_archive(path)
        state = torch.load(path, map_location=map_location, weights_only=True)
        _check_tensors(state, path.stat().st_size)
    except Exception as error:   # a damaged pickle raises errors of any kind
        raise ValueError(f"{str(path)!r} is not a readable checkpoint ({_reason(error, path)})") from error
    return state


def _reason(error, path):
    """Why a file could not be read, and what to do if another program's file is recognised."""
    held = re.search(r"GLOBAL (\S+)", str(error))         # of torch's weights-only reader
    if held:
        return (f"it holds a {held[1]}, and only tensors and plain values are read, since all else could run code. In "
                "the program that wrote it: torch.save(model.state_dict(), path)")
    if path.suffix == ".safetensors":
        return "it is a safetensors file: torch.save(safetensors.torch.load_file(path), 'model.pt') makes a checkpoint"
    if isinstance(error, zipfile.BadZipFile) and path.read_bytes()[:1] == b"\x80":
        return ("it is a pickle, as torch.save wrote before version 1.6. If you trust it, load it there and save "
                "model.state_dict() with a newer torch")
    return first_line(error)


def _check_archive(path):
    """Raise an error unless the file is a zip as ``torch.save`` writes it: uncompressed, undamaged by its checksums.

    torch does not compare the checksums, and would load a damaged weight as another weight.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        compressed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
        if compressed or sum(member.file_size for member in members) > size:
            raise ValueError("it is a compressed archive, which torch.save does not write")
        for member in members:
            with archive.open(member) as file:
                tail = b""
                while piece := file.read(PIECE):             # zipfile raises an error where a checksum differs
                    if member.filename.endswith("data.pkl") and b"bytearray\n" in tail + piece:
                        raise ValueError("it holds a bytearray, which could be larger than the file")
                    tail = piece[-16:]


def _check_tensors(state, size):
    """Raise ValueError for tensors larger than what their file holds: expanded views, sparse or quantised."""
    total = 0
    for tensor in _tensors_in(state):
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise ValueError("it holds a tensor that is not a plain one")
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            raise ValueError(f"it holds a tensor of shape {tuple(tensor.shape)} that is larger than its data")
        total += tensor.nbytes
    if total > 4 * size:
        raise ValueError(f"its tensors, {total / 1e6:.0f} MB, share the same {size / 1e6:.0f} MB of data")


def _tensors_in(state) -> Iterator[Tensor]:
    """All tensors in nested dicts, lists and tuples, each container visited once."""
    stack, seen = [state], set()
    while stack:
        item = stack.pop()
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, (dict, list, tuple, set)) and id(item) not in seen:
            seen.add(id(item))
            stack.extend(item.values() if isinstance(item, dict) else item)


# Models

def load_model(path: str | os.PathLike, map_location: str | torch.device = "cpu") -> BetaVAE:
    """The model in a checkpoint, in eval mode.

    Its settings are kept as ``model.config``, and the fingerprint of the images of its run of ``fit`` as
    ``model.trained_on`` (None for others).

    Reads checkpoints of ``fit``; those of the original notebook, with settings or without; a plain ``state_dict``; and
    all of them saved from a model in ``torch.compile`` or ``DataParallel``. Weights that another program keeps under
    other names, such as 'state_dict' or 'model', with a prefix or without, are found, which is said in one line; so
    are settings that are not ours, which are left out. Settings of the network that are missing are read off the shapes
    of the weights, and all others have their defaults.
    Raises FileNotFoundError, and ValueError for a file without weights, or with weights that do not fit its settings.
    """
    state = load(path, map_location)
    weights = _weights_in(state, path)
    try:
        config = _config_in(state.get("config"), weights, path)
        with torch.device("meta"):                              # shapes alone: no memory, whatever the settings say
            expected = BetaVAE.from_config(config).state_dict()
    except (TypeError, ValueError) as error:
        raise ValueError(f"no model can be built from {str(path)!r}: {first_line(error)}") from error
    differences = list(_differences(weights, expected, "", same_dtype=False))
    if differences:
        raise ValueError(f"the weights in {str(path)!r} do not fit its settings:\n{_listed(differences)}")
    model = BetaVAE.from_config(config).to(map_location)
    model.load_state_dict({key: value.to(expected[key].dtype) for key, value in weights.items()})
    model.config, model.trained_on = config, state.get("data")
    return model.eval()


def _weights_in(state, path):
    """The weights of the BetaVAE in a checkpoint of any program, with our names: key -> value.

    They are the dict 'model_state_dict', else the checkpoint itself or another dict in it. Raises ValueError for no
    dict, and for the weights of several models.
    """
    found = state.get("model_state_dict", state) if isinstance(state, dict) else None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ValueError(f"{str(path)!r} has no weights of a BetaVAE: no 'model_state_dict'")
    if found is state:
        places = {"": state, **{name: held for name, held in state.items() if isinstance(held, dict)}}
    else:
        places = {"model_state_dict": found}
    held = [(name, prefix) for name, weights in places.items() for prefix in _prefixes(weights)]
    if len(held) > 1:
        several = " and ".join(repr(name or prefix) for name, prefix in held)
        raise ValueError(f"{str(path)!r} holds the weights of several models, {several}: save the state_dict() of one")
    if not held:
        return plain_keys(found)                                # whose errors say what is missing
    (name, prefix), = held
    if prefix or name not in ("", "model_state_dict"):
        where = f" in {name!r}" if name else ""
        under = f" whose names begin with {prefix!r}" if prefix else ""
        say(printable(f"{path}: took the weights{where}{under}"))
    weights = plain_keys(places[name])
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


def _prefixes(weights):
    """What stands in front of our names in a dict of weights: nothing, or the name of a part, for each model in it."""
    if not all(isinstance(key, str) for key in weights):
        return []
    return [key.removesuffix(MEANS) for key in plain_keys(weights) if f".{key}".endswith(f".{MEANS}")]


def _config_in(settings, weights, path):
    """The Config of a checkpoint: of its settings those that are known, of the weights' shapes those that are missing.

    Settings that are not known are named in one line. Raises ValueError or TypeError for values that cannot be.
    """
    settings = settings if isinstance(settings, dict) else {}
    unknown = unknown_settings(settings)
    if unknown:
        say(printable(f"{path}: left out settings of another program: {', '.join(map(str, unknown))}"))
    known = {key: value for key, value in settings.items() if key not in unknown}
    return Config(**(known if NETWORK <= known.keys() else {**_network_of(weights), **known}))


def plain_keys(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without the prefixes of ``torch.compile`` (``_orig_mod.``) and ``DataParallel`` (``module.``)."""
    plain = {key.replace("_orig_mod.", ""): value for key, value in weights.items()}
    while plain and all(key.startswith("module.") for key in plain):
        plain = {key.removeprefix("module."): value for key, value in plain.items()}
    return plain


def _network_of(weights):
    """The settings of a network, ``NETWORK``, read off the shapes of its weights (with ``patch`` 1).

    Raises ValueError for weights that are not of a BetaVAE.
    """
    shapes = {key: tuple(value.shape) for key, value in weights.items() if isinstance(value, Tensor)}
    blocks = [shapes[key] for n in range(len(shapes)) if (key := f"encoder.encoder.{n}.0.weight") in shapes]
    first = shapes.get("encoder.fc.0.weight", shapes.get(MEANS, ()))  # from features to hidden units
    complete = blocks and all(len(block) == 4 for block in blocks) and len(first) == 2
    if not complete or MEANS not in shapes:
        raise ValueError("it has no settings of the network, and its weights are not those of a BetaVAE "
                         f"('encoder.encoder.0.0.weight', '{MEANS}' ...), but {_few(weights)}. A model of your own "
                         "class is built and loaded by your own program, and can then be used everywhere")
    hidden_dims = [block[0] for block in blocks]
    side = round((first[1] / max(1, hidden_dims[-1])) ** 0.5)            # of the last feature map, in pixels
    return {"network": "sprites" if "encoder.fc.0.weight" in shapes else "classic", "in_channels": blocks[0][1],
            "hidden_dims": hidden_dims, "latent_dim": shapes[MEANS][0], "img_size": side * 2 ** len(hidden_dims)}


def _few(names):
    """The first few names, for a message."""
    return ", ".join(printable(repr(name)) for name in list(names)[:3]) or "nothing"


def _differences(found, expected, name, same_dtype=True):
    """Where ``found`` differs from ``expected`` in keys, types or shapes: a line each. Values are not compared."""
    if isinstance(expected, Tensor):
        if not isinstance(found, Tensor):
            yield f"{name}: {type(found).__name__}, expected a tensor {tuple(expected.shape)}"
        elif found.shape != expected.shape:
            yield f"{name}: shape {tuple(found.shape)}, expected {tuple(expected.shape)}"
        elif (found.dtype != expected.dtype if same_dtype
              else found.is_floating_point() != expected.is_floating_point()):
            yield f"{name}: {found.dtype}, expected {expected.dtype}"
    elif isinstance(expected, dict):
        if not isinstance(found, dict):
            yield f"{name}: {type(found).__name__}, expected a dict"
            return
        yield from (f"{_path(name, key)}: missing" for key in expected if key not in found)
        yield from (f"{_path(name, key)}: not expected" for key in found if key not in expected)
        for key in expected:
            if key in found:
                yield from _differences(found[key], expected[key], _path(name, key), same_dtype)
    elif isinstance(expected, (list, tuple)):
        if type(found) is not type(expected) or len(found) != len(expected):
            yield f"{name}: expected a {type(expected).__name__} of {len(expected)} items"
            return
        for n, (a, b) in enumerate(zip(found, expected)):
            yield from _differences(a, b, _path(name, n), same_dtype)
    elif _kind(found) != _kind(expected):
        yield f"{name}: {_kind(found)}, expected {_kind(expected)}"


def _equal(one, two):
    """Whether two plain values are equal and of one type; False, not an error, if ``one`` is or holds a tensor."""
    if isinstance(two, list):
        return isinstance(one, list) and len(one) == len(two) and all(map(_equal, one, two))
    return type(one) is type(two) and one == two


def _path(name, key):
    """The name of a part of a part."""
    return f"{name}.{key}" if name else str(key)


def _kind(value):
    """"number" for int and float, else the name of the type."""
    return "number" if type(value) in (int, float) else type(value).__name__


def _listed(lines):
    """The first few of the lines, indented, and how many more there are."""
    more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join(f"  {line}" for line in [*lines[:SHOWN], *more])


def pretrained_names(sweep: bool = False) -> list[str]:
    """The names of the models that ship, without those of the sweep over beta; ``sweep``: those alone."""
    return sorted(p.stem for p in PRETRAINED.glob("*.pt") if p.stem.startswith("sweep_") == sweep)


def load_pretrained(name: str, map_location: str | torch.device = "cpu") -> BetaVAE:
    """A model that ships with the package, in eval mode. ``model.card``: its data, settings, steps and scores.

    Raises ValueError for an unknown name, with the known ones.
    """
    known = pretrained_names() + pretrained_names(sweep=True)
    if name not in known:
        raise ValueError(f"no pretrained model {name!r}; there are: {', '.join(known)}")
    model = load_model(PRETRAINED / f"{name}.pt", map_location)
    model.card = json.loads((PRETRAINED / f"{name}.json").read_text(encoding="utf-8"))
    return model


# Random generators

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
    np.random.set_state(_numpy_state(state["numpy"]))
    for device, cuda in zip(range(torch.cuda.device_count()), state["cuda"]):
        torch.cuda.set_rng_state(cuda.cpu(), device)


def _numpy_state(numpy):
    """NumPy's state as ``np.random.set_state`` takes it: its key is an array there, and a list in a checkpoint."""
    return {**numpy, "state": {**numpy["state"], "key": np.array(numpy["state"]["key"], dtype=np.uint32)}}


# Runs

# Settings in which a stopped run and the call that resumes it may differ
FREE = {"epochs", "save_dir", "log_dir", "data_path", "save_every", "save_seconds", "log_every"}


def folder(path: str | os.PathLike) -> pathlib.Path:
    """The path of a folder, with ~ replaced by the home folder."""
    return pathlib.Path(path).expanduser()


def check_same_run(state: dict[str, Any], config: Config, fingerprint: str, remedy: str = ASIDE) -> None:
    """Raise ValueError, naming the settings that differ, if a checkpoint is not of the run that ``config`` describes.

    ``fingerprint``: that of the images to train on, ``data.Images.fingerprint()``. ``remedy``: what to do about it.
    """
    remedy = f"Use another save_dir, or {remedy}"
    if not isinstance(state, dict) or not {"config", "data"} <= state.keys():
        raise ValueError(f"the last.pt in {config.save_dir!r} is not of a run of fit(). {remedy}")
    try:
        old, new = Config(**state["config"]).to_dict(), config.to_dict()
    except (TypeError, ValueError) as error:
        raise ValueError(f"the settings in the last.pt of {config.save_dir!r} cannot be read ({error}). "
                         f"{remedy}") from error
    fixed = set(new) - (FREE - {"epochs"} if config.lr_schedule == "cosine" else FREE)
    differ = [f"{name} {old[name]} there, {new[name]} here" for name in sorted(fixed) if old[name] != new[name]]
    if not _equal(state["data"], fingerprint):
        differ.append(f"data {str(state['data'])[:80]} there, {fingerprint} here")
    if differ:
        raise ValueError(f"{config.save_dir!r} holds a run with other settings ({'; '.join(differ)}). {remedy}")


def check_run_state(state: dict[str, Any], own: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Raise ValueError, naming what is wrong, unless a run can be resumed from a checkpoint's ``state``.

    ``own``: the state of the same run before its first step. Everything is checked before anything is loaded: shapes
    that differ would crash the process in the optimiser's own code.
    """
    missing = sorted(RUN_STATE - state.keys())
    if missing:
        lines = [f"{name}: missing" for name in missing]
    else:
        same = ("discriminator_state_dict", "val_loss", "best_val_loss")
        lines = [line for name in same for line in _differences(state[name], own[name], name)]
        if state["scaler_state_dict"] != {} and own["scaler_state_dict"] != {}:  # empty: not in 16 bits, here or there
            lines += _differences(state["scaler_state_dict"], own["scaler_state_dict"], "scaler_state_dict")
        lines += _wrong_parts(state, own, optimizer)
        lines += _wrong_records(state, own)
    _refuse(lines, ASIDE)


def check_label_state(state: dict[str, Any], own: dict[str, Any], optimizer: torch.optim.Optimizer, total_steps: int,
                      remedy: str) -> None:
    """``check_run_state`` for the checkpoints of ``training.labels.fit_labelled``, which hold less."""
    missing = sorted(own.keys() - state.keys())
    if missing:
        lines = [f"{name}: missing" for name in missing]
    else:
        lines = [*_wrong_parts(state, own, optimizer), *_differences(state["generator"], own["generator"], "generator")]
        if not lines and not 0 <= state["step"] <= total_steps:
            lines.append(f"step: expected 0 to {total_steps}, got {state['step']}")
        if not _is_table(state["history"]):
            lines.append("history: expected a dict of lists of numbers, all of one length")
        try:
            torch.Generator().set_state(state["generator"])
        except (RuntimeError, TypeError) as error:
            lines.append(f"generator: {first_line(error)}")
    _refuse(lines, remedy)


def _is_table(history):
    """Whether curves are a dict from names to lists of numbers, all of one length."""
    return (isinstance(history, dict) and all(isinstance(curve, list) for curve in history.values())
            and len({len(curve) for curve in history.values()}) < 2
            and all(_kind(value) == "number" for curve in history.values() for value in curve))


def _refuse(lines, remedy):
    """Raise ValueError if there are ``lines`` that say what is wrong with a checkpoint."""
    if lines:
        raise ValueError("the last.pt of this run is damaged, or was written by another program. "
                         f"{remedy[0].upper()}{remedy[1:]}.\n{_listed(lines)}")


def _wrong_parts(state, own, optimizer):
    """What is wrong with the parts that the checkpoints of all runs have: a line each."""
    lines = [line for name in ("model_state_dict", "epoch", "step", "data", "seconds")
             for line in _differences(state[name], own[name], name)]
    lines += [f"{name}: expected a whole number" for name in ("epoch", "step") if type(state[name]) is not int]
    lines += _wrong_optimizer(state["optimizer_state_dict"], optimizer)
    lines += _wrong_scheduler(state["scheduler_state_dict"], own["scheduler_state_dict"])
    return lines + _wrong_rng(state["rng"])


def _wrong_optimizer(state, optimizer):
    """What is wrong with the saved state of an Adam: a line each.

    Its options are not looked at: they are not loaded.
    """
    name, own = "optimizer_state_dict", optimizer.state_dict()["param_groups"]
    if not isinstance(state, dict) or not isinstance(state.get("state"), dict):
        return [f"{name}: expected a dict with a dict 'state'"]
    groups = state.get("param_groups")
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        return [f"{name}.param_groups: expected a list of dicts"]
    if not _equal([group.get("params") for group in groups], [group["params"] for group in own]):
        return [f"{name}.param_groups: not the weights of this model"]
    lines = [f"{name}.param_groups: {key} {group.get(key)!r}, expected a number from 0"
             for group, mine in zip(groups, own)
             for key in ("lr", "initial_lr") if key in mine and not _is_rate(group.get(key))]
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for n, moments in state["state"].items():
        if type(n) is int and 0 <= n < len(weights):
            expected = {"step": torch.zeros(()), "exp_avg": weights[n], "exp_avg_sq": weights[n]}
            lines += _differences(moments, expected, f"{name}.state.{n}")
        else:
            lines.append(f"{name}.state: no weight {n!r}")
    return lines


def _is_rate(value):
    """Whether a value is a learning rate: a number, or a tensor of one, that is finite and not negative."""
    number = value.item() if isinstance(value, Tensor) and value.ndim == 0 else value
    return _kind(number) == "number" and 0 <= number < float("inf")


def _wrong_scheduler(state, own):
    """What is wrong with the saved state of a learning-rate schedule: a line each.

    Its keys vary between torch's versions.
    """
    if not isinstance(state, dict):
        return ["scheduler_state_dict: expected a dict"]
    known = {key: value for key, value in own.items() if key in state}
    return [*_differences({key: state[key] for key in known}, known, "scheduler_state_dict"),
            *(f"scheduler_state_dict.{key}: not expected" for key in state if key not in own
              and _kind(state[key]) != "bool")]


def _wrong_records(state, own):
    """What is wrong with the curves, pictures and counters of a run: a line each."""
    history, d = state["history"], own["model_state_dict"]["encoder.fc_mu.bias"].shape[0]
    lines = [] if _is_history(history, own["history"]) else ["history: not the curves and pictures of a run"]
    for name, tables in (("recent", state["recent"]), ("sums", [state["sums"]])):
        if not isinstance(tables, list) or not all(_is_terms(table, d) for table in tables):
            lines.append(f"{name}: not the terms of a loss")
    if not lines and type(state["step"]) is int:
        epochs, each = len(history["epochs"].get("epoch", [])), own["history"]["steps_per_epoch"]
        if not _equal(state["epoch"], epochs) or not epochs * each <= state["step"] <= (epochs + 1) * each:
            lines.append(f"step {state['step']}, epoch {state['epoch']}: do not fit {epochs} epochs of {each} steps")
        if len({frozenset(terms) for terms in [*state["recent"], *([state["sums"]] if state["sums"] else [])]}) > 1:
            lines.append("recent, sums: of different losses")
    if not isinstance(state["log_folder"], (str, type(None))):
        lines.append("log_folder: expected a string")
    return lines


def _is_history(history, own):
    """Whether the fields are those of ``own``, a History: curves of numbers, all of one length, and uint8 pictures."""
    if not isinstance(history, dict) or not own.keys() - {"complete"} <= history.keys() <= own.keys():
        return False                                         # version 1.0 had no "complete"
    if not _equal(history["steps_per_epoch"], own["steps_per_epoch"]):
        return False
    for table in (history["epochs"], history["steps"]):
        if not isinstance(table, dict) or not all(isinstance(curve, list) for curve in table.values()):
            return False
        if len({len(curve) for curve in table.values()}) > 1 or not all(map(_is_curve, table.values())):
            return False
    pictures = history["pictures"]
    return isinstance(pictures, dict) and all(type(step) is int and isinstance(picture, Tensor) and picture.ndim == 5
                                              and picture.dtype is torch.uint8 for step, picture in pictures.items())


def _is_curve(curve):
    """Whether a list holds numbers, or lists of numbers."""
    return all(_kind(v) == "number" or (isinstance(v, list) and all(_kind(n) == "number" for n in v)) for v in curve)


def _is_terms(terms, d):
    """Whether a dict holds the terms of a loss: scalars, and the KL of each of D latents."""
    return isinstance(terms, dict) and all(isinstance(value, Tensor) and value.is_floating_point() and
                                           value.shape == ((d,) if name == "kl_per_latent" else ())
                                           for name, value in terms.items())


def _wrong_rng(state):
    """What is wrong with the saved states of the random generators: a line, or none."""
    lines = list(_differences(state, {**rng_state(), "cuda": state.get("cuda") if isinstance(state, dict) else []},
                              "rng"))
    if lines:
        return lines
    try:
        torch.Generator().set_state(state["torch"].cpu())
        random.Random().setstate(state["python"])
        np.random.RandomState().set_state(_numpy_state(state["numpy"]))
        fits = 0 <= state["numpy"]["state"]["pos"] <= 624 and all(isinstance(cuda, Tensor) for cuda in state["cuda"])
    except (TypeError, ValueError, OverflowError, RuntimeError, KeyError):
        fits = False
    return [] if fits else ["rng: not a state of the random generators"]


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the moments and learning rates that ``check_run_state`` has passed.

    All other options stay the optimiser's own.
    """
    groups = []
    for own, saved in zip(optimizer.state_dict()["param_groups"], state["param_groups"]):
        groups.append({key: saved[key] if key in ("lr", "initial_lr") else value for key, value in own.items()})
    optimizer.load_state_dict({"state": state["state"], "param_groups": groups})


def move_aside(path: pathlib.Path) -> None:
    """Move the checkpoints of a folder to its first free subfolder ``previous-n``, so that none is overwritten."""
    n = 1
    while (path / f"previous-{n}").exists():
        n += 1
    (path / f"previous-{n}").mkdir()
    for file in path.glob("*.pt"):
        file.rename(path / f"previous-{n}" / file.name)
