"""A grid of runs, beta x seed say: in this process or on a Ray cluster, into one table, each run once.

    rows = sweep(Config.sprites(epochs=3), {"beta": [1, 4, 16], "seed": range(5)}, "sweep.csv")

A run is identified by its ``key``, a hash of its settings. Rows are added as runs end, so the same call resumes a sweep
that was stopped: runs in the table are not done again, a run whose ``final_model.pt`` exists is only measured, and one
that was under way resumes from its checkpoint. Only the calling process writes the table.
"""

import collections
import functools
import hashlib
import itertools
import json
import os
import pathlib
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import torch
from tqdm.auto import tqdm

from .. import checkpoints, latents, metrics
from ..config import Config
from ..data import FactorData, draw, load_data
from ..data.files import first_line
from ..model import BetaVAE
from . import results
from .loop import fit

__all__ = ["ENGINES", "key_of", "runs_of", "settings_of", "sweep"]

ENGINES = ("process", "ray")
FEWEST_SAMPLES = 100          # of images to measure on
MEASURED_SEED = 100           # of these images; a training seed this large would draw some of them
# settings that do not identify a run
NOT_IN_KEY = {"save_dir", "log_dir", "save_every", "save_seconds", "log_every"}
# errors that a retry would only repeat
NOT_RETRIED = (ValueError, TypeError, ArithmeticError, ImportError, FileNotFoundError)


def sweep(base: Config, grid: dict[str, Iterable], path: str | os.PathLike = "sweep.csv", *, engine: str = "process",
          address: str | None = None, cpus: float = 1, gpus: float = 0.0, retries: int = 2, samples: int = 10_000,
          dci: bool = True, train: bool = True, device: str | None = None, progress: bool = True) -> list[results.Row]:
    """Train ``base`` with every combination of the settings in ``grid`` and return the rows of these runs.

    ``base``: a Config. ``grid``: setting -> values. ``path``: the table, a CSV file. Each run keeps its checkpoints in
    a folder of its own under ``base.save_dir``. ``engine="ray"`` runs on the Ray cluster at ``address`` ("auto": the
    cluster that this machine belongs to; None: this machine alone), each run with ``cpus`` and ``gpus``, which may be a
    fraction. A run that fails is tried up to ``retries`` more times, unless the error would repeat. ``samples``: number
    of new images on which a run is measured if the data have known factors (``metrics.main_scores``); ``dci=False``
    leaves out the slowest score. ``train=False`` trains nothing: it measures the runs that are finished, so that a
    table can be looked at while other processes train.

    A row holds loss, reconstruction and KL of the last epoch (in nats per image, of the validation images if there are
    any), MIG, DCI disentanglement and FactorVAE score of all latents and of the active ones alone, and all settings. If
    a run is trained but cannot be measured, its checkpoints stay, and the same call measures it; without a ``save_dir``
    its row says in ``not_measured`` why.

    Raises ValueError for an unknown engine or setting or too few samples, ImportError without ray, and, after all other
    runs have ended, RuntimeError if some failed.
    """
    if engine not in ENGINES:
        raise ValueError(f"the engine must be {' or '.join(ENGINES)}, got {engine!r}")
    if samples < FEWEST_SAMPLES:
        raise ValueError(f"samples must be at least {FEWEST_SAMPLES}, got {samples}: "
                         "scores of fewer images mean nothing")
    wanted = runs_of(base, grid)
    if not train:
        wanted = {key: config for key, config in wanted.items() if _is_finished(config)}
    done = {row["key"] for row in results.read(path)}
    varied = list(dict.fromkeys(["objective", "beta", "seed", *grid]))
    job = functools.partial(run_one, varied=varied, samples=samples, dci=dci, device=device)
    with (OnRay(job, address, cpus, gpus) if engine == "ray" else InProcess(job)) as runner, \
            tqdm(total=len(wanted), unit="run", disable=None if progress else True) as bar:
        bar.update(len(done & wanted.keys()))
        for key, config in wanted.items():
            if key not in done:
                runner.submit(key, config)

        def finished(row: results.Row) -> None:
            results.add(path, row)
            bar.set_postfix_str(" ".join(f"{name} {row[name]}" for name in varied))
            bar.update()

        failed = _collect(runner, wanted, retries, finished)
    if failed:
        causes = "; ".join(sorted({first_line(error) for error in failed.values()}))
        raise RuntimeError(f"{len(failed)} of {len(wanted)} runs failed ({causes}). The others are in {str(path)!r}; "
                           "the same sweep again tries those that failed")
    return [row for row in results.read(path) if row["key"] in wanted]


