"""The explorer, headless: events change the picture, errors are shown, everything can be driven from code."""

import base64
import io
import json
import re
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from bvae_helpers.data import Sprites
from bvae_helpers.explorer import frames
from bvae_helpers.explorer import widget as E
from bvae_helpers.explorer.panel import GAP
from bvae_helpers.model import BetaVAE


def small_model(seed):
    torch.manual_seed(seed)
    model = BetaVAE(1, 4, [8, 8], network="sprites")
    with torch.no_grad():                      # latent 2 collapses: q(z | x) = N(0, 1) for every image
        for layer in (model.encoder.fc_mu, model.encoder.fc_var):
            layer.weight[2], layer.bias[2] = 0, 0
        model.encoder.fc_var.bias[[0, 1, 3]] = -4
        model.encoder.fc_mu.weight *= 40        # codes about as far apart as those of a trained model
    return model.train()


def explore(model):
    sprites = Sprites()
    factors = sprites.sample_factors(64, torch.Generator().manual_seed(0))
    return E.LatentExplorer(model, sprites.images(factors), sprites, factors)


@pytest.fixture
def explorer():
    return explore(small_model(0))


def shown(explorer):
    return Image.open(io.BytesIO(explorer.picture.value))


def thirds(explorer, channel="L"):
    return [shown(explorer).getchannel(channel).crop((x, 0, x + 192, 192)).tobytes()
            for x in (0, 192 + GAP, 2 * (192 + GAP))]


def saved(explorer):
    """The bytes behind the link of the message."""
    return base64.b64decode(re.search(r"base64,([^\"]+)", explorer.message.value)[1])


def to_end(explorer, place=0):
    d = explorer.order[place]
    explorer.set(d, explorer.sliders[d].max)
    return d


def test_a_slider_changes_the_picture_and_the_last_value_wins(explorer):
    first = explorer.order[0]
    low, high = explorer.sliders[first].min, explorer.sliders[first].max
    explorer.set(first, high)
    at_high = bytes(explorer.picture.value)
    explorer.set(first, low)
    assert bytes(explorer.picture.value) != at_high
    for value in (low, (low + high) / 2, high):
        explorer.set(first, value)
    assert bytes(explorer.picture.value) == at_high


def test_picture_shows_original_reconstruction_now(explorer):
    assert shown(explorer).size == (3 * 192 + 2 * GAP, 192)
    original, reconstruction, now = thirds(explorer)
    assert reconstruction == now != original                   # nothing dragged yet
    to_end(explorer)
    assert thirds(explorer)[:2] == [original, reconstruction] and thirds(explorer)[2] != now
    opacity = shown(explorer).getchannel("A")
    assert set(opacity.crop((192, 0, 192 + GAP, 192)).tobytes()) == {0}         # no white bars in a dark theme


def test_the_difference_is_grey_where_nothing_changed(explorer):
    explorer.difference.value = True
    grey = thirds(explorer)[1]
    assert set(grey) <= {127, 128}
    to_end(explorer)
    assert thirds(explorer)[1] != grey and "now − reconstruction" in explorer.panel.captions.value


def test_sliders_are_sorted_by_kl_and_labelled(explorer):
    nats = [float(explorer.panel.labels[d].split("·")[1].split()[0]) for d in explorer.order]
    assert nats == sorted(nats, reverse=True)
    assert explorer.folded == [2] and explorer.order[-1] == 2


def test_collapsed_latents_unfold_and_fold(explorer):
    panel = explorer.panel
    assert panel.folded_box.layout.display == "none" and 2 not in explorer.sliders
    panel.fold.click()
    assert panel.folded_box.layout.display is None and 2 in explorer.sliders
    panel.fold.click()
    assert panel.folded_box.layout.display == "none"


def test_reset_goes_home_and_from_there_to_zero(explorer):
    start = explorer.picture.value
    d = to_end(explorer)
    assert explorer.picture.value != start
    explorer.panel.reset(d)
    assert explorer.picture.value == start
    explorer.panel.reset(d)
    assert explorer.z[d] == 0 == explorer.sliders[d].value
    explorer.reset.click()
    assert explorer.picture.value == start
    explorer.reset.click()
    assert not explorer.z.any()


def test_starting_points(explorer):
    start = explorer.picture.value
    explorer.picker.buttons[1].click()
    assert explorer.picture.value != start and torch.equal(explorer.z, explorer.codes[1])
    explorer.zero.click()
    assert not explorer.z.any()
    assert [set(third) for third in thirds(explorer, "A")] == [{0}, {0}, {255}]      # no original, nothing in its place
    assert "original" not in explorer.panel.captions.value and "now" in explorer.panel.captions.value
    explorer.random.click()
    assert explorer.z.any()


