"""Every model that ships scores what its card says."""

import functools

import pytest

from bvae_helpers import checkpoints, latents, metrics
from bvae_helpers.config import Config
from bvae_helpers.data import load_data, render

SAMPLES, EVALUATION_SEED = 6_000, 100      # as in the cards' protocol


@functools.lru_cache(maxsize=2)
def images_of(data_path, seed):
    """The images of one evaluation seed, shared by all models of the same data."""
    config = Config(data_path=data_path)
    return render(load_data(config), SAMPLES, seed)


@pytest.mark.parametrize("name", checkpoints.pretrained_names())
def test_a_model_scores_what_its_card_says(name):
    """One evaluation seed lies within two thirds of the range of three from their mean, whatever the three are."""
    model = checkpoints.load_pretrained(name)
    card = model.card
    images, factors = images_of(model.config.data_path, EVALUATION_SEED)
    mu, logvar = latents.encode(model, images)
    found = {"mig": metrics.mig(mu, factors), "kl": float(latents.kl_per_latent(mu, logvar).sum())}
    for score, value in found.items():
        allowed = 2 / 3 * card["range_over_evaluation_seeds"][score] + 1e-3          # and rounding
        assert value == pytest.approx(card["scores"][score], abs=allowed), score
