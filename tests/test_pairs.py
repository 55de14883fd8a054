"""Training on pairs: what a pair is, what is averaged, and runs that are stopped and resumed."""

import itertools

import pytest
import torch

from bvae_helpers.config import Config
from bvae_helpers.data import Sprites
from bvae_helpers.losses import average_shared, objective
from bvae_helpers.model import BetaVAE
from bvae_helpers.training.pairs import draw_pairs, fit_pairs, pair_terms

SETTINGS = Config.falling(objective="beta_vae", beta=1.0, beta_schedule="constant", hidden_dims=[4, 4], num_images=64,
                          batch_size=8, epochs=2, log_every=4, log_dir=None, save_dir=None)


def new_model(config=SETTINGS):
    torch.manual_seed(0)
    return BetaVAE.from_config(config)


def test_a_pair_differs_in_one_factor_at_most_and_as_often_as_asked():
    factors = draw_pairs(Sprites(), 4000, [3, 0, 1, 0, 0], torch.Generator().manual_seed(0))
    differ = factors[:4000] != factors[4000:]
    assert differ.sum(1).max() == 1
    assert not differ[:, [1, 3, 4]].any()
    # drawn again is not always changed: one shape in 3 and one orientation in 40 stay
    assert differ.float().mean(0)[[0, 2]].tolist() == pytest.approx([0.75 * 2 / 3, 0.25 * 39 / 40], abs=0.03)


@pytest.mark.parametrize("changed", [1, 2])
def test_a_known_number_of_latents_is_left_as_it_was(changed):
    mu, logvar = torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(1)).unbind(0)
    mean, log_variance = average_shared(mu, logvar, changed)
    kept = (mean[:20] != mean[20:]).sum(1)
    assert (kept == changed).all()
    largest = 0.5 * ((logvar[:20] - logvar[20:]).exp() + (mu[:20] - mu[20:]) ** 2 / logvar[20:].exp()
                     - 1 - logvar[:20] + logvar[20:])
    assert (mean[:20] != mean[20:]).gather(1, largest.topk(changed, 1).indices).all()
    assert torch.equal(log_variance[:20] != log_variance[20:], mean[:20] != mean[20:])


def test_the_terms_are_those_of_the_elbo_where_nothing_is_shared():
    """All five latents may differ: the averaged loss is the beta-VAE's."""
    model = new_model().eval()
    x = Sprites().images(draw_pairs(Sprites(), 4, [1.0] * 5, torch.Generator().manual_seed(0))).float() / 255
    torch.manual_seed(3)
    found = pair_terms(model, x, SETTINGS, 2.0, changed=SETTINGS.latent_dim)
    torch.manual_seed(3)
    wanted = objective(model, x, SETTINGS, 2.0)
    for name in found:
        assert found[name].item() == pytest.approx(wanted[name].item(), rel=1e-5)


def test_training_on_pairs_lowers_the_loss():
    model, config = new_model(), SETTINGS.replace(num_images=800, batch_size=16, epochs=3, lr=2e-3)
    history = fit_pairs(model, Sprites(), config, progress=False)
    assert history["step"][-1] == 148 and not model.training
    assert sum(history["loss"][-3:]) < 0.5 * sum(history["loss"][:3])


@pytest.mark.parametrize("stops", [(5,), (1, 8, 3)])
def test_a_stopped_run_is_resumed_exactly(tmp_path, stops):
    straight = new_model()
    wanted = fit_pairs(straight, Sprites(), SETTINGS.replace(save_dir=str(tmp_path / "a")), progress=False)
    config = SETTINGS.replace(save_dir=str(tmp_path / "b"))
    for steps in stops:
        fit_pairs(new_model(), Sprites(), config, stop_after=steps, progress=False)
        torch.randn(7)
    model = new_model().requires_grad_(True)
    found = fit_pairs(model, Sprites(), config, progress=False)
    assert found == wanted and found["step"] == [4, 8, 12, 16]
    for one, two in itertools.zip_longest(model.parameters(), straight.parameters()):
        assert torch.equal(one, two)


def test_a_folder_with_another_run_is_refused(tmp_path):
    config = SETTINGS.replace(save_dir=str(tmp_path))
    fit_pairs(new_model(), Sprites(), config, stop_after=2, progress=False)
    with pytest.raises(ValueError, match="beta 1.0 there, 2.0 here"):
        fit_pairs(new_model(), Sprites(), config.replace(beta=2.0), progress=False)
    with pytest.raises(ValueError, match="changed 1 there.*changed None here"):
        fit_pairs(new_model(), Sprites(), config, changed=None, progress=False)


def test_a_loss_that_is_no_number_ends_the_run_and_is_not_saved(tmp_path):
    config = SETTINGS.replace(lr=100.0, save_dir=str(tmp_path))
    with pytest.raises(FloatingPointError, match="lower lr"):
        fit_pairs(new_model(), Sprites(), config, progress=False)
    assert not (tmp_path / "last.pt").exists()


@pytest.mark.parametrize("changes, words", [
    ({"objective": "btcvae"}, "objective 'beta_vae', got 'btcvae'"),
    ({"lr_schedule": "constant"}, "lr_schedule 'cosine', got 'constant'"),
    ({"batch_size": 7}, "must be even, got 7")])
def test_settings_that_it_does_not_have_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        fit_pairs(new_model(), Sprites(), SETTINGS.replace(**changes), progress=False)


def test_weights_must_fit_the_factors():
    with pytest.raises(ValueError, match="each of the 5 factors, got 2"):
        fit_pairs(new_model(), Sprites(), SETTINGS, weights=[1, 1], progress=False)
