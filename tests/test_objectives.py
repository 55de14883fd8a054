"""The family of objectives: each at its neutral setting is the beta-VAE, to the gradient; and each says what it
should."""

import math

import pytest
import torch
from conftest import new_model, small_config, small_pictures

from bvae_helpers import checkpoints
from bvae_helpers import losses as L
from bvae_helpers.__main__ import main
from bvae_helpers.data import Images
from bvae_helpers.losses import Discriminator, permute_latents
from bvae_helpers.model import Pass
from bvae_helpers.training import fit, train_step
from bvae_helpers.training.objective import in_batches
from bvae_helpers.training.run import Run


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
NEUTRAL = [("annealed", dict(beta=4.0, capacity_max=0.0), 4.0), ("btcvae", dict(beta=1.0), 1.0),
           ("btcvae_stratified", dict(beta=1.0), 1.0), ("btcvae_gamma", dict(beta=1.0, gamma=1.0), 1.0),
           ("factorvae", dict(beta=0.0), 1.0), ("dipvae1", dict(beta=0.0), 1.0), ("dipvae2", dict(beta=0.0), 1.0)]


def test_every_objective_has_a_neutral_setting():
    assert {"beta_vae", *(name for name, _, _ in NEUTRAL)} == set(L.OBJECTIVES)


@pytest.mark.parametrize("objective, settings, beta", NEUTRAL, ids=[n[0] for n in NEUTRAL])
def test_at_its_neutral_setting_it_is_the_beta_vae(objective, settings, beta):
    plain, gradient = terms_and_gradient("beta_vae", beta)
    terms, other = terms_and_gradient(objective, **settings)
    assert torch.equal(terms["loss"], plain["loss"])
    assert float((other - gradient).norm()) <= 1e-5 * float(gradient.norm())


@pytest.mark.parametrize("objective, settings, beta", NEUTRAL, ids=[n[0] for n in NEUTRAL])
def test_at_another_setting_it_is_not(objective, settings, beta):
    gradient = terms_and_gradient("beta_vae", beta)[1]
    other = terms_and_gradient(objective, settings["beta"] + 300)[1]       # an untrained discriminator says little
    assert float((other - gradient).norm()) > 0.01 * float(gradient.norm())


# Capacity

@pytest.mark.parametrize("gamma", (0.2, 3.0))
def test_gamma_weights_the_dimension_wise_kl(gamma):
    plain, gradient = terms_and_gradient("btcvae", 4.0)
    terms, other = terms_and_gradient("btcvae_gamma", 4.0, gamma=gamma)
    change = (gamma - 1) * float(terms["dimension_wise_kl"].detach())
    assert abs(change) > 0.1 and float((terms["loss"] - plain["loss"]).detach()) == pytest.approx(change, rel=1e-3)
    assert float((other - gradient).norm()) > 1e-3 * float(gradient.norm())


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
    assert history["train_capacity"] == pytest.approx([4.5, 10.0])
    assert history["val_capacity"] == pytest.approx([10.0, 10.0])


# Total correlation

@pytest.mark.parametrize("dataset_size", (None, 737_280))
@pytest.mark.parametrize("variance", (0.5, 0.9))
def test_the_total_correlation_of_independent_latents_is_about_zero_at_any_number_of_them(dataset_size, variance):
    # 10 latents, 64 images a batch: weights that do not sum to 1 would be off by a multiple of 9 log 64 = 37 nats
    torch.manual_seed(0)
    mu = math.sqrt(1 - variance) * torch.randn(64, 10)
    z = mu + math.sqrt(variance) * torch.randn(64, 10)
    assert abs(float(L.total_correlation(z, mu, torch.full_like(mu, math.log(variance)), dataset_size))) < 1.5


# Total correlation, by the discriminator

def correlated(n, r):
    """n draws of two latents of variance 1 and correlation r."""
    z = torch.randn(n, 2)
    return torch.stack([z[:, 0], r * z[:, 0] + math.sqrt(1 - r ** 2) * z[:, 1]], 1)


