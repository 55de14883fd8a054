"""Ctrl-C at random moments in fit, a cache, evaluate and a sweep: the same call afterwards gives what it always
gives."""

import random
import shutil
import signal
import time

import torch
from conftest import curves, new_model, same_state, small_config, small_pictures
from faults.test_caches import pictures, read, small_chunks

from bvae_helpers import metrics
from bvae_helpers.data import FactorData
from bvae_helpers.data import cache as cache_module
from bvae_helpers.data import folder as folder_module
from bvae_helpers.training import fit, sweep as sweeps


class Tiny(FactorData):
    """Squares of 16 x 16 pixels: where they are, and how bright."""

    factor_names, factor_sizes = ("x", "y", "grey"), (6, 6, 3)

    def images(self, factors):
        images = torch.zeros(len(factors), 1, 16, 16, dtype=torch.uint8)
        for image, (x, y, grey) in zip(images, factors.tolist()):
            image[0, 2 * y:2 * y + 4, 2 * x:2 * x + 4] = 85 * (grey + 1)
        return images


class Fit:
    """A run of some 20 steps, saved often."""

    def __init__(self, folder):
        self.config, self.images = small_config(str(folder / "run"), save_seconds=0.0), small_pictures(80)

    def __call__(self):
        model = new_model(self.config)
        history = fit(model, self.images, self.config, progress=False, device="cpu")
        return model.state_dict(), curves(history)

    @staticmethod
    def same(one, two):
        return same_state(one[0], two[0]) and one[1] == two[1]

    def clear(self):
        shutil.rmtree(self.config.save_dir, ignore_errors=True)


class Cache:
    """A folder of a hundred pictures, decoded in chunks of four."""

    def __init__(self, folder):
        self.pictures, self.cache = pictures(folder / "pictures"), folder / "cache"

    def __call__(self):
        images, _ = read(self.pictures, self.cache)
        return images.names, images.pixels.clone()

    @staticmethod
    def same(one, two):
        return one[0] == two[0] and torch.equal(one[1], two[1])

    def clear(self):
        shutil.rmtree(self.cache, ignore_errors=True)


class Evaluate:
    """The scores of a small model."""

    def __init__(self, folder):
        self.model = new_model(small_config())

    def __call__(self):
        return metrics.evaluate(self.model, Tiny(), (0,), 80, 40, dci=False, verbose=False, against=()).scores

    @staticmethod
    def same(one, two):
        return one == two

    def clear(self):
        pass


class Sweep:
    """Three runs and their table."""

    def __init__(self, folder):
        self.config, self.table = small_config(str(folder / "runs"), epochs=1), folder / "t.csv"

    def __call__(self):
        rows = sweeps.sweep(self.config, {"seed": range(3)}, self.table, samples=100, dci=False, device="cpu",
                            progress=False)
        return [{name: value for name, value in row.items() if name not in ("seconds", "images_per_second")}
                for row in rows]

    @staticmethod
    def same(one, two):
        return one == two

    def clear(self):
        shutil.rmtree(self.config.save_dir, ignore_errors=True)
        self.table.unlink(missing_ok=True)


def interrupted(work, after, twice):
    """Do the work, with Ctrl-C after some seconds, perhaps another at once -> whether it was stopped."""
    def press(number, frame):
        signal.raise_signal(signal.SIGINT)
        if twice:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGALRM, press)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, after)
            work()
            return False
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    except KeyboardInterrupt:
        return True


def run(count, seed, folder):
    """``count`` interrupts of each kind of work."""
    held = folder_module.CHUNK_BYTES, cache_module.SAVE_SECONDS, folder_module.cpus, sweeps.load_data
    small_chunks()
    sweeps.load_data = lambda config: Tiny()
    threads, stopped = torch.get_num_threads(), {}
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)      # a process in the background ignores it
    try:
        for make in (Fit, Cache, Evaluate, Sweep):
            rng, work, kind = random.Random(f"{seed} {make.__name__}"), make(folder), make.__name__.lower()
            stopped[kind] = tries = 0
            whole = work()
            while stopped[kind] < count and tries < 5 * count:
                if tries % 10 == 0:                             # how long it takes on this machine now
                    work.clear()
                    start = time.perf_counter()
                    work()
                    seconds = time.perf_counter() - start
                tries += 1
                work.clear()
                for _ in range(rng.choice((1, 1, 2))):
                    stopped[kind] += interrupted(work, 1e-6 + rng.random() * seconds, rng.random() < 0.3)
                name = f"{kind} {tries} of seed {seed}"
                assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, f"{name}: a handler is left"
                assert torch.get_num_threads() == threads, f"{name}: other threads"
                assert torch.is_grad_enabled(), f"{name}: no gradients"
                assert work.same(work(), whole), f"{name}: another result afterwards"
    finally:
        signal.signal(signal.SIGINT, handler)
        folder_module.CHUNK_BYTES, cache_module.SAVE_SECONDS, folder_module.cpus, sweeps.load_data = held
    kinds = ", ".join(f"{number} of {kind}" for kind, number in stopped.items())
    return f"interrupts: {kinds}; the same results afterwards"


def test_a_few(tmp_path):
    run(1, 0, tmp_path)
