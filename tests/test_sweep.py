"""Sweeps: every run once, whatever stops, fails or is killed; and the table that they leave."""

import collections
import csv
import importlib.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import small_config

from bvae_helpers import checkpoints, latents, metrics, plots
from bvae_helpers.__main__ import config_of, grid_of, main, make_parser
from bvae_helpers.config import Config
from bvae_helpers.data import Sprites, render
from bvae_helpers.training import results as table
from bvae_helpers.training import sweep

HERE = Path(__file__).resolve().parent
TINY = dict(img_size=64, num_images=48, epochs=1, batch_size=16)
GRID = {"beta": [1.0, 4.0], "seed": [0, 1]}
KEYS = ["37889a0ae54b", "bce244499ec2"]


def tiny(save_dir=None, **changes):
    """A Config whose run takes a blink."""
    return small_config(save_dir, **{**TINY, **changes})


def run_sweep(path, grid=GRID, base=None, **options):
    options = {"device": "cpu", "samples": 300, "dci": False, "progress": False, **options}
    return sweep.sweep(base or tiny(), grid, path, **options)


@pytest.fixture
def counted(monkeypatch):
    """How often each run was begun: (beta, seed) -> times."""
    times, was = collections.Counter(), sweep.fit

    def fit(model, data, config, **options):
        times[config.beta, config.seed] += 1
        return was(model, data, config, **options)

    monkeypatch.setattr(sweep, "fit", fit)
    return times


# What a row says

def test_a_row_has_the_settings_and_what_training_alone_finds(tmp_path):
    rows = run_sweep(tmp_path / "t.csv", base=tiny(str(tmp_path / "runs")))
    assert [(row["beta"], row["seed"]) for row in rows] == [(1.0, 0), (1.0, 1), (4.0, 0), (4.0, 1)]
    assert len({row["key"] for row in rows}) == 4
    row = rows[2]
    assert row["loss"] == pytest.approx(row["reconstruction"] + 4 * row["kl"], rel=1e-6)
    assert row["seconds"] > 0 and row["images_per_second"] > 0 and row["epochs"] == 1
    state = checkpoints.load(tmp_path / "runs" / row["key"] / "final_model.pt")
    assert state["config"]["beta"] == 4.0 and state["val_loss"] == row["loss"]
    assert sweep.key_of(Config(**state["config"])) == row["key"]
    with open(tmp_path / "t.csv", newline="") as file:
        assert [r["key"] for r in csv.DictReader(file)] == [r["key"] for r in rows]


def test_a_row_has_the_scores_of_new_images(tmp_path):
    row, = run_sweep(tmp_path / "t.csv", {"beta": [0.1]}, tiny(str(tmp_path / "runs")), dci=True)
    model = checkpoints.load_model(tmp_path / "runs" / row["key"] / "final_model.pt")
    images, factors = render(Sprites(), 300, sweep.MEASURED_SEED)
    scores = metrics.main_scores(*latents.encode(model, images), factors)
    assert {name: row[name] for name in scores} == pytest.approx(scores) and len(scores) == 7


def test_the_key_is_of_the_run_and_not_of_where_it_is_kept():
    base = tiny()
    assert sweep.key_of(base) == sweep.key_of(base.replace(save_dir="elsewhere", log_dir="there", log_every=7))
    others = [base.replace(beta=5.0), base.replace(seed=1), base.replace(epochs=2), base.replace(num_images=49)]
    assert len({sweep.key_of(config) for config in [base, *others]}) == 5


def test_keys_stay_what_they_are():
    """Runs of older versions are found by their keys: the shipped sweep's first run."""
    base = Config.falling(beta_schedule="constant", objective="beta_vae", num_images=210_526, epochs=6)
    keys = sweep.runs_of(base, {"beta": [32.0], "seed": [0, 1]})
    assert list(keys) == KEYS


def test_a_run_with_one_latent_has_scores(tmp_path):
    rows = run_sweep(tmp_path / "t.csv", {"latent_dim": [1, 2]})
    assert [row["latent_dim"] for row in rows] == [1, 2] and all(0 <= row["mig"] <= 1 for row in rows)
    assert run_sweep(tmp_path / "t.csv", {"latent_dim": [1, 2, 3]})[:2] == rows


# Each run once

