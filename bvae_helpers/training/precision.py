"""The number format of the convolutions: float32, or 16 bits where they are faster and train as well."""

import copy
import itertools
import time
import warnings

import torch
from tqdm.auto import tqdm

from .. import checkpoints

__all__ = ["faster_precision", "needs_trial", "precision"]

TRIAL_STEPS = 20


def precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype for a config's ``precision``.

    ``auto``: float32 on a CPU; on CUDA bfloat16, or, if the card has none, float32, unless a trial finds float16 faster
    (``needs_trial``; not under torchrun). Warns of a 16-bit format on a CPU that would have to emulate it.
    """
    if name == "auto":
        bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if bfloat16 else torch.float32
    if device.type == "cpu" and name != "float32" and torch.backends.cpu.get_cpu_capability() in ("AVX2", "DEFAULT"):
        warnings.warn(f"this CPU seems to have no arithmetic for {name}: one with AVX2 alone took ten times as long as "
                      "in float32; precision='float32' is the default there", stacklevel=2)
    return getattr(torch, name)


def needs_trial(name: str, device: torch.device) -> bool:
    """Whether only a trial can tell the faster format: ``auto`` on a CUDA device without bfloat16, such as a T4."""
    return name == "auto" and device.type == "cuda" and precision(name, device) is torch.float32


def faster_precision(run) -> str:
    """Which of float32 and float16 makes ``TRIAL_STEPS`` steps of a copy of ``run`` faster, said in one line.

    The run itself, its model and the random generators stay as they are. One trial serves all later runs in this
    process that have the same network, objective and batch size.
    """
    fixed = tuple(str(getattr(run.config, name)) for name in ("network", "in_channels", "img_size", "hidden_dims",
                                                              "patch", "latent_dim", "objective", "batch_size"))
    if fixed not in _found:
        generators, seconds = checkpoints.rng_state(), {}
        for name in ("float32", "float16"):
            config = run.config.replace(precision=name, save_dir=None, log_dir=None)
            seconds[name] = _seconds_of_steps(type(run)(copy.deepcopy(run.model), run.images, config, run.device))
        checkpoints.set_rng_state(generators)
        _found[fixed] = min(seconds, key=seconds.get)
        tqdm.write(f"precision: {_found[fixed]}; {TRIAL_STEPS} steps took {1000 * seconds['float32']:.0f} ms in "
                   f"float32, {1000 * seconds['float16']:.0f} ms in float16")
    return _found[fixed]


_found: dict[tuple[str, ...], str] = {}       # the results of the trials of this process


def _seconds_of_steps(run) -> float:
    """Seconds that ``TRIAL_STEPS`` steps of ``run`` take once its step is recorded."""
    run.model.train()
    indices = itertools.cycle(run.positions(run.batches()))
    for step in range(-run.train_on.WARM_UP - 1, TRIAL_STEPS):
        if step == 0:
            _wait(run.device)
            start = time.perf_counter()
        run.train_on(next(indices))
        run.recent.clear()
    _wait(run.device)
    return time.perf_counter() - start


def _wait(device: torch.device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)
