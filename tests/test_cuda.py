"""On a CUDA card: recorded steps agree with eager ones, runs resume exactly, every objective and number format trains.

Skipped without CUDA. ``tools/gpu_check.sh`` runs these tests, the notebooks and the benchmark on a card.
"""

import os

import numpy as np
import pytest
import torch
from conftest import new_model, same_state, small_config, small_pictures
from torch.utils.data import TensorDataset

from bvae_helpers import checkpoints, latents
from bvae_helpers.config import Config
from bvae_helpers.data import Sprites, render
from bvae_helpers.explorer import LatentExplorer
from bvae_helpers.losses import OBJECTIVES
from bvae_helpers.model import BetaVAE
from bvae_helpers.training import fit, step
from bvae_helpers.training import run as runs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available() or "BVAE_TEST_CUDA" in os.environ, reason="needs CUDA")


@pytest.fixture(autouse=True)
def deterministic():
    """cuDNN's deterministic algorithms, without which two equal trainings differ in their last bits."""
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = True, False
    yield
    torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def replays(monkeypatch):
    """Counts the recordings; fails when one does not succeed."""
    made, record = [], step.record

    def counted(work, stream):
        made.append(record(work, stream))
        return made[-1]

    monkeypatch.setattr(step, "record", counted)
    yield made
    assert made


def train(config, data=None, device="cuda", **options):
    model = new_model(config)
    history = fit(model, small_pictures() if data is None else data, config, progress=False, device=device, **options)
    return model, history


def eagerly(config, data=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "can_record", lambda run: False)
        return train(config, data)


def on_cpu(model):
    return {name: value.cpu() for name, value in model.state_dict().items()}


def losses(history):
    return np.array(history.steps["loss"])


KINDS = [dict(objective=name, discriminator_width=8, capacity_steps=50) for name in OBJECTIVES] + [
    dict(flip=True), dict(grad_clip=0.1), dict(network="classic"), dict(lr_schedule="cosine"),
    dict(lr_patience=0, lr=3e-2), dict(beta_schedule="warmup", schedule_steps=60)]


@pytest.mark.parametrize("changes", KINDS, ids=lambda changes: "-".join(map(str, changes.values())))
def test_recorded_and_eager_steps_agree_over_200_steps(replays, changes):
    config = small_config(**{"epochs": 20, "log_every": 1, **changes})
    recorded, eager = train(config)[1], eagerly(config)[1]
    assert len(losses(recorded)) == 200 and recorded["lr"] == eager["lr"]
    assert losses(recorded) == pytest.approx(losses(eager), rel=1e-5)
    assert recorded["val_loss"] == pytest.approx(eager["val_loss"], rel=1e-5)


@pytest.mark.parametrize("source", ("tensor", "items"))
@pytest.mark.parametrize("changes", [dict(), dict(objective="factorvae", discriminator_width=8, lr_schedule="cosine"),
                                     dict(network="classic", flip=True), dict(precision="float16")],
                         ids=lambda changes: "-".join(map(str, changes.values())) or "plain")
def test_a_recorded_run_stopped_anywhere_ends_bit_identical(replays, tmp_path, changes, source):
    data = small_pictures() if source == "tensor" else TensorDataset(small_pictures())
    whole = train(small_config(epochs=3, log_every=1, **changes), data)
    for steps in (2, 7, 5):
        train(small_config(tmp_path, epochs=3, log_every=1, **changes), data, stop_after=steps)
    again = train(small_config(tmp_path, epochs=3, log_every=1, **changes), data)
    assert same_state(again[0].state_dict(), whole[0].state_dict())
    assert again[1].steps == whole[1].steps and again[1]["val_loss"] == whole[1]["val_loss"]


@pytest.mark.parametrize("first, second", [("cpu", "cuda"), ("cuda", "cpu")])
@pytest.mark.parametrize("precision", ("float32", "auto"))
def test_a_checkpoint_crosses_between_cpu_and_cuda(tmp_path, first, second, precision):
    config = small_config(tmp_path, epochs=6, precision=precision)
    train(config, device=first, stop_after=25)
    group = checkpoints.load(tmp_path / "last.pt")["optimizer_state_dict"]["param_groups"][0]
    assert type(group["lr"]) is float and group["capturable"] is False
    crossed = train(config, device=second)[1]
    alone = train(config.replace(save_dir=None), device=second)[1]
    assert crossed.complete and crossed["val_loss"][-1] == pytest.approx(alone["val_loss"][-1], rel=0.05)