def test_range_switch(explorer):
    spans = {d: (s.min, s.max) for d, s in explorer.sliders.items()}
    explorer.wide.value = True
    assert all(s.min <= -3 and s.max >= 3 for s in explorer.sliders.values())
    explorer.wide.value = False
    assert spans == {d: (s.min, s.max) for d, s in explorer.sliders.items()}


def test_the_filmstrip_belongs_to_the_latent_last_moved(explorer):
    film = explorer.panel.strip.image
    first = to_end(explorer, 0)
    seen = bytes(film.value)
    explorer.set(first, explorer.sliders[first].min)
    assert film.value == seen                                  # its own value is not what it depends on
    second = to_end(explorer, 1)
    assert film.value != seen
    explorer.panel.strip.buttons[0].click()
    assert explorer.sliders[second].value == explorer.sliders[second].min
    assert explorer.z[second].item() == pytest.approx(explorer.sliders[second].min)


def test_interpolation_ends_at_the_other_image(explorer):
    explorer.toward.value = 3
    explorer.t.value = 0.5
    torch.testing.assert_close(explorer.z, (explorer.codes[0] + explorer.codes[3]) / 2)
    explorer.t.value = 1
    torch.testing.assert_close(explorer.z, explorer.codes[3])
    explorer.reset.click()
    assert explorer.t.value == 0 and torch.equal(explorer.z, explorer.codes[0])


def test_playing_sweeps_what_was_touched_last(explorer):
    d = to_end(explorer, 1)
    values = []
    for beat in range(E.PERIOD + 1):
        explorer.play.value = beat
        values.append(explorer.sliders[d].value)
    assert np.ptp(values) == pytest.approx(explorer.sliders[d].max - explorer.sliders[d].min)
    assert max(abs(np.diff(values[1:]))) < 0.1 * np.ptp(values)              # no jumps
    explorer.t.value = 0.3
    explorer.play.value = E.PERIOD // 2 + 3
    assert explorer.t.value != 0.3


def test_rounding_by_the_browser_is_no_move(explorer):
    d, film, before = explorer.order[1], explorer.panel.film_caption.value, explorer.picture.value
    explorer.sliders[d].value += explorer.sliders[d].step / 2
    assert explorer.picture.value == before and explorer.panel.film_caption.value == film
    explorer.sliders[d].value += explorer.sliders[d].step
    assert explorer.panel.film_caption.value != film


def test_an_exception_is_shown_and_the_sliders_still_work(explorer):
    decoder, explorer.panel.model.decoder = explorer.panel.model.decoder, None
    to_end(explorer)
    assert "TypeError" in explorer.message.value
    explorer.panel.model.decoder = decoder
    before = explorer.picture.value
    explorer.set(explorer.order[0], explorer.sliders[explorer.order[0]].min)
    assert explorer.picture.value != before and explorer.message.value == ""


def test_the_model_keeps_its_mode(explorer):
    assert explorer.panel.model.training


def test_png_and_z_can_be_saved(explorer):
    explorer.save.click()
    assert Image.open(io.BytesIO(saved(explorer))).width == 3 * 192 + 2 * GAP and "z = [" in explorer.message.value


def test_the_explorer_can_be_saved_as_a_page(explorer):
    explorer.save_page.click()
    name, page = re.search(r'download="([^"]+)" href="data:text/html;base64,([^"]+)"', explorer.message.value).groups()
    page = base64.b64decode(page).decode("utf-8")
    assert name == "latents.html" and page.startswith("<!DOCTYPE html>")
    for label in explorer.panel.labels:
        assert json.dumps(label) in page


def test_gif_of_a_latent_and_of_an_interpolation(explorer):
    sizes = []
    for prepare in (lambda: to_end(explorer), lambda: setattr(explorer.t, "value", 0.5)):
        prepare()
        explorer.save_gif.click()
        made = Image.open(io.BytesIO(saved(explorer)))
        assert made.format == "GIF" and made.n_frames > 20
        sizes.append(made.size)
    assert sizes == [(192, 192)] * 2


