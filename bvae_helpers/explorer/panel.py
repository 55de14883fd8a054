"""One model in the explorer: its sliders, its pictures, and the filmstrip of the latent that was moved last."""

import html
import math
from collections.abc import Callable, Sequence

import ipywidgets as widgets
import torch
from torch import Tensor, nn

from .. import latents as L
from ..data import Images, to_batch
from ..plots import latent_labels
from . import frames

__all__ = ["GAP", "Panel", "Strip"]

GAP = 12            # pixels between the three pictures
STEPS = 9           # pictures of the filmstrip
STEP = 0.01         # of a slider: ``latents.traversal_limits`` are multiples of it
PRIOR = 3.0         # the wide range of a slider: three standard deviations of the prior
MOST = 12           # sliders that are shown at once; the others are folded away
LONGEST = 20        # letters of a factor's name beside a slider


class Strip:
    """A row of pictures that can be clicked, or reached with Tab and Enter; ``place``: see ``accessible.PICTURES``.

    One ``Image`` of all the pictures, exchanged in place, below one transparent button per picture.
    """

    GAP = 3

    def __init__(self, names: Sequence[str], tile: int, place: str, choose: Callable[[int], None]):
        self.tile = tile
        self.image = widgets.Image(value=frames.png(torch.full((1, tile, tile), 255, dtype=torch.uint8)), format="png")
        self.image.add_class(place)
        style = {"button_color": "transparent"}
        self.buttons = [widgets.Button(description=name, layout=self._button_layout(), style=style) for name in names]
        for k, button in enumerate(self.buttons):
            button.on_click(lambda _, k=k: choose(k))
        over = widgets.HBox(self.buttons, layout={"margin": f"-{tile}px 0 0 0", "overflow": "visible"})
        self.widget = widgets.VBox([self.image, over], layout={"overflow": "visible", "align_items": "flex-start"})

    def _button_layout(self):
        return widgets.Layout(width=f"{self.tile}px", height=f"{self.tile + 24}px", margin=f"0 {self.GAP}px 0 0",
                              padding=f"{self.tile}px 0 0 0", flex="0 0 auto")

    def show(self, images: Tensor) -> None:
        """Show images (K, C, S, S), one per button."""
        tiles = frames.fit_to(images, self.tile)
        left = (self.tile - tiles.shape[-1]) // 2            # a whole factor may not fill the tile
        right = self.tile - tiles.shape[-1] - left
        tiles = torch.nn.functional.pad(tiles, (left, right, left, right), value=255)
        picture = frames.row(tiles, self.tile, self.GAP)
        opacity = frames.mask([True] * len(tiles), picture.shape[2], self.tile, self.GAP)
        self.image.value = frames.png(picture, opacity)

    def name(self, names: Sequence[str]) -> None:
        """Write a name on each button, below its picture."""
        for button, name in zip(self.buttons, names):
            button.description = name

    def mark(self, chosen: int | None) -> None:
        """Frame the chosen picture."""
        for k, button in enumerate(self.buttons):
            button.layout.border = "2px solid #D55E00" if k == chosen else ""


class Sliders(dict):
    """Latent -> its slider. Asking for a slider that is folded away unfolds it."""

    def __init__(self, panel):
        super().__init__()
        self.panel = panel

    def __missing__(self, d):
        if not isinstance(d, int) or d not in self.panel.folded:
            raise IndexError(f"no latent {d!r}: this model has {len(self.panel.order)}, from 0")
        self.panel.unfold()
        return self[d]


