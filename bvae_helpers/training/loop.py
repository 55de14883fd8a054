"""fit(): one readable training loop whose runs can be stopped and resumed exactly.

The order of the images is a function of the seed and the epoch, the noise comes from torch's generator, and every
checkpoint stores the whole state of the run: a run stopped anywhere and resumed ends as if it had never been stopped.
"""

import contextlib
from collections.abc import Sequence

import torch
from tqdm.auto import tqdm

from ..config import Config
from ..data import as_images
from ..model import BetaVAE, unwrap
from . import system
from .history import History
from .objective import in_batches
from .run import Run, Watcher

__all__ = ["fit", "validate"]


def fit(model: BetaVAE, data, config: Config | None = None, *, resume: bool = True, progress: bool = True,
        stop_after: int | None = None, device: str | None = None,
        watch: Watcher | Sequence[Watcher] | None = None) -> History:
    """Train ``model`` in place on ``data`` as ``config`` describes, and return its ``History``.

    ``data``: anything that ``data.as_images`` takes. ``device``: CUDA by default if there is one. Stopped at any moment
    (Ctrl-C, a dead kernel, kill -9), the same call resumes from ``save_dir/last.pt`` and ends as if it had never been
    stopped; ``resume=False`` starts again and moves older checkpoints to ``save_dir/previous-N``. ``stop_after``:
    return after this number of steps, with ``history.complete`` False if the training is not finished. Under torchrun,
    its processes share each batch (``parallel``).

    ``watch``: one function or several, called with the ``Run`` every ``log_every`` steps (``run.event == "log"``),
    after each epoch ("epoch") and at the end ("end"). A watcher may use ``run.model``, which is in eval mode, and draw
    random numbers: both are restored. Its exceptions end the training, after a save.

    Raises ValueError for data or settings that do not fit the model or the run to resume, and for ``resume=False``
    while another run is under way in the folder; KeyboardInterrupt, after a save, for Ctrl-C or SIGTERM,
    FloatingPointError when the loss is NaN or infinite.
    """
    model = unwrap(model)
    if not isinstance(model, BetaVAE):
        raise TypeError(f"training needs a model.BetaVAE, got a {type(model).__name__}; all else takes any model")
    config = config or Config(in_channels=model.in_channels, img_size=model.img_size, beta=model.beta,
                              latent_dim=model.latent_dim, hidden_dims=model.hidden_dims, network=model.network,
                              patch=model.patch)
    system.keep_memory()
    run = Run(model, as_images(data, config.num_images, config.seed), config, device, watch)
    run.start(resume)
    if progress and run.ranks.first and run.step > 0:
        tqdm.write(run.resumed())
    last_step = None if stop_after is None else run.step + stop_after
    with system.stop_signals() as stop, run.bar(progress) as bar, contextlib.closing(run):
        while not run.complete:
            for index in run.begin_epoch():
                interrupted = run.ranks.any(stop.requested)
                if interrupted or run.step == last_step:
                    return run.stop(interrupted)
                run.train_on(index)
                run.record()
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


@torch.no_grad()
def validate(run: Run) -> dict[str, float | list[float]]:
    """The terms of the objective, averaged over the validation images; an empty dict without such images.

    Computed in eval mode and with the same noise each time, so that epochs can be compared.
    """
    if not len(run.held_out):
        return {}
    run.model.eval()
    batches = in_batches(run.positions(run.held_out), run.config.batch_size)
    with system.seeded(run.config.seed, run.device):
        for index in batches:
            run.measure(index)
    weights = torch.tensor([len(index) / len(run.held_out) for index in batches], dtype=torch.float64)
    means = {name: torch.tensordot(weights, values, dims=1).tolist() for name, values in run.measured.read().items()}
    run.measured.clear()
    return means
