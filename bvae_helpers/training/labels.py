"""Training where the factors of some images are known: semi-supervised learning.

All images have the beta-VAE's loss. For those with labels, each factor has a latent of its own, whose mean is pulled
to the label (``losses.label_error``). Locatello et al. 2020, "Disentangling Factors of Variation Using Few Labels".
"""

import math
import time

import torch
from tqdm.auto import tqdm

from .. import checkpoints
from ..config import Config
from ..data import FactorData, to_batch
from ..losses import RECONSTRUCTIONS, beta_at, label_error, terms_of
from ..model import BetaVAE, unwrap
from . import system
from .precision import precision
from .run import check_model

__all__ = ["fit_labelled", "label_codes"]

SHARE = 4        # a batch divided by this is drawn from the images with labels
NEEDED = {"objective": "beta_vae", "lr_schedule": "cosine", "flip": False}


def label_codes(data: FactorData, factors: torch.Tensor) -> torch.Tensor:
    """Integer classes (N, K) -> where the means of K latents should be, float32 (N, K).

    What images show of a factor (``data.visible``), from -sqrt(3) to sqrt(3): for many classes, mean 0 and variance 1.
    A factor of one class has 0.
    """
    varied = torch.tensor(data.factor_sizes) > 1
    return (data.visible(factors) - 0.5) * math.sqrt(12) * varied


def fit_labelled(model: BetaVAE, data: FactorData, config: Config, *, labels: int, weight: float = 100.0,
                 stop_after: int | None = None, progress: bool = True) -> dict[str, list]:
    """Train ``model`` in place on random images of ``data``, on the CPU -> the terms at every ``log_every`` steps.

    ``labels``: how many images, drawn at random and with replacement, have known factors; a quarter of each batch is
    drawn from them. ``weight``: of ``losses.label_error``, beside the beta-VAE's loss of the whole batch. ``epochs``
    times ``num_images`` images are drawn in all; the learning rate falls along a cosine. With a ``save_dir`` the run is
    saved to ``last.pt`` there at the start, every ``save_seconds``, at the end and when stopped, and the same call
    resumes it and ends as if it had never been stopped. ``stop_after``: return after this number of steps. There are
    no TensorBoard logs, no validation and no kept checkpoints.

    Raises TypeError for data without factors; ValueError for settings that it does not have, a model that is not the
    config's, and a ``save_dir`` whose run has other settings, is damaged, or is under way; FloatingPointError when the
    loss or a weight is NaN or infinite; KeyboardInterrupt, once the run is saved, when it is stopped.
    """
    model = unwrap(model)
    _check(model, data, config, labels, weight, stop_after)
    system.keep_memory()
    run = _LabelRun(model, data, config, labels, float(weight))
    last = run.total_steps if stop_after is None else min(run.total_steps, run.step + stop_after)
    try:
        run.begin()
        with system.stop_signals() as stop, \
                tqdm(total=run.total_steps, initial=run.step, unit="step", disable=None if progress else True) as bar:
            while run.step < last and not stop.requested:
                run.update()
                bar.update()
            run.save()
    finally:
        run.close()
    if stop.requested and run.step < run.total_steps:
        again = "; the same call resumes the run" if config.save_dir else ""
        raise KeyboardInterrupt(f"stopped at step {run.step} of {run.total_steps}{again}")
    return run.history


