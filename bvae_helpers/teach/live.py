"""Watch a training in a notebook: ``fit(…, watch=live.Training(images))`` shows one figure that changes in place."""

import io
import math
import time
from typing import Any

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from .. import latents, plots
from ..data import as_images, to_uint8
from ..model import BetaVAE
from ..training import History, Run
from .front_end import attended

__all__ = ["Training"]

SHARE = 0.045           # of the training's time for drawing all frames
PAUSE = 0.5             # seconds between two frames, at least
COST = 0.3              # seconds that the first frame is expected to take, with fonts to load and a figure to build
LATER = 0.6             # of the first frame's time: what a later frame is expected to take, until one has been drawn
FIRST = 1.0             # seconds of training before the first frame: until then nobody knows how long it will take
WIDTH, HEIGHT = 11.6, 5.6     # inches


class Training:
    """A watcher for ``fit``: progress, curves, the KL of each latent, and what the model draws now, in one figure.

    Above: steps, images per second and the time left. On the left: loss, reconstruction and KL in nats per image
    (training by step, validation by epoch) and the mean KL of each latent. On the right: originals, reconstructions and
    traversals of the latents with the largest KL. Frames are drawn at ``log_every`` steps, at most twice a second, and
    only as many as fit into 5 % of the training's time; the last one is always drawn, and stays. Until the first frame
    the progress is shown in words, which cost nothing. Outside a notebook, in the *tiny* profile and under pytest
    nothing is shown.

    ``images``: what ``data.as_images`` takes; the first 64 are used. ``title``: words above the figure; it may be
    changed for each run. ``runs``: the number of calls of ``fit`` that it watches, one after another, in one place: the
    bar is that of all of them. ``rows``: the number of traversed latents.
    """

    def __init__(self, images: Any, title: str = "", runs: int = 1, rows: int = 4):
        source = as_images(images)
        self.images = source.take(torch.arange(min(64, len(source))))
        self.title, self.runs, self.rows = title, runs, rows
        self._frame: _Frame | None = None
        self._display: Any = None               # IPython's handle of the place in the notebook
        self._cell: int | None = None           # the number of the cell that the handle belongs to
        self._run: Run | None = None            # the run that is watched now,
        self._number, self._first = 0, 0        # its number, from 1, and the step at which it began or was resumed
        self._begun, self._trained = 0.0, 0.0   # when the first run began, and the seconds of training before this run
        self._cost, self._spent = COST, 0.0     # seconds for the next frame, as expected, and for all frames so far
        self._shown_at = -math.inf              # when the place in the notebook last changed

    def __call__(self, run: Run) -> None:
        """Draw a frame, if one is due. Called by ``fit``."""
        if not attended() or not run.history.steps or (run.event == "epoch" and run.complete):
            return                              # after the last epoch the event "end" follows at once
        if run is not self._run:
            self._begin(run)
        now = time.monotonic()
        share, words = self._progress(run)
        last = run.event == "end" and self._number >= self.runs
        if last or self._due(now, share):
            self._draw(run, share, words, now)
        elif self._spent == 0 and now - self._shown_at >= PAUSE:
            self._show(_Words(words))
        if run.event == "end":
            self._trained += time.monotonic() - run.started

    def _begin(self, run: Run) -> None:
        """Turn to another run."""
        if self._number in (0, self.runs):
            self._number, self._begun, self._trained, self._spent = 0, run.started, 0.0, 0.0
        self._run, self._frame, self._number = run, None, self._number + 1
        self._first = max(0, run.step - run.config.log_every)

    def _due(self, now: float, share: float) -> bool:
        """Whether to draw a frame, at the time ``now``, when a ``share`` of all steps is done.

        The first frame is drawn early; those after it divide the rest of the time evenly. The last one is provided for.
        """
        done = self._trained + now - self._run.started          # seconds of training
        room = SHARE * done / share - self._spent - self._cost
        if room < self._cost:
            return False
        if self._spent == 0:
            return done >= FIRST
        left = done * (1 - share) / share
        return now - self._shown_at >= max(PAUSE, left * self._cost / room)

    def _draw(self, run: Run, share: float, words: str, now: float) -> None:
        """Draw a frame and show it. Its time, from ``now`` on, is counted."""
        if self._frame is None:
            self._frame = _Frame(run, self.images, self.rows)
        self._show(plots.Shown(self._frame.draw(run, share, words), self._alt(run)))
        took = self._shown_at - now
        self._cost = took if self._spent else LATER * took
        self._spent += took

    def _progress(self, run: Run) -> tuple[float, str]:
        """The share of all runs that is done, and a line about it: title, run, steps, speed and the time left."""
        share = (run.step - self._first) / max(run.total_steps - self._first, 1)
        share = (self._number - 1 + share) / self.runs
        elapsed = time.monotonic() - self._begun
        parts = [self.title] if self.title else []
        if self.runs > 1:
            parts.append(f"run {self._number} of {self.runs}")
        parts.append(f"step {run.step:,} of {run.total_steps:,}")
        if run.complete and self._number == self.runs:
            parts.append(f"done in {_duration(elapsed)}")
        else:
            parts += [f"{run.images_per_second:,.0f} images/s", f"{_duration(elapsed * (1 - share) / share)} left"]
        return share, "  ·  ".join(parts)

    def _alt(self, run: Run) -> str:
        """The frame's alt text."""
        last = run.history.steps
        loss, reconstruction, kl = (last[name][-1] for name in ("loss", "reconstruction", "kl"))
        return (f"the training {self.title or 'of the model'} after {run.step:,} of {run.total_steps:,} steps: curves "
                f"of loss ({loss:.1f} nats per image), reconstruction ({reconstruction:.1f}) and KL ({kl:.1f}), bars "
                "of the KL of each latent, and rows of originals, reconstructions and traversals of the latents with "
                "the largest KL")

    def _show(self, shown: "plots.Shown | _Words") -> None:
        """Put it where the last frame stands, or in a new place if the notebook is at another cell."""
        from IPython import get_ipython
        from IPython.display import display
        cell = get_ipython().execution_count
        if self._display is None or cell != self._cell:
            self._display, self._cell = display(shown, display_id=True), cell
        else:
            self._display.update(shown)
        self._shown_at = time.monotonic()


