"""Saved whole or not at all, loaded without running anything, moved aside and never overwritten."""

import errno
import io
import os
import random
import resource
import zipfile

import numpy as np
import pytest
import torch
from conftest import new_model, same_state, small_config
from torch import nn

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


@pytest.mark.parametrize("state", ([1, 2], {"epoch": 1}, {"model_state_dict": {}}, {"model_state_dict": [1]},
                                   {"model_state_dict": {1: torch.zeros(2)}},
                                   {"encoder.fc_mu.weight": torch.zeros(2, 3)}))
def test_load_model_says_what_is_missing(tmp_path, state):
    C.save(state, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="x.pt.*weights"):
        C.load_model(tmp_path / "x.pt")


@pytest.mark.parametrize("network, channels, dims, latents, size", [
    ("classic", 3, [32, 64, 128, 256], 128, 64), ("classic", 1, [4], 2, 16), ("sprites", 1, [32, 32, 64, 64], 10, 64)])
def test_load_model_reads_the_network_off_the_weights(tmp_path, network, channels, dims, latents, size):
    """The original notebook's best_model.pt and checkpoint_epoch_n.pt hold no settings."""
    model = BetaVAE(channels, latents, dims, img_size=size, network=network).eval()
    x = torch.rand(2, channels, size, size)
    original = {"epoch": 3, "model_state_dict": model.state_dict(), "optimizer_state_dict": {}, "val_loss": 1.0}
    for state in (original, model.state_dict()):
        C.save(state, tmp_path / "best_model.pt")
        loaded = C.load_model(tmp_path / "best_model.pt")
        assert torch.equal(loaded.encode(x), model.encode(x)) and loaded.config.latent_dim == latents


@pytest.mark.parametrize("wrap", (lambda m: {f"_orig_mod.{k}": v for k, v in m.items()},
                                  lambda m: {f"module.{k}": v for k, v in m.items()},
                                  lambda m: {f"module._orig_mod.{k}": v for k, v in m.items()},
                                  lambda m: {k.replace("encoder.", "encoder._orig_mod.", 1): v for k, v in m.items()}))
def test_load_model_reads_weights_of_wrapped_models(tmp_path, wrap):
    config = small_config()
    model = new_model(config)
    C.save({"model_state_dict": wrap(model.state_dict()), "config": config.to_dict()}, tmp_path / "x.pt")
    assert same_state(C.load_model(tmp_path / "x.pt").state_dict(), model.state_dict())


@pytest.mark.parametrize("place, prefix, said", [
    ("state_dict", "", "the weights in 'state_dict'\n"), ("model", "", "the weights in 'model'\n"),
    ("", "model.", "the weights whose names begin with 'model.'\n"),
    ("state_dict", "module.vae._orig_mod.", "the weights in 'state_dict' whose names begin with 'vae.'\n")])
def test_load_model_finds_the_weights_of_other_programs(tmp_path, capsys, place, prefix, said):
    model = new_model(small_config())
    weights = {prefix + key: value for key, value in model.state_dict().items()}
    C.save({place: weights, "epoch": 3} if place else weights, tmp_path / "x.pt")
    loaded = C.load_model(tmp_path / "x.pt")
    assert same_state(loaded.state_dict(), model.state_dict()) and loaded.trained_on is None
    assert capsys.readouterr().out.endswith(said)


def test_load_model_takes_one_model_only(tmp_path):
    weights = new_model(small_config()).state_dict()
    two = {f"{part}.{key}": value for part in ("ema", "model") for key, value in weights.items()}
    for state, said in (({"model": weights, "ema": weights}, "'model' and 'ema'"), (two, "'ema.' and 'model.'")):
        C.save(state, tmp_path / "x.pt")
        with pytest.raises(ValueError, match=f"x.pt.*several models, {said}: save the state_dict"):
            C.load_model(tmp_path / "x.pt")


def test_load_model_leaves_settings_of_other_programs_out(tmp_path, capsys):
    config = small_config(beta=2.0)
    weights = new_model(config).state_dict()
    for settings in ({**config.to_dict(), "device": "cuda", "workers": 4}, {"beta": 2.0, "device": 1, "workers": 4}):
        C.save({"model_state_dict": weights, "config": settings}, tmp_path / "x.pt")
        loaded = C.load_model(tmp_path / "x.pt")
        assert capsys.readouterr().out.endswith("left out settings of another program: device, workers\n")
        assert same_state(loaded.state_dict(), weights) and loaded.beta == 2.0


class Odd(nn.Module):
    """A class that torch does not know."""


@pytest.mark.parametrize("write, said", [
    (lambda path: torch.save(Odd(), path), r"it holds a \S+\.Odd, .*torch.save.model.state_dict"),
    (lambda path: torch.save({}, path, _use_new_zipfile_serialization=False), "a pickle, as torch.save wrote before"),
    (lambda path: path.write_bytes(b"{}"), "safetensors.torch.load_file")])
