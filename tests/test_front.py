"""The site's front page: its renderer, its encoder and its score in JavaScript against those of the package."""

import importlib.util
import pathlib

import numpy as np
import pytest
import torch
from test_export import chromium, opened, playwright  # noqa: F401

from bvae_helpers import checkpoints, losses, metrics
from bvae_helpers import latents as L
from bvae_helpers.data import Sprites, render, to_batch

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIT = """rows => rows.map(row => drawSprite(front.tables, row)
    .reduce((lit, value, i) => value ? [...lit, i] : lit, []))"""
SET = """([id, value]) => {
    const slider = document.getElementById(id);
    slider.value = value;
    slider.dispatchEvent(new Event('input'));
    return new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame));
}"""


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tool():
    """tools/front.py; where the package has no sweep over beta, two other models stand in for it."""
    made = load_tool("front")
    if len(set(made.BETAS) & set(checkpoints.pretrained_names(sweep=True))) < 2:
        made.BETAS = {"vae_falling": 1, "beta4": 4}
    return made


@pytest.fixture(scope="module")
def path(tmp_path_factory, tool):
    made = tmp_path_factory.mktemp("front") / "front.html"
    tool.write(made)
    return made


@pytest.fixture
def page(opened, path):  # noqa: F811
    return opened(path)


def test_the_page_is_small(path):
    assert path.stat().st_size < 4e6


def test_a_thousand_sprites_are_the_same_to_the_pixel(page):
    factors = Sprites().sample_factors(1000, torch.Generator().manual_seed(0))
    images = Sprites().images(factors).flatten(1).numpy()
    for lit, image in zip(page.evaluate(LIT, factors.tolist()), images):
        assert (np.flatnonzero(image) == lit).all()


def test_the_encoder_computes_what_pytorch_computes(page, tool):
    images, factors = render(Sprites(), 20, seed=3)
    mu, _ = L.encode(checkpoints.load_pretrained(tool.MODEL), images)
    codes = page.evaluate("rows => rows.map(row => Array.from(encode(drawSprite(front.tables, row))))",
                          factors.tolist())
    assert np.abs(np.array(codes) - mu.numpy()).max() < 0.03            # its large matrix is stored in 8 bits


def test_each_beta_shows_its_own_network_and_builds_it_when_it_is_chosen(page, tool):
    starts = to_batch(render(Sprites(), tool.SAMPLES, tool.SEED)[0][:8])
    for k, name in enumerate(tool.BETAS):
        page.evaluate(SET, ["beta", k])
        assert page.evaluate("sweep.networks.filter(Boolean).length") == k + 1
        redrawn = page.evaluate("Array.from(sweepNetwork(Number(sweep.beta.input.value))(front.sweep"
                                "[Number(sweep.beta.input.value)].codes[3]))")
        wanted = L.reconstruct(checkpoints.load_pretrained(name), starts[3:4]).flatten().numpy()
        assert np.abs(np.array(redrawn) - wanted).max() < tool.COARSE + 1e-4
        assert page.locator("tr.now th").inner_text() == str(tool.BETAS[name])


def test_the_numbers_of_each_beta_are_the_packages(page, tool):
    images, factors = render(Sprites(), tool.MEASURED, seed=2)
    for k, name in enumerate(tool.BETAS):
        model = checkpoints.load_pretrained(name)
        mu, logvar = L.encode(model, images)
        _, rate, distortion, active, score = page.locator("#sweep tr").nth(k + 1).inner_text().split()
        assert float(rate) == pytest.approx(losses.kl_divergence(mu, logvar).sum(1).mean().item(), abs=0.051)
        z = mu + (logvar / 2).exp() * torch.randn(mu.shape, generator=torch.Generator().manual_seed(1))
        drawn_again = losses.bernoulli(model.decoder.logits(z), to_batch(images)).item()
        assert float(distortion) == pytest.approx(drawn_again, rel=0.03)
        assert int(active) == L.active(mu, logvar).sum()
        assert float(score) == pytest.approx(metrics.mig(metrics.active_codes(mu, logvar), factors), abs=0.006)


