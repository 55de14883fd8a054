"""Collapsed latents are re-initialised; the codes of the active ones do not change."""

import pytest
import torch

from bvae_helpers import latents
from bvae_helpers.data import Sprites, render
from bvae_helpers.model import BetaVAE
from bvae_helpers.training import waking


@pytest.fixture
def collapsed():
    """A model whose latents 0 and 2 are active, 1 and 3 collapsed; and images."""
    torch.manual_seed(0)
    model = BetaVAE(1, 4, [8, 8], network="sprites", patch=4).eval()
    images = render(Sprites(), 600, 0)[0]
    with torch.no_grad():
        for layer in (model.encoder.fc_mu, model.encoder.fc_var):
            layer.weight[[1, 3]], layer.bias[[1, 3]] = 0.0, 0.0
        model.encoder.fc_mu.weight *= 20
        model.encoder.fc_var.bias[[0, 2]] = -2.0
        model.decoder.decoder_input[0].weight[:, [1, 3]] *= 0.01
    return model, images


@pytest.mark.parametrize("count, chosen", [(1, [1]), (2, [1, 3])])
def test_the_chosen_latents_become_active_and_the_others_do_not_change(collapsed, count, chosen):
    model, images = collapsed
    before = latents.encode(model, images)
    assert latents.active(*before).tolist() == [True, False, True, False]
    assert waking.wake(model, images, count).tolist() == chosen
    mu, logvar = latents.encode(model, images)
    assert torch.equal(mu[:, [0, 2]], before[0][:, [0, 2]]) and torch.equal(logvar[:, [0, 2]], before[1][:, [0, 2]])
    assert latents.active(mu, logvar)[chosen].all()
    assert torch.allclose(mu[:, chosen].std(0), torch.ones(count), atol=1e-3)
    assert mu[:, chosen].mean(0).abs().max() < 1e-3
    assert torch.equal(logvar[:, chosen], torch.full((len(mu), count), -3.0))
    weights = model.decoder.decoder_input[0].weight.norm(dim=0)
    assert torch.allclose(weights[chosen], torch.full((count,), 0.3) * weights[[0, 2]].mean())


def test_the_classic_network_too():
    torch.manual_seed(0)
    model, images = BetaVAE(1, 3, [4], img_size=64).eval(), render(Sprites(), 200, 0)[0]
    with torch.no_grad():
        model.encoder.fc_var.bias[0] = -4.0
        for layer in (model.encoder.fc_mu, model.encoder.fc_var):
            layer.weight[[1, 2]], layer.bias[[1, 2]] = 0.0, 0.0
    assert waking.wake(model, images, 1).tolist() == [1]


def test_what_is_refused(collapsed):
    model, images = collapsed
    with pytest.raises(ValueError, match="2 of 4 latents are collapsed: cannot re-initialise 3"):
        waking.wake(model, images, 3)
    with pytest.raises(ValueError, match="cannot re-initialise 0"):
        waking.wake(model, images, 0)
    with pytest.raises(ValueError, match="different images, got 1"):
        waking.wake(model, images[:1], 1)
    with torch.no_grad():
        for layer in (model.encoder.fc_mu, model.encoder.fc_var):
            layer.weight.zero_(), layer.bias.zero_()
    with pytest.raises(ValueError, match="all 4 latents are collapsed: at least one must be active"):
        waking.wake(model, images, 1)
