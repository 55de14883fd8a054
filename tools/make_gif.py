"""Make docs/explorer.gif: the sliders of 00_quickstart in a real JupyterLab, dragged by a real mouse.

    python tools/make_gif.py [--browser /usr/bin/chromium]

Starts JupyterLab on this machine's loopback, runs the notebook, drags the first four sliders and
takes a picture at every move. ``--screenshot FILE`` keeps one whole page as well.
"""

import argparse
import io
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
PORT = 8899
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
HANDLE = ".jp-OutputArea-output .noUi-handle"


def serve():
    """JupyterLab, ready to answer."""
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={PORT}", "--ServerApp.port_retries=0", "--allow-root",
         "--IdentityProvider.token=", f"--ServerApp.root_dir={ROOT}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "BVAE_PROFILE": os.environ.get("BVAE_PROFILE", "tiny")})
    for _ in range(120):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api", timeout=1).read()
            return server
        except OSError:
            time.sleep(0.5)
    server.kill()
    raise SystemExit("JupyterLab did not start")


def open_and_run(page):
    """Open the notebook, run all of it, and wait for the first slider; returns the seconds that took."""
    start = time.monotonic()
    page.goto(f"http://127.0.0.1:{PORT}/lab/tree/notebooks/00_quickstart.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_selector(HANDLE, state="attached", timeout=120_000)
    return time.monotonic() - start


def drag(page, slider, moves, snap):
    """Drag one slider to and fro, calling ``snap`` after every move."""
    handle, track = slider.locator(".noUi-handle").bounding_box(), slider.locator(".noUi-base").bounding_box()
    y = handle["y"] + handle["height"] / 2
    page.mouse.move(handle["x"] + handle["width"] / 2, y)
    page.mouse.down()
    for k in range(moves):
        share = abs(1 - 2 * k / (moves - 1))
        page.mouse.move(track["x"] + share * track["width"], y, steps=3)
        page.wait_for_timeout(90)
        snap()
    page.mouse.up()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "explorer.gif")
    parser.add_argument("--screenshot", type=pathlib.Path)
    parser.add_argument("--width", type=int, default=1200)
    args = parser.parse_args()
    server, frames = serve(), []
    try:
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=args.browser, args=FLAGS)
            page = browser.new_page(viewport={"width": args.width, "height": 900})
            print(f"first slider after {open_and_run(page):.1f} s")
            box = page.locator(".jp-OutputArea-output", has=page.locator(".noUi-handle")).first
            box.scroll_into_view_if_needed()
            page.keyboard.press("Control+b")             # the file browser, out of the way
            page.get_by_text("| Idle").wait_for(timeout=120_000)
            box.scroll_into_view_if_needed()
            page.wait_for_timeout(1500)
            sliders = box.locator(".widget-slider")
            for i in range(4):
                drag(page, sliders.nth(i), 13, lambda: frames.append(Image.open(io.BytesIO(box.screenshot()))))
            if args.screenshot:
                page.screenshot(path=args.screenshot)
            browser.close()
    finally:
        server.terminate()
    args.out.parent.mkdir(exist_ok=True)
    small = [f.convert("RGB").quantize(64) for f in frames]
    small[0].save(args.out, save_all=True, append_images=small[1:], duration=110, loop=0, optimize=True)
    print(f"{args.out}: {len(frames)} frames, {args.out.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
