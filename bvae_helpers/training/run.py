"""The state of a training run: all that a checkpoint holds, so that a stopped run goes on exactly."""

import math
import time
from dataclasses import asdict

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau
from tqdm.auto import tqdm

from .. import checkpoints
from ..data import mirror_half, split, to_batch
from ..losses import beta_at
from . import parallel
from . import system as machine
from .history import History, TensorBoard, pair_of, picture_due, run_folder, same_folder
from .objective import Objective


class Run:
    """All that a run is, and so all that a checkpoint holds."""

    def __init__(self, model, images, config, device=None):
        self.ranks = parallel.join()
        self.device = self.ranks.device(device)
        self.train, self.held_out = split(len(images), config.val_fraction, config.seed)
        check_run(model, images, config, min(len(self.train), len(self.held_out) or len(self.train)))
        self.images, self.config, self.fingerprint = images, config, images.fingerprint()
        self.model = model.to(self.device, memory_format=torch.channels_last)
        self.alone = Objective(model, config, self.device, len(self.train), self.ranks)
        self.discriminator = self.alone.discriminator          # FactorVAE's; None otherwise
        if config.compile:
            self.alone.compile()
        self.objective = self.ranks.wrap(self.alone)
        self.optimizer = self.alone.optimizer()
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.alone.dtype is torch.float16)
        self.history, self.seconds, self.val_loss, self.best = History(), 0.0, float("inf"), float("inf")
        self.reach(0)
        self.recent, self.sums = [], {}      # terms since the last point of the curves; totals of the epoch
        self.steps_per_epoch = self.history.steps_per_epoch = len(self.batches())
        self.total_steps = config.epochs * self.steps_per_epoch
        self.scheduler = (CosineAnnealingLR(self.optimizer, self.total_steps) if config.lr_schedule == "cosine" else
                          ReduceLROnPlateau(self.optimizer, factor=config.lr_factor, patience=config.lr_patience))

    epoch = property(lambda self: len(self.history), doc="Epochs completed.")
    step_in_epoch = property(lambda self: self.step - self.epoch * self.steps_per_epoch)

    def reach(self, step):
        """Be at a step; the objective moves along."""
        self.step = step
        self.alone.reach(step)

    def batches(self):
        """The batches of the current epoch; a last incomplete one is left out, unless it is the only one."""
        generator = torch.Generator().manual_seed(self.config.seed + 1_000_003 * self.epoch)
        order = self.train[torch.randperm(len(self.train), generator=generator)]
        batches = order.split(self.config.batch_size)
        return batches if len(batches) == 1 or len(batches[-1]) == len(batches[0]) else batches[:-1]

    def batch(self, index):
        """The images of a batch on the device, mirrored or not: those of its rows that are this rank's."""
        x = to_batch(self.images.take(self.ranks.cut(index)), self.device)
        return mirror_half(x, self.ranks.draw(torch.rand, 1, 1, 1, device=self.device)) if self.config.flip else x

    def start(self, resume):
        """Go on from ``last.pt`` where there is one; else begin, and move what is in the way aside."""
        torch.manual_seed(self.config.seed)
        self.log_folder = run_folder(self.config)
        state = self.ranks.share(self.found(resume) if self.ranks.first else None)
        if state is not None:
            self.load(state)
        self.images = machine.resident(self.images, self.device)
        self.board = TensorBoard(self.log_folder if self.ranks.first else None, self.step)
        self.clock = self.saved_at = time.monotonic()

    def found(self, resume):
        """The checkpoint to go on from, if there is one; without, what is in the way is moved aside."""
        last = self.folder and self.folder / "last.pt"
        if resume and last and last.is_file():
            return checkpoints.load(last)
        if self.folder and any(self.folder.glob("*.pt")):
            checkpoints.move_aside(self.folder)

    def record(self, terms):
        """Count a step. Nothing here waits for the device, except at every ``log_every``-th step."""
        self.recent.append(terms)
        self.reach(self.step + 1)
        if self.config.lr_schedule == "cosine":
            self.scheduler.step()
        if self.step % self.config.log_every == 0:
            self.flush()
        if picture_due(self.step):
            self.take_picture()
        if time.monotonic() - self.saved_at > self.config.save_seconds and self.step_in_epoch < self.steps_per_epoch:
            self.save("last.pt")

    def flush(self):
        """Turn the terms of the last steps into one point of the curves."""
        if not self.recent:
            return
        self.check_finite()
        stacked = {name: torch.stack([terms[name] for terms in self.recent]).double() for name in self.recent[0]}
        for name, values in stacked.items():
            self.sums[name] = self.sums.get(name, 0) + values.sum(0).cpu()
        means = {name: values.mean(0).tolist() for name, values in stacked.items()}
        self.history.add_steps(step=self.step, **means)
        self.board.scalars("step", means, self.step)
        self.recent = []

    def check_finite(self):
        """Raise FloatingPointError, with the step and the likely cause, if a recent loss is not a number."""
        losses = torch.stack([terms["loss"] for terms in self.recent])
        if losses.isfinite().all():
            return
        n = int((~losses.isfinite()).nonzero()[0])
        terms = {k: float(v) for k, v in self.recent[n].items() if v.ndim == 0}
        cause = ("the KL overflowed: logvar grew too large" if terms["kl"] == float("inf") else
                 "the reconstruction is not a number: look for NaN in the images")
        kept = f"the last good checkpoint is {self.folder / 'last.pt'}" if self.folder and (self.folder / "last.pt").is_file() \
            else "no checkpoint had been written yet"
        raise FloatingPointError(
            f"the loss was {terms['loss']} at step {self.step - len(self.recent) + n + 1} (epoch {self.epoch + 1}); {cause}. "
            f"Most often the learning rate ({self.config.lr:g}) is too high: try a tenth of it; {kept}")

    def begin_epoch(self):
        """The batches that are left of the current epoch."""
        self.model.train()
        self.epoch_clock, left = time.monotonic(), self.batches()[self.step_in_epoch:]
        self.images_left = sum(map(len, left))
        return left

    def end_epoch(self, validate):
        """Close the books of an epoch: curves, validation, learning rate, pictures, checkpoints."""
        self.flush()
        rate = self.images_left / (time.monotonic() - self.epoch_clock)
        train = {name: (value / self.steps_per_epoch).tolist() for name, value in self.sums.items()}
        validation = validate(self) if len(self.held_out) else {}
        self.val_loss = validation.get("loss", train["loss"])
        if not math.isfinite(self.val_loss):
            raise FloatingPointError(f"the validation loss was {self.val_loss} after epoch {self.epoch + 1}; look for NaN in the "
                                     "images, or lower the learning rate")
        self.history.add_epoch(
            epoch=self.epoch + 1, lr=self.optimizer.param_groups[0]["lr"], beta=beta_at(self.step, self.config),
            images_per_second=rate, seconds=self.seconds + time.monotonic() - self.clock,
            **{f"train_{k}": v for k, v in train.items()}, **{f"val_{k}": v for k, v in validation.items()})
        self.sums = {}
        if self.config.lr_schedule == "plateau":
            self.scheduler.step(self.val_loss)
        self.log_epoch(train, validation)
        self.save_epoch()

    def log_epoch(self, train, validation):
        self.board.scalars("train", train, self.step)
        self.board.scalars("val", validation, self.step)
        latest = {name: self.history[name][-1] for name in ("lr", "beta", "images_per_second")}
        self.board.scalars("run", latest, self.step)
        self.take_picture(keep=False)
        self.board.traversal(self.model, self.images.take(self.pictured), self.step)

    def save_epoch(self):
        if self.val_loss < self.best:
            self.best = self.val_loss
            self.save("best_model.pt")
        if self.epoch % self.config.save_every == 0:
            self.save(f"checkpoint_epoch_{self.epoch}.pt")
        self.save("last.pt")

    def finish(self):
        self.save("final_model.pt")
        self.board.close()
        self.model.eval()

    def stopped(self):
        """What to raise when the run is stopped before its end."""
        kept = "call fit again to go on" if self.folder else "without a save_dir nothing was kept"
        return KeyboardInterrupt(f"stopped at step {self.step} of {self.total_steps}; {kept}")

    pictured = property(lambda self: (self.held_out if len(self.held_out) else self.train)[:8])
    folder = property(lambda self: None if self.config.save_dir is None else checkpoints.folder(self.config.save_dir))

    def take_picture(self, keep=True):
        pair = pair_of(self.model, self.images.take(self.pictured))
        if keep:
            self.history.pictures[self.step] = pair
        self.board.picture(pair, self.step)

    def state(self):
        return {"model_state_dict": self.model.state_dict(), "optimizer_state_dict": self.optimizer.state_dict(),
                "scheduler_state_dict": self.scheduler.state_dict(), "scaler_state_dict": self.scaler.state_dict(),
                "discriminator_state_dict": self.discriminator and self.discriminator.state_dict(),
                "epoch": self.epoch, "step": self.step, "val_loss": self.val_loss, "best_val_loss": self.best,
                "config": self.config.to_dict(), "data": self.fingerprint, "history": asdict(self.history),
                "recent": self.recent, "sums": self.sums, "seconds": self.seconds + time.monotonic() - self.clock,
                "log_folder": self.log_folder, "rng": checkpoints.rng_state()}

    def save(self, name):
        if self.folder is None:
            return
        if self.recent:
            self.check_finite()
        if not all(p.isfinite().all() for p in self.model.parameters()):
            raise FloatingPointError(f"the weights are no longer numbers after step {self.step}; try a lower learning rate")
        if self.ranks.first:
            checkpoints.save(self.state(), self.folder / name)
        self.saved_at = time.monotonic()

    def load(self, state):
        checkpoints.check_same_run(state, self.config, self.fingerprint)
        self.model.load_state_dict(state["model_state_dict"])
        self.optimizer.load_state_dict(state["optimizer_state_dict"])
        self.scheduler.load_state_dict(state["scheduler_state_dict"])
        self.scaler.load_state_dict(state["scaler_state_dict"])
        if self.discriminator:
            self.discriminator.load_state_dict(state["discriminator_state_dict"])
        self.reach(state["step"])
        self.seconds, self.val_loss = state["seconds"], state["val_loss"]
        self.best, self.history = state["best_val_loss"], History(**state["history"])
        self.recent = [{name: value.to(self.device) for name, value in terms.items()} for terms in state["recent"]]
        self.sums = state["sums"]
        self.log_folder = same_folder(state["log_folder"], self.log_folder)
        checkpoints.set_rng_state(state["rng"])
        self.ranks.same_noise(state["rng"], self.device)

    def bar(self, progress):
        shown = progress and self.ranks.first
        return tqdm(total=self.total_steps, initial=self.step, unit="step", disable=None if shown else True, leave=False)

    def summary(self):
        last = {name: values[-1] for name, values in self.history.epochs.items()}
        parts = [f"epoch {self.epoch}/{self.config.epochs}", f"loss {last['train_loss']:.1f}",
                 f"recon {last['train_reconstruction']:.1f}", f"KL {last['train_kl']:.2f}"]
        parts += [f"val loss {last['val_loss']:.1f}"] if "val_loss" in last else []
        return " · ".join([*parts, f"{last['images_per_second']:,.0f} images/s"])


