"""A grid of runs, beta x seed say: in this process or on a Ray cluster, into one table, each run once.

    rows = sweep(Config.sprites(epochs=3), {"beta": [1, 4, 16], "seed": range(5)}, "sweep.csv")

A run is known by its ``key``, a hash of its settings. Rows are added as runs end, so that the same call
goes on with a sweep that was stopped: runs in the table are not done again, and one that was under way
goes on from its checkpoint. Only the calling process writes the table.
"""

import collections
import functools
import hashlib
import itertools
import json
import os
import statistics

import torch
from tqdm.auto import tqdm

from .. import latents, metrics
from ..config import Config
from ..data import load_data, render
from ..data.files import first_line
from ..model import BetaVAE
from . import results as table
from .loop import fit

RECORDS = {"save_dir", "log_dir", "save_every", "save_seconds", "log_every"}      # no part of what a run is
IN_VAIN = (ValueError, TypeError, ArithmeticError, ImportError, FileNotFoundError)   # would fail the same way again


def sweep(base, grid, path="sweep.csv", *, engine="process", address=None, cpus=1, gpus=0.0, retries=2, samples=10_000,
          device=None, progress=True):
    """Train ``base`` with every combination of the settings in ``grid`` -> the rows of the table that belong to them.

    ``base``: a Config. ``grid``: setting -> values. ``path``: the table, a CSV file. Each run keeps its checkpoints
    in a folder of its own under ``base.save_dir``. ``engine="ray"`` runs on the Ray cluster at ``address``
    ("auto": the one this machine belongs to; None: one of this machine alone), each run with ``cpus`` and ``gpus``,
    which may be a fraction. A run that fails is tried ``retries`` times more, unless it would fail the same way again.
    ``samples``: images that the MIG is measured on, where the factors are known.

    Raises ValueError for an unknown engine or setting, ImportError without ray, and, after all other runs have
    ended, RuntimeError if some failed.
    """
    if engine not in ENGINES:
        raise ValueError(f"the engine must be {' or '.join(ENGINES)}, got {engine!r}")
    wanted = runs_of(base, grid)
    done = {row["key"] for row in table.read(path)}
    todo = {key: config for key, config in wanted.items() if key not in done}
    varied = list(dict.fromkeys(["objective", "beta", "seed", *grid]))
    job = functools.partial(run_one, varied=varied, samples=samples, device=device)
    failed, tries = {}, collections.Counter()
    with ENGINES[engine](job, address, cpus, gpus) as runner, tqdm(
            total=len(wanted), initial=len(wanted) - len(todo), unit="run", disable=None if progress else True) as bar:
        for key, config in todo.items():
            runner.submit(key, config)
        while runner:
            key, row, error = runner.next()
            tries[key] += 1
            if error is None:
                table.add(path, row)
                bar.set_postfix_str(" ".join(f"{name} {row[name]}" for name in varied))
                bar.update()
            elif tries[key] <= retries and not isinstance(error, IN_VAIN):
                tqdm.write(f"run {key} failed ({first_line(error)}): once more")
                runner.submit(key, wanted[key])
            else:
                failed[key] = error
    if failed:
        causes = "; ".join(sorted({first_line(error) for error in failed.values()}))
        raise RuntimeError(f"{len(failed)} of {len(wanted)} runs failed ({causes}). The others are in {str(path)!r}; "
                           "the same sweep again tries those that failed")
    return [row for row in table.read(path) if row["key"] in wanted]


def runs_of(base, grid):
    """Every combination of the values in ``grid``: key -> Config, each with folders of its own."""
    runs = {}
    for values in itertools.product(*grid.values()):
        config = base.replace(**dict(zip(grid, values)))
        key = key_of(config)
        folders = {name: f"{os.path.abspath(os.path.expanduser(getattr(config, name)))}/{key}"
                   for name in ("save_dir", "log_dir") if getattr(config, name) is not None}
        runs[key] = config.replace(**folders)
    return runs


