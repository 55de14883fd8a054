"""One training step, in two ways: called from Python, or recorded once as a CUDA graph and replayed.

Why a GPU waits: a step of a small network is some hundreds of kernels, and Python takes longer to start each of them
than the GPU takes to finish it. A CUDA graph is the list of these kernels with the addresses of their inputs and
outputs; one call starts them all. Whatever changes from step to step must therefore stand in a tensor that stays in its
place: the batch, beta, the capacity, the learning rates, the row of the table that the terms are written to.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ..data.files import first_line
from . import system

__all__ = ["Step", "record", "train_step"]


def train_step(run, x: Tensor, beta: float | Tensor) -> dict[str, Tensor]:
    """One step of gradient descent on a batch x (B, C, S, S) -> the terms of its loss, in nats per image."""
    terms = run.objective(x, beta)
    run.optimizer.zero_grad(set_to_none=True)
    loss = terms["loss"] + terms.get("discriminator_loss", 0)      # no weight is in both: two losses, two gradients
    run.scaler.scale(loss).backward()
    if run.config.grad_clip > 0:
        run.scaler.unscale_(run.optimizer)
        clip_grad_norm_(run.model.parameters(), run.config.grad_clip)
    run.scaler.step(run.optimizer)
    run.scaler.update()
    return {name: value.detach() for name, value in terms.items()}


class Step:
    """``compute(x) -> terms`` on the images at given positions; on CUDA a replayed graph from the fourth call on.

    The terms become a row of ``table``. What is recorded must not wait for the device, and depends only on the images,
    on tensors that stay in place and on torch's random numbers. The first calls, computed eagerly, are real steps. A
    batch of another shape or dtype is computed eagerly, and so is all that follows a recording that failed.
    """

    WARM_UP = 3      # eager steps before the recording: they create the optimiser's state and choose algorithms

    def __init__(self, run, compute: Callable[[Tensor], dict[str, Tensor]], table):
        self.run, self.compute, self.table = run, compute, table
        self.stream = torch.cuda.Stream() if run.recordable and run.device.type == "cuda" else None
        self.eager_steps = 0
        self.batch: Tensor | None = None                  # what the graph reads: positions, or pixels
        self.replay: Callable[[], None] | None = None

    def __call__(self, index: Tensor):
        """Compute the batch at the positions ``index`` (B,)."""
        self.run.set_dials()
        self.table.begin_row()
        batch = index if self.run.resident else self.run.pixels(index)
        if self.run.recordable and self.replay is None and len(batch) == self.run.batch_size:
            if self.eager_steps == self.WARM_UP:
                self._record(batch)
            self.eager_steps += 1
        if self.run.recordable and self.replay and (batch.shape, batch.dtype) == (self.batch.shape, self.batch.dtype):
            self.batch.copy_(batch)
            self.replay()
        else:
            self._eagerly(batch)

    def _work(self, batch: Tensor):
        pixels = self.run.pixels(batch) if self.run.resident else batch
        self.table.write(self.compute(self.run.prepare(pixels)))

    def _eagerly(self, batch: Tensor):
        """Work on the stream that is recorded later, because autograd keeps the stream of each gradient."""
        if self.stream is None:
            return self._work(batch)
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            self._work(batch)
        torch.cuda.current_stream().wait_stream(self.stream)

    def _record(self, batch: Tensor):
        self.batch = batch.to(self.run.device, copy=True)
        try:
            self.replay = record(lambda: self._work(self.batch), self.stream)
        except RuntimeError as error:
            self.run.stop_recording()
            why = first_line(error.__context__ or error)       # the end of a broken recording is an error, too
            warnings.warn(f"the step cannot be a CUDA graph ({why}): training continues without, more slowly",
                          stacklevel=2)


def record(work: Callable[[], None], stream) -> Callable[[], None]:
    """Record what ``work`` starts on the device without running it -> the function that runs it, or RuntimeError."""
    graph, noise = torch.cuda.CUDAGraph(), torch.cuda.get_rng_state(stream.device)
    try:
        with torch.cuda.stream(stream), torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            work()
    except RuntimeError:
        system.renew_generator(stream.device, noise)
        raise
    return graph.replay
