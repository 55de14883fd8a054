"""Exported pages and the front page in Chromium: how soon a slider moves, how soon a picture follows, how large they
are.

    python benchmarks/page.py [--events 120]

Each page is opened from the disk, without network. ``live``: from the navigation to the moment when the picture and the
filmstrip are drawn and a slider can be moved. Then the mouse drags the first slider (on the front page the finger), 60
events a second; ``follows`` is the time from an event to the end of the frame that shows its picture. ``decode`` is one
picture, without a frame.
"""

import argparse
import pathlib
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import front  # noqa: E402
import lab  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from bvae_helpers import checkpoints  # noqa: E402
from bvae_helpers.config import Config  # noqa: E402
from bvae_helpers.data import CartoonFaces, Sprites, render  # noqa: E402
from bvae_helpers.explorer import export  # noqa: E402
from bvae_helpers.model import BetaVAE  # noqa: E402

LIVE = "async () => { while (waiting) await new Promise(requestAnimationFrame); return performance.now(); }"
# An event's frame ends when a message sent in it arrives: after all that the page draws in it
WATCH = """() => {
    window.delays = [];
    document.addEventListener('input', event => requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => delays.push(performance.now() - event.timeStamp);
        channel.port2.postMessage(0);
    }), true);
}"""
DECODE = """() => {
    const times = [], panel = panels[0];
    for (let k = 0; k < 60; k++) {
        const start = performance.now();
        panel.decode(panel.z);
        times.push(performance.now() - start);
    }
    return times;
}"""


def pages(folder):
    """What is measured: name -> path of a page."""
    sprites, faces = render(Sprites(), 1000, 1), render(CartoonFaces(), 1000, 1)
    torch.manual_seed(0)
    classic = BetaVAE.from_config(Config())
    torch.nn.init.constant_(classic.encoder.fc_var.bias, -4.0)        # untrained, but no latent is collapsed
    models = {"btcvae": (checkpoints.load_pretrained("btcvae"), *sprites, Sprites()),
              "woken": (checkpoints.load_pretrained("woken"), *sprites, Sprites()),
              "faces": (checkpoints.load_pretrained("faces"), *faces, CartoonFaces()),
              "classic": (classic, faces[0], None, None),
              "vae and btcvae": ({n: checkpoints.load_pretrained(n) for n in ("vae", "btcvae")}, *sprites, Sprites())}
    made = {name: export(model, images, data, factors, folder / f"{name}.html")
            for name, (model, images, factors, data) in models.items()}
    front.write(folder / "front.html")
    return {"front": folder / "front.html", **made}


def measure(page, path, events):
    """Seconds to a live slider; milliseconds from each event of a drag to its picture, and of each decoding."""
    page.goto(path.as_uri())
    live = page.evaluate(LIVE) / 1000
    page.evaluate(WATCH)
    finger, first = page.locator("#finger"), page.locator(".latent input").first
    slider = finger if finger.count() else first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    for share in 0.5 + 0.4 * np.sin(np.linspace(0, 20, events)):
        page.mouse.move(box["x"] + share * box["width"], y)
        page.wait_for_timeout(1000 / 60)
    page.mouse.up()
    page.evaluate(LIVE)
    return live, page.evaluate("delays"), page.evaluate(DECODE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=120, help="events of the drag (default %(default)s)")
    args = parser.parse_args()
    print(f"{'page':16s} {'kB':>7s} {'live, s':>8s} {'follows, ms: median':>20s} {'p95':>6s} "
          f"{'decode, ms: median':>20s}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=lab.browser(), args=lab.FLAGS)
        for name, path in pages(pathlib.Path(folder)).items():
            page = browser.new_page(viewport={"width": 1400, "height": 900}, offline=True)
            live, follows, decode = measure(page, path, args.events)
            print(f"{name:16s} {path.stat().st_size / 1000:7.0f} {live:8.2f} {statistics.median(follows):20.1f} "
                  f"{np.percentile(follows, 95):6.1f} {statistics.median(decode):20.2f}", flush=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
