"""Encoder, decoder and the beta-VAE: images x -> a Gaussian over z -> images.

Higgins et al. 2017, "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational
Framework"; Kingma & Welling 2014, "Auto-Encoding Variational Bayes".

Shapes: B images in a batch, C channels, S x S pixels, D latents.
"""

import math
from typing import NamedTuple

import torch
from torch import nn

NETWORKS = ("classic", "sprites")


def down(channels_in, channels_out, network):
    """One encoder block: half the side, new channels."""
    if network == "sprites":
        return nn.Sequential(nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1), nn.ReLU())
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1),
                         nn.BatchNorm2d(channels_out), nn.LeakyReLU())


def up(channels_in, channels_out, network):
    """One decoder block: twice the side, new channels."""
    if network == "sprites":
        return nn.Sequential(nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1), nn.ReLU())
    return nn.Sequential(nn.ConvTranspose2d(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1),
                         nn.BatchNorm2d(channels_out), nn.LeakyReLU())


class Encoder(nn.Module):
    """q(z | x): images (B, C, S, S) -> ``mu`` and ``logvar``, each (B, D)."""

    def __init__(self, in_channels, latent_dim, hidden_dims, img_size=64, network="classic", patch=1):
        super().__init__()
        self.fold = nn.PixelUnshuffle(patch) if patch > 1 else nn.Identity()
        widths = [in_channels * patch ** 2, *hidden_dims]
        self.encoder = nn.Sequential(*[down(a, b, network) for a, b in zip(widths, widths[1:])])
        features = hidden_dims[-1] * (img_size // (patch * 2 ** len(hidden_dims))) ** 2
        hidden = 256 if network == "sprites" else features
        self.fc = nn.Sequential(nn.Linear(features, hidden), nn.ReLU()) if network == "sprites" else nn.Identity()
        self.fc_mu = nn.Linear(hidden, latent_dim)
        self.fc_var = nn.Linear(hidden, latent_dim)

    def forward(self, x):
        h = self.fc(self.encoder(self.fold(x)).flatten(1))         # (B, hidden)
        with torch.autocast(h.device.type, enabled=False):         # these two stay in float32
            return self.fc_mu(h.float()), self.fc_var(h.float())   # (B, D) each


class Decoder(nn.Module):
    """p(x | z): latents (B, D) -> images (B, C, S, S) in [0, 1]; ``logits(z)`` is before the sigmoid."""

    def __init__(self, out_channels, latent_dim, hidden_dims, img_size=64, network="classic", patch=1):
        super().__init__()
        widths, channels = list(reversed(hidden_dims)), out_channels * patch ** 2
        side = img_size // (patch * 2 ** len(hidden_dims))
        features = widths[0] * side ** 2
        if network == "sprites":
            self.decoder_input = nn.Sequential(nn.Linear(latent_dim, 256), nn.ReLU(), nn.Linear(256, features), nn.ReLU())
            last = [nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1)]
        else:
            self.decoder_input = nn.Linear(latent_dim, features)
            last = [*up(widths[-1], widths[-1], network), nn.Conv2d(widths[-1], channels, 3, padding=1)]
        self.unflatten = nn.Unflatten(1, (widths[0], side, side))
        self.decoder = nn.Sequential(*[up(a, b, network) for a, b in zip(widths, widths[1:])])
        unfold = [nn.PixelShuffle(patch)] if patch > 1 else []
        self.final_layer = nn.Sequential(*last, *unfold, nn.Sigmoid())

    def logits(self, z):
        h = self.decoder(self.unflatten(self.decoder_input(z)))    # (B, widths[-1], side, side)
        return self.final_layer[:-1](h)                            # (B, C, S, S), any real number

    def forward(self, z):
        return self.final_layer[-1](self.logits(z))


class Pass(NamedTuple):
    """One pass of a batch through the model: what every objective is made of."""

    logits: torch.Tensor   # (B, C, S, S), decoder output before the sigmoid
    z: torch.Tensor        # (B, D), a sample of q(z | x)
    mu: torch.Tensor       # (B, D)
    logvar: torch.Tensor   # (B, D)


