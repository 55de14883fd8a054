"""Runs killed at random moments (SIGKILL): every one is resumed, and ends with the bits of the run that was never
stopped."""

import multiprocessing
import os
import random
import time

import torch
from conftest import new_model, same_state, small_config, small_pictures

from bvae_helpers import checkpoints
from bvae_helpers.training import fit

KINDS = {"plain": {}, "factorvae": dict(objective="factorvae", discriminator_width=4), "flip": dict(flip=True),
         "classic, cosine": dict(network="classic", lr_schedule="cosine"),
         "annealed": dict(objective="annealed", capacity_steps=20), "log": dict(log_dir="log"),
         "btcvae, decreasing": dict(objective="btcvae", beta_schedule="decreasing", schedule_steps=15)}
EPOCHS, SAVES = 3, 4              # and saves inside an epoch: at every SAVES-th step or so
START = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
START.set_forkserver_preload(["bvae_helpers.training", "torch._dynamo"])        # imported once, not in every process


def settings(folder, kind):
    """A run of some 30 steps, saved at every step."""
    changes = dict(KINDS[kind])
    if "log_dir" in changes:
        changes["log_dir"] = str(folder / "log")
    return small_config(str(folder / "run"), epochs=EPOCHS, save_seconds=0.0, save_every=1, **changes)


def train_slowly(config, line):
    """Train in a process of its own, and say so before each step."""
    torch.set_num_threads(1)
    images = small_pictures()
    line.send("ready")
    fit(new_model(config), images, config, progress=False, device="cpu")
    line.send("done")


def kill(config, rng):
    """Start the run, and kill it after a random time -> whether it had ended before."""
    here, there = START.Pipe(duplex=False)
    process = START.Process(target=train_slowly, args=(config, there))
    process.start()
    there.close()
    here.recv()
    start = time.monotonic()
    ended = here.poll(rng.random() ** 2 * kill.seconds)
    if ended:
        kill.seconds = max(0.05, time.monotonic() - start)           # how long such a run takes on this machine
    else:
        kill.seconds *= 1.02
    process.kill()
    process.join()
    return ended


kill.seconds = 1.0


def run(count, seed, folder):
    """``count`` kills of runs of all kinds; each run is killed one to three times, resumed, and compared."""
    wholes, kills, resumed, rng = {}, 0, 0, random.Random(seed)
    while kills < count:
        kind, here = rng.choice(sorted(KINDS)), folder / f"{resumed}"
        if kind not in wholes:
            config = settings(folder / "whole", kind).replace(save_dir=None, log_dir=None)
            model = new_model(config)
            history = fit(model, small_pictures(), config, progress=False, device="cpu")
            wholes[kind] = model.state_dict(), history["val_loss"]
        config, name = settings(here, kind), f"run {resumed} of seed {seed}, {kind}"
        for _ in range(rng.choice((1, 1, 2, 3))):
            kills += not kill(config, rng)
            for file in (here / "run").glob("*.pt"):
                checkpoints.load(file)                              # whole, whatever the moment
        model = new_model(config)
        history = fit(model, small_pictures(), config, progress=False, device="cpu")
        assert same_state(model.state_dict(),
                          wholes[kind][0]) and history["val_loss"] == wholes[kind][1], f"{name}: other bits"
        left = {path.name for path in (here / "run").iterdir()} - {"best_model.pt", "last.pt", "final_model.pt"}
        assert left == {f"checkpoint_epoch_{n}.pt" for n in range(1, EPOCHS + 1)}, f"{name}: {sorted(left)}"
        resumed += 1
    return f"{kills} kills of {resumed} runs of {len(wholes)} kinds; every one resumed to the same bits"


def test_a_few(tmp_path):
    run(3, 0, tmp_path)