def test_a_stopped_sweep_goes_on_where_it_was(tmp_path, counted, monkeypatch):
    was = sweep.run_one

    def stopped(config, *args, **options):
        if (config.beta, config.seed) == (4.0, 0):
            raise KeyboardInterrupt
        return was(config, *args, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sweep, "run_one", stopped)
        run_sweep(tmp_path / "t.csv")
    assert len(table.read(tmp_path / "t.csv")) == 2
    rows = run_sweep(tmp_path / "t.csv")
    assert len(rows) == 4 and set(counted.values()) == {1} and len(counted) == 4
    assert run_sweep(tmp_path / "t.csv") == rows and set(counted.values()) == {1}
    assert len(run_sweep(tmp_path / "t.csv", {"beta": [4.0, 8.0]})) == 2                # only its own rows
    assert counted[4.0, 0] == 1 and counted[8.0, 0] == 1 and len(table.read(tmp_path / "t.csv")) == 5


def test_a_run_under_way_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    base, was = tiny(str(tmp_path / "runs"), epochs=3), sweep.fit
    alone = run_sweep(tmp_path / "alone.csv", {"beta": [2.0]}, base.replace(save_dir=None))[0]

    def stopped(*args, **options):
        was(*args, **options, stop_after=4)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sweep, "fit", stopped)
        run_sweep(tmp_path / "t.csv", {"beta": [2.0]}, base)
    assert checkpoints.load(tmp_path / "runs" / alone["key"] / "last.pt")["step"] == 4
    row = run_sweep(tmp_path / "t.csv", {"beta": [2.0]}, base)[0]
    assert {k: row[k] for k in ("key", "loss", "kl", "mig")} == {k: alone[k] for k in ("key", "loss", "kl", "mig")}


def test_a_finished_run_is_measured_without_its_training_data(tmp_path, counted, monkeypatch):
    """Other images than it was trained on, since the renderer was corrected: nothing is trained again."""
    base = tiny(str(tmp_path / "runs"))
    rows = run_sweep(tmp_path / "t.csv", {"beta": [2.0]}, base)
    monkeypatch.setattr("bvae_helpers.training.run.checkpoints.check_same_run", lambda *args: pytest.fail("resumed"))
    again = run_sweep(tmp_path / "other.csv", {"beta": [2.0]}, base)
    assert again == rows and counted[2.0, 0] == 1
    assert run_sweep(tmp_path / "more.csv", {"beta": [2.0, 3.0]}, base, train=False) == rows and counted.total() == 1
    stranger = checkpoints.load(tmp_path / "runs" / rows[0]["key"] / "final_model.pt")
    stranger["config"]["lr"] = 0.5
    checkpoints.save(stranger, tmp_path / "runs" / rows[0]["key"] / "final_model.pt")
    with pytest.raises(RuntimeError, match="run with other settings"):
        run_sweep(tmp_path / "third.csv", {"beta": [2.0]}, base)


def test_a_run_that_cannot_be_measured_is_not_lost(tmp_path, counted, monkeypatch):
    def fails(*args):
        raise ValueError("no ruler")

    kept = tiny(str(tmp_path / "runs"))
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "measure", fails)
        with pytest.raises(RuntimeError, match="1 of 1 runs failed .no ruler"):
            run_sweep(tmp_path / "kept.csv", {"beta": [2.0]}, kept)
        row, = run_sweep(tmp_path / "memory.csv", {"beta": [2.0]})             # without a save_dir: a row, at least
    assert row["not_measured"] == "no ruler" and row["loss"] > 0 and "mig" not in row
    assert counted[2.0, 0] == 2
    measured, = run_sweep(tmp_path / "kept.csv", {"beta": [2.0]}, kept)
    assert counted[2.0, 0] == 2 and measured["mig"] >= 0 and measured["loss"] == row["loss"]


def test_a_run_that_fails_is_tried_again(tmp_path, counted, monkeypatch):
    was, left = sweep.run_one, [2]

    def shaky(config, *args, **options):
        if config.beta == 4.0 and left[0]:
            left[0] -= 1
            raise OSError("the disk was away")
        return was(config, *args, **options)

    monkeypatch.setattr(sweep, "run_one", shaky)
    assert len(run_sweep(tmp_path / "t.csv")) == 4 and set(counted.values()) == {1}
    left[0] = 2
    with pytest.raises(RuntimeError, match="2 of 4 runs failed .the disk was away"):
        run_sweep(tmp_path / "other.csv", retries=0)
    assert [row["beta"] for row in table.read(tmp_path / "other.csv")] == [1.0, 1.0]
    assert len(run_sweep(tmp_path / "other.csv")) == 4


