"""The networks: sizes, names, ranges, errors."""

import pytest
import torch

from bvae_helpers.config import Config
from bvae_helpers.model import BetaVAE, count_parameters


def classic_shapes():
    """Names and shapes in the checkpoints of the original notebook, at 64 x 64 with 128 latents."""
    shapes = {}

    def block(name, channels_in, channels_out, transposed=False):
        ends = (channels_in, channels_out) if transposed else (channels_out, channels_in)
        shapes[f"{name}.0.weight"] = (*ends, 3, 3)
        for key in ("0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
            shapes[f"{name}.{key}"] = (channels_out,)
        shapes[f"{name}.1.num_batches_tracked"] = ()

    for i, (a, b) in enumerate([(3, 32), (32, 64), (64, 128), (128, 256)]):
        block(f"encoder.encoder.{i}", a, b)
    for name in ("fc_mu", "fc_var"):
        shapes[f"encoder.{name}.weight"], shapes[f"encoder.{name}.bias"] = (128, 4096), (128,)
    shapes["decoder.decoder_input.weight"], shapes["decoder.decoder_input.bias"] = (4096, 128), (4096,)
    for i, (a, b) in enumerate([(256, 128), (128, 64), (64, 32)]):
        block(f"decoder.decoder.{i}", a, b, transposed=True)
    block("decoder.final_layer", 32, 32, transposed=True)
    shapes["decoder.final_layer.3.weight"], shapes["decoder.final_layer.3.bias"] = (3, 32, 3, 3), (3,)
    return shapes


def test_the_classic_model_has_its_parameters_and_its_names():
    model = BetaVAE()
    assert count_parameters(model) == 2_364_515
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == classic_shapes()


def test_a_checkpoint_of_the_original_notebook_loads():
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.rand(shape, generator=generator) if shape else torch.tensor(7)
             for name, shape in classic_shapes().items()}
    model = BetaVAE()
    model.load_state_dict(state, strict=True)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())


def test_the_literatures_sprite_network():
    model = BetaVAE.from_config(Config.sprites())
    # by hand: convolutions 4 x 4 with biases, then the linear layers
    encoder = (16 * 1 * 32 + 32) + (16 * 32 * 32 + 32) + (16 * 32 * 64 + 64) + (16 * 64 * 64 + 64) \
        + (1024 * 256 + 256) + 2 * (256 * 10 + 10)
    decoder = (10 * 256 + 256) + (256 * 1024 + 1024) + (16 * 64 * 64 + 64) + (16 * 64 * 32 + 32) \
        + (16 * 32 * 32 + 32) + (16 * 32 * 1 + 1)
    assert count_parameters(model) == encoder + decoder
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())


@pytest.mark.parametrize("channels, latents, dims, size, network, patch", [
    (3, 128, [32, 64, 128, 256], 64, "classic", 1), (3, 5, [4, 4, 4, 4], 32, "classic", 1),
    (1, 2, [4, 8], 20, "classic", 1),
    (5, 3, [8], 6, "classic", 1), (1, 10, [32, 32, 64, 64], 64, "sprites", 1), (3, 4, [4, 4], 28, "sprites", 1),
    (1, 10, [32, 64], 64, "sprites", 4), (3, 4, [4], 18, "classic", 3)])
def test_shapes_and_ranges(channels, latents, dims, size, network, patch):
    model = BetaVAE(channels, latents, dims, 4.0, size, network, patch)
    x = torch.rand(3, channels, size, size)
    recon, mu, logvar = model(x)
    assert recon.shape == x.shape and mu.shape == logvar.shape == (3, latents)
    assert 0 <= recon.min() and recon.max() <= 1
    model.eval()
    images = model.sample(2, "cpu")
    assert images.shape == (2, channels, size, size) and 0 <= images.min() and images.max() <= 1
    mu, logvar = model.encoder(x)
    assert torch.equal(model.encode(x), mu)
    assert torch.allclose(model.decoder(mu), torch.sigmoid(model.decoder.logits(mu)))


