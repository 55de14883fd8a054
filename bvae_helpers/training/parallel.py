"""Several processes that train one model together, as started by ``torchrun``: each computes its rows of every batch.

A *rank* is one of these processes. ``config.batch_size`` is the size of the whole batch, whatever the number of ranks,
and the learning rate belongs to the whole batch. A rank reads and decodes only its own rows. The latents, a few numbers
per image, are exchanged between the ranks, so that every rank computes the loss of the whole batch, total correlation
and covariances included. The noise of the whole batch is drawn on every rank from identical generators. A run on N
ranks therefore equals the run on one up to rounding, and its checkpoint can be resumed on any number of ranks.

If the number of ranks does not divide the batch, some ranks have one row more. A batch with fewer rows than ranks is
computed whole on every rank. With a single process nothing in this module is used: no wrapper, no communication.
"""

import atexit
import os
import threading
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from ..config import Config
from ..data.files import say
from ..losses import RECONSTRUCTIONS, terms_of
from ..model import BetaVAE, default_device

__all__ = ["Ranks", "SyncBatchNorm", "convert_sync_batchnorm", "join"]

TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")      # the variables that torchrun sets
PATIENCE = 10           # seconds of waiting for the other ranks before it is said


def join() -> "Ranks":
    """The ranks of this run: those that torchrun started, according to the environment, else this process alone.

    Joins the process group once per process: gloo between CPUs, nccl between CUDA devices. torchrun keeps its key-value
    store when it restarts the workers, so each attempt uses its own prefix; otherwise the address that a dead worker
    left in the store would be used.
    """
    if all(name in os.environ for name in TORCHRUN) and int(os.environ["WORLD_SIZE"]) > 1 and not dist.is_initialized():
        store, rank, world = _meet()
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", rank=rank,
                                world_size=world, store=dist.PrefixStore(f"attempt_{attempt}", store))
        atexit.register(_leave)
    return Ranks(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Ranks()


def _meet():
    """The store, rank and number of the processes that torchrun started, once all are there; long waits are explained.

    Variables of torchrun that a dead job has left in the shell would otherwise make a plain call wait without a word.
    """
    rank, world, address, port = (os.environ[name] for name in TORCHRUN)
    waiting = threading.Timer(PATIENCE, say, [f"rank {rank} of {world}: waiting for the others at {address}:{port}. To "
                                              f"train in one process, unset {', '.join(TORCHRUN)}"])
    waiting.daemon = True
    waiting.start()
    try:
        return next(rendezvous("env://"))
    finally:
        waiting.cancel()


def _leave():
    if dist.is_initialized():
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """The sum of a tensor over the ranks; its gradient is summed over the ranks, too."""

    @staticmethod
    def forward(ctx, x):
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x)
        return x

    backward = forward


