"""Every model that ships scores what its card says."""

import functools
import pathlib
import re

import pytest

from bvae_helpers import checkpoints, latents, metrics
from bvae_helpers.config import Config
from bvae_helpers.data import load_data, render
from bvae_helpers.training import results

GUIDE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "guides" / "models.md"
SAMPLES = 6_000      # as in the cards' protocol
ALL = checkpoints.pretrained_names() + checkpoints.pretrained_names(sweep=True)


@functools.lru_cache(maxsize=2)
def images_of(data_path, seed):
    """The images of one evaluation seed, shared by all models of the same data."""
    config = Config(data_path=data_path)
    return render(load_data(config), SAMPLES, seed)


@pytest.mark.parametrize("name", ALL)
def test_a_model_scores_what_its_card_says(name):
    """One of three values differs from their mean by two thirds of their range at most; the range itself is allowed."""
    model = checkpoints.load_pretrained(name)
    card = model.card
    images, factors = images_of(model.config.data_path, card["evaluation_seeds"][0])
    mu, logvar = latents.encode(model, images)
    found = {"mig": metrics.mig(mu, factors), "kl": float(latents.kl_per_latent(mu, logvar).sum())}
    for score, value in found.items():
        allowed = card["range_over_evaluation_seeds"][score] + 1e-3                   # and rounding
        assert value == pytest.approx(card["scores"][score], abs=allowed), score


@pytest.mark.parametrize("name", ALL)
def test_a_card_says_how_its_model_was_chosen(name):
    """By which seeds, of how many, and that its scores are over images that had no part in the choice."""
    card = checkpoints.load_pretrained(name).card
    chosen_by = {int(word.strip(",")) for word in card["chosen_by"].split() if word.strip(",").isdigit()}
    assert len(chosen_by) == len(card["evaluation_seeds"]) == 3 and not chosen_by & set(card["evaluation_seeds"])
    assert all(str(seed) in card["evaluation"] for seed in card["evaluation_seeds"])
    assert card["training_seeds"] >= 1 and card["chosen"] and card["machine"] and card["training_minutes"] > 0
    assert isinstance(card["other_training_seeds"], dict)
    assert card["training_seeds"] == 1 + sum(seed.isdigit() for seed in card["other_training_seeds"])
    active, both = card["scores_of_active_latents"], {"mig", "dci_disentanglement", "factor_vae"}
    assert both <= active.keys() and both <= card["scores"].keys() and both <= card["scores_when_chosen"].keys()
    assert card["scores"]["active_latents"] == sum(kl > 0.1 for kl in card["scores"]["kl_per_latent"])


def test_the_guide_shows_the_scores_of_active_latents():
    pattern = r"^\| `(\w+)` \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$"
    rows = re.findall(pattern, GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == sum(not name.startswith("faces") for name in checkpoints.pretrained_names())
    for name, *numbers in rows:
        card = checkpoints.load_pretrained(name).card
        scores = [card["scores_of_active_latents"][score] for score in ("mig", "dci_disentanglement", "factor_vae")]
        assert numbers == [f"{card['scores']['active_latents']:.0f}", *(f"{score:.2f}" for score in scores)], name


def test_the_guide_shows_how_much_scores_vary():
    pattern = r"^\| `(\w+)` \| (0\.\d{3}) \| (0\.\d{3}) \| (0\.\d{3}) \| ([^|]+) \|$"
    rows = re.findall(pattern, GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {row[0] for row in rows} == set(checkpoints.pretrained_names())
    for name, *numbers, others in rows:
        card = checkpoints.load_pretrained(name).card
        found = [card["range_over_evaluation_seeds"][score] for score in ("mig", "dci_disentanglement", "factor_vae")]
        assert numbers == [f"{value:.3f}" for value in found], name
        runs = [f"{run['mig']:.2f}" for run in card["other_training_seeds"].values() if isinstance(run, dict)]
        assert others == (", ".join(runs) or "–"), name


def span(values, digits):
    """"lowest to highest", or the one number that both are."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


@pytest.mark.parametrize("objective, long", [("beta_vae", False), ("beta_vae", True), ("btcvae", False)])
def test_the_guide_shows_the_runs_of_the_sweep(objective, long):
    columns = {"kl": 1, "reconstruction": 0, "active_latents": 0, "mig": 2, "mig_active": 2, "dci_disentanglement": 2,
               "dci_disentanglement_active": 2, "factor_vae": 2, "factor_vae_active": 2}
    rows = [row for row in results.shipped(long) if row["objective"] == objective]
    for beta in sorted({row["beta"] for row in rows}):
        runs = [row for row in rows if row["beta"] == beta]
        cells = [span([run[column] for run in runs], digits) for column, digits in columns.items()]
        assert f"| {beta:g} | {len(runs)} | {' | '.join(cells)} |" in GUIDE.read_text(encoding="utf-8")


def test_the_models_of_the_sweep_differ_in_beta_alone():
    configs = [checkpoints.load_pretrained(name).config for name in checkpoints.pretrained_names(sweep=True)]
    settings = [{**config.to_dict(), "beta": None, "seed": None} for config in configs]
    assert len(configs) >= 5 and all(setting == settings[0] for setting in settings)
    assert {config.beta_schedule for config in configs} == {"constant"}


def test_all_weights_together_are_small():
    assert sum(path.stat().st_size for path in checkpoints.PRETRAINED.glob("*.pt")) <= 20e6
