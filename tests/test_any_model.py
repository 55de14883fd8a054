"""Whatever takes a model takes anybody's: an encoder, a decoder and a latent_dim; nothing else is asked."""

import numpy as np
import pytest
import torch
from torch import nn

from bvae_helpers import latents, metrics, plots
from bvae_helpers.data import Sprites, render
from bvae_helpers.explorer import LatentExplorer, export
from bvae_helpers.training import fit

SIDE = 16


class Halves(nn.Module):
    """An encoder whose last layer gives mu and logvar side by side, as many tutorials have it."""

    def __init__(self, channels, latents):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(channels * SIDE ** 2, 32), nn.Tanh(),
                                 nn.Linear(32, 2 * latents))

    def forward(self, x):
        return self.net(x).chunk(2, dim=1)


class Theirs(nn.Module):
    """A stranger's model. It has no ``in_channels``, no ``config``, no ``check_images``, no logits."""

    def __init__(self, channels=1, latents=3):
        super().__init__()
        self.latent_dim = latents
        self.encoder = Halves(channels, latents)
        self.decoder = nn.Sequential(nn.Linear(latents, channels * SIDE ** 2), nn.Sigmoid(),
                                     nn.Unflatten(1, (channels, SIDE, SIDE)))

    def forward(self, x):
        raise NotImplementedError("training is theirs")


class Constant(nn.Module):
    """A model without a single weight: the mean brightness is its code."""

    latent_dim = 1

    def encoder(self, x):
        return x.mean((1, 2, 3))[:, None], torch.full((len(x), 1), -4.0)

    def decoder(self, z):
        return torch.sigmoid(z)[:, :, None, None].expand(-1, 1, SIDE, SIDE)


def small(n=120):
    """Sprites of 16 x 16 pixels with their factors."""
    images, factors = render(Sprites(), n, seed=0)
    return images[:, :, ::4, ::4].contiguous(), factors


def models():
    torch.manual_seed(0)
    one_channel = [Theirs(), Theirs(latents=1), Constant(), torch.nn.DataParallel(Theirs()), Theirs().double()]
    return [pytest.param(model, id=f"{n} {type(model).__name__}") for n, model in enumerate(one_channel)]


@pytest.mark.parametrize("model", models())
def test_latents_figures_and_explorer(model):
    images, factors = small()
    mu, logvar = latents.encode(model, images)
    assert mu.shape == logvar.shape and mu.dtype is torch.float32 and len(mu) == len(images)
    assert latents.reconstruct(model, images).shape == images.shape
    assert latents.traversals(model, mu[0], [0], *latents.traversal_limits(mu, latents.active(mu, logvar))).ndim == 5
    for figure in (plots.signature(model, images, factors, Sprites.factor_names), plots.signature(model, images[:3])):
        plots.plt.close(figure)
    explorer = LatentExplorer(model, images, Sprites(), factors)
    before = explorer.picture.value
    explorer.panel.go(torch.full((mu.shape[1],), 1.5))
    assert explorer.picture.value != before and explorer.message.value == ""


@pytest.mark.parametrize("convert", (lambda x: x.numpy(), lambda x: x / 255,
                                     lambda x: (x / 255).numpy().astype(np.float64),
                                     lambda x: (x / 255).bfloat16()), ids=["numpy", "float", "float64", "bfloat16"])
def test_images_of_any_kind(convert):
    model, (images, factors) = Theirs(), small()
    expected = latents.encode(model, images)[0]
    assert torch.allclose(latents.encode(model, convert(images))[0], expected, atol=0.02)
    plots.plt.close(plots.signature(model, convert(images), factors.numpy(), Sprites.factor_names))
    explorer = LatentExplorer(model, convert(images), Sprites(), factors.numpy())
    explorer.start(1)
    assert explorer.message.value == ""


def test_a_model_in_bfloat16():
    model, images = Theirs(), small()[0]
    expected = latents.reconstruct(model, images)
    assert torch.allclose(latents.reconstruct(model.bfloat16(), images), expected, atol=0.02)


@pytest.mark.parametrize("channels", (2, 5))
def test_images_of_any_number_of_channels(channels):
    model, images = Theirs(channels), small(20)[0].expand(-1, channels, -1, -1)
    plots.plt.close(plots.signature(model, images))
    assert LatentExplorer(model, images).message.value == ""


def test_factors_that_cannot_be_named_do_not_cost_the_picture():
    model, (images, factors) = Theirs(), small()
    factors[:, 0] = 2                                       # one shape only
    for these, those in ((images, factors), (images[:8], factors[:8])):
        plots.plt.close(plots.signature(model, these, those, Sprites.factor_names))
        assert LatentExplorer(model, these, Sprites(), those).message.value == ""
    names = [r"$\badcommand$", "100 %", "a_b", "$", "^"]
    plots.plt.close(plots.rows([images[:2]] * 2, names[:2], titles=names[:2]))
    for figure in (plots.lines([1, 2], {names[0]: [1, 2]}, "x", "y", names[0]),
                   plots.heat_map({names[0]: torch.eye(2)}, names[:2], names[:2]),
                   plots.latent_maps({names[0]: Theirs(latents=2)}, images[:4], range(4))):
        figure.canvas.draw()
        plots.plt.close(figure)