class Ranks:
    """This process, ``rank`` of ``world``, and its share of the current batch."""

    def __init__(self, rank: int = 0, world: int = 1):
        self.rank, self.world = rank, world
        self.total: int | None = None            # rows of the current batch, over all ranks

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes the files."""
        return self.rank == 0

    @property
    def whole(self) -> bool:
        """Whether this rank computes the whole current batch."""
        return self.world == 1 or self.total < self.world

    @property
    def rows(self) -> slice:
        """This rank's rows of the current batch.

        Every row belongs to one rank; the shares differ by one row at most.
        """
        if self.whole:
            return slice(None)
        return slice(self.total * self.rank // self.world, self.total * (self.rank + 1) // self.world)

    def device(self, name: str | torch.device | None) -> torch.device:
        """The device to train on: ``name``, else CUDA if available.

        Each rank of a machine gets a CUDA device of its own.
        """
        device = default_device() if name is None else torch.device(name)
        if self.world > 1 and device.type == "cuda":
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
            torch.cuda.set_device(device)
        return device

    def cut(self, index: torch.Tensor) -> torch.Tensor:
        """Make ``index`` (B, ...) the current batch and return this rank's rows of it."""
        self.total = len(index)
        return index[self.rows]

    def draw(self, kind: Callable, *shape: int, device: torch.device) -> torch.Tensor:
        """This rank's rows of ``kind(B, *shape)`` (torch.rand or torch.randn), drawn for the whole batch."""
        return kind(self.total, *shape, device=device)[self.rows]

    def gather(self, mine: torch.Tensor) -> torch.Tensor:
        """This rank's rows (b, ...) -> the rows of the whole batch (B, ...), with gradient."""
        if self.whole:
            return mine
        rows = self.rows
        return _Sum.apply(torch.cat([mine.new_zeros(rows.start, *mine.shape[1:]), mine,
                                     mine.new_zeros(self.total - rows.stop, *mine.shape[1:])]))

    def mean(self, mine: torch.Tensor) -> torch.Tensor:
        """The mean over this rank's rows -> the mean over the whole batch, with gradient."""
        if self.whole:
            return mine
        rows = self.rows
        return _Sum.apply(mine * ((rows.stop - rows.start) / self.total))

    def any(self, asked: bool) -> bool:
        """True on every rank if ``asked`` is true on any of them.

        Reduces a CPU tensor, so the GPU is not synchronised.
        """
        if self.world == 1:
            return asked
        flag = torch.tensor(float(asked))
        dist.all_reduce(flag)
        return bool(flag)

    def share(self, value):
        """Broadcast rank 0's value, a Python object, to every rank."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, device=torch.device("cpu"))
        return box[0]

    def same_noise(self, rng: dict, device: torch.device):
        """Set this rank's CUDA generator to rank 0's state, so that all ranks draw the same noise.

        ``rng``: what ``checkpoints.rng_state()`` returned on rank 0.
        """
        if self.world > 1 and device.type == "cuda" and rng["cuda"]:
            torch.cuda.set_rng_state(rng["cuda"][0].cpu(), device)

    def wrap(self, objective: nn.Module) -> nn.Module:
        """Wrap an ``Objective`` so that its gradients are averaged over the ranks while they are computed."""
        if self.world == 1:
            return objective
        device = next(objective.parameters()).device
        if objective.config.sync_batchnorm:
            convert_sync_batchnorm(objective)
        return DistributedDataParallel(objective, device_ids=[device] if device.type == "cuda" else None)

    def objective(self, model: BetaVAE, x: torch.Tensor, config: Config, beta: float | torch.Tensor, **extras) -> dict:
        """``losses.objective`` of the whole batch from this rank's rows x (b, C, S, S): the same terms on every rank.

        The gradient of ``_Sum`` is the sum over all ranks, ``world`` times too large; DistributedDataParallel, which
        averages over the ranks, makes it right.
        """
        out = model.run(x, self.draw(torch.randn, model.latent_dim, device=x.device))
        reconstruction = self.mean(RECONSTRUCTIONS[config.reconstruction](out.logits, x, config.sigma))
        z, mu, logvar = self.gather(torch.stack([out.z, out.mu, out.logvar], dim=1)).unbind(1)
        return terms_of(out._replace(z=z, mu=mu, logvar=logvar), reconstruction, config, beta, **extras)


class SyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the whole batch. Unlike torch's class of this name, it runs, and is tested, on CPUs, too."""

    @classmethod
    def like(cls, layer: nn.BatchNorm2d) -> "SyncBatchNorm":
        """A layer that shares the weights and statistics of ``layer``."""
        synced = cls(layer.num_features, layer.eps, layer.momentum)
        synced.weight, synced.bias, synced.training = layer.weight, layer.bias, layer.training
        for name, statistic in layer.named_buffers():
            synced.register_buffer(name, statistic)
        return synced

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, S, S) -> (B, C, S, S), normalised per channel over the rows of all ranks."""
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        x32, shape = x.float(), (1, -1, 1, 1)
        count = _Sum.apply(x32.new_tensor(x32[:, 0].numel()))
        mean = _Sum.apply(x32.sum((0, 2, 3))) / count                                     # (C,)
        centred = x32 - mean.view(shape)
        variance = _Sum.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        y = centred * torch.rsqrt(variance + self.eps).view(shape)
        return (y * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)


def convert_sync_batchnorm(module: nn.Module):
    """Replace every BatchNorm2d inside ``module`` by a ``SyncBatchNorm`` that shares its weights and statistics."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(module, name, SyncBatchNorm.like(child))
        else:
            convert_sync_batchnorm(child)
