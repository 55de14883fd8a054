"""Figures. Each function returns a matplotlib Figure; ``show`` displays one in a notebook, with alt text.

``model`` is anybody's: see ``bvae_helpers.model``. ``images`` are whatever ``data.as_images`` takes, of any number of
channels. Shapes: N images, K factors, D latents.
"""

import io
import itertools
import json
from collections.abc import Collection, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import rcParams
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from . import latents as L
from .data import Images, as_images, to_batch, to_rgb
from .metrics import factor_entropies, mutual_information

__all__ = ["COLOURS", "DPI", "SHOWN_DPI", "Shown", "carried", "curves", "diagram", "early_pictures", "factor_report",
           "grid", "group_runs", "heat_map", "information_share", "kl_bars", "kl_over_time", "latent_labels",
           "latent_maps", "lines", "rows", "set_style", "sheet", "show", "signature", "tradeoff"]

# The palette of Okabe & Ito, safe for colour-blind readers
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000"]
# dots per inch of a figure's PNG, and at which a notebook shows it: sharp on a projector, too
DPI, SHOWN_DPI = 160, 100
LEAST_IMAGES = 100      # fewer overestimate the information so much that every latent would get a factor's name


def set_style() -> None:
    """Give all figures one look."""
    rcParams.update({
        "axes.prop_cycle": plt.cycler(color=COLOURS), "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "grid.alpha": 0.25, "figure.dpi": DPI, "font.size": 10, "legend.frameon": False,
        "image.cmap": "gray", "image.interpolation": "nearest", "figure.constrained_layout.use": True})


class Shown:
    """A figure as a notebook displays it: a PNG of ``dpi`` dots per inch, with alt text and the width to show it at."""

    def __init__(self, png: bytes, alt: str, dpi: float = DPI):
        self.png, self.alt = png, alt
        self.width = round(int.from_bytes(png[16:20], "big") * SHOWN_DPI / dpi)  # the header holds the width in pixels

    def _repr_png_(self):
        return self.png, {"alt": self.alt, "width": self.width}

    def __repr__(self):
        return f"figure: {self.alt}"


def show(figure: Figure, alt: str) -> Shown:
    """Render a Figure to PNG and close it. ``alt`` describes it for readers who cannot see it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.06)
    plt.close(figure)
    return Shown(buffer.getvalue(), alt)


# Pictures of images

def _row_step(side, gap=0.1):
    """The distance from the top of one row of images to the top of the next, in pixels."""
    return side + max(2, round(gap * side))


def sheet(images: Sequence[Tensor], dimmed: Collection[int] = (), gap: float = 0.1) -> tuple[Tensor, Tensor]:
    """Rows of images, (K, C, S, S) each -> one picture (H, W, 3) in [0, 1], and its rows' and columns' centres.

    White between the images. They keep their contrast: nothing is stretched. Rows whose number is in ``dimmed`` are
    mixed with grey.
    """
    side, count = images[0].shape[-1], max(map(len, images))
    step = _row_step(side, gap)
    canvas = torch.ones(len(images) * step - (step - side), count * step - (step - side), 3)
    for r, row in enumerate(images):
        row = to_rgb(to_batch(torch.as_tensor(row))).clamp(0, 1)
        row = 0.65 + 0.35 * row if r in dimmed else row
        for k, image in enumerate(row):
            canvas[r * step:r * step + side, k * step:k * step + side] = image.permute(1, 2, 0)
    return canvas, torch.arange(max(len(images), count)) * step + (side - 1) / 2


def rows(images: Sequence[Tensor], labels: Sequence[str], titles: Sequence[str] | None = None,
         dimmed: Collection[int] = ()) -> Figure:
    """Labelled rows of images: a list of (K, C, S, S), one label per row; ``titles`` stand above the columns."""
    canvas, centres = sheet(images, dimmed)
    width = 0.85 * max(map(len, images))
    figure, ax = plt.subplots(figsize=(width + 1.9, width * canvas.shape[0] / canvas.shape[1] + 0.35))
    ax.imshow(canvas.numpy(), interpolation="nearest")
    ax.set_yticks(centres[:len(images)], labels, parse_math=False)
    titles = titles or []
    ax.set_xticks(centres[:len(titles)], titles, fontsize=9, parse_math=False)
    ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    for r, text in enumerate(ax.get_yticklabels()):
        text.set_color("0.6" if r in dimmed else "0.1")
    _bare(ax)
    return figure


def _bare(ax):
    """Axes without grid and frame."""
    ax.grid(False)
    ax.spines[:].set_visible(False)


def grid(images: Tensor, columns: int = 8, titles: Sequence[str] | None = None) -> Figure:
    """Images (N, C, S, S) in reading order, ``columns`` in each line; ``titles``: one above each image."""
    lines_of = list(torch.as_tensor(images).split(columns))
    canvas, centres = sheet(lines_of, gap=0.3 if titles else 0.1)
    width = 0.9 * len(lines_of[0])
    figure, ax = plt.subplots(figsize=(width + 0.2, width * canvas.shape[0] / canvas.shape[1] + 0.3))
    ax.imshow(canvas.numpy(), interpolation="nearest")
    for i, title in enumerate(titles or []):
        above = centres[i // columns] - 0.52 * lines_of[0].shape[-1]
        ax.text(centres[i % columns], above, title, fontsize=8, ha="center", va="bottom", parse_math=False)
    ax.set_axis_off()
    return figure


# What latents carry

def information_share(mu: Tensor, factors: Tensor) -> np.ndarray:
    """The share of each factor's entropy that each latent carries, I(z; v) / H(v), 0 to 1: (N, D), (N, K) -> (D, K)."""
    return mutual_information(mu, factors) / factor_entropies(np.asarray(factors))


