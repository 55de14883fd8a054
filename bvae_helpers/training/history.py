"""What a run records besides its weights: the History, early pictures, TensorBoard logs."""

import math
import pathlib
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from ..config import Config
from ..data.batches import Images, to_uint8
from ..data.files import first_line
from ..latents import encode, rank_latents, reconstruct, traversals
from ..model import BetaVAE

__all__ = ["History", "TensorBoard", "TermTable", "pair_of", "picture_due", "run_folder", "same_folder"]


@dataclass
class History:
    """The curves of a run. ``history["val_loss"]`` is a list with one value per epoch.

    ``epochs``: name -> list. ``train_`` and ``val_`` + ``loss``, ``reconstruction``, ``kl``, ``kl_per_latent`` (a list
    of D numbers) and the objective's own terms, in nats per image; ``epoch`` (from 1), ``lr``, ``beta``,
    ``images_per_second`` (of training) and ``seconds`` (since the run began, without interruptions).
    ``steps``: the same terms, without prefix, averaged over the training batches since the previous point, every
    ``log_every`` steps; ``step`` is the step reached.
    ``pictures``: step -> uint8 (2, n, C, S, S), validation images and their reconstructions at that step.
    ``complete``: whether all epochs are done; False after ``fit(stop_after=n)``.
    """

    epochs: dict[str, list] = field(default_factory=dict)
    steps: dict[str, list] = field(default_factory=dict)
    pictures: dict[int, torch.Tensor] = field(default_factory=dict)
    steps_per_epoch: int = 0
    complete: bool = False

    def __getitem__(self, name: str) -> list:
        return self.epochs[name]

    def __len__(self) -> int:
        """Number of completed epochs."""
        return len(self.epochs.get("epoch", []))

    def add_epoch(self, **values):
        """Append one value to each curve over the epochs."""
        _append(self.epochs, values)

    def add_steps(self, **values):
        """Append one value to each curve over the steps."""
        _append(self.steps, values)


def _append(table: dict[str, list], values: dict):
    for name, value in values.items():
        table.setdefault(name, []).append(value)


def picture_due(step: int) -> bool:
    """Whether to keep a picture at this step: 10, 30, 100, 300, 1000 and so on, ever more rarely."""
    power = 10 ** int(math.log10(step)) if step >= 10 else 10
    return step in (power, 3 * power)


class TermTable:
    """The terms of a loss, one row per batch, kept on the device until they are read: writing never waits for it.

    ``rows``: how many batches fit. Tensors stay in place, so that a CUDA graph can record ``write``.
    """

    def __init__(self, rows: int, device: torch.device):
        self.rows, self.count = rows, 0
        self.row = torch.zeros(1, dtype=torch.long, device=device)       # the row to write to
        self.shapes: dict[str, torch.Size] = {}
        self.values: torch.Tensor | None = None                          # (rows, numbers per row)

    def begin_row(self):
        """Count a new row, which the next ``write`` fills."""
        self.row.fill_(self.count)
        self.count += 1

    def write(self, terms: dict[str, torch.Tensor]):
        """Copy the terms of a batch to the current row."""
        numbers = torch.cat([value.detach().float().flatten() for value in terms.values()])
        if self.values is None:
            self.shapes = {name: value.shape for name, value in terms.items()}
            self.values = numbers.new_zeros(self.rows, len(numbers))
        self.values.index_copy_(0, self.row, numbers[None])

    def read(self) -> dict[str, torch.Tensor]:
        """Name -> the values of all rows, (count, ...), float64 on the CPU. Waits for the device."""
        if self.count == 0:
            return {}
        sizes = [shape.numel() for shape in self.shapes.values()]
        columns = self.values[:self.count].cpu().double().split(sizes, dim=1)
        return {name: part.reshape(-1, *shape) for part, (name, shape) in zip(columns, self.shapes.items())}

    def clear(self):
        """Forget all rows."""
        self.count = 0

    def state(self) -> list[dict[str, torch.Tensor]]:
        """The rows as dicts of float32 tensors: what a checkpoint stores."""
        values = {name: value.float() for name, value in self.read().items()}
        return [{name: value[n].clone() for name, value in values.items()} for n in range(self.count)]

    def load(self, state: list[dict[str, torch.Tensor]]):
        """Continue after the rows that ``state()`` returned; room for ``rows`` more is kept."""
        self.rows += len(state)
        for terms in state:
            self.begin_row()
            self.write({name: value.to(self.row.device) for name, value in terms.items()})


