"""The live explorer: drag a slider, and the decoded image moves with it.

A slider event decodes one image and puts a small PNG into one ``widgets.Image``, in place: no matplotlib, nothing
redrawn, nothing piled up. The filmstrip is decoded when another latent is moved, not at every event. It works with
ipywidgets 7.7 and 8.

Events that come faster than images can be made are dropped in the browser: a slider sends its next value when the
kernel has answered the one before, and then its newest, so the last one always wins.
"""

import html
import math
import os
import pathlib
import threading
from collections.abc import Callable

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor, nn

from .. import latents as L
from ..data import as_images, image_of, to_batch
from ..data.decoding import decode
from . import accessible, frames
from .export import page
from .panel import GAP, Panel, Strip

__all__ = ["LatentExplorer"]

THUMB = 48          # pixels of a thumbnail of the picker
BEAT = 60           # milliseconds between two pictures when playing
PERIOD = 48         # pictures of one sweep to and fro


class LatentExplorer:
    """Sliders over the latents of a model; the first ``choices`` of ``images`` are its starting points.

    ``model`` is anybody's (see ``bvae_helpers.model``), or a dict from name to model: then they stand side by side,
    each with its sliders, started from the same image. ``images``: what ``data.as_images`` takes. Latents are sorted
    by KL, measured on all images, and labelled with it and, if ``factors`` (N, K) are given, with the factor that each
    carries and its share; ``data.factor_names`` names the factors. A slider spans the 1st to 99th percentile of the
    codes. Collapsed latents, and all but the first 12, are folded away.

    ``start`` takes a picture of your own, too; ``refresh`` measures a model again that is being trained; ``close``
    frees the widgets. Raises ValueError if there is no model or no image.
    """

    def __init__(self, model: nn.Module | dict[str, nn.Module], images, data=None, factors=None, choices: int = 8):
        images = as_images(images)
        models = model if isinstance(model, dict) else {"": model}
        if not models or choices < 1:
            raise ValueError(f"the explorer needs a model and at least one image, got {len(models)} models and "
                             f"choices={choices}")
        self.shown = (models, images, data, factors, choices)
        first = images.take(torch.arange(min(choices, len(images))))
        if len(models) == 1:
            side, width = 192, 380
        else:
            side, width = 128, 400
        names = ()
        if factors is not None:
            if np.ndim(factors) != 2 or len(factors) != len(images):
                raise ValueError(f"factors must have shape ({len(images)}, K), a row for each image, got "
                                 f"{np.shape(factors)}")
            names = getattr(data, "factor_names", [f"factor {k}" for k in range(len(factors[0]))])
        self.message = widgets.HTML(layout={"min_height": "30px"})         # room for a link, so that it moves nothing
        self.failed, self.quiet, self.lock = False, False, threading.RLock()
        self.panels = {str(name): Panel(m, images, first=first, factors=factors, names=names, side=side, width=width,
                                        readout=len(models) == 1, guarded=self.guarded, touched=self.touch)
                       for name, m in models.items()}
        self.panel = next(iter(self.panels.values()))       # the one that was touched last
        self.interpolating = False                          # whether the interpolation was touched after it
        self.widget = self.build(first)
        self.start(0)

    # Widgets

    def build(self, choices: Tensor) -> widgets.VBox:
        """Lay the widgets out and connect them."""
        self.picker = Strip([str(k + 1) for k in range(len(choices))], THUMB, "bvae-starts",
                            self.guarded(self.start))
        self.picker.show(choices)
        self.zero = self.button("zero", lambda: self.start("zero"))
        self.random = self.button("random", lambda: self.start("random"))
        self.reset = self.button("reset all", self.reset_all)
        self.toward = widgets.Dropdown(options=[(f"image {k + 1}", k) for k in range(len(choices))],
                                       value=min(1, len(choices) - 1), layout={"width": "100px"})
        self.t = widgets.FloatSlider(value=0, min=0, max=1, step=0.01, description="interpolate to",
                                     readout_format=".2f", style={"description_width": "90px"},
                                     layout={"width": "240px"})
        self.play = widgets.Play(min=0, max=10 ** 6, interval=BEAT)
        self.wide = widgets.Checkbox(description="±3", indent=False, layout={"width": "50px"})
        self.difference = widgets.Checkbox(description="difference", indent=False, layout={"width": "95px"})
        self.save, self.save_gif = self.button("make PNG", self.offer_png), self.button("make GIF", self.offer_gif)
        self.save_page = self.button("make page", self.offer_page)
        self.watch(self.t, self.interpolate)
        self.watch(self.toward, lambda _: self.interpolate(self.t.value))
        self.watch(self.play, self.tick)
        self.watch(self.wide, lambda on: self.each(lambda p: p.widen(on)))
        self.watch(self.difference, lambda on: self.each(lambda p: p.show_difference(on)))
        lines = [[self.picker.widget, self.zero, self.random, self.reset],
                 [self.t, self.toward, self.play, self.wide, self.difference, self.save, self.save_gif,
                  self.save_page]]
        wrap = {"flex_flow": "row wrap"}
        self.bars = [widgets.HBox(line, layout={**wrap, "align_items": "center"}) for line in lines]
        panels = widgets.HBox(self.columns(), layout={**wrap, "align_items": "flex-start"})
        whole = widgets.VBox([*self.bars, self.message, panels, accessible.labeller()])
        whole.add_class("bvae-explorer")
        return whole

    def columns(self) -> list[widgets.Widget]:
        """One model: pictures beside sliders. Several: a column each, pictures on top."""
        if len(self.panels) == 1:
            return [self.panel.picture_box, self.panel.slider_box]
        columns = []
        for name, panel in self.panels.items():
            panel.picture_box.layout.flex = panel.slider_box.layout.flex = "0 0 auto"
            title = widgets.HTML(f"<b>{html.escape(name)}</b> · {panel.nats:.1f} nats")
            columns.append(widgets.VBox([title, panel.picture_box, panel.slider_box],
                                        layout={"width": f"{panel.width + 30}px", "margin": "0 8px 0 0"}))
        return columns

    def button(self, name: str, action: Callable[[], None]) -> widgets.Button:
        """A button that does ``action``. To add one of your own: ``explorer.bars[1].children += (button,)``."""
        made, action = widgets.Button(description=name, layout={"width": "auto"}), self.guarded(action)
        made.on_click(lambda _: action())
        return made

    def watch(self, widget: widgets.Widget, action: Callable) -> None:
        """Call ``action`` with each new value that a person gives the widget."""
        action = self.guarded(action)

        def changed(change):
            if not self.quiet:
                action(change["new"])

        widget.observe(changed, "value")

    def guarded(self, action: Callable) -> Callable:
        """A callback that shows an exception in the explorer, where it would otherwise vanish; one at a time."""

        def callback(*values):
            with self.lock:
                try:
                    action(*values)
                    if self.failed:
                        self.message.value, self.failed = "", False
                except Exception as error:
                    self.failed = True
                    words = html.escape(f"{type(error).__name__}: {error}")
                    self.message.value = f'<b style="color:#D55E00">{words}</b>'

        return callback

    # Moving

    def each(self, action: Callable[[Panel], None]) -> None:
        """Do ``action`` with each panel."""
        for panel in self.panels.values():
            action(panel)

    def touch(self, panel: Panel) -> None:
        """Note that ``panel`` was moved last."""
        self.panel, self.interpolating = panel, False

    def start(self, choice) -> None:
        """Start from image number ``choice`` (from 0); from "zero" or a "random" draw of the prior; or from a picture.

        A picture is a path, a PIL picture, or an image (C, S, S), uint8 or float in [0, 1].
        Raises ValueError for an image of another shape than the model's, IndexError for a number that is not there.
        """
        with self.lock:
            self.message.value = ""
            known = isinstance(choice, (int, np.integer)) and not isinstance(choice, bool)
            drawn = isinstance(choice, str) and choice in ("zero", "random")
            count = len(self.panel.first)
            if known and not -count <= choice < count:
                raise IndexError(f"no image {choice}: there are {count} starting points, from 0")
            image = choice % count if known else None
            picture = None if known or drawn else self.read(choice)
            for panel in self.panels.values():
                if known:
                    panel.start(image, panel.first[image], panel.codes[image])
                elif picture is not None:
                    panel.start(None, picture, L.encode(panel.model, picture[None])[0][0])
                elif choice == "zero":
                    panel.start(None, None, torch.zeros(len(panel.z)))
                else:
                    panel.start(None, None, torch.randn(len(panel.z)))
            self.picker.mark(image)
            self.rest()

    def read(self, picture) -> Tensor:
        """A path, a PIL picture or an image (C, S, S) -> an image like the first ones, float in [0, 1]."""
        channels, size, _ = shape = tuple(self.panel.first.shape[1:])
        if isinstance(picture, (str, os.PathLike)):
            picture = decode(pathlib.Path(picture).expanduser().read_bytes(), size, channels)
        elif hasattr(picture, "getbands"):
            picture = picture.convert("RGB" if channels == 3 else "L").resize((size, size))
        image = to_batch(image_of(picture)[None])[0]
        if tuple(image.shape) != shape:
            raise ValueError(f"this explorer's images have shape {shape}, got {tuple(image.shape)}")
        return image

    def rest(self) -> None:
        """Put the interpolation slider back to its beginning without moving anything."""
        self.quiet = True
        self.t.value = 0
        self.quiet = False

    def reset_all(self) -> None:
        """Return every latent to the start; from there, to zero, the prior's mean."""
        at_home = all(torch.equal(p.z, p.home) for p in self.panels.values())
        self.each(lambda p: p.go(torch.zeros_like(p.home) if at_home else p.home))
        self.rest()

    def refresh(self) -> None:
        """Measure the models again, which have been trained further, and start from the first image.

        Between two epochs: ``fit(model, data, config, stop_after=n)``, ``explorer.refresh()``, ``fit`` again.
        """
        with self.lock:
            self.each(lambda p: p.refresh())
            self.start(0)

    def between(self, panel: Panel, t: float) -> Tensor:
        """The code a share ``t`` of the way from the start to the image chosen as the end, (D,)."""
        return torch.lerp(panel.home, panel.codes[self.toward.value], t)

    def interpolate(self, t: float) -> None:
        """Show the code a share ``t`` of the way to the image chosen as the end."""
        self.interpolating = True
        self.each(lambda p: p.go(self.between(p, t)))

    def tick(self, beat: int) -> None:
        """Play: sweep what was touched last, a latent or the interpolation, to and fro."""
        share = abs((beat / PERIOD * 2 + 1) % 2 - 1)
        if self.interpolating:
            self.t.value = share
        else:
            low, high = self.panel.span(self.panel.active)
            self.set(self.panel.active, low + share * (high - low), self.panel)

    def set(self, latent: int, value: float, panel: Panel | None = None) -> None:
        """Move a slider from code, as a person would; with several models, that of one ``panel``.

        Raises IndexError for a latent that the model does not have, ValueError for a value that is not finite.
        """
        value = float(value)
        if not math.isfinite(value):
            raise ValueError(f"a latent's value must be a finite number, got {value}")
        with self.lock:
            (panel or self.panel).sliders[latent].value = value

    def close(self) -> None:
        """Remove the explorer from the page and free its widgets."""
        stack = [self.widget]
        while stack:
            widget = stack.pop()
            stack.extend(getattr(widget, "children", ()))
            for part in (getattr(widget, "layout", None), getattr(widget, "style", None), widget):
                if part is not None:
                    part.close()

    # Saving

    def offer_png(self) -> None:
        """Offer what is shown, and its z, for download."""
        seen = []
        for p in self.panels.values():
            film = L.traverse(p.model, p.z, p.active, torch.tensor(p.film_values))
            now = L.decode(p.model, p.z[None])[0]
            seen += [frames.row(p.triple(now), p.side, GAP), frames.row(film, p.strip.tile, Strip.GAP)]
        codes = [f"<code>z = {[round(v, 3) for v in p.z.tolist()]}</code>" for p in self.panels.values()]
        link = frames.link("latents.png", frames.png(frames.column(seen, GAP)), "image/png")
        line = " · ".join([link, *codes])                   # one line, so that nothing below moves
        self.message.value = f'<div style="white-space:nowrap;overflow-x:auto;overflow-y:hidden">{line}</div>'

    def offer_gif(self) -> None:
        """Offer a GIF of what was touched last, sweeping to and fro once."""
        there = torch.linspace(0, 1, PERIOD // 2)
        share = torch.cat([there, there.flip(0)[1:-1]])
        if self.interpolating:
            panels = self.panels.values()
            films = [L.decode(p.model, torch.stack([self.between(p, t) for t in share.tolist()])) for p in panels]
        else:
            low, high = self.panel.span(self.panel.active)
            films = [L.traverse(self.panel.model, self.panel.z, self.panel.active, low + share * (high - low))]
        pictures = [frames.row(torch.stack(seen), self.panel.side, GAP) for seen in zip(*films)]
        self.message.value = frames.link("latents.gif", frames.gif(pictures, BEAT), "image/gif")

    def offer_page(self) -> None:
        """Offer this explorer as one HTML file, which works without a kernel (see ``export``)."""
        models, images, data, factors, choices = self.shown
        self.message.value = frames.link("latents.html", page(models, images, data, factors, choices), "text/html")

    # The parts of the panel that was touched last

    @property
    def order(self) -> list[int]:
        """The latents, sorted by KL, the largest first."""
        return self.panel.order

    @property
    def folded(self) -> list[int]:
        """The latents whose sliders are folded away."""
        return self.panel.folded

    @property
    def sliders(self) -> dict[int, widgets.FloatSlider]:
        """Latent -> slider. Asking for one that is folded away unfolds it."""
        return self.panel.sliders

    @property
    def picture(self) -> widgets.Image:
        """The picture of original, reconstruction and now."""
        return self.panel.picture

    @property
    def codes(self) -> Tensor:
        """The codes of the starting points, (choices, D)."""
        return self.panel.codes

    @property
    def z(self) -> Tensor:
        """The code that is shown, (D,)."""
        return self.panel.z

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        if hasattr(self.widget, "_repr_mimebundle_"):           # ipywidgets 8
            return self.widget._repr_mimebundle_(include=include, exclude=exclude, **options)
        return {"text/plain": "LatentExplorer", "application/vnd.jupyter.widget-view+json": {
            "version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}}

    def __repr__(self):
        counts = []
        for name, panel in self.panels.items():
            collapsed = int(panel.collapsed.sum())
            count = f"{len(panel.order) - collapsed} active latents, {collapsed} collapsed"
            counts.append(f"{name}: {count}" if name else count)
        return f"LatentExplorer: {'; '.join(counts)}"
