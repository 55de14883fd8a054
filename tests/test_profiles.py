"""Profiles: how much of everything a notebook runs."""

import json
import pathlib
import re

import pytest

from bvae_helpers import teach
from bvae_helpers.teach.profiles import PROFILES, STEPS_PER_SECOND, Profile, expected_time, profile

NOTEBOOKS = pathlib.Path(__file__).resolve().parent.parent / "notebooks"


def test_profiles(monkeypatch):
    monkeypatch.setenv("BVAE_PROFILE", "tiny")
    assert profile() == PROFILES["tiny"] and profile("laptop").name == "laptop"
    monkeypatch.setenv("BVAE_PROFILE", "huge")
    with pytest.raises(ValueError, match="tiny or laptop or gpu or paper"):
        profile()
    monkeypatch.delenv("BVAE_PROFILE")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert profile().name == "gpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert profile().name == "laptop"
    images = [PROFILES[name].images for name in ("tiny", "laptop", "gpu", "paper")]
    assert images == sorted(set(images))


def test_paper_is_never_chosen_unasked_and_says_what_it_takes(monkeypatch, capsys):
    monkeypatch.setenv("BVAE_PROFILE", "paper")
    teach.setup()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == expected_time(PROFILES["paper"]) and "345,600 steps" in lines[1]
    assert re.search(r"about 7 min on an H100, 41 min on a T4 \(assumed\), 339 min on 2 CPU cores$", lines[1])
    for name in ("tiny", "laptop", "gpu"):
        monkeypatch.setenv("BVAE_PROFILE", name)
        teach.setup()
        assert capsys.readouterr().out.count("\n") == 1


# The trainings of each notebook: how many calls of fit() and sweep() stand in its cells, how many runs they make, and
# the steps of all of them. A cell that trains more, or another one, has to be counted here.

def fourth(p: Profile) -> tuple[int, float]:
    epoch = 0.8 * (p.images // 2) / 32
    return 11, 5 * min(6, 2 * p.epochs) * epoch + 2 * epoch + 3 * epoch / 2


def seventh(p: Profile) -> tuple[int, float]:
    n = min(20_000, max(256, p.images // 8))
    whole, trial = 2 * p.epochs * 0.8 * n / 16, 2 * p.epochs * 0.8 * (n // 3) / 16
    return 15, whole + 10 * trial + 2 * 16              # and a small one, alone and stopped


def eighth(p: Profile) -> tuple[int, float]:
    runs = 7 * min(3, p.epochs)
    return runs, runs * 3 * p.epochs * (min(1536, p.images // 4) // 64)


def ninth(p: Profile) -> tuple[int, float]:
    passes = 8 if p.epochs > 2 else 3
    falling, small = 2 * passes * (min(20_000, p.images) // 64), 8 * p.epochs * 0.8 * (p.images // 10) / 64
    return 2 * passes + 9, falling + small + p.images / 10 / 64


TRAININGS = {
    "00_quickstart": (0, lambda p: (0, 0)),
    "01_data": (0, lambda p: (0, 0)),
    "02_model": (1, lambda p: (4, 0)),              # on the processor, the same in laptop and gpu
    "03_training": (8, lambda p: (10, 2 * 2 * p.epochs * 0.8 * (p.images // 2) / 32 + 250)),
    "04_when_training_fails": (7, fourth),
    "05_traversal": (0, lambda p: (0, 0)),
    "06_disentanglement": (0, lambda p: (0, 0)),
    "07_your_images": (4, seventh),
    "08_beyond_beta": (1, eighth),
    "09_research": (4, ninth),
}
ALL_ELSE = 100             # seconds for what no card makes faster: drawing images and figures, scores
STARTING = 1.5             # seconds for a run to warm up and to be recorded


@pytest.mark.parametrize("name", TRAININGS)
def test_the_trainings_of_a_notebook_are_counted(name):
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert len(re.findall(r"(?<!\)\.)\b(?:fit|sweep)\(", code)) == TRAININGS[name][0]


@pytest.mark.parametrize("name", TRAININGS)
def test_gpu_takes_five_minutes_at_most_on_a_t4_as_we_assume_it(name):
    """At the same steps a second for every network: the classic one has a fifth more operations, but batches of 16."""
    runs, steps = TRAININGS[name][1](PROFILES["gpu"])
    assert steps / STEPS_PER_SECOND["a T4 (assumed)"] + runs * STARTING + ALL_ELSE < 300


def test_every_notebook_is_in_the_table():
    assert sorted(TRAININGS) == sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