class Panel:
    """Sliders over the latents of one model, and the images that it decodes.

    The three pictures, original, reconstruction and now, are made ``side`` pixels large and shown together in
    ``width`` pixels or more. ``readout``: whether numbers stand beside the sliders. ``z`` (D,) is the code that is
    shown; ``home`` (D,) is the code that reset returns to.
    ``guarded`` wraps callbacks so that their errors are shown; ``touched`` is called with the panel that was moved.
    """

    def __init__(self, model: nn.Module, images: Images, *, first: Tensor, factors, names: Sequence[str], side: int,
                 width: int, readout: bool, guarded: Callable, touched: Callable):
        self.model, self.side, self.width, self.readout = model, side, width, readout
        self.guarded, self.touched = guarded, touched
        self.first = to_batch(first)
        self.images, self.factors, self.names = images, factors, names
        self.measure()
        self.order = L.rank_latents(self.mu, self.logvar).tolist()
        shown = [d for d in self.order if not self.collapsed[d]][:MOST] or self.order[:MOST]
        self.folded = [d for d in self.order if d not in shown]
        self.active, self.wide, self.difference, self.film_of = self.order[0], False, False, None
        self.image, self.original, self.reconstruction = 0, self.first[0], None
        self.quiet = False                  # whether sliders are being set by code, and not by a person
        self.z = self.home = self.codes[0].clone()
        self.sliders, self.sent = Sliders(self), {}
        self.build(shown)

    def measure(self) -> None:
        """Encode the images: labels, ranges and starting codes of the model as it is now."""
        self.mu, self.logvar = L.encode(self.model, self.images)
        self.labels, self.collapsed = latent_labels(self.mu, self.logvar, self.factors, self.names, shares=True)
        self.low, self.high = L.traversal_limits(self.mu, ~self.collapsed)
        self.nats = float(L.kl_per_latent(self.mu, self.logvar).sum())
        self.codes = self.mu[:len(self.first)]
        L.reconstruct(self.model, Images(self.first[:1]))     # raises an error for a decoder of another size

    # Widgets

    def build(self, shown: Sequence[int]) -> None:
        """Make the widgets; sliders for the latents of ``shown`` only."""
        letters = max(len(self.short_label(d)) for d in self.order)
        self.style = widgets.SliderStyle(description_width=f"{round(6.6 * letters) + 6}px")
        self.slider_layout = widgets.Layout(width="auto", flex="1 1 auto", min_width="0")
        self.captions, self.film_caption = widgets.HTML(), widgets.HTML()
        self.picture = widgets.Image(value=frames.png(torch.zeros(1, 1, 1, dtype=torch.uint8)), format="png",
                                     layout={"width": "100%", "height": "auto"})
        self.picture.add_class("bvae-now")
        tile = (self.width - (STEPS - 1) * Strip.GAP) // STEPS
        self.strip = Strip([""] * STEPS, tile, "bvae-film", self.guarded(self.click_film))
        self.fold = widgets.Button(layout={"width": "260px", "display": None if self.folded else "none"})
        self.folded_box = widgets.VBox(layout={"display": "none"})
        self.fold.description = self.fold_text("show")
        self.fold.on_click(lambda _: self.guarded(self.toggle_fold)())
        beside = {"flex": "3 1 400px", "max_width": "640px", "margin": "0 0 0 8px"}
        self.slider_box = widgets.VBox([*map(self.slider_row, shown), self.fold, self.folded_box],
                                       layout={**beside, "max_height": "440px", "overflow": "auto"})
        wide = {"flex": f"1 1 {self.width}px", "max_width": f"{3 * self.side + 2 * GAP}px"}
        self.picture_box = widgets.VBox([self.captions, self.picture, self.film_caption, self.strip.widget],
                                        layout=wide)

    def short_label(self, d: int) -> str:
        """The label beside a slider: that of the latent, with the middle of a long name left out."""
        latent, nats, *name = self.labels[d].replace("<", "‹").split(" · ", maxsplit=2)   # ipywidgets 7 would read HTML
        if name and len(name[0]) > LONGEST + 6:
            name = [f"{name[0][:LONGEST - 1]}…{name[0][-6:]}"]           # the share at its end stays: ", 0.63"
        return " · ".join([latent, nats, *name])

    def slider_row(self, d: int) -> widgets.HBox:
        """The slider of latent d, with a reset button of its own."""
        (low, high), value = self.span(d), self.z[d].item()
        slider = widgets.FloatSlider(value=value, min=min(low, value), max=max(high, value), step=STEP,
                                     readout=self.readout, readout_format=".2f", description=self.short_label(d),
                                     style=self.style, layout=self.slider_layout)
        slider.observe(lambda change: self.guarded(self.slid)(d, change["new"]), "value")
        reset = widgets.Button(description="↺", layout={"width": "34px", "flex": "0 0 auto"})
        reset.on_click(lambda _: self.guarded(self.reset)(d))
        self.sliders[d], self.sent[d] = slider, [slider.value]
        return widgets.HBox([slider, reset], layout={"flex": "0 0 auto"})

    def span(self, d: int) -> tuple[float, float]:
        """The ends of the slider of latent d."""
        low, high = self.low[d].item(), self.high[d].item()
        return (min(low, -PRIOR), max(high, PRIOR)) if self.wide else (low, high)

    # Moving

    def slid(self, d: int, value: float) -> None:
        """A slider has a new value: from a person, from code, or from a browser that draws the slider.

        A browser that draws a slider for the first time returns the value it was sent, rounded to the step. If code has
        set the slider in the meantime, that value is an old one: then the slider is set again.
        """
        if self.quiet:
            return
        if not math.isfinite(value):
            self.show_z([d])
            raise ValueError(f"a latent's value must be a finite number, got {value}")
        if "value" in getattr(self.sliders[d], "_property_lock", {}):                # this message is from a browser
            known, self.sent[d] = self.sent[d], []
            if any(abs(value - old) <= 0.6 * STEP for old in known):
                self.show_z([d])
                return
        else:
            self.sent[d] = [*self.sent[d], value][-4:] if self.sent[d] else []
        self.move(d, value)

    def move(self, d: int, value: float) -> None:
        """Set latent d to ``value`` and show the result. A difference smaller than the slider's step is no move."""
        if abs(value - self.z[d].item()) > 0.6 * STEP:
            self.z[d] = value
            self.active = d
            self.touched(self)
            self.update()

    def reset(self, d: int) -> None:
        """Set latent d to its value at home; if it is there already, to zero, the prior's mean."""
        z = self.z.clone()
        z[d] = 0.0 if z[d] == self.home[d] else self.home[d]
        self.active = d
        self.touched(self)
        self.go(z)

    def start(self, image: int | None, original: Tensor | None, z: Tensor) -> None:
        """Start from the code ``z`` (D,) of an ``original`` (C, S, S), or of no image.

        ``image``: the original's number among the starting points, if it is one of them.
        """
        self.image, self.original, self.home = image, original, z.clone()
        self.reconstruction = None if original is None else L.decode(self.model, z[None])[0]
        self.caption()
        self.go(self.home)

    def go(self, z: Tensor) -> None:
        """Set all latents to ``z`` (D,).

        The picture is first; the sliders follow, and their ranges grow to reach it.
        """
        self.z = z.clone()
        self.low, self.high = torch.minimum(self.low, z), torch.maximum(self.high, z)
        self.update()
        self.show_z(self.sliders)

    def show_z(self, moved: Sequence[int]) -> None:
        """Update the sliders of the latents ``moved`` from ``z`` without triggering their callbacks."""
        self.quiet = True
        try:
            for d in list(moved):
                slider, (low, high), value = self.sliders[d], self.span(d), self.z[d].item()
                low, high = min(low, value), max(high, value)  # a value set in the wide range stays
                # wide enough for the old value, too,
                slider.min, slider.max = min(low, slider.min), max(high, slider.max)
                slider.value = value
                slider.min, slider.max = low, high                                       # and then as they should be
                self.sent[d] = [*self.sent[d], slider.value][-4:] if self.sent[d] else []
        finally:
            self.quiet = False

    def widen(self, wide: bool) -> None:
        """Let the sliders reach three standard deviations of the prior, or only the range of the images' codes."""
        self.wide = wide
        self.show_z(self.sliders)
        self.update()

    # Showing

    def update(self) -> None:
        """Decode z and show it beside the original; decode the filmstrip, too, if more than the active latent moved."""
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
        picture = frames.row(self.triple(decoded[0]), self.side, GAP)
        shown = [self.original is not None] * 2 + [True]
        self.picture.value = frames.png(picture, frames.mask(shown, picture.shape[2], picture.shape[1], GAP))
        if len(codes) > 1:
            self.strip.show(decoded[1:])
            self.name_film(values)
            self.film_of = film_of

    def triple(self, now: Tensor) -> Tensor:
        """Original, reconstruction (or its difference from now) and now, (3, C, S, S); white without an original."""
        if self.original is None:
            return torch.stack([torch.ones_like(now)] * 2 + [now])
        middle = 0.5 + (now - self.reconstruction) / 2 if self.difference else self.reconstruction
        return torch.stack([self.original, middle, now])

    def name_film(self, values: Tensor) -> None:
        """Write the latent's label above the filmstrip and its values below the pictures."""
        caption = f"{html.escape(self.labels[self.active])}: click a step"
        if self.film_caption.value != caption:
            self.film_caption.value = caption
        self.film_values = values.tolist()
        self.strip.name([f"{round(v, 1) + 0:.1f}".replace("-", "−") for v in self.film_values])

    def click_film(self, k: int) -> None:
        """Set the active latent to the value of picture k of the filmstrip."""
        self.move(self.active, self.film_values[k])
        self.show_z([self.active])

    def show_difference(self, difference: bool) -> None:
        """Show how far now differs from the reconstruction, in the place of the reconstruction."""
        self.difference = difference
        self.caption()
        self.update()

    def caption(self) -> None:
        """Write what the three pictures are."""
        middle = "now − reconstruction" if self.difference else "reconstruction"
        texts = ("", "", "now") if self.original is None else ("original", middle, "now")
        cells = "".join(f'<span style="flex:1 1 0;white-space:nowrap;overflow:hidden">{text}</span>' for text in texts)
        gap = 100 * GAP / (3 * self.side + 2 * GAP)
        self.captions.value = f'<div style="display:flex;gap:{gap:.2f}%">{cells}</div>'

    # The latents that are folded away

    def fold_text(self, verb: str) -> str:
        """What the button under the sliders does: "show 2 collapsed latents"."""
        collapsed = sum(bool(self.collapsed[d]) for d in self.folded)
        parts = [f"{len(self.folded) - collapsed} more"] if len(self.folded) > collapsed else []
        parts += [f"{collapsed} collapsed"] if collapsed else []
        return f"{verb} {', '.join(parts)} latent{'s' if len(self.folded) > 1 else ''}"

    def unfold(self) -> None:
        """Make the sliders that are folded away, at the first call, and show them."""
        if not self.folded_box.children:
            self.folded_box.children = [self.slider_row(d) for d in self.folded]
        self.folded_box.layout.display = None
        self.fold.description = self.fold_text("hide")

    def toggle_fold(self) -> None:
        """Show the sliders that are folded away, or hide them."""
        if self.folded_box.layout.display == "none":
            self.unfold()
        else:
            self.folded_box.layout.display = "none"
            self.fold.description = self.fold_text("show")

    def refresh(self) -> None:
        """Measure the model again: it has been trained further. Sliders keep their order, and get new labels."""
        self.measure()
        self.film_of = None
        for d, slider in self.sliders.items():
            slider.description = self.short_label(d)
        self.fold.description = self.fold_text("show" if self.folded_box.layout.display == "none" else "hide")
