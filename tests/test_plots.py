"""Figures: the right labels and numbers in them; pictures are never stretched in contrast."""

import io

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from bvae_helpers import checkpoints, latents, plots
from bvae_helpers.data import Sprites, render
from bvae_helpers.model import BetaVAE
from bvae_helpers.training.history import History


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def sprites():
    return render(Sprites(), 500, seed=0)


def test_signature_has_a_labelled_row_for_each_latent(sprites):
    images, factors = sprites
    figure = plots.signature(checkpoints.load_pretrained("btcvae"), images, factors, Sprites.factor_names, steps=5)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["original", "reconstruction"] and len(labels) == 12
    nats = [float(label.split("·")[1].split()[0]) for label in labels[2:]]
    assert nats == sorted(nats, reverse=True)
    named = dict(label.split("·")[2].strip().split(", ") for label in labels[2:] if label.count("·") == 2)
    assert {"posX", "posY", "scale"} <= set(named)
    assert all(0.3 <= float(share) <= 1 for share in named.values())


def test_factor_report_puts_each_number_beside_its_latent(sprites):
    images, factors = sprites
    model = checkpoints.load_pretrained("btcvae")
    ax = plots.factor_report(model, images, factors, Sprites.factor_names, steps=3, most=4).axes[0]
    assert [text.get_text() for text in ax.get_xticklabels()] == list(Sprites.factor_names)
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert len(labels) == 4 and len(ax.texts) == 4 * 5
    share = plots.information_share(latents.encode(model, images)[0], factors)
    for text in ax.texts:                                       # a cell's row is its latent's, its column its factor's
        x, y = text.get_position()
        row = abs(ax.get_yticks() - y).argmin()
        assert abs(ax.get_yticks()[row] - y) < 1
        latent, factor = int(labels[row].split()[0][1:]), abs(ax.get_xticks() - x).argmin()
        assert float(text.get_text()) == pytest.approx(share[latent, factor], abs=0.0051)


def test_images_keep_their_contrast():
    grey = torch.full((2, 1, 8, 8), 0.5)
    canvas, centres = plots.sheet([grey, (grey * 255).round().to(torch.uint8)])
    assert canvas[:8, :8].unique().tolist() == [0.5]
    assert torch.allclose(canvas[10:18, 10:18], torch.tensor(128 / 255))
    assert canvas[8:10].unique().tolist() == [1.0]           # white between
    assert centres.tolist() == [3.5, 13.5]


def test_black_images_of_a_grid_can_be_told_apart():
    (shown,) = plots.grid(torch.zeros(4, 1, 8, 8), columns=2).axes[0].get_images()
    pixels = torch.as_tensor(shown.get_array())
    assert pixels[:8, :8].max() == 0 and pixels[:, 8:10].min() == 1 and pixels[8:10].min() == 1


def test_a_long_label_stays_on_the_figure():
    with plt.rc_context():
        plots.set_style()
        figure = plots.rows([torch.zeros(5, 1, 8, 8)] * 2, ["z12 · 3.6 nats · background colour of a hall, 0.63"] * 2)
        figure.canvas.draw()
        assert all(label.get_window_extent().x0 >= 0 for label in figure.axes[0].get_yticklabels())


def test_show_gives_a_png_with_alt_text_and_closes_the_figure():
    shown = plots.show(plots.lines([0, 1], {"a": [1, 2]}, "x", "y"), alt="a rising line")
    data, metadata = shown._repr_png_()
    assert data.startswith(b"\x89PNG") and metadata["alt"] == "a rising line"
    assert plt.get_fignums() == []


def test_a_figure_has_160_dots_per_inch_and_is_shown_at_100():
    figure = plots.lines([0, 1], {"a": [1, 2]}, "x", "y")
    inches = figure.get_size_inches()[0]
    data, metadata = plots.show(figure, alt="a rising line")._repr_png_()
    pixels = Image.open(io.BytesIO(data)).size[0]
    assert pixels == pytest.approx(160 * inches, rel=0.2)           # cut to what is drawn
    assert metadata["width"] == round(pixels * 100 / 160)


