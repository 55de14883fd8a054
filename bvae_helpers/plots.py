"""Figures. Each function returns a matplotlib Figure; ``show`` displays one with a text for the blind."""

import io
import itertools
import json

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import rcParams

from . import latents as L
from .data import to_batch
from .metrics import factor_entropies, mutual_information

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


# Pictures of images

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


# Charts of numbers

def lines(x, series, xlabel, ylabel, title=""):
    """One line for each entry of ``series``, a dict label -> values; a label may also map to (x, values)."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    for label, y in series.items():
        ax.plot(*(y if isinstance(y, tuple) else (x, y)), label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.legend()
    return figure


def curves(history):
    """Loss, reconstruction and KL of a run, in nats per image: training by step, validation by epoch."""
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.9))
    ends = np.array(history["epoch"]) * (history.steps_per_epoch or 1)
    for ax, name in zip(axes, ("loss", "reconstruction", "kl")):
        if history.steps:
            ax.plot(history.steps["step"], history.steps[name], label="training")
        ax.plot(ends, history[f"train_{name}"], "o", color=COLOURS[0], label="training, epoch mean")
        if f"val_{name}" in history.epochs:
            ax.plot(ends, history[f"val_{name}"], "s", color=COLOURS[1], label="validation")
        ax.set(xlabel="step", title=name, ylabel="nats per image" if name == "loss" else "")
    axes[0].legend(fontsize=8)
    return figure


def kl_over_time(history):
    """The KL of every latent over the steps, in nats; the ones that end largest are named."""
    nats = np.array(history.steps["kl_per_latent"])
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    order = nats[-1].argsort()[::-1]
    for place, d in enumerate(order):
        named = place < len(COLOURS) - 1 and nats[-1, d] > ACTIVE_NATS
        ax.plot(history.steps["step"], nats[:, d], color=COLOURS[place] if named else "0.75", label=f"z{d}" if named else None)
    ax.set(xlabel="step", ylabel="KL (nats)", title="KL of each latent")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(ncols=2, fontsize=8)
    return figure


def kl_bars(mu, logvar, names=None):
    """The mean KL of every latent, in nats, sorted; collapsed latents in grey."""
    nats, order = L.kl_per_latent(mu, logvar), L.rank_latents(mu, logvar).tolist()
    labels = [names[d] if names else f"z{d}" for d in order]
    figure, ax = plt.subplots(figsize=(6.4, 2.8))
    ax.bar(range(len(order)), nats[order], color=[COLOURS[0] if nats[d] > ACTIVE_NATS else "0.75" for d in order])
    ax.set(ylabel="KL (nats)")
    ax.set_xticks(range(len(order)), labels, rotation=90 if len(order) > 16 else 0)
    return figure


def tradeoff(rows):
    """What beta buys and costs, from the rows of a sweep: rate, distortion and, where measured, MIG against beta.

    A point a run, a line through the medians over the seeds; a colour for each combination of other settings.
    Raises ValueError for a table without rows, or of something else.
    """
    if not rows or not {"objective", "beta", "settings"} <= set(rows[0]):
        raise ValueError("the table holds no runs of a sweep; make it with python -m bvae_helpers sweep")
    groups = {}
    for row in rows:
        others = {"objective": row["objective"], **json.loads(row["settings"])}
        groups.setdefault(tuple(sorted((k, str(v)) for k, v in others.items() if k not in ("beta", "seed"))), []).append(row)
    common = set.intersection(*map(set, groups))
    panels = {"kl": "rate: KL, nats", "reconstruction": "distortion, nats", "mig": "MIG"}
    panels = {name: label for name, label in panels.items() if any(row.get(name) is not None for row in rows)}
    figure, axes = plt.subplots(1, len(panels), figsize=(3.2 * len(panels), 2.9))
    for ax, (name, label) in zip(axes, panels.items()):
        for colour, (group, members) in zip(itertools.cycle(COLOURS), groups.items()):
            points = [(row["beta"], row[name]) for row in members if row.get(name) is not None] or [(np.nan, np.nan)]
            betas = sorted({beta for beta, _ in points})
            ax.plot(betas, [np.median([y for beta, y in points if beta == b]) for b in betas], color=colour,
                    label=", ".join(f"{k} {v}" for k, v in group if (k, v) not in common))
            ax.plot(*np.transpose(points), "o", color=colour, markersize=4, alpha=0.6)
        ax.set(xlabel="β", title=label)
        if min(row["beta"] for row in rows) > 0:
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_formatter("{x:g}")
    if len(groups) > 1:
        axes[0].legend(fontsize=8)
    return figure


def heat_map(tables, row_names, column_names, low=0.0, high=1.0, colours="Blues"):
    """Tables of numbers, coloured and written out, side by side: a dict title -> (R, C), all with the same names.

    Colours run from ``low`` to ``high``; ``colours="RdBu"`` suits numbers of both signs. A number that is not
    finite has no colour.
    """
    tables = {title: np.asarray(table, dtype=float) for title, table in tables.items()}
    size = (0.62 * len(tables) * len(column_names) + 1.8, 0.32 * len(row_names) + 1.1)
    figure, axes = plt.subplots(1, len(tables), figsize=size, sharey=True, squeeze=False)
    slanted = {"rotation": 35, "ha": "right"} if len(column_names) > 6 else {}
    for ax, (title, table) in zip(axes[0], tables.items()):
        image = ax.imshow(np.ma.masked_invalid(table), cmap=colours, vmin=low, vmax=high, aspect="auto")
        for (r, c), value in np.ndenumerate(table):
            dark = np.isfinite(value) and np.dot(image.to_rgba(value)[:3], (0.3, 0.6, 0.1)) < 0.5
            ax.text(c, r, f"{value:.2f}", ha="center", va="center", fontsize=8, color="white" if dark else "0.1")
        ax.set_xticks(range(len(column_names)), column_names, fontsize=9, **slanted)
        ax.set_yticks(range(len(row_names)), row_names)
        ax.set_title(title, fontsize=10)
        ax.tick_params(length=0)
        ax.grid(False)
        ax.spines[:].set_visible(False)
    return figure
