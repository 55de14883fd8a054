"""Charts: numbers as lines, bars and tables. Each function returns a matplotlib Figure."""

import itertools
import json

import matplotlib.pyplot as plt
import numpy as np

from . import latents as L
from .style import ACTIVE_NATS, COLOURS


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
