"""Training with labels: what a label is, what is pulled to it, and runs that are stopped and resumed."""

import itertools
import math

import pytest
import torch

from bvae_helpers import checkpoints
from bvae_helpers.config import Config
from bvae_helpers.data import Sprites
from bvae_helpers.data.sprites import FACTOR_SIZES
from bvae_helpers.losses import label_error, objective
from bvae_helpers.model import BetaVAE
from bvae_helpers.training.labels import _LabelRun, fit_labelled, label_codes

SETTINGS = Config.falling(objective="beta_vae", beta=1.0, beta_schedule="constant", hidden_dims=[4, 4], latent_dim=6,
                          num_images=64, batch_size=8, epochs=2, log_every=4, log_dir=None, save_dir=None)


def new_model(config=SETTINGS):
    torch.manual_seed(0)
    return BetaVAE.from_config(config)


def everything(shape):
    """The factors of a shape in every orientation (40, 5)."""
    return torch.tensor([[shape, 3, turn, 10, 20] for turn in range(40)])


@pytest.mark.parametrize("shape, turns", [(0, 4), (1, 2), (2, 1)])
def test_the_visible_orientation_is_a_part_of_the_shapes_period(shape, turns):
    """39 steps are a whole turn, after which the sprite looks as before."""
    visible = Sprites().visible(everything(shape))[:, 2]
    steps = torch.arange(40) * turns / 39
    assert torch.allclose(visible, steps - steps.floor(), atol=1e-5)
    assert visible[0] == visible[39] == 0 and visible.max() < 1


@pytest.mark.parametrize("shape, turns", [(0, 4), (1, 2), (2, 1)])
def test_neighbours_in_visible_orientation_look_alike(shape, turns):
    """They differ by fewer pixels than orientations half a period apart."""
    factors = torch.tensor([[shape, 5, angle, 16, 16] for angle in range(39)])
    visible = Sprites().visible(factors)[:, 2]
    assert sorted((visible * 39).tolist()) == pytest.approx(list(range(39)), abs=1e-4)           # 39 that differ
    ring = Sprites().images(factors)[visible.argsort()].ne(0)
    near, far = (float((ring != ring.roll(shift, 0)).sum() / 39) for shift in (1, 19))
    assert near * 2 < far, (near, far)


def test_other_factors_are_spread_evenly_from_0_to_1():
    factors = torch.tensor([[0, 0, 0, 0, 0], [2, 5, 0, 31, 31], [1, 1, 0, 1, 2]])
    assert torch.allclose(Sprites().visible(factors)[:, [0, 1, 3, 4]],
                          torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1], [.5, .2, 1 / 31, 2 / 31]]))


def test_the_codes_of_uniform_labels_have_mean_0_and_variance_1():
    positions = torch.tensor([[0, 0, 0, x, 0] for x in range(32)])
    codes = label_codes(Sprites(), positions)[:, 3]
    assert codes.mean().item() == pytest.approx(0, abs=1e-6)
    assert codes.min().item() == pytest.approx(-math.sqrt(3))
    assert codes.var(correction=0).item() == pytest.approx(1 + 2 / 31, rel=1e-4)       # 32 values, not infinitely many


def test_the_error_is_summed_over_labels_and_averaged_over_images():
    mu = torch.tensor([[1.0, 2.0, 9.0], [0.0, 0.0, -9.0]])
    assert label_error(mu, torch.tensor([[0.0, 4.0], [1.0, 0.0]])).item() == (1 + 4 + 1) / 2
    with pytest.raises(ValueError, match="3 labels needs a latent of its own, got 2"):
        label_error(torch.zeros(1, 2), torch.zeros(1, 3))


def test_only_the_first_quarter_of_a_batch_is_known_and_pulled():
    run = _LabelRun(new_model(), Sprites(), SETTINGS, labels=3, weight=10.0)
    known = {tuple(row) for row in run.known.tolist()}
    drawn = [run.draw() for _ in range(20)]
    assert all(tuple(row) in known for batch in drawn for row in batch[:2].tolist())
    assert sum(tuple(row) in known for batch in drawn for row in batch[2:].tolist()) < 3
    torch.manual_seed(3)
    terms = run.terms(drawn[0])
    torch.manual_seed(3)
    x = Sprites().images(drawn[0]).float() / 255
    elbo = objective(run.model, x, SETTINGS, 1.0)
    error = (run.model.encode(x)[:2, :5] - label_codes(Sprites(), drawn[0][:2])).square().sum(1).mean()
    assert terms["label_error"].item() == pytest.approx(error.item(), rel=1e-4)
    assert terms["loss"].item() == pytest.approx((elbo["loss"] + 10 * error).item(), rel=1e-4)


