"""fit(): what it records, what it leaves on disk, and that no run is ever lost."""

import contextlib
import gc
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import curves, new_model, same_state, small_config, small_pictures
from PIL import Image
from torch.utils.data import TensorDataset

from bvae_helpers import checkpoints
from bvae_helpers.config import Config
from bvae_helpers.data import Images
from bvae_helpers.losses import OBJECTIVES
from bvae_helpers.model import BetaVAE
from bvae_helpers.training import fit, train_step
from bvae_helpers.training import loop as training
from bvae_helpers.training import run as runs
from bvae_helpers.training import system
from bvae_helpers.training.precision import precision
from bvae_helpers.training.run import Run

HERE = Path(__file__).resolve().parent


def train(config, data=None, model=None, **options):
    """Train a new small model on the CPU -> model, history."""
    model = model or new_model(config)
    data = small_pictures() if data is None else data
    history = fit(model, data, config, **{"progress": False, "device": "cpu", **options})
    return model, history


# What is learned and recorded

def test_the_loss_falls_and_the_history_adds_up():
    model, history = train(small_config(epochs=6, beta=1.0, lr=3e-3))
    assert history["epoch"] == [1, 2, 3, 4, 5, 6] and len(history) == 6 and not model.training
    assert history["val_loss"][-1] < 0.8 * history["val_loss"][0]
    for part in ("train", "val"):
        recon, kl, loss = (np.array(history[f"{part}_{name}"]) for name in ("reconstruction", "kl", "loss"))
        assert loss == pytest.approx(recon + kl, rel=1e-6)
        assert np.sum(history[f"{part}_kl_per_latent"], axis=1) == pytest.approx(kl, rel=1e-5)
    assert history["lr"] == [3e-3] * 6 and min(history["images_per_second"]) > 0
    assert history.steps["step"] == sorted({*range(4, 61, 4), *range(10, 61, 10)})      # 10 steps an epoch, log_every 4
    assert list(history.pictures) == [10, 30] and history.pictures[10].shape == (2, 8, 1, 16, 16)


def test_the_epochs_terms_are_the_mean_of_its_steps():
    history = train(small_config(log_every=1))[1]
    first, second = np.reshape(history.steps["loss"], (2, 10)).mean(1)
    assert history["train_loss"] == pytest.approx([first, second], rel=1e-9)


def failing(run):
    if run.event == "epoch":
        raise OSError("no room")


@pytest.mark.parametrize("how", ["complete", "stopped", "failed"])
def test_after_a_training_nothing_holds_its_images_even_without_the_garbage_collector(how):
    runs_seen = []
    watchers = [lambda run: runs_seen.append(weakref.ref(run))] + [failing] * (how == "failed")
    gc.disable()
    try:
        with pytest.raises(OSError, match="no room") if how == "failed" else contextlib.nullcontext():
            train(small_config(epochs=1), watch=watchers, stop_after=5 if how == "stopped" else None)
        assert runs_seen and all(seen() is None for seen in runs_seen)
    finally:
        gc.enable()


def test_the_same_seed_trains_the_same_model_and_another_does_not():
    models = [train(small_config(seed=seed, epochs=1))[0].state_dict() for seed in (0, 0, 1)]
    assert same_state(models[0], models[1]) and not same_state(models[0], models[2])


def test_validation_leaves_the_random_numbers_alone_and_repeats_itself():
    config = small_config()
    run = Run(new_model(config), Images(small_pictures()), config, "cpu")
    before = torch.get_rng_state()
    assert training.validate(run) == training.validate(run)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_seeded_block_leaves_other_devices_alone(monkeypatch):
    """torch.manual_seed would reseed CUDA, and the block would not restore it."""
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("reseeded CUDA"))
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with system.seeded(7):
            draws.append(torch.rand(3))
    assert torch.equal(*draws) and torch.equal(torch.get_rng_state(), before)
    config = small_config(objective="factorvae", discriminator_width=8)
    training.validate(Run(BetaVAE.from_config(config), Images(small_pictures()), config, "cpu"))