def test_forward_decodes_a_sample_of_the_posterior():
    model = BetaVAE(1, 2, [4], img_size=8).eval()
    x = torch.rand(3, 1, 8, 8)
    torch.manual_seed(5)
    recon, mu, logvar = model(x)
    torch.manual_seed(5)
    assert torch.allclose(recon, model.decoder(mu + (0.5 * logvar).exp() * torch.randn(3, 2)))


def test_reparameterize_has_the_mean_and_the_spread_it_is_told():
    model, n = BetaVAE(1, 2, [4], img_size=8), 200_000
    mu, logvar = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 2 * torch.tensor(3.0).log()]])
    torch.manual_seed(0)
    z = model.reparameterize(mu.expand(n, 2), logvar.expand(n, 2))
    assert torch.allclose(z.mean(0), mu[0], atol=0.03)                         # 4 standard errors of sigma 3
    assert torch.allclose(z.std(0), torch.tensor([1.0, 3.0]), rtol=0.01)


def test_the_callers_list_is_never_changed():
    dims = [4, 8, 16]
    model = BetaVAE(1, 2, dims, img_size=16)
    BetaVAE(1, 2, dims, img_size=16)
    assert dims == [4, 8, 16] and model.hidden_dims == dims and model.hidden_dims is not dims
    assert BetaVAE().hidden_dims == BetaVAE().hidden_dims == [32, 64, 128, 256]


@pytest.mark.parametrize("settings, said", [
    (dict(img_size=60), "multiple of 16 .*got 60; use 64"), (dict(img_size=4), "multiple of 16 .*use 16"),
    (dict(hidden_dims=[]), "at least 1"), (dict(hidden_dims=[8, 0]), "at least 1"), (dict(latent_dim=0), "at least 1"),
    (dict(patch=0), "at least 1"), (dict(patch=8), "patches of 8 pixels .*got 64; use 128"),
    (dict(in_channels=0), "at least 1"), (dict(beta=-1.0), "beta"), (dict(beta=float("nan")), "beta"),
    (dict(network="unet"), "classic or sprites")])
def test_sizes_that_do_not_fit(settings, said):
    with pytest.raises(ValueError, match=said):
        BetaVAE(**settings)


def test_images_that_do_not_fit():
    model = BetaVAE(3, 2, [4], img_size=8)
    for call in (model, model.encode, model.run):
        with pytest.raises(ValueError, match=r"takes images of shape \(B, 3, 8, 8\), got \(2, 3, 16, 16\)"):
            call(torch.rand(2, 3, 16, 16))
        with pytest.raises(ValueError, match="divide uint8 images by 255"):
            call(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))


def test_patches_make_one_convolution_with_a_large_kernel():
    """Folding 4 x 4 pixels into channels and convolving (k4, s2) is one convolution on the pixels with k16, s8."""
    model, x, patch = BetaVAE(1, 3, [6], img_size=32, network="sprites", patch=4), torch.rand(2, 1, 32, 32), 4
    inner = model.encoder.encoder[0][0]
    kernel = torch.zeros(6, 1, 16, 16)
    for row in range(4):
        for column in range(4):
            square = inner.weight[:, :, row, column].reshape(6, patch, patch)     # a channel is a pixel of the patch
            kernel[:, 0, row * patch:(row + 1) * patch, column * patch:(column + 1) * patch] = square
    expected = torch.nn.functional.conv2d(x, kernel, inner.bias, stride=8, padding=4)
    assert torch.allclose(inner(model.encoder.fold(x)), expected, atol=1e-6)


def test_without_patches_the_network_is_as_it_was():
    names = set(BetaVAE(1, 3, [4, 8], img_size=16, network="sprites").state_dict())
    assert names == set(BetaVAE(1, 3, [4, 8], img_size=64, network="sprites", patch=4).state_dict())
    assert not any("fold" in name for name in names)
