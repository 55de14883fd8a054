"""Several processes, one run: what ``torchrun`` starts. Each rank computes its rows of every batch.

``config.batch_size`` is the whole batch, however many ranks share it, and the learning rate is that of the
whole batch. A rank reads and decodes its own rows only; the latents, a few numbers an image, are brought
together, so that on every rank the loss is the loss of the whole batch, total correlation and covariances
included, and is the same number. The noise of the whole batch is drawn on every rank from the same
generator: a run on N ranks is the run on one to rounding, and its checkpoint goes on with M.

Where the number of ranks does not divide a batch, some ranks have one row more; a batch with fewer rows than
there are ranks is computed whole by each. With one process, nothing here runs: no wrapper, no exchange.
"""

import atexit
import os

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from ..losses import RECONSTRUCTIONS, terms_of
from ..model import default_device

TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def join():
    """The ``Ranks`` of this run: those that torchrun started (its environment says so), else one.

    Joins the process group once in a process: gloo between CPUs, nccl between CUDA devices. torchrun keeps its
    store when it restarts the workers, so each attempt has keys of its own there: an address that a dead worker
    left would be taken for a living one's.
    """
    if all(name in os.environ for name in TORCHRUN) and int(os.environ["WORLD_SIZE"]) > 1 and not dist.is_initialized():
        store, rank, world = next(rendezvous("env://"))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", rank=rank, world_size=world,
                                store=dist.PrefixStore(f"attempt_{attempt}", store))
        atexit.register(leave)
    return Ranks(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Ranks()


def leave():
    if dist.is_initialized():
        dist.destroy_process_group()


class Sum(torch.autograd.Function):
    """The sum of a tensor over the ranks; its gradient is summed over them too."""

    @staticmethod
    def forward(ctx, x):
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x)
        return x

    backward = forward


class Ranks:
    """This process, ``rank`` of ``world``, and its share of the batch in hand."""

    def __init__(self, rank=0, world=1):
        self.rank, self.world, self.total = rank, world, None

    first = property(lambda self: self.rank == 0, doc="Whether this rank writes the files.")
    whole = property(lambda self: self.world == 1 or self.total < self.world, doc="Whether it computes the whole batch.")

    def device(self, name):
        """The device to train on: as asked, else CUDA if there is one; each rank of a machine has a CUDA device of its own."""
        device = default_device() if name is None else torch.device(name)
        if self.world > 1 and device.type == "cuda":
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
            torch.cuda.set_device(device)
        return device

    def cut(self, index):
        """This rank's part of a batch (B, ...), which is the batch in hand from now on."""
        self.total = len(index)
        return index[self.rows]

    @property
    def rows(self):
        """This rank's rows of the batch in hand: each row is one rank's, and the shares differ by one at most."""
        if self.whole:
            return slice(None)
        return slice(self.total * self.rank // self.world, self.total * (self.rank + 1) // self.world)

    def draw(self, kind, *shape, device):
        """``kind(B, *shape)``, torch.rand or torch.randn, drawn for the whole batch; this rank's rows of it."""
        return kind(self.total, *shape, device=device)[self.rows]

    def gather(self, mine):
        """This rank's rows (b, ...) -> those of the whole batch (B, ...), with gradient."""
        if self.whole:
            return mine
        rows = self.rows
        return Sum.apply(torch.cat([mine.new_zeros(rows.start, *mine.shape[1:]), mine,
                                    mine.new_zeros(self.total - rows.stop, *mine.shape[1:])]))

    def mean(self, mine):
        """The mean over this rank's rows -> the mean over the whole batch, with gradient."""
        if self.whole:
            return mine
        rows = self.rows
        return Sum.apply(mine * ((rows.stop - rows.start) / self.total))

    def any(self, asked):
        """Whether any rank asks, the same answer on all of them; it leaves the CUDA queue alone."""
        if self.world == 1:
            return asked
        flag = torch.tensor(float(asked))
        dist.all_reduce(flag)
        return bool(flag)

    def share(self, value):
        """What the first rank has, on all of them."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, device=torch.device("cpu"))
        return box[0]

    def same_noise(self, rng, device):
        """Every rank's CUDA device draws what the first one's would: ``rng`` is of ``checkpoints.rng_state()``."""
        if self.world > 1 and device.type == "cuda" and rng["cuda"]:
            torch.cuda.set_rng_state(rng["cuda"][0].cpu(), device)

    def wrap(self, objective):
        """An ``Objective`` whose gradients are averaged over the ranks while they are being computed."""
        if self.world == 1:
            return objective
        device = next(objective.parameters()).device
        if objective.config.sync_batchnorm:
            for module in objective.modules():
                if type(module) is nn.BatchNorm2d:
                    module.__class__ = SyncBatchNorm          # the same weights and buffers, another forward
        return DistributedDataParallel(objective, device_ids=[device] if device.type == "cuda" else None)

    def objective(self, model, x, config, beta, **state):
        """``losses.objective`` of the whole batch from this rank's rows x (b, C, S, S): the same terms on every rank.

        The gradients of ``Sum`` are those of all ranks together, ``world`` times too large; the averaging of
        DistributedDataParallel makes them right.
        """
        out = model.run(x, self.draw(torch.randn, model.latent_dim, device=x.device))
        reconstruction = self.mean(RECONSTRUCTIONS[config.reconstruction](out.logits, x, config.sigma))
        z, mu, logvar = self.gather(torch.stack([out.z, out.mu, out.logvar], dim=1)).unbind(1)
        return terms_of(out._replace(z=z, mu=mu, logvar=logvar), reconstruction, config, beta, **state)


class SyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the whole batch. torch's own of this name asks for CUDA; this one runs, and is tested, on CPUs."""

    def forward(self, x):
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        x32, shape = x.float(), (1, -1, 1, 1)
        count = Sum.apply(x32.new_tensor(x32[:, 0].numel()))
        mean = Sum.apply(x32.sum((0, 2, 3))) / count                                      # (C,)
        centred = x32 - mean.view(shape)
        variance = Sum.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        y = centred * torch.rsqrt(variance + self.eps).view(shape)
        return (y * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)
