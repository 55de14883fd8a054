"""Sweeps killed at random moments: repeated, each has every run once, with the rows of the sweep that was never
killed."""

import random
import shutil
import time

import torch
from faults.test_interrupts import Sweep, Tiny
from faults.test_kills import START

from bvae_helpers.training import results
from bvae_helpers.training import sweep as sweeps


def sweep_slowly(folder, line):
    """The sweep, in a process of its own; say so when it begins."""
    torch.set_num_threads(1)
    sweeps.load_data = lambda config: Tiny()
    work = Sweep(folder)
    line.send("ready")
    work()
    line.send("done")


def kill(folder, rng, seconds):
    """Start the sweep, and kill it after a random time -> whether it was still under way."""
    here, there = START.Pipe(duplex=False)
    process = START.Process(target=sweep_slowly, args=(folder, there))
    process.start()
    there.close()
    here.recv()
    under_way = not here.poll(rng.random() * seconds)
    process.kill()
    process.join()
    return under_way


def run(count, seed, folder):
    """``count`` kills; each sweep is killed up to three times and then repeated."""
    held, kills, repeated, rng = sweeps.load_data, 0, 0, random.Random(seed)
    sweeps.load_data = lambda config: Tiny()
    work = Sweep(folder)
    try:
        start = time.monotonic()
        whole = work()
        seconds = time.monotonic() - start
        while kills < count:
            work.clear()
            for _ in range(rng.choice((1, 2, 3))):
                kills += kill(folder, rng, 1.2 * seconds)
            rows = work()
            assert sorted(rows, key=str) == sorted(whole, key=str), f"sweep {repeated} of seed {seed}: other rows"
            assert len(results.read(work.table)) == len(whole), f"sweep {repeated} of seed {seed}: a run is there twice"
            left = sorted(path.name for path in folder.rglob("*.part"))
            assert not left, f"sweep {repeated} of seed {seed}: {left} is left"
            repeated += 1
    finally:
        sweeps.load_data = held
        shutil.rmtree(folder, ignore_errors=True)
    return f"{kills} kills of {repeated} sweeps; every run once, with the same rows"


def test_a_few(tmp_path):
    run(1, 0, tmp_path / "s")