def test_files_of_other_programs_are_recognised(tmp_path, write, said):
    write(tmp_path / "x.safetensors" if "safetensors" in said else tmp_path / "x.pt")
    with pytest.raises(ValueError, match=f"not a readable checkpoint .*{said}"):
        C.load(next(tmp_path.iterdir()))
    with pytest.raises(FileNotFoundError, match="it is a folder, which holds (x.pt|no .pt file)"):
        C.load(tmp_path)


def test_a_device_that_is_not_there_is_no_fault_of_the_file(tmp_path):
    C.save(STATE, tmp_path / "x.pt")
    with pytest.raises(RuntimeError, match="mps|cuda|NVIDIA"):
        C.load(tmp_path / "x.pt", "cuda:99" if torch.cuda.is_available() else "cuda")


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    C.save(STATE, "~/x.pt")
    assert os.listdir(tmp_path) == ["x.pt"] and C.load("~/x.pt")["epoch"] == 3


def test_load_model_names_the_weights_that_do_not_fit(tmp_path):
    config = small_config()
    weights = new_model(config).state_dict()
    weights.pop("encoder.fc_var.bias")
    weights["more"] = torch.zeros(1)
    for n in range(2):
        weights[f"encoder.encoder.{n}.0.bias"] = torch.zeros(5)
    for state in ({"config": config.to_dict()}, {"config": config.replace(img_size=32).to_dict()}):
        C.save({"model_state_dict": weights, **state}, tmp_path / "x.pt")
        with pytest.raises(ValueError, match="do not fit its settings") as error:
            C.load_model(tmp_path / "x.pt")
        for words in ("encoder.fc_var.bias: missing", "more: not expected"):
            assert words in str(error.value)
        assert len(str(error.value).splitlines()) <= 7
    assert "... and" in str(error.value)


def allocated(path):
    """The largest block that numpy, torch or Python allocates while a model is loaded, as far as the process grows."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="do not fit|no model can be built|not a readable"):
        C.load_model(path)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3


def test_a_small_file_cannot_fill_the_memory(tmp_path):
    path, config = tmp_path / "x.pt", small_config()
    weights = new_model(config).state_dict()
    huge = config.replace(img_size=1024, hidden_dims=[256, 256], network="classic").to_dict()     # 8 GB of weights
    expanded = {**weights, "encoder.fc_mu.weight": torch.zeros(1, 1).expand(3, 10 ** 8)}
    for state in ({"model_state_dict": weights, "config": huge},
                  {"model_state_dict": expanded, "config": config.to_dict()},
                  {"model_state_dict": weights, "config": config.to_dict(), "more": bytearray(100)}):
        torch.save(state, path)
        assert allocated(path) < 100


def test_a_compressed_archive_is_refused(tmp_path):
    C.save({"zeros": torch.zeros(10 ** 6)}, tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as whole, zipfile.ZipFile(tmp_path / "y.pt", "w",
                                                                      zipfile.ZIP_DEFLATED) as packed:
        for member in whole.infolist():
            packed.writestr(member.filename, whole.read(member))
    with pytest.raises(ValueError, match="compressed"):
        C.load(tmp_path / "y.pt")


def test_a_flipped_bit_is_not_another_weight(tmp_path):
    C.save(STATE, tmp_path / "x.pt")
    whole = bytearray((tmp_path / "x.pt").read_bytes())
    place = whole.index(STATE["weights"].numpy().tobytes())
    whole[place + 2001] ^= 1
    (tmp_path / "x.pt").write_bytes(whole)
    with pytest.raises(ValueError, match="CRC"):
        C.load(tmp_path / "x.pt")


@pytest.mark.parametrize("error", (OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()))
def test_an_error_inside_a_save_is_raised_as_it_is(tmp_path, monkeypatch, error):
    """Of a file that is full, or a write that is interrupted: torch.save would report "unexpected pos" instead."""

    class Full(io.FileIO):
        def write(self, data):
            if self.tell() + len(data) > 2000:
                raise error
            return super().write(data)

    C.save(STATE, tmp_path / "last.pt")
    with monkeypatch.context() as patch, pytest.raises(type(error)) as raised:
        patch.setattr("builtins.open", lambda path, mode: Full(path, mode))
        C.save({"weights": torch.zeros(10_000)}, tmp_path / "last.pt")
    if isinstance(error, OSError):
        assert "No space left" in str(raised.value) and "last.pt" in str(raised.value) and "kept" in str(raised.value)
    assert C.load(tmp_path / "last.pt")["epoch"] == 3 and os.listdir(tmp_path) == ["last.pt"]


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
