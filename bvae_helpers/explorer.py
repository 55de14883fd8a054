"""The live explorer: drag a slider, the decoded image moves with it.

A slider event decodes one image and puts a small PNG into one ``widgets.Image`` in place: no
matplotlib, nothing redrawn, nothing piled up. It works under ipywidgets 7.7 and 8.
"""

import base64
import io

import ipywidgets as widgets
import torch
from PIL import Image as Picture

from . import latents as L
from .plots import latent_labels
from .records import to_uint8

SIDE = 192          # pixels of each of the three pictures on screen
GAP = 12
REST = ("the prior's mean (z = 0)", "a random draw from the prior")


def png(image):
    """An image, uint8 (C, H, W) -> PNG bytes; compressed little, since speed is what counts here."""
    array = image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    Picture.fromarray(array).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def side_by_side(images, gap=GAP):
    """Images (K, C, S, S) in [0, 1] -> one uint8 picture, enlarged to whole pixels, white between."""
    factor = max(1, SIDE // images.shape[-1])
    big = to_uint8(images).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    white = torch.full((*big.shape[1:3], gap), 255, dtype=torch.uint8)
    parts = [part for image in big for part in (image, white)]
    return torch.cat(parts[:-1], dim=2)


class LatentExplorer:
    """Sliders over the latents of a model; ``images`` (N, C, S, S) are its starting points.

    Latents are sorted by KL, measured on all the images, and labelled with it and, where the
    ``factors`` (N, K) are given, with the factor each carries (``data.factor_names`` names them).
    A slider spans the codes' 1st to 99th percentile. Latents without information are folded away.
    """

    def __init__(self, model, images, data=None, factors=None, choices=8):
        self.model = model
        mu, logvar = L.encode(model, images)
        names = () if factors is None else getattr(data, "factor_names", [f"factor {k}" for k in range(factors.shape[1])])
        labels, collapsed = latent_labels(mu, logvar, factors, names)
        low, high = L.latent_ranges(mu)
        low, high = torch.where(collapsed, -2.0, low), torch.where(collapsed, 2.0, high)
        self.codes, self.originals = mu[:choices], images[:choices]
        self.order = L.rank_latents(mu, logvar).tolist()
        self.sliders = {d: slider(labels[d], float(low[d]), float(high[d])) for d in self.order}
        self.folded = [d for d in self.order if collapsed[d]]
        self.picture = widgets.Image(value=png(torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)), format="png",
                                     layout={"width": f"{3 * SIDE + 2 * GAP}px"})
        self.message = widgets.HTML()
        self.quiet = False
        self.widget = self.build()
        self.start()

    def build(self):
        """Lay the widgets out and connect them."""
        options = [(f"image {i + 1}", i) for i in range(len(self.codes))] + [(text, text) for text in REST]
        self.picker = widgets.Dropdown(options=options, value=0, description="start from", layout={"width": "270px"})
        self.reset = widgets.Button(description="reset all", layout={"width": "90px"})
        self.save = widgets.Button(description="save PNG")
        self.fold = widgets.Button(description=f"show {len(self.folded)} collapsed latents", layout={"width": "220px"})
        shown = [self.sliders[d] for d in self.order if d not in self.folded]
        self.folded_box = widgets.VBox([self.sliders[d] for d in self.folded], layout={"display": "none"})
        captions = widgets.HTML("".join(f'<span style="float:left;width:{SIDE + GAP}px">{text}</span>'
                                        for text in ("original", "reconstruction", "now")))
        self.fold.layout.display = None if self.folded else "none"
        self.picker.observe(self.guarded(self.start), "value")
        self.reset.on_click(self.guarded(self.start))
        self.save.on_click(self.guarded(self.save_png))
        self.fold.on_click(self.guarded(self.toggle_fold))
        for s in self.sliders.values():
            s.observe(self.guarded(self.update), "value")
        left = widgets.VBox([widgets.HBox([self.picker, self.reset]), *shown, self.fold, self.folded_box])
        right = widgets.VBox([captions, self.picture, widgets.HBox([self.save]), self.message])
        return widgets.HBox([left, right], layout={"flex_flow": "row wrap", "align_items": "flex-start"})

    def guarded(self, action):
        """A callback that shows an exception in the widget, where it would else vanish, and goes on."""

        def callback(event=None):
            try:
                if not self.quiet:
                    action()
            except Exception as error:
                self.message.value = f'<b style="color:#D55E00">{type(error).__name__}: {escape(str(error))}</b>'

        return callback

    def start(self):
        """Put every slider to the code of the chosen starting point, and draw."""
        choice = self.picker.value
        if isinstance(choice, int):
            z = self.codes[choice]
        else:
            z = torch.zeros(self.model.latent_dim) if choice == REST[0] else torch.randn(self.model.latent_dim)
        self.original = self.originals[choice] if isinstance(choice, int) else None
        self.quiet = True
        for d, s in self.sliders.items():
            value = float(z[d])
            s.min, s.max = min(s.min, value), max(s.max, value)
            s.value = value
        self.quiet = False
        self.update()
        self.message.value = ""

    def z(self):
        """The latents as the sliders stand, (D,)."""
        return torch.tensor([self.sliders[d].value for d in range(self.model.latent_dim)])

    def update(self):
        """Decode what the sliders say and show it beside the original and its reconstruction."""
        z = self.z()
        if self.original is None:
            shown = L.decode(self.model, z[None]).expand(3, -1, -1, -1).clone()
            shown[:2] = 1.0                       # a draw from the prior has no original
        else:
            decoded = L.decode(self.model, torch.stack([self.codes[self.picker.value], z]))
            original = self.original.float() / 255 if self.original.dtype == torch.uint8 else self.original
            shown = torch.cat([original[None], decoded])
        self.picture.value = png(side_by_side(shown))

    def set(self, latent, value):
        """Move a slider from code, as a finger would."""
        self.sliders[latent].value = value

    def toggle_fold(self):
        hidden = self.folded_box.layout.display == "none"
        self.folded_box.layout.display = None if hidden else "none"
        self.fold.description = f"{'hide' if hidden else 'show'} {len(self.folded)} collapsed latents"

    def save_png(self):
        """Offer the picture and its z for download: a link works in JupyterLab, VS Code and Colab alike."""
        data = base64.b64encode(self.picture.value).decode()
        numbers = ", ".join(f"{v:.3f}" for v in self.z().tolist())
        self.message.value = (f'<a download="latents.png" href="data:image/png;base64,{data}">latents.png</a>'
                              f'<br><code>z = [{numbers}]</code>')

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        if hasattr(self.widget, "_repr_mimebundle_"):           # ipywidgets 8
            return self.widget._repr_mimebundle_(include=include, exclude=exclude, **options)
        return {"text/plain": "LatentExplorer", "application/vnd.jupyter.widget-view+json": {
            "version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}}

    def __repr__(self):
        return f"LatentExplorer: {len(self.order) - len(self.folded)} live latents, {len(self.folded)} collapsed"


def slider(label, low, high):
    return widgets.FloatSlider(value=(low + high) / 2, min=low, max=high, step=0.01, description=label, readout_format=".2f",
                               style={"description_width": "150px"}, layout={"width": "370px"})


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")
