"""fit(): one readable training loop whose runs can be stopped and resumed exactly.

The order of the images is a function of the seed and the epoch, the noise comes from torch's generator, and every
checkpoint stores the whole state of the run: a run stopped anywhere and resumed ends as if it had never been stopped.
"""

import contextlib
from collections.abc import Sequence

import torch
from torch.nn.utils import clip_grad_norm_
from tqdm.auto import tqdm

from ..config import Config
from ..data import as_images, to_batch
from ..losses import beta_at
from ..model import BetaVAE
from . import system
from .history import History
from .objective import in_batches, mean_terms
from .run import Run, Watcher

__all__ = ["fit", "train_step", "validate"]


def fit(model: BetaVAE, data, config: Config | None = None, *, resume: bool = True, progress: bool = True,
        stop_after: int | None = None, device: str | None = None,
        watch: Watcher | Sequence[Watcher] | None = None) -> History:
    """Train ``model`` in place on ``data`` as ``config`` describes, and return its ``History``.

    ``data``: anything that ``data.as_images`` takes. ``device``: CUDA by default if there is one. Stopped at any moment
    (Ctrl-C, a dead kernel, kill -9), the same call resumes from ``save_dir/last.pt`` and ends as if it had never been
    stopped; ``resume=False`` starts again and moves older checkpoints to ``save_dir/previous-N``. ``stop_after``: return
    after this number of steps, with ``history.complete`` False if the training is not finished. Under torchrun, its
    processes share each batch (``parallel``).

    ``watch``: one function or several, called with the ``Run`` every ``log_every`` steps (``run.event == "log"``), after
    each epoch ("epoch") and at the end ("end"). A watcher may use ``run.model``, which is in eval mode, and draw random
    numbers: both are restored. Its exceptions end the training, after a save.

    Raises ValueError for data or settings that do not fit the model or the run to resume, KeyboardInterrupt, after a
    save, for Ctrl-C or SIGTERM, FloatingPointError when the loss is NaN or infinite.
    """
    config = config or Config(in_channels=model.in_channels, img_size=model.img_size, beta=model.beta,
                              latent_dim=model.latent_dim, hidden_dims=model.hidden_dims, network=model.network,
                              patch=model.patch)
    system.keep_memory()
    run = Run(model, as_images(data, config.num_images, config.seed), config, device, watch)
    run.start(resume)
    last_step = None if stop_after is None else run.step + stop_after
    with system.stop_signals() as stop, run.bar(progress) as bar, contextlib.closing(run):
        while not run.complete:
            for index in run.begin_epoch():
                interrupted = run.ranks.any(stop.requested)
                if interrupted or run.step == last_step:
                    return run.stop(interrupted)
                run.record(train_step(run, run.batch(index), beta_at(run.step, config)))
                bar.update()
                if run.step % config.log_every == 0:
                    run.notify("log")
            run.flush()
            rate = run.images_per_second                     # of training alone, without validation
            run.end_epoch(rate, validate(run))
            run.notify("epoch")
            bar.set_postfix_str(run.summary())
            if progress and run.ranks.first:
                tqdm.write(run.summary())
        run.save("final_model.pt")
        run.notify("end")
        if stop.requested:
            raise KeyboardInterrupt("stopped at the last step; the run is complete")
    return run.history


def train_step(run: Run, x: torch.Tensor, beta: float) -> dict[str, torch.Tensor]:
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


@torch.no_grad()
def validate(run: Run) -> dict[str, float | list[float]]:
    """The terms of the objective, averaged over the validation images; an empty dict without such images.

    Computed in eval mode and with the same noise each time, so that epochs can be compared.
    """
    if not len(run.held_out):
        return {}
    run.model.eval()
    batches, terms = in_batches(run.held_out, run.config.batch_size), []
    with system.seeded(run.config.seed, run.device):
        for index in batches:
            x = to_batch(run.images.take(run.ranks.cut(index)), run.device)
            terms.append(run.objective(x, beta_at(run.step, run.config)))
    return mean_terms(terms, [len(index) for index in batches])
