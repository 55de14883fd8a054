"""What watching a training costs: ``fit`` with ``live.Training`` against ``fit`` alone, interleaved in one run.

    python benchmarks/live.py [--rounds 5]

Each training takes some ten seconds. Both are timed in seconds of this process's CPU, which other programs on the
machine change less than seconds of the clock. The figure is drawn and encoded as in a notebook; only the front end,
which shows it, is missing.
"""

import argparse
import pathlib
import statistics
import sys
import time
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from bvae_helpers import training  # noqa: E402
from bvae_helpers.config import Config  # noqa: E402
from bvae_helpers.data import Sprites, render  # noqa: E402
from bvae_helpers.model import BetaVAE  # noqa: E402
from bvae_helpers.teach import live  # noqa: E402

NETWORKS = {"falling": (Config.falling, 40_000), "sprites": (Config.sprites, 8_000)}       # presets, and images


def seconds(images: torch.Tensor, config: Config, watch: live.Training | None) -> tuple[float, float]:
    """Seconds of CPU and of the clock that one training takes."""
    torch.manual_seed(0)
    model = BetaVAE.from_config(config)
    cpu, clock = time.process_time(), time.perf_counter()
    training.fit(model, images, config, progress=False, device="cpu", watch=watch)
    return time.process_time() - cpu, time.perf_counter() - clock


def main() -> None:
    """Print a line for each network: medians, and the share that watching adds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="trainings of each kind (default %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'network':10s} {'alone, CPU s':>13s} {'watched':>8s} {'adds':>7s} {'frames':>7s} {'clock s':>8s}")
    for name, (preset, count) in NETWORKS.items():
        images, _ = render(Sprites(), count, seed=0)
        config = preset(epochs=1, log_every=10, save_dir=None, log_dir=None)
        alone, watched, frames, clock = [], [], [], []
        for _ in range(args.rounds):
            alone.append(seconds(images, config, None)[0])
            with mock.patch.object(live, "attended", lambda: True), \
                    mock.patch.object(live.Training, "_show") as shown:
                cpu, elapsed = seconds(images, config, live.Training(images))
            watched.append(cpu)
            frames.append(shown.call_count)
            clock.append(elapsed)
        added = statistics.median(w / a - 1 for w, a in zip(watched, alone))
        print(f"{name:10s} {statistics.median(alone):13.2f} {statistics.median(watched):8.2f} {added:+7.1%} "
              f"{statistics.median(frames):7.0f} {statistics.median(clock):8.1f}", flush=True)


if __name__ == "__main__":
    main()
