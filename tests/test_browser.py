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
import lab  # noqa: E402
from playwright import sync_api as playwright  # noqa: E402

if lab.browser() is None:
    pytest.skip("needs Chromium or Chrome", allow_module_level=True)

# After the explorer of 00: the value of its first slider in the kernel, as text; the decoder's calls, counted; and a
# decoder that waits for the file "gate", and breaks at the right end of the slider
PROBE = """
import ipywidgets
from IPython.display import display
value, drawn = ipywidgets.HTML("nothing"), ipywidgets.HTML("0")
value.add_class("kernel-value")
drawn.add_class("drawn")
first = explorer.order[0]
explorer.sliders[first].observe(lambda change: setattr(value, "value", str(change["new"])), "value")
display(value, drawn)
"""
BREAKS = """
import time
decode = explorer.panel.model.decoder.forward
def slow_and_brittle(z):
    drawn.value = str(int(drawn.value) + 1)
    while not pathlib.Path("gate").exists():
        time.sleep(0.02)
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
    for name, cells in (("probe", [PROBE]), ("brittle", [PROBE, BREAKS])):
        probe.cells = [*probe.cells[:made + 1], *map(nbformat.v4.new_code_cell, cells)]
        nbformat.write(probe, root / "notebooks" / f"{name}.ipynb")
    return root


@pytest.fixture(scope="module")
def server(course):
    with lab.Lab(course) as server:
        yield server


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=lab.browser(), args=lab.FLAGS)
        yield browser
        browser.close()


def opened(server, chromium, name):
    """A page with that notebook, all cells run, and its explorer in sight."""
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.seconds = server.open_and_run(page, name)
    lab.wait_until_finished(page)
    lab.sliders(lab.explorer(page)).first.scroll_into_view_if_needed()
    return page


@pytest.fixture(scope="module")
def quickstart(server, chromium):
    page = opened(server, chromium, "00_quickstart")
    yield page
    page.close()


def until(page, condition, seconds=60):
    """Return as soon as ``condition()`` is true; fail after that many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the page did not get there"
        page.wait_for_timeout(50)


def picture(page):
    """The bytes of the picture of original, reconstruction and now, as they are shown."""
    shown = lab.explorer(page).locator("img.widget-image").nth(1)
    return bytes(shown.evaluate("async i => Array.from(new Uint8Array(await (await fetch(i.src)).arrayBuffer()))"))


def slider_value(page):
    """The first slider's value in the browser, to one decimal."""
    return float(lab.sliders(lab.explorer(page)).first.locator(".noUi-handle").get_attribute("aria-valuenow"))


def at_rest(page):
    """Whether the kernel has the browser's value of the first slider, and the picture is the one of that value."""
    value = page.locator(".kernel-value").inner_text()
    if value == "nothing" or abs(float(value) - slider_value(page)) > 0.051:
        return False
    return off(picture(page), expected(float(value))) <= 2


def test_quickstart_runs_and_a_dragged_slider_moves_the_picture(quickstart, capsys):
    with capsys.disabled():
        print(f"\n  first slider {quickstart.seconds:.1f} s after opening")
    box = lab.explorer(quickstart)
    assert quickstart.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    for _ in lab.drag(quickstart, lab.sliders(box).nth(0), [0.1, 0.9]):
        before = picture(quickstart)
        until(quickstart, lambda before=before: picture(quickstart) != before)


def test_no_question_about_news_covers_the_page(quickstart):
    assert quickstart.locator(".Toastify__toast").count() == 0


def test_latency_from_the_mouse_to_the_picture(quickstart, capsys):
    """Every move of the mouse reaches the picture; how fast is printed, since it depends on the machine."""
    box = lab.explorer(quickstart)
    box.locator("img.widget-image").nth(1).evaluate(WATCH)
    wanted = 0
    for i in range(2):
        for _ in lab.drag(quickstart, lab.sliders(box).nth(i), np.linspace(0.02, 0.98, 20), steps=1):
            wanted += 1
            quickstart.wait_for_function(f"window.latencies.length >= {wanted}", timeout=60_000)
    latencies = np.array(quickstart.evaluate("window.latencies"))
    with capsys.disabled():
        print(f"\n  from mouse to picture, {len(latencies)} pictures: median {np.median(latencies):.0f} ms, "
              f"p95 {np.percentile(latencies, 95):.0f} ms")
    assert len(latencies) >= 40


def test_collapsed_latents_unfold(quickstart):
    box = lab.explorer(quickstart)
    before = lab.sliders(box).count()
    box.get_by_text("collapsed latents").click()
    until(quickstart, lambda: sum(s.is_visible() for s in lab.sliders(box).all()) == 10 > before)
    box.get_by_text("collapsed latents").click()


def test_the_gif_saves(quickstart):
    box = lab.explorer(quickstart)
    box.get_by_role("button", name="make GIF").click()
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
        until(quickstart, lambda: picture(quickstart) not in seen)
        seen.append(picture(quickstart))


def test_a_burst_ends_at_the_last_value(server, chromium):
    """60 moves as fast as the browser takes them: picture and kernel end at the last one."""
    page = opened(server, chromium, "probe")
    shares = 0.5 + 0.45 * np.sin(np.linspace(0, 9, 60))
    for _ in lab.drag(page, lab.sliders(lab.explorer(page)).first, shares, steps=1):
        pass
    until(page, lambda: at_rest(page))
    page.close()


def test_slow_and_broken_models(server, chromium, course):
    """A decoder that takes long: events are dropped, the last one wins. One that breaks: its message is shown, and the
    next drag works."""
    page = opened(server, chromium, "brittle")
    page.get_by_text("brittle now", exact=True).wait_for(timeout=60_000)
    assert page.locator(".drawn").inner_text() == "0"           # showing the explorer moves nothing
    slider = lab.sliders(lab.explorer(page)).first
    for _ in lab.drag(page, slider, np.r_[np.linspace(0.1, 0.5, 59), 0.3], steps=1):
        pass                                                    # the first of these moves is still being decoded
    (course / "notebooks" / "gate").touch()
    until(page, lambda: at_rest(page))
    assert 1 <= int(page.locator(".drawn").inner_text()) < 20
    for _ in lab.drag(page, slider, [0.97]):
        pass
    page.get_by_text("RuntimeError: broken on purpose").wait_for(timeout=60_000)
    for _ in lab.drag(page, slider, [0.6]):
        pass
    until(page, lambda: at_rest(page))
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