def _collect(runner: "InProcess | OnRay", wanted: dict[str, Config], retries: int, finished: Callable
             ) -> dict[str, Exception]:
    """Call ``finished(row)`` for each run that ends, and retry those that fail -> key -> error of the last attempt."""
    failed, tries = {}, collections.Counter()
    while runner:
        key, row, error = runner.next()
        tries[key] += 1
        if error is None:
            finished(row)
        elif tries[key] <= retries and not isinstance(error, NOT_RETRIED):
            tqdm.write(f"run {key} failed ({first_line(error)}): trying it again")
            runner.submit(key, wanted[key])
        else:
            failed[key] = error
    return failed


def runs_of(base: Config, grid: dict[str, Iterable]) -> dict[str, Config]:
    """Every combination of the values in ``grid``: key -> Config, each with folders of its own."""
    runs = {}
    for values in itertools.product(*grid.values()):
        config = base.replace(**dict(zip(grid, values)))
        key = key_of(config)
        folders = {name: f"{os.path.abspath(os.path.expanduser(getattr(config, name)))}/{key}"
                   for name in ("save_dir", "log_dir") if getattr(config, name) is not None}
        runs[key] = config.replace(**folders)
    return runs


def settings_of(config: Config) -> dict[str, Any]:
    """The settings that identify a run, defaults left out, so that a setting added later does not change old keys."""
    defaults = Config().to_dict()
    return {name: value for name, value in config.to_dict().items()
            if name not in NOT_IN_KEY and value != defaults[name]}


def key_of(config: Config) -> str:
    """12 hexadecimal digits, a hash of a run's settings."""
    return hashlib.sha256(json.dumps(settings_of(config), sort_keys=True).encode()).hexdigest()[:12]


def run_one(config: Config, varied: list[str], samples: int, dci: bool = True, device: str | None = None
            ) -> results.Row:
    """Train one run, unless its final checkpoint exists, and measure it -> its row."""
    data = _data_of(json.dumps({name: getattr(config, name) for name in DATA_SETTINGS}))
    model, epochs = _finished(config) or _trained(config, data, device)
    row = {"key": key_of(config), **{name: getattr(config, name) for name in varied}, **_losses(epochs)}
    try:
        row |= measure(model, data, samples, dci)
    except Exception as error:
        if config.save_dir is not None:         # the same sweep measures it again, from its checkpoint
            raise
        row["not_measured"] = first_line(error)
    return {**row, "epochs": len(epochs["epoch"]), "seconds": round(epochs["seconds"][-1], 3),
            "images_per_second": round(statistics.median(epochs["images_per_second"]), 1),
            "settings": json.dumps(settings_of(config), sort_keys=True)}


def _final_checkpoint(config: Config) -> pathlib.Path:
    return checkpoints.folder(config.save_dir) / "final_model.pt"


def _is_finished(config: Config) -> bool:
    return config.save_dir is not None and _final_checkpoint(config).is_file()


def _finished(config: Config) -> tuple[BetaVAE, dict[str, list]] | None:
    """The model and the epochs of a run that was trained to its end, or None. Does not look at the training images."""
    if not _is_finished(config):
        return None
    path = _final_checkpoint(config)
    state = checkpoints.load(path)
    if key_of(Config(**state["config"])) != key_of(config):
        raise ValueError(f"{str(path)!r} is of a run with other settings; use another save_dir")
    return checkpoints.load_model(path), state["history"]["epochs"]