def test_without_validation_images_the_training_loss_leads():
    history = train(small_config(val_fraction=0.0))[1]
    assert "val_loss" not in history.epochs and len(history["train_loss"]) == 2


def test_a_model_alone_is_enough(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)                          # the classic folders are relative
    monkeypatch.setattr(training, "Config", lambda **settings: Config(epochs=1, batch_size=8, **settings))
    model = new_model(small_config(network="classic"))
    history = fit(model, small_pictures(40), progress=False, device="cpu")
    assert len(history) == 1 and any((tmp_path / "runs").iterdir())
    assert (tmp_path / "checkpoints" / "final_model.pt").is_file()


# Data of every kind

@pytest.mark.parametrize("kind", ("tuples", "pictures", "floats", "array"))
def test_custom_data_train(kind):
    pictures = small_pictures(40)
    data = {"tuples": TensorDataset(pictures, torch.arange(40)),
            "pictures": [Image.fromarray(p[0].numpy()) for p in pictures],
            "floats": pictures / 255, "array": pictures.numpy()}[kind]
    model, history = train(small_config(epochs=1), data)
    assert np.isfinite(history["val_loss"]).all()
    assert same_state(model.state_dict(), train(small_config(epochs=1), pictures)[0].state_dict())     # the same images


def test_the_classic_config_with_32_pixels_trains(tmp_path):
    config = Config(**{"data_path": "./x", "batch_size": 8, "img_size": 32, "latent_dim": 128,
                       "hidden_dims": [32, 64, 128, 256], "beta": 4.0, "lr": 1e-4, "epochs": 1,
                       "save_dir": str(tmp_path / "c"), "log_dir": None})
    data = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    history = train(config, data)[1]
    assert np.isfinite(history["val_loss"]).all()
    assert checkpoints.load_model(tmp_path / "c" / "final_model.pt").sample(2).shape == (2, 3, 32, 32)


@pytest.mark.parametrize("changes, said", [
    (dict(beta=2.0), "model has beta 4.0, the config 2.0"), (dict(latent_dim=5), "latent_dim 3"),
    (dict(network="classic"), "network")])
def test_a_model_of_another_config_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        train(small_config(**changes), model=new_model(small_config()))


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"model takes images \(1, 16, 16\), the data hold \(1, 32, 32\)"):
        train(small_config(), torch.rand(10, 1, 32, 32))
    with pytest.raises(ValueError, match="btcvae .*batch_size 2"):
        train(small_config(objective="btcvae", batch_size=1))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("precision", ("float32", "bfloat16"))
def test_objectives_and_precisions(objective, precision):
    history = train(small_config(objective=objective, precision=precision, epochs=3, capacity_steps=1,
                                 discriminator_width=8))[1]
    assert history["val_loss"][-1] < history["val_loss"][0]


@pytest.mark.parametrize(("capability", "said"), (("AVX2", 1), ("AVX512", 0)))
def test_sixteen_bits_are_warned_of_where_the_cpu_imitates_them(monkeypatch, recwarn, capability, said):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert [precision(name, torch.device("cpu")) for name in ("auto", "float32")] == [torch.float32] * 2 and not recwarn
    assert precision("bfloat16", torch.device("cpu")) is torch.bfloat16 and len(recwarn) == said


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda():
    model, history = train(small_config(precision="auto", epochs=3, network="classic"), device="cuda")
    assert next(model.parameters()).device.type == "cuda" and history["val_loss"][-1] < history["val_loss"][0]


# The optimiser

