"""benchmarks/quality.py and the recipes of tools/pretrain.py: budgets are kept, recipes are settings that exist."""

import functools
import importlib.util
import json
import pathlib
import sys

import pytest
import torch
from conftest import same_state, small_config, small_pictures

from bvae_helpers import checkpoints
from bvae_helpers.config import Config
from bvae_helpers.data import Images, Sprites
from bvae_helpers.training import fit
from bvae_helpers.training.run import Run

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def quality(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])                     # the script adds to it
    spec = importlib.util.spec_from_file_location("quality", ROOT / "benchmarks" / "quality.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    on_cpu = functools.partial(fit, device="cpu")                     # also where CUDA is
    monkeypatch.setattr(module, "fit", on_cpu)
    monkeypatch.setattr(module, "Run", functools.partial(Run, device="cpu"))
    monkeypatch.setattr(pretrain_of(module), "fit", on_cpu)
    return module


def pretrain_of(quality):
    """tools/pretrain.py as benchmarks/quality.py has loaded it."""
    return sys.modules[quality.table.__globals__["scores"].__module__]


def test_every_published_row_has_a_recipe(quality):
    assert set(quality.PUBLISHED) == {"vae", "beta4", "annealed", "factorvae", "btcvae"} <= set(quality.RECIPES)


@pytest.mark.parametrize("steps", (1, 7, 40, 100, 250))
def test_a_budget_of_steps_is_kept(quality, steps):
    config = small_config(num_images=400, epochs=4, capacity_steps=80, schedule_steps=40)          # 40 steps an epoch
    short = quality.within(config, steps)
    train = round(short.num_images * (1 - short.val_fraction)) // short.batch_size
    assert abs(short.epochs * train - steps) <= short.epochs and short.num_images <= 400
    assert short.capacity_steps == max(1, round(80 * min(1, steps / 160)))
    assert short.schedule_steps == round(40 * min(1, steps / 160))


def test_settings_on_the_command_line(quality):
    assert [quality.read_setting(text)
            for text in ("lr=1e-3", "flip=true", "hidden_dims=[4, 8]", "precision=bfloat16")] == [
        ("lr", 0.001), ("flip", True), ("hidden_dims", [4, 8]), ("precision", "bfloat16")]


def test_a_stopped_curve_goes_on(quality, tmp_path, monkeypatch):
    config = small_config(tmp_path, epochs=2, num_images=100)
    pictures = small_images()
    monkeypatch.setattr(quality, "as_images", lambda *args: pictures[0])
    monkeypatch.setattr(quality, "render", lambda *args: pictures[1:])
    assert Run(quality.BetaVAE.from_config(config), pictures[0], config, device="cpu").total_steps == 20
    point, calls = quality.point, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return point(*args)

    monkeypatch.setattr(quality, "point", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quality.curve(quality.BetaVAE.from_config(config), config, 4)
    model = quality.BetaVAE.from_config(config)
    rows = quality.curve(model, config, 4)
    assert [row["steps"] for row in rows] == [5, 10, 20]              # the interrupted point, at 15, is missing
    assert json.loads((tmp_path / "curve.json").read_text()) == rows
    assert checkpoints.load(tmp_path / "final_model.pt")["step"] == 20 and not model.training


def small_images():
    """Images to train on; images and factors to score with."""
    sprites = Sprites()
    factors = sprites.sample_factors(300, torch.Generator().manual_seed(0))
    return Images(small_pictures()), sprites.images(factors)[:, :, 2::4, 2::4].contiguous(), factors


def test_curves_are_drawn_with_one_name_for_all_seeds_of_a_recipe(quality, tmp_path):
    for seed, changes in ((0, {}), (1, {}), (0, {"beta": 6})):
        folder = tmp_path / f"falling-{len(changes)}-{seed}"
        folder.mkdir()
        curve = [{"minutes": 1.5, "mig": 0.2}, {"minutes": 3, "mig": 0.3 + seed / 10}]
        (folder / "result.json").write_text(json.dumps({"name": "falling", "changes": changes, "curve": curve}))
    quality.draw(tmp_path, tmp_path / "how_soon.png")
    ax = quality.plt.gcf().axes[0]
    *lines, goal = [line.get_xydata().tolist() for line in ax.lines]
    assert lines[0] == [[0, 0], [1.5, 0.2], [3, 0.3]] and len(lines) == 3 and {y for _, y in goal} == {quality.GOAL}
    assert [text.get_text() for text in ax.get_legend().texts] == ["falling", "falling beta=6"]
    assert (tmp_path / "how_soon.png").read_bytes().startswith(b"\x89PNG")


def test_a_recipe_goes_on_from_another_ones_weights(quality, tmp_path, monkeypatch):
    pretrain = pretrain_of(quality)
    tiny = Config.sprites(num_images=64, epochs=1, batch_size=16, hidden_dims=[4], patch=8, latent_dim=3, lr=1e-3)
    monkeypatch.setattr(pretrain, "RECIPES", {"first": tiny, "second": tiny.replace(epochs=2, beta=2.0), "third": tiny})
    monkeypatch.setattr(pretrain, "AFTER", {"second": ("first", 2), "third": ("second", 0)})
    woken = []
    monkeypatch.setattr(pretrain, "SAMPLES", 40)
    monkeypatch.setattr(pretrain, "wake", lambda model, images, count, seed: woken.append(
        (weights_of(model), len(images), count)))
    trained = weights_of(pretrain.train("second", 3, tmp_path))
    first = checkpoints.load(tmp_path / "first" / "last.pt")
    (begun, images, count), = woken
    assert first["epoch"] == 1 and (images, count) == (40, 2) and same_state(begun, first["model_state_dict"])
    assert not same_state(trained, begun)
    assert same_state(trained, weights_of(pretrain.train("second", 3, tmp_path)))  # complete: nothing is trained again
    before = pretrain.what_came_before("second", tmp_path)["after"]
    assert (before["name"], before["steps"], before["latents_woken"]) == ("first", 3, 2)
    assert pretrain.what_came_before("first", tmp_path) == {}
    pretrain.train("third", 3, tmp_path / "further")
    stages = pretrain.what_came_before("third", tmp_path / "further")["after"]
    assert len(woken) == 3
    assert (stages["name"], stages["latents_woken"], stages["after"]["name"]) == ("second", 0, "first")


def test_a_recipe_with_labels_is_trained_with_them(quality, tmp_path, monkeypatch):
    pretrain = pretrain_of(quality)
    tiny = Config.sprites(num_images=64, epochs=1, batch_size=16, hidden_dims=[4], patch=8, latent_dim=5, beta=1.0,
                          lr=1e-3, lr_schedule="cosine")
    monkeypatch.setattr(pretrain, "RECIPES", {"first": tiny})
    monkeypatch.setattr(pretrain, "LABELS", {"first": 20})
    pretrain.train("first", 3, tmp_path)
    assert "20 labels" in checkpoints.load(tmp_path / "last.pt")["data"]


def test_a_recipe_that_was_stopped_stops_at_the_same_step(quality, tmp_path, monkeypatch):
    pretrain = pretrain_of(quality)
    tiny = Config.sprites(num_images=64, epochs=4, batch_size=16, hidden_dims=[4], patch=8, latent_dim=2, beta=0.1,
                          lr=1e-3)
    monkeypatch.setattr(pretrain, "RECIPES", {"first": tiny})
    assert all(checkpoints.load_pretrained(name).card["steps"] == step for name, step in pretrain.STOPPED.items())
    for step in (2, 7, 7):                                # resumed, and complete: nothing more is trained
        monkeypatch.setattr(pretrain, "STOPPED", {"first": step})
        pretrain.train("first", 3, tmp_path)
        assert checkpoints.load(tmp_path / "last.pt")["step"] == step
    monkeypatch.setattr(pretrain, "STOPPED", {"first": 6})
    with pytest.raises(SystemExit, match="is at step 7, and first was stopped at step 6"):
        pretrain.train("first", 3, tmp_path)


def test_the_command_line_trains_the_shipped_seed_unless_told(quality, monkeypatch, tmp_path, capsys):
    pretrain, done = pretrain_of(quality), []
    monkeypatch.setattr(pretrain, "train", lambda *args: done.append(args))
    monkeypatch.setattr(pretrain, "publish", lambda *args: done.append(args))

    def run(*words):
        done.clear()
        monkeypatch.setattr(sys, "argv", ["pretrain.py", *words, "--folder", str(tmp_path)])
        pretrain.main()
        return done

    assert run("sweep_beta32") == [("sweep_beta32", 1, tmp_path), ("sweep_beta32", tmp_path, None, None)]
    others = {"0": {"mig": 0.1}, "1": "stopped"}
    assert run("vae", "--seed", "4", "--chosen", "the better", "--other-seeds", json.dumps(others)) == [
        ("vae", 4, tmp_path), ("vae", tmp_path, "the better", others)]
    for words, message in ((["vae", "--seed", "4"], "say with --chosen"),
                           (["vae", "--other-seeds", '{"1": "stopped"}'], "say with --chosen"),
                           (["vae", "--other-seeds", "[1]", "--chosen", "a"], "is not an object"),
                           (["vae", "--other-seeds", '{"4": 0.3}', "--chosen", "a"], "is not an object"),
                           (["waking"], "invalid choice")):
        with pytest.raises(SystemExit):
            run(*words)
        assert not done and message in capsys.readouterr().err


def test_the_totals_of_a_card_are_those_of_all_its_stages(quality):
    pretrain = pretrain_of(quality)
    first = {"steps": 100, "training_minutes": 1.5, "config": {"batch_size": 64}}
    second = {"steps": 10, "training_minutes": 0.2, "config": {"batch_size": 128}, "after": first}
    made = {"name": "third", "steps": 1, "training_minutes": 0.1, "config": {"batch_size": 256}, "after": second}
    assert pretrain.total(made) == {**made, "steps": 111, "training_minutes": 1.8,
                                    "images_seen": 6400 + 1280 + 256}
    assert pretrain.total(first)["images_seen"] == 6400


def test_a_card_is_made_and_scored_again(quality, tmp_path, monkeypatch):
    pretrain = pretrain_of(quality)
    tiny = Config.sprites(num_images=64, epochs=1, batch_size=16, hidden_dims=[4], patch=8, latent_dim=2, beta=0.1,
                          lr=1e-3)
    monkeypatch.setattr(pretrain, "RECIPES", {"first": tiny})
    monkeypatch.setattr(pretrain, "SAMPLES", 300)
    monkeypatch.setattr(pretrain, "disentanglement",
                        lambda mu, *rest: dict.fromkeys(pretrain.SELECTED_BY, float(mu.std())))
    monkeypatch.setattr(pretrain.checkpoints, "PRETRAINED", tmp_path)
    pretrain.train("first", 3, tmp_path / "run")
    pretrain.publish("first", tmp_path / "run")
    made = pretrain.published("first")
    assert made["training_seeds"] == 1 and made["chosen"] == "the only seed trained"
    assert made["machine"] == pretrain.machine("first") != ""
    pretrain.publish("first", tmp_path / "run", "the better of two", {"4": {"mig": 0.1}, "5, wider": "MIG 0.2"})
    made = pretrain.published("first")
    assert made["training_seeds"] == 2 and made["chosen"] == "the better of two"
    assert made["other_training_seeds"] == {"4": {"mig": 0.1}, "5, wider": "MIG 0.2"} and made["seed"] == 3
    assert made["evaluation_seeds"] == [200, 201, 202] and "100, 101, 102" in made["chosen_by"]
    model = checkpoints.load_model(tmp_path / "first.pt")
    chosen, shown = ([pretrain.scores(model, model.config, seed)[0]["kl"] for seed in seeds]
                     for seeds in (pretrain.SELECTION_SEEDS, pretrain.EVALUATION_SEEDS))
    assert made["scores_when_chosen"]["kl"] == pytest.approx(sum(chosen) / 3, abs=1e-3)
    assert made["scores"]["kl"] == pytest.approx(sum(shown) / 3, abs=1e-3)
    (tmp_path / "first.json").write_text(json.dumps({**made, "scores": {}, "evaluation": "of old"}))
    pretrain.rescore("first")
    assert pretrain.published("first") == made            # the same weights, the same scores, the same choice
    (tmp_path / "run" / "machine.txt").unlink()           # published later, and perhaps elsewhere
    pretrain.publish("first", tmp_path / "run")           # the seed that ships: what its card says of the others stays
    assert pretrain.published("first") == made
    assert pretrain.trained_on("first", 4, tmp_path / "run") == "not recorded"
    written = (tmp_path / "first.pt").stat().st_mtime_ns
    with pytest.raises(AttributeError):                   # no card, no weights
        pretrain.publish("first", tmp_path / "run", "chosen", "no dict")
    assert (tmp_path / "first.pt").stat().st_mtime_ns == written
    found = pretrain.choice("first", 4, dict.fromkeys(pretrain.SELECTED_BY, 0.0), None, None)      # another seed
    assert found["training_seeds"] == 1 and found["chosen"] == "the only seed trained"


def test_of_a_sweep_the_run_with_the_median_mig_is_published(quality, tmp_path, monkeypatch):
    pretrain, done = pretrain_of(quality), []
    recipe = Config.sprites(beta=2.0)
    monkeypatch.setattr(pretrain, "SWEEP", {"sweep_beta2": recipe})
    monkeypatch.setattr(pretrain, "publish", lambda *args: done.append(args))
    monkeypatch.setattr(pretrain.checkpoints, "load_model", lambda path: int(path.parent.name))
    scores = {0: 0.3, 1: 0.1, 3: 0.2}
    monkeypatch.setattr(pretrain, "selection_scores",
                        lambda seed, recipe: dict.fromkeys(pretrain.SELECTED_BY, scores[seed]))
    monkeypatch.setattr(pretrain, "runs_of", lambda config, grid: {
        str(seed): config.replace(seed=seed, save_dir=str(tmp_path / str(seed))) for seed in grid["seed"]})
    for seed in scores:
        (tmp_path / str(seed)).mkdir()
        (tmp_path / str(seed) / "final_model.pt").touch()
    pretrain.publish_sweep(tmp_path)
    others = {str(seed): dict.fromkeys(pretrain.SELECTED_BY, scores[seed]) for seed in (0, 1)}
    assert done == [("sweep_beta2", tmp_path / "3", "the median MIG of 3 seeds", others)]


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_codes_of_perfect_encoders(monkeypatch):
    """The factors; the same with the visible orientation, in one latent and on a circle in two."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = importlib.util.spec_from_file_location("ceilings", ROOT / "benchmarks" / "ceilings.py")
    ceilings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ceilings)
    factors = torch.tensor([[0, 5, 10, 16, 3], [2, 0, 39, 1, 2]])
    values, line, circle = ceilings.encoders(factors.numpy()).values()
    assert values.tolist() == factors.tolist()
    assert line[:, -1] == pytest.approx([1 / 39, 0], abs=1e-6)
    assert (line[:, :4] == factors[:, [0, 1, 3, 4]].numpy()).all()
    assert circle.shape == (2, 6) and circle[1, -2:] == pytest.approx([1, 0])