def settings_of(config):
    """The settings that make a run what it is, those at their defaults left out: new settings leave old keys alone."""
    defaults = Config().to_dict()
    return {name: value for name, value in config.to_dict().items() if name not in RECORDS and value != defaults[name]}


def key_of(config):
    """12 hexadecimal digits that stand for a run's settings."""
    return hashlib.sha256(json.dumps(settings_of(config), sort_keys=True).encode()).hexdigest()[:12]


@functools.lru_cache(maxsize=1)
def data_of(settings):
    return load_data(Config(**json.loads(settings)))


def run_one(config, varied, samples, device=None):
    """Train one run and measure it -> its row. Rates and losses of the last epoch, in nats per image; validation if any."""
    images = ("data_path", "num_images", "img_size", "in_channels", "crop")
    data = data_of(json.dumps({name: getattr(config, name) for name in images}))
    torch.manual_seed(config.seed)
    model = BetaVAE.from_config(config)
    history = fit(model, data, config, progress=False, device=device)
    last = {name: values[-1] for name, values in history.epochs.items()}
    part = "val" if "val_loss" in last else "train"
    row = {"key": key_of(config), **{name: getattr(config, name) for name in varied},
           **{name: last[f"{part}_{name}"] for name in ("loss", "reconstruction", "kl")}, "train_loss": last["train_loss"]}
    if hasattr(data, "sample_factors"):
        pictures, factors = render(data, samples, seed=100)
        row["mig"] = metrics.mig(latents.encode(model, pictures)[0], factors)
    return {**row, "epochs": len(history), "seconds": round(last["seconds"], 3),
            "images_per_second": round(statistics.median(history["images_per_second"]), 1),
            "settings": json.dumps(settings_of(config), sort_keys=True)}


class InProcess:
    """Runs one after the other, here."""

    def __init__(self, job, address=None, cpus=1, gpus=0.0):
        self.job, self.waiting = job, collections.deque()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def __len__(self):
        return len(self.waiting)

    def submit(self, key, config):
        self.waiting.append((key, config))

    def next(self):
        """The next run to end -> (key, row, None), or (key, None, what went wrong)."""
        key, config = self.waiting.popleft()
        try:
            return key, self.job(config), None
        except Exception as error:
            return key, None, error


class OnRay:
    """Runs as Ray tasks, as many at once as the cluster has room for. Ray's own retries are off: ``sweep`` retries."""

    def __init__(self, job, address=None, cpus=1, gpus=0.0):
        try:
            import ray
        except ImportError:
            raise ImportError("engine='ray' needs Ray: pip install 'ray>=2.30'") from None
        self.ray, self.running, self.ours = ray, {}, not ray.is_initialized()
        if self.ours:
            ray.init(address=address, log_to_driver=False)
        self.task = ray.remote(job_with_threads).options(num_cpus=cpus, num_gpus=gpus, max_retries=0)
        self.job, self.threads = job, max(1, int(cpus))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for reference in self.running:                 # stopped in the middle: the cluster is free for others
            self.ray.cancel(reference, force=True)
        if self.ours:
            self.ray.shutdown()

    def __len__(self):
        return len(self.running)

    def submit(self, key, config):
        self.running[self.task.remote(self.job, config, self.threads)] = key

    def next(self):
        """The next run to end -> (key, row, None), or (key, None, what went wrong)."""
        reference = self.ray.wait(list(self.running), num_returns=1)[0][0]
        key = self.running.pop(reference)
        try:
            return key, self.ray.get(reference), None
        except self.ray.exceptions.RayTaskError as error:      # raised in the run: what it was
            return key, None, error.cause or error
        except self.ray.exceptions.RayError as error:          # its worker or its machine was lost
            return key, None, error


def job_with_threads(job, config, threads):
    torch.set_num_threads(threads)
    return job(config)


ENGINES = {"process": InProcess, "ray": OnRay}