def test_what_would_fail_again_is_not_tried_again(tmp_path, counted):
    with pytest.raises(RuntimeError, match="1 of 2 runs failed .the loss was"):
        run_sweep(tmp_path / "t.csv", {"lr": [1e-3, 100.0]}, tiny(epochs=40, grad_clip=0.0, log_every=1))
    assert counted[4.0, 0] == 2 and len(table.read(tmp_path / "t.csv")) == 1


def test_errors_come_before_any_run(tmp_path, counted):
    with pytest.raises(TypeError, match="betta"):
        run_sweep(tmp_path / "t.csv", {"betta": [1.0]})
    with pytest.raises(ValueError, match="engine must be process or ray, got 'magic'"):
        run_sweep(tmp_path / "t.csv", engine="magic")
    with pytest.raises(ValueError, match="samples must be at least 100, got 99"):
        run_sweep(tmp_path / "t.csv", samples=99)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="notes.csv' is not a table of results"):
        run_sweep(tmp_path / "notes.csv")
    assert not counted and not (tmp_path / "t.csv").exists()


# The table

def test_a_table_takes_rows_with_other_columns_and_no_key_twice(tmp_path):
    path = tmp_path / "t.csv"
    table.add(path, {"key": "0012", "beta": 1.0, "note": 'a "quoted", word'})
    table.add(path, {"key": "12e3", "seed": 3})
    table.add(path, {"key": "0012", "beta": 9.0})
    assert table.read(path) == [{"key": "0012", "beta": 1.0, "note": 'a "quoted", word', "seed": None},
                                {"key": "12e3", "beta": None, "note": None, "seed": 3}]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "'=1", "''-", "'quoted'", "a=1", "5"])
def test_text_is_no_formula_in_a_spreadsheet(tmp_path, text):
    path = tmp_path / "t.csv"
    table.add(path, {"key": "a", "name": text, "beta": -1.5})
    assert table.read(path)[0] == {"key": "a", "name": 5 if text == "5" else text, "beta": -1.5}
    with open(path, newline="", encoding="utf-8") as file:
        cell = next(csv.DictReader(file))["name"]
    assert cell[0] not in "=+-@\t\r"


@pytest.mark.parametrize("content", [b"beta\n1\n", b"a line of notes\n", b"\0\1\2", b"beta;seed\n1;2\n",
                                     b"key,beta\na,1,2\n", b'key,beta\na,"1\n', b"\xff\xfe\x00"])
def test_what_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match="t.csv' is not a table of results"):
        table.read(tmp_path / "t.csv")


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfkey,beta\r\n0012,4\r\n")
    assert table.read(tmp_path / "t.csv") == [{"key": "0012", "beta": 4}]
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfkey;beta;mig;name\r\n0012;4;0,25;a,b\r\n")
    rows = [{"key": "0012", "beta": 4, "mig": 0.25, "name": "a,b"}]
    assert table.read(tmp_path / "t.csv") == rows
    table.add(tmp_path / "t.csv", {"key": "x", "mig": 0.5})
    assert table.read(tmp_path / "t.csv") == rows + [{"key": "x", "beta": None, "mig": 0.5, "name": None}]


def test_a_file_of_something_else_is_not_overwritten(tmp_path):
    (tmp_path / "t.csv").write_text("a line of notes\n")
    with pytest.raises(ValueError, match="not a table of results"):
        table.add(tmp_path / "t.csv", {"key": "x"})
    assert (tmp_path / "t.csv").read_text() == "a line of notes\n"


@pytest.mark.parametrize("long, varied", [
    (False, "--objective beta_vae,btcvae --num-images 210526 --epochs 6 --beta 1,2,4,8,16,24,32,64 --seed 0:5"),
    (True, "--objective beta_vae --num-images 210526 --epochs 25 --beta 1,4,16,32 --seed 0:3")])
def test_a_shipped_sweep_is_of_its_command(long, varied):
    rows = table.shipped(long)
    command = f"sweep --preset falling --beta-schedule constant {varied}"
    assert command in " ".join(table.shipped.__doc__.split())
    one, grid = grid_of(args := make_parser().parse_args(command.split()))
    wanted = sweep.runs_of(config_of(args, one), grid)
    expected = [key for key, config in wanted.items() if config.objective == "beta_vae" or config.seed < 3]
    assert sorted(row["key"] for row in rows) == sorted(expected)
    for row in rows:
        assert row["epochs"] == wanted[row["key"]].epochs and row["loss"] > 0 and 0 <= row["active_latents"] <= 10
        assert all(0 <= row[f"{score}{part}"] <= 1 for score in ("mig", "factor_vae", "dci_disentanglement")
                   for part in ("", "_active"))
        if row["objective"] == "beta_vae":
            assert row["loss"] == pytest.approx(row["reconstruction"] + row["beta"] * row["kl"], rel=1e-4)
    assert len(plots.tradeoff(rows).axes) == 2


