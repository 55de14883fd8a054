"""The state of a training run: all that a checkpoint stores, so that a stopped run is resumed exactly."""

import math
import pathlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import IO

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau
from tqdm.auto import tqdm

from .. import checkpoints
from ..config import Config
from ..data import Images, mirror_half, split, to_batch
from ..latents import evaluating
from ..losses import beta_at
from ..model import BetaVAE
from . import parallel, system
from .history import History, TensorBoard, TermTable, pair_of, picture_due, run_folder, same_folder
from .objective import Objective, rates_from
from .precision import faster_precision, needs_trial
from .step import Step, train_step

__all__ = ["Run", "Watcher"]


class Run:
    """The state of a training run: model, optimiser, schedules, history, random generators.

    ``fit`` makes one and calls its methods; ``state()`` is what a checkpoint stores. A watcher (``fit(watch=...)``) may
    read everything here, above all ``model``, ``config``, ``history``, ``step``, ``total_steps``, ``epoch``,
    ``images_per_second`` and ``event``.
    """

    def __init__(self, model: BetaVAE, images: Images, config: Config, device: str | torch.device | None = None,
                 watch: "Watcher | Sequence[Watcher] | None" = None):
        self.ranks = parallel.join()
        self.device = self.ranks.device(device)
        self.train, self.held_out = split(len(images), config.val_fraction, config.seed)
        _check_run(model, images, config, len(self.train), len(self.held_out))
        self.images, self.config, self.fingerprint = images, config, images.fingerprint()
        self.model = model.to(self.device, memory_format=torch.channels_last)
        self.own_objective = Objective(model, config, self.device, len(self.train), self.ranks)
        self.discriminator = self.own_objective.discriminator          # FactorVAE's; None otherwise
        self.objective = self.ranks.wrap(self.own_objective)           # under torchrun: with averaged gradients
        self.optimizer = self.own_objective.optimizer()
        self.scaler = self._new_scaler()

        self.step = 0                            # optimiser steps done
        self.history = History()
        self.sums: dict = {}                     # term -> its sum over the steps of this epoch
        self.val_loss = self.best = math.inf     # latest and lowest validation loss
        self.steps_per_epoch = self.history.steps_per_epoch = len(self.batches())
        self.total_steps = config.epochs * self.steps_per_epoch
        self.scheduler = self._new_scheduler()

        self.beta = torch.zeros((), device=self.device)
        self.recordable = can_record(self)       # whether its steps may become CUDA graphs
        self.rates = [torch.zeros((), device=self.device) for _ in self.optimizer.param_groups if self.recordable]
        self.recent = TermTable(min(config.log_every, self.steps_per_epoch), self.device)     # since the last log point
        self.measured = TermTable(len(self.held_out) // config.batch_size + 1, self.device)   # of one validation
        self.set_dials()

        self.watchers = [watch] if callable(watch) else list(watch or ())
        self.event = ""                          # why the watchers are called: "log", "epoch" or "end"
        self.board = TensorBoard(None)
        self.log_folder: str | None = None
        self.occupied: IO | None = None          # open while this run is under way in its folder
        self.earlier_seconds = 0.0               # time spent by the calls of fit that this one resumes
        self.started = self.saved_at = self.epoch_started = time.monotonic()
        self.first_of_epoch = 0                  # the step at which this call began the current epoch

    def _new_scheduler(self) -> CosineAnnealingLR | ReduceLROnPlateau:
        if self.config.lr_schedule == "cosine":
            return CosineAnnealingLR(self.optimizer, self.total_steps)
        return ReduceLROnPlateau(self.optimizer, factor=self.config.lr_factor, patience=self.config.lr_patience)

    def _new_scaler(self) -> torch.amp.GradScaler:
        return torch.amp.GradScaler(self.device.type, enabled=self.own_objective.dtype is torch.float16)

    @property
    def precision(self) -> str:
        """The number format of the convolutions: ``float32``, ``bfloat16`` or ``float16``."""
        return str(self.own_objective.dtype).removeprefix("torch.")

    def use_precision(self, name: str):
        """Compute in another number format from now on."""
        self.own_objective.dtype = getattr(torch, name)
        self.scaler = self._new_scaler()

    def stop_recording(self):
        """Compute all further steps eagerly, after a recording that failed in the middle of a scaled step."""
        self.recordable = False
        state, self.scaler = self.scaler.state_dict(), self._new_scaler()
        self.scaler.load_state_dict(state)
        for left_over in ("grad_scale", "found_inf"):        # the scaler's message to a step that did not end
            vars(self.optimizer).pop(left_over, None)

    # Where the run is

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return len(self.history)

    @property
    def step_in_epoch(self) -> int:
        """Number of steps done in the current epoch."""
        return self.step - self.epoch * self.steps_per_epoch

    @property
    def complete(self) -> bool:
        """Whether all epochs of the config are done."""
        return self.epoch >= self.config.epochs

    @property
    def images_per_second(self) -> float:
        """Training speed since the current epoch began or was resumed; 0 before its first step."""
        images = (self.step - self.first_of_epoch) * self.batch_size
        return images / max(time.monotonic() - self.epoch_started, 1e-9)

    @property
    def seconds(self) -> float:
        """Time spent training, in all calls of ``fit`` together."""
        return self.earlier_seconds + time.monotonic() - self.started

    @property
    def folder(self) -> pathlib.Path | None:
        """The folder of the checkpoints, or None."""
        return None if self.config.save_dir is None else checkpoints.folder(self.config.save_dir)

    @property
    def pictured(self) -> torch.Tensor:
        """Positions of the images in the early pictures: the first eight for validation, else for training."""
        return (self.held_out if len(self.held_out) else self.train)[:8]

    # One step

    def set_dials(self):
        """Write what changes from step to step to its place on the device: beta, the capacity, the learning rates."""
        self.beta.fill_(beta_at(self.step, self.config))
        self.own_objective.reach(self.step)
        for group, rate in zip(self.optimizer.param_groups, self.rates):
            rate.fill_(group["lr"])

    @cached_property
    def train_on(self) -> Step:
        """``train_on(index)`` takes one step of gradient descent on the images at ``index`` (B,)."""
        def compute(x):
            with rates_from(self.rates, self.optimizer):
                return train_step(self, self.mirrored(x), self.beta)
        return Step(self, compute, self.recent)

    @cached_property
    def measure(self) -> Step:
        """``measure(index)`` adds the terms of the images at ``index`` (B,) to ``measured``; see ``validate``."""
        return Step(self, lambda x: self.objective(x, self.beta), self.measured)

    # Batches

    @property
    def batch_size(self) -> int:
        """Number of images in a training batch: that of the config, or all images if they are fewer."""
        return min(self.config.batch_size, len(self.train))

    @property
    def resident(self) -> bool:
        """Whether the images are in the device's own memory."""
        source = self.images.source
        return isinstance(source, torch.Tensor) and source.device.type == self.device.type

    def positions(self, index: torch.Tensor) -> torch.Tensor:
        """``index`` where the images are looked up: on the device if they are there, else on the CPU."""
        return index.to(self.device) if self.resident else index

    def batches(self) -> torch.Tensor:
        """The positions of the images of each batch of the current epoch, (steps, B). Images left over are not used."""
        generator = torch.Generator().manual_seed(self.config.seed + 1_000_003 * self.epoch)
        order = self.train[torch.randperm(len(self.train), generator=generator)]
        steps = len(order) // self.batch_size
        return order[:steps * self.batch_size].view(steps, self.batch_size)

    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        """This rank's share of the images at ``index`` (B,), as they are stored."""
        return self.images.take(self.ranks.cut(index))

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels as stored -> floats in [0, 1] on the device."""
        return to_batch(pixels, self.device)

    def mirrored(self, x: torch.Tensor) -> torch.Tensor:
        """The batch, each image mirrored with probability 1/2 if the config asks for it (``flip``)."""
        if self.config.flip:
            return mirror_half(x, self.ranks.draw(torch.rand, 1, 1, 1, device=self.device))
        return x

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """A training batch x (b, C, S, S): this rank's share of the images at ``index`` (B,)."""
        return self.mirrored(self.prepare(self.pixels(index)))

    # From the start to the end

    def start(self, resume: bool):
        """Resume from ``last.pt`` if ``resume`` and the file exists; otherwise move old checkpoints aside and begin."""
        try:
            self._start(resume)
        except BaseException:
            self._leave()
            raise

    def _leave(self):
        """Let other runs have the folder."""
        if self.occupied is not None:
            with system.folder_lock(self.folder):
                system.leave(self.folder, self.occupied)
            self.occupied = None

    def _start(self, resume: bool):
        torch.manual_seed(self.config.seed)
        self.log_folder = run_folder(self.config)
        self.images = system.resident(self.images, self.device)
        state = None
        if self.ranks.first:
            with system.folder_lock(self.folder):
                self.occupied = system.occupy(self.folder, alone=not resume)
                if resume and self.last_file:
                    state = checkpoints.load(self.last_file)
                else:
                    self._begin()
        state = self.ranks.share(state)
        if state is not None:
            self.load(state)
        self.history.complete = self.complete
        self.board = TensorBoard(self.log_folder if self.ranks.first else None, self.step)
        self.started = self.saved_at = time.monotonic()

    @property
    def last_file(self) -> pathlib.Path | None:
        """The ``last.pt`` of this folder, or None if there is none."""
        if self.folder is None or not (self.folder / "last.pt").is_file():
            return None
        return self.folder / "last.pt"

    def _begin(self):
        """Move the checkpoints of an older run, if any, to ``previous-N``, and save the first one of this run.

        A run that is stopped before its next save begins from the same weights again, and a run with other settings
        that is started in this folder at the same time finds a checkpoint that it cannot resume.
        """
        if needs_trial(self.config.precision, self.device) and self.ranks.world == 1:
            self.use_precision(faster_precision(self))
        if self.folder is not None and any(self.folder.glob("*.pt")):
            checkpoints.move_aside(self.folder)
        self.save("last.pt")

    def begin_epoch(self) -> torch.Tensor:
        """Prepare to train and return the batches that the current epoch still needs, (steps, B)."""
        self.model.train()
        self.epoch_started, self.first_of_epoch = time.monotonic(), self.step
        return self.positions(self.batches()[self.step_in_epoch:])

    def record(self):
        """Count a step. Waits for the device at every ``log_every``-th step only."""
        self.step += 1
        if self.config.lr_schedule == "cosine":
            self.scheduler.step()
        if self.step % self.config.log_every == 0:
            self.flush()
        if picture_due(self.step):
            self.take_picture()
        overdue = time.monotonic() - self.saved_at > self.config.save_seconds
        if overdue and self.step_in_epoch < self.steps_per_epoch:
            self.save("last.pt")

    def flush(self):
        """Turn the terms of the recent steps into one point of the curves."""
        if self.recent.count == 0:
            return
        terms = self.recent.read()
        self._check_finite(terms)
        for name, values in terms.items():
            self.sums[name] = self.sums.get(name, 0) + values.sum(0)
        means = {name: values.mean(0).tolist() for name, values in terms.items()}
        self.history.add_steps(step=self.step, **means)
        self.board.scalars("step", means, self.step)
        self.recent.clear()

    def _check_finite(self, terms: dict[str, torch.Tensor]):
        """Raise FloatingPointError, with step and likely cause, if the loss of a recent step is NaN or infinite."""
        bad = (~terms["loss"].isfinite()).nonzero()
        if len(bad) == 0:
            return
        n = int(bad[0])
        if float(terms["kl"][n]) == math.inf:
            cause = "the KL overflowed: logvar grew too large"
        else:
            cause = "the reconstruction is not a number: look for NaN in the images"
        if self.last_file:
            kept = f"the last good checkpoint is {self.last_file}"
        else:
            kept = "no checkpoint had been written yet"
        raise FloatingPointError(
            f"the loss was {float(terms['loss'][n])} at step {self.step - self.recent.count + n + 1} (epoch "
            f"{self.epoch + 1}); {cause}. Most often the learning rate ({self.config.lr:g}) is too high: try a tenth "
            f"of it; {kept}")

    def end_epoch(self, train_rate: float, validation: dict):
        """Finish an epoch: record its curves, step the scheduler, log, save.

        ``train_rate``: images per second without validation. ``validation``: the terms that ``validate`` returned.
        """
        train = {name: (value / self.steps_per_epoch).tolist() for name, value in self.sums.items()}
        self.val_loss = validation.get("loss", train["loss"])
        if not math.isfinite(self.val_loss):
            raise FloatingPointError(f"the validation loss was {self.val_loss} after epoch {self.epoch + 1}; look for "
                                     "NaN in the images, or lower the learning rate")
        self.history.add_epoch(
            epoch=self.epoch + 1, lr=self.optimizer.param_groups[0]["lr"], beta=beta_at(self.step, self.config),
            images_per_second=train_rate, seconds=self.seconds,
            **{f"train_{name}": value for name, value in train.items()},
            **{f"val_{name}": value for name, value in validation.items()})
        self.history.complete = self.complete
        self.sums = {}
        if self.config.lr_schedule == "plateau":
            self.scheduler.step(self.val_loss)
        self._log_epoch(train, validation)
        self._save_epoch()

    def _log_epoch(self, train: dict, validation: dict):
        self.board.scalars("train", train, self.step)
        self.board.scalars("val", validation, self.step)
        latest = {name: self.history[name][-1] for name in ("lr", "beta", "images_per_second")}
        self.board.scalars("run", latest, self.step)
        self.take_picture(keep=False)
        self.board.traversal(self.model, self.images.take(self.pictured), self.step)

    def _save_epoch(self):
        if self.val_loss < self.best:
            self.best = self.val_loss
            self.save("best_model.pt")
        if self.epoch % self.config.save_every == 0:
            self.save(f"checkpoint_epoch_{self.epoch}.pt")
        self.save("last.pt")

    def stop(self, interrupted: bool) -> History:
        """Save a run that is not complete and return its history; raise KeyboardInterrupt if a signal stopped it."""
        self.save("last.pt")
        self.notify("end")
        if interrupted:
            kept = "call fit again to resume" if self.folder else "without a save_dir nothing was kept"
            raise KeyboardInterrupt(f"stopped at step {self.step} of {self.total_steps}; {kept}")
        return self.history

    def close(self):
        """Leave the model ready for use (in eval mode), close the logs and let go of the images, however it ended.

        The steps refer to the run, and the run to them: Python would free such a circle, with all images and the
        recorded graphs, at some later time, and the runs of a sweep would add up until then.
        """
        for steps in ("train_on", "measure"):
            vars(self).pop(steps, None)
        self.model.eval()
        self.board.close()
        self._leave()

    def take_picture(self, keep: bool = True):
        """Reconstruct the ``pictured`` images for TensorBoard and, if ``keep``, for the history."""
        pair = pair_of(self.model, self.images.take(self.pictured))
        if keep:
            self.history.pictures[self.step] = pair
        self.board.picture(pair, self.step)

    # Watchers

    def notify(self, event: str):
        """Call the watchers, on rank 0 only, with the model in eval mode and without gradients.

        Mode and random generators are restored afterwards, so that a watched run stays identical to an unwatched one.
        An exception of a watcher ends the training; ``last.pt`` is saved first.
        """
        if not self.watchers or not self.ranks.first:
            return
        self.event, generators = event, checkpoints.rng_state()
        try:
            with evaluating(self.model):
                for watcher in self.watchers:
                    watcher(self)
        except BaseException:
            checkpoints.set_rng_state(generators)
            self.save("last.pt")
            raise
        checkpoints.set_rng_state(generators)

    # Checkpoints

    def state(self) -> dict:
        """What a checkpoint stores, as tensors and plain values."""
        discriminator = self.discriminator.state_dict() if self.discriminator else None
        return {"model_state_dict": self.model.state_dict(), "optimizer_state_dict": self.optimizer.state_dict(),
                "scheduler_state_dict": self.scheduler.state_dict(), "scaler_state_dict": self.scaler.state_dict(),
                "discriminator_state_dict": discriminator,
                "epoch": self.epoch, "step": self.step, "val_loss": self.val_loss, "best_val_loss": self.best,
                "config": self.config.to_dict(), "data": self.fingerprint, "history": asdict(self.history),
                "recent": self.recent.state(), "sums": self.sums, "seconds": self.seconds,
                "log_folder": self.log_folder, "rng": checkpoints.rng_state()}

    def save(self, name: str):
        """Write a checkpoint. Raises FloatingPointError instead if a loss or a weight is NaN or infinite."""
        if self.folder is None:
            return
        if self.recent.count:
            self._check_finite(self.recent.read())
        if not all(p.isfinite().all() for p in self.model.parameters()):
            raise FloatingPointError(f"a weight is NaN or infinite after step {self.step}; try a lower learning rate")
        if self.ranks.first:
            checkpoints.save(self.state(), self.folder / name)
        self.saved_at = time.monotonic()

    def load(self, state: dict):
        """Continue from what ``state()`` returned. Raises ValueError for a run with other settings or other data."""
        checkpoints.check_same_run(state, self.config, self.fingerprint)
        checkpoints.check_run_state(state, self.state(), self.optimizer)
        self.model.load_state_dict(state["model_state_dict"])
        checkpoints.load_optimizer(self.optimizer, state["optimizer_state_dict"])
        self.scheduler.load_state_dict(state["scheduler_state_dict"])
        if state["scaler_state_dict"] != {} and needs_trial(self.config.precision, self.device):
            self.use_precision("float16")                    # what the trial found when the run began
        if state["scaler_state_dict"] != {}:                 # empty: saved where the run was not in 16 bits
            self.scaler.load_state_dict(state["scaler_state_dict"])
        if self.discriminator:
            self.discriminator.load_state_dict(state["discriminator_state_dict"])
        self.step = state["step"]
        self.earlier_seconds, self.val_loss = state["seconds"], state["val_loss"]
        self.best, self.history = state["best_val_loss"], History(**state["history"])
        self.recent.load(state["recent"])
        self.sums = state["sums"]
        self.log_folder = same_folder(state["log_folder"], self.log_folder)
        checkpoints.set_rng_state(state["rng"])
        self.ranks.same_noise(state["rng"], self.device)

    # What a person reads

    def bar(self, progress: bool) -> tqdm:
        """The progress bar over all steps; an invisible one if not ``progress``."""
        shown = progress and self.ranks.first
        return tqdm(total=self.total_steps, initial=self.step, unit="step", disable=None if shown else True,
                    leave=False)

    def resumed(self) -> str:
        """What a resumed run has done already, in one line."""
        if self.complete:
            return f"this run is complete: {self.epoch} epochs in {self.folder}; nothing is left to train"
        return f"resumed at step {self.step} of {self.total_steps} from {self.last_file}"

    def summary(self) -> str:
        """The last epoch in one line."""
        last = {name: values[-1] for name, values in self.history.epochs.items()}
        parts = [f"epoch {self.epoch}/{self.config.epochs}", f"loss {last['train_loss']:.1f}",
                 f"recon {last['train_reconstruction']:.1f}", f"KL {last['train_kl']:.2f}"]
        if "val_loss" in last:
            parts.append(f"val loss {last['val_loss']:.1f}")
        return ", ".join([*parts, f"{last['images_per_second']:,.0f} images/s"])


Watcher = Callable[[Run], object]


def can_record(run) -> bool:
    """Whether a run's steps can be CUDA graphs: in one process, on the current CUDA device."""
    if run.device.type != "cuda" or run.ranks.world > 1:
        return False
    return run.device.index in (None, torch.cuda.current_device())


def check_model(model: BetaVAE, config: Config):
    """Raise ValueError if the model is not one that ``config`` describes."""
    for name in ("in_channels", "img_size", "beta", "latent_dim", "hidden_dims", "network", "patch"):
        if getattr(model, name) != getattr(config, name):
            raise ValueError(f"the model has {name} {getattr(model, name)}, the config {getattr(config, name)}; "
                             "build the model with BetaVAE.from_config(config)")


def _check_run(model: BetaVAE, images: Images, config: Config, train: int, held_out: int):
    """Raise ValueError if the data, the model and the config do not belong together.

    ``train`` and ``held_out``: the number of images to train and to validate on.
    """
    fewest = min(train, held_out or train)
    want = (model.in_channels, model.img_size, model.img_size)
    if images.shape != want:
        square = images.shape[1] == images.shape[2]
        remedy = "set in_channels and img_size to fit" if square else "cut or resize them to squares first"
        raise ValueError(f"the model takes images {want}, the data hold {images.shape}; {remedy}")
    check_model(model, config)
    one_pixel = model.img_size == model.patch * 2 ** len(model.hidden_dims)
    if model.network == "classic" and one_pixel and min(config.batch_size, train) == 1:
        raise ValueError("BatchNorm needs two values of a channel or more, and the last block of this model has 1 x 1 "
                         "pixels: use batch_size 2 or more (and as many images), or one of hidden_dims less")
    if config.objective not in ("beta_vae", "annealed") and min(fewest, config.batch_size) < 2:
        raise ValueError(f"{config.objective} compares the images of a batch: it needs batch_size 2 or more, got "
                         f"{config.batch_size}, and 2 images or more to train and to validate on, got {fewest}")