def test_gradient_clipping_bounds_the_step():
    norms = {}
    for clip in (0.0, 0.01):
        config = small_config(grad_clip=clip)
        run = Run(new_model(config), Images(small_pictures()), config, "cpu")
        run.optimizer = torch.optim.SGD(run.model.parameters(), lr=1.0)       # its step is the gradient itself
        before = [p.detach().clone() for p in run.model.parameters()]
        train_step(run, small_pictures(8) / 255, 1.0)
        moved = [(p.detach() - b).flatten() for p, b in zip(run.model.parameters(), before)]
        norms[clip] = float(torch.cat(moved).norm())
    assert norms[0.01] == pytest.approx(0.01, rel=1e-3) and norms[0.0] > 1


def test_a_plateau_halves_the_learning_rate(monkeypatch):
    losses = iter([5.0, 4.0, 4.0, 4.0, 4.0, 4.0, 3.0])
    monkeypatch.setattr(training, "validate", lambda run: {"loss": next(losses)})
    history = train(small_config(epochs=7, lr=8e-4, lr_patience=1))[1]
    # epochs 3 and 4 bring nothing, so that epoch 5 has half; 5 and 6 bring nothing, so that epoch 7 has a quarter
    assert history["lr"] == pytest.approx([8e-4, 8e-4, 8e-4, 8e-4, 4e-4, 4e-4, 2e-4])


def test_the_other_schedules():
    assert train(small_config(lr_schedule="constant"))[1]["lr"] == [1e-3, 1e-3]
    assert train(small_config(lr_schedule="cosine"))[1]["lr"] == pytest.approx([5e-4, 0.0], abs=1e-9)
    assert train(small_config(beta=4.0, beta_schedule="warmup", schedule_steps=20))[1]["beta"] == [2.0, 4.0]


# Files

def test_checkpoint_files_and_what_they_hold(tmp_path):
    config = small_config(tmp_path, epochs=5, save_every=2)
    model, history = train(config)
    kept = ["checkpoint_epoch_2.pt", "checkpoint_epoch_4.pt"]
    assert sorted(os.listdir(tmp_path)) == ["best_model.pt", *kept, "final_model.pt", "last.pt"]
    for name in os.listdir(tmp_path):
        state = torch.load(tmp_path / name, weights_only=True)
        assert {"model_state_dict", "optimizer_state_dict", "epoch", "val_loss", "config"} <= state.keys()
        assert Config(**state["config"]).to_dict() == config.to_dict()
        assert state["val_loss"] == history["val_loss"][state["epoch"] - 1]
    epochs = {name: checkpoints.load(tmp_path / name)["epoch"] for name in os.listdir(tmp_path)}
    assert epochs.pop("best_model.pt") == 1 + int(np.argmin(history["val_loss"]))
    assert list(dict(sorted(epochs.items())).values()) == [2, 4, 5, 5]
    assert same_state(checkpoints.load_model(tmp_path / "final_model.pt").state_dict(), model.state_dict())


def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    train(small_config(log_dir=tmp_path))
    (folder,) = tmp_path.iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()
    wanted = {f"{part}/{name}" for part in ("step", "train", "val") for name in ("loss", "reconstruction", "kl")}
    wanted |= {f"{part}_kl_per_latent/z{d}" for part in ("train", "val") for d in range(3)}
    assert wanted | {"run/lr", "run/beta", "run/images_per_second"} <= set(tags["scalars"])
    assert {"reconstructions", "traversals"} <= {tag.split("/")[0] for tag in tags["images"]}
    assert [event.step for event in events.Scalars("val/loss")] == [10, 20]


# Stopped and resumed

CHILD = """
import os, signal, sys
sys.path[:0] = sys.argv[1:3]
import conftest
from bvae_helpers import checkpoints
from bvae_helpers.training import loop as training
from bvae_helpers.training import run as runs

folder, calls, place = sys.argv[3], int(sys.argv[4]), sys.argv[5]
config = conftest.small_config(folder, epochs=4, save_seconds=0.0, network="classic", objective=sys.argv[6],
                               discriminator_width=8)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

step, replace = runs.train_step, os.replace

def counted(*args):
    global calls
    calls -= 1
    if calls == 0:
        if place == "in a step":
            die()
        os.replace = {"before a save": lambda *args: die(),
                      "after a save": lambda *args: (replace(*args), die())}[place]
    return step(*args)

runs.train_step = counted
training.fit(conftest.new_model(config), conftest.small_pictures(), config, progress=False, device="cpu")
"""