class TensorBoard:
    """Writes a run's curves and pictures for TensorBoard; with ``folder=None`` it writes nothing.

    If the folder cannot be written to, for example because the disk is full, it warns once and writes nothing more: the
    training does not depend on it.
    """

    def __init__(self, folder: str | None, step: int = 0):
        self.folder, self.writer = folder, None
        if folder is not None:
            from torch.utils.tensorboard import SummaryWriter  # slow to import: only when needed
            _quiet_threads()
            with self._unless_full():
                self.writer = SummaryWriter(folder, purge_step=step or None)

    @contextmanager
    def _unless_full(self) -> Iterator[None]:
        """Give up writing, with a warning, if the block raises an OSError."""
        try:
            yield
        except OSError as error:
            self.writer = None
            warnings.warn(f"TensorBoard logs in {self.folder!r} end here ({first_line(error)}); training continues",
                          stacklevel=4)

    def scalars(self, prefix: str, terms: dict, step: int):
        """One point of each curve ``prefix/name``; ``kl_per_latent`` becomes one curve per latent."""
        if self.writer is None:
            return
        curves = {f"{prefix}/{name}": value for name, value in terms.items() if name != "kl_per_latent"}
        curves |= {f"{prefix}_kl_per_latent/z{d}": nats for d, nats in enumerate(terms.get("kl_per_latent", []))}
        with self._unless_full():
            for name, value in curves.items():
                self.writer.add_scalar(name, value, step)

    def picture(self, pair: torch.Tensor, step: int):
        """Originals above their reconstructions: uint8 (2, n, C, S, S)."""
        if self.writer is not None:
            with self._unless_full():
                self.writer.add_images("reconstructions", _in_colour(pair.flatten(0, 1)), step)

    def traversal(self, model: BetaVAE, images: torch.Tensor, step: int, latents: int = 10):
        """Traversals from the first of ``images``: one row per latent, those with the largest KL first."""
        if self.writer is None:
            return
        mu, logvar = encode(model, Images(images))          # whose values were looked at when the run began
        rows = traversals(model, mu[0], rank_latents(mu, logvar)[:latents], steps=7)
        with self._unless_full():
            self.writer.add_image("traversals", _in_colour(_tile(rows)[None])[0], step)

    def close(self):
        """Write what is still in memory and end the writer's thread."""
        if self.writer is not None:
            with self._unless_full():
                self.writer.close()


def _quiet_threads():
    """Let TensorBoard's threads end without a traceback when they cannot write: ``_unless_full`` warns of that."""
    before = threading.excepthook
    if getattr(before, "of_tensorboard", False):
        return

    def hook(failed):
        of_tensorboard = type(failed.thread).__module__.startswith("tensorboard.")
        if not (of_tensorboard and isinstance(failed.exc_value, OSError)):
            before(failed)

    hook.of_tensorboard = True
    threading.excepthook = hook


def _in_colour(images: torch.Tensor) -> torch.Tensor:
    """Images (N, C, S, S) with the channels that can be shown: the first three, or the first if there are only two."""
    return images[:, :3] if images.shape[1] >= 3 else images[:, :1]


def _tile(rows: torch.Tensor) -> torch.Tensor:
    """Rows of images (R, K, C, S, S) -> one picture (C, R*S, K*S)."""
    r, k, c, h, w = rows.shape
    return rows.permute(2, 0, 3, 1, 4).reshape(c, r * h, k * w)


def run_folder(config: Config) -> str | None:
    """The name of a new TensorBoard folder under ``log_dir``; None without a ``log_dir``."""
    if config.log_dir is None:
        return None
    name = f"{time.strftime('%Y%m%d-%H%M%S')}_{config.objective}_beta{config.beta:g}_seed{config.seed}"
    return str(pathlib.Path(config.log_dir).expanduser() / name)


def same_folder(before: str | None, now: str | None) -> str | None:
    """The TensorBoard folder of a resumed run: its folder ``before``, unless ``log_dir`` has changed; then ``now``."""
    if before and now and pathlib.Path(before).parent == pathlib.Path(now).parent:
        return before
    return now


def pair_of(model: BetaVAE, images: torch.Tensor) -> torch.Tensor:
    """Images (n, C, S, S) and their reconstructions as uint8 (2, n, C, S, S) on the CPU: one early picture."""
    x = images if images.dtype == torch.uint8 else to_uint8(images)
    return torch.stack([x.cpu(), to_uint8(reconstruct(model, Images(images)))])
