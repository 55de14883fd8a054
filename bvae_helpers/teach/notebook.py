"""What the notebooks stand on: set-up, showing the package's source, and agreeing with it."""

import inspect
import pathlib
import platform
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .. import __version__, plots
from ..model import default_device
from .profiles import Profile, expected_time, profile


@dataclass
class Environment:
    """Where a notebook runs, and how much of everything it runs."""

    profile: Profile
    device: torch.device
    seed: int

    def folder(self, name: str) -> str:
        """A folder for the checkpoints of ``name``, one for each profile."""
        return str(pathlib.Path("checkpoints") / f"{name}-{self.profile.name}")


def setup(seed: int = 0, made_with: str | None = None) -> Environment:
    """Seed torch, set the style of the figures, print where the notebook runs, and return the ``Environment``.

    ``made_with``: the version of the package with which the notebook was made; a line is added if another is installed.
    In the profile *paper*, which takes hours, a line says how many.
    """
    torch.manual_seed(seed)
    plots.set_style()
    env = Environment(profile(), default_device(), seed)
    where = f"CPU, {torch.get_num_threads()} threads"
    if env.device.type == "cuda":
        where = torch.cuda.get_device_name()
    print(f"profile {env.profile.name} · {where} · Python {platform.python_version()} · torch {torch.__version__}"
          f" · seed {seed}")
    if env.profile.name == "paper":
        print(expected_time(env.profile))
    if made_with not in (None, __version__):
        print(f"this notebook was made with bvae_helpers {made_with}, and {__version__} is installed: outputs may "
              f"differ from those shown and cells may fail: open the notebooks of {__version__} or install {made_with}")
    return env


class Markdown:
    """Text that a notebook shows as Markdown."""

    def __init__(self, text: str):
        self.text = text

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def show_source(thing: Any) -> Markdown:
    """The package's own code of a function, class, method or property, as fenced Markdown."""
    thing = inspect.unwrap(thing.fget if isinstance(thing, property) else thing)
    return Markdown(f"```python\n{textwrap.dedent(inspect.getsource(thing)).rstrip()}\n```")


def agree(name: str, mine: torch.Tensor | float | Sequence, theirs: torch.Tensor | float | Sequence,
          tolerance: float = 1e-6) -> None:
    """Assert that two numbers or tensors are the same to ``tolerance``, and print to what they agree.

    Raises AssertionError, with the largest difference, if they are not, or if their shapes differ.
    """
    mine, theirs = (torch.as_tensor(v).detach().cpu().double() for v in (mine, theirs))
    assert mine.shape == theirs.shape, f"{name}: shapes differ, {tuple(mine.shape)} and {tuple(theirs.shape)}"
    gap = float((mine - theirs).abs().max()) if mine.numel() else 0.0
    assert gap <= tolerance, f"{name}: the largest difference is {gap:.2g}, more than {tolerance:g}"
    print(f"{name}: agree, {'exactly' if gap == 0 else f'to {tolerance:g}'}")
