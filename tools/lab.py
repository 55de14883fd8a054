"""A real JupyterLab in a real browser, for tests and pictures."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request

PORT = 8899
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


def browser():
    """Where Chromium or Chrome is, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def serve(root):
    """JupyterLab over the folder ``root``, ready to answer, in the tiny profile unless another is set."""
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={PORT}", "--ServerApp.port_retries=0", "--allow-root",
         "--IdentityProvider.token=", f"--ServerApp.root_dir={root}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "BVAE_PROFILE": os.environ.get("BVAE_PROFILE", "tiny")})
    for _ in range(120):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api", timeout=1).read()
            return server
        except OSError:
            time.sleep(0.5)
    server.kill()
    raise RuntimeError(f"JupyterLab did not start on port {PORT}")


def open_and_run(page, name):
    """Open a notebook, run all of it, and wait for the first slider -> the seconds that took."""
    start = time.monotonic()
    page.goto(f"http://127.0.0.1:{PORT}/lab/tree/notebooks/{name}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_selector(".jp-OutputArea-output .noUi-handle", state="attached", timeout=120_000)
    return time.monotonic() - start


def explorer(page, number=0):
    """The output that holds the explorer of that number."""
    return page.locator(".jp-OutputArea-output", has=page.locator(".noUi-handle")).nth(number)


def sliders(box):
    """The latents' sliders of an explorer, the most informative first."""
    return box.locator(".widget-slider", has_text="nats")


def drag(page, slider, shares, steps=3):
    """Take a slider by its handle through ``shares`` of its length, yielding after each; let go at the end."""
    handle, track = slider.locator(".noUi-handle").bounding_box(), slider.locator(".noUi-base").bounding_box()
    y = handle["y"] + handle["height"] / 2
    page.mouse.move(handle["x"] + handle["width"] / 2, y)
    page.mouse.down()
    for share in shares:
        page.mouse.move(track["x"] + share * track["width"], y, steps=steps)
        yield share
    page.mouse.up()
