"""What a slider event costs in the kernel: our explorer against the usual ``interact`` + ``plt.imshow``.

    python benchmarks/explorer.py [--events 300]

Both decode the same pictures from the same model and hand their PNG to the notebook; turns alternate
in one run. "one picture": the image as dragged. "with filmstrip": the nine steps of the touched latent
beside original, reconstruction and now, which is what the explorer shows; it decodes the filmstrip
when another latent is touched (every 30th event here, as a slow drag would), interact at each event.
"""

import argparse
import contextlib
import io
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import ipywidgets as widgets  # noqa: E402
import matplotlib  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from bvae_helpers import checkpoints, latents  # noqa: E402
from bvae_helpers.data import Sprites  # noqa: E402
from bvae_helpers.explorer import LatentExplorer  # noqa: E402
from bvae_helpers.explorer.panel import STEPS  # noqa: E402
from bvae_helpers.model import BetaVAE  # noqa: E402
from bvae_helpers.training import system as machine  # noqa: E402

matplotlib.use("agg")
TOUCH = 30          # events of a drag, before the next latent is touched


def draw(images):
    """What plt.show does in a notebook: the figure drawn and made a PNG, then closed."""
    figure, axes = plt.subplots(1, len(images), figsize=(2 * min(len(images), 6), 2))
    for ax, image in zip(np.atleast_1d(axes), images):
        ax.imshow(image.permute(1, 2, 0).squeeze(-1), cmap="gray")
        ax.axis("off")
    figure.savefig(io.BytesIO(), format="png")
    plt.close(figure)


def usual(explorer, filmstrip):
    """The callback of the tutorials: interact's sliders, a figure at each event -> set(latent, value)."""
    panel = explorer.panel
    original, reconstruction = panel.first[0], panel.reconstruction
    sliders = {f"z{d}": widgets.FloatSlider(value=float(panel.home[d]), min=-9, max=9, step=0.001)
               for d in panel.sliders}
    moved = {"d": panel.order[0]}

    def show(**values):
        z = panel.home.clone()
        for name, value in values.items():
            z[int(name[1:])] = value
        images = [latents.decode(panel.model, z[None])[0]]
        if filmstrip:
            d = moved["d"]
            images = [original, reconstruction, *images,
                      *latents.traverse(panel.model, z, d, torch.linspace(*panel.span(d), STEPS))]
        draw(images)

    widgets.interactive_output(show, sliders)

    def move(d, value):
        moved["d"] = d
        sliders[f"z{d}"].value = value

    return move


def measure(explorer, ways, events):
    """Milliseconds of every event, way by way; the ways take turns -> name -> (events,)."""
    live = [d for d in explorer.order if d in explorer.sliders]
    times = {name: [] for name in ways}
    for k in range(events):
        d = live[k // TOUCH % len(live)]
        low, high = explorer.panel.span(d)
        value = low + (high - low) * ((k * 0.37) % 1)
        for name, move in ways.items():
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):     # interact clears its output, in a terminal too
                move(d, value)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: np.array(t[len(live):]) for name, t in times.items()}


def report(title, explorer, events):
    ways = {"ours, with filmstrip": explorer.set, "interact, one picture": usual(explorer, False),
            "interact, with filmstrip": usual(explorer, True)}
    times = measure(explorer, ways, events)
    print(f"\n{title}")
    for name, t in times.items():
        print(f"  {name:26s} median {np.median(t):7.2f} ms   p95 {np.percentile(t, 95):7.2f} ms")
    ours = np.median(times["ours, with filmstrip"])
    for name in list(ways)[1:]:
        print(f"  {name:26s} {np.median(times[name]) / ours:.1f} x the time of ours")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300)
    args = parser.parse_args()
    machine.keep_memory()
    sprites = Sprites()
    factors = sprites.sample_factors(500, torch.Generator().manual_seed(0))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {args.events} events")
    report("sprite model (10 latents, 64 x 64 grey)",
           LatentExplorer(checkpoints.load_pretrained("btcvae"), sprites.images(factors), sprites, factors),
           args.events)
    torch.manual_seed(0)
    faces = BetaVAE()
    with torch.no_grad():                       # untrained: few of its latents would count as live
        faces.encoder.fc_mu.weight[:32] *= 50
    report("classic face model (128 latents, 64 x 64 RGB, 2,364,515 parameters, untrained)",
           LatentExplorer(faces, torch.rand(200, 3, 64, 64, generator=torch.Generator().manual_seed(0))), args.events)


if __name__ == "__main__":
    main()
