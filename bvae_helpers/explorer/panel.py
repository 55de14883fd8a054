"""One model in the explorer: its sliders, its pictures, and the filmstrip of the latent last moved."""

import ipywidgets as widgets
import torch

from .. import latents as L
from ..data import to_batch
from ..plots import latent_labels
from . import frames

GAP = 12            # pixels between the three pictures
STEPS = 9           # pictures of the filmstrip
STOPS = 200         # of a slider, from end to end
PRIOR = 3.0         # the wide range of a slider: three standard deviations of the prior


class Strip:
    """A row of pictures that can be clicked, or reached with Tab and Enter.

    One ``Image``, exchanged in place, under one transparent button a picture.
    """

    GAP = 3

    def __init__(self, names, tile, choose):
        self.tile = tile
        self.image = widgets.Image(value=frames.png(torch.full((1, tile, tile), 255, dtype=torch.uint8)), format="png")
        layout = widgets.Layout(width=f"{tile}px", height=f"{tile + 24}px", margin=f"0 {self.GAP}px 0 0",
                                padding=f"{tile}px 0 0 0", flex="0 0 auto")
        style = {"button_color": "transparent"}
        self.buttons = [widgets.Button(description=name, layout=layout, style=style) for name in names]
        for k, button in enumerate(self.buttons):
            button.on_click(lambda _, k=k: choose(k))
        over = widgets.HBox(self.buttons, layout={"margin": f"-{tile}px 0 0 0", "overflow": "visible"})
        self.widget = widgets.VBox([self.image, over], layout={"overflow": "visible", "align_items": "flex-start"})

    def show(self, images):
        """Images (K, C, S, S), one a button."""
        tiles = frames.fit_to(images, self.tile)
        short = self.tile - tiles.shape[-1]            # a whole factor may not fill the tile
        tiles = torch.nn.functional.pad(tiles, (short // 2, short - short // 2, short // 2, short - short // 2), value=255)
        self.image.value = frames.png(frames.row(tiles, self.tile, self.GAP))

    def name(self, names):
        for button, name in zip(self.buttons, names):
            button.description = name


class Panel:
    """Sliders over the latents of one model, and what it decodes from them.

    Pictures are made ``side`` pixels large and shown ``width`` pixels wide, the three together.
    ``z`` (D,) is the truth; the sliders show it. ``home`` (D,) is the code that reset goes back to.
    ``guarded`` wraps callbacks so that their errors are shown; ``touched`` hears which panel moved.
    """

    def __init__(self, model, images, first, factors, names, side, width, guarded, touched):
        self.model, self.side, self.width, self.guarded, self.touched = model, side, width, guarded, touched
        mu, logvar = L.encode(model, images)
        self.labels, collapsed = latent_labels(mu, logvar, factors, names, shares=True)
        self.low, self.high = L.traversal_limits(mu, ~collapsed)
        self.nats = float(L.kl_per_latent(mu, logvar).sum())
        self.codes, self.reconstructions = mu[:len(first)], L.decode(model, mu[:len(first)])
        self.originals = to_batch(first)
        self.order = L.rank_latents(mu, logvar).tolist()
        self.folded = [d for d in self.order if collapsed[d]]
        self.active, self.wide, self.difference, self.quiet, self.film_of = self.order[0], False, False, False, None
        self.sliders, self.z = {}, torch.zeros(len(self.order))
        self.build([d for d in self.order if d not in self.folded])

    def build(self, live):
        self.layouts = {"slider": widgets.Layout(width=f"{min(self.width - 42, 430)}px"), "reset": widgets.Layout(width="34px")}
        self.style = widgets.SliderStyle(description_width="178px")
        self.captions, self.film_caption = widgets.HTML(), widgets.HTML()
        self.picture = widgets.Image(value=frames.png(torch.zeros(1, 1, 1, dtype=torch.uint8)), format="png",
                                     layout={"width": f"{self.width}px"})
        self.strip = Strip([""] * STEPS, (self.width - (STEPS - 1) * Strip.GAP) // STEPS, self.guarded(self.click_film))
        self.fold = widgets.Button(layout={"width": "220px", "display": None if self.folded else "none"})
        self.folded_box = widgets.VBox(layout={"display": "none"})
        self.fold.description = f"show {len(self.folded)} collapsed latents"
        self.fold.on_click(lambda _: self.guarded(self.toggle_fold)())
        self.slider_box = widgets.VBox([*map(self.slider_row, live), self.fold, self.folded_box])
        self.picture_box = widgets.VBox([self.captions, self.picture, self.film_caption, self.strip.widget])

    def slider_row(self, d):
        """The slider of latent d, with its own reset."""
        low, high = self.span(d)
        s = widgets.FloatSlider(value=self.z[d].item(), min=low, max=high, step=(high - low) / STOPS, readout_format=".2f",
                                readout=self.width > 400, description=self.labels[d], style=self.style,
                                layout=self.layouts["slider"])
        reset = widgets.Button(description="↺", layout=self.layouts["reset"])
        s.observe(lambda change: self.quiet or self.guarded(self.move)(d, change["new"]), "value")
        reset.on_click(lambda _: self.guarded(self.reset)(d))
        self.sliders[d] = s
        return widgets.HBox([s, reset])

    def span(self, d):
        """Where the slider of latent d ends."""
        low, high = self.low[d].item(), self.high[d].item()
        return (min(low, -PRIOR), max(high, PRIOR)) if self.wide else (low, high)

    def move(self, d, value):
        """What a finger does: latent d goes to ``value``.

        A browser that draws a slider for the first time sends its value back, rounded to the step; that is no move.
        """
        if abs(value - self.z[d].item()) < 0.6 * self.sliders[d].step:
            return
        self.z[d] = value
        self.active = d
        self.touched(self)
        self.update()

    def reset(self, d):
        """Latent d back home; from home, to zero, the prior's mean."""
        z = self.z.clone()
        z[d] = 0.0 if z[d] == self.home[d] else self.home[d]
        self.active = d
        self.touched(self)
        self.go(z)

    def start(self, image, z):
        """Start from an image's index or, with None, from the code ``z`` (D,) of no image."""
        self.image, self.home = image, (self.codes[image] if z is None else z).clone()
        self.go(self.home)

    def go(self, z):
        """Put all latents to ``z`` (D,). The picture comes first, the sliders follow; they grow to reach it."""
        self.z = z.clone()
        self.low, self.high = torch.minimum(self.low, z), torch.maximum(self.high, z)
        self.update()
        self.show_z(self.sliders)

    def show_z(self, moved):
        """Let the sliders say what z is, without taking that for a finger's move."""
        self.quiet = True
        try:
            for d in moved:
                s, (low, high) = self.sliders[d], self.span(d)
                s.min, s.max = min(low, s.min), max(high, s.max)       # first wider, so that the value fits,
                s.value = self.z[d].item()
                s.min, s.max = low, high                               # then as they should be
        finally:
            self.quiet = False

    def widen(self, wide):
        """Sliders over three standard deviations of the prior, or over where the codes of images lie."""
        self.wide = wide
        self.show_z(self.sliders)
        self.update()

    def update(self):
        """Decode z, and show it beside the original; the filmstrip too, where it is another one."""
        low, high = self.span(self.active)
        others = self.z.clone()
        others[self.active] = 0
        film_of = (self.active, low, high, *others.tolist())
        codes = self.z[None]
        if film_of != self.film_of:
            values = torch.linspace(low, high, STEPS)
            codes = torch.cat([codes, others.repeat(STEPS, 1)])
            codes[1:, self.active] = values
        decoded = L.decode(self.model, codes)
        self.picture.value = frames.png(frames.row(self.triple(decoded[0]), self.side, GAP))
        if len(codes) > 1:
            self.strip.show(decoded[1:])
            self.name_film(values)
            self.film_of = film_of

    def triple(self, now):
        """Original, reconstruction (or the difference of now to it) and now, (3, C, S, S); white where there is none."""
        if self.image is None:
            return torch.stack([torch.ones_like(now)] * 2 + [now])
        reconstruction = self.reconstructions[self.image]
        middle = 0.5 + (now - reconstruction) / 2 if self.difference else reconstruction
        return torch.stack([self.originals[self.image], middle, now])

    def name_film(self, values):
        caption = f"{self.labels[self.active]}: click a step"
        if self.film_caption.value != caption:
            self.film_caption.value = caption
        self.film_values = values.tolist()
        self.strip.name([f"{round(v, 1) + 0:.1f}".replace("-", "−") for v in self.film_values])

    def click_film(self, k):
        self.move(self.active, self.film_values[k])
        self.show_z([self.active])

    def show_difference(self, difference):
        self.difference = difference
        self.caption()
        self.update()

    def caption(self):
        middle = "difference" if self.difference else "reconstruction"
        self.captions.value = "".join(f'<span style="float:left;width:{(self.width + GAP) // 3}px">{text}</span>'
                                      for text in ("original", middle, "now"))

    def toggle_fold(self):
        """Show the collapsed latents, or hide them; their sliders are made when first asked for."""
        if not self.folded_box.children:
            self.folded_box.children = [self.slider_row(d) for d in self.folded]
        hidden = self.folded_box.layout.display == "none"
        self.folded_box.layout.display = None if hidden else "none"
        self.fold.description = f"{'hide' if hidden else 'show'} {len(self.folded)} collapsed latents"
