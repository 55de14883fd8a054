"""Training where the factors of some images are known: semi-supervised learning.

All images have the beta-VAE's loss. For those with labels, each factor has a latent of its own, whose mean is pulled
to the label (``losses.label_error``). Locatello et al. 2020, "Disentangling Factors of Variation Using Few Labels".
"""

import contextlib
import math
import time

import torch
from tqdm.auto import tqdm

from .. import checkpoints
from ..config import Config
from ..data import FactorData, to_batch
from ..losses import RECONSTRUCTIONS, beta_at, label_error, terms_of
from ..model import BetaVAE
from . import system
from .precision import precision

__all__ = ["fit_labelled", "label_codes"]

SHARE = 4        # one image in so many of a batch is drawn from those with labels


def label_codes(data: FactorData, factors: torch.Tensor) -> torch.Tensor:
    """Integer classes (N, K) -> where the means of K latents should be, float32 (N, K).

    What images show of a factor (``data.visible``), from -sqrt(3) to sqrt(3): for many classes, mean 0 and variance 1.
    """
    return (data.visible(factors) - 0.5) * math.sqrt(12)


def fit_labelled(model: BetaVAE, data: FactorData, config: Config, *, labels: int, weight: float = 100.0,
                 stop_after: int | None = None, progress: bool = True) -> dict[str, list]:
    """Train ``model`` in place on random images of ``data``, on the CPU -> the terms at every ``log_every`` steps.

    ``labels``: of how many images, random ones, the factors are known; a quarter of each batch is drawn from them.
    ``weight``: of ``losses.label_error``, beside the beta-VAE's loss of the whole batch. ``epochs`` times
    ``num_images`` images are drawn in all; the learning rate falls along a cosine. Every ``save_seconds``, at the end
    and when stopped, the run is saved to ``save_dir/last.pt``, from which the same call resumes it and ends as if it
    had never been stopped. ``stop_after``: return after this number of steps.

    Raises ValueError for settings that it does not have, or that the run in ``save_dir`` does not have, while another
    run is under way there or if its checkpoint is damaged, and FloatingPointError when the loss is NaN or infinite.
    """
    _check(data, config, labels)
    system.keep_memory()
    run = _LabelRun(model, data, config, labels, weight)
    last = run.total_steps if stop_after is None else min(run.total_steps, run.step + stop_after)
    with system.stop_signals() as stop, contextlib.closing(run), \
            tqdm(total=run.total_steps, initial=run.step, unit="step", disable=None if progress else True) as bar:
        while run.step < last and not stop.requested:
            run.update()
            bar.update()
    if stop.requested:
        raise KeyboardInterrupt(f"stopped at step {run.step} of {run.total_steps}; the same call resumes the run")
    return run.history


class _LabelRun:
    """The state of a training with labels, with all that a checkpoint stores."""

    def __init__(self, model: BetaVAE, data: FactorData, config: Config, labels: int, weight: float):
        self.model, self.data, self.config, self.weight = model.train(), data, config, weight
        self.known = data.sample_factors(labels, torch.Generator().manual_seed(config.seed))
        self.fingerprint = f"{data.factor_sizes}, {labels} labels of weight {weight}"
        self.dtype = precision(config.precision, torch.device("cpu"))
        self.total_steps = config.epochs * (config.num_images // config.batch_size)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, fused=True)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, self.total_steps)
        torch.manual_seed(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed + 1)
        self.step, self.history, self.seconds = 0, {}, 0.0
        self.began = self.saved_at = time.monotonic()
        self.folder = None if config.save_dir is None else checkpoints.folder(config.save_dir)
        with system.folder_lock(self.folder):
            self.occupied = system.occupy(self.folder, alone=True)
        self.file = None if self.folder is None else self.folder / "last.pt"
        if self.file and self.file.exists():
            self._load(checkpoints.load(self.file))

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
            if not terms["loss"].isfinite():
                raise FloatingPointError(f"the loss was {terms['loss'].item()} at step {self.step}; try a lower lr")
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
        """Write ``last.pt``, if the run has a folder and its weights are finite."""
        if self.file is not None and all(p.isfinite().all() for p in self.model.parameters()):
            self.saved_at = time.monotonic()
            checkpoints.save(self.state(), self.file)

    def _load(self, state: dict):
        checkpoints.check_same_run(state, self.config, self.fingerprint)
        checkpoints.check_label_state(state, self.state(), self.optimizer)
        self.model.load_state_dict(state["model_state_dict"])
        checkpoints.load_optimizer(self.optimizer, state["optimizer_state_dict"])
        self.scheduler.load_state_dict(state["scheduler_state_dict"])
        self.generator.set_state(state["generator"])
        checkpoints.set_rng_state(state["rng"])
        self.step, self.history, self.seconds = state["step"], state["history"], state["seconds"]

    def close(self):
        """Save, and leave the model in eval mode, however the training ended."""
        self.save()
        self.model.eval()
        if self.folder is not None:
            with system.folder_lock(self.folder):
                system.leave(self.folder, self.occupied)


def _check(data, config, labels):
    """Raise ValueError for settings that ``fit_labelled`` does not have."""
    for name, value in {"objective": "beta_vae", "lr_schedule": "cosine"}.items():
        if getattr(config, name) != value:
            raise ValueError(f"training with labels needs {name} {value!r}, got {getattr(config, name)!r}")
    if config.latent_dim < len(data.factor_sizes):
        raise ValueError(f"each of the {len(data.factor_sizes)} factors needs a latent of its own: latent_dim is "
                         f"{config.latent_dim}")
    if config.batch_size < SHARE:
        raise ValueError(f"one image in {SHARE} has a label: batch_size must be {SHARE} or more, got "
                         f"{config.batch_size}")
    if labels < 1:
        raise ValueError(f"labels must be 1 or more images, got {labels}")