def test_two_models_side_by_side():
    explorer = explore({"one": small_model(0), "other": small_model(1)})
    one, other = explorer.panels.values()
    before = [p.picture.value for p in (one, other)]
    assert before[0] != before[1]
    explorer.start(2)
    assert one.image == other.image == 2 and all(p.picture.value != b for p, b in zip((one, other), before))
    explorer.set(other.order[0], other.sliders[other.order[0]].max, other)
    assert explorer.panel is other
    explorer.save.click()
    assert explorer.message.value.count("z = [") == 2 and "<br" not in explorer.message.value


@pytest.mark.parametrize("size", [16, 48, 128])
def test_colour_images_of_any_size(size):
    model = BetaVAE(3, 3, [4], img_size=size)
    explorer = E.LatentExplorer(model, torch.rand(8, 3, size, size))
    assert shown(explorer).mode == "RGBA" and shown(explorer).width <= 3 * 192 + 2 * GAP
    explorer.save.click()
    explorer.save_gif.click()
    assert "latents.gif" in explorer.message.value


def test_images_that_cannot_be_shown():
    for nothing, said in ((torch.rand(0, 1, 16, 16), "no images"), (torch.rand(8, 16, 15), "shape")):
        with pytest.raises(ValueError, match=said):
            E.LatentExplorer(BetaVAE(1, 3, [4], img_size=16), nothing)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_a_model_on_cuda():
    explorer = explore(small_model(0).cuda())
    before = explorer.picture.value
    to_end(explorer)
    assert explorer.picture.value != before


def test_fit_to_grows_by_whole_factors_and_shrinks_smoothly():
    image = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    grown = frames.fit_to(image, 20)
    assert grown.shape[-1] == 16 and torch.equal(grown[..., ::2, ::2], image)
    flat = torch.full((1, 3, 100, 100), 77, dtype=torch.uint8)
    assert frames.fit_to(flat, 30).shape[-1] == 30 and (frames.fit_to(flat, 30) == 77).all()


# Found by people who used it

def from_browser(slider, value):
    """A message of a browser: the slider has this value."""
    slider.set_state({"value": value})


def test_the_late_echo_of_a_browser_does_not_undo_what_code_has_set(explorer):
    d = explorer.order[0]
    slider, drawn = explorer.sliders[d], explorer.sliders[d].value
    explorer.set(d, slider.max)
    picture = explorer.picture.value
    from_browser(slider, round(drawn, 2))                     # the browser draws the slider as it was created
    assert slider.value == slider.max == pytest.approx(explorer.z[d].item()) and explorer.picture.value == picture
    from_browser(slider, round(drawn, 2))                     # now it is a person who goes back to that value
    assert slider.value == round(drawn, 2) == pytest.approx(explorer.z[d].item()) and explorer.picture.value != picture


def test_a_persons_first_move_counts(explorer):
    d = explorer.order[1]
    from_browser(explorer.sliders[d], explorer.sliders[d].min)
    assert explorer.z[d].item() == pytest.approx(explorer.sliders[d].min) and explorer.panel.active == d


def test_sliders_can_stand_at_zero_exactly(explorer):
    explorer.zero.click()
    for slider in explorer.sliders.values():
        steps = (0 - slider.min) / slider.step
        assert slider.value == 0 and steps == pytest.approx(round(steps), abs=1e-3)


def test_many_latents_have_few_sliders_until_asked_for():
    torch.manual_seed(0)
    model = BetaVAE(1, 40, [8, 8], network="sprites")
    with torch.no_grad():
        model.encoder.fc_var.bias.fill_(-4)
    explorer = explore(model)
    assert len(explorer.sliders) == 12 and "28 more latents" in explorer.panel.fold.description
    last = explorer.order[-1]
    top = explorer.sliders[last].max
    explorer.set(last, top)
    assert explorer.z[last].item() == pytest.approx(top) and len(explorer.sliders) == 40
    assert "hide" in explorer.panel.fold.description
    with pytest.raises(IndexError, match="no latent 40.*40"):
        explorer.set(40, 0.5)


def test_a_collapsed_latent_can_be_set_from_code(explorer):
    explorer.set(2, 1.0)
    assert explorer.z[2] == 1 and explorer.panel.folded_box.layout.display is None
    assert explorer.panel.fold.description == "hide 1 collapsed latent"


def test_a_model_whose_latents_have_all_collapsed_has_sliders():
    model = small_model(0)
    with torch.no_grad():
        for layer in (model.encoder.fc_mu, model.encoder.fc_var):
            layer.weight.zero_(), layer.bias.zero_()
    explorer = explore(model)
    explorer.set(explorer.order[0], 1.0)
    assert len(explorer.sliders) == 4 and repr(explorer) == "LatentExplorer: 0 active latents, 4 collapsed"


