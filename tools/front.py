"""The site's front page: one HTML file with trained models, the renderer of their data, and a score, in the browser.

    python tools/front.py [--out front.html]

Made of docs/front and of the explorer's page. It works without a network, from the disk too. Its first part, beta
as a slider, needs the pretrained models of ``BETAS``; without two of them it is left out.
"""

import argparse
import html
import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import stamp  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from bvae_helpers import checkpoints, losses, metrics  # noqa: E402
from bvae_helpers import latents as L  # noqa: E402
from bvae_helpers.data import Sprites, render, sprites, to_batch  # noqa: E402
from bvae_helpers.data.files import write_whole  # noqa: E402
from bvae_helpers.explorer.export import PAGE, describe, fill, network  # noqa: E402
from bvae_helpers.model import BetaVAE  # noqa: E402
from bvae_helpers.plots import carried, information_share, latent_labels  # noqa: E402

FRONT = ROOT / "docs" / "front"
MODEL = "labelled"
WORDS = ["shape", "size", "turn", "left to right", "up and down"]       # the page's names of the sprites' causes
BETAS = {f"sweep_beta{beta}": beta for beta in (1, 8, 32)}      # more would make the site larger than 12 MB
SAMPLES = 1500      # sprites that the score is computed from, at every move of the angle
MEASURED = 5000     # sprites on which rate, distortion and MIG of each beta are measured
COARSE = 0.1        # how much a pixel, 0 to 1, may change at most for a decoder that is stored in half the size
COARSE_CODE = 0.03  # the same for the encoder, of a latent
SEED = 170          # of the sprites shown: the first is a large heart, so that a loss can be seen
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
    images, factors = render(data, SAMPLES, SEED)
    mu, logvar = L.encode(model, images)
    found = [name for name, _ in carried(mu, factors, WORDS)]
    parts = model.encoder
    encoder = nn.Sequential(parts.fold, parts.encoder, nn.Flatten(), parts.fc, parts.fc_mu)
    middle = L.encode(model, data.images(torch.tensor([BEGIN])))[0][0]
    page = describe(model, images, types.SimpleNamespace(factor_names=WORDS), factors, coarse=COARSE)
    page["front"] = {"sweep": sweep(data, images[:8]), "tables": tables(), "shapes": sprites.SHAPES,
                     "encoder": network(encoder, to_batch(images[:64]), COARSE_CODE),
                     "names": WORDS, "sizes": data.factor_sizes, "begin": BEGIN,
                     "middle": middle.tolist(),
                     "pair": [found.index("left to right"), found.index("up and down")],
                     "codes": [[round(v, 3) for v in row] for row in mu.tolist()], "factors": factors.tolist()}
    return page


def sweep(data: Sprites, starts: torch.Tensor) -> list[dict]:
    """What the page shows of each model of the sweep over beta, started from the images ``starts`` (N, 1, 64, 64)."""
    names = checkpoints.pretrained_names() + checkpoints.pretrained_names(sweep=True)
    found = [name for name in BETAS if name in names]
    images, factors = render(data, MEASURED, seed=2)
    return [walk(BETAS[name], checkpoints.load_pretrained(name), images, factors, starts)
            for name in found] if len(found) > 1 else []


def walk(beta: float, model: BetaVAE, images: torch.Tensor, factors: torch.Tensor,
         starts: torch.Tensor) -> dict:
    """One model of the sweep: its numbers in nats per image, its latents, and the latent that each factor's finger
    moves."""
    mu, logvar = L.encode(model, images)
    labels, collapsed = latent_labels(mu, logvar, factors, WORDS, shares=True)
    nats = L.kl_per_latent(mu, logvar)
    codes = L.encode(model, starts)[0]
    return {"beta": beta, "rate": nats.sum().item(), "distortion": distortion(model, images, mu, logvar),
            "active": int((~collapsed).sum()), "mig": metrics.mig(metrics.active_codes(mu, logvar), factors),
            "latents": [{"label": labels[d], "nats": nats[d].item()} for d in L.rank_latents(mu, logvar).tolist()],
            "fingers": fingers(mu, factors, ~collapsed), "codes": codes.tolist(),
            "decoder": network(model.decoder, codes_around(codes), COARSE)}


def distortion(model: BetaVAE, images: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor) -> float:
    """The mean reconstruction term in nats per image, each from one draw of its latents."""
    noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))
    z, total = mu + (logvar / 2).exp() * noise, 0.0
    with torch.no_grad():
        for x, codes in zip(images.split(500), z.split(500)):
            total += losses.bernoulli(model.decoder.logits(codes), to_batch(x)).item() * len(x)
    return total / len(images)


def fingers(mu: torch.Tensor, factors: torch.Tensor, active: torch.Tensor) -> list[dict]:
    """For each factor, the active latent that carries most of it, and its range, which rises with the factor."""
    share = torch.as_tensor(information_share(mu, factors))
    low, high = L.traversal_limits(mu, active)
    made = []
    for k, column in enumerate(factors.T.float()):
        d = int(share[:, k].where(active, -1.0).argmax())
        ends = [low[d].item(), high[d].item()]
        rises = torch.corrcoef(torch.stack([mu[:, d], column]))[0, 1] >= 0
        made.append({"latent": d, "share": share[d, k].item(), "ends": ends if rises else ends[::-1]})
    return made


def codes_around(codes: torch.Tensor) -> torch.Tensor:
    """Codes on which the rounding of weights is measured: those of pictures, and draws of the prior."""
    return torch.cat([codes, torch.randn(96, codes.shape[1], generator=torch.Generator().manual_seed(0))])


def write(path: str | pathlib.Path, course: str | None = None) -> None:
    """Write the front page. ``course``: where its link to the course leads; without one, to the repository."""
    scripts = [PAGE / "decoder.js", PAGE / "page.js", FRONT / "sprites.js", FRONT / "scores.js", FRONT / "sweep.js",
               FRONT / "front.js"]
    page = fill(FRONT / "front.html", [PAGE / "page.css", FRONT / "front.css"], scripts, content())
    page = page.replace("COURSE_ADDRESS", html.escape(course or stamp.address()))
    write_whole(path, lambda file: file.write(page.encode("utf-8")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="front.html", metavar="FILE", help="page to write (default %(default)s)")
    args = parser.parse_args()
    write(args.out)
    print(f"wrote {args.out}, {pathlib.Path(args.out).stat().st_size / 1e6:.1f} MB")
