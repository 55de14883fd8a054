"""Latent space: encode, rank, traverse, interpolate."""

import math

import pytest
import torch
from conftest import new_model, small_config, small_pictures

from bvae_helpers import latents as Z


@pytest.fixture
def model():
    return new_model(small_config())


def test_evaluating_puts_the_mode_back(model):
    for mode in (True, False):
        model.train(mode)
        with Z.evaluating(model):
            assert not model.training and not torch.is_grad_enabled()
        assert model.training is mode and torch.is_grad_enabled()
    model.train()
    with pytest.raises(RuntimeError, match="stop"), Z.evaluating(model):
        raise RuntimeError("stop")
    assert model.training and all(m.training for m in model.modules())


def test_encode_is_the_encoder_in_eval_mode_whatever_the_batches():
    config = small_config(network="classic")             # with BatchNorm, which has a training mode
    model, pictures = new_model(config).train(), small_pictures(10)
    mu, logvar = Z.encode(model, pictures, batch_size=3)
    assert model.training and not mu.requires_grad
    assert int(model.encoder.encoder[0][1].num_batches_tracked) == 0
    expected = model.eval().encoder(pictures / 255)
    assert torch.allclose(mu, expected[0], atol=1e-5) and torch.allclose(logvar, expected[1], atol=1e-5)
    assert torch.allclose(Z.encode(model, pictures / 255)[0], mu, atol=1e-5)
    with pytest.raises(ValueError, match="takes images"):
        Z.encode(model, torch.zeros(2, 1, 32, 32))


def test_decode_and_reconstruct(model):
    pictures = small_pictures(5)
    mu, _ = Z.encode(model, pictures)
    images = Z.reconstruct(model, pictures)
    assert images.shape == (5, 1, 16, 16) and 0 <= images.min() and images.max() <= 1
    assert torch.allclose(images, Z.decode(model, mu, batch_size=2), atol=1e-6)


def test_ranking_activity_and_kl():
    # KL of N(m, 1) from N(0, 1): m^2 / 2, so 0.5, 0.02, 8 and 0
    mu = torch.tensor([1.0, 0.2, 4.0, 0.0]).repeat(6, 1)
    mu[::2] *= -1
    logvar = torch.zeros_like(mu)
    assert torch.allclose(Z.kl_per_latent(mu, logvar), torch.tensor([0.5, 0.02, 8.0, 0.0]), atol=1e-6)
    assert Z.rank_latents(mu, logvar).tolist() == [2, 0, 1, 3]
    assert Z.active(mu, logvar).tolist() == [True, False, True, False]
    assert Z.active(mu, logvar, threshold=0.01).tolist() == [True, True, True, False]


def test_latent_ranges():
    mu = torch.stack([torch.linspace(0, 1, 101), torch.linspace(-5, 5, 101)], dim=1)
    low, high = Z.latent_ranges(mu)
    assert torch.allclose(low, torch.tensor([0.01, -4.9])) and torch.allclose(high, torch.tensor([0.99, 4.9]))


def test_traversal_limits_hold_the_codes_of_active_latents_and_can_be_reached_in_hundredths():
    mu = torch.stack([torch.linspace(-1.2345, 2.3456, 101), torch.linspace(-0.01, 0.01, 101)], dim=1)
    low, high = Z.traversal_limits(mu, torch.tensor([True, False]))
    assert low.tolist() == pytest.approx([-1.20, -2.0]) and high.tolist() == pytest.approx([2.31, 2.0])
    inner_low, inner_high = Z.latent_ranges(mu)
    assert low[0] <= inner_low[0] < low[0] + 0.01 and high[0] - 0.01 < inner_high[0] <= high[0]


def test_traversals_move_one_latent_from_end_to_end(model):
    z = torch.tensor([0.3, -0.7, 1.1])
    rows = Z.traversals(model, z, [2, 0], low=-2.0, high=torch.tensor([1.0, 2.0, 3.0]), steps=5)
    assert rows.shape == (2, 5, 1, 16, 16)
    for row, latent, ends in ((0, 2, (-2.0, 3.0)), (1, 0, (-2.0, 1.0))):
        for column, value in zip((0, -1), ends):
            code = z.clone()
            code[latent] = value
            assert torch.allclose(rows[row, column], Z.decode(model, code[None])[0], atol=1e-6)
    assert z.tolist() == pytest.approx([0.3, -0.7, 1.1])         # the code given is left alone
    images = Z.traverse(model, z, 1, [-0.7, 0.0])
    assert torch.allclose(images[0], Z.decode(model, z[None])[0], atol=1e-6) and not torch.equal(images[0], images[1])


def test_paths():
    z0, z1 = torch.randn(2, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z0, z1 = 4 * z0 / z0.norm(), 4 * z1 / z1.norm()
    t = torch.linspace(0, 1, 7, dtype=torch.float64)
    arc, line = Z.slerp(z0, z1, t), Z.lerp(z0, z1, t)
    assert torch.allclose(arc.norm(dim=1), torch.full_like(t, 4.0))        # stays on the sphere
    assert line.norm(dim=1).min() < 3.5                                    # cuts through it
    for path in (arc, line):
        assert torch.allclose(path[0], z0) and torch.allclose(path[-1], z1)
    angles = torch.arccos((arc[:-1] * arc[1:]).sum(1) / 16)                # equal turns
    assert torch.allclose(angles, angles[0].expand(6), atol=1e-6)
    assert torch.allclose(line[3], (z0 + z1) / 2)


def test_slerp_between_a_point_and_itself_or_the_origin():
    z, t = torch.ones(4), torch.linspace(0, 1, 5)
    assert torch.allclose(Z.slerp(z, z, t), z.expand(5, 4))
    assert torch.allclose(Z.slerp(torch.zeros(4), z, t), t[:, None] * z)
    assert Z.slerp(z, 3 * z, t).norm(dim=1).tolist() == pytest.approx([2 + 4 * x for x in t.tolist()])


def test_interpolate(model):
    z0, z1 = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
    for path, middle in ((Z.lerp, 0.5), (Z.slerp, math.sqrt(0.5))):
        images = Z.interpolate(model, z0, z1, steps=3, path=path)
        codes = torch.tensor([[1.0, 0, 0], [middle, middle, 0], [0, 1.0, 0]])
        assert torch.allclose(images, Z.decode(model, codes), atol=1e-6)