def carried(mu: Tensor, factors: Tensor, factor_names: Sequence[str], minimum: float = 0.3) -> list[tuple[str, float]]:
    """For each latent, the factor of which it carries the largest share I(z; v) / H(v): a list of (name, share).

    The name is "" where the share is below ``minimum``. Factors with one value only are left out; with fewer than
    100 images there are no names, since the share of any latent would be overestimated.
    """
    values = np.asarray(factors)
    varied = [k for k, column in enumerate(values.T) if len(np.unique(column)) > 1]
    if len(values) < LEAST_IMAGES or not varied:
        return [("", 0.0)] * mu.shape[1]
    share = information_share(mu, values[:, varied])
    best = share.argmax(1)
    return [(str(factor_names[varied[k]]) if share[d, k] >= minimum else "", float(share[d, k]))
            for d, k in enumerate(best)]


def latent_labels(mu: Tensor, logvar: Tensor, factors: Tensor | None = None, factor_names: Sequence[str] = (),
                  shares: bool = False) -> tuple[list[str], Tensor]:
    """One label per latent, such as "z3 · 2.4 nats · posX"; and which latents are collapsed, bool (D,).

    ``shares``: add the share of the factor that the latent carries, "posX, 0.63".
    """
    nats, collapsed = L.kl_per_latent(mu, logvar), ~L.active(mu, logvar)
    found = [("", 0.0)] * len(nats) if factors is None else carried(mu, factors, factor_names)
    labels = []
    for d, (name, share) in enumerate(found):
        parts = [f"z{d}", f"{float(nats[d]):.1f} nats"]
        if name and not collapsed[d]:
            parts.append(f"{name}, {share:.2f}" if shares else name)
        labels.append(" · ".join(parts))
    return labels, collapsed


def _traversal_rows(model, mu, collapsed, order, steps):
    """The first code of ``mu`` (N, D) with each latent of ``order`` moved along its ``traversal_limits``."""
    low, high = L.traversal_limits(mu, ~collapsed)
    return list(L.traversals(model, mu[0], order, low, high, steps))


def signature(model: nn.Module, images, factors: Tensor | None = None, factor_names: Sequence[str] = (), steps: int = 9,
              most: int = 12) -> Figure:
    """Originals, reconstructions, then one traversal row per latent, sorted by KL; collapsed latents are dimmed.

    KL and factors (N, K) are measured on all images. The first ``steps`` of them are shown, and the first is traversed,
    from the 1st to the 99th percentile of the codes. At most ``most`` latents are shown.
    """
    images = as_images(images)
    mu, logvar = L.encode(model, images)
    labels, collapsed = latent_labels(mu, logvar, factors, factor_names, shares=True)
    order = L.rank_latents(mu, logvar)[:most].tolist()
    first = images.take(torch.arange(min(steps, len(images))))
    pictures = [first, L.reconstruct(model, Images(first)), *_traversal_rows(model, mu, collapsed, order, steps)]
    names = ["original", "reconstruction", *(labels[d] for d in order)]
    return rows(pictures, names, dimmed=[2 + r for r, d in enumerate(order) if collapsed[d]])


