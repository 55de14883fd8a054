"""The site's front page: its renderer, its encoder and its score in JavaScript against those of the package."""

import importlib.util
import pathlib

import numpy as np
import pytest
import torch
from test_export import chromium, opened, playwright  # noqa: F401

from bvae_helpers import checkpoints, metrics
from bvae_helpers import latents as L
from bvae_helpers.data import Sprites, render

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIT = """rows => rows.map(row => drawSprite(front.tables, row).reduce((lit, value, i) => value ? [...lit, i] : lit, []))"""
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
def path(tmp_path_factory):
    made = tmp_path_factory.mktemp("front") / "front.html"
    load_tool("front").write(made)
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


def test_the_encoder_computes_what_pytorch_computes(page):
    images, factors = render(Sprites(), 20, seed=3)
    mu, _ = L.encode(checkpoints.load_pretrained("btcvae"), images)
    codes = page.evaluate("rows => rows.map(row => Array.from(encode(drawSprite(front.tables, row))))", factors.tolist())
    assert np.abs(np.array(codes) - mu.numpy()).max() < 1e-4


@pytest.mark.parametrize("degrees", [0, 20, 45])
def test_the_score_is_the_packages(page, degrees):
    codes, factors = (np.array(page.evaluate(f"front.{name}")) for name in ("codes", "factors"))
    (one, two), angle = page.evaluate("front.pair"), np.radians(degrees)
    first, second = codes[:, one].copy(), codes[:, two].copy()
    codes[:, one] = np.cos(angle) * first + np.sin(angle) * second
    codes[:, two] = np.cos(angle) * second - np.sin(angle) * first
    page.evaluate(SET, ["angle", degrees])
    assert float(page.locator(".score").inner_text()) == pytest.approx(metrics.mig(codes, factors), abs=2e-3)


def test_every_slider_changes_a_picture(page):
    for name in [*(f"truth-{k}" for k in range(5)), "angle", "turned"]:
        pictures = "Array.from(document.querySelectorAll('.split canvas'), canvas => canvas.toDataURL()).join()"
        page.evaluate(SET, ["turned", 1.5])
        page.evaluate(SET, [name, 0])
        before = page.evaluate(pictures)
        most = int(page.locator(f"#{name}").get_attribute("max"))       # but a turn by 360 degrees is none
        page.evaluate(SET, [name, most - 1])
        assert page.evaluate(pictures) != before, name


def test_what_the_answers_claim(page):
    """To the right, one latent moves; a turn moves that of the shape; at 45 degrees, the score has fallen by half."""
    moved = "Array.from(document.querySelectorAll('.line.moved'), line => line.textContent)"
    page.evaluate(SET, ["truth-3", 25])
    assert len(page.evaluate(moved)) == 1 and "posX" in page.evaluate(moved)[0]
    page.evaluate(SET, ["truth-2", 10])
    assert len(page.evaluate(moved)) == 1 and "shape" in page.evaluate(moved)[0]
    page.evaluate(SET, ["truth-2", 0])
    page.evaluate(SET, ["truth-0", 1])
    assert any("scale" in line for line in page.evaluate(moved))
    straight = float(page.locator(".score").inner_text())
    page.evaluate(SET, ["angle", 45])
    assert float(page.locator(".score").inner_text()) < 0.5 * straight
    assert page.locator("details").nth(0).inner_text() and page.locator(".panel .latent input:visible").count() == 4


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_window(opened, path, width):  # noqa: F811
    page = opened(path, width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