def _trained(config: Config, data: Any, device: str | None) -> tuple[BetaVAE, dict[str, list]]:
    """Train a run, or resume it -> its model and the curves by epoch."""
    torch.manual_seed(config.seed)
    model = BetaVAE.from_config(config)
    history = fit(model, data, config, progress=False, device=device)
    return model, history.epochs


def _losses(epochs: dict[str, list]) -> dict[str, float]:
    """Loss, reconstruction and KL of the last epoch in nats per image, of the validation images if there are any."""
    part = "val" if "val_loss" in epochs else "train"
    losses = {name: epochs[f"{part}_{name}"][-1] for name in ("loss", "reconstruction", "kl")}
    return {**losses, "train_loss": epochs["train_loss"][-1]}


def measure(model: Any, data: Any, samples: int, dci: bool = True) -> dict[str, float]:
    """The scores of a row on ``samples`` new images, ``metrics.main_scores``; none without known factors."""
    if not isinstance(data, FactorData):
        return {}
    images, factors = draw(data, samples, MEASURED_SEED)
    return metrics.main_scores(*latents.encode(model, images), factors, dci=dci)


DATA_SETTINGS = ("data_path", "num_images", "img_size", "in_channels", "crop")


@functools.lru_cache(maxsize=1)
def _data_of(settings: str) -> Any:
    """The data of a Config, given its data settings as JSON; runs of one sweep share them."""
    return load_data(Config(**json.loads(settings)))


class InProcess:
    """Runs one after the other, in this process."""

    def __init__(self, job: Callable):
        self.job, self.waiting = job, collections.deque()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def __len__(self) -> int:
        return len(self.waiting)

    def submit(self, key: str, config: Config) -> None:
        self.waiting.append((key, config))

    def next(self) -> tuple[str, results.Row | None, Exception | None]:
        """Do the next run -> (key, row, None), or (key, None, its error)."""
        key, config = self.waiting.popleft()
        try:
            return key, self.job(config), None
        except Exception as error:
            return key, None, error


class OnRay:
    """Runs as Ray tasks, in parallel as far as the cluster has room. Ray's own retries are off: ``sweep`` retries."""

    def __init__(self, job: Callable, address: str | None = None, cpus: float = 1, gpus: float = 0.0):
        try:
            import ray
        except ImportError:
            raise ImportError("engine='ray' needs Ray: pip install 'ray>=2.30'") from None
        self.ray, self.running, self.ours = ray, {}, not ray.is_initialized()
        if self.ours:
            ray.init(address=address, log_to_driver=False)
        self.task = ray.remote(_job_with_threads).options(num_cpus=cpus, num_gpus=gpus, max_retries=0)
        self.job, self.threads = job, max(1, int(cpus))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for reference in self.running:                 # stopped early: leave the cluster free for others
            self.ray.cancel(reference, force=True)
        if self.ours:
            self.ray.shutdown()

    def __len__(self) -> int:
        return len(self.running)

    def submit(self, key: str, config: Config) -> None:
        self.running[self.task.remote(self.job, config, self.threads)] = key

    def next(self) -> tuple[str, results.Row | None, Exception | None]:
        """Wait for the next run to end -> (key, row, None), or (key, None, its error)."""
        reference = self.ray.wait(list(self.running), num_returns=1)[0][0]
        key = self.running.pop(reference)
        try:
            return key, self.ray.get(reference), None
        except self.ray.exceptions.RayTaskError as error:      # raised inside the run: report the cause
            return key, None, error.cause or error
        except self.ray.exceptions.RayError as error:          # its worker or its machine was lost
            return key, None, error


def _job_with_threads(job: Callable, config: Config, threads: int) -> results.Row:
    torch.set_num_threads(threads)
    return job(config)