@pytest.mark.parametrize("precision", ("float32", "bfloat16", "float16", "auto"))
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains_in_every_format(replays, objective, precision):
    if precision == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this card has no bfloat16")
    config = small_config(objective=objective, precision=precision, epochs=4, capacity_steps=1, discriminator_width=8)
    history = train(config)[1]
    assert history["val_loss"][-1] < history["val_loss"][0]


def test_float16_skips_steps_that_overflow_and_trains_on(replays):
    """The scaler begins at 65,536, too much for these losses: it must come down on the device, without a word to
    Python."""
    config = small_config(precision="float16", epochs=4, log_every=1)
    model, history = train(config)
    assert np.isfinite(losses(history)).all() and history["val_loss"][-1] < history["val_loss"][0]
    assert all(p.isfinite().all() for p in model.parameters())


def test_nan_is_found_with_its_step(replays):
    config = small_config(epochs=1, log_every=1000)
    images = small_pictures() / 255
    images[:] = torch.where(torch.arange(len(images))[:, None, None, None] == 50, float("nan"), images)
    with pytest.raises(FloatingPointError, match=r"the loss was nan at step \d+ \(epoch 1\)"):
        train(config.replace(val_fraction=0.0), TensorDataset(images))


class Reads(BetaVAE):
    """A model that waits for the device in every step, so that its steps cannot be recorded."""

    def forward(self, x):
        assert x.sum().item() >= 0
        return super().forward(x)

    def run(self, x):
        assert x.sum().item() >= 0
        return super().run(x)


@pytest.mark.parametrize("changes",
                         [dict(), dict(precision="float16"), dict(objective="factorvae", discriminator_width=8)],
                         ids=lambda changes: "-".join(map(str, changes.values())) or "plain")
def test_what_cannot_be_recorded_trains_eagerly_with_one_warning(changes):
    """As if nothing had been tried: random numbers, streams and the scaler survive the broken recording."""
    config = small_config(epochs=3, log_every=1, **changes)
    eager = eagerly(config)
    torch.manual_seed(0)
    model = Reads.from_config(config)
    with pytest.warns(UserWarning, match="cannot be a CUDA graph") as said:
        history = fit(model, small_pictures(), config, progress=False, device="cuda")
    assert sum("CUDA graph" in str(warning.message) for warning in said) == 1
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    assert same_state(model.state_dict(), eager[0].state_dict()) and history.steps == eager[1].steps
    assert train(config)[1]["val_loss"][-1] == pytest.approx(eager[1]["val_loss"][-1], rel=1e-4)  # the next run records


@pytest.mark.filterwarnings("ignore:the step cannot be a CUDA graph")
def test_a_model_with_an_earlier_loss_still_in_memory_trains():
    """Its gradients are bound to another stream: the recording may fail, the training may not."""
    config = small_config(epochs=3)
    model = new_model(config).to("cuda")
    earlier = model.sample(2).sum() + model(torch.zeros(2, 1, 16, 16, device="cuda"))[0].sum()
    history = fit(model, small_pictures(), config, progress=False, device="cuda")
    assert history["val_loss"] == pytest.approx(eagerly(config)[1]["val_loss"], rel=1e-4) and earlier.requires_grad


def test_validation_and_pictures_take_a_tenth_of_an_epoch_at_most():
    images = render(Sprites(), 50_000, seed=0)[0]
    config = Config.sprites(epochs=3, save_dir=None, log_dir=None, precision="float32")
    history = fit(BetaVAE.from_config(config), images, config, progress=False, device="cuda")
    whole = history["seconds"][-1] - history["seconds"][-2]
    training = 40_000 / history["images_per_second"][-1]
    assert (whole - training) / whole < 0.1


def test_the_explorer_draws_with_a_model_on_the_card():
    model = checkpoints.load_pretrained("falling", "cuda")
    sprites = Sprites()
    factors = sprites.sample_factors(64, torch.Generator().manual_seed(0))
    explorer = LatentExplorer(model, sprites.images(factors), sprites, factors)
    slider = explorer.sliders[explorer.order[0]]
    before = explorer.picture.value
    slider.value = slider.max
    assert explorer.picture.value != before


def test_codes_are_those_of_the_cpu():
    images = render(Sprites(), 500, seed=0)[0]
    codes = [latents.encode(checkpoints.load_pretrained("falling", device), images)[0] for device in ("cpu", "cuda")]
    assert torch.allclose(*codes, atol=1e-3)