def factor_report(model: nn.Module, images, factors: Tensor, factor_names: Sequence[str], steps: int = 7,
                  most: int = 12) -> Figure:
    """Which latent carries which factor: a heat map of I(z; v) / H(v), each row beside the latent's traversal.

    Latents are sorted by KL and named as in ``signature``; all images (N, C, S, S) and factors (N, K) are used to
    measure. In a disentangled model each column has one dark cell, and each row at most one.
    """
    mu, logvar = L.encode(model, images)
    labels, collapsed = latent_labels(mu, logvar, factors, factor_names)
    order = L.rank_latents(mu, logvar)[:most].tolist()
    share = information_share(mu, factors)[order]                               # (rows, K)
    pictures = _traversal_rows(model, mu, collapsed, order, steps)
    figure = rows(pictures, [labels[d] for d in order], dimmed=[r for r, d in enumerate(order) if collapsed[d]])
    ax, (count, k), side = figure.axes[0], share.shape, pictures[0].shape[-1]
    cell, width = _row_step(side), ax.get_xlim()[1]
    top, left = (side - cell) / 2 - 0.5, -(k + 0.3) * cell       # in pixels of the pictures: rows stay aligned
    bottom, right = top + count * cell, left + k * cell
    cells = ax.imshow(share, cmap="Blues", vmin=0, vmax=1, extent=(left, right, bottom, top), interpolation="nearest")
    for (r, c), value in np.ndenumerate(share):
        _write(ax, left + (c + 0.5) * cell, top + (r + 0.5) * cell, value, cells)
    ax.set(xlim=(left, width), ylim=(bottom, top))
    ax.set_xticks(left + (np.arange(k) + 0.5) * cell, factor_names, fontsize=9, parse_math=False)
    ax.set_title("I(z; v) / H(v), and what moving the latent does", fontsize=10)
    figure.set_figwidth(figure.get_figwidth() + 0.85 * (k + 0.3))
    return figure


def _write(ax, x, y, value, coloured):
    """Write a number into its cell of ``coloured``, a heat map: white on dark colours."""
    dark = np.isfinite(value) and np.dot(coloured.to_rgba(value)[:3], (0.3, 0.6, 0.1)) < 0.5
    ax.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=8, color="white" if dark else "0.1")


def early_pictures(history) -> Figure:
    """Reconstructions of the same images at several steps of a training: originals, then one row per step.

    ``history``: a ``training.History``. Raises ValueError if it holds no pictures: the first one is taken at step 10.
    """
    if not history.pictures:
        raise ValueError("this history holds no pictures: the first is taken at step 10; train for longer")
    steps = sorted(history.pictures)
    pictures = [history.pictures[steps[0]][0], *(history.pictures[s][1] for s in steps)]
    return rows(pictures, ["original", *(f"step {s:,}" for s in steps)])


# The model, and its latent space in two dimensions

def diagram(model: nn.Module, image) -> Figure:
    """One image on its way through the model: encoder, the Gaussian over each latent, one draw of z, decoder.

    ``image`` (C, S, S) or (1, C, S, S). A bar reaches from mu - sigma to mu + sigma of its latent.
    """
    image = torch.as_tensor(image).reshape(1, *image.shape[-3:])
    mu, logvar = L.encode(model, image)
    sigma = (0.5 * logvar).exp()
    names = [f"z{d}" for d in range(mu.shape[1])]
    figure, axes = plt.subplots(1, 5, figsize=(10, 2.6), width_ratios=(2, 1.4, 2.2, 1.4, 2))
    _framed(axes[0], image, "image x")
    _funnel(axes[1], "encoder\nq(z | x)", left=1.0, right=0.4)
    axes[2].errorbar(mu[0].numpy(), range(len(names)), xerr=sigma[0].numpy(), fmt="o", capsize=3, color=COLOURS[0])
    axes[2].axvline(0, color="0.4", linewidth=1, linestyle="--")
    axes[2].set(title="μ ± σ of each latent", xlim=(-3, 3), ylim=(len(names) - 0.5, -0.5))
    axes[2].set_yticks(range(len(names)), names)
    _funnel(axes[3], "draw z\nfrom q, then\ndecoder\np(x | z)", left=0.4, right=1.0)
    _framed(axes[4], L.decode(model, mu), "reconstruction")
    return figure