def child(*args, **options):
    return subprocess.Popen([sys.executable, "-c", CHILD, str(HERE), str(HERE.parent), *map(str, args)], **options)


def test_killed_three_times_it_ends_bit_identical(tmp_path):
    """Killed while an epoch ends, just after a checkpoint has replaced the old one, and inside a step.

    The statistics of BatchNorm must come back, too, and FactorVAE's discriminator with its optimiser.
    """
    objective = "factorvae"
    config = small_config(None, epochs=4, network="classic", objective=objective, discriminator_width=8)
    model, history = train(config)
    for steps, place, reached in ((10, "before a save", 9), (12, "after a save", 21), (7, "in a step", 27)):
        assert child(tmp_path, steps, place, objective).wait(120) == -signal.SIGKILL
        assert checkpoints.load(tmp_path / "last.pt")["step"] == reached
    assert not (tmp_path / "final_model.pt").exists()
    last, whole = train(config.replace(save_dir=tmp_path))
    assert same_state(last.state_dict(), model.state_dict()) and curves(whole) == curves(history)


@pytest.mark.parametrize("changes", [dict(), dict(lr_schedule="cosine"), dict(objective="btcvae", network="classic"),
                                     dict(objective="annealed", capacity_steps=20),
                                     dict(objective="factorvae", discriminator_width=8, lr_schedule="cosine"),
                                     dict(precision="bfloat16"), dict(batch_size=100)],
                         ids=lambda changes: "-".join(map(str, changes.values())) or "plain")
def test_stopped_at_any_step_it_ends_bit_identical(tmp_path, changes):
    model, history = train(small_config(**changes, epochs=3))
    config = small_config(tmp_path, **changes, epochs=3)
    total = 3 * history.steps_per_epoch
    parts = (3, 7, 5) if total == 30 else (1,)                # 3: inside an epoch; 10: between two; 15: inside again
    for steps in parts:
        assert not train(config, stop_after=steps)[1].complete
        torch.rand(7)                                         # what the user does in between must not matter
    assert checkpoints.load(tmp_path / "last.pt")["step"] == sum(parts)
    again, whole = train(config)
    assert same_state(again.state_dict(), model.state_dict())
    assert curves(whole) == curves(history) and whole.complete
    # and once more: nothing is left to do, the result is the same
    finished, same = train(config)
    assert same_state(finished.state_dict(), model.state_dict()) and curves(same) == curves(history)


def test_stopped_before_the_first_save_the_same_call_begins_from_the_same_weights(tmp_path, monkeypatch):
    config = small_config(tmp_path)
    whole, model = train(config.replace(save_dir=None)), new_model(config)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr(runs, "train_step", power_cut_at(5))
        train(config, model=model)
    assert checkpoints.load(tmp_path / "last.pt")["step"] == 0
    again = train(config, model=model)                       # whose weights are half-trained
    assert same_state(again[0].state_dict(), whole[0].state_dict()) and curves(again[1]) == curves(whole[1])


def power_cut_at(step, was=runs.train_step):
    def dying(run, *args):
        if run.step == step:
            raise RuntimeError("power cut")
        return was(run, *args)
    return dying


def test_of_two_runs_with_other_settings_started_at_once_one_refuses(tmp_path):
    """The second one waits until the first has saved its first checkpoint, and finds it."""
    first, said = small_config(tmp_path / "first", epochs=1), []
    train(first, stop_after=0)
    folder = tmp_path / "both"

    def second():
        try:
            train(small_config(folder, epochs=1, beta=2.0))
        except ValueError as error:
            said.append(str(error))

    with system.folder_lock(folder):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(1)                                       # it would be done by now if it did not wait
        shutil.copy(tmp_path / "first" / "last.pt", folder)
    thread.join()
    assert "holds a run with other settings (beta 4.0 there, 2.0 here)" in said[0]


