"""The site's front page: one HTML file with a trained model, the renderer of its data, and a score, all in the browser.

    python tools/front.py [--out front.html]

Made of docs/front and of the explorer's page. It works without a network, from the disk too.
"""

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import nn  # noqa: E402

from bvae_helpers import checkpoints  # noqa: E402
from bvae_helpers import latents as L  # noqa: E402
from bvae_helpers.data import Sprites, render, sprites, to_batch  # noqa: E402
from bvae_helpers.data.files import write_whole  # noqa: E402
from bvae_helpers.explorer.export import PAGE, describe, fill, network  # noqa: E402
from bvae_helpers.plots import carried  # noqa: E402

FRONT = ROOT / "docs" / "front"
MODEL = "btcvae"
SAMPLES = 1500      # sprites that the score is computed from, at every move of the angle
BEGIN = (2, 4, 0, 10, 20)     # the causes at first: a heart, large, upright


def tables() -> dict:
    """What the renderer's classes stand for, as float32 values that JavaScript reads exactly."""
    outlines = []
    for outline in sprites.OUTLINES:
        corners, move = (part.float() for part in outline())
        outlines.append({"x": corners[:, 0].tolist(), "y": corners[:, 1].tolist(), "move": move.tolist()})
    return {"cos": sprites.COS.tolist(), "sin": sprites.SIN.tolist(), "scale": sprites.SCALE.tolist(),
            "position": sprites.POSITION.tolist(), "outlines": outlines}


def content() -> dict:
    """All that the page shows: the explorer's part, and under ``front`` what the other parts need."""
    model, data = checkpoints.load_pretrained(MODEL), Sprites()
    images, factors = render(data, SAMPLES, seed=1)
    mu, logvar = L.encode(model, images)
    found = [name for name, _ in carried(mu, factors, data.factor_names)]
    parts = model.encoder
    encoder = nn.Sequential(parts.fold, parts.encoder, nn.Flatten(), parts.fc, parts.fc_mu)
    middle = L.encode(model, data.images(torch.tensor([BEGIN])))[0][0]
    page = describe(model, images, data, factors)
    page["front"] = {"encoder": network(encoder, to_batch(images[:64])), "tables": tables(), "shapes": sprites.SHAPES,
                     "names": data.factor_names, "sizes": data.factor_sizes, "begin": BEGIN, "middle": middle.tolist(),
                     "pair": [found.index("posX"), found.index("posY")],
                     "codes": [[round(v, 4) for v in row] for row in mu.tolist()], "factors": factors.tolist()}
    return page


def write(path: str | pathlib.Path) -> None:
    """Write the front page."""
    scripts = [PAGE / "decoder.js", PAGE / "page.js", FRONT / "sprites.js", FRONT / "scores.js", FRONT / "front.js"]
    page = fill(FRONT / "front.html", [PAGE / "page.css", FRONT / "front.css"], scripts, content()).encode("utf-8")
    write_whole(path, lambda file: file.write(page))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="front.html", metavar="FILE", help="page to write (default %(default)s)")
    args = parser.parse_args()
    write(args.out)
    print(f"wrote {args.out}, {pathlib.Path(args.out).stat().st_size / 1e6:.1f} MB")
