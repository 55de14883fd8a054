"""The explorer as a learner meets it: a real JupyterLab, a real Chromium, a real mouse."""

import io
import pathlib
import shutil
import sys
import time

import nbformat
import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
import lab  # noqa: E402

if lab.browser() is None:
    pytest.skip("no Chromium or Chrome on this machine", allow_module_level=True)

# After the explorer of 00: what its first slider says, as text; and a decoder that is slow, then breaks
SAYS = """
import time
import ipywidgets
from IPython.display import display
said, drawn = ipywidgets.HTML("nothing"), ipywidgets.HTML("0")
said.add_class("said")
drawn.add_class("drawn")
first = explorer.order[0]
explorer.sliders[first].observe(lambda c: setattr(said, "value", str(c["new"])), "value")
display(said, drawn)
"""
BREAKS = """
decode = explorer.panel.model.decoder.forward
def slow_and_brittle(z):
    time.sleep(0.1)
    drawn.value = str(int(drawn.value) + 1)
    if z[0, first] > 1.5:
        raise RuntimeError("broken on purpose")
    return decode(z)
explorer.panel.model.decoder.forward = slow_and_brittle
print("brittle now")
"""
WATCH = """image => {
    window.moved = 0; window.latencies = [];
    document.addEventListener('pointermove', () => window.moved = performance.now(), true);
    new MutationObserver(async () => {
        const moved = window.moved; await image.decode(); window.latencies.push(performance.now() - moved);
    }).observe(image, {attributes: true, attributeFilter: ['src']});
}"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A folder like a clone, so that nothing here is saved into the clone: 00, and 00 with more cells."""
    root = tmp_path_factory.mktemp("clone")
    (root / "bvae_helpers").symlink_to(ROOT / "bvae_helpers")
    (root / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    (root / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "00_quickstart.ipynb", root / "notebooks")
    probe = nbformat.read(ROOT / "notebooks" / "00_quickstart.ipynb", 4)
    made = next(i for i, c in enumerate(probe.cells) if c.source.startswith("explorer = LatentExplorer("))
    probe.cells = [*probe.cells[:made + 1], *map(nbformat.v4.new_code_cell, (SAYS, BREAKS))]
    nbformat.write(probe, root / "notebooks" / "probe.ipynb")
    return root


@pytest.fixture(scope="module")
def chromium(course):
    server = lab.serve(course)
    try:
        with playwright.sync_playwright() as p:
            browser = p.chromium.launch(executable_path=lab.browser(), args=lab.FLAGS)
            yield browser
            browser.close()
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def quickstart(chromium):
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.seconds = lab.open_and_run(page, "00_quickstart")
    ready(page)
    yield page
    page.close()


def ready(page):
    """Wait until all cells have run, with the explorer in sight."""
    page.get_by_text("| Idle").wait_for(timeout=120_000)
    page.wait_for_timeout(1000)
    page.get_by_text("| Idle").wait_for(timeout=120_000)
    lab.sliders(lab.explorer(page)).first.scroll_into_view_if_needed()
    page.wait_for_timeout(500)


def picture(page):
    """The bytes of the picture of original, reconstruction and now, as they are shown."""
    shown = lab.explorer(page).locator("img.widget-image").nth(1)
    return bytes(shown.evaluate("async i => Array.from(new Uint8Array(await (await fetch(i.src)).arrayBuffer()))"))


def test_quickstart_runs_and_a_dragged_slider_moves_the_picture(quickstart, capsys):
    with capsys.disabled():
        print(f"\n  first slider {quickstart.seconds:.1f} s after opening")
    box = lab.explorer(quickstart)
    assert quickstart.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    before = picture(quickstart)
    for _ in lab.drag(quickstart, lab.sliders(box).nth(0), [0.1, 0.9]):
        quickstart.wait_for_timeout(300)
    assert picture(quickstart) != before


def test_latency_from_the_mouse_to_the_picture(quickstart, capsys):
    box = lab.explorer(quickstart)
    box.locator("img.widget-image").nth(1).evaluate(WATCH)
    for i in range(2):
        for _ in lab.drag(quickstart, lab.sliders(box).nth(i), np.linspace(0.02, 0.98, 60), steps=1):
            quickstart.wait_for_timeout(60)
    latencies = np.array(quickstart.evaluate("window.latencies"))
    with capsys.disabled():
        print(f"\n  from mouse to picture, {len(latencies)} moves: median {np.median(latencies):.0f} ms, "
              f"p95 {np.percentile(latencies, 95):.0f} ms")
    assert len(latencies) >= 100


def test_collapsed_latents_unfold(quickstart):
    box = lab.explorer(quickstart)
    before = lab.sliders(box).count()
    box.get_by_text("collapsed latents").click()
    quickstart.wait_for_timeout(1000)
    names = [s.inner_text() for s in lab.sliders(box).all() if s.is_visible()]
    assert len(names) == 10 > before
    box.get_by_text("collapsed latents").click()


def test_the_gif_saves(quickstart):
    box = lab.explorer(quickstart)
    box.get_by_role("button", name="save GIF").click()
    with quickstart.expect_download() as download:
        box.get_by_text("latents.gif").click()
    gif = Image.open(download.value.path())
    assert gif.format == "GIF" and gif.n_frames > 20


def test_the_filmstrip_and_the_thumbnails_can_be_clicked(quickstart):
    box = lab.explorer(quickstart)
    seen = [picture(quickstart)]
    for strip, place in ((1, 0), (1, 8), (0, 3)):
        buttons = box.locator(".widget-vbox:has(> .widget-image) > .widget-hbox").nth(strip).locator("button")
        buttons.nth(place).click(position={"x": 20, "y": 20})           # on the picture, not on its name
        quickstart.wait_for_timeout(500)
        assert picture(quickstart) not in seen
        seen.append(picture(quickstart))


def test_a_burst_ends_at_the_last_value(quickstart):
    """60 events in 2 s; 150 ms after letting go, what is shown is what will stay."""
    shares = 0.5 + 0.45 * np.sin(np.linspace(0, 9, 60))
    start = time.monotonic()
    for k, _ in enumerate(lab.drag(quickstart, lab.sliders(lab.explorer(quickstart)).nth(1), shares, steps=1)):
        quickstart.wait_for_timeout(max(0, 1000 * (start + (k + 1) / 30 - time.monotonic())))
    quickstart.wait_for_timeout(150)
    at_once = picture(quickstart)
    quickstart.wait_for_timeout(1500)
    assert at_once == picture(quickstart)


def test_slow_and_broken_models(chromium):
    """A decoder of 0.1 s: events are dropped, the last one wins. One that breaks: its message is shown, and dragging goes on."""
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    lab.open_and_run(page, "probe")
    page.get_by_text("brittle now", exact=True).wait_for(timeout=60_000)
    ready(page)
    assert page.locator(".drawn").inner_text() == "0"           # to be shown is not to be moved
    slider = lab.sliders(lab.explorer(page)).first
    for _ in lab.drag(page, slider, np.r_[np.linspace(0.1, 0.5, 59), 0.3], steps=1):
        page.wait_for_timeout(33)
    page.wait_for_timeout(1500)
    assert 5 < int(page.locator(".drawn").inner_text()) < 45
    assert off(picture(page), expected(float(page.locator(".said").inner_text()))) <= 2
    for _ in lab.drag(page, slider, [0.97]):
        pass
    page.get_by_text("RuntimeError: broken on purpose").wait_for(timeout=5000)
    for _ in lab.drag(page, slider, [0.6]):
        pass
    page.wait_for_timeout(1500)
    assert off(picture(page), expected(float(page.locator(".said").inner_text()))) <= 2
    page.close()


def expected(value):
    """What the explorer of 00 shows with its first slider at ``value``, made here."""
    from bvae_helpers import checkpoints, data
    from bvae_helpers.data import Sprites
    from bvae_helpers.explorer import LatentExplorer
    from bvae_helpers.teach import profiles

    images, factors = data.render(Sprites(), profiles.profile("tiny").samples, seed=1)
    explorer = LatentExplorer(checkpoints.load_pretrained("btcvae"), images, Sprites(), factors)
    explorer.set(explorer.order[0], value)
    return explorer.picture.value


def off(one, other):
    """The largest difference of two PNGs, in grey levels."""
    one, other = (np.asarray(Image.open(io.BytesIO(png)), dtype=int) for png in (one, other))
    return abs(one - other).max()