def test_permuted_latents_keep_each_latent_and_lose_what_they_share():
    torch.manual_seed(0)
    z = correlated(5000, 0.9)
    permuted = permute_latents(z)
    assert torch.equal(permuted.sort(0)[0], z.sort(0)[0]) and not torch.equal(permuted, z)
    assert abs(float(torch.corrcoef(permuted.T)[0, 1])) < 0.05          # 3.5 standard errors of 1 / sqrt(5000)


@pytest.mark.parametrize("r", (0.0, 0.9))
def test_the_density_ratio_finds_the_total_correlation_of_a_gaussian(r):
    # -log(1 - r^2) / 2: 0 and 0.83 nats
    torch.manual_seed(0)
    discriminator = Discriminator(2, width=32, layers=2)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=3e-3)
    for _ in range(500):
        optimizer.zero_grad()
        discriminator.loss(correlated(256, r)).backward()
        optimizer.step()
    assert float(discriminator.total_correlation(correlated(5000,
                                                            r))) == pytest.approx(-0.5 * math.log(1 - r ** 2), abs=0.1)


def test_an_undecided_discriminator_is_a_coin():
    discriminator = Discriminator(3, width=4)
    for p in discriminator.parameters():
        torch.nn.init.zeros_(p)
    z = torch.randn(8, 3)
    with torch.no_grad():
        assert discriminator.loss(z).item() == pytest.approx(math.log(2))
    assert discriminator.total_correlation(z).item() == 0


def test_each_network_of_factorvae_learns_from_its_own_loss_alone():
    run = run_of("factorvae", discriminator_width=8)
    z = torch.randn(8, 3, requires_grad=True)
    run.discriminator.total_correlation(z).backward()
    assert z.grad.abs().max() > 0 and all(p.grad is None for p in run.discriminator.parameters())
    z.grad = None
    run.discriminator.loss(z).backward()
    assert z.grad is None and all(p.grad.abs().max() > 0 for p in run.discriminator.parameters())


def test_a_training_step_follows_both_losses_of_factorvae():
    run = run_of("factorvae", discriminator_width=8)
    x = run.batch(torch.arange(8))
    networks = {"loss": run.model, "discriminator_loss": run.discriminator}
    for loss, learner in networks.items():
        torch.manual_seed(0)
        run.objective(x, 4.0)[loss].backward()
        for network in networks.values():
            assert all((p.grad is not None) == (network is learner) for p in network.parameters())
            network.zero_grad()
    before = [p.clone() for network in networks.values() for p in network.parameters()]
    train_step(run, x, 4.0)
    after = [p for network in networks.values() for p in network.parameters()]
    assert not any(torch.equal(a, b) for a, b in zip(before, after))


def test_the_discriminator_has_an_optimiser_of_its_own_in_the_checkpoint(tmp_path):
    config = small_config(tmp_path, objective="factorvae", discriminator_width=8, discriminator_lr=2e-4)
    history = fit(new_model(config), small_pictures(), config, progress=False, device="cpu")
    state = checkpoints.load(tmp_path / "last.pt")
    model, discriminator = state["optimizer_state_dict"]["param_groups"]
    assert (model["lr"], discriminator["lr"], discriminator["betas"]) == (1e-3, 2e-4, (0.5, 0.9))
    assert {v.shape[0] for v in state["discriminator_state_dict"].values()} == {8, 1}
    torch.manual_seed(config.seed)
    start = Discriminator(3, 8).state_dict()
    assert all(not torch.equal(value, state["discriminator_state_dict"][name]) for name, value in start.items())
    assert 0 < history["train_discriminator_loss"][-1] < 1 and history["lr"] == [1e-3, 1e-3]


# Moments

def test_covariance():
    codes = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(L.covariance(codes), torch.cov(codes.T, correction=0))


def test_moment_penalties_by_hand():
    off, on = L.moment_penalties(torch.tensor([[1.5, 0.2], [0.2, 0.0]]))
    assert float(off) == pytest.approx(2 * 0.2 ** 2) and float(on) == pytest.approx(0.5 ** 2 + 1)


