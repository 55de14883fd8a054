"""python -m bvae_helpers: every setting has its flag, the commands work, errors are short and have exit code 2."""

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields

import pytest
import torch
from conftest import new_model, small_config, small_pictures
from PIL import Image

from bvae_helpers import __main__ as cli
from bvae_helpers import checkpoints
from bvae_helpers.__main__ import main, make_parser
from bvae_helpers.config import Config, kind_of
from bvae_helpers.training import fit, results

TINY = ["train", "--preset", "sprites", "--num-images", "48", "--epochs", "1", "--batch-size", "16",
        "--hidden-dims", "4", "8", "--latent-dim", "3", "--device", "cpu"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    main([*TINY, "--save-dir", str(folder), "--log-dir", "none"])
    return str(folder / "best_model.pt")


def error_of(capsys, arguments):
    """The one line of an error, whose exit code must be 2."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and len(said.strip().splitlines()) == 1 and "error: " in said
    return said


def settings(monkeypatch, arguments):
    """The Config that ``train`` would use."""
    seen = []

    class Enough(BaseException):
        pass

    def look(config):
        seen.append(config)
        raise Enough

    monkeypatch.setattr("bvae_helpers.data.load_data", look)
    with pytest.raises(Enough):
        main(["train", *arguments])
    return seen[0]


@pytest.mark.parametrize("name", [f.name for f in fields(Config)])
def test_every_setting_has_a_flag_that_reaches_it(name, monkeypatch):
    f = next(f for f in fields(Config) if f.name == name)
    kind, choices = kind_of(f), f.metadata["choices"]
    flag = "--" + name.replace("_", "-")
    text, value = {bool: ([], True), int: (["16"], 16), float: (["0.25"], 0.25), list[int]: (["8", "16"], [8, 16]),
                   str: ([choices[-1]], choices[-1]) if choices else (["somewhere"], "somewhere")}[kind]
    assert getattr(Config(), name) != value
    assert getattr(settings(monkeypatch, [flag, *text]), name) == value


def test_settings_that_may_be_none(monkeypatch):
    config = settings(monkeypatch, ["--save-dir", "none", "--log-dir", "None", "--num-images", "none"])
    assert (config.save_dir, config.log_dir, config.num_images) == (None, None, None)


def test_preset_then_flags(monkeypatch):
    config = settings(monkeypatch, ["--preset", "sprites", "--beta", "6"])
    assert config == Config.sprites(beta=6.0)
    assert settings(monkeypatch, ["--preset", "falling", "--seed", "2"]) == Config.falling(seed=2)


@pytest.mark.parametrize("name, text", [("run.json", json.dumps({"beta": 2.5, "learning_rate": 0.01})),
                                        ("run.toml", "beta = 2.5\nlearning_rate = 0.01\n")])
def test_settings_from_a_file_then_flags(folder, monkeypatch, name, text):
    (folder / name).write_text(text)
    config = settings(monkeypatch, ["--config", name, "--lr", "0.02"])
    assert config == Config(beta=2.5, lr=0.02)


def test_train_writes_checkpoints_and_resumes(folder, capsys):
    main([*TINY, "--save-dir", "made", "--log-dir", "none"])
    state = checkpoints.load("made/last.pt")
    assert state["epoch"] == 1 and state["config"]["hidden_dims"] == [4, 8] and state["config"]["log_dir"] is None
    assert not (folder / "runs").exists()
    main([*TINY, "--save-dir", "made", "--log-dir", "none", "--epochs", "2"])
    assert checkpoints.load("made/last.pt")["epoch"] == 2
    assert "made/best_model.pt" in capsys.readouterr().out
    main([*TINY, "--save-dir", "made", "--log-dir", "none", "--no-resume"])
    assert checkpoints.load("made/last.pt")["epoch"] == 1
    assert checkpoints.load("made/previous-1/last.pt")["epoch"] == 2


def test_stopped_training_says_how_to_resume(folder, capsys, monkeypatch):
    def stopped_fit(*args, **options):
        raise KeyboardInterrupt("stopped at step 1")

    monkeypatch.setattr("bvae_helpers.training.fit", stopped_fit)
    with pytest.raises(SystemExit) as stopped:
        main([*TINY, "--save-dir", "made", "--log-dir", "none"])
    said = capsys.readouterr().err
    assert stopped.value.code == 130 and "stopped at step 1" in said and "repeat the command" in said


def test_evaluate_a_checkpoint(trained, capsys):
    main(["evaluate", trained, "--images", "64", "--device", "cpu"])
    words = capsys.readouterr().out.split()
    value = {name: float(words[words.index(name) + 1]) for name in ("loss", "reconstruction", "kl", "MIG")}
    assert value["loss"] == pytest.approx(value["reconstruction"] + 4 * value["kl"], abs=0.01)
    assert value["reconstruction"] > 100 and 0 <= value["MIG"] <= 1


def test_evaluate_with_all_scores(trained, capsys):
    main(["evaluate", trained, "--images", "150", "--device", "cpu", "--scores", "--no-baselines"])
    said = capsys.readouterr().out
    for score in ("beta_vae", "factor_vae", "dci_disentanglement", "infomec_modularity",
                  "evaluation seeds 100, 101, 102"):
        assert score in said


@pytest.mark.parametrize("name", ("btcvae", "faces"))
def test_evaluate_a_pretrained_model_agrees_with_its_card(name, capsys):
    """In sprites and in faces; tests/test_pretrained.py compares every model with its card."""
    main(["evaluate", name, "--images", "1000", "--device", "cpu"])
    words = capsys.readouterr().out.split()
    card = checkpoints.load_pretrained(name).card
    assert float(words[words.index("kl") + 1]) == pytest.approx(card["scores"]["kl"], rel=0.05)
    assert float(words[words.index("MIG") + 1]) == pytest.approx(card["scores"]["mig"], abs=0.06)


def test_folder_of_pictures(folder, capsys):
    """Pictures in, a trained model out, measured on its validation images; no factors, so no MIG."""
    (folder / "pictures").mkdir()
    for k in range(20):
        Image.new("RGB", (20 + k, 30), (12 * k, 200, 30)).save(folder / "pictures" / f"{k}.png")
    main(["train", "--data-path", "pictures", "--img-size", "16", "--epochs", "1", "--batch-size", "8", "--hidden-dims",
          "4", "--latent-dim", "2", "--save-dir", "made", "--log-dir", "none", "--device", "cpu"])
    capsys.readouterr()
    main(["evaluate", "made/final_model.pt", "--device", "cpu"])
    said = capsys.readouterr().out
    assert said.startswith("4 images") and "MIG" not in said
    main(["traverse", "made/final_model.pt", "--steps", "3", "--device", "cpu"])
    assert Image.open("traversal.png").width > 100


def test_a_run_on_other_images_than_the_folder_holds_is_not_measured_on_those(folder, capsys):
    """A tensor was trained on, and the config's data_path, which nobody looked at, is a folder of other pictures."""
    config = small_config("made", data_path="pictures")
    fit(new_model(config), small_pictures(40), config, progress=False, device="cpu")
    for command in (["evaluate"], ["traverse"], ["export"]):
        said = error_of(capsys, [*command, "made/final_model.pt", "--device", "cpu"])
        assert "no folder at 'pictures'" in said and "--data-path names those to measure on" in said
    (folder / "pictures").mkdir()
    for k in range(20):
        Image.new("L", (20, 20), 12 * k).save(folder / "pictures" / f"{k}.png")
    for command in (["evaluate"], ["traverse"], ["export"]):
        said = error_of(capsys, [*command, "made/final_model.pt", "--device", "cpu"])
        assert "was trained on other images (40 x (1, 16, 16), " in said and "now (20 x (1, 16, 16), " in said
    main(["evaluate", "made/final_model.pt", "--data-path", "pictures", "--device", "cpu"])
    assert capsys.readouterr().out.startswith("20 images")


def test_the_home_folder_in_every_path(folder, trained, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    for row in results.shipped():
        results.add("~/made.csv", row)
    shutil.copy(trained, folder / "copy.pt")
    main(["traverse", "~/copy.pt", "--images", "64", "--out", "~/t.png", "--steps", "3", "--device", "cpu",
          "--data-path", "sprites"])
    main(["export", "~/copy.pt", "--images", "64", "--out", "~/t.html", "--device", "cpu", "--data-path", "sprites"])
    main(["tradeoff", "~/made.csv", "--out", "~/u.png"])
    assert {"t.png", "t.html", "u.png", "made.csv"} <= set(os.listdir(folder)) and "~" not in os.listdir(folder)


def test_traverse_draws_a_picture(trained, folder, capsys):
    main(["traverse", trained, "--images", "64", "--out", "figures/t.png", "--steps", "5", "--device", "cpu"])
    assert "figures/t.png" in capsys.readouterr().out
    picture = Image.open("figures/t.png").convert("L")
    assert min(picture.size) > 200 and picture.getextrema() == (0, 255)


def test_export_writes_a_page(trained, folder, capsys):
    """Of one model or of several, made of the files or names given, on fresh images with factors."""
    main(["export", trained, "--data-path", "sprites", "--images", "64", "--out", "pages/t.html", "--device", "cpu"])
    assert "wrote pages/t.html" in capsys.readouterr().out
    assert os.listdir("pages") == ["t.html"]
    main(["export", "btcvae", "vae", "--images", "64", "--device", "cpu"])
    page = open("latents.html", encoding="utf-8").read()
    assert '"name": "btcvae"' in page and '"name": "vae"' in page and "posX" in page


@pytest.mark.parametrize("arguments, words", [
    (["train", "--beta", "-1"], "beta must be a number from 0"),
    (["train", "--lr", "fast"], "invalid float value: 'fast'"),
    (["train", "--objective", "gan"], "objective must be beta_vae"),
    (["train", "--betta", "2"], "--betta"),
    (["train", "--data-path", "nowhere"], "no folder at 'nowhere'"),
    (["train", "--data-path", "nowhere.npz"], "no file at 'nowhere.npz'"),
    (["train", "--config", "nowhere.json"], "nowhere.json"),
    (["train", "--config", "a.json", "--preset", "sprites"], "not allowed with"),
    (["train", "--preset", "sprites", "--num-images", "48", "--in-channels", "3"], "set in_channels and img_size"),
    ([*TINY, "--device", "abacus"], "no such device: 'abacus'"),
    ([*TINY, "--device", "cuda:99"], "no 'cuda:99' here"),
    (["evaluate", "btcvae", "--device", "cuda:99"], "no 'cuda:99' here"),
    (["evaluate", "nothing"], "no checkpoint at 'nothing'"),
    (["evaluate", "broken.pt"], "not a readable checkpoint"),
    (["evaluate", "btcvae", "--images", "1"], "--images must be at least 2"),
    (["evaluate", "btcvae", "--images", "5"], "5 samples are fewer"),
    (["evaluate", "btcvae", "--scores", "--data-path", "pictures"], "--scores compares latents with the factors"),
    (["traverse", "btcvae", "--images", "64", "--out", "t.nothing"], "must end in .png, .pdf, .svg or .jpg"),
    (["traverse", "btcvae", "--images", "64", "--out", "/"], "'/' must end in .png"),
    (["export", "btcvae", "--images", "64", "--out", "pictures"], "'pictures' could not be written (it is a folder"),
    (["evaluate", "btcvae", "--images", "20", "--data-path", "faces"],
     "takes images of shape (1, 64, 64), those of 'faces' have (3, 64, 64): name others with --data-path"),
    (["traverse", "btcvae", "--images", "20", "--data-path", "faces"], "those of 'faces' have (3, 64, 64)"),
    (["export", "btcvae", "--images", "20", "--data-path", "faces"], "those of 'faces' have (3, 64, 64)"),
    (["tradeoff", "nowhere.csv"], "no table at 'nowhere.csv'; python -m bvae_helpers sweep makes one"),
    (["sweep", "--seed", "3:3"], "the range '3:3' is empty"),
    (["sweep", "--seed", "5:3"], "the range '5:3' is empty"),
    (["sweep", "--seed", "0:1000000000"], "has more than 100,000 numbers"),
    (["sweep", "--seed", "0:x"], "'0:x' is not a range of whole numbers"),
    (["sweep", "--seed", "0:9:2"], "'0:9:2' is not a range of whole numbers"),
    (["sweep", "--beta", "1,x"], "invalid float or list value: '1,x'"),
    ([], "required"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_errors_are_one_line(folder, capsys, arguments, words):
    (folder / "broken.pt").write_bytes(b"PK but no archive")
    (folder / "pictures").mkdir()
    for k in range(4):
        Image.new("L", (64, 64), 60 * k).save(folder / "pictures" / f"{k}.png")
    assert words in error_of(capsys, arguments)


def test_unknown_key_in_a_file_names_the_nearest(folder, capsys):
    (folder / "run.json").write_text('{"latent_dims": 3}')
    assert "'latent_dim'" in error_of(capsys, ["train", "--config", "run.json"])


def test_traceback_on_request(folder):
    with pytest.raises(FileNotFoundError):
        main(["train", "--data-path", "nowhere", "--traceback"])


def test_help_names_every_setting_with_its_default(capsys):
    with pytest.raises(SystemExit) as stopped:
        make_parser().parse_args(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert stopped.value.code == 0
    for f in fields(Config):
        assert f"--{f.name.replace('_', '-')}" in said and f.metadata["help"].split(";")[0] in said


def test_an_error_of_several_lines_is_shown_whole(folder, trained, capsys):
    """A checkpoint whose weights do not fit its own settings: the message names the weights, line by line."""
    state = checkpoints.load(trained)
    state["model_state_dict"].pop("encoder.fc_mu.weight")
    torch.save(state, "lacking.pt")
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "lacking.pt", "--device", "cpu"])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "encoder.fc_mu.weight" in said and "Traceback" not in said


def test_messages_keep_their_lines_and_lose_control_characters():
    assert cli.message_of(ValueError("first\n\tsecond \x1b[31m")) == "first\n second \\x1b[31m"
    assert cli.message_of(RuntimeError("\n".join(map(str, range(30))))).endswith("... and 10 more lines (--traceback "
                                                                                 "shows all)")
    assert cli.message_of(KeyError("z9")) == "KeyError: 'z9' (--traceback shows where)"
    assert cli.message_of(ValueError()) == "ValueError:  (--traceback shows where)"


def test_an_unexpected_error_shows_no_traceback(folder, capsys, monkeypatch):
    def broken(args):
        raise KeyError("z9")

    monkeypatch.setattr(cli, "run_traverse", broken)
    assert "KeyError: 'z9'" in error_of(capsys, ["traverse", "btcvae"])


def test_ranges():
    assert cli.read_range("0:5") == [0, 1, 2, 3, 4] and cli.read_range("-1:1") == [-1, 0]


def test_a_picture_is_written_whole_or_not_at_all(trained, folder, capsys, monkeypatch):
    """The disk fills up in the middle: the old picture is untouched, and no part of the new one is left."""
    from matplotlib.figure import Figure

    def full_disk(self, file, **options):
        file.write(b"half a picture")
        raise OSError(28, "No space left on device")

    (folder / "t.png").write_bytes(b"the old picture")
    monkeypatch.setattr(Figure, "savefig", full_disk)
    said = error_of(capsys, ["traverse", trained, "--images", "64", "--out", "t.png", "--device", "cpu"])
    assert "'t.png' could not be written (No space left on device); what was there before is kept" in said
    assert (folder / "t.png").read_bytes() == b"the old picture"
    assert [path.name for path in folder.iterdir() if "t.png" in path.name] == ["t.png"]


def python_m(*arguments, **environment):
    return subprocess.run([sys.executable, "-m", "bvae_helpers", *arguments], capture_output=True, text=True,
                          env={**os.environ, **environment})


def test_runs_as_a_module():
    run = python_m("evaluate", "nothing")
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and "Traceback" not in run.stderr


@pytest.mark.parametrize("given, spins",
                         [({}, "6000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")])
def test_threads_spin_briefly_unless_the_user_says_how_they_wait(given, spins):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import bvae_helpers, os, sys; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**environment, **given},
                         check=True)
    assert run.stdout.split() == [spins, "False"]


def test_a_terminal_that_only_knows_ascii(folder):
    """Progress, results, and a file name it cannot show."""
    made = python_m(*TINY, "--save-dir", "g\u00e4nge", "--log-dir", "none", PYTHONIOENCODING="ascii")
    assert made.returncode == 0, made.stderr
    assert "g?nge/best_model.pt" in made.stdout and (folder / "g\u00e4nge" / "best_model.pt").exists()
    refused = python_m("evaluate", "\u03b2.pt", PYTHONIOENCODING="ascii")
    assert refused.returncode == 2 and "no checkpoint at" in refused.stderr and "Traceback" not in refused.stderr


def test_a_file_name_cannot_steer_the_terminal(trained, folder, capsys):
    main(["traverse", trained, "--images", "64", "--out", "a\x1b[2Jb.png", "--steps", "3", "--device", "cpu"])
    assert "a\\x1b[2Jb.png" in capsys.readouterr().out


def test_evaluate_shows_progress_in_a_terminal(trained, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

        def reconfigure(self, errors):
            pass

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    main(["evaluate", trained, "--images", "64", "--device", "cpu"])
    assert "loss" in terminal.getvalue() and "/64" in terminal.getvalue()
