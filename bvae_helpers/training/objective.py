"""The objective of a run as a module: the model, and all that the loss needs besides a batch."""

import torch
from torch import nn

from ..losses import Discriminator, capacity_at, objective
from . import system as machine


def in_batches(items, size):
    """Items (N, ...) in batches of ``size``, to be measured. One left over joins the batch before: some objectives
    compare the images of a batch."""
    *batches, last = items.split(size)
    return [*batches[:-1], torch.cat([batches[-1], last])] if batches and len(last) == 1 else [*batches, last]


class Objective(nn.Module):
    """The terms of a config's objective for a batch, in the config's precision.

    ``dataset_size``: the number of training images. ``ranks``: the processes that share a batch, if
    several do. The capacity of ``annealed`` is the final one until ``reach`` sets it; the discriminator
    of ``factorvae`` begins as the config's seed draws it.
    """

    def __init__(self, model, config, device, dataset_size, ranks=None):
        super().__init__()
        self.ranks = ranks
        self.model, self.config, self.device_type, self.dataset_size = model, config, device.type, dataset_size
        self.dtype = machine.precision(config.precision, device)
        self.register_buffer("capacity", torch.tensor(config.capacity_max, device=device), persistent=False)
        self.discriminator = None
        if config.objective == "factorvae":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                self.discriminator = Discriminator(config.latent_dim, config.discriminator_width).to(device)

    def reach(self, step):
        """Be at a step (from 0): set the capacity."""
        self.capacity.fill_(capacity_at(step, self.config))

    def state(self):
        """What the objective needs besides the batch, by name; a copy of the capacity, since the records keep it."""
        name = self.config.objective
        return ({"capacity": self.capacity.clone()} if name == "annealed" else
                {"gamma": self.config.gamma} if name == "btcvae_gamma" else
                {"dataset_size": self.dataset_size} if name == "btcvae_stratified" else
                {"discriminator": self.discriminator} if name == "factorvae" else {})

    def forward(self, x, beta):
        with torch.autocast(self.device_type, self.dtype, enabled=self.dtype is not torch.float32):
            terms = objective if self.ranks is None or self.ranks.world == 1 else self.ranks.objective
            return terms(self.model, x, self.config, beta, **self.state())

    def optimizer(self):
        """Adam for the model; and, with a learning rate and momenta of its own, for the discriminator.

        Kim & Mnih 2018, appendix A: betas of 0.5 and 0.9 for the discriminator.
        """
        groups = [{"params": self.model.parameters()}]
        if self.discriminator is not None:
            groups += [{"params": self.discriminator.parameters(), "lr": self.config.discriminator_lr, "betas": (0.5, 0.9)}]
        return torch.optim.Adam(groups, lr=self.config.lr, fused=True)
