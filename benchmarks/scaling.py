"""Scaling on paper: time of a step against ranks, from the measured time of a step and the bytes of the gradient.

    python benchmarks/scaling.py [--check] [--device cuda] [--faster 50]

A rank computes batch / ranks images, in a + b * images seconds, a and b from a straight line through steps timed
here on one thread, in CPU time (or on a CUDA device). Then the gradient is summed over the ranks in a ring, which takes
2 (N - 1) latencies and moves 2 (N - 1) / N times its bytes, and five short messages (three in the forward pass and
for stopping, two in the backward pass) take 2 log2 N latencies each. Nothing is hidden behind the computation, which is
pessimistic; all ranks are equally fast and nothing else uses the network, which is optimistic. ``--faster F``
assumes a device F times as fast as the one timed. ``--check`` sets the paper against two gloo processes here.
"""

import argparse
import json
import math
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from bvae_helpers.config import Config  # noqa: E402
from bvae_helpers.data import Images  # noqa: E402
from bvae_helpers.model import BetaVAE, count_parameters  # noqa: E402
from bvae_helpers.training import train_step  # noqa: E402
from bvae_helpers.training.run import Run  # noqa: E402

RANKS = [2 ** n for n in range(11)]
NETWORKS = {"loopback": (2e9, 50e-6), "10 Gb/s Ethernet": (1.25e9, 50e-6), "100 Gb/s InfiniBand": (12.5e9, 5e-6),
            "NVLink": (200e9, 5e-6)}               # name -> (bytes/s, seconds a message): round numbers, assumed
SHORT = 5                                          # messages of a few kilobytes in a step of bvae_helpers.parallel
WORTH = 0.5                                        # data-parallel pays while ranks are used to this part at least


def config_of(network, batch):
    changes = dict(batch_size=batch, val_fraction=0.0, save_dir=None, log_dir=None, precision="float32")
    return Config.sprites(**changes) if network == "sprites" else Config(**changes)


def run_of(network, batch, device):
    config = config_of(network, batch)
    pixels = torch.randint(0, 256, (batch, config.in_channels, 64, 64), dtype=torch.uint8)
    torch.manual_seed(0)
    run = Run(BetaVAE.from_config(config), Images(pixels), config, device)
    run.model.train()
    return run


def seconds_of(run, steps, checking=False):
    """The median time of a step, after two to warm up; ``checking``: with the exchange of the request to stop."""
    times = []
    # others on the machine: left out
    clock = time.perf_counter if checking or run.device.type == "cuda" else time.process_time
    for _ in range(steps + 2):
        start = clock()
        if checking:
            run.ranks.any(False)
        train_step(run, run.batch(torch.arange(len(run.images))), run.config.beta)
        if run.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - start)
    return statistics.median(times[2:])


def line_through(points):
    """(x, y) points -> intercept and slope of the line with the least squares of relative errors, neither below 0."""
    w = [1 / y ** 2 for _, y in points]
    sx, sy, s = (sum(v) for v in ([p[0] * k for p, k in zip(points, w)], [p[1] * k for p, k in zip(points, w)], w))
    sxx, sxy = (sum(v)
                for v in ([p[0] ** 2 * k for p, k in zip(points, w)], [p[0] * p[1] * k for p, k in zip(points, w)]))
    slope = max(0.0, (s * sxy - sx * sy) / (s * sxx - sx ** 2))
    return max(0.0, (sy - slope * sx) / s), slope


def step_seconds(ranks, batch, line, gradient_bytes, network, faster=1.0):
    """The time of a step on paper: computing + the gradient's ring + the short messages."""
    bandwidth, latency = network
    compute = (line[0] + line[1] * batch / ranks) / faster
    ring = 2 * (ranks - 1) * latency + 2 * (ranks - 1) / ranks * gradient_bytes / bandwidth
    return compute + ring + SHORT * 2 * math.log2(ranks) * latency


def report(name, line, gradient_bytes, batch, faster):
    ranks = [n for n in RANKS if n <= batch]
    print(f"\n{name}, batch {batch}: ms a step on N "
          f"ranks{f', assumed {faster:g} times as fast' if faster != 1 else ''}")
    print(f"{'N':22s}" + "".join(f"{n:9d}" for n in ranks) + "   pays up to")
    for network, speeds in NETWORKS.items():
        times = [step_seconds(n, batch, line, gradient_bytes, speeds, faster) for n in ranks]
        pays = max(n for n, t in zip(ranks, times) if times[0] / (n * t) >= WORTH)
        print(f"{network:22s}" + "".join(f"{1000 * t:9.2f}" for t in times) + f"   {pays:4d} ranks")


def check(network, batch, line, gradient_bytes):
    """Two gloo processes on this machine: measured, beside the paper."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__,
               "--worker", network, str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = max(json.loads(line) for line in done.stdout.splitlines() if line.startswith("0."))
    paper = step_seconds(2, batch, line, gradient_bytes, NETWORKS["loopback"])
    print(f"two gloo processes here, batch {batch}: measured {1000 * measured:.1f} ms, on paper {1000 * paper:.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 1024], help="global batches")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--faster", type=float, default=1.0, metavar="F", help="assume a device F times as fast")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.worker:
        print(seconds_of(run_of(args.worker[0], int(args.worker[1]), "cpu"), args.steps, checking=True), flush=True)
        return
    print(f"{platform.machine()}, {args.device}, 1 thread, torch {torch.__version__}, float32; data-parallel pays "
          f"while a rank is used to {WORTH:.0%} or more. Networks, assumed:")
    for name, (bandwidth, latency) in NETWORKS.items():
        print(f"  {name}: {bandwidth / 1e9:g} GB/s, {1e6 * latency:g} us a message")
    for network in ("sprites", "classic"):
        sizes = (4, 16, 64, 128)
        runs = {size: run_of(network, size, args.device) for size in sizes}
        # interleaved
        rounds = [{size: seconds_of(runs[size], max(3, args.steps // 3)) for size in sizes} for _ in range(3)]
        points = [(size, min(times[size] for times in rounds)) for size in sizes]
        line, parameters = line_through(points), count_parameters(runs[4].model)
        name = f"{network} network, {parameters:,} parameters, {4 * parameters / 1e6:.1f} MB of gradient"
        print(f"\n{name}: a step takes {1000 * line[0]:.2f} ms + {1000 * line[1]:.3f} ms an image (measured: "
              + ", ".join(f"{size} images {1000 * t:.1f} ms" for size, t in points) + ")")
        for batch in args.batches:
            report(network, line, 4 * parameters, batch, args.faster)
        if args.check:
            check(network, args.batches[0], line, 4 * parameters)


if __name__ == "__main__":
    main()
