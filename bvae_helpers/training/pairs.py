"""Training on pairs of images that differ in one factor, without being told which: weak supervision.

The latents that the two images of a pair seem to share get the average of their two posteriors, so that a latent that
mixes factors makes both reconstructions worse. Locatello et al. 2020, "Weakly-Supervised Disentanglement Without
Compromises".
"""

import contextlib
import math
import time
from collections.abc import Sequence

import torch
from tqdm.auto import tqdm

from .. import checkpoints
from ..config import Config
from ..data import FactorData, to_batch
from ..losses import RECONSTRUCTIONS, average_shared, beta_at, kl_divergence
from ..model import BetaVAE
from . import system

__all__ = ["draw_pairs", "fit_pairs", "pair_terms"]


def draw_pairs(data: FactorData, pairs: int, weights: Sequence[float], generator: torch.Generator) -> torch.Tensor:
    """The factors (2 pairs, K) of random pairs, rows i and i + pairs: one factor of the second is drawn again.

    ``weights``: K numbers, how often each factor is the one that is drawn again.
    """
    first, other = (data.sample_factors(pairs, generator) for _ in range(2))
    drawn = torch.multinomial(torch.as_tensor(weights).float(), pairs, replacement=True, generator=generator)
    return torch.cat([first, torch.where(drawn[:, None] == torch.arange(len(weights)), other, first)])


def pair_terms(model: BetaVAE, x: torch.Tensor, config: Config, beta: float, changed: int | None) -> dict:
    """The terms of the loss of pairs x (2 P, C, S, S) in nats per image: reconstruction + beta KL.

    Both terms are those of the posteriors after ``losses.average_shared``, which says what ``changed`` means.
    """
    mu, logvar = average_shared(*model.encoder(x), changed)
    logits = model.decoder.logits(model.reparameterize(mu, logvar))
    reconstruction = RECONSTRUCTIONS[config.reconstruction](logits, x, config.sigma)
    kl = kl_divergence(mu, logvar).sum(1).mean()
    return {"loss": reconstruction + beta * kl, "reconstruction": reconstruction, "kl": kl}


def fit_pairs(model: BetaVAE, data: FactorData, config: Config, *, weights: Sequence[float] | None = None,
              changed: int | None = 1, stop_after: int | None = None, progress: bool = True) -> dict[str, list]:
    """Train ``model`` in place on new random pairs of ``data``, on the CPU -> the terms at every ``log_every`` steps.

    The objective is the beta-VAE's, with averaged posteriors. ``weights``: how often each factor is the one that
    changes (default: equally often). ``changed``: the number of latents a pair may differ in, or None to find it for
    each pair. A step takes ``batch_size`` images, half as many pairs; ``epochs`` times ``num_images`` images are drawn
    in all; the learning rate falls along a cosine. Every ``save_seconds``, at the end and when stopped, the run is
    saved to ``save_dir/last.pt``, from which the same call resumes it and ends as if it had never been stopped.
    ``stop_after``: return after this number of steps.

    Raises ValueError for settings that it does not have, or that the run in ``save_dir`` does not have, and
    FloatingPointError when the loss is NaN or infinite.
    """
    _check(data, config, weights := weights or [1.0] * len(data.factor_sizes))
    system.keep_memory()
    run = _PairRun(model, config, f"{data.factor_sizes}, weights {list(weights)}, changed {changed}")
    last = run.total_steps if stop_after is None else min(run.total_steps, run.step + stop_after)
    with system.stop_signals() as stop, contextlib.closing(run), \
            tqdm(total=run.total_steps, initial=run.step, unit="step", disable=None if progress else True) as bar:
        while run.step < last and not stop.requested:
            x = to_batch(data.images(draw_pairs(data, config.batch_size // 2, weights, run.generator)))
            run.update(pair_terms(model, x, config, beta_at(run.step, config), changed))
            bar.update()
    if stop.requested:
        raise KeyboardInterrupt(f"stopped at step {run.step} of {run.total_steps}; the same call resumes the run")
    return run.history


class _PairRun:
    """The state of a training on pairs, with all that a checkpoint stores."""

    def __init__(self, model: BetaVAE, config: Config, data: str):
        self.model, self.config, self.data = model.train(), config, data
        self.total_steps = config.epochs * (config.num_images // config.batch_size)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, self.total_steps)
        torch.manual_seed(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step, self.history, self.seconds = 0, {}, 0.0
        self.file = None if config.save_dir is None else checkpoints.folder(config.save_dir) / "last.pt"
        if self.file and self.file.exists():
            self._load(checkpoints.load(self.file))
        self.began = self.saved_at = time.monotonic()

    def update(self, terms: dict[str, torch.Tensor]):
        """One step of gradient descent."""
        self.optimizer.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip or math.inf)
        self.optimizer.step()
        self.scheduler.step()
        self.step += 1
        if self.step % self.config.log_every == 0:
            if not terms["loss"].isfinite():
                raise FloatingPointError(f"the loss was {float(terms['loss'])} at step {self.step}; try a lower lr")
            for name, value in {"step": self.step, **{name: term.item() for name, term in terms.items()}}.items():
                self.history.setdefault(name, []).append(value)
        if time.monotonic() - self.saved_at > self.config.save_seconds:
            self.save()

    def save(self):
        """Write ``last.pt``, if the run has a folder and its weights are finite."""
        if self.file is None or not all(p.isfinite().all() for p in self.model.parameters()):
            return
        self.saved_at = time.monotonic()
        checkpoints.save({"model_state_dict": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                          "scheduler": self.scheduler.state_dict(), "generator": self.generator.get_state(),
                          "rng": checkpoints.rng_state(), "config": self.config.to_dict(), "data": self.data,
                          "step": self.step, "epoch": self.step * self.config.epochs // self.total_steps,
                          "history": self.history, "seconds": self.seconds + self.saved_at - self.began}, self.file)

    def _load(self, state: dict):
        checkpoints.check_same_run(state, self.config, self.data)
        self.model.load_state_dict(state["model_state_dict"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.generator.set_state(state["generator"])
        checkpoints.set_rng_state(state["rng"])
        self.step, self.history, self.seconds = state["step"], state["history"], state["seconds"]

    def close(self):
        """Save, and leave the model in eval mode, however the training ended."""
        self.save()
        self.model.eval()


def _check(data, config, weights):
    """Raise ValueError for settings that ``fit_pairs`` does not have."""
    wanted = {"objective": "beta_vae", "lr_schedule": "cosine"}
    for name, value in wanted.items():
        if getattr(config, name) != value:
            raise ValueError(f"training on pairs needs {name} {value!r}, got {getattr(config, name)!r}")
    if config.batch_size < 2 or config.batch_size % 2:
        raise ValueError(f"a batch holds pairs: batch_size must be even, got {config.batch_size}")
    if len(weights) != len(data.factor_sizes):
        raise ValueError(f"weights needs one number for each of the {len(data.factor_sizes)} factors, "
                         f"got {len(weights)}")
