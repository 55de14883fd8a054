"""What a CUDA graph needs of a training step, checked on a CPU: a recording that is replayed, here by running it again.

A replay knows no Python number that changes: the schedules raise while it runs, so that beta, the capacity and the
learning rates can only come from tensors. Nor may it wait for the device or bring numbers to it: operations that would,
on a card, raise here. ``tests/test_cuda.py`` does the same on a card.
"""

import contextlib
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import curves, new_model, same_state, small_config, small_pictures
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import TensorDataset

from bvae_helpers import checkpoints
from bvae_helpers import losses as L
from bvae_helpers.config import Config
from bvae_helpers.data import Images, to_batch
from bvae_helpers.training import fit, objective, precision, step
from bvae_helpers.training import run as runs
from bvae_helpers.training.history import TermTable
from bvae_helpers.training.run import Run

RATE = 2.0 ** -10                      # the same number in float32 and float64
EXTRAS = dict(discriminator_width=8, capacity_steps=15, gamma=0.5)


class OnTheDevice(TorchDispatchMode):
    """Raises what a card raises, inside the block, for operations that need the processor: they cannot be recorded.

    Reading a value, operations whose result has a shape that depends on values, and numbers that come from Python.
    """

    FORBIDDEN = {"_local_scalar_dense", "equal", "is_nonzero", "lift_fresh", "masked_select", "nonzero", "unique_dim",
                 "_unique2", "repeat_interleave", "bincount"}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        mask = name == "index" and any(index is not None and index.dtype is torch.bool for index in args[1])
        if mask or name in self.FORBIDDEN:
            raise RuntimeError(f"operation not permitted when stream is capturing: {operation}")
        return operation(*args, **(kwargs or {}))


@pytest.fixture
def recorded(monkeypatch):
    """Training whose steps are "recorded" on the CPU -> the number of replays of each recording."""
    replays = []

    def no_schedule(*args):
        raise AssertionError("a replay cannot follow a schedule of Python")

    def record(work, stream):
        replays.append(0)
        number = len(replays) - 1

        def replay():
            replays[number] += 1
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(runs, "beta_at", no_schedule)
                patch.setattr(objective, "capacity_at", no_schedule)
                with OnTheDevice():
                    work()
        return replay

    monkeypatch.setattr(runs, "can_record", lambda run: True)
    monkeypatch.setattr(step, "record", record)
    return replays


def train(config, data=None, **options):
    model = new_model(config)
    data = small_pictures() if data is None else data
    history = fit(model, data, config, **{"progress": False, "device": "cpu", **options})
    return model, history


def equal(one, two):
    """Whether two trainings ended with the same weights and curves, to the bit."""
    return same_state(one[0].state_dict(), two[0].state_dict()) and curves(one[1]) == curves(two[1])