def check_run(model, images, config, fewest):
    """Raise ValueError if the data, the model and the config do not belong together.

    ``fewest``: the number of images to train or to validate on, whichever is smaller.
    """
    want = (model.in_channels, model.img_size, model.img_size)
    if images.shape != want:
        raise ValueError(f"the model takes images {want}, the data hold {images.shape}; set in_channels and img_size to fit")
    some = images.take(torch.arange(min(8, len(images))))
    if some.is_floating_point() and (some.min() < -0.001 or some.max() > 1.001):
        raise ValueError(f"images are uint8, or floats from 0 to 1; these are floats from {some.min():.3g} to {some.max():.3g}: "
                         "leave out Normalize, divide by 255")
    for name in ("beta", "latent_dim", "hidden_dims", "network", "patch"):
        if getattr(model, name) != getattr(config, name):
            raise ValueError(f"the model has {name} {getattr(model, name)}, the config {getattr(config, name)}; "
                             "build the model with BetaVAE.from_config(config)")
    if config.objective not in ("beta_vae", "annealed") and min(fewest, config.batch_size) < 2:
        raise ValueError(f"{config.objective} compares the images of a batch: it needs batch_size 2 or more, got "
                         f"{config.batch_size}, and 2 images or more to train and to validate on, got {fewest}")
