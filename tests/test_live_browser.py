"""The live view of a training as a learner meets it: a real JupyterLab, a real Chromium, and a stop in the middle."""

import pathlib
import sys

import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
import lab  # noqa: E402

if lab.browser() is None:
    pytest.skip("no Chromium or Chrome on this machine", allow_module_level=True)

PREPARE = """
import sys; sys.path.insert(0, "..")
import torch
from bvae_helpers import latents, training
from bvae_helpers.config import Config
from bvae_helpers.data import Sprites, render
from bvae_helpers.model import BetaVAE
from bvae_helpers.teach import live
images, _ = render(Sprites(), 64, seed=0)
config = Config.sprites(batch_size=8, epochs=1000, log_every=1, save_dir="kept", log_dir=None)
model = BetaVAE.from_config(config)
"""
TRAIN = "training.fit(model, images, config, progress=False, device='cpu', watch=live.Training(images))"
USE = "print('usable:', bool(latents.encode(model, images)[0].isfinite().all()))"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """JupyterLab over a folder like a clone, with a kernel that does not know that it is tested."""
    monkeypatch.setenv("BVAE_PROFILE", "laptop")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    (tmp_path / "bvae_helpers").symlink_to(ROOT / "bvae_helpers")
    (tmp_path / "notebooks").mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in (PREPARE, TRAIN)])
    notebook.cells.append(nbformat.v4.new_code_cell(USE))
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "notebooks" / "probe.ipynb")
    with lab.Lab(tmp_path) as started:
        yield started


def test_one_picture_changes_in_place_and_survives_a_stop(server):
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=lab.browser(), args=lab.FLAGS)
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.goto(server.url("/lab/tree/notebooks/probe.ipynb") + "&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.get_by_text("| Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        pictures = page.locator(".jp-OutputArea-output img")
        pictures.first.wait_for(timeout=120_000)
        seen = {pictures.first.get_attribute("src")}
        while len(seen) < 3:                            # three frames, one after another, in one place
            page.wait_for_timeout(100)
            seen.add(pictures.first.get_attribute("src"))
            assert pictures.count() == 1
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_text("Interrupt Kernel", exact=True).click()
        page.get_by_text("KeyboardInterrupt").first.wait_for(timeout=60_000)
        assert pictures.count() == 1                    # the last frame stays beside the message
        assert "resume" in page.locator(".jp-Cell").nth(1).inner_text()
        page.locator(".jp-Cell").nth(2).click()
        page.keyboard.press("Control+Enter")
        page.get_by_text("usable: True").wait_for(timeout=60_000)
        browser.close()
