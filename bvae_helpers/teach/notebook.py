"""What the notebooks stand on: set-up, showing the package's source, agreeing with it, exercises."""

import functools
import inspect
import pathlib
import platform
import textwrap
from dataclasses import dataclass

import torch

from .. import plots
from ..model import default_device
from .profiles import Profile, profile


@dataclass
class Environment:
    """Where a notebook runs, and how much of everything it runs."""

    profile: Profile
    device: torch.device
    seed: int

    def folder(self, name):
        """A folder for the checkpoints of ``name``, one for each profile."""
        return str(pathlib.Path("checkpoints") / f"{name}-{self.profile.name}")


def setup(seed=0):
    """Seed torch, set the style of the figures, print one line, and return the ``Environment``."""
    torch.manual_seed(seed)
    plots.set_style()
    env = Environment(profile(), default_device(), seed)
    where = torch.cuda.get_device_name() if env.device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"profile {env.profile.name} · {where} · Python {platform.python_version()} · torch {torch.__version__} · seed {seed}")
    return env


class Markdown:
    """Text that a notebook shows as Markdown."""

    def __init__(self, text):
        self.text = text

    def _repr_markdown_(self):
        return self.text

    def __repr__(self):
        return self.text


def show_source(thing):
    """The package's own code of a function, class or method, as fenced Markdown."""
    thing = inspect.unwrap(thing.fget if isinstance(thing, property) else thing)
    return Markdown(f"```python\n{textwrap.dedent(inspect.getsource(thing)).rstrip()}\n```")


def agree(name, mine, theirs, tolerance=1e-6):
    """Assert that two numbers or tensors are the same to ``tolerance``, and print the largest difference."""
    mine, theirs = (torch.as_tensor(v).detach().cpu().double() for v in (mine, theirs))
    assert mine.shape == theirs.shape, f"{name}: shapes differ, {tuple(mine.shape)} and {tuple(theirs.shape)}"
    gap = float((mine - theirs).abs().max()) if mine.numel() else 0.0
    assert gap <= tolerance, f"{name}: the largest difference is {gap:.2g}, more than {tolerance:g}"
    print(f"{name}: agree, {'exactly' if gap == 0 else f'to {tolerance:g}'}")


def attempt(check):
    """Make an exercise's check kind to an untouched stub: it says so instead of failing."""

    @functools.wraps(check)
    def checked(*answers):
        try:
            print(check(*answers))
        except NotImplementedError:
            print(f"{check.__name__}: not attempted yet")

    return checked