def _framed(ax, image: Tensor, title: str) -> None:
    """One image (1, C, S, S) in its axes."""
    ax.imshow(to_rgb(to_batch(image))[0].clamp(0, 1).permute(1, 2, 0).numpy())
    ax.set(title=title, xticks=[], yticks=[])
    ax.grid(False)


def _funnel(ax, text: str, left: float, right: float) -> None:
    """A trapezoid with ``text`` in it; its two upright sides have the heights ``left`` and ``right``, of at most 1."""
    corners = [(0.1, 0.5 - left / 2), (0.1, 0.5 + left / 2), (0.9, 0.5 + right / 2), (0.9, 0.5 - right / 2)]
    ax.fill(*zip(*corners), color=COLOURS[5], alpha=0.35)
    ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=9)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_axis_off()


def latent_maps(models: dict[str, nn.Module], images, values: Sequence[float], side: int = 9) -> Figure:
    """The latent space of models with two latents: above, the codes of the images; below, what the decoder draws there.

    ``models``: from title to model. A dot is the mean of an image's code, coloured by its entry of ``values`` (N,), and
    the ellipse around it is one sigma wide each way. Below, ``side`` x ``side`` points of the same square are decoded.
    """
    figure, axes = plt.subplots(2, len(models), figsize=(3.1 * len(models), 6.4), squeeze=False)
    for (title, model), (above, below) in zip(models.items(), axes.T):
        mu, logvar = L.encode(model, images)
        reach = max(2.5, 1.05 * float(mu.abs().max()))
        _map_of_codes(above, mu, logvar, values)
        above.set_title(title, parse_math=False)
        above.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        line = torch.linspace(-reach, reach, side)
        z = torch.cartesian_prod(line.flip(0), line).flip(1)            # row by row: z1 falls, z0 rises
        canvas, _ = sheet(L.decode(model, z).unflatten(0, (side, side)).unbind(0))
        below.imshow(canvas.numpy(), extent=(-reach, reach, -reach, reach))
        below.grid(False)
        below.set_xlabel("z0")
    axes[0, 0].set_ylabel("z1 (codes of the images)")
    axes[1, 0].set_ylabel("z1 (decoded)")
    return figure


def _map_of_codes(ax, mu: Tensor, logvar: Tensor, values: Sequence[float]) -> None:
    """Dots at mu (N, 2), coloured by ``values``, each in an ellipse that reaches one sigma each way."""
    width, height = (2 * (0.5 * logvar).exp()).numpy().T
    dots = ax.scatter(*mu.numpy().T, c=np.asarray(values), cmap="viridis", s=8, zorder=2)
    ax.add_collection(EllipseCollection(width, height, np.zeros(len(mu)), units="xy", offsets=mu.numpy(),
                                        facecolors="none",
                                        edgecolors=dots.to_rgba(np.asarray(values)), offset_transform=ax.transData))


# Charts of numbers

