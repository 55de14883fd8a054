"""The explorer, headless: events change the picture, errors are shown, folded latents open."""

import io

import pytest
import torch
from PIL import Image

from bvae_helpers import explorer as E
from bvae_helpers.model import BetaVAE
from bvae_helpers.sprites import Sprites


@pytest.fixture
def explorer():
    torch.manual_seed(0)
    sprites = Sprites()
    factors = sprites.sample_factors(64, torch.Generator().manual_seed(0))
    model = BetaVAE(1, 4, [8, 8], network="sprites")
    with torch.no_grad():                      # latent 2 collapses: q(z | x) = N(0, 1) for every image
        for layer in (model.encoder.fc_mu, model.encoder.fc_var):
            layer.weight[2], layer.bias[2] = 0, 0
        model.encoder.fc_var.bias[[0, 1, 3]] = -4
    return E.LatentExplorer(model.train(), sprites.images(factors), sprites, factors)


def now(explorer):
    return Image.open(io.BytesIO(explorer.picture.value))


def test_a_slider_changes_the_picture_and_the_last_value_wins(explorer):
    first = explorer.order[0]
    low, high = explorer.sliders[first].min, explorer.sliders[first].max
    explorer.set(first, high)
    at_high = bytes(explorer.picture.value)
    explorer.set(first, low)
    at_low = bytes(explorer.picture.value)
    assert at_low != at_high
    for value in (low, (low + high) / 2, high):
        explorer.set(first, value)
    assert bytes(explorer.picture.value) == at_high


def test_picture_shows_original_reconstruction_now(explorer):
    picture = now(explorer)
    assert picture.size == (3 * 192 + 2 * E.GAP, 192)
    reconstruction, current = (picture.crop((x, 0, x + 192, 192)) for x in (192 + E.GAP, 2 * (192 + E.GAP)))
    assert reconstruction.tobytes() == current.tobytes()       # nothing dragged yet


def test_sliders_are_sorted_by_kl_and_labelled(explorer):
    nats = [float(explorer.sliders[d].description.split("·")[1].split()[0]) for d in explorer.order]
    assert nats == sorted(nats, reverse=True)
    assert explorer.folded == [2] and explorer.order[-1] == 2


def test_collapsed_latents_unfold_and_fold(explorer):
    assert explorer.folded_box.layout.display == "none"
    explorer.fold.click()
    assert explorer.folded_box.layout.display is None
    explorer.fold.click()
    assert explorer.folded_box.layout.display == "none"


def test_reset_and_starting_points(explorer):
    start = explorer.picture.value
    explorer.set(explorer.order[0], explorer.sliders[explorer.order[0]].max)
    assert explorer.picture.value != start
    explorer.reset.click()
    assert explorer.picture.value == start
    explorer.picker.value = 1
    assert explorer.picture.value != start
    explorer.picker.value = E.REST[0]
    assert explorer.z().abs().max() < 0.011                     # sliders move in steps of 0.01


def test_an_exception_is_shown_and_the_sliders_go_on(explorer):
    decoder, explorer.model.decoder = explorer.model.decoder, None
    explorer.set(explorer.order[0], explorer.sliders[explorer.order[0]].max)
    assert "TypeError" in explorer.message.value
    explorer.model.decoder = decoder
    before = explorer.picture.value
    explorer.set(explorer.order[0], explorer.sliders[explorer.order[0]].min)
    assert explorer.picture.value != before


def test_the_model_keeps_its_mode(explorer):
    assert explorer.model.training


def test_png_and_z_can_be_saved(explorer):
    explorer.save.click()
    assert "data:image/png;base64," in explorer.message.value and "z = [" in explorer.message.value


def test_colour_images():
    model = BetaVAE(3, 3, [4], img_size=16)
    explorer = E.LatentExplorer(model, torch.rand(8, 3, 16, 16))
    assert now(explorer).mode == "RGB"
