"""The objective of a run as a module: the model, and everything else that the loss needs besides a batch."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..config import Config
from ..losses import Discriminator, capacity_at, objective
from ..model import BetaVAE
from . import system
from .parallel import Ranks
from .precision import precision

__all__ = ["Objective", "in_batches", "rates_from"]


def in_batches(items: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Items (N, ...) in batches of ``size``, for measuring.

    A single item left over joins the batch before it, because some objectives compare the images of a batch.
    """
    batches = list(items.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


class Objective(nn.Module):
    """The terms of a config's objective for a batch, in the config's precision.

    ``dataset_size``: the number of training images. ``ranks``: the processes that share a batch, if there are several.
    The capacity of ``annealed`` is ``capacity_max`` until ``reach`` sets it; the discriminator of ``factorvae`` is
    initialised from the config's seed.
    """

    def __init__(self, model: BetaVAE, config: Config, device: torch.device, dataset_size: int,
                 ranks: Ranks | None = None):
        super().__init__()
        self.ranks = ranks
        self.model, self.config, self.device_type, self.dataset_size = model, config, device.type, dataset_size
        self.dtype = precision(config.precision, device)
        self.register_buffer("capacity", torch.tensor(config.capacity_max, device=device), persistent=False)
        self.discriminator = None
        if config.objective == "factorvae":
            with system.seeded(config.seed):
                self.discriminator = Discriminator(config.latent_dim, config.discriminator_width).to(device)

    def reach(self, step: int):
        """Set the capacity to that of a step (from 0)."""
        self.capacity.fill_(capacity_at(step, self.config))

    def extras(self) -> dict:
        """What the objective needs besides the batch, by name."""
        name = self.config.objective
        if name == "annealed":
            return {"capacity": self.capacity}
        if name == "btcvae_gamma":
            return {"gamma": self.config.gamma}
        if name == "btcvae_stratified":
            return {"dataset_size": self.dataset_size}
        if name == "factorvae":
            return {"discriminator": self.discriminator}
        return {}

    def forward(self, x: torch.Tensor, beta: float | torch.Tensor) -> dict[str, torch.Tensor]:
        """Images (B, C, S, S) in [0, 1] -> the terms of the loss, in nats per image (see ``losses.objective``)."""
        terms = objective
        if self.ranks is not None and self.ranks.world > 1:
            terms = self.ranks.objective
        with torch.autocast(self.device_type, self.dtype, enabled=self.dtype is not torch.float32):
            return terms(self.model, x, self.config, beta, **self.extras())

    def optimizer(self) -> torch.optim.Adam:
        """Adam for the model and, as a second group with its own learning rate and momenta, for the discriminator.

        Kim & Mnih 2018, appendix A: betas of 0.5 and 0.9 for the discriminator.
        """
        groups = [{"params": self.model.parameters()}]
        if self.discriminator is not None:
            groups.append({"params": self.discriminator.parameters(), "lr": self.config.discriminator_lr,
                           "betas": (0.5, 0.9)})
        return torch.optim.Adam(groups, lr=self.config.lr, fused=True)


@contextmanager
def rates_from(tensors: list[torch.Tensor], optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Let the optimiser read its learning rates from ``tensors``, one per parameter group, inside the block.

    Before and after it, schedules and checkpoints find plain numbers, whatever torch's version does with tensors. With
    an empty list, nothing changes.
    """
    numbers = [group["lr"] for group in optimizer.param_groups]
    recording = any(rate.is_cuda for rate in tensors) and torch.cuda.is_current_stream_capturing()
    for group, rate in zip(optimizer.param_groups, tensors):
        group.update(lr=rate, capturable=recording)
    try:
        yield
    finally:
        for group, number in zip(optimizer.param_groups, numbers):
            group.update(lr=number, capturable=False)
