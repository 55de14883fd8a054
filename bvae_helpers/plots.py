"""Figures. Each function returns a matplotlib Figure; ``show`` displays one with a text for the blind.

Here: pictures of images. Charts of numbers come from ``charts``, the look from ``style``.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from . import latents as L
from .charts import curves, heat_map, kl_bars, kl_over_time, lines, tradeoff
from .data import to_batch
from .scores import factor_entropies, mutual_information
from .style import ACTIVE_NATS, COLOURS, Shown, set_style, show

__all__ = ["ACTIVE_NATS", "COLOURS", "Shown", "carried", "curves", "early_pictures", "factor_report", "grid", "heat_map",
           "information_share", "kl_bars", "kl_over_time", "latent_labels", "lines", "row_step", "rows", "set_style", "sheet",
           "show", "signature", "tradeoff", "traversal_rows"]


def row_step(side, gap=0.1):
    """From the top of one row of images to the next, in pixels."""
    return side + max(2, round(gap * side))


def sheet(images, dimmed=(), gap=0.1):
    """Rows of images, a list of (K, C, S, S), as one colour picture (H, W, 3) in [0, 1], white between.

    Images keep their contrast: nothing is stretched. Dimmed rows are mixed with grey.
    """
    side, count = images[0].shape[-1], max(map(len, images))
    step = row_step(side, gap)
    canvas = torch.ones(len(images) * step - (step - side), count * step - (step - side), 3)
    for r, row in enumerate(images):
        row = to_batch(torch.as_tensor(row)).clamp(0, 1)
        row = 0.65 + 0.35 * row if r in dimmed else row
        for k, image in enumerate(row):
            canvas[r * step:r * step + side, k * step:k * step + side] = image.permute(1, 2, 0)
    return canvas, torch.arange(max(len(images), count)) * step + (side - 1) / 2


def rows(images, labels, titles=None, dimmed=()):
    """Labelled rows of images: a list of tensors (K, C, S, S), one label a row; ``titles`` above the columns."""
    canvas, centres = sheet(images, dimmed)
    width = 0.85 * max(map(len, images))
    figure, ax = plt.subplots(figsize=(width + 1.9, width * canvas.shape[0] / canvas.shape[1] + 0.35))
    ax.imshow(canvas.numpy(), interpolation="nearest")
    ax.set_yticks(centres[:len(images)], labels)
    ax.set_xticks(centres[:len(titles)] if titles else [], titles or [], fontsize=9)
    ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    for r, text in enumerate(ax.get_yticklabels()):
        text.set_color("0.6" if r in dimmed else "0.1")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return figure


def grid(images, columns=8, titles=None):
    """Images (N, C, S, S) in reading order; ``titles``, if given, one above each image."""
    images = torch.as_tensor(images)
    lines_of = list(images.split(columns))
    canvas, centres = sheet(lines_of, gap=0.3 if titles else 0.1)
    width = 0.9 * len(lines_of[0])
    figure, ax = plt.subplots(figsize=(width + 0.2, width * canvas.shape[0] / canvas.shape[1] + 0.3))
    ax.imshow(canvas.numpy(), interpolation="nearest")
    for i, title in enumerate(titles or []):
        above = centres[i // columns] - 0.52 * images.shape[-1]
        ax.text(centres[i % columns], above, title, fontsize=8, ha="center", va="bottom")
    ax.set_axis_off()
    return figure


def information_share(mu, factors):
    """How much of each factor each latent tells, I(z; v) / H(v), 0 to 1: (N, D), (N, K) -> (D, K)."""
    return mutual_information(mu, factors) / factor_entropies(np.asarray(factors))


def carried(mu, factors, factor_names, minimum=0.3):
    """For each latent, the factor it tells most about and how much of it: a list of (name or "", share).

    The share is I(z; v) / H(v), 0 to 1; below ``minimum`` no name is given.
    """
    share = information_share(mu, factors)
    best = share.argmax(1)
    return [(factor_names[k] if share[d, k] >= minimum else "", float(share[d, k])) for d, k in enumerate(best)]


def latent_labels(mu, logvar, factors=None, factor_names=(), shares=False):
    """One label a latent, "z3 · 2.4 nats · posX"; and which latents are collapsed (bool, D).

    With ``shares`` the label says how much of the factor is in the latent, too: "posX, 0.63".
    """
    nats = L.kl_per_latent(mu, logvar)
    found = carried(mu, factors, factor_names) if factors is not None else [("", 0.0)] * len(nats)
    names = [f"{name}, {share:.2f}" if name and shares else name for name, share in found]
    labels = [f"z{d} · {float(n):.1f} nats" + (f" · {name}" if name and n > ACTIVE_NATS else "")
              for d, (n, name) in enumerate(zip(nats, names))]
    return labels, nats <= ACTIVE_NATS


def traversal_rows(model, mu, collapsed, order, steps):
    """The first code of ``mu`` (N, D) with each latent of ``order`` moved: over its 1st to 99th percentile, or -2 to 2."""
    low, high = L.latent_ranges(mu)
    low, high = torch.where(collapsed, -2.0, low), torch.where(collapsed, 2.0, high)
    return list(L.traversals(model, mu[0], order, low, high, steps))


def signature(model, images, factors=None, factor_names=(), steps=9, most=12):
    """Originals, reconstructions, then one traversal row a latent, sorted by KL; collapsed latents dimmed.

    ``images`` (N, C, S, S): all are used to measure KL and factors, the first ``steps`` are shown, and
    the first is traversed, over the codes' 1st to 99th percentile. At most ``most`` latents.
    """
    mu, logvar = L.encode(model, images)
    labels, collapsed = latent_labels(mu, logvar, factors, factor_names)
    order = L.rank_latents(mu, logvar)[:most].tolist()
    pictures = [images[:steps], L.decode(model, mu[:steps]), *traversal_rows(model, mu, collapsed, order, steps)]
    names = ["original", "reconstruction", *(labels[d] for d in order)]
    return rows(pictures, names, dimmed=[2 + r for r, d in enumerate(order) if collapsed[d]])


def factor_report(model, images, factors, factor_names, steps=7, most=12):
    """Which latent carries which factor: a heat map of I(z; v) / H(v), each row beside the latent's traversal.

    Latents sorted by KL and named as in ``signature``; ``images`` (N, C, S, S), ``factors`` (N, K), all used to
    measure. A disentangled model has one dark cell in each column, and at most one in each row.
    """
    mu, logvar = L.encode(model, images)
    labels, collapsed = latent_labels(mu, logvar, factors, factor_names)
    order = L.rank_latents(mu, logvar)[:most].tolist()
    share = information_share(mu, factors)[order]                               # (rows, K)
    figure = rows(traversal_rows(model, mu, collapsed, order, steps), [labels[d] for d in order],
                  dimmed=[r for r, d in enumerate(order) if collapsed[d]])
    ax, (count, k), side = figure.axes[0], share.shape, images.shape[-1]
    cell, width = row_step(side), ax.get_xlim()[1]
    top, left = (side - cell) / 2 - 0.5, -(k + 0.3) * cell       # in pixels of the pictures: rows stay aligned
    bottom, right = top + count * cell, left + k * cell
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1, extent=(left, right, bottom, top), interpolation="nearest")
    for (r, c), value in np.ndenumerate(share):
        ax.text(left + (c + 0.5) * cell, top + (r + 0.5) * cell, f"{value:.2f}", ha="center", va="center", fontsize=8,
                color="white" if value > 0.5 else "0.2")
    ax.set(xlim=(left, width), ylim=(bottom, top))
    ax.set_xticks(left + (np.arange(k) + 0.5) * cell, factor_names, fontsize=9)
    ax.set_title("I(z; v) / H(v), and what moving the latent does", fontsize=10)
    figure.set_figwidth(figure.get_figwidth() + 0.85 * (k + 0.3))
    return figure


def early_pictures(history):
    """What the model made of the same validation images as it learned: originals, then one row a step."""
    steps = sorted(history.pictures)
    pictures = [history.pictures[steps[0]][0], *(history.pictures[s][1] for s in steps)]
    return rows(pictures, ["original", *(f"step {s:,}" for s in steps)])
