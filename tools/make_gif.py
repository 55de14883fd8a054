"""Make docs/explorer.gif: the sliders of 00_quickstart in a real JupyterLab, dragged by a real mouse.

    python tools/make_gif.py [--browser /usr/bin/chromium]

Starts JupyterLab on this machine's loopback, runs the notebook, drags the first five sliders and
takes a picture at every move. ``--screenshot FILE`` keeps one whole page as well.
"""

import argparse
import io
import pathlib

import lab
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", default=lab.browser())
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "explorer.gif")
    parser.add_argument("--screenshot", type=pathlib.Path)
    parser.add_argument("--width", type=int, default=1200)
    args = parser.parse_args()
    frames = []
    with lab.Lab(ROOT) as server, sync_playwright() as p:
        browser = p.chromium.launch(executable_path=args.browser, args=lab.FLAGS)
        page = browser.new_page(viewport={"width": args.width, "height": 900})
        print(f"first slider after {server.open_and_run(page, '00_quickstart'):.1f} s")
        lab.wait_until_finished(page)
        page.keyboard.press("Control+b")             # closes the file browser
        box = lab.explorer(page)
        box.scroll_into_view_if_needed()
        for i in range(5):
            for _ in lab.drag(page, lab.sliders(box).nth(i), [abs(1 - k / 6) for k in range(13)]):
                page.wait_for_timeout(90)            # the pace of the film
                frames.append(Image.open(io.BytesIO(box.screenshot())))
        if args.screenshot:
            page.screenshot(path=args.screenshot)
        browser.close()
    args.out.parent.mkdir(exist_ok=True)
    small = [f.convert("RGB").quantize(64) for f in frames]
    small[0].save(args.out, save_all=True, append_images=small[1:], duration=110, loop=0, optimize=True)
    print(f"{args.out}: {len(frames)} frames, {args.out.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