def by_hand(config):
    """The first epoch in a plain loop -> the model and the loss of each step. beta and capacity are float32 tensors."""
    model, pictures = new_model(config), small_pictures()
    own = objective.Objective(model, config, torch.device("cpu"), 80)
    run = Run(model, Images(pictures), config, "cpu")
    optimizer, values = own.optimizer(), []
    model.train()
    torch.manual_seed(config.seed)
    for n, index in enumerate(run.batches()):
        x = to_batch(pictures[index])
        if config.flip:
            mirrored = torch.rand(len(x), 1, 1, 1) < 0.5
            x = torch.where(mirrored, x.flip(3), x)
        own.capacity.fill_(L.capacity_at(n, config))
        terms = own(x, torch.tensor(L.beta_at(n, config)))
        optimizer.zero_grad()
        (terms["loss"] + terms.get("discriminator_loss", 0)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizer.step()
        values.append(float(terms["loss"].detach()))
    return model, values


KINDS = [dict(objective=name, **EXTRAS) for name in L.OBJECTIVES] + [
    dict(flip=True), dict(grad_clip=0.1), dict(network="classic"), dict(precision="bfloat16"),
    dict(beta_schedule="warmup", schedule_steps=15),
    dict(beta_schedule="decreasing", schedule_steps=15, objective="btcvae")]


def name_of(changes):
    return "-".join(str(value) for value in changes.values() if value not in EXTRAS.values())


@pytest.mark.parametrize("changes", KINDS, ids=name_of)
def test_recorded_eager_and_by_hand_agree_to_the_bit(recorded, monkeypatch, changes):
    config = small_config(**{"lr": RATE, "epochs": 1, "log_every": 1, "val_fraction": 0.2, **changes})
    replayed = train(config)
    assert recorded[0] == 10 - step.Step.WARM_UP
    with monkeypatch.context() as patch:
        patch.setattr(runs, "can_record", lambda run: False)
        eager = train(config)
    assert equal(replayed, eager)
    model, values = by_hand(config)
    assert same_state(model.state_dict(), eager[0].state_dict()) and values == eager[1].steps["loss"]


def test_a_recorded_scaler_skips_the_steps_that_overflow(recorded, monkeypatch):
    """float16: the scale begins at 65,536, too much for these losses; it comes down, and steps are skipped, on the
    device."""
    config = small_config(lr=RATE, precision="float16", log_every=1)
    replayed = train(config)
    monkeypatch.setattr(runs, "can_record", lambda run: False)
    assert equal(replayed, train(config))
    run = Run(new_model(config), Images(small_pictures()), config, "cpu")
    start = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.model.train()
    run.train_on(run.batches()[0])
    assert same_state(run.model.state_dict(), start) and run.scaler.get_scale() == 2 ** 15


@pytest.mark.parametrize("schedule", ("constant", "plateau", "cosine"))
def test_learning_rates_reach_a_recorded_step(recorded, monkeypatch, schedule):
    config = small_config(lr=RATE, epochs=4, lr_schedule=schedule, lr_patience=0, beta=1.0)
    replayed = train(config)
    monkeypatch.setattr(runs, "can_record", lambda run: False)
    eager = train(config)
    assert replayed[1]["lr"] == eager[1]["lr"] and all(type(rate) is float for rate in replayed[1]["lr"])
    assert replayed[1]["train_loss"] == pytest.approx(eager[1]["train_loss"], rel=1e-5)
    if schedule != "cosine":                                  # its rates are not the same number in float32
        assert equal(replayed, eager)


@pytest.mark.parametrize("changes", [dict(), dict(lr_schedule="cosine", objective="annealed"),
                                     dict(objective="factorvae"),
                                     dict(network="classic", flip=True), dict(log_every=1000)], ids=name_of)
def test_a_recorded_run_stopped_anywhere_ends_bit_identical(recorded, tmp_path, changes):
    settings = {**EXTRAS, "epochs": 3, **changes}
    whole = train(small_config(**settings))
    for steps in (1, 3, 9, 2, 6):                             # at 1, 4, 13, 15 and 21 of 30 steps
        train(small_config(tmp_path, **settings), stop_after=steps)
        torch.rand(3)
    assert equal(train(small_config(tmp_path, **settings)), whole)


def test_a_checkpoint_is_the_same_whether_steps_are_recorded_or_not(recorded, tmp_path, monkeypatch):
    train(small_config(tmp_path / "recorded", lr=RATE), stop_after=7)
    monkeypatch.setattr(runs, "can_record", lambda run: False)
    train(small_config(tmp_path / "eager", lr=RATE), stop_after=7)
    states = [checkpoints.load(tmp_path / name / "last.pt") for name in ("recorded", "eager")]
    groups = [state["optimizer_state_dict"]["param_groups"] for state in states]
    assert groups[0] == groups[1] and type(groups[0][0]["lr"]) is float and groups[0][0]["capturable"] is False
    assert states[0].keys() == states[1].keys() and len(states[0]["recent"]) == 3
    for one, two in zip(*(state["recent"] for state in states)):
        assert same_state(one, two)
    assert equal(train(small_config(tmp_path / "recorded", lr=RATE)), train(small_config(tmp_path / "eager", lr=RATE)))


def test_images_read_item_by_item_are_copied_to_the_recorded_place(recorded):
    pictures = small_pictures()
    tensor, items = train(small_config()), train(small_config(), TensorDataset(pictures))
    assert equal(tensor, items) and len(recorded) == 4


def test_a_batch_of_another_kind_is_computed_eagerly(recorded):
    """A Dataset that gives floats where the recorded batch has bytes: copied there, all would be 0 or 1."""
    class Mixed(TensorDataset):
        def __getitem__(self, n):
            image = self.tensors[0][n]
            return image / 255 if self.floats else image

    plain = train(small_config())
    data = Mixed(small_pictures())
    data.floats = False

    def switch(run):
        data.floats = run.step >= 8

    mixed = train(small_config(), data, watch=switch)
    assert same_state(plain[0].state_dict(), mixed[0].state_dict()) and recorded[2] == 5         # steps 4 to 8


def test_one_small_batch_and_an_odd_batch_of_validation(recorded):
    history = train(small_config(batch_size=7, val_fraction=0.45))[1]        # 45 to validate: six of 7 and one of 3
    assert np.isfinite(history["val_loss"]).all() and recorded == [11, 9]
    assert train(small_config(batch_size=200))[1].steps_per_epoch == 1


def test_a_step_that_needs_the_processor_is_never_recorded(recorded):
    """The instrument of this file finds what a card refuses: in the forward pass, in the backward pass, from Python."""
    class Read(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * gradient.sum().item()

    weight = torch.ones(3, requires_grad=True)
    for work in (lambda: weight.sum().item(), lambda: weight + torch.tensor(1.0), lambda: weight[weight > 0],
                 lambda: Read.apply(weight).sum().backward()):
        with OnTheDevice(), pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
            work()


class Broken:
    """A recording that ends with an error while the step is inside ``torch.optim.Adam.step``, after ``steps`` eager
    ones."""

    def __init__(self, monkeypatch, fails=True):
        self.tries, adam = 0, torch.optim.Adam.step
        self.recording = False

        def stepped(optimizer, *args, **kwargs):
            if self.recording:
                raise RuntimeError("operation not permitted when stream is capturing\nmore lines")
            return adam(optimizer, *args, **kwargs)

        monkeypatch.setattr(torch.optim.Adam, "step", stepped)
        monkeypatch.setattr(step, "record", self.record)

    def end(self):
        raise RuntimeError("operation failed due to a previous error during capture")

    def record(self, work, stream):
        """Nothing is computed while a graph is recorded: what the work does to memory is undone here."""
        self.tries, self.recording, before = self.tries + 1, True, torch.get_rng_state()
        try:
            with contextlib.ExitStack() as end:
                end.callback(self.end)
                work()
        finally:
            self.recording = False
            torch.set_rng_state(before)


@pytest.mark.parametrize("changes", [dict(), dict(precision="float16"), dict(precision="float16", grad_clip=0.0)],
                         ids=name_of)
def test_a_recording_that_fails_is_said_once_and_training_continues(monkeypatch, changes):
    config = small_config(lr=RATE, **changes)
    monkeypatch.setattr(torch.amp, "GradScaler", partial(torch.amp.GradScaler, init_scale=256.0))   # no step overflows
    whole = train(config)
    monkeypatch.setattr(runs, "can_record", lambda run: True)
    broken = Broken(monkeypatch)
    with pytest.warns(UserWarning, match=r"the step cannot be a CUDA graph \(operation not permitted when stream is "
                      r"capturing\): training continues without") as said:
        again = train(config)
    assert equal(again, whole)
    assert len(said) == 1 and broken.tries == 1                  # the validation is not tried


class Generator:
    """Stands for torch's generator of a card: after a broken recording, draws from its old state raise errors."""

    def __init__(self, device=None):
        self.state, self.broken = torch.tensor([0]), False

    def set_state(self, state):
        self.state = state

    def graphsafe_set_state(self, other):
        self.state, self.broken = other.state, other.broken


def test_streams_and_random_numbers_survive_a_broken_recording(monkeypatch):
    """As torch 2.6 to 2.11: the end of a broken recording raises before it leaves the stream and resets the
    generator."""
    generator, current = Generator(), ["default"]
    generator.state = torch.tensor([7])

    class Graph:
        def __init__(self, graph, stream, capture_error_mode):
            self.stream = stream

        def __enter__(self):
            current[0], generator.broken = self.stream, True

        def __exit__(self, *error):
            raise RuntimeError("operation failed due to a previous error during capture")

    @contextlib.contextmanager
    def on(new):
        before, current[0] = current[0], new
        try:
            yield
        finally:
            current[0] = before

    for name, value in dict(CUDAGraph=object, graph=Graph, stream=on, default_generators=[generator],
                            get_rng_state=lambda device: generator.state.clone()).items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch, "Generator", Generator)

    def work():
        generator.state = torch.tensor([99])
        raise RuntimeError("operation not permitted when stream is capturing")

    side = SimpleNamespace(device=SimpleNamespace(index=0))
    with pytest.raises(RuntimeError, match="previous error during capture"):
        step.record(work, side)
    assert current == ["default"] and generator.state.tolist() == [7] and not generator.broken


def test_a_late_nan_is_found_with_its_step_although_nothing_was_read_before(recorded):
    config = small_config(epochs=1, log_every=1000)
    images = small_pictures() / 255
    seventh = Run(new_model(config), Images(images), config, "cpu").batches()[6]
    images[seventh[0], 0, 3, 3] = float("nan")
    with pytest.raises(FloatingPointError, match=r"nan at step 7 \(epoch 1\)"):
        train(config, TensorDataset(images))


# The table of terms

def test_a_table_returns_what_was_written():
    table = TermTable(3, torch.device("cpu"))
    assert table.read() == {} and table.state() == []
    rows = [{"loss": torch.tensor(float(n)), "kl_per_latent": torch.tensor([n, n + 0.5])} for n in range(3)]
    for row in rows:
        table.begin_row()
        table.write(row)
    assert table.read()["loss"].tolist() == [0, 1, 2]
    assert table.read()["kl_per_latent"].tolist() == [[0, .5], [1, 1.5], [2, 2.5]]
    other = TermTable(1, torch.device("cpu"))
    other.load(table.state())
    other.begin_row()
    other.write(rows[0])
    assert other.read()["loss"].tolist() == [0, 1, 2, 0]
    other.clear()
    assert other.read() == {}


# Precision

class Card:
    """Stands for a CUDA device in questions about number formats."""

    type = "cuda"


@pytest.mark.parametrize("bfloat16, dtype, trial", [(True, torch.bfloat16, False), (False, torch.float32, True)])
def test_auto_is_bfloat16_where_the_card_has_it_and_else_a_trial_decides(monkeypatch, bfloat16, dtype, trial):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    assert precision.precision("auto", Card) is dtype and precision.needs_trial("auto", Card) is trial
    assert not precision.needs_trial("float32", Card) and not precision.needs_trial("auto", torch.device("cpu"))


@pytest.mark.parametrize("faster", ("float32", "bfloat16"))
def test_a_run_uses_what_the_trial_finds_faster_and_keeps_it_when_resumed(tmp_path, monkeypatch, faster):
    monkeypatch.setattr(runs, "needs_trial", lambda *args: True)
    monkeypatch.setattr(runs, "faster_precision", lambda run: faster)
    config = small_config(tmp_path, precision="auto")
    auto, named = train(config), train(config.replace(precision=faster, save_dir=None))
    assert equal(auto, named)


def test_a_trial_leaves_the_run_alone_says_one_line_and_serves_all_runs_of_its_kind(recorded, monkeypatch, capsys):
    monkeypatch.setattr(precision, "_found", {})
    config = small_config(precision="auto")
    run = Run(new_model(config), Images(small_pictures()), config, "cpu")
    weights, generator = {k: v.clone() for k, v in run.model.state_dict().items()}, torch.get_rng_state()
    found = precision.faster_precision(run)
    assert found in ("float32", "float16") and len(recorded) == 2
    assert same_state(run.model.state_dict(), weights) and torch.equal(torch.get_rng_state(), generator)
    assert run.step == 0 and run.recent.count == 0
    assert capsys.readouterr().out.splitlines()[0].startswith(f"precision: {found}; 20 steps took ")
    assert precision.faster_precision(run) == found and len(recorded) == 2
    wider = Run(new_model(config), Images(small_pictures()), config.replace(batch_size=16), "cpu")
    assert precision.faster_precision(wider) and len(recorded) == 4


def test_old_settings_are_still_read():
    assert Config(**{**small_config().to_dict(), "compile": False}).to_dict() == small_config().to_dict()
