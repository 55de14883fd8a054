"""The family of objectives: each at its neutral setting is the beta-VAE, to the gradient; and each says what it should."""

import pytest
import torch
from conftest import new_model, small_config, small_pictures

from bvae_helpers import losses as L
from bvae_helpers.data import Images
from bvae_helpers.run import Run
from bvae_helpers.training import fit


def run_of(objective, **settings):
    """A run of a small network whose posteriors lie apart, so that terms between the latents count."""
    config = small_config(objective=objective, **settings)
    model = new_model(config)
    with torch.no_grad():
        model.encoder.fc_mu.weight *= 300
    return Run(model, Images(small_pictures()), config, "cpu")


def terms_and_gradient(objective, beta, **settings):
    """Terms of the objective for a fixed batch and fixed noise, and the gradient of the loss in the model."""
    run = run_of(objective, **settings)
    torch.manual_seed(0)
    terms = run.objective(small_pictures(8) / 255, beta)
    terms["loss"].backward()
    return terms, torch.cat([p.grad.flatten() for p in run.model.parameters()])


# objective, its neutral setting, and the beta of the beta-VAE that it then is
NEUTRAL = [("annealed", dict(beta=4.0, capacity_max=0.0), 4.0), ("btcvae", dict(beta=1.0), 1.0)]


@pytest.mark.parametrize("objective, settings, beta", NEUTRAL, ids=[n[0] for n in NEUTRAL])
def test_at_its_neutral_setting_it_is_the_beta_vae(objective, settings, beta):
    plain, gradient = terms_and_gradient("beta_vae", beta)
    terms, other = terms_and_gradient(objective, **settings)
    assert torch.equal(terms["loss"], plain["loss"])
    assert float((other - gradient).norm()) <= 1e-5 * float(gradient.norm())


@pytest.mark.parametrize("objective, settings, beta", NEUTRAL, ids=[n[0] for n in NEUTRAL])
def test_at_another_setting_it_is_not(objective, settings, beta):
    gradient = terms_and_gradient("beta_vae", beta)[1]
    other = terms_and_gradient(objective, settings["beta"] + 3)[1]
    assert float((other - gradient).norm()) > 0.01 * float(gradient.norm())


# Capacity

def test_the_annealed_objective_presses_towards_the_capacity_from_both_sides():
    for capacity, sign in ((2.0, 1), (7.0, -1)):
        kl = torch.tensor(5.0, requires_grad=True)
        loss, more = L.annealed(None, torch.tensor(100.0), kl, 10.0, torch.tensor(capacity))
        loss.backward()
        assert loss == 100 + 10 * abs(5 - capacity) and kl.grad == sign * 10 and more["capacity"] == capacity


def test_the_capacity_rises_in_a_straight_line():
    config = small_config(capacity_max=25.0, capacity_steps=100)
    assert [L.capacity_at(step, config) for step in (0, 50, 100, 1000)] == [0.0, 12.5, 25.0, 25.0]


def test_a_run_records_the_capacity_it_trained_with():
    config = small_config(objective="annealed", capacity_max=10.0, capacity_steps=10, log_every=1)
    history = fit(new_model(config), small_pictures(), config, progress=False, device="cpu")
    assert history.steps["capacity"] == pytest.approx([*range(10), *[10.0] * 10], abs=1e-6)    # 10 steps an epoch
    assert history["train_capacity"] == pytest.approx([4.5, 10.0]) and history["val_capacity"] == pytest.approx([10.0, 10.0])
