"""The live view of a training: one place, frames of a fixed size, silent where nobody watches."""

import io

import pytest
import torch
from PIL import Image

from bvae_helpers import training
from bvae_helpers.config import Config
from bvae_helpers.data import Sprites, render
from bvae_helpers.model import BetaVAE
from bvae_helpers.teach import front_end, live

IMAGES = render(Sprites(), 96, seed=0)[0]
SMALL = Config.sprites(batch_size=16, epochs=2, log_every=1, save_dir=None, log_dir=None)


class Notebook:
    """IPython's display in memory: a place for every ``display``, in which ``update`` replaces what is shown."""

    def __init__(self, monkeypatch):
        self.places, self.execution_count, self.kernel = [], 1, object()
        monkeypatch.setattr(live, "attended", lambda: True)
        monkeypatch.setattr("IPython.get_ipython", lambda: self)
        monkeypatch.setattr("IPython.display.display", self.display)

    def display(self, shown, display_id):
        place = [shown]
        self.places.append(place)
        return type("Handle", (), {"update": staticmethod(place.append)})


def train(watch, **changes):
    config = SMALL.replace(**changes)
    torch.manual_seed(0)
    model = BetaVAE.from_config(config)
    return training.fit(model, IMAGES, config, progress=False, device="cpu", watch=watch), model


def test_one_place_whose_frames_have_one_size_and_alt_text(monkeypatch):
    notebook = Notebook(monkeypatch)
    monkeypatch.setattr(live, "PAUSE", 0.0)
    monkeypatch.setattr(live, "SHARE", 1e9)
    train(live.Training(IMAGES, title="β = 4"))
    (frames,) = notebook.places
    assert len(frames) == 10                          # 8 steps, the first epoch, and the end
    assert len({Image.open(io.BytesIO(frame.png)).size for frame in frames}) == 1
    assert "β = 4 after 8 of 8 steps" in frames[-1]._repr_png_()[1]["alt"]
    assert frames[0].png != frames[-1].png


def test_frames_are_rare_and_the_last_is_always_drawn(monkeypatch):
    notebook = Notebook(monkeypatch)
    monkeypatch.setattr(live, "PAUSE", 1e9)
    train(live.Training(IMAGES))
    (frames,) = notebook.places
    assert len(frames) == 2                           # the first and the last
    assert "8 of 8 steps" in frames[-1].alt


def test_runs_of_a_cell_share_a_place_and_a_bar(monkeypatch):
    notebook, watch = Notebook(monkeypatch), live.Training(IMAGES, runs=2)
    monkeypatch.setattr(live, "PAUSE", 0.0)
    monkeypatch.setattr(live, "SHARE", 1e9)
    shares = []
    monkeypatch.setattr(live._Frame, "draw", lambda self, run, share, words: shares.append((share, words)) or b"")
    train(watch)
    train(watch)
    assert len(notebook.places) == 1
    assert [share for share, _ in shares] == sorted(share for share, _ in shares) and shares[-1][0] == 1.0
    assert "run 1 of 2" in shares[0][1] and "run 2 of 2  ·  step 8 of 8  ·  done in" in shares[-1][1]


def test_another_cell_has_a_place_of_its_own(monkeypatch):
    notebook, watch = Notebook(monkeypatch), live.Training(IMAGES)
    train(watch)
    notebook.execution_count = 2
    train(watch)
    assert len(notebook.places) == 2


def test_only_the_last_of_many_runs_must_be_drawn(monkeypatch):
    notebook, watch = Notebook(monkeypatch), live.Training(IMAGES, runs=3)
    monkeypatch.setattr(live, "PAUSE", 1e9)
    for _ in range(3):
        train(watch)
    (frames,) = notebook.places
    assert len(frames) == 2


def test_a_resumed_run_fills_the_rest_of_the_bar(monkeypatch, tmp_path):
    notebook, watch = Notebook(monkeypatch), live.Training(IMAGES)
    monkeypatch.setattr(live, "PAUSE", 0.0)
    monkeypatch.setattr(live, "SHARE", 1e9)
    train(watch, save_dir=str(tmp_path), epochs=1)
    train(watch, save_dir=str(tmp_path), epochs=2)
    assert "8 of 8 steps" in notebook.places[0][-1].alt


def test_a_watched_run_is_the_same_run(monkeypatch):
    Notebook(monkeypatch)
    watched, model = train(live.Training(IMAGES))
    alone, twin = train(None)
    assert watched["train_loss"] == alone["train_loss"]
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), twin.state_dict().values()))


def test_a_collapsed_model_looks_like_one():
    history = training.History(steps_per_epoch=1)
    history.add_steps(step=1, loss=500.0, reconstruction=500.0, kl=1e-6, kl_per_latent=[1e-6] * 10)
    run = type("Run", (), {"model": BetaVAE.from_config(SMALL), "history": history})
    frame = live._Frame(run, IMAGES, 4)
    frame.draw(run, 1.0, "")
    assert frame.kl.ax.get_ylim()[1] > 1 and frame.bars.ax.get_xlim() == (0, 1)


@pytest.mark.parametrize("latent_dim, hidden_dims, channels", [(2, [4, 4], 3), (40, [8], 2)])
def test_any_number_of_latents_and_channels(monkeypatch, latent_dim, hidden_dims, channels):
    notebook = Notebook(monkeypatch)
    config = Config(in_channels=channels, latent_dim=latent_dim, hidden_dims=hidden_dims, img_size=16, batch_size=4,
                    epochs=1, log_every=1, val_fraction=0.0, save_dir=None, log_dir=None)
    images = torch.rand(8, channels, 16, 16)
    training.fit(BetaVAE.from_config(config), images, config, progress=False, device="cpu", watch=live.Training(images))
    assert len(notebook.places) == 1


def test_silent_without_a_notebook(monkeypatch):
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: pytest.fail("drawn"))
    train(live.Training(IMAGES))


def test_attended_only_in_a_notebook_in_use(monkeypatch):
    notebook = type("Shell", (), {"kernel": object()})()
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setenv("BVAE_PROFILE", "laptop")
    assert not front_end.attended()
    monkeypatch.setattr("IPython.get_ipython", lambda: notebook)
    assert front_end.attended()
    monkeypatch.setenv("BVAE_PROFILE", "tiny")
    assert not front_end.attended()
    monkeypatch.setenv("BVAE_PROFILE", "laptop")
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "some test")
    assert not front_end.attended()


@pytest.mark.parametrize("seconds, words", [(0.4, "0 s"), (59.4, "59 s"), (125, "2 min 5 s"), (7800, "2 h 10 min")])
def test_duration_in_words(seconds, words):
    assert live._duration(seconds) == words