def test_dip_vae_asks_for_uncorrelated_means_or_uncorrelated_draws_of_variance_1():
    torch.manual_seed(0)
    mu = torch.randn(1000, 3, dtype=torch.float64)
    mu -= mu.mean(0)
    white = mu @ torch.linalg.inv(torch.linalg.cholesky(L.covariance(mu))).T          # covariance: the identity
    out = Pass(None, None, white, torch.full_like(white, math.log(0.25)))
    loss, more = L.dipvae1(out, 0.0, 0.0, 5.0)
    assert float(loss) == pytest.approx(0, abs=1e-12) == float(more["off_diagonal"])
    loss, more = L.dipvae2(out, 0.0, 0.0, 5.0)
    assert float(loss) == pytest.approx(5 * 3 * 0.25 ** 2) and float(more["diagonal"]) == pytest.approx(3 * 0.25 ** 2)
    half = out._replace(mu=white * math.sqrt(0.75))
    assert float(L.dipvae2(half, 0.0, 0.0, 5.0)[0]) == pytest.approx(0, abs=1e-12)
    assert float(L.dipvae1(half, 0.0, 0.0, 5.0)[0]) == pytest.approx(5 * 10 * 3 * 0.25 ** 2)


# Records and the command line

OWN = {"beta_vae": set(), "annealed": {"capacity"}, "btcvae": {"total_correlation"},
       "btcvae_stratified": {"total_correlation"}, "btcvae_gamma": {"total_correlation", "dimension_wise_kl"},
       "factorvae": {"total_correlation", "discriminator_loss"}, "dipvae1": {"off_diagonal", "diagonal"},
       "dipvae2": {"off_diagonal", "diagonal"}}


@pytest.mark.parametrize("objective", L.OBJECTIVES)
def test_the_terms_of_an_objective_are_in_the_history_on_the_board_and_on_the_command_line(tmp_path, capsys, objective):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    main(["train", "--preset", "sprites", "--objective", objective, "--num-images", "40", "--epochs", "1", "--device",
          "cpu", "--discriminator-width", "8", "--save-dir", str(tmp_path / "c"), "--log-dir", str(tmp_path / "runs")])
    common = {"loss", "reconstruction", "kl", "kl_per_latent"}
    history = checkpoints.load(tmp_path / "c" / "last.pt")["history"]
    assert {name.removeprefix("val_") for name in history["epochs"]
            if name.startswith("val_")} == common | OWN[objective]
    events = EventAccumulator(str(next((tmp_path / "runs").iterdir())))
    events.Reload()
    assert {f"{part}/{name}" for part in ("train", "val") for name in OWN[objective]} <= set(events.Tags()["scalars"])
    capsys.readouterr()
    main(["evaluate", str(tmp_path / "c" / "last.pt"), "--images", "40", "--device", "cpu"])
    said = capsys.readouterr().out
    assert objective in said and all(name in said for name in OWN[objective] - {"discriminator_loss"})


def test_a_batch_of_one_says_nothing_about_the_latents_together():
    for objective in sorted(set(L.OBJECTIVES) - {"beta_vae", "annealed"}):
        with pytest.raises(ValueError, match=f"{objective} .*batch_size 2 or more, got 1,"):
            run_of(objective, batch_size=1)
        with pytest.raises(ValueError, match=f"{objective} .*got 1$"):
            run_of(objective, val_fraction=0.01)


@pytest.mark.parametrize("count, sizes", [(9, [9]), (8, [8]), (1, [1]), (10, [8, 2]), (17, [8, 9])])
def test_an_item_left_over_is_not_alone(count, sizes):
    batches = in_batches(torch.arange(count), 8)
    assert [len(batch) for batch in batches] == sizes and torch.cat(batches).tolist() == list(range(count))


def test_a_validation_image_left_over_is_no_obstacle():
    config = small_config(objective="btcvae", epochs=1)
    history = fit(new_model(config), small_pictures(45), config, progress=False, device="cpu")  # 9 to validate, by 8
    assert math.isfinite(history["val_total_correlation"][0])