def test_an_active_latent_is_never_drawn_as_a_collapsed_one():
    history = History()
    for step in range(2):
        history.add_steps(step=step, kl_per_latent=[1.0] * 16 + [0.0])
    ax = plots.kl_over_time(history).axes[0]
    assert [line.get_color() for line in ax.lines].count("0.75") == 1
    heights = sorted(text.get_position()[1] for text in ax.texts)            # the names at the right ends
    assert len(heights) == 14 and min(b - a for a, b in zip(heights, heights[1:])) > 0.05


def test_carried_names_the_factor_a_latent_copies():
    factors = Sprites().sample_factors(2000, torch.Generator().manual_seed(0))
    codes = torch.stack([factors[:, 3].float(), torch.randn(2000, generator=torch.Generator().manual_seed(1))], dim=1)
    (copied, share), (noise, _) = plots.carried(codes, factors, Sprites.factor_names)
    assert copied == "posX" and share > 0.8 and noise == ""


def test_curves_of_a_history():
    history = History(steps_per_epoch=10)
    for epoch in (1, 2):
        terms = {"loss": 10 / epoch, "reconstruction": 9 / epoch, "kl": 1.0, "kl_per_latent": [0.9, 0.1]}
        history.add_steps(step=10 * epoch, **terms)
        history.add_epoch(epoch=epoch, **{f"{part}_{k}": v for part in ("train", "val") for k, v in terms.items()})
        history.pictures[10 * epoch] = torch.zeros(2, 3, 1, 8, 8, dtype=torch.uint8)
    assert [ax.get_title() for ax in plots.curves(history).axes] == ["loss", "reconstruction", "kl"]
    assert len(plots.kl_over_time(history).axes[0].lines) == 2
    pictures = plots.early_pictures(history).axes[0]
    assert [text.get_text() for text in pictures.get_yticklabels()] == ["original", "step 10", "step 20"]
    assert isinstance(plots.kl_bars(torch.randn(50, 3), torch.zeros(50, 3)), Figure)
    assert isinstance(plots.grid(torch.rand(5, 3, 8, 8), columns=3, titles=list("abcde")), Figure)


def test_heat_map_writes_every_number_in_its_place():
    figure = plots.heat_map({"a": [[0.1, 0.9]], "b": [[0.5, float("inf")]]}, ["row"], ["x", "y"])
    first, second = figure.axes
    assert {t.get_text(): t.get_position() for t in first.texts} == {"0.10": (0, 0), "0.90": (1, 0)}
    assert [t.get_text() for t in second.texts] == ["0.50", "inf"]
    assert first.texts[1].get_color() == "white"            # readable on a dark cell


def test_diagram_shows_the_posterior_of_every_latent(sprites):
    model = checkpoints.load_pretrained("vae")
    figure = plots.diagram(model, sprites[0][3])
    (dots, _, (bars,)), = [container for container in figure.axes[2].containers]
    mu, logvar = latents.encode(model, sprites[0][3:4])
    assert torch.allclose(torch.as_tensor(dots.get_xdata()), mu[0])
    width = [segment[1, 0] - segment[0, 0] for segment in bars.get_segments()]
    assert torch.allclose(torch.tensor(width), (0.5 * logvar[0]).exp().double() * 2, atol=1e-6)
    words = " ".join(text.get_text() for ax in figure.axes for text in ax.texts)
    assert "encoder" in words and "decoder" in words


def test_latent_maps_put_codes_and_their_pictures_in_one_square(sprites):
    torch.manual_seed(0)
    model = BetaVAE(in_channels=1, latent_dim=2, hidden_dims=[4, 4])
    images, factors = sprites
    figure = plots.latent_maps({"a": model, "b": model}, images[:40], factors[:40, 3].tolist(), side=3)
    above, below = figure.axes[0], figure.axes[2]
    mu, logvar = latents.encode(model, images[:40])
    dots, ellipses = above.collections
    assert torch.allclose(torch.as_tensor(dots.get_offsets().data).float(), mu)
    assert torch.allclose(torch.as_tensor(ellipses.get_widths()).float(), 2 * (0.5 * logvar[:, 0]).exp(), atol=1e-5)
    assert above.get_xlim() == pytest.approx(below.get_xlim()) and above.get_title() == "a"
    drawn = torch.as_tensor(below.images[0].get_array())
    corner = plots.sheet([latents.decode(model, torch.tensor([[-above.get_xlim()[1], above.get_ylim()[1]]]))])[0]
    assert torch.allclose(drawn[:64, :64], corner, atol=1e-5)           # above left: z0 smallest, z1 largest