def test_scores():
    model = Theirs()
    images, factors = small(400)

    class Small(Sprites):
        def images(self, factors):
            return super().images(factors)[:, :, ::4, ::4]

    found = metrics.evaluate(model, Small(), seeds=(0,), train=300, test=100, dci=False, verbose=False)
    assert 0 <= found.scores["mig"][0] <= 1
    assert 0 <= metrics.mig(latents.encode(model, images)[0], factors) <= 1


@pytest.mark.parametrize("returned, said", [
    (lambda mu, logvar: mu, r"got \(4, 3\)"), (lambda mu, logvar: (mu, logvar, mu), "got"),
    (lambda mu, logvar: (mu, None), "NoneType"),
    (lambda mu, logvar: {"mu": mu, "logvar": logvar}, "got dict"),
    (lambda mu, logvar: (mu[0], logvar[0]), r"got \(3,\)")])
def test_an_encoder_that_returns_something_else_is_named(returned, said):
    class Other(torch.nn.Module):
        def forward(self, x):
            return returned(x.flatten(1)[:, :3], x.flatten(1)[:, :3])

    model = torch.nn.Module()
    model.encoder, model.decoder, model.latent_dim = Other(), torch.nn.Identity(), 3
    with pytest.raises(ValueError, match=rf"must return .mu, logvar., each .4, D., .*{said}"):
        latents.encode(model, torch.rand(4, 1, 8, 8))
    with pytest.raises(ValueError, match="the decoder must return images .N, C, S, S., got .4, 3."):
        latents.decode(model, torch.zeros(4, 3))
    with pytest.raises(TypeError, match="training needs a model.BetaVAE, got a Module"):
        fit(model, torch.rand(4, 1, 8, 8), device="cpu")
    with pytest.raises(TypeError, match="got a str; checkpoints.load_model"):
        latents.encode("best_model.pt", torch.rand(4, 1, 8, 8))


class Strided(nn.Module):
    """An encoder of one convolution, whose linear layer fits 16 x 16 pixels."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 2, 3, 2, 1), nn.Linear(2 * 64, 6)

    def forward(self, x):
        return self.out(self.conv(x).flatten(1)).chunk(2, dim=1)


def actions(model, images, tmp_path):
    """What a person does with a model and images."""
    return (lambda: latents.reconstruct(model, images), lambda: plots.signature(model, images),
            lambda: LatentExplorer(model, images), lambda: export(model, images, path=tmp_path / "page.html"))


@pytest.mark.parametrize("encoder", (Halves(1, 3), Strided()))
@pytest.mark.parametrize("shape", ((1, 64, 64), (3, 16, 16), (1, 16, 12)))
def test_images_of_another_shape_are_refused_with_both_shapes(tmp_path, encoder, shape):
    model, images = Theirs(), torch.rand(4, *shape)
    model.encoder = encoder
    said = rf"takes images of shape .1, 16, 16., got .{str(shape)[1:-1]}.: give images of the size"
    for action in actions(model, images, tmp_path):
        with pytest.raises(ValueError, match=said):
            action()


def test_an_encoder_that_fails_for_another_reason_is_quoted():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("no such table")

    model = Theirs()
    model.encoder = Broken()
    with pytest.raises(ValueError, match="cannot take these images, got .1, 16, 16.: .*no such table"):
        latents.encode(model, small(4)[0])


@pytest.mark.parametrize("shape, said", [
    ((1, 32, 32), r"returns images of shape .1, 32, 32., the encoder takes .1, 16, 16."),
    ((3, 16, 16), r"returns images of shape .3, 16, 16., the encoder takes .1, 16, 16."),
    ((1, 8, 32), r"must return images .N, C, S, S., got")])
def test_a_decoder_of_another_shape_is_refused(tmp_path, shape, said):
    model, images = Theirs(), small(30)[0]
    model.decoder = nn.Sequential(nn.Linear(3, int(np.prod(shape))), nn.Unflatten(1, shape))
    for action in actions(model, images, tmp_path):
        with pytest.raises(ValueError, match=said):
            action()


def test_codes_that_a_decoder_cannot_take():
    model = Theirs()
    for z in (torch.zeros(2, 5), torch.zeros(3)):
        with pytest.raises(ValueError, match="this model has 3 latents: z must have shape .N, 3., got"):
            latents.decode(model, z)
    model.decoder = nn.Linear(4, 9)
    with pytest.raises(ValueError, match="decoder cannot take codes of shape .2, 3."):
        latents.decode(model, torch.zeros(2, 3))
