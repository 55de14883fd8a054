"""Two processes are one run: the same curves, one set of files, and a lost worker costs only the steps since the last
save."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import new_model, small_config, small_pictures
from torch import distributed, nn

from bvae_helpers import checkpoints
from bvae_helpers.data import Images
from bvae_helpers.training import fit, parallel
from bvae_helpers.training.run import Run

pytestmark = pytest.mark.skipif(not distributed.is_available(), reason="needs a torch with torch.distributed")
HERE = Path(__file__).resolve().parent
SETTINGS = {                      # 80 images to train on, 20 to validate
    "beta_vae": dict(epochs=20),                                                 # 10 steps an epoch: 200 steps
    "odd": dict(objective="btcvae", batch_size=7),                               # two ranks do not divide it
    "factorvae": dict(objective="factorvae", discriminator_width=8, flip=True),
    "dipvae": dict(objective="dipvae2", flip=True),
    "classic": dict(network="classic", sync_batchnorm=True, batch_size=9),
    "unsynchronised": dict(network="classic", batch_size=9),
    "one": dict(batch_size=1)}                                                   # fewer images than ranks


def torchrun(tmp_path, *arguments, ranks=2, rc=0):
    """Run ``torchrun --nproc-per-node ranks …`` -> its output."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    run = subprocess.run([*launcher, *arguments],
                         capture_output=True, text=True, timeout=300, cwd=tmp_path,
                         env={**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1",
                              "PYTHONPATH": f"{HERE}:{HERE.parent}"})
    assert run.returncode == rc, run.stderr[-4000:]
    return run.stdout + run.stderr


def worker(tmp_path, code, *options, **more):
    """Run ``code`` on each rank, with this module's helpers at hand."""
    script = tmp_path / "worker.py"
    script.write_text("import json, os, signal, sys\nfrom test_parallel import *\n"
                      "from bvae_helpers.training import run as runs\nranks = parallel.join()\n" + code)
    return torchrun(tmp_path, *options, str(script), **more)


def trained(save_dir=None, stop_after=None, log_dir=None, **settings):
    """Train a small model -> its curves, or the message of the interrupt that ended the training."""
    config = small_config(save_dir, log_every=1, log_dir=log_dir, **settings)
    model = new_model(config)
    if config.network == "classic":
        freeze_idle_biases(model)
    try:
        history = fit(model, small_pictures(100), config, progress=False, device="cpu", stop_after=stop_after)
    except KeyboardInterrupt as stopped:
        return {"said": str(stopped)}
    if history.complete:
        return {"steps": history.steps["loss"], "val": history["val_loss"], "kl": history["val_kl_per_latent"]}


def freeze_idle_biases(model):
    """A bias before a BatchNorm has a gradient of 0 but for rounding, which Adam turns into steps; the running means
    lag behind those, so that without this the validation curves part by a percent."""
    for blocks in model.modules():
        for before, after in zip(blocks, list(blocks)[1:]) if isinstance(blocks, nn.Sequential) else ():
            if isinstance(after, nn.BatchNorm2d):
                before.bias.requires_grad_(False)


def batchnorm(ranks=None):
    """Output, gradients and statistics of a BatchNorm after one batch of 7; of this rank's rows, if there are ranks."""
    generator = torch.Generator().manual_seed(0)
    x = (3 + torch.randn(7, 2, 5, 5, generator=generator)).requires_grad_()
    weight = torch.randn(7, 2, 5, 5, generator=generator)
    layer = nn.BatchNorm2d(2)
    if ranks is None:
        mine = slice(None)
    else:
        layer, mine = parallel.SyncBatchNorm.like(layer), ranks.cut(torch.arange(7))
    y = layer(x[mine])
    (y * weight[mine]).sum().backward()
    return {"y": y.tolist(), "x": x.grad[mine].tolist(), "mean": layer.running_mean.tolist(),
            "var": layer.running_var.tolist()}


FITS = """
results = {name: trained(**settings) for name, settings in SETTINGS.items()}
trained("resumed", stop_after=13, log_dir="runs")
results["stopped here"] = trained("resumed", log_dir="runs")
results["stopped elsewhere"] = trained("alone")
trained("left", stop_after=13)
step, calls = runs.train_step, []
def interrupted(run, *args):
    if run.step == 6 and not ranks.first:           # one rank alone is told to stop
        os.kill(os.getpid(), signal.SIGTERM)
    return step(run, *args)
runs.train_step = interrupted
results["told"] = trained("told")
results["batchnorm"] = batchnorm(ranks)
with open(f"{ranks.rank}.json", "w") as file:
    json.dump(results, file)
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two ranks found in ``FITS`` -> (folder, results of rank 0, of rank 1)."""
    folder = tmp_path_factory.mktemp("two")
    trained(str(folder / "alone"), stop_after=13)
    worker(folder, FITS)
    return folder, *[json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def assert_same_curves(one, two, rel=1e-4):
    for name in ("steps", "val"):
        assert two[name] == pytest.approx(one[name], rel=rel)
    assert np.array(two["kl"]) == pytest.approx(np.array(one["kl"]), rel=10 * rel, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in SETTINGS if "network" not in SETTINGS[name]])
def test_two_ranks_have_the_curves_of_one_process(two, name):
    alone = trained(**SETTINGS[name])
    assert_same_curves(alone, two[1][name])


def test_the_curves_are_long_enough_to_part(two):
    assert len(two[1]["beta_vae"]["steps"]) == 200


def test_every_rank_knows_the_terms_of_the_whole_batch(two):
    assert two[1]["beta_vae"] == two[2]["beta_vae"] and two[1]["factorvae"] == two[2]["factorvae"]


