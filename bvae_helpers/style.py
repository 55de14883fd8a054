"""One look for all figures, and how a notebook shows one."""

import io

import matplotlib.pyplot as plt
from matplotlib import rcParams

# Okabe & Ito's colours, told apart by the colour-blind too
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000"]
ACTIVE_NATS = 0.1


def set_style():
    """One look for all figures."""
    rcParams.update({
        "axes.prop_cycle": plt.cycler(color=COLOURS), "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "grid.alpha": 0.25, "figure.dpi": 80, "font.size": 10, "legend.frameon": False,
        "image.cmap": "gray", "image.interpolation": "nearest", "figure.constrained_layout.use": True})


class Shown:
    """A figure as a notebook shows it: a PNG with alt text."""

    def __init__(self, png, alt):
        self.png, self.alt = png, alt

    def _repr_png_(self):
        return self.png, {"alt": self.alt}

    def __repr__(self):
        return f"figure: {self.alt}"


def show(figure, alt):
    """Render a Figure to PNG and close it. ``alt`` says in words what is to be seen."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=rcParams["figure.dpi"], bbox_inches="tight", pad_inches=0.06)
    plt.close(figure)
    return Shown(buffer.getvalue(), alt)
