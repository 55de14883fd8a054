"""Images/s of fit() on two threads, alone and beside two busy processes: how long OpenMP's threads should spin.

    python benchmarks/busy.py [--batches 32 64] [--rounds 3] [--spins default 1000 0]

Threads that wait for each other spin: they keep a processor busy until their partner arrives. Where another process has
that processor, the partner comes later for it. GNU's OpenMP spins 300,000 times by default, GOMP_SPINCOUNT times
otherwise. Every contender is a process of its own, interleaved over the rounds. Printed are the medians, and their
ratio to one thread on the same machine without busy processes.
"""

import argparse
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEPS, LONGEST = 30, 60           # of a measurement; seconds after which a busy process ends in any case


def measure(threads, batch):
    """Images/s of this process, after two steps to warm up."""
    sys.path.insert(0, str(ROOT))
    import torch

    from bvae_helpers.config import Config
    from bvae_helpers.data import Sprites, render
    from bvae_helpers.model import BetaVAE
    from bvae_helpers.training import fit

    torch.set_num_threads(threads)
    images, _ = render(Sprites(), 20 * batch, seed=0)
    config = Config.sprites(batch_size=batch, val_fraction=0.0, epochs=100, save_dir=None, log_dir=None)
    torch.manual_seed(0)
    model = BetaVAE.from_config(config)
    fit(model, images, config, progress=False, device="cpu", stop_after=2)
    start = time.perf_counter()
    fit(model, images, config, progress=False, device="cpu", stop_after=STEPS)
    return STEPS * batch / (time.perf_counter() - start)


def rate(threads, spin, batch):
    """Images/s of a new process with this number of threads and this GOMP_SPINCOUNT."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    if spin != "default":
        environment["GOMP_SPINCOUNT"] = spin
    else:
        environment["OMP_WAIT_POLICY"] = ""          # as if unset, and kept from being set by the package
    command = [sys.executable, __file__, "--measure", str(threads), str(batch)]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def keep_busy(stop):
    """Count until told to stop."""
    start = time.monotonic()
    while not stop.is_set() and time.monotonic() - start < LONGEST:
        sum(range(10_000))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spins", nargs="+", default=["default", "10000", "1000", "0"])
    parser.add_argument("--measure", type=int, nargs=2, metavar=("THREADS", "BATCH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(measure(*args.measure))
        return
    ways = [(1, "default"), *((2, spin) for spin in args.spins)]
    print(f"load at the start: {os.getloadavg()[0]:.1f}; {os.cpu_count()} CPUs")
    for batch in args.batches:
        rates = {(way, busy): [] for way in ways for busy in (False, True)}
        for _ in range(args.rounds):
            for way, busy in rates:
                stop = multiprocessing.Event()
                others = [multiprocessing.Process(target=keep_busy, args=(stop,)) for _ in range(2 * busy)]
                for other in others:
                    other.start()
                rates[way, busy].append(rate(*way, batch))
                stop.set()
                for other in others:
                    other.join()
        alone = statistics.median(rates[ways[0], False])
        for (threads, spin), busy in rates:
            median = statistics.median(rates[(threads, spin), busy])
            print(f"batch {batch}, {threads} threads, spin {spin:>7}, {'two busy processes' if busy else 'alone':18s}: "
                  f"{median:6.0f} images/s, {median / alone:.2f} of one thread alone", flush=True)


if __name__ == "__main__":
    main()