class _LabelRun:
    """The state of a training with labels, with all that a checkpoint stores."""

    def __init__(self, model: BetaVAE, data: FactorData, config: Config, labels: int, weight: float):
        self.model, self.data, self.config, self.weight = model.to("cpu", torch.float32), data, config, weight
        self.known = data.sample_factors(labels, torch.Generator().manual_seed(config.seed))
        self.fingerprint = (f"{type(data).__name__} {tuple(data.factor_sizes)}, {labels} labels of weight {weight}")
        self.dtype = precision(config.precision, torch.device("cpu"))
        self.total_steps = config.epochs * (config.num_images // config.batch_size)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, fused=True)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, self.total_steps)
        self.generator = torch.Generator().manual_seed(config.seed + 1)
        self.step, self.history, self.seconds = 0, {}, 0.0
        self.folder = None if config.save_dir is None else checkpoints.folder(config.save_dir)
        self.occupied = None
        self.began = self.saved_at = time.monotonic()

    def begin(self):
        """Take the folder, and continue the run that is there, if any."""
        torch.manual_seed(self.config.seed)
        with system.folder_lock(self.folder):
            self.occupied = system.occupy(self.folder, alone=True)
        if self.folder and (self.folder / "last.pt").exists():
            self._load(checkpoints.load(self.folder / "last.pt"))
        else:
            self.save()
        self.model.train()

    def draw(self) -> torch.Tensor:
        """The factors (B, K) of a batch; those of its first quarter are known."""
        factors = self.data.sample_factors(self.config.batch_size, self.generator)
        labelled = self.config.batch_size // SHARE
        factors[:labelled] = self.known[torch.randint(len(self.known), (labelled,), generator=self.generator)]
        return factors

    def terms(self, factors: torch.Tensor) -> dict[str, torch.Tensor]:
        """The terms of the loss of a batch of factors (B, K), and ``label_error``."""
        x = to_batch(self.data.images(factors))
        labelled = factors[:self.config.batch_size // SHARE]
        with torch.autocast("cpu", self.dtype, enabled=self.dtype is not torch.float32):
            out = self.model.run(x)
        reconstruction = RECONSTRUCTIONS[self.config.reconstruction](out.logits, x, self.config.sigma)
        terms = terms_of(out, reconstruction, self.config, beta_at(self.step, self.config))
        error = label_error(out.mu[:len(labelled)], label_codes(self.data, labelled))
        return {**terms, "loss": terms["loss"] + self.weight * error, "label_error": error}

    def update(self):
        """One step of gradient descent."""
        terms = self.terms(self.draw())
        self.optimizer.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip or math.inf)
        self.optimizer.step()
        self.scheduler.step()
        self.step += 1
        if self.step % self.config.log_every == 0:
            for name in ("loss", "reconstruction", "kl", "label_error"):
                self.history.setdefault(name, []).append(terms[name].item())
            self.history.setdefault("step", []).append(self.step)
        if time.monotonic() - self.saved_at > self.config.save_seconds:
            self.save()

    def state(self) -> dict:
        """Everything that a checkpoint stores."""
        seconds = self.seconds + time.monotonic() - self.began
        return {"model_state_dict": self.model.state_dict(), "optimizer_state_dict": self.optimizer.state_dict(),
                "scheduler_state_dict": self.scheduler.state_dict(), "generator": self.generator.get_state(),
                "rng": checkpoints.rng_state(), "config": self.config.to_dict(), "data": self.fingerprint,
                "step": self.step, "epoch": self.step * self.config.epochs // self.total_steps,
                "history": self.history, "seconds": seconds}

    def save(self):
        """Write ``last.pt``, if the run has a folder. Raises FloatingPointError instead if a weight is no number."""
        if not all(p.isfinite().all() for p in self.model.parameters()):
            raise FloatingPointError(f"a weight is NaN or infinite after step {self.step}; try a lower learning rate")
        self.saved_at = time.monotonic()
        if self.folder is not None:
            checkpoints.save(self.state(), self.folder / "last.pt")

    def _load(self, state: dict):
        remedy = "move the old files away, to start a new run"
        checkpoints.check_same_run(state, self.config, self.fingerprint, remedy)
        checkpoints.check_label_state(state, self.state(), self.optimizer, self.total_steps, remedy)
        self.model.load_state_dict(state["model_state_dict"])
        checkpoints.load_optimizer(self.optimizer, state["optimizer_state_dict"])
        self.scheduler.load_state_dict(state["scheduler_state_dict"])
        self.generator.set_state(state["generator"])
        checkpoints.set_rng_state(state["rng"])
        self.step, self.history, self.seconds = state["step"], state["history"], state["seconds"]

    def close(self):
        """Let other runs have the folder, and leave the model in eval mode, however the training ended."""
        self.model.eval()
        if self.occupied is not None:
            with system.folder_lock(self.folder):
                system.leave(self.folder, self.occupied)


def _check(model, data, config, labels, weight, stop_after):
    """Raise TypeError or ValueError for what ``fit_labelled`` does not take."""
    if not isinstance(data, FactorData):
        raise TypeError(f"data must know its factors (a data.FactorData), got a {type(data).__name__}")
    check_model(model, config)
    for name, value in NEEDED.items():
        if getattr(config, name) != value:
            raise ValueError(f"training with labels needs {name} {value!r}, got {getattr(config, name)!r}")
    if config.precision == "float16":
        raise ValueError("training with labels has float32 and bfloat16, got precision 'float16'")
    shape = tuple(data.images(torch.zeros(1, len(data.factor_sizes), dtype=torch.long)).shape[1:])
    if shape != (model.in_channels, model.img_size, model.img_size):
        raise ValueError(f"the model takes images {(model.in_channels, model.img_size, model.img_size)}, the data hold "
                         f"{shape}; set in_channels and img_size to fit")
    if config.latent_dim < len(data.factor_sizes):
        raise ValueError(f"each of the {len(data.factor_sizes)} factors needs a latent of its own: latent_dim is "
                         f"{config.latent_dim}")
    if config.batch_size < SHARE:
        raise ValueError(f"one image in {SHARE} has a label: batch_size must be {SHARE} or more, got "
                         f"{config.batch_size}")
    if config.num_images is None or config.num_images < config.batch_size:
        raise ValueError(f"num_images is the length of an epoch: it must be batch_size ({config.batch_size}) or more, "
                         f"got {config.num_images}")
    if not isinstance(labels, int) or isinstance(labels, bool) or labels < 1:
        raise ValueError(f"labels must be a whole number of images from 1, got {labels!r}")
    if not isinstance(weight, int | float) or not 0 <= weight < math.inf:
        raise ValueError(f"weight must be a number from 0, got {weight!r}")
    if stop_after is not None and (not isinstance(stop_after, int) or stop_after < 0):
        raise ValueError(f"stop_after must be a number of steps from 0, got {stop_after!r}")
