"""The website, built here and opened in a real browser without a network: links, formulas, alt texts, sliders."""

import html.parser
import pathlib
import subprocess
import sys
import urllib.parse

import pytest
from playwright import sync_api as playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import lab  # noqa: E402

MOST_MB = 12
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


# Of every formula: its text, how often it is shown, and whether KaTeX complains
FORMULAS = """[...document.querySelectorAll('.math')].map(
    e => [e.textContent, e.querySelectorAll('.katex-html').length, !!e.querySelector('.katex-error')])"""


class Page(html.parser.HTMLParser):
    """What a page refers to: anchors, links to follow, files that are loaded with it, and its pictures."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded, self.pictures = set(), [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.update(found[name] for name in ("id", "name") if found.get(name))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("img", "script", "iframe") and found.get("src"):
            self.loaded.append(found["src"])
        if tag == "link" and found.get("href") and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(found["href"])
        if tag == "img":
            self.pictures.append((found.get("src", ""), found.get("alt") or ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site. Warnings of the build are errors."""
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run([sys.executable, "tools/make_site.py", "--out", str(folder)], cwd=ROOT, capture_output=True,
                         text=True)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-6000:]
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html") if "live" not in path.parts}


def test_it_has_every_notebook_guide_and_module_and_is_small(site):
    names = {str(path.relative_to(site).with_suffix("")) for path in site.rglob("*.html")}
    guides = {f"guides/{path.stem}" for path in (ROOT / "docs" / "guides").glob("*.md")}
    wanted = {"index", "course", "search", "CHANGELOG", "CONTRIBUTING", *guides,
              *(f"notebooks/{name}" for name in NOTEBOOKS),
              *(f"api/{name}"
                for name in ("config", "model", "losses", "data", "metrics", "training", "plots", "explorer"))}
    assert wanted <= names
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) <= MOST_MB * 1e6


def test_every_link_lands(site, pages):
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or link == "#":
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.relative_to(site)} links to {link}"
            if parts.fragment and target.suffix == ".html":
                name = urllib.parse.unquote(parts.fragment)
                assert name in pages[target].ids, f"{path.relative_to(site)} links to {link}"


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, page in pages.items():
        assert not [link for link in page.loaded if urllib.parse.urlsplit(link).netloc], path.relative_to(site)


def test_every_picture_has_an_alt_text(site, pages):
    for path, page in pages.items():
        for source, alt in page.pictures:
            assert len(alt) >= 10 and alt != source, f"{path.relative_to(site)}: {source}"


def test_the_reference_holds_signatures_and_docstrings(site):
    text = (site / "api" / "training.html").read_text(encoding="utf-8")
    assert 'id="bvae_helpers.training.fit"' in text and "stop_after" in text
    assert 'id="bvae_helpers.metrics.mig"' in (site / "api" / "metrics.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser():
    if lab.browser() is None:
        pytest.skip("needs Chromium or Chrome")
    with playwright.sync_playwright() as p:
        made = p.chromium.launch(executable_path=lab.browser(), args=lab.FLAGS)
        yield made
        made.close()


def test_pages_work_from_the_disk_without_a_network(site, browser):
    """Nothing is asked of a server, no script fails, and no formula is left as text or in red."""
    context = browser.new_context(offline=True)
    requests, errors = [], []
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    formulas = 0
    for path in sorted(site.rglob("*.html")):
        if "live" in path.parts:
            continue
        page.goto(path.as_uri())
        page.wait_for_function("document.readyState === 'complete'")
        found = page.evaluate(FORMULAS)
        formulas += len(found)
        assert not [text for text, shown, failed in found if shown != 1 or failed], path.name
    assert formulas > 150 and not errors
    assert not [url for url in requests if url.startswith(("http", "ws"))]
    context.close()


def test_the_sliders_of_the_front_page_move_the_picture(site, browser):
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    slider = page.locator("input[type=range]:visible").first
    slider.scroll_into_view_if_needed()
    pictures = "() => [...document.querySelectorAll('canvas')].map(c => c.toDataURL()).join()"
    before = page.evaluate(pictures)
    slider.focus()
    page.keyboard.press("End")
    page.wait_for_function(f"before => ({pictures})() !== before", arg=before, timeout=30_000)
    page.get_by_role("link", name="a course").click()
    assert page.url == (site / "course.html").as_uri()
    context.close()