def test_a_rank_that_waits_for_the_others_says_so(monkeypatch, capsys):
    """As in a plain call in a shell that still has the variables of a dead job."""
    said = threading.Event()

    def meet(address):
        assert said.wait(60)
        yield "store", 1, 2

    for name, value in zip(parallel.TORCHRUN, ("1", "2", "nowhere", "29500")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(parallel, "PATIENCE", 0)
    monkeypatch.setattr(parallel, "rendezvous", meet)
    monkeypatch.setattr(parallel, "say", lambda line: (print(line), said.set()))
    assert parallel._meet() == ("store", 1, 2)
    assert "rank 1 of 2: waiting for the others at nowhere:29500" in capsys.readouterr().out


def test_synchronised_batchnorm_is_batchnorm_of_the_whole_batch(two):
    alone, (first, second) = batchnorm(), (results["batchnorm"] for results in two[1:])
    assert len(first["y"]) == 3 and len(second["y"]) == 4
    for name in ("y", "x"):
        assert np.array(first[name] + second[name]) == pytest.approx(np.array(alone[name]), abs=2e-5)
    for name in ("mean", "var"):
        assert first[name] == second[name] == pytest.approx(alone[name], rel=1e-5)


def test_only_synchronised_batchnorm_has_the_curve_of_one_process(two):
    """Two epochs: later a kink of the LeakyReLU may turn rounding into a jump, as it does in one process whose weights
    are
    moved by a part in 10^7 (1 of 12 such runs of 20 epochs; the training loss by 0.3 %)."""
    alone = trained(**SETTINGS["classic"])
    assert_same_curves(alone, two[1]["classic"])
    assert two[1]["unsynchronised"]["steps"] != pytest.approx(alone["steps"], rel=1e-4)


def test_a_checkpoint_of_n_ranks_is_resumed_by_m(two):
    whole = trained()
    for name in ("stopped here", "stopped elsewhere"):             # 2 -> 2 and 1 -> 2
        assert_same_curves(whole, two[1][name])
    assert checkpoints.load(two[0] / "left" / "last.pt")["step"] == 13
    assert_same_curves(whole, trained(str(two[0] / "left")))       # 2 -> 1


def test_one_rank_writes_the_files(two):
    assert len(list((two[0] / "runs").rglob("events.*"))) == 2             # one for each call
    assert sorted(p.name for p in (two[0] / "resumed").iterdir()) == ["best_model.pt", "final_model.pt", "last.pt"]


def test_a_signal_to_one_rank_stops_all_at_the_same_step(two):
    assert [results["told"]["said"] for results in two[1:]] == ["stopped at step 7 of 20; call fit again to resume"] * 2
    assert checkpoints.load(two[0] / "told" / "last.pt")["step"] == 7


DIES = """
def record(self, was=Run.record):
    if self.step == 12 and ranks.rank == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    was(self)
def start(self, resume, was=Run.start):
    was(self, resume)
    open(f"start-{ranks.rank}.txt", "a").write(f"{self.step} ")
Run.record, Run.start = record, start
result = trained("made", save_seconds=0.0)
json.dump(result, open(f"{ranks.rank}.json", "w"))
"""


def test_a_killed_worker_costs_the_steps_since_the_last_save(tmp_path):
    worker(tmp_path, DIES, "--max-restarts", "1")
    first, again = (int(n) for n in (tmp_path / "start-0.txt").read_text().split())
    assert first == 0 and again in (11, 12, 13)  # saved after each step; the survivor may have done one more
    assert checkpoints.load(tmp_path / "made" / "last.pt")["step"] == 20
    assert_same_curves(trained(), json.loads((tmp_path / "0.json").read_text()))


def test_the_command_line_under_torchrun(tmp_path):
    said = torchrun(tmp_path, "-m", "bvae_helpers", "train", "--preset", "sprites", "--num-images", "48", "--epochs",
                    "1", "--batch-size", "16", "--hidden-dims", "4", "8", "--latent-dim", "3", "--device", "cpu")
    assert said.count("sprites network") == 1 and said.count("trained; the best model is") == 1
    assert checkpoints.load_model(tmp_path / "checkpoints" / "final_model.pt").config.batch_size == 16
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_converting_batchnorm_keeps_the_parameters_the_statistics_and_the_keys():
    model = new_model(small_config(network="classic"))
    before, parameters = model.state_dict(), list(model.parameters())
    parallel.convert_sync_batchnorm(model)
    kinds = {type(m) for m in model.modules() if isinstance(m, nn.BatchNorm2d)}
    after = model.state_dict()
    assert kinds == {parallel.SyncBatchNorm}
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert list(after) == list(before) and all(after[k].data_ptr() == before[k].data_ptr() for k in before)


@pytest.mark.parametrize("world", (2, 3, 8))
def test_every_image_of_a_batch_is_one_ranks(world):
    for total in range(world, 40):
        shares = [parallel.Ranks(rank, world).cut(torch.arange(total)) for rank in range(world)]
        assert torch.equal(torch.cat(shares), torch.arange(total))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert len(parallel.Ranks(1, world).cut(torch.arange(world - 1))) == world - 1      # too few: whole on each


def test_one_process_has_no_wrapper_and_no_group(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")          # some clusters set it: without torchrun's others it means nothing
    run = Run(new_model(small_config()), Images(small_pictures()), small_config(), "cpu")
    assert run.ranks.world == 1 and run.objective is run.own_objective and not distributed.is_initialized()
