"""fit(): one readable loop, fast, whose runs are never lost.

The order of the images is a function of the seed and the epoch, the noise comes from torch's
generator, and all that a run is stands in every checkpoint: stopped anywhere, it goes on exactly.
"""

import torch
from torch.nn.utils import clip_grad_norm_
from tqdm.auto import tqdm

from ..config import Config
from ..data import as_images, to_batch
from ..losses import beta_at
from . import system as machine
from .objective import in_batches
from .run import Run


def fit(model, data, config=None, *, resume=True, progress=True, stop_after=None, device=None):
    """Train ``model`` on ``data`` as ``config`` says, and return its ``History``.

    ``data``: whatever ``data.as_images`` takes. ``model`` is trained in place, on CUDA if there is
    one. Stopped at any moment (Ctrl-C, a dead kernel, kill -9), the same call goes on from
    ``save_dir/last.pt`` and ends as if it had never stopped; ``resume=False`` trains anew and moves
    the older checkpoints to ``save_dir/previous-1`` (2, 3 ...). ``stop_after`` stops as Ctrl-C
    would, after so many steps of this call. Under torchrun, its processes share each batch: ``parallel``.

    Raises ValueError for data or settings that do not fit the model or the run to go on with,
    KeyboardInterrupt when stopped, FloatingPointError when the loss is no longer a number.
    """
    config = config or Config(in_channels=model.in_channels, img_size=model.img_size, beta=model.beta,
                              latent_dim=model.latent_dim, hidden_dims=model.hidden_dims, network=model.network,
                              patch=model.patch)
    run = Run(model, as_images(data, config.num_images, config.seed), config, device)
    machine.keep_memory()
    run.start(resume)
    first = run.step
    with machine.stop_signals() as stop, run.bar(progress) as bar:
        while run.epoch < config.epochs:
            for index in run.begin_epoch():
                if run.ranks.any(stop.requested) or run.step - first == stop_after:
                    run.save("last.pt")
                    raise run.stopped()
                run.record(train_step(run, run.batch(index), beta_at(run.step, config)))
                bar.update()
            run.end_epoch(validate)
            bar.set_postfix_str(run.summary())
            if progress and run.ranks.first:
                tqdm.write(run.summary())
        run.finish()
        if stop.requested:
            raise KeyboardInterrupt("stopped at the last step; the run is complete")
    return run.history


def train_step(run, x, beta):
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
def validate(run):
    """The terms of the objective over the validation images, every image counting the same: a dict.

    In eval mode, and with the same noise each time, so that epochs can be compared.
    """
    run.model.eval()
    totals = {}
    with torch.random.fork_rng(devices=[run.device] if run.device.type == "cuda" else []):
        torch.manual_seed(run.config.seed)
        for index in in_batches(run.held_out, run.config.batch_size):
            x = to_batch(run.images.take(run.ranks.cut(index)), run.device)
            terms = run.objective(x, beta_at(run.step, run.config))
            for name, value in terms.items():
                totals[name] = totals.get(name, 0) + value.double() * len(index)
    return {name: (value / len(run.held_out)).tolist() for name, value in totals.items()}
