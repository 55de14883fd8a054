"""The explorer as a page, in a real Chromium with the network off; its decoder against PyTorch."""

import importlib.util
import json
import pathlib
import re
import sys

import numpy as np
import pytest
import torch
from conftest import new_model, small_config, small_pictures
from torch import nn

from bvae_helpers import checkpoints
from bvae_helpers import latents as L
from bvae_helpers.config import Config
from bvae_helpers.data import CartoonFaces, Sprites, render
from bvae_helpers.explorer import LatentExplorer, export, export_onnx
from bvae_helpers.explorer.export import LARGEST_DIFFERENCE, PAGE, network

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
import lab  # noqa: E402

HOSTILE = "<img src=x onerror=window.hit=1></script><script>window.hit=1</script>\u2028"
NETWORKS = {
    "classic": {}, "classic, 128 pixels": dict(img_size=128, hidden_dims=[8, 16, 16, 24]),
    "grey": dict(in_channels=1, hidden_dims=[8, 12]), "one block": dict(img_size=8, hidden_dims=[5], latent_dim=1),
    "one pixel inside": dict(img_size=16, hidden_dims=[3, 4, 5, 6]),
    "classic, patches": dict(img_size=24, patch=3, hidden_dims=[6, 7, 8]),
    "faces": dict(hidden_dims=[16, 32, 64, 128], latent_dim=16),
    "sprites": dict(network="sprites", in_channels=1, hidden_dims=[32, 32, 64, 64], latent_dim=10),
    "sprites, patches": dict(network="sprites", in_channels=1, hidden_dims=[32, 64], patch=4, latent_dim=10),
    "sprites, colour": dict(network="sprites", img_size=32, hidden_dims=[6, 7], patch=2, latent_dim=4)}

# The largest difference between what the page computes and what PyTorch does, with WebAssembly and without
COMPARE = """([layers, weights, inputs, wanted, kernel]) => [kernel, null].map(code => {
    const bytes = base64 => Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
    const run = makeNetwork(layers, bytes(weights), [inputs[0].length], code && new WebAssembly.Module(bytes(code)));
    return Math.max(...inputs.map((input, k) => {
        const output = Array.from(run(input));
        if (output.length !== wanted[k].length) return Infinity;
        return output.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[k][i])), 0);
    }));
})"""
PIXELS = """(canvas) => Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)"""
# How many numbers of the picture change as each slider is moved from end to end, and whether its latent is active
MOVE_EACH = """async panel => {
    const canvas = panel.querySelectorAll('.three canvas')[2], moved = [];
    const at = async (slider, value) => {
        slider.value = value;
        slider.dispatchEvent(new Event('input'));
        while (waiting) await new Promise(requestAnimationFrame);
        return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    };
    for (const slider of panel.querySelectorAll('.latent input')) {
        const low = await at(slider, slider.min), high = await at(slider, slider.max);
        moved.push([low.filter((value, i) => value !== high[i]).length, slider.closest('details') === null]);
    }
    return moved;
}"""