def test_the_finger_moves_a_sprite_the_same_way_in_every_network(page, tool):
    """Where a latent carries the place, a finger to the right moves the sprite to the right, whatever its sign."""
    centre = """() => {
        const {width, height} = sweep.pictures[2];
        const pixels = sweep.pictures[2].getContext('2d').getImageData(0, 0, width, height);
        let mass = 0, sum = 0;
        for (let i = 0; i < width * height; i++) {
            mass += pixels.data[4 * i];
            sum += pixels.data[4 * i] * (i % width);
        }
        return sum / mass;
    }"""
    shares = page.evaluate("front.sweep.map(({fingers}) => fingers[front.names.indexOf('left to right')].share)")
    assert shares[-1] > 0.5
    for k in (k for k, share in enumerate(shares) if share > 0.5):
        page.evaluate(SET, ["beta", k])
        page.evaluate(SET, ["finger", 0.1])
        left = page.evaluate(centre)
        page.evaluate(SET, ["finger", 0.9])
        assert page.evaluate(centre) > left + 10


def test_what_the_answer_about_beta_claims(page, tool):
    """With a larger beta fewer latents, each for one cause, and a larger distortion; place and size are kept."""
    models = page.evaluate("front.sweep.map(({decoder, ...rest}) => rest)")
    for less, more in zip(models, models[1:]):
        assert more["active"] <= less["active"] and more["distortion"] > less["distortion"]
        assert more["rate"] < less["rate"]
    shape, size, turn, x, y = (finger["share"] for finger in models[-1]["fingers"])
    assert max(shape, turn) < 0.6 * min(x, y)
    if "sweep_beta32" in tool.BETAS:                    # the models that stand in for the sweep have the same MIG
        assert models[-1]["mig"] > models[0]["mig"] + 0.1 and max(shape, turn) < 0.6 * size


@pytest.mark.parametrize("degrees", [0, 20, 45])
def test_the_score_is_the_packages(page, degrees):
    codes, factors = (np.array(page.evaluate(f"front.{name}")) for name in ("codes", "factors"))
    (one, two), angle = page.evaluate("front.pair"), np.radians(degrees)
    first, second = codes[:, one].copy(), codes[:, two].copy()
    codes[:, one] = np.cos(angle) * first + np.sin(angle) * second
    codes[:, two] = np.cos(angle) * second - np.sin(angle) * first
    page.evaluate(SET, ["angle", degrees])
    score = page.evaluate("angle => mig(turnedShares(angle))", angle)
    assert score == pytest.approx(metrics.mig(codes, factors), abs=2e-3)
    assert page.locator(".score").inner_text() == f"{score:.2f}"


def test_every_slider_changes_a_picture(page):
    for name in ["beta", "finger", *(f"truth-{k}" for k in range(5)), "angle", "turned"]:
        pictures = "Array.from(document.querySelectorAll('.split canvas'), canvas => canvas.toDataURL()).join()"
        page.evaluate(SET, ["turned", 1.5])
        page.evaluate(SET, [name, 0])
        before = page.evaluate(pictures)
        most = int(page.locator(f"#{name}").get_attribute("max"))
        page.evaluate(SET, [name, most - 1 if most > 9 else most])      # a turn by 360 degrees is none
        assert page.evaluate(pictures) != before, name


def test_what_the_answers_claim(page):
    """To the right or turned, one latent moves; a new shape moves two; the score falls as latents are mixed."""
    moved = "Array.from(document.querySelectorAll('.line.moved'), line => line.textContent)"
    page.evaluate(SET, ["truth-3", 25])
    assert len(page.evaluate(moved)) == 1 and "left to right" in page.evaluate(moved)[0]
    page.evaluate(SET, ["truth-2", 20])
    assert len(page.evaluate(moved)) == 1 and "turn" in page.evaluate(moved)[0]
    page.evaluate(SET, ["truth-0", 1])
    assert ["shape" in line or "turn" in line for line in page.evaluate(moved)] == [True, True]
    straight = float(page.locator(".score").inner_text())
    page.evaluate(SET, ["angle", 45])
    assert float(page.locator(".score").inner_text()) < straight - 0.1
    assert page.locator("details").nth(1).inner_text() and page.locator(".panel .latent input:visible").count() == 5


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_window(opened, path, width):  # noqa: F811
    page = opened(path, width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
