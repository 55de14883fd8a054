"""The live view of a training: one place, frames of a fixed size, silent where nobody watches."""

import io
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from bvae_helpers import plots, training
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


def at_every_step(monkeypatch):
    """Draw a frame whenever the watcher is called."""
    for name, value in (("PAUSE", 0.0), ("FIRST", 0.0), ("SHARE", 1e9)):
        monkeypatch.setattr(live, name, value)


class Clock:
    """A time that passes only where a test lets it: ``work`` seconds for a step, ``frame`` seconds for a frame."""

    def __init__(self, monkeypatch, frame=0.2):
        self.now, self.frames = 100.0, []
        monkeypatch.setattr(live.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(live._Frame, "draw", lambda *_: self.draw(frame))

    def draw(self, seconds):
        self.frames.append(self.now)
        self.now += seconds
        return b"\x00" * 24

    def train(self, steps, seconds, runs=1):
        """Call a watcher as ``fit`` does, after each of ``steps``, in ``runs`` of ``seconds`` each; its seconds."""
        watch, spent = live.Training(IMAGES, runs=runs), 0.0
        for _ in range(runs):
            history = SimpleNamespace(steps={name: [1.0] for name in ("loss", "reconstruction", "kl")})
            run = SimpleNamespace(history=history, event="log", complete=False, step=0, total_steps=steps,
                                  images_per_second=9.0, config=SimpleNamespace(log_every=1), started=self.now,
                                  model=BetaVAE(1, 4, [8, 8], network="sprites"))
            for run.step in range(1, steps + 1):
                self.now += seconds / steps
                before, run.complete = self.now, run.step == steps
                run.event = "end" if run.complete else "log"
                watch(run)
                spent += self.now - before
        return spent


def train(watch, **changes):
    config = SMALL.replace(**changes)
    torch.manual_seed(0)
    model = BetaVAE.from_config(config)
    return training.fit(model, IMAGES, config, progress=False, device="cpu", watch=watch), model


def test_one_place_whose_frames_have_one_size_and_alt_text(monkeypatch):
    notebook = Notebook(monkeypatch)
    at_every_step(monkeypatch)
    train(live.Training(IMAGES, title="β = 4"))
    (frames,) = notebook.places
    assert len(frames) == 10                          # 8 steps, the first epoch, and the end
    assert len({Image.open(io.BytesIO(frame.png)).size for frame in frames}) == 1
    assert "β = 4 after 8 of 8 steps" in frames[-1]._repr_png_()[1]["alt"]
    assert frames[0].png != frames[-1].png


@pytest.mark.parametrize("seconds, runs", [(5, 1), (8, 1), (15, 1), (60, 1), (1, 30), (5, 6), (600, 2)])
def test_drawing_takes_less_than_a_twentieth_of_the_training(monkeypatch, seconds, runs):
    Notebook(monkeypatch)
    clock = Clock(monkeypatch)
    assert clock.train(400, seconds, runs) <= 0.05 * seconds * runs
    assert len(clock.frames) >= min(2, int(0.2 * seconds * runs))


def test_a_picture_comes_early_and_the_others_evenly(monkeypatch):
    Notebook(monkeypatch)
    clock = Clock(monkeypatch)
    begin = clock.now
    clock.train(600, 60)
    assert clock.frames[0] - begin < 2
    gaps = [b - a for a, b in zip(clock.frames[1:], clock.frames[2:-1])]      # the cost of a frame is known by then
    assert len(gaps) > 5 and max(gaps) < 1.5 * min(gaps)
    slow = Clock(monkeypatch, frame=0.01)
    slow.train(600, 60)
    assert min(b - a for a, b in zip(slow.frames, slow.frames[1:-1])) >= 0.5


def test_words_stand_in_the_place_until_the_first_picture(monkeypatch):
    notebook = Notebook(monkeypatch)
    Clock(monkeypatch).train(400, 20)
    (frames,) = notebook.places
    pictures = [isinstance(frame, plots.Shown) for frame in frames]
    assert repr(frames[0]).startswith("step 1 of 400") and pictures == sorted(pictures) and pictures[-1]


def test_the_last_is_always_drawn(monkeypatch):
    notebook = Notebook(monkeypatch)
    monkeypatch.setattr(live, "SHARE", 0.0)
    train(live.Training(IMAGES))
    (frames,) = notebook.places
    assert [isinstance(frame, plots.Shown) for frame in frames[-2:]] == [False, True]
    assert "8 of 8 steps" in frames[-1].alt


def test_runs_of_a_cell_share_a_place_and_a_bar(monkeypatch):
    notebook, watch = Notebook(monkeypatch), live.Training(IMAGES, runs=2)
    at_every_step(monkeypatch)
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
    monkeypatch.setattr(live, "SHARE", 0.0)
    for _ in range(3):
        train(watch)
    (frames,) = notebook.places
    assert [isinstance(frame, plots.Shown) for frame in frames] == [False] * (len(frames) - 1) + [True]


def test_a_resumed_run_fills_the_rest_of_the_bar(monkeypatch, tmp_path):
    notebook, watch = Notebook(monkeypatch), live.Training(IMAGES)
    at_every_step(monkeypatch)
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