def lines(x: Sequence[float], series: dict, xlabel: str, ylabel: str, title: str = "") -> Figure:
    """One line for each entry of ``series``: a dict from label to values, or from label to a pair (x, values)."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    for label, values in series.items():
        its_x, y = values if isinstance(values, tuple) else (x, values)
        ax.plot(its_x, y, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_title(title, parse_math=False)
    for text in ax.legend().get_texts():
        text.set_parse_math(False)
    return figure


def curves(history) -> Figure:
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


def kl_over_time(history) -> Figure:
    """The KL of every latent over the steps, in nats. Collapsed latents are grey; up to 14 active ones are named.

    The names stand at the right ends of the curves.
    """
    nats, steps = np.array(history.steps["kl_per_latent"]), history.steps["step"]
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    for place, d in enumerate(nats[-1].argsort()[::-1]):
        if nats[-1, d] <= L.ACTIVE_NATS:
            look = {"color": "0.75", "zorder": 1}
        elif place < 14:
            look = {"color": COLOURS[place % 7], "linestyle": ("-", "--")[place // 7], "label": f"z{d}"}
        else:
            look = {"color": COLOURS[7], "linewidth": 0.8}
        ax.plot(steps, nats[:, d], **look)
    ax.set(xlabel="step", ylabel="KL (nats)", title="KL of each latent")
    _name_ends(ax)
    return figure


def _name_ends(ax, distance: float = 0.06) -> None:
    """Write the label of each curve beside its right end; labels that would overlap are moved apart, upwards.

    ``distance``: the least between two labels, as a share of the height of the axes.
    """
    (low, high), lowest = ax.get_ylim(), -np.inf
    for line in sorted(ax.get_legend_handles_labels()[0], key=lambda line: line.get_ydata()[-1]):
        x, y = line.get_xdata()[-1], line.get_ydata()[-1]
        lowest = max(y, lowest + distance * (high - low))
        ax.annotate(line.get_label(), (x, y), (1.02, (lowest - low) / (high - low)), va="center", fontsize=9,
                    textcoords="axes fraction", color=line.get_color(),
                    arrowprops={"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.6, "shrinkB": 0})


def kl_bars(mu: Tensor, logvar: Tensor, names: Sequence[str] | None = None) -> Figure:
    """The mean KL of every latent, in nats, sorted; collapsed latents in grey.

    ``names``: one per latent, for "z0" ...
    """
    nats, active, order = L.kl_per_latent(mu, logvar), L.active(mu, logvar), L.rank_latents(mu, logvar).tolist()
    labels = [names[d] if names else f"z{d}" for d in order]
    figure, ax = plt.subplots(figsize=(6.4, 2.8))
    ax.bar(range(len(order)), nats[order], color=[COLOURS[0] if active[d] else "0.75" for d in order])
    ax.set(ylabel="KL (nats)")
    ax.set_xticks(range(len(order)), labels, rotation=90 if len(order) > 16 else 0, parse_math=False)
    return figure


def group_runs(rows: Sequence[dict]) -> dict[str, dict[float, list[dict]]]:
    """Sort the rows of a sweep into runs that differ in beta and seed only: label -> beta -> rows, betas rising.

    A label names the settings by which the groups differ: "btcvae", "beta_vae, epochs 24".
    Raises ValueError for an empty table or one that is not of a sweep.
    """
    if not rows or not {"objective", "beta", "kl", "reconstruction", "settings"} <= set(rows[0]):
        raise ValueError("the table holds no runs of a sweep; make it with python -m bvae_helpers sweep")
    groups = {}
    for row in sorted(rows, key=lambda row: row["beta"]):
        settings = {"objective": row["objective"], **json.loads(row["settings"])}
        others = frozenset((name, str(value)) for name, value in settings.items() if name not in ("beta", "seed"))
        groups.setdefault(others, {}).setdefault(row["beta"], []).append(row)
    common = frozenset.intersection(*groups)
    labels = {}
    for others, runs in groups.items():
        differing = dict(sorted(others - common))
        objective = differing.pop("objective", "")
        labels[", ".join(filter(None, [objective, *(f"{name} {value}" for name, value in differing.items())]))] = runs
    return labels


def tradeoff(rows: Sequence[dict]) -> Figure:
    """The rows of a sweep in the plane of rate and distortion, and beside it their MIG (if measured) against beta.

    Every run is a dot, tied to the median over the seeds of its beta; a line joins the medians, and a colour marks the
    runs that share all other settings. Dashed lines join points of equal ELBO: -(rate + distortion) (Alemi et al. 2018,
    "Fixing a Broken ELBO"). All in nats per image. Raises ValueError for an empty table or one that is not of a sweep.
    """
    groups = group_runs(rows)
    scored = any(row.get("mig") is not None for row in rows)
    figure, axes = plt.subplots(1, 1 + scored, figsize=(5.2 * (1 + scored), 4.2), squeeze=False)
    plane = axes[0, 0]
    for colour, (label, runs) in zip(itertools.cycle(COLOURS), groups.items()):
        points = _dots_and_medians(plane, runs, "kl", "reconstruction", colour, label)
        for beta, point in points.items():
            plane.annotate(f"{beta:g}", point, (5, 5), textcoords="offset points", color=colour, fontsize=10)
    _equal_elbo(plane, [row["kl"] + row["reconstruction"] for row in rows])
    plane.set(xlabel="rate: KL (nats)", ylabel="distortion: reconstruction (nats)",
              title="rate and distortion at each β")
    if scored:
        _mig_against_beta(axes[0, 1], groups)
    if len(groups) > 1:
        axes[0, -1].legend(fontsize=10)
    return figure


def _dots_and_medians(ax, runs: dict, x: str, y: str, colour: str, label: str) -> dict[float, tuple[float, float]]:
    """Draw every run as a dot, tied to the median of its beta, and a line through the medians -> beta -> its median."""
    measured = {beta: [(row[x], row[y]) for row in rows if row.get(y) is not None] for beta, rows in runs.items()}
    medians = {beta: tuple(np.median(points, axis=0)) for beta, points in measured.items() if points}
    dots = [point for points in measured.values() for point in points]
    if dots:
        ax.plot(*zip(*medians.values()), color=colour, linewidth=1.5)
        ax.plot(*zip(*dots), "o", color=colour, markersize=6, alpha=0.6, label=label)
        for beta, median in medians.items():
            for point in measured[beta]:
                ax.plot(*zip(median, point), color=colour, linewidth=0.6, label="_")
    return medians


def _mig_against_beta(ax, groups: dict) -> None:
    for colour, (label, runs) in zip(itertools.cycle(COLOURS), groups.items()):
        _dots_and_medians(ax, runs, "beta", "mig", colour, label)
    betas = sorted({beta for runs in groups.values() for beta in runs})
    if betas[0] > 0:
        ax.set_xscale("log", base=2)
        ax.set_xticks(betas, [f"{beta:g}" for beta in betas])
    ax.set(xlabel="β", ylabel="MIG", title="MIG at each β", ylim=(0, None))


def _equal_elbo(ax, sums: Sequence[float]) -> None:
    """Dashed lines rate + distortion = constant, labelled on the right; ``sums``: rate + distortion of runs."""
    right, (low, high) = ax.get_xlim()[1], ax.get_ylim()
    ax.set(xlim=(0, right), ylim=(low, high))
    for level in MaxNLocator(6).tick_values(min(sums), max(sums)):
        if low < level - right < level < high:
            ax.plot([0, right], [level, level - right], "--", color="0.6", linewidth=1, zorder=0)
            ax.annotate(f"ELBO {-level:g}", (right, level - right), (-2, 5), textcoords="offset points", ha="right",
                        color="0.4", fontsize=9, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}, zorder=0)


def heat_map(tables: dict, row_names: Sequence[str], column_names: Sequence[str], low: float = 0.0, high: float = 1.0,
             colours: str = "Blues") -> Figure:
    """Tables of numbers side by side, coloured and written out: a dict from title to (R, C), with common names.

    Colours run from ``low`` to ``high``; ``colours="RdBu"`` suits numbers of both signs. NaN and infinite numbers are
    not coloured.
    """
    tables = {title: np.asarray(table, dtype=float) for title, table in tables.items()}
    size = (0.62 * len(tables) * len(column_names) + 1.8, 0.32 * len(row_names) + 1.1)
    figure, axes = plt.subplots(1, len(tables), figsize=size, sharey=True, squeeze=False)
    slanted = {"rotation": 35, "ha": "right"} if len(column_names) > 6 else {}
    for ax, (title, table) in zip(axes[0], tables.items()):
        image = ax.imshow(np.ma.masked_invalid(table), cmap=colours, vmin=low, vmax=high, aspect="auto")
        for (r, c), value in np.ndenumerate(table):
            _write(ax, c, r, value, image)
        ax.set_xticks(range(len(column_names)), column_names, fontsize=9, parse_math=False, **slanted)
        ax.set_yticks(range(len(row_names)), row_names, parse_math=False)
        ax.set_title(title, fontsize=10, parse_math=False)
        ax.tick_params(length=0)
        _bare(ax)
    return figure
