"""What watching a training costs: ``fit`` with ``live.Training`` against ``fit`` alone, interleaved in one run.

    python benchmarks/live.py [--rounds 5]

Each training takes some ten seconds. Both are timed in seconds of this process's CPU, which other programs on the
machine change less than seconds of the clock. "adds" is the median difference of two trainings, with all that it
holds of chance; "drawing" is the CPU time within the watcher's own calls, as a share of the rest of the same training.
The figure is drawn and encoded as in a notebook; only the front end, which shows it, is missing.
"""

import argparse
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from bvae_helpers import plots, training  # noqa: E402
from bvae_helpers.config import Config  # noqa: E402
from bvae_helpers.data import Sprites, render  # noqa: E402
from bvae_helpers.model import BetaVAE  # noqa: E402
from bvae_helpers.teach import live  # noqa: E402

NETWORKS = {"falling": (Config.falling, 40_000), "sprites": (Config.sprites, 8_000)}       # presets, and images


def seconds(images: torch.Tensor, config: Config, watch: Callable | None) -> tuple[float, float]:
    """Seconds of CPU and of the clock that one training takes."""
    torch.manual_seed(0)
    model = BetaVAE.from_config(config)
    cpu, clock = time.process_time(), time.perf_counter()
    training.fit(model, images, config, progress=False, device="cpu", watch=watch)
    return time.process_time() - cpu, time.perf_counter() - clock


class Watched:
    """A live view whose frames nobody sees; counts them, its CPU seconds, and when the first one came."""

    def __init__(self, images: torch.Tensor):
        self.view, self.frames, self.cpu, self.first = live.Training(images), 0, 0.0, None
        self.view._show = self.show
        self.began = time.perf_counter()

    def __call__(self, run):
        begin = time.process_time()
        self.view(run)
        self.cpu += time.process_time() - begin

    def show(self, shown):
        self.view._shown_at = time.monotonic()
        if isinstance(shown, plots.Shown):
            self.frames += 1
            self.first = self.first or time.perf_counter() - self.began


def main() -> None:
    """Print a line for each network: medians, and the share that watching adds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="trainings of each kind (default %(default)s)")
    parser.add_argument("--share", type=float, default=1.0, help="train on this share of the images only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'network':8s} {'alone, CPU s':>13s} {'watched':>8s} {'adds':>7s} {'drawing':>8s} {'frames':>7s} "
          f"{'first after, s':>15s} {'clock s':>8s}")
    for name, (preset, count) in NETWORKS.items():
        images, _ = render(Sprites(), int(args.share * count), seed=0)
        config = preset(epochs=1, log_every=10, save_dir=None, log_dir=None)
        rounds = []
        for _ in range(args.rounds):
            alone, _ = seconds(images, config, None)
            with mock.patch.object(live, "attended", lambda: True):
                watch = Watched(images)
                cpu, clock = seconds(images, config, watch)
            drawing = watch.cpu / (cpu - watch.cpu)
            rounds.append((alone, cpu, cpu / alone - 1, drawing, watch.frames, watch.first, clock))
        alone, cpu, adds, drawing, frames, first, clock = map(statistics.median, zip(*rounds))
        print(f"{name:8s} {alone:13.2f} {cpu:8.2f} {adds:+7.1%} {drawing:8.1%} {frames:7.0f} {first:15.1f} "
              f"{clock:8.1f}", flush=True)


if __name__ == "__main__":
    main()