def test_a_failing_write_leaves_the_table_whole(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    table.add(path, {"key": "a", "beta": 1.0})
    before = path.read_bytes()

    def full(*args):
        raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr("bvae_helpers.data.files.os.fsync", full)
        table.add(path, {"key": "b", "beta": 2.0})
    assert path.read_bytes() == before and [p.name for p in tmp_path.glob(".*.part")] == []


def test_two_processes_may_write_the_same_table(tmp_path):
    code = ("import sys; from bvae_helpers.training import results as table\n"
            "for n in range(20): table.add(sys.argv[1], {'key': f'{sys.argv[2]}{n}', 'n': n})")
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "t.csv"), name], cwd=HERE.parent)
            for name in "ab"]
    assert [process.wait(120) for process in both] == [0, 0]
    keys = sorted(row["key"] for row in table.read(tmp_path / "t.csv"))
    assert keys == sorted(f"{name}{n}" for name in "ab" for n in range(20))


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow")
def test_parquet_holds_the_same_rows(tmp_path):
    import pyarrow.parquet
    rows = run_sweep(tmp_path / "t.csv")
    assert pyarrow.parquet.read_table(tmp_path / "t.parquet").to_pylist() == rows


# Figures and the command line

def fake_rows(objectives=("beta_vae",), mig=True):
    return [{"key": f"{o}{b}{s}", "objective": o, "beta": b, "seed": s, "kl": 20 / b + s, "reconstruction": 10 * b,
             "mig": b / 20 if mig else None, "settings": f'{{"objective": "{o}", "beta": {b}, "seed": {s}}}'}
            for o in objectives for b in (1.0, 4.0, 16.0) for s in range(3)]


def test_runs_are_grouped_by_all_but_beta_and_seed():
    groups = plots.group_runs(fake_rows(("beta_vae", "btcvae"))[::-1])
    assert sorted(groups) == ["beta_vae", "btcvae"] and list(groups["btcvae"]) == [1.0, 4.0, 16.0]
    assert sorted(row["seed"] for row in groups["btcvae"][4.0]) == [0, 1, 2]
    longer = [{**row, "settings": row["settings"].replace("{", '{"epochs": 9, ')} for row in fake_rows()]
    assert set(plots.group_runs(fake_rows() + longer)) == {"", "epochs 9"}
    three = plots.group_runs(fake_rows() + longer + fake_rows(("btcvae",)))
    assert set(three) == {"beta_vae", "beta_vae, epochs 9", "btcvae"}


def test_the_figure_shows_every_run_and_the_median_over_seeds():
    figure = plots.tradeoff(fake_rows(("beta_vae", "btcvae")))
    plane, mig = figure.axes
    median, dots = plane.lines[:2]
    assert median.get_xydata() == pytest.approx(np.array([[21.0, 10.0], [6.0, 40.0], [2.25, 160.0]]))
    assert len(dots.get_xdata()) == 9 and len(mig.lines[1].get_xdata()) == 9
    ties = [line.get_xydata().tolist() for line in plane.lines[2:11]]
    assert [end for _, end in ties] == dots.get_xydata().tolist()
    assert [start for start, _ in ties] == np.repeat(median.get_xydata(), 3, axis=0).tolist()
    assert mig.get_xscale() == "log" and [text.get_text() for text in mig.get_xticklabels()] == ["1", "4", "16"]
    assert [text.get_text() for text in mig.get_legend().get_texts()] == ["beta_vae", "btcvae"]
    assert [text.get_text() for text in plane.texts if text.get_color() == plots.COLOURS[0]] == ["1", "4", "16"]


def test_lines_of_equal_elbo_join_equal_sums_of_rate_and_distortion():
    plane = plots.tradeoff(fake_rows()).axes[0]
    dashed = [line.get_xydata() for line in plane.lines if line.get_linestyle() == "--"]
    levels = [ends.sum(1) for ends in dashed]
    assert len(levels) >= 3 and all(one == pytest.approx(other) for one, other in levels)
    named = [float(text.get_text().split()[1]) for text in plane.texts if "ELBO" in text.get_text()]
    assert named == pytest.approx([-level[0] for level in levels])