HOSTILE = "<img src=x onerror=alert(1)>"


def test_names_are_shown_as_text():
    sprites = Sprites()
    sprites.factor_names = [f"{HOSTILE} {k}" for k in range(5)]
    factors = sprites.sample_factors(128, torch.Generator().manual_seed(0))
    images = sprites.images(factors)
    explorer = E.LatentExplorer({HOSTILE: small_model(0), 7: small_model(1)}, images, sprites, factors)
    for panel in explorer.panels.values():
        panel.labels = [f"z{d} · 1.0 nats · {HOSTILE}, 0.50" for d in range(4)]
        panel.name_film(torch.zeros(9))
        assert "<img" not in panel.film_caption.value and "&lt;img" in panel.film_caption.value
        assert "<" not in panel.short_label(0) and panel.short_label(0).endswith(", 0.50")
    explorer.panel.model.decoder.forward = lambda z: exec("raise ValueError(HOSTILE)", {"HOSTILE": HOSTILE})
    to_end(explorer)
    assert "&lt;img" in explorer.message.value and "<img" not in explorer.message.value
    titles = [w.value for column in explorer.columns() for w in column.children if hasattr(w, "value")]
    assert "&lt;img" in titles[0] and "<img" not in titles[0] and titles[1].startswith("<b>7</b>")


def test_starting_from_a_picture_of_ones_own(explorer, tmp_path):
    image = Sprites().images(torch.tensor([[1, 3, 5, 10, 20]]))[0]                     # (1, 64, 64)
    picture = Image.fromarray(image[0].numpy())
    picture.save(tmp_path / "mine.png")
    expected = explorer.panel.model.eval().encode(image[None] / 255)[0].detach()
    explorer.panel.model.train()
    for mine in (image, image / 255, image.numpy(), picture, tmp_path / "mine.png", str(tmp_path / "mine.png")):
        explorer.start(0)
        explorer.start(mine)
        torch.testing.assert_close(explorer.z, expected, atol=1e-4, rtol=1e-4)
        assert set(thirds(explorer, "A")[0]) == {255} and "original" in explorer.panel.captions.value
    explorer.reset.click()
    with pytest.raises(ValueError, match="shape"):
        explorer.start(torch.zeros(1, 32, 32))
    with pytest.raises(IndexError, match="no image .*: there are .* starting points"):
        explorer.start(8)


def test_the_chosen_picture_is_marked(explorer):
    def marked():
        return [k for k, button in enumerate(explorer.picker.buttons) if button.layout.border_top]

    assert marked() == [0]
    explorer.picker.buttons[3].click()
    assert marked() == [3]
    explorer.zero.click()
    assert marked() == []


def test_a_model_that_is_being_trained_is_measured_again(explorer):
    before, labels = explorer.picture.value, list(explorer.panel.labels)
    with torch.no_grad():
        explorer.panel.model.encoder.fc_mu.weight *= 0.5
        explorer.panel.model.decoder.decoder_input[0].bias += 1
    explorer.refresh()
    assert explorer.picture.value != before and explorer.panel.labels != labels
    d = explorer.order[0]
    assert explorer.sliders[d].description == explorer.panel.short_label(d)
    assert torch.equal(explorer.z, explorer.codes[0])


def test_several_threads_may_move_sliders(explorer):
    errors = []

    def drag(d):
        try:
            for value in np.linspace(explorer.sliders[d].min, explorer.sliders[d].max, 20):
                explorer.set(d, float(value))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=drag, args=(d,)) for d in explorer.order]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and explorer.message.value == ""
    for d in explorer.order:
        assert explorer.z[d].item() == pytest.approx(explorer.sliders[d].max)


def test_images_may_be_a_numpy_array():
    images = Sprites().images(Sprites().sample_factors(16, torch.Generator().manual_seed(0)))
    explorer, other = (E.LatentExplorer(small_model(0), array) for array in (images, images.numpy()))
    assert explorer.picture.value == other.picture.value


def test_closing_frees_the_widgets():
    module = E.widgets.widgets.widget
    alive = module._instances if hasattr(module, "_instances") else E.widgets.Widget.widgets       # ipywidgets 8, 7
    before = set(alive)
    explorer = explore(small_model(0))
    explorer.panel.fold.click()
    made = set(alive) - before
    explorer.close()
    assert len(made) > 100 and len(set(alive) & made) < 5


def test_there_must_be_a_model():
    with pytest.raises(ValueError, match="needs a model"):
        E.LatentExplorer({}, torch.rand(8, 1, 16, 16))