class _Words:
    """A line of text as a notebook displays it."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


class _Frame:
    """The figure of one run, built once: a frame changes its numbers and pictures only, which takes half the time."""

    def __init__(self, run: Run, images: torch.Tensor, rows: int):
        latent_dim = run.model.latent_dim
        self.images, self.rows, self.columns = images, min(rows, latent_dim), min(7, len(images))
        with rc_context({"figure.constrained_layout.use": False, "font.size": 11}):
            self.figure = Figure(figsize=(WIDTH, HEIGHT), dpi=plots.DPI)
            self.canvas = FigureCanvasAgg(self.figure)
            places = self.figure.add_gridspec(2, 3, left=0.06, right=0.99, bottom=0.07, top=0.84, wspace=0.22,
                                              hspace=0.36, width_ratios=(1.15, 0.75, 1.75))
            self.losses = _Curves(self.figure.add_subplot(places[0, 0]), "loss and reconstruction, nats",
                                  {"loss": "loss", "reconstruction": "reconstruction"})
            self.kl = _Curves(self.figure.add_subplot(places[1, 0]), "KL, nats", {"kl": "KL"}, within=(0.0, 1.0))
            self.bars = _Bars(self.figure.add_subplot(places[:, 1]), min(latent_dim, 16))
            self.sheet = self.figure.add_subplot(places[:, 2])
            self._make_progress()
        self.picture = None                     # what the sheet shows

    def _make_progress(self) -> None:
        """The bar above everything, and the words over it."""
        ax = self.figure.add_axes((0.05, 0.925, 0.94, 0.022))
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], facecolor="0.92")
        ax.grid(False)
        ax.spines[:].set_visible(False)
        self.done = ax.barh(0.5, 0, height=1, color=plots.COLOURS[0])[0]
        self.words = self.figure.text(0.05, 0.96, "", va="bottom", fontsize=12)

    def draw(self, run: Run, share: float, words: str) -> bytes:
        """The figure of this moment, as a PNG of fixed size: ``share`` of the bar is full, ``words`` stand over it."""
        self.words.set_text(words)
        self.done.set_width(share)
        self.losses.draw(run.history)
        self.kl.draw(run.history)
        self.bars.draw(run.history.steps["kl_per_latent"][-1])
        self._draw_sheet(run.model, torch.tensor(run.history.steps["kl_per_latent"][-1]))
        self.canvas.draw()
        return _png(self.canvas)

    def _draw_sheet(self, model: BetaVAE, nats: torch.Tensor) -> None:
        """Originals, reconstructions, and one row for each of the latents with the largest KL, ``nats`` (D,)."""
        mu, _ = latents.encode(model, self.images)
        order = nats.argsort(descending=True)[:self.rows].tolist()
        low, high = latents.traversal_limits(mu, nats > latents.ACTIVE_NATS)
        moved = latents.traversals(model, mu[0], order, low, high, self.columns)
        rows = [self.images[:self.columns], latents.decode(model, mu[:self.columns]), *moved]
        picture, centres = plots.sheet(rows)
        pixels = torch.cat([picture, torch.ones_like(picture[..., :1])], dim=2)     # with opacity matplotlib is faster
        pixels = to_uint8(pixels).numpy()
        if self.picture is None:
            self.picture = self.sheet.imshow(pixels, interpolation="nearest")
            self.sheet.set(xticks=[], title="originals, reconstructions, traversals")
            self.sheet.title.set_fontsize(11)
            self.sheet.grid(False)
            self.sheet.spines[:].set_visible(False)
            self.sheet.tick_params(length=0)
        self.picture.set_data(pixels)
        self.sheet.set_yticks(centres[:len(rows)], ["x", "recon", *(f"z{d}" for d in order)])


class _Curves:
    """Curves over the steps: training as lines, validation as squares. The numbers ``within`` are always in range."""

    def __init__(self, ax: Axes, title: str, names: dict[str, str], within: tuple[float, ...] = ()):
        self.ax, self.lines, self.within = ax, {}, within
        for name, label, colour in zip(names, names.values(), plots.COLOURS):
            training, = ax.plot([], [], color=colour, linewidth=1.5, label=label)
            validation, = ax.plot([], [], "s", color=colour, markersize=6)
            self.lines[name] = training, validation
        ax.set_title(title, fontsize=11)
        ax.locator_params(nbins=4)
        if len(names) > 1:
            ax.legend(loc="best", fontsize=9, frameon=True, framealpha=0.8, edgecolor="none")

    def draw(self, history: History) -> None:
        """Show the curves of a history, without the first tenth in the range: a loss begins far above where it ends."""
        steps, seen = history.steps["step"], list(self.within)
        for name, (training, validation) in self.lines.items():
            values = history.steps[name]
            training.set_data(steps, values)
            seen += values[len(values) // 10:]
            if f"val_{name}" in history.epochs:
                ends = [epoch * history.steps_per_epoch for epoch in history["epoch"]]
                validation.set_data(ends, history[f"val_{name}"])
                seen += history[f"val_{name}"]
        space = 0.06 * (max(seen) - min(seen)) or 1.0
        self.ax.set(xlim=(0, 1.02 * steps[-1]), ylim=(min(seen) - space, max(seen) + space))


class _Bars:
    """The mean KL of each latent in the latest training batches, the largest on top; collapsed latents in grey."""

    def __init__(self, ax: Axes, count: int):
        self.ax, self.bars = ax, ax.barh(range(count), [0.0] * count)
        ax.set(ylim=(count - 0.5, -0.5), title="KL of each latent, nats")
        ax.title.set_fontsize(11)
        ax.locator_params(axis="x", nbins=4)
        ax.grid(False, axis="y")
        ax.tick_params(axis="y", length=0)

    def draw(self, nats: list[float]) -> None:
        """Show the latents with the largest of these KLs."""
        order = sorted(range(len(nats)), key=lambda d: -nats[d])[:len(self.bars)]
        for bar, d in zip(self.bars, order):
            bar.set_width(nats[d])
            bar.set_color(plots.COLOURS[0] if nats[d] > latents.ACTIVE_NATS else "0.75")
        self.ax.set_xlim(0, max(1.0, 1.05 * max(nats)))         # collapsed latents are to look like it
        self.ax.set_yticks(range(len(order)), [f"z{d}" for d in order])


def _duration(seconds: float) -> str:
    """Seconds as "42 s", "3 min 5 s" or "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _png(canvas: FigureCanvasAgg) -> bytes:
    """What the canvas shows, as a PNG; little compressed, since speed counts here."""
    buffer = io.BytesIO()
    size = canvas.get_width_height()
    picture = Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")
    picture.save(buffer, "PNG", compress_level=2)
    return buffer.getvalue()