class BetaVAE(nn.Module):
    """The beta-VAE with a choice of two networks.

    ``network="classic"``: Conv(k3, s2, p1) + BatchNorm + LeakyReLU blocks, as on CelebA;
    ``network="sprites"``: Conv(k4, s2, p1) + ReLU and FC 256, the literature's on dSprites.
    ``beta`` is the weight of the KL, in nats per nat; the model keeps it, the objective uses it.
    ``patch`` > 1: squares of so many pixels a side become channels before the first block, and pixels again after the
    last (Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution", sub-pixel convolution). The large
    pictures inside the network, where most of its time goes, are then so many times smaller each way.
    Raises ValueError for sizes that do not fit.
    """

    def __init__(self, in_channels=3, latent_dim=128, hidden_dims=(32, 64, 128, 256), beta=4.0, img_size=64, network="classic",
                 patch=1):
        super().__init__()
        hidden_dims = [int(h) for h in hidden_dims]   # a copy: the caller keeps theirs
        check_sizes(in_channels, latent_dim, hidden_dims, beta, img_size, network, patch)
        self.in_channels, self.latent_dim, self.hidden_dims = in_channels, latent_dim, hidden_dims
        self.beta, self.img_size, self.network, self.patch = beta, img_size, network, patch
        self.encoder = Encoder(in_channels, latent_dim, hidden_dims, img_size, network, patch)
        self.decoder = Decoder(in_channels, latent_dim, hidden_dims, img_size, network, patch)

    @classmethod
    def from_config(cls, config):
        """The model that a Config describes."""
        return cls(config.in_channels, config.latent_dim, config.hidden_dims, config.beta, config.img_size, config.network,
                   config.patch)

    def reparameterize(self, mu, logvar, epsilon=None):
        """z = mu + sigma * epsilon with epsilon ~ N(0, I): (B, D) -> (B, D). Kingma & Welling 2014, sec. 2.4."""
        epsilon = torch.randn_like(mu) if epsilon is None else epsilon
        return mu + torch.exp(0.5 * logvar) * epsilon

    def run(self, x, epsilon=None):
        """Encode, sample (with the noise ``epsilon``, if given), decode: images (B, C, S, S) in [0, 1] -> a ``Pass``."""
        self.check_images(x)
        mu, logvar = self.encoder(x)
        z = self.reparameterize(mu, logvar, epsilon)
        return Pass(self.decoder.logits(z).float(), z, mu, logvar)

    def forward(self, x):
        """Images (B, C, S, S) in [0, 1] -> ``(recon, mu, logvar)``, recon in [0, 1]."""
        logits, _, mu, logvar = self.run(x)
        return torch.sigmoid(logits), mu, logvar

    def encode(self, x):
        """Images (B, C, S, S) in [0, 1] -> the means ``mu`` (B, D), the code used for measuring."""
        self.check_images(x)
        return self.encoder(x)[0]

    def sample(self, num_samples, device=None):
        """Decode ``num_samples`` draws from the prior N(0, I) -> images (num_samples, C, S, S)."""
        device = next(self.parameters()).device if device is None else device
        return self.decoder(torch.randn(num_samples, self.latent_dim, device=device))

    def check_images(self, x):
        want = (self.in_channels, self.img_size, self.img_size)
        if x.ndim != 4 or tuple(x.shape[1:]) != want:
            raise ValueError(f"this model takes images of shape (B, {', '.join(map(str, want))}), got {tuple(x.shape)}")
        if not x.is_floating_point():
            raise ValueError(f"images must be floats in [0, 1], got {x.dtype}; divide uint8 images by 255")


def check_sizes(in_channels, latent_dim, hidden_dims, beta, img_size, network, patch):
    if network not in NETWORKS:
        raise ValueError(f"network must be {' or '.join(NETWORKS)}, got {network!r}")
    if not hidden_dims or min(in_channels, latent_dim, patch, *hidden_dims) < 1:
        raise ValueError("in_channels, latent_dim, patch and every one of hidden_dims must be at least 1, "
                         f"got {in_channels}, {latent_dim}, {patch}, {hidden_dims}")
    if not (math.isfinite(beta) and beta >= 0):
        raise ValueError(f"beta must be 0 or more, got {beta}")
    step = patch * 2 ** len(hidden_dims)
    if img_size < step or img_size % step:
        raise ValueError(f"img_size must be a multiple of {step} ({f'patches of {patch} pixels times ' if patch > 1 else ''}"
                         f"2 to the power of {len(hidden_dims)} blocks), got {img_size}; "
                         f"use {max(step, round(img_size / step) * step)} or another number of hidden_dims")


def count_parameters(module):
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
