"""What a run leaves behind besides its weights: the History, early pictures, TensorBoard logs."""

import math
import pathlib
import time
from dataclasses import dataclass, field

import torch

from ..data.batches import to_uint8
from ..latents import encode, rank_latents, reconstruct, traversals


@dataclass
class History:
    """The curves of a run. ``history["val_loss"]`` is a list with one value an epoch.

    ``epochs``: per epoch, ``train_`` and ``val_`` + ``loss``, ``reconstruction``, ``kl``,
    ``kl_per_latent`` (a list of D numbers), in nats per image; ``lr``, ``beta``, ``images_per_second``.
    ``steps``: the same terms of the training batches, averaged over every ``log_every`` steps,
    with the ``step`` reached.
    ``pictures``: step -> uint8 (2, n, C, S, S), validation images and their reconstructions then.
    """

    epochs: dict = field(default_factory=dict)
    steps: dict = field(default_factory=dict)
    pictures: dict = field(default_factory=dict)
    steps_per_epoch: int = 0

    def __getitem__(self, name):
        return self.epochs[name]

    def __len__(self):
        return len(self.epochs.get("epoch", []))

    def add_epoch(self, **values):
        append(self.epochs, values)

    def add_steps(self, **values):
        append(self.steps, values)


def append(table, values):
    for name, value in values.items():
        table.setdefault(name, []).append(value)


def picture_due(step):
    """Early and then ever more rarely: steps 10, 30, 100, 300, 1000 …"""
    power = 10 ** int(math.log10(step)) if step >= 10 else 10
    return step in (power, 3 * power)


class TensorBoard:
    """Writes a run's curves and pictures for TensorBoard; with ``folder=None`` it writes nothing."""

    def __init__(self, folder, step=0):
        self.writer = None
        if folder is not None:
            from torch.utils.tensorboard import SummaryWriter  # slow to import: only when needed
            self.writer = SummaryWriter(folder, purge_step=step or None)

    def scalars(self, prefix, terms, step):
        if self.writer is None:
            return
        for name, value in terms.items():
            if name == "kl_per_latent":
                for d, nats in enumerate(value):
                    self.writer.add_scalar(f"{prefix}_kl_per_latent/z{d}", nats, step)
            else:
                self.writer.add_scalar(f"{prefix}/{name}", value, step)

    def picture(self, pair, step):
        """Originals above reconstructions: uint8 (2, n, C, S, S)."""
        if self.writer is not None:
            self.writer.add_images("reconstructions", pair.flatten(0, 1), step)

    def traversal(self, model, images, step, latents=10):
        """The first image's traversal, the latents with the most KL first."""
        if self.writer is None:
            return
        mu, logvar = encode(model, images)
        rows = traversals(model, mu[0], rank_latents(mu, logvar)[:latents], steps=7)
        self.writer.add_image("traversals", tile(rows), step)

    def close(self):
        if self.writer is not None:
            self.writer.close()


def tile(rows):
    """Rows of images (R, K, C, S, S) -> one picture (C, R*S, K*S)."""
    r, k, c, h, w = rows.shape
    return rows.permute(2, 0, 3, 1, 4).reshape(c, r * h, k * w)


def run_folder(config):
    """A new TensorBoard folder for a run under ``log_dir``."""
    if config.log_dir is None:
        return None
    name = f"{time.strftime('%Y%m%d-%H%M%S')}_{config.objective}_beta{config.beta:g}_seed{config.seed}"
    return str(pathlib.Path(config.log_dir).expanduser() / name)


def same_folder(before, now):
    """The TensorBoard folder to go on in: the one of ``before``, as long as ``log_dir`` is the same."""
    return before if before and now and pathlib.Path(before).parent == pathlib.Path(now).parent else now


def pair_of(model, images):
    """Images and their reconstructions as uint8 (2, n, C, S, S): one early picture."""
    x = images if images.dtype == torch.uint8 else to_uint8(images)
    return torch.stack([x.cpu(), to_uint8(reconstruct(model, images))])