def test_no_run_begins_again_where_another_is_under_way(tmp_path):
    """``resume=False`` would move the files of the other run aside. Afterwards the folder is free again."""
    config, said = small_config(tmp_path, epochs=1), []

    def intrude(run):
        with pytest.raises(ValueError, match="another run is under way in") as error:
            train(config, resume=False)
        said.append(str(error.value))

    train(config, watch=intrude)
    assert said and (tmp_path / "final_model.pt").exists() and not (tmp_path / "previous-1").exists()
    train(config, resume=False)
    assert (tmp_path / "previous-1" / "final_model.pt").exists()


def test_a_resumed_and_a_complete_run_say_so(tmp_path, capsys):
    config = small_config(tmp_path)
    train(config, stop_after=3, progress=True)
    assert "resumed" not in capsys.readouterr().out
    train(config, progress=True)
    assert f"resumed at step 3 of 20 from {tmp_path / 'last.pt'}" in capsys.readouterr().out
    train(config, progress=True)
    assert f"this run is complete: 2 epochs in {tmp_path}" in capsys.readouterr().out


@pytest.mark.parametrize("method", ("add_scalar", "add_images", "add_image", "close"))
def test_a_full_log_folder_is_said_once_and_training_continues(tmp_path, monkeypatch, method):
    from torch.utils.tensorboard import SummaryWriter
    monkeypatch.setattr(SummaryWriter, method,
                        lambda *args, **options: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.warns(UserWarning, match=r"logs in .* end here \(.*No space left.*\); training continues") as said:
        history = train(small_config(log_dir=tmp_path))[1]
    assert history.complete and len(said) == 1


@pytest.mark.parametrize("channels", (2, 5))
def test_images_of_any_number_of_channels_are_logged(tmp_path, channels):
    config = small_config(log_dir=tmp_path, epochs=1, in_channels=channels)
    data = torch.rand(40, channels, 16, 16, generator=torch.Generator().manual_seed(0))
    assert train(config, data)[1].complete and any(tmp_path.iterdir())


def test_saving_does_not_change_the_run(tmp_path):
    plain, saved = train(small_config()), train(small_config(tmp_path, save_seconds=0.0, log_dir=tmp_path / "runs"))
    assert same_state(plain[0].state_dict(), saved[0].state_dict()) and curves(plain[1]) == curves(saved[1])


def test_ctrl_c_saves(tmp_path):
    script = CHILD.replace("epochs=4, save_seconds=0.0", "epochs=10_000, save_seconds=1e6, save_every=10_000") + "\n"
    script = script.replace("calls -= 1", 'calls -= 1; calls == -15 and print("going", flush=True)')
    process = subprocess.Popen([sys.executable, "-c", script, str(HERE), str(HERE.parent), str(tmp_path), "0", "",
                                "beta_vae"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "going\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    step = checkpoints.load(tmp_path / "last.pt")["step"]
    assert process.returncode != 0 and step >= 15
    assert f"KeyboardInterrupt: stopped at step {step} of 100000; call fit again to resume" in said


def test_sigterm_saves_and_the_handlers_are_put_back(tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    interrupt_at(monkeypatch, 4, signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt, match="step 4 of 20"):
        train(small_config(tmp_path))
    assert checkpoints.load(tmp_path / "last.pt")["step"] == 4
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_ctrl_c_in_the_very_last_step_is_not_swallowed(monkeypatch):
    interrupt_at(monkeypatch, 20)
    with pytest.raises(KeyboardInterrupt, match="the run is complete"):
        train(small_config())


def test_a_second_ctrl_c_does_not_wait():
    with pytest.raises(KeyboardInterrupt), system.stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        signal.raise_signal(signal.SIGINT)
        pytest.fail("not interrupted")


def test_more_epochs_continue_as_if_asked_for_at_once(tmp_path):
    model, history = train(small_config(epochs=4))
    first = train(small_config(tmp_path, epochs=2))[1]
    again, whole = train(small_config(tmp_path, epochs=4))
    assert len(first) == 2 and same_state(again.state_dict(), model.state_dict()) and curves(whole) == curves(history)
    final = checkpoints.load(tmp_path / "final_model.pt")
    assert final["epoch"] == 4 and same_state(final["model_state_dict"], model.state_dict())


@pytest.mark.parametrize("changes, said", [
    (dict(beta=2.0), "beta 4.0 there, 2.0 here"), (dict(seed=1), "seed 0 there, 1 here"),
    (dict(lr=0.5), "lr 0.001 there, 0.5 here"),
    (dict(batch_size=4), "batch_size 8 there, 4 here"),
    (dict(hidden_dims=[4, 4]), r"hidden_dims \[4, 8\] there")])
def test_other_settings_are_refused_and_named(tmp_path, changes, said):
    train(small_config(tmp_path, epochs=1))
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(ValueError, match=f"{said}.*resume=False"):
        train(small_config(tmp_path, epochs=1, **changes))
    assert (tmp_path / "last.pt").read_bytes() == before


def test_other_data_are_refused(tmp_path):
    train(small_config(tmp_path, epochs=1))
    with pytest.raises(ValueError, match="data 100 x .* there, 90 x .* here"):
        train(small_config(tmp_path, epochs=1), small_pictures(90))


def test_resume_false_moves_the_old_run_aside(tmp_path):
    old = train(small_config(tmp_path, epochs=1))[0].state_dict()
    new = train(small_config(tmp_path, epochs=1, seed=1), resume=False)[0].state_dict()
    assert same_state(checkpoints.load(tmp_path / "previous-1" / "final_model.pt")["model_state_dict"], old)
    assert same_state(checkpoints.load(tmp_path / "final_model.pt")["model_state_dict"], new)
    assert not (tmp_path / "previous-1" / "previous-1").exists()
    train(small_config(tmp_path, epochs=1, seed=2), resume=False)
    assert same_state(checkpoints.load(tmp_path / "previous-2" / "final_model.pt")["model_state_dict"], new)


@pytest.mark.parametrize("resume", (True, False))
def test_checkpoints_of_the_original_notebook_are_not_overwritten(tmp_path, resume):
    for name in ("best_model.pt", "final_model.pt"):          # it wrote no last.pt
        checkpoints.save({"epoch": 50}, tmp_path / name)
    train(small_config(tmp_path, epochs=1), resume=resume)
    assert checkpoints.load(tmp_path / "previous-1" / "best_model.pt") == {"epoch": 50}
    assert checkpoints.load(tmp_path / "final_model.pt")["epoch"] == 1


def test_a_last_checkpoint_of_something_else_is_named(tmp_path):
    checkpoints.save({"epoch": 50}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match="last.pt in .* is not of a run of fit"):
        train(small_config(tmp_path))


def test_batchnorm_of_one_pixel_needs_two_images():
    settings = dict(network="classic", hidden_dims=[4, 4, 4, 4])
    for more in (dict(batch_size=1), dict(num_images=2)):
        with pytest.raises(ValueError, match="BatchNorm needs two values .* batch_size 2 or more"):
            train(small_config(**settings, **more))
    train(small_config(**settings, batch_size=2, epochs=1), small_pictures(8))
    train(small_config(network="classic", batch_size=1, epochs=1), small_pictures(8))


def test_images_that_are_no_squares_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="the data hold .1, 16, 12.; cut or resize them to squares"):
        train(small_config(), small_pictures()[..., :12])


def test_a_log_folder_that_fills_up_leaves_no_traceback(tmp_path, monkeypatch, capfd):
    """TensorBoard writes in a thread of its own, whose end Python reports."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    def full_disk(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RecordWriter, "write", full_disk)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)       # pytest's own shows nothing
    with pytest.warns(UserWarning, match="end here"):
        assert train(small_config(log_dir=tmp_path))[1].complete
    assert "Traceback" not in capfd.readouterr().err
    threading.excepthook(threading.ExceptHookArgs((ValueError, ValueError("mine"), None, threading.current_thread())))
    assert "mine" in capfd.readouterr().err                                    # of other threads all is shown


@pytest.mark.parametrize("first, then, same",
                         [("a", "a", True), ("a", "b", False), (None, "b", False), ("a", None, False)])
def test_logs_go_on_in_their_folder_unless_log_dir_is_another(tmp_path, first, then, same):
    config, place = small_config(tmp_path / "c"), {None: None, "a": tmp_path / "a", "b": tmp_path / "b"}
    for log_dir, stop_after in ((place[first], 3), (place[then], None)):
        train(config.replace(log_dir=log_dir), stop_after=stop_after)
    written = {name: len(list(place[name].glob("*/events*"))) for name in ("a", "b")}
    assert written == ({"a": 2, "b": 0} if same else {"a": int(first == "a"), "b": int(then == "b")})
    assert len(list((tmp_path / "a").glob("*"))) == (first == "a")


def interrupt_at(monkeypatch, step, signals=signal.SIGINT):
    """Send a signal to this process in the ``step``-th step (from 1) of the next training."""
    was = runs.train_step

    def interrupted(run, *args):
        if run.step == step - 1:
            os.kill(os.getpid(), signals)
        return was(run, *args)

    monkeypatch.setattr(runs, "train_step", interrupted)


def test_an_interrupted_run_says_what_was_kept(tmp_path, monkeypatch):
    interrupt_at(monkeypatch, 3)
    for folder, words in ((tmp_path, "call fit again to resume"), (None, "nothing was kept")):
        model = new_model(small_config(folder))
        with pytest.raises(KeyboardInterrupt, match=f"stopped at step 3 of 20; .*{words}"):
            train(small_config(folder), model=model)
        assert not model.training                            # ready to be looked at


@pytest.mark.parametrize("pictures, words", [(lambda x: x * 2 - 1, "from -1 to 1: .*leave out Normalize"),
                                             (lambda x: x * 255, "from 0 to 255: divide by 255")])
def test_floats_that_are_no_pictures_are_refused(pictures, words):
    x = small_pictures().float() / 255
    x[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    with pytest.raises(ValueError, match=words):
        train(small_config(), pictures(x))
    train(small_config(epochs=1), x)


def test_a_broken_last_checkpoint_is_named_and_kept(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"half a file")
    with pytest.raises(ValueError, match="last.pt.*not a readable checkpoint"):
        train(small_config(tmp_path))
    assert (tmp_path / "last.pt").read_bytes() == b"half a file"


# Stopped on purpose, and watched

def test_stop_after_returns_the_history_of_what_was_done():
    model, history = train(small_config(), stop_after=13)
    assert not history.complete and len(history) == 1 and history.steps["step"][-1] == 12 and not model.training
    assert train(small_config())[1].complete and train(small_config(), stop_after=20)[1].complete


def test_a_watcher_is_called_at_log_points_after_epochs_and_at_the_end():
    calls = []
    train(small_config(),
          watch=lambda run: calls.append((run.event, run.step, run.epoch, len(run.history.steps["step"]))))
    assert calls == [("log", 4, 0, 1), ("log", 8, 0, 2), ("epoch", 10, 1, 3), ("log", 12, 1, 4), ("log", 16, 1, 5),
                     ("log", 20, 1, 6), ("epoch", 20, 2, 6), ("end", 20, 2, 6)]
    calls.clear()
    train(small_config(), stop_after=5,
          watch=[lambda run: calls.append(run.event), lambda run: calls.append(run.total_steps)])
    assert calls == ["log", 20, "end", 20]


@pytest.mark.parametrize("network", ("sprites", "classic"))
def test_a_watched_run_is_bit_identical_to_an_unwatched_one(network):
    """Although the watcher uses the model in both modes' ways and draws random numbers of every kind."""
    def meddle(run):
        assert not run.model.training and not torch.is_grad_enabled() and run.images_per_second > 0
        run.model(small_pictures(8) / 255)
        run.model.train()
        torch.rand(5), np.random.rand(5), random.random()

    config = small_config(network=network)
    plain, watched = train(config), train(config, watch=meddle)
    if network == "sprites":                                 # without statistics that a pass in training mode changes
        assert same_state(plain[0].state_dict(), watched[0].state_dict()) and curves(plain[1]) == curves(watched[1])
    quiet = train(config, watch=lambda run: run.model(small_pictures(8) / 255))
    assert same_state(plain[0].state_dict(), quiet[0].state_dict()) and curves(plain[1]) == curves(quiet[1])


@pytest.mark.parametrize("event, step", [("log", 5), ("log", 10), ("epoch", 10), ("end", 20)])
def test_an_exception_of_a_watcher_ends_the_training_after_a_save(tmp_path, event, step):
    def fail(run):
        torch.rand(3)
        if (run.event, run.step) == (event, step):
            raise RuntimeError("the watcher failed")

    whole = train(small_config(log_every=5))
    with pytest.raises(RuntimeError, match="the watcher failed"):
        train(small_config(tmp_path, log_every=5), watch=fail)
    assert checkpoints.load(tmp_path / "last.pt")["step"] == step
    again = train(small_config(tmp_path, log_every=5))
    assert same_state(again[0].state_dict(), whole[0].state_dict()) and curves(again[1]) == curves(whole[1])


# Losses that are no longer numbers

def test_nan_in_an_image_names_the_step_and_keeps_the_last_good_checkpoint(tmp_path):
    config = small_config(tmp_path, save_seconds=0.0, log_every=50)
    images = small_pictures() / 255
    third = Run(new_model(config), Images(images), config, "cpu").batches()[2]
    images[third[0], 0, 3, 3] = float("nan")
    said = r"nan at step 3 \(epoch 1\); .*NaN in the images.*last good checkpoint is .*last.pt"
    with pytest.raises(FloatingPointError, match=said):
        train(config, TensorDataset(images))
    state = checkpoints.load(tmp_path / "last.pt")
    assert state["step"] == 2 and all(v.isfinite().all() for v in state["model_state_dict"].values())


def test_nan_among_the_validation_images_stops_too(tmp_path):
    config = small_config(tmp_path)
    images = small_pictures() / 255
    images[Run(new_model(config), Images(images), config, "cpu").held_out[0]] = float("nan")
    with pytest.raises(FloatingPointError, match="validation"):
        train(config, list(images))              # read item by item: not all values are looked at before


def test_weights_that_are_no_numbers_are_never_saved(tmp_path):
    config = small_config(tmp_path, save_seconds=0.0)
    model, calls = new_model(config), []

    def spoil(gradient):                                      # the loss of step 5 is fine, its gradient is not
        calls.append(1)
        return gradient * float("nan") if len(calls) == 5 else gradient

    model.encoder.fc_mu.weight.register_hook(spoil)
    with pytest.raises(FloatingPointError):
        train(config, model=model)
    state = checkpoints.load(tmp_path / "last.pt")
    assert state["step"] == 4 and all(v.isfinite().all() for v in state["model_state_dict"].values())


def test_a_learning_rate_far_too_high_is_named():
    said = r"step \d+ \(epoch 1\); the KL overflowed.*learning rate \(100\).*no checkpoint"
    with pytest.raises(FloatingPointError, match=said):
        train(small_config(lr=100.0, grad_clip=0.0, log_every=1))
