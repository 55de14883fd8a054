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
SET = "explorer.set(explorer.order[0], explorer.sliders[explorer.order[0]].max)"
BREAKS = """
import time
decode = explorer.panel.model.decoder.forward
def slow_and_brittle(z):
    drawn.value = str(int(drawn.value) + 1)
    while not pathlib.Path("gate").exists():
        time.sleep(0.02)
    if z[0, first] > 1.5:
        raise ArithmeticError("broken on purpose")
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
    for name, cells in (("probe", [PROBE]), ("brittle", [PROBE, BREAKS]), ("set", [SET])):
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
    before = picture(quickstart)
    for _ in lab.drag(quickstart, lab.sliders(box).nth(0), [0.1, 0.9]):
        until(quickstart, lambda before=before: picture(quickstart) != before)
        before = picture(quickstart)


def test_run_all_leaves_the_sliders_where_a_cell_has_set_them(server, chromium):
    """The browser's first echo arrives late; it must not count as a move."""
    page = opened(server, chromium, "set")
    page.wait_for_timeout(1000)                             # for the echo
    handle = lab.sliders(lab.explorer(page)).first.locator(".noUi-handle")
    assert handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
    page.close()


def in_view(page, number=0):
    """An explorer scrolled into view, when all of it is there: JupyterLab takes what is far away out of the page."""
    box = lab.explorer(page, number)
    box.scroll_into_view_if_needed()
    until(page, lambda: box.locator("img.bvae-film").last.is_visible())
    until(page, lambda: all(label.inner_text() for label in box.locator(".widget-slider .widget-label").all()))
    until(page, lambda: lab.sliders(box).last.locator(".noUi-handle").get_attribute("aria-label"))
    return box


def test_every_control_and_every_picture_has_a_name(quickstart):
    for number in (0, 1):
        box = in_view(quickstart, number)
        for slider in lab.sliders(box).all():
            label = slider.locator(".widget-label").inner_text()
            assert box.get_by_role("slider", name=label, exact=True).count() >= 1 and "nats" in label
            assert box.get_by_role("button", name=f"reset {label}", exact=True).count() >= 1
        for name in ("play", "stop", "repeat"):
            assert box.get_by_role("button", name=name).count() == 1
        assert box.get_by_role("combobox", name="interpolate to").count() == 1
        assert all(image.get_attribute("alt") for image in box.locator("img.widget-image").all())


@pytest.fixture
def wide(quickstart):
    """The quickstart in a window of a laptop's width."""
    size = quickstart.viewport_size
    quickstart.set_viewport_size({"width": 1400, "height": 1000})
    quickstart.wait_for_timeout(500)
    yield quickstart
    quickstart.set_viewport_size(size)


def test_pictures_stand_beside_the_sliders(wide):
    box = lab.explorer(wide)
    shown = box.locator("img.widget-image").nth(1).bounding_box()
    slider = lab.sliders(box).first
    assert shown["x"] + shown["width"] <= slider.bounding_box()["x"]
    assert slider.locator(".noUi-base").bounding_box()["width"] > 170


def test_two_models_stand_side_by_side(wide):
    box = lab.explorer(wide, 1)
    one, other = (box.locator(".bvae-now").nth(k).bounding_box() for k in (0, 1))
    assert one["y"] == other["y"] and one["x"] + one["width"] < other["x"]
    columns = [lab.sliders(box).nth(0).bounding_box(), lab.sliders(box).last.bounding_box()]
    assert columns[0]["x"] + columns[0]["width"] <= other["x"] <= columns[1]["x"] and columns[0]["y"] > one["y"]


def test_no_label_is_cut_off(wide):
    for number in (0, 1):
        texts = lab.explorer(wide, number).locator("button, .widget-label, .widget-html-content span")
        cut = texts.evaluate_all("all => all.filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth)"
                                 ".map(e => e.textContent)")
        assert cut == []


def test_source_code_is_not_broken_in_mid_word(wide):
    """A line of 120 columns, the longest that the package has, fits into a window of 1,400 pixels."""
    room = wide.locator(".jp-RenderedMarkdown").first.evaluate("""markdown => {
        const code = document.createElement('pre');
        code.innerHTML = '<code>' + 'x'.repeat(120) + '</code>';
        markdown.append(code);
        const lines = code.firstChild.getClientRects().length;
        code.remove();
        return lines;
    }""")
    assert room == 1


def test_no_question_about_news_covers_the_page(quickstart):
    assert quickstart.locator(".Toastify__toast").count() == 0


def test_latency_from_the_mouse_to_the_picture(quickstart, capsys):
    """Every move of the mouse reaches the picture; how fast is printed, since it depends on the machine."""
    box = in_view(quickstart)
    box.locator("img.bvae-now").evaluate(WATCH)
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
    """Their sliders are made then, and have names, too."""
    box = in_view(quickstart, 1)                              # of two models of ten latents
    active = box.get_by_role("slider", name="nats").count()
    assert active < 20
    for button in box.get_by_text("collapsed latents").all():
        button.click()
    until(quickstart, lambda: box.get_by_role("slider", name="nats").count() == 20)
    for button in box.get_by_text("collapsed latents").all():
        button.click()


def saved(page, button, name, path):
    """Press a button of the explorer and follow the link that it offers; nothing on the page moves meanwhile."""
    box = lab.explorer(page)
    place = lab.sliders(box).first.bounding_box()["y"] - box.bounding_box()["y"]
    box.get_by_role("button", name=button).click()
    link = box.get_by_text(f"save {name}")
    link.wait_for(timeout=60_000)
    assert lab.sliders(box).first.bounding_box()["y"] - box.bounding_box()["y"] == place
    assert "underline" in link.evaluate("link => getComputedStyle(link).textDecorationLine")
    with page.expect_download() as download:
        link.click()
    download.value.save_as(path)
    return path


def test_pictures_save(quickstart, tmp_path):
    gif = Image.open(saved(quickstart, "make GIF", "latents.gif", tmp_path / "latents.gif"))
    assert gif.format == "GIF" and gif.n_frames > 20
    assert Image.open(saved(quickstart, "make PNG", "latents.png", tmp_path / "latents.png")).format == "PNG"


def test_the_saved_page_opens_and_its_sliders_move_the_picture(quickstart, chromium, tmp_path):
    path = saved(quickstart, "make page", "latents.html", tmp_path / "latents.html")
    page, errors = chromium.new_page(), []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(path.as_uri())
    slider = page.locator(".latent input[type=range]").first
    slider.wait_for(timeout=60_000)
    look = "canvases => canvases.map(canvas => canvas.toDataURL()).join()"
    before = page.locator("canvas").evaluate_all(look)
    slider.focus()
    page.keyboard.press("End")
    until(page, lambda: page.locator("canvas").evaluate_all(look) != before)
    assert errors == []
    page.close()


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
    page.get_by_text("ArithmeticError: broken on purpose").wait_for(timeout=60_000)
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

    images, factors = data.render(Sprites(), profiles.profile("tiny").samples, seed=2631)
    explorer = LatentExplorer(checkpoints.load_pretrained("labelled"), images, Sprites(), factors)
    explorer.set(explorer.order[0], value)
    return explorer.picture.value


def off(one, other):
    """The largest difference of two PNGs, in grey levels."""
    one, other = (np.asarray(Image.open(io.BytesIO(png)), dtype=int) for png in (one, other))
    return abs(one - other).max()