def test_the_figure_without_mig_and_without_rows():
    assert len(plots.tradeoff(fake_rows(mig=False)).axes) == 1
    assert plots.tradeoff([{**row, "beta": 0.0} for row in fake_rows()]).axes[1].get_xscale() == "linear"
    with pytest.raises(ValueError, match="holds no runs"):
        plots.tradeoff([])
    with pytest.raises(ValueError, match="holds no runs"):
        plots.tradeoff([{"name": "of another table", "beta": 1.0}])


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    command = ["sweep", "--preset", "sprites", "--beta", "1,4", "--seed", "0:2", "--num-images", "48", "--epochs", "1",
               "--batch-size", "16", "--hidden-dims", "4", "8", "--latent-dim", "3", "--log-dir", "none", "--device",
               "cpu", "--samples", "300", "--no-dci"]
    main([*command, "--no-train"])
    assert "0 runs in sweep.csv" in capsys.readouterr().out
    main(command)
    rows = table.read("sweep.csv")
    assert [(row["beta"], row["seed"]) for row in rows] == [(1.0, 0), (1.0, 1), (4.0, 0), (4.0, 1)]
    assert "4 runs in sweep.csv" in capsys.readouterr().out and len(list((tmp_path / "checkpoints").iterdir())) == 4
    main(command)
    assert table.read("sweep.csv") == rows
    main(["tradeoff", "sweep.csv", "--out", "figures/t.png"])
    assert (tmp_path / "figures" / "t.png").stat().st_size > 10_000


@pytest.mark.parametrize("arguments, said", [
    (["sweep", "--seed", "3:3"], "--seed"), (["sweep", "--beta", "1,x"], "--beta"),
    (["sweep", "--engine", "magic"], "magic"), (["tradeoff", "nothing.csv"], "no table at 'nothing.csv'")])
def test_errors_of_the_command_line(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and said in error and len(error.splitlines()) == 1


# On Ray

def test_ray_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match="pip install 'ray"):
        run_sweep(tmp_path / "t.csv", engine="ray")


def run_one_or_be_lost(config, **options):
    """``sweep.run_one``; but a run on the node that will be lost waits for that, and the others wait for such a run."""
    import ray
    folder = Path(os.environ["BVAE_TEST_CLUSTER"])
    if ray.get_runtime_context().get_node_id() == (folder / "doomed").read_text():
        (folder / "begun").touch()
        time.sleep(600)
    while not (folder / "begun").exists():
        time.sleep(0.05)
    return sweep.run_one(config, **options)


def test_a_cluster_loses_a_node_and_no_run(tmp_path, monkeypatch, capsys):
    """Two nodes that train, one removed while a run is under way there: 12 runs, 12 rows."""
    ray = pytest.importorskip("ray", reason="needs ray: pip install 'bvae-helpers[sweep]'")
    from ray.cluster_utils import Cluster
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE.parent), str(HERE)]))
    monkeypatch.setenv("BVAE_TEST_CLUSTER", str(tmp_path))
    path, ended = tmp_path / "t.csv", threading.Event()
    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=0, include_dashboard=False)
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        (tmp_path / "doomed").write_text(nodes[1].node_id)
        ray.init(address=cluster.address, log_to_driver=False)
        rows_at_the_loss = []

        def lose_a_node():
            while not ended.wait(0.1):
                if (tmp_path / "begun").exists() and len(table.read(path)) >= 3:
                    rows_at_the_loss.append(len(table.read(path)))
                    return cluster.remove_node(nodes[1], allow_graceful=False)

        saboteur = threading.Thread(target=lose_a_node)
        saboteur.start()
        with monkeypatch.context() as patched:
            patched.setattr(sweep, "run_one", run_one_or_be_lost)
            rows = run_sweep(path, {"beta": [1.0, 4.0, 16.0], "seed": range(4)}, engine="ray")
        ended.set()
        saboteur.join()
    finally:
        ended.set()
        ray.shutdown()
        cluster.shutdown()
    assert 3 <= rows_at_the_loss[0] < 12
    assert "trying it again" in capsys.readouterr().out                  # the run on the lost node
    assert len(rows) == 12 and collections.Counter((row["beta"], row["seed"]) for row in table.read(path)) == \
        {(beta, seed): 1 for beta in (1.0, 4.0, 16.0) for seed in range(4)}
    here = run_sweep(tmp_path / "here.csv", {"beta": [4.0], "seed": [2]}, tiny())[0]
    there = next(row for row in rows if row["key"] == here["key"])
    assert np.array([there["loss"], there["kl"]]) == pytest.approx(np.array([here["loss"], here["kl"]]), rel=1e-4)