def test_training_brings_the_means_to_the_labels():
    config = SETTINGS.replace(num_images=1600, batch_size=32, epochs=6, lr=2e-3)
    model, factors = new_model(config), Sprites().sample_factors(500, torch.Generator().manual_seed(9))
    history = fit_labelled(model, Sprites(), config, labels=5_000, progress=False)
    assert history["step"][-1] == 300 and not model.training
    mu = model.encode(Sprites().images(factors).float() / 255)
    for k in (3, 4):
        assert torch.corrcoef(torch.stack([mu[:, k], factors[:, k].float()]))[0, 1] > 0.95


@pytest.mark.parametrize("stops", [(5,), (1, 8, 3)])
def test_a_stopped_run_is_resumed_exactly(tmp_path, stops):
    straight = new_model()
    wanted = fit_labelled(straight, Sprites(), SETTINGS.replace(save_dir=str(tmp_path / "a")), labels=50,
                          progress=False)
    config = SETTINGS.replace(save_dir=str(tmp_path / "b"))
    for steps in stops:
        fit_labelled(new_model(), Sprites(), config, labels=50, stop_after=steps, progress=False)
        torch.randn(7)
    model = new_model()
    found = fit_labelled(model, Sprites(), config, labels=50, progress=False)
    assert found == wanted and found["step"] == [4, 8, 12, 16]
    for one, two in itertools.zip_longest(model.parameters(), straight.parameters()):
        assert torch.equal(one, two)


def test_a_folder_with_another_run_is_refused(tmp_path):
    config = SETTINGS.replace(save_dir=str(tmp_path))
    fit_labelled(new_model(), Sprites(), config, labels=50, stop_after=2, progress=False)
    doubled = config.replace(beta=2.0)
    with pytest.raises(ValueError, match="beta 1.0 there, 2.0 here.*move the old files away") as kept:
        fit_labelled(new_model(doubled), Sprites(), doubled, labels=50, progress=False)
    assert kept                                 # its traceback, as in Jupyter: the folder is free all the same
    with pytest.raises(ValueError, match="50 labels of weight 100.0 there.*60 labels of weight 100.0 here"):
        fit_labelled(new_model(), Sprites(), config, labels=60, progress=False)


@pytest.mark.parametrize("change, words", [
    (lambda state: state.pop("generator"), "generator: missing"),
    (lambda state: state.update(generator=torch.zeros(3)), "generator: shape"),
    (lambda state: state["optimizer_state_dict"]["state"][0].update(exp_avg=torch.zeros(3)), "exp_avg: shape"),
    (lambda state: state.update(step=1.5), "step: expected a whole number"),
    (lambda state: state.update(step=10**6), "step: expected 0 to 16"),
    (lambda state: state.update(generator=torch.zeros_like(state["generator"])), "generator: "),
    (lambda state: state.update(history={"loss": ["a"]}), "history: expected a dict of lists of numbers")])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, change, words):
    config = SETTINGS.replace(save_dir=str(tmp_path))
    fit_labelled(new_model(), Sprites(), config, labels=50, stop_after=2, progress=False)
    state = checkpoints.load(tmp_path / "last.pt")
    change(state)
    checkpoints.save(state, tmp_path / "last.pt")
    with pytest.raises(ValueError, match=words):
        fit_labelled(new_model(), Sprites(), config, labels=50, progress=False)


def test_a_folder_where_another_run_is_under_way_is_refused(tmp_path):
    config = SETTINGS.replace(save_dir=str(tmp_path))
    first = _LabelRun(new_model(), Sprites(), config, labels=50, weight=100.0)
    first.begin()
    with pytest.raises(ValueError, match="another run is under way"):
        fit_labelled(new_model(), Sprites(), config, labels=50, progress=False)
    first.close()
    assert fit_labelled(new_model(), Sprites(), config, labels=50, progress=False)["step"][-1] == 16


@pytest.mark.parametrize("log_every", [4, 50])
def test_weights_that_are_no_number_end_the_run_and_are_not_saved(tmp_path, log_every):
    config = SETTINGS.replace(lr=100.0, log_every=log_every, save_dir=str(tmp_path))
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        fit_labelled(new_model(), Sprites(), config, labels=50, progress=False)
    assert checkpoints.load(tmp_path / "last.pt")["step"] == 0                      # as the run began