def random_network(**settings):
    """A model whose every parameter is drawn, those of BatchNorm too."""
    model = new_model(Config(**settings))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
            module.running_mean.normal_(0.0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    return model.eval()


@pytest.fixture(scope="module")
def chromium():
    if lab.browser() is None:
        pytest.skip("no Chromium or Chrome on this machine")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=lab.browser(), args=lab.FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """``opened(path, width)`` -> the page in a browser without network; it asks for nothing and raises no error."""
    contexts, wrong = [], []

    def open_page(path, width=1400, height=900, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda r: r.url == path.as_uri() or r.url.startswith("data:") or wrong.append(r.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
        page.goto(path.as_uri())
        settle(page)
        return page

    open_page.wrong = wrong
    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def settle(page):
    """Wait until all that was asked for is drawn."""
    page.evaluate("async () => { while (waiting) await new Promise(requestAnimationFrame); }")


def seen(page, panel=0, which=2):
    """The picture now (or which = 0: the original, 1: its reconstruction) as grey levels (C, S, S)."""
    settle(page)
    canvas = page.locator(".panel").nth(panel).locator(".three canvas").nth(which)
    size = canvas.evaluate("c => c.width")
    return np.array(canvas.evaluate(PIXELS)).reshape(size, size, 4)[..., :3].transpose(2, 0, 1)


def wanted(model, z):
    return 255 * L.decode(model, torch.tensor(z)[None])[0].numpy()


def code(page, panel=0):
    return page.evaluate(f"Array.from(panels[{panel}].z)")


def content(path):
    """What is stored in a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.fixture(scope="module")
def sprites():
    return render(Sprites(), 300, seed=1)


@pytest.fixture(scope="module")
def page_of(tmp_path_factory, sprites):
    """``page_of("btcvae", …)`` -> the page of shipped models, side by side if several."""
    made = {}

    def make(*names):
        if names not in made:
            models = {name: checkpoints.load_pretrained(name) for name in names}
            faces = models[names[0]].in_channels == 3
            data = CartoonFaces() if faces else Sprites()
            images, factors = render(data, 300, seed=1) if faces else sprites
            made[names] = export(models if len(names) > 1 else models[names[0]], images, data, factors,
                                 tmp_path_factory.mktemp("page") / "page.html")
        return made[names]

    return make


# The decoder

def compare(page, module, inputs, coarse=0.0):
    written = network(module, inputs, coarse)
    with torch.no_grad():
        outputs = module(inputs).flatten(1).tolist()
    kernel = page.evaluate("bytes => btoa(String.fromCharCode(...bytes))", list((PAGE / "kernel.wasm").read_bytes()))
    return page.evaluate(COMPARE, [written["layers"], written["weights"], inputs.flatten(1).tolist(), outputs, kernel])


@pytest.fixture(scope="module")
def calculator(chromium):
    """An empty page with decoder.js in it."""
    page = chromium.new_page()
    page.add_script_tag(content=(PAGE / "decoder.js").read_text(encoding="utf-8"))
    return page


@pytest.mark.parametrize("name", NETWORKS)
def test_any_network_of_a_config_computes_what_pytorch_computes(calculator, name):
    model = random_network(**NETWORKS[name])
    z = torch.randn(4, model.latent_dim) * torch.tensor([0.0, 1.0, 2.0, 3.0])[:, None]
    assert max(compare(calculator, model.decoder, z)) < 1e-4


@pytest.mark.parametrize("name", checkpoints.pretrained_names())
def test_every_shipped_model_computes_what_pytorch_computes(calculator, name):
    model = checkpoints.load_pretrained(name)
    z = torch.randn(6, model.latent_dim, generator=torch.Generator().manual_seed(0)) * torch.arange(6)[:, None] / 2
    assert max(compare(calculator, model.decoder, z)) < 1e-4


def test_layers_of_other_sizes(calculator):
    """Settings that no Config describes, but that the layers have: strides, paddings, no bias, uneven sides."""
    torch.manual_seed(0)
    row = nn.Sequential(
        nn.Linear(3, 30), nn.Unflatten(1, (5, 2, 3)), nn.ConvTranspose2d(5, 4, 5, stride=3, padding=1, bias=False),
        nn.LeakyReLU(0.3), nn.Conv2d(4, 8, 3, stride=2), nn.BatchNorm2d(8, affine=False), nn.PixelShuffle(2),
        nn.Conv2d(2, 3, 4, padding=2, stride=3), nn.Identity(), nn.ConvTranspose2d(3, 2, 2, stride=2),
        nn.PixelUnshuffle(2), nn.Sigmoid(), nn.Flatten(), nn.Dropout()).eval()
    assert max(compare(calculator, row, torch.randn(3, 3))) < 1e-4


def test_weights_take_16_bits_where_that_changes_no_pixel_by_more_than_a_ten_thousandth():
    torch.manual_seed(0)
    row, z = nn.Sequential(nn.Linear(4, 200), nn.ReLU(), nn.Linear(200, 9), nn.Sigmoid()), torch.randn(50, 4)
    small = network(row, z)
    assert {layer["bits"] for layer in small["layers"]} == {16}
    with torch.no_grad():
        row[2].weight *= 100
    large = network(row, z)
    assert {layer["bits"] for layer in large["layers"]} == {32}
    assert len(large["weights"]) == pytest.approx(2 * len(small["weights"]), rel=0.01)
    with torch.no_grad():
        row[2].weight.copy_(row[2].weight.half().float())
        row[0].weight.copy_(row[0].weight.half().float())
        row[0].bias.copy_(row[0].bias.half().float())
        row[2].bias.copy_(row[2].bias.half().float())
    assert {layer["bits"] for layer in network(row, z)["layers"]} == {16}          # as large, but nothing is lost
    assert LARGEST_DIFFERENCE == 1e-4


def test_large_matrices_take_8_bits_where_that_is_allowed_and_changes_little(calculator):
    torch.manual_seed(0)
    row, z = nn.Sequential(nn.Linear(4, 300), nn.ReLU(), nn.Linear(300, 128), nn.Sigmoid()), torch.randn(50, 4)
    stored = [[layer["bits"] for layer in network(row, z, coarse)["layers"]] for coarse in (0.0, 1e-5, 0.02)]
    assert stored == [[16, 16, 16, 16], [16, 16, 16, 16], [16, 16, 8, 16]]
    assert len(network(row, z, 0.02)["weights"]) < 0.6 * len(network(row, z)["weights"])
    assert 1e-5 < max(compare(calculator, row, z, 0.02)) < 0.02
    with torch.no_grad():                               # rounded before, it is not changed
        scales = row[2].weight.abs().amax(1, keepdim=True) / 127
        row[2].weight.copy_((row[2].weight / scales).round() * scales)
    assert max(compare(calculator, row, z, 0.02)) < 1e-4


def test_what_the_page_cannot_compute_is_refused():
    with pytest.raises(ValueError, match="cannot compute the layer Tanh"):
        network(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="without dilation"):
        network(nn.Sequential(nn.Unflatten(1, (2, 9, 9)), nn.Conv2d(2, 2, 3, dilation=2)), torch.zeros(1, 162))

    class Skip(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            self.other = nn.Linear(2, 2)

        def forward(self, z):
            return z + self.other(super().forward(z))

    with pytest.raises(ValueError, match="a Skip: its output is not that of its layers, one after the other"):
        network(Skip(), torch.randn(3, 2))


def test_the_kernel_is_what_its_text_assembles_to():
    spec = importlib.util.spec_from_file_location("assemble", ROOT / "tools" / "assemble.py")
    assemble = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(assemble)
    assert assemble.assemble((PAGE / "kernel.wat").read_text(encoding="utf-8")) == (PAGE / "kernel.wasm").read_bytes()


def test_the_decoder_stays_small():
    assert len((PAGE / "decoder.js").read_text(encoding="utf-8").splitlines()) <= 300


# What is written

def test_labels_order_and_ranges_are_those_of_the_notebook(page_of, sprites):
    images, factors = sprites
    panel = LatentExplorer(checkpoints.load_pretrained("btcvae"), images, Sprites(), factors).panel
    sliders = content(page_of("btcvae"))["models"][0]["sliders"]
    assert [s["latent"] for s in sliders] == panel.order
    assert [s["label"] for s in sliders] == [panel.labels[d] for d in panel.order]
    assert [s["latent"] for s in sliders if s["collapsed"]] == panel.folded
    for s in sliders:
        assert s["low"] == pytest.approx(panel.low[s["latent"]].item())
        assert s["high"] == pytest.approx(panel.high[s["latent"]].item())


def test_files_are_small_and_whole(page_of, tmp_path, monkeypatch):
    assert page_of("btcvae").stat().st_size < 1.5e6 and page_of("woken").stat().st_size < 1.5e6
    assert page_of("faces").stat().st_size < 1.0e6
    text = page_of("btcvae").read_text(encoding="utf-8")
    assert "http" not in re.sub("http-equiv", "", text) and "{{" not in text


def test_images_that_cannot_be_shown_are_refused(tmp_path):
    with pytest.raises(ValueError, match="grey or RGB"):
        export(new_model(small_config()), torch.zeros(3, 2, 16, 16), path=tmp_path / "page.html")
    with pytest.raises(ValueError, match="models is empty"):
        export({}, small_pictures(10), path=tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_onnx_files_compute_what_the_model_computes(tmp_path):
    pytest.importorskip("onnxscript", reason="onnx and onnxscript are not installed")
    from onnx import load
    from onnx.reference import ReferenceEvaluator

    model, images = random_network(**NETWORKS["grey"]), torch.rand(5, 1, 64, 64)
    paths = export_onnx(model, images, tmp_path / "made" / "grey")
    assert [path.name for path in paths] == ["grey-encoder.onnx", "grey-decoder.onnx"]
    assert len(list((tmp_path / "made").iterdir())) == 2                       # weights inside
    encoder, decoder = (ReferenceEvaluator(load(path)) for path in paths)
    mu, logvar = encoder.run(None, {"images": images.numpy()})                 # five, as good as the two of the export
    with torch.no_grad():
        wanted_mu, wanted_logvar = model.encoder(images)
        assert abs(mu - wanted_mu.numpy()).max() < 1e-4 and abs(logvar - wanted_logvar.numpy()).max() < 1e-4
        assert abs(decoder.run(None, {"z": mu})[0] - model.decoder(wanted_mu).numpy()).max() < 1e-4


def test_onnx_files_need_onnx(monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith("onnx") else find(name))
    with pytest.raises(ImportError, match="pip install onnx onnxscript"):
        export_onnx(new_model(small_config()), small_pictures(4), tmp_path / "model")
    assert not list(tmp_path.iterdir())


# The page

@pytest.mark.parametrize("names", [*[(name,) for name in checkpoints.pretrained_names()], ("vae", "btcvae")],
                         ids=" and ".join)
def test_every_slider_moves_a_pixel_and_pictures_are_pytorchs(opened, page_of, names):
    page = opened(page_of(*names))
    for k, name in enumerate(names):
        model, panel = checkpoints.load_pretrained(name), page.locator(".panel").nth(k)
        assert abs(seen(page, k) - wanted(model, code(page, k))).max() < 0.51
        moved = panel.evaluate(MOVE_EACH)
        assert len(moved) == model.latent_dim
        assert all(pixels > 0 for pixels, active in moved if active) and any(active for _, active in moved)
        assert abs(seen(page, k) - wanted(model, code(page, k))).max() < 0.51


def test_pages_work_without_webassembly(opened, page_of, tmp_path):
    """A policy that forbids it: plain JavaScript draws the same."""
    path = tmp_path / "plain.html"
    text = page_of("woken").read_text(encoding="utf-8")
    assert text.count(" 'wasm-unsafe-eval'") == 1
    path.write_text(text.replace(" 'wasm-unsafe-eval'", ""), encoding="utf-8")
    page, other = opened(path), opened(page_of("woken"))
    opened.wrong[:] = [line for line in opened.wrong if "WebAssembly" not in line]     # the browser reports its refusal
    assert page.evaluate("wasm === null") and not other.evaluate("wasm === null")
    assert abs(seen(page) - seen(other)).max() <= 1
    assert abs(seen(page) - wanted(checkpoints.load_pretrained("woken"), code(page))).max() < 0.51


def test_the_policy_lets_nothing_else_run(opened, page_of):
    page = opened(page_of("woken"))
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'window.hit = 1';
        document.body.append(script);
        const image = document.createElement('img');
        image.src = 'https://example.org/x.png';
        document.body.append(image);
    }""")
    assert page.evaluate("window.hit === undefined")
    assert len([line for line in opened.wrong if "Content Security Policy" in line]) == 2
    opened.wrong.clear()


def test_hostile_names_are_text(opened, tmp_path):
    class Data:
        factor_names = [HOSTILE, "ordinary"]

    model = nn.Module()
    model.encoder, model.latent_dim = Halves(), 2
    model.decoder = nn.Sequential(nn.Linear(2, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))
    images = (torch.rand(200, 1, 1, 1, generator=torch.Generator().manual_seed(0)) * torch.ones(1, 1, 8, 8)) * 255
    factors = torch.stack([(images[:, 0, 0, 0] > 127).long(), torch.arange(200) % 2], 1)
    path = export({HOSTILE: model, "b": model}, images.to(torch.uint8), Data(), factors, tmp_path / "page.html",
                  title=HOSTILE)
    page = opened(path)
    assert page.evaluate("window.hit === undefined") and page.locator("img").count() == 0
    assert page.title().startswith("<img src=x") and page.locator("h1").inner_text().startswith("<img src=x")
    assert page.locator("h2").first.inner_text().startswith("<img src=x onerror=window.hit=1></script><script>")
    assert HOSTILE.strip() in page.locator(".latent label").first.text_content()


class Halves(nn.Module):
    """An encoder: how light the upper and the lower half of a picture are."""

    def __init__(self):
        super().__init__()
        self.spread = nn.Parameter(torch.tensor(-4.0))

    def forward(self, x):
        mu = torch.stack([4 * x[:, 0, :4].mean((1, 2)) - 2, 4 * x[:, 0, 4:].mean((1, 2)) - 2], 1)
        return mu, self.spread.expand_as(mu)


def test_buttons(opened, page_of):
    page, model = opened(page_of("btcvae")), checkpoints.load_pretrained("btcvae")
    codes = content(page_of("btcvae"))["models"][0]["codes"]
    press = lambda name: page.get_by_role("button", name=name, exact=True).click()
    press("start from picture 3")
    assert code(page) == pytest.approx(codes[2], abs=1e-6)
    assert page.locator(".thumb[aria-pressed=true]").get_attribute("aria-label") == "start from picture 3"
    press("zero")
    assert code(page) == [0] * 10 and page.locator(".latent output").first.inner_text() == "0.00"
    assert page.locator(".three .none").count() == 1                        # no original
    press("random")
    assert len(set(code(page))) == 10 and code(page) != codes[2]
    press("start from picture 1")
    page.locator(".latent input").first.press("Home")
    assert code(page) != pytest.approx(codes[0], abs=1e-3)
    page.locator(".latent button").first.click()
    assert code(page) == pytest.approx(codes[0], abs=1e-6)
    page.locator(".latent button").first.click()
    assert code(page)[0] == 0
    press("reset")
    assert code(page) == pytest.approx(codes[0], abs=1e-6)
    page.get_by_label("the picture to interpolate to").select_option("picture 5")
    page.get_by_label("how far to interpolate").press("End")
    assert code(page) == pytest.approx(codes[4], abs=1e-6)
    assert abs(seen(page) - wanted(model, codes[4])).max() < 0.51
    with page.expect_download() as download:
        press("save")
    assert download.value.suggested_filename == "latents.png"


def test_difference_wide_and_filmstrip(opened, page_of):
    page = opened(page_of("btcvae"))
    page.get_by_label("difference").check()
    assert set(np.unique(seen(page, which=1))) <= {127, 128}                # now is the reconstruction: nothing differs
    page.locator(".latent input").first.press("Home")
    assert seen(page, which=1).max() > 200 or seen(page, which=1).min() < 60
    slider = page.locator(".latent input").first
    narrow = float(slider.get_attribute("max"))
    page.get_by_label("±3").check()
    assert narrow < 3 == float(slider.get_attribute("max")) and float(slider.get_attribute("min")) == -3
    page.get_by_label("±3").uncheck()
    assert float(slider.get_attribute("max")) == pytest.approx(narrow)
    settle(page)
    tile = page.locator(".film button").nth(4)
    pixels = tile.locator("canvas").evaluate(PIXELS)
    tile.click()
    settle(page)
    assert page.locator(".three canvas").nth(2).evaluate(PIXELS) == pixels
    assert page.locator(".film button").nth(4).locator("canvas").evaluate(PIXELS) == pixels


def test_play_moves_what_was_touched_last(opened, page_of):
    page = opened(page_of("woken"))
    page.locator(".latent input").nth(1).press("ArrowRight")
    latent, before = page.evaluate("panels[0].active"), code(page)
    page.get_by_role("button", name="play", exact=True).click()
    page.evaluate(f"""async () => {{
        while (Math.abs(panels[0].z[{latent}] - {before[latent]}) < 0.5) await new Promise(requestAnimationFrame);
    }}""")
    page.get_by_role("button", name="pause", exact=True).click()
    settle(page)
    after = code(page)
    assert [d for d in range(10) if after[d] != before[d]] == [latent]


def test_the_keyboard_is_enough(opened, page_of):
    """Tab reaches every control in the order seen, a ring shows where; arrows move sliders, Enter presses buttons."""
    page = opened(page_of("btcvae"))
    names = []
    for _ in range(60):
        page.keyboard.press("Tab")
        focus = page.evaluate("""() => {
            const e = document.activeElement, label = e.labels && e.labels[0] ? e.labels[0] : e;
            return [e.tagName, e.getAttribute('aria-label') || label.textContent, getComputedStyle(e).outlineStyle];
        }""")
        if focus[0] == "BODY":
            break
        assert focus[1].strip() and focus[2] != "none", focus
        names.append(focus[1])
        if focus[1].startswith("z0") and "nats" in focus[1]:
            before = code(page)
            page.keyboard.press("ArrowLeft")
            assert code(page)[0] < before[0]
        if focus[1] == "start from picture 2":
            page.keyboard.press("Enter")
            assert code(page) == pytest.approx(content(page_of("btcvae"))["models"][0]["codes"][1], abs=1e-6)
    assert {"zero", "random", "reset", "play", "save", "how far to interpolate", "difference", "±3",
            "6 collapsed latents"} <= set(names)
    assert len([n for n in names if "nats" in n]) == 4


def test_screen_readers_are_given_names_and_values(opened, page_of):
    page = opened(page_of("vae", "btcvae"))
    for slider in page.locator(".panel input[type=range]").all():
        assert "nats" in slider.evaluate("s => s.labels[0].textContent") and slider.get_attribute("aria-valuetext")
    for element in page.locator("button, canvas[role=img], select, summary").all():
        assert element.get_attribute("aria-label") or element.text_content().strip()
    assert page.locator("section.panel").nth(1).get_attribute("aria-label") == "btcvae"
    assert page.locator("html").get_attribute("lang") == "en" and page.locator("h1").count() == 1


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("names", [("faces",), ("vae", "btcvae")], ids=" and ".join)
def test_phone_and_desk(opened, page_of, names, width):
    """Nothing is wider than the window, the first slider is seen at once, the picture stays in sight of the last
    one."""
    page = opened(page_of(*names), width, 844)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sliders = page.locator(".panel").first.locator(".latent input:visible")
    picture = page.locator(".three canvas").nth(2)
    box = sliders.first.bounding_box()
    assert box["y"] + box["height"] < 844 and box["height"] >= 30 and box["width"] > 200
    sliders.last.scroll_into_view_if_needed()
    slider, now = sliders.last.bounding_box(), picture.bounding_box()
    assert 0 <= now["y"] and now["y"] + now["height"] <= 844
    assert slider["y"] >= now["y"] + now["height"] or slider["x"] + slider["width"] <= now["x"]


def test_a_finger_moves_a_slider(opened, page_of):
    page = opened(page_of("woken"), 390, 844, has_touch=True, is_mobile=True)
    slider = page.locator(".latent input").first
    box, before = slider.bounding_box(), code(page)
    page.touchscreen.tap(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
    settle(page)
    assert code(page) != before


def test_light_and_dark(opened, page_of):
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = (opened(page_of("woken"), color_scheme=scheme).evaluate(background) for scheme in ("light", "dark"))
    assert light == "rgb(255, 255, 255)" and dark == "rgb(21, 23, 26)"
