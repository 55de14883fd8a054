"""The live explorer: drag a slider, the decoded image moves with it.

A slider event decodes one image and puts a small PNG into one ``widgets.Image`` in place: no
matplotlib, nothing redrawn, nothing piled up. The filmstrip is decoded when another latent is
touched, not at every event. It works under ipywidgets 7.7 and 8.

Events that come faster than images can be made are dropped in the browser: a slider sends its next
value when the kernel has answered the one before, and then its newest, so the last always wins.
"""

import ipywidgets as widgets
import torch

from .. import latents as L
from ..data import as_images
from . import frames
from .panel import GAP, Panel, Strip

THUMB = 48          # pixels of a thumbnail of the picker
BEAT = 60           # milliseconds between two pictures when playing
PERIOD = 48         # pictures of one sweep to and fro


class LatentExplorer:
    """Sliders over the latents of a model; ``images`` (N, C, S, S) are its starting points.

    Latents are sorted by KL, measured on all the images, and labelled with it and, where the
    ``factors`` (N, K) are given, with the factor each carries and its share (``data.factor_names``
    names them). A slider spans the codes' 1st to 99th percentile. Latents without information are
    folded away. ``model`` may be a dict, name -> model: then they stand side by side, each with its
    sliders, started from the same image. Raises ValueError for images that cannot be shown.
    """

    def __init__(self, model, images, data=None, factors=None, choices=8):
        images = as_images(images)
        first = images.take(torch.arange(min(choices, len(images))))
        models = model if isinstance(model, dict) else {"": model}
        side, width = (192, 3 * 192 + 2 * GAP) if len(models) == 1 else (128, 360)
        names = () if factors is None else getattr(data, "factor_names", [f"factor {k}" for k in range(factors.shape[1])])
        self.message, self.failed, self.quiet = widgets.HTML(), False, False
        self.panels = {name: Panel(m, images, first, factors, names, side, width, self.guarded, self.touch)
                       for name, m in models.items()}
        self.panel = next(iter(self.panels.values()))       # the one that was touched last
        self.interpolating = False                          # whether the interpolation was touched after it
        self.widget = self.build(first)
        self.start(0)

    def build(self, choices):
        """Lay the widgets out and connect them."""
        self.picker = Strip([str(k + 1) for k in range(len(choices))], THUMB, self.guarded(self.start))
        self.picker.show(choices)
        self.zero = self.button("zero", lambda: self.start("zero"))
        self.random = self.button("random", lambda: self.start("random"))
        self.reset = self.button("reset all", self.reset_all)
        self.toward = widgets.Dropdown(options=[(f"image {k + 1}", k) for k in range(len(choices))],
                                       value=min(1, len(choices) - 1), layout={"width": "100px"})
        self.t = widgets.FloatSlider(value=0, min=0, max=1, step=0.01, description="interpolate to", readout_format=".2f",
                                     style={"description_width": "90px"}, layout={"width": "300px"})
        self.play = widgets.Play(min=0, max=10 ** 6, interval=BEAT)
        self.wide = widgets.Checkbox(description="±3", indent=False, layout={"width": "60px"})
        self.difference = widgets.Checkbox(description="difference", indent=False, layout={"width": "110px"})
        self.save, self.save_gif = self.button("save PNG", self.offer_png), self.button("save GIF", self.offer_gif)
        self.watch(self.t, self.interpolate)
        self.watch(self.toward, lambda _: self.interpolate(self.t.value))
        self.watch(self.play, self.tick)
        self.watch(self.wide, lambda on: self.each(lambda p: p.widen(on)))
        self.watch(self.difference, lambda on: self.each(lambda p: p.show_difference(on)))
        bar = [[self.picker.widget, self.zero, self.random, self.reset],
               [self.t, self.toward, self.play, self.wide, self.difference, self.save, self.save_gif]]
        wrap = {"flex_flow": "row wrap", "align_items": "flex-start"}
        return widgets.VBox([*(widgets.HBox(line, layout={**wrap, "align_items": "center"}) for line in bar), self.message,
                             widgets.HBox(self.columns(), layout=wrap)])

    def columns(self):
        """One model: sliders beside pictures. Several: a column each, pictures on top."""
        if len(self.panels) == 1:
            return [self.panel.slider_box, self.panel.picture_box]
        return [widgets.VBox([widgets.HTML(f"<b>{escape(name)}</b> · {p.nats:.1f} nats"), p.picture_box, p.slider_box],
                             layout={"margin": "0 8px 0 0"}) for name, p in self.panels.items()]

    def button(self, name, action):
        made, action = widgets.Button(description=name, layout={"width": "92px"}), self.guarded(action)
        made.on_click(lambda _: action())
        return made

    def watch(self, widget, action):
        action = self.guarded(action)
        widget.observe(lambda change: self.quiet or action(change["new"]), "value")

    def guarded(self, action):
        """A callback that shows an exception in the widget, where it would else vanish, and goes on."""

        def callback(*values):
            try:
                action(*values)
                if self.failed:
                    self.message.value, self.failed = "", False
            except Exception as error:
                self.failed = True
                self.message.value = f'<b style="color:#D55E00">{type(error).__name__}: {escape(str(error))}</b>'

        return callback

    def each(self, action):
        for panel in self.panels.values():
            action(panel)

    def touch(self, panel):
        self.panel, self.interpolating = panel, False

    def start(self, choice):
        """Start from image number ``choice`` (from 0), from "zero", or from a "random" draw of the prior."""
        self.message.value = ""
        image = choice if isinstance(choice, int) else None
        for p in self.panels.values():
            z = {"zero": torch.zeros, "random": torch.randn}[choice](len(p.z)) if image is None else None
            p.start(image, z)
            p.caption()
        self.rest()

    def rest(self):
        """The interpolation slider back to its beginning, without moving anything."""
        self.quiet = True
        self.t.value = 0
        self.quiet = False

    def reset_all(self):
        """Everything back to the start; from there, to zero, the prior's mean."""
        at_home = all(torch.equal(p.z, p.home) for p in self.panels.values())
        self.each(lambda p: p.go(torch.zeros_like(p.home) if at_home else p.home))
        self.rest()

    def between(self, panel, t):
        """The code a share ``t`` of the way from the start to the image chosen as the end, (D,)."""
        return torch.lerp(panel.home, panel.codes[self.toward.value], t)

    def interpolate(self, t):
        self.interpolating = True
        self.each(lambda p: p.go(self.between(p, t)))

    def tick(self, beat):
        """Playing: what was touched last, a latent or the interpolation, sweeps to and fro."""
        share = abs((beat / PERIOD * 2 + 1) % 2 - 1)
        if self.interpolating:
            self.t.value = share
        else:
            low, high = self.panel.span(self.panel.active)
            self.set(self.panel.active, low + share * (high - low), self.panel)

    def set(self, latent, value, panel=None):
        """Move a slider from code, as a finger would; with several models, of the ``panel`` of one."""
        (panel or self.panel).sliders[latent].value = value

    def offer_png(self):
        """Offer what is seen, and its z, for download."""
        seen = []
        for p in self.panels.values():
            film = L.traverse(p.model, p.z, p.active, torch.tensor(p.film_values))
            now = L.decode(p.model, p.z[None])[0]
            seen += [frames.row(p.triple(now), p.side, GAP), frames.row(film, p.strip.tile, Strip.GAP)]
        codes = "".join(f"<br><code>z = {[round(v, 3) for v in p.z.tolist()]}</code>" for p in self.panels.values())
        self.message.value = frames.link("latents.png", frames.png(frames.column(seen, GAP)), "image/png") + codes

    def offer_gif(self):
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

    # The panel touched last, by its parts
    order = property(lambda self: self.panel.order)
    folded = property(lambda self: self.panel.folded)
    sliders = property(lambda self: self.panel.sliders)
    picture = property(lambda self: self.panel.picture)
    codes = property(lambda self: self.panel.codes)
    z = property(lambda self: self.panel.z)

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        if hasattr(self.widget, "_repr_mimebundle_"):           # ipywidgets 8
            return self.widget._repr_mimebundle_(include=include, exclude=exclude, **options)
        return {"text/plain": "LatentExplorer", "application/vnd.jupyter.widget-view+json": {
            "version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}}

    def __repr__(self):
        live = [f"{name + ': ' if name else ''}{len(p.order) - len(p.folded)} live latents, {len(p.folded)} collapsed"
                for name, p in self.panels.items()]
        return f"LatentExplorer: {'; '.join(live)}"


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")