def test_an_interrupt_between_two_saves_leaves_the_last_one(tmp_path, monkeypatch):
    """A second Ctrl-C may come anywhere: what was half done is not saved, and the resumed run ends as it should."""
    straight = new_model()
    fit_labelled(straight, Sprites(), SETTINGS.replace(save_dir=str(tmp_path / "a")), labels=50, progress=False)
    config, update, steps = SETTINGS.replace(save_dir=str(tmp_path / "b"), save_seconds=0.0), _LabelRun.update, []

    def stopped(run):
        steps.append(run.step)
        if len(steps) == 6:
            next(run.model.parameters()).data += 1
            raise KeyboardInterrupt
        update(run)

    with monkeypatch.context() as patch:
        patch.setattr(_LabelRun, "update", stopped)
        with pytest.raises(KeyboardInterrupt) as kept:                                  # its traceback, as in Jupyter
            fit_labelled(new_model(), Sprites(), config, labels=50, progress=False)
    model = new_model()
    fit_labelled(model, Sprites(), config, labels=50, progress=False)
    assert kept and all(torch.equal(a, b) for a, b in zip(model.parameters(), straight.parameters()))


def test_bfloat16_and_a_beta_that_falls(tmp_path):
    config = SETTINGS.replace(precision="bfloat16", beta_schedule="decreasing", schedule_steps=8, beta_start=8.0)
    history = fit_labelled(new_model(), Sprites(), config, labels=50, weight=0, progress=False)
    for loss, reconstruction, kl, step in zip(*(history[k] for k in ("loss", "reconstruction", "kl", "step"))):
        assert loss == pytest.approx(reconstruction + max(1.0, 8 - 7 * (step - 1) / 8) * kl, rel=1e-3)


def test_a_model_in_float64_is_trained_in_float32():
    model = new_model().double()
    fit_labelled(model, Sprites(), SETTINGS, labels=50, stop_after=1, progress=False)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_factor_of_one_class_has_the_code_0():
    class Squares(Sprites):
        factor_sizes = (1, 6, 40, 32, 32)

    codes = label_codes(Squares(), torch.tensor([[0, 0, 0, 0, 0]]))
    assert codes[0].tolist() == pytest.approx([0, *[-math.sqrt(3)] * 4])


@pytest.mark.parametrize("changes, given, words", [
    ({"objective": "btcvae"}, {}, "objective 'beta_vae', got 'btcvae'"),
    ({"lr_schedule": "constant"}, {}, "lr_schedule 'cosine', got 'constant'"),
    ({"flip": True}, {}, "flip False, got True"),
    ({"precision": "float16"}, {}, "got precision 'float16'"),
    ({"latent_dim": 4}, {}, f"{len(FACTOR_SIZES)} factors needs a latent of its own: latent_dim is 4"),
    ({"batch_size": 3}, {}, "batch_size must be 4 or more, got 3"),
    ({"num_images": 7}, {}, "must be batch_size .8. or more, got 7"),
    ({"num_images": None}, {}, "must be batch_size .8. or more, got None"),
    ({"in_channels": 3}, {}, r"takes images \(3, 64, 64\), the data hold \(1, 64, 64\)"),
    ({}, {"labels": 0}, "from 1, got 0"), ({}, {"labels": 5.0}, "from 1, got 5.0"), ({}, {"labels": True}, "got True"),
    ({}, {"weight": -1}, "weight must be a number from 0, got -1"), ({}, {"weight": math.nan}, "got nan"),
    ({}, {"weight": "a"}, "got 'a'"), ({}, {"stop_after": -1}, "stop_after must be a number of steps from 0, got -1")])
def test_what_it_does_not_take_is_refused(changes, given, words):
    config = SETTINGS.replace(**changes)
    with pytest.raises(ValueError, match=words):
        fit_labelled(new_model(config), Sprites(), config, **{"labels": 9, **given}, progress=False)


def test_other_models_and_other_data_are_refused():
    with pytest.raises(ValueError, match="the model has patch 4, the config 8"):
        fit_labelled(new_model(), Sprites(), SETTINGS.replace(patch=8), labels=9, progress=False)
    with pytest.raises(TypeError, match="must know its factors"):
        fit_labelled(new_model(), torch.zeros(8, 1, 64, 64), SETTINGS, labels=9, progress=False)
