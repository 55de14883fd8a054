"""Saved whole or not at all, loaded without running anything, moved aside and never overwritten."""

import os
import random

import numpy as np
import pytest
import torch
from conftest import new_model, same_state, small_config

from bvae_helpers import checkpoints as C
from bvae_helpers.config import Config
from bvae_helpers.model import BetaVAE

STATE = {"weights": torch.arange(1000.0), "epoch": 3}


@pytest.mark.parametrize("crash_in", ("torch.save", "os.fsync", "os.replace"))
def test_a_crash_while_saving_leaves_the_old_file_whole(tmp_path, monkeypatch, crash_in):
    path = tmp_path / "last.pt"
    C.save(STATE, path)

    def crash(state, file, *args):
        if crash_in == "torch.save":
            file.write(b"half a check")
        raise OSError("No space left on device")

    with monkeypatch.context() as patch, pytest.raises((OSError, TypeError)):
        patch.setattr(crash_in, crash if crash_in != "os.fsync" else lambda file: crash(None, file))
        C.save({"weights": torch.zeros(1), "epoch": 4}, path)
    assert C.load(path)["epoch"] == 3 and torch.equal(C.load(path)["weights"], STATE["weights"])
    assert os.listdir(tmp_path) == ["last.pt"]               # and nothing half-written beside it
    C.save({"epoch": 5}, path)
    assert C.load(path) == {"epoch": 5}


def test_save_makes_the_folder_and_load_reads_weights_only(tmp_path):
    C.save(STATE, tmp_path / "a" / "b" / "x.pt")
    assert torch.equal(torch.load(tmp_path / "a" / "b" / "x.pt", weights_only=True)["weights"], STATE["weights"])


class Bomb:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


def test_a_checkpoint_cannot_run_code(tmp_path):
    torch.save({"model_state_dict": Bomb(tmp_path / "mark")}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="x.pt.*not a readable checkpoint"):
        C.load(tmp_path / "x.pt")
    assert not (tmp_path / "mark").exists()


def test_garbage_is_a_value_error(tmp_path):
    path = tmp_path / "x.pt"
    C.save(STATE, path)
    whole = path.read_bytes()
    noise = random.Random(0).randbytes
    cut = [whole[:100], whole[: len(whole) // 2], whole[:-30]]
    for content in (b"", b"\n", b"hello, I am no checkpoint", noise(1000), *cut, b"PK\x03\x04" + noise(200)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a readable checkpoint"):
            C.load(path)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        C.load(tmp_path / "missing.pt")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_file_of_any_first_byte_is_a_value_error(tmp_path):
    for first in range(256):                     # every opcode of a pickle, without what it needs
        (tmp_path / "x.pt").write_bytes(bytes([first]) * 3)
        with pytest.raises(ValueError, match="not a readable checkpoint"):
            C.load(tmp_path / "x.pt")


def test_load_model(tmp_path):
    config = small_config(network="classic", beta=2.0)
    model = new_model(config)
    C.save({"model_state_dict": model.state_dict(), "config": config.to_dict()}, tmp_path / "x.pt")
    loaded = C.load_model(tmp_path / "x.pt")
    assert same_state(loaded.state_dict(), model.state_dict()) and not loaded.training and loaded.beta == 2.0
    assert loaded.config.to_dict() == config.to_dict()


def test_load_model_reads_checkpoints_of_the_original_notebook(tmp_path):
    config = {"data_path": "./x", "batch_size": 32, "img_size": 32, "latent_dim": 8, "hidden_dims": [4, 8], "beta": 4.0,
              "lr": 1e-4, "epochs": 50, "save_dir": "./checkpoints", "log_dir": "./runs"}
    old = BetaVAE(3, 8, [4, 8], img_size=32)
    torch.save({"epoch": 50, "model_state_dict": old.state_dict(), "optimizer_state_dict": {}, "val_loss": 1.0,
                "config": config}, tmp_path / "final_model.pt")
    loaded = C.load_model(tmp_path / "final_model.pt")
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded.encode(x), old.eval().encode(x)) and loaded.network == "classic"


def test_load_model_takes_half_precision_weights(tmp_path):
    config = small_config()
    model = new_model(config)
    weights = {k: v.half() for k, v in model.state_dict().items()}
    C.save({"model_state_dict": weights, "config": config.to_dict()}, tmp_path / "x.pt")
    assert next(C.load_model(tmp_path / "x.pt").parameters()).dtype is torch.float32


@pytest.mark.parametrize("state", ([1, 2], {"epoch": 1}, {"model_state_dict": {}}))
def test_load_model_says_what_is_missing(tmp_path, state):
    C.save(state, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="no 'model_state_dict' and 'config'"):
        C.load_model(tmp_path / "x.pt")


def test_pretrained_models():
    with pytest.raises(ValueError, match="no pretrained model 'resnet'"):
        C.load_pretrained("resnet")
    for name in C.pretrained_names():
        model = C.load_pretrained(name)
        assert not model.training and isinstance(model.card, dict) and isinstance(model.config, Config)


def test_random_states_come_back(tmp_path):
    np.random.standard_normal()                  # leaves one number in NumPy's drawer
    C.save(C.rng_state(), tmp_path / "x.pt")     # plain enough for weights_only

    def draw():
        return torch.rand(3).tolist(), random.random(), np.random.standard_normal(3).tolist()

    first = draw()
    assert draw() != first
    C.set_rng_state(C.load(tmp_path / "x.pt"))
    assert draw() == first


def test_move_aside_never_overwrites(tmp_path):
    for round in (1, 2, 3):
        C.save({"round": round}, tmp_path / "last.pt")
        C.save({"round": round}, tmp_path / "best_model.pt")
        (tmp_path / "notes.txt").write_text("mine")
        C.move_aside(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", "previous-1", "previous-2", "previous-3"]
    for round in (1, 2, 3):
        for name in ("last.pt", "best_model.pt"):
            assert C.load(tmp_path / f"previous-{round}" / name) == {"round": round}


def test_check_same_run_names_every_difference():
    state = {"config": small_config("x").to_dict(), "data": "100 x (1, 16, 16), abc"}
    C.check_same_run(state, small_config("y", epochs=9, save_every=3, log_every=1), state["data"])   # may differ
    with pytest.raises(ValueError, match="beta 4.0 there, 2.0 here; seed 0 there, 1 here.*resume=False"):
        C.check_same_run(state, small_config("x", beta=2.0, seed=1), state["data"])
    with pytest.raises(ValueError, match="data 100 x .* there, 50 x"):
        C.check_same_run(state, small_config("x"), "50 x (1, 16, 16), def")
    cosine = {**state, "config": small_config("x", lr_schedule="cosine").to_dict()}
    with pytest.raises(ValueError, match="epochs 2 there, 9 here"):      # its learning rates depend on the end
        C.check_same_run(cosine, small_config("x", lr_schedule="cosine", epochs=9), state["data"])
