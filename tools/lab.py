"""A real JupyterLab in a real browser, for tests and pictures."""

import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

# True once no code cell of the open notebook is waiting or running
FINISHED = """() => {
    const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code');
    return cells.length > 0 && cells.every(cell => cell.model.executionCount !== null);
}"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


def browser():
    """Path of Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def free_port():
    """A port of this machine that no server uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """JupyterLab over the folder ``root``, in the tiny profile unless another is set.

    Each server has a port and a token of its own, so that two checkouts can be tested at once: only the
    server started here accepts the token. Use it as a context manager; leaving it ends the server.
    """

    def __init__(self, root, seconds=120):
        self.address, self.token = f"http://127.0.0.1:{free_port()}", secrets.token_hex(16)
        port = self.address.rsplit(":", 1)[1]
        options = [f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}",
                   f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True"]
        environment = {**os.environ, "BVAE_PROFILE": os.environ.get("BVAE_PROFILE", "tiny"),
                       "JUPYTER_CONFIG_PATH": str(pathlib.Path(__file__).parent / "jupyter")}     # as `make lab`
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *options], env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait_until_ready(seconds)

    def _wait_until_ready(self, seconds):
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(self.url("/api/contents"), timeout=5).read()
                return
            except OSError:
                time.sleep(0.2)
        self.close()
        raise RuntimeError(f"JupyterLab did not start at {self.address} within {seconds} s")

    def url(self, path):
        """An address of this server, with its token."""
        return f"{self.address}{path}?token={self.token}"

    def close(self):
        """End the server."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def open_and_run(self, page, name):
        """Open a notebook, run all of it, and wait for the first slider -> the seconds that took."""
        start = time.monotonic()
        page.goto(self.url(f"/lab/tree/notebooks/{name}.ipynb") + "&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.get_by_text("| Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        page.wait_for_selector(".jp-OutputArea-output .noUi-handle", state="attached", timeout=120_000)
        return time.monotonic() - start


def wait_until_finished(page, seconds=300):
    """Wait until all cells have run."""
    page.wait_for_function(FINISHED, timeout=1000 * seconds)


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
