"""Encoder, decoder and the beta-VAE: images x -> a Gaussian over z -> images.

Higgins et al. 2017, "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework"; Kingma &
Welling 2014, "Auto-Encoding Variational Bayes".

Shapes: B images in a batch, C channels, S x S pixels, D latents.

**Your own model.** Training needs a ``BetaVAE``. All else that takes a model (``latents``, ``metrics``, ``plots``,
``explorer``) takes any ``nn.Module`` with three attributes, and asks for nothing more:

- ``encoder(x)``: images (B, C, S, S), floats in [0, 1] -> ``(mu, logvar)``, (B, D) each;
- ``decoder(z)``: latents (B, D) -> images (B, C, S, S) in [0, 1];
- ``latent_dim``: the number D.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["NETWORKS", "BetaVAE", "Decoder", "Encoder", "Pass", "count_parameters", "default_device", "down", "unwrap",
           "up"]

NETWORKS = ("classic", "sprites")


def down(channels_in: int, channels_out: int, network: str) -> nn.Sequential:
    """One encoder block: half the side, new channels."""
    if network == "sprites":
        return nn.Sequential(nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1), nn.ReLU())
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1),
                         nn.BatchNorm2d(channels_out), nn.LeakyReLU())


def up(channels_in: int, channels_out: int, network: str) -> nn.Sequential:
    """One decoder block: twice the side, new channels."""
    if network == "sprites":
        return nn.Sequential(nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1), nn.ReLU())
    return nn.Sequential(nn.ConvTranspose2d(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1),
                         nn.BatchNorm2d(channels_out), nn.LeakyReLU())


class Encoder(nn.Module):
    """q(z | x): images (B, C, S, S) -> ``mu`` and ``logvar``, each (B, D)."""

    def __init__(self, in_channels: int, latent_dim: int, hidden_dims: Sequence[int], img_size: int = 64,
                 network: str = "classic", patch: int = 1):
        super().__init__()
        self.image_shape = (in_channels, img_size, img_size)
        self.fold = nn.PixelUnshuffle(patch) if patch > 1 else nn.Identity()
        widths = [in_channels * patch ** 2, *hidden_dims]
        self.encoder = nn.Sequential(*[down(a, b, network) for a, b in zip(widths, widths[1:])])
        features = hidden_dims[-1] * (img_size // (patch * 2 ** len(hidden_dims))) ** 2
        hidden = 256 if network == "sprites" else features
        self.fc = nn.Sequential(nn.Linear(features, hidden), nn.ReLU()) if network == "sprites" else nn.Identity()
        self.fc_mu = nn.Linear(hidden, latent_dim)
        self.fc_var = nn.Linear(hidden, latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _check_images(x, self.image_shape)
        h = self.fc(self.encoder(self.fold(x)).flatten(1))         # (B, hidden)
        with torch.autocast(h.device.type, enabled=False):         # these two layers stay in the weights' precision
            h = h.to(next(self.fc_mu.parameters()).dtype)
            return self.fc_mu(h), self.fc_var(h)                   # (B, D) each


class Decoder(nn.Module):
    """p(x | z): latents (B, D) -> images (B, C, S, S) in [0, 1]; ``logits(z)`` leaves the sigmoid out."""

    def __init__(self, out_channels: int, latent_dim: int, hidden_dims: Sequence[int], img_size: int = 64,
                 network: str = "classic", patch: int = 1):
        super().__init__()
        widths, channels = list(reversed(hidden_dims)), out_channels * patch ** 2
        side = img_size // (patch * 2 ** len(hidden_dims))
        features = widths[0] * side ** 2
        if network == "sprites":
            self.decoder_input = nn.Sequential(nn.Linear(latent_dim, 256), nn.ReLU(), nn.Linear(256, features),
                                               nn.ReLU())
            last = [nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1)]
        else:
            self.decoder_input = nn.Linear(latent_dim, features)
            last = [*up(widths[-1], widths[-1], network), nn.Conv2d(widths[-1], channels, 3, padding=1)]
        self.unflatten = nn.Unflatten(1, (widths[0], side, side))
        self.decoder = nn.Sequential(*[up(a, b, network) for a, b in zip(widths, widths[1:])])
        unfold = [nn.PixelShuffle(patch)] if patch > 1 else []
        self.final_layer = nn.Sequential(*last, *unfold, nn.Sigmoid())

    def logits(self, z: Tensor) -> Tensor:
        """Latents (B, D) -> the images before the sigmoid, (B, C, S, S)."""
        h = self.decoder(self.unflatten(self.decoder_input(z)))    # (B, widths[-1], side, side)
        return self.final_layer[:-1](h)                            # (B, C, S, S), any real number

    def forward(self, z: Tensor) -> Tensor:
        return self.final_layer[-1](self.logits(z))


class Pass(NamedTuple):
    """The result of passing one batch through the model; every objective is computed from it."""

    logits: Tensor   # (B, C, S, S), decoder output before the sigmoid
    z: Tensor        # (B, D), a sample of q(z | x)
    mu: Tensor       # (B, D)
    logvar: Tensor   # (B, D)


class BetaVAE(nn.Module):
    """The beta-VAE, with a choice of two networks.

    ``network="classic"``: blocks of Conv(k3, s2, p1) + BatchNorm + LeakyReLU, usual for CelebA;
    ``network="sprites"``: blocks of Conv(k4, s2, p1) + ReLU, and FC 256: the literature's network for dSprites.
    ``beta`` (a weight without unit) is kept as an attribute; in training, ``config.beta`` must be the same number.
    ``patch`` > 1: squares of ``patch`` x ``patch`` pixels become channels before the first block, and pixels again
    after the last (sub-pixel convolution: Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution"). The
    largest feature maps, which take most of the time, are then smaller by this factor in height and in width.
    Raises ValueError for sizes that do not fit together. ``hidden_dims`` is copied.
    """

    def __init__(self, in_channels: int = 3, latent_dim: int = 128, hidden_dims: Sequence[int] = (32, 64, 128, 256),
                 beta: float = 4.0, img_size: int = 64, network: str = "classic", patch: int = 1):
        super().__init__()
        hidden_dims = [int(h) for h in hidden_dims]
        _check_sizes(in_channels, latent_dim, hidden_dims, beta, img_size, network, patch)
        self.in_channels, self.latent_dim, self.hidden_dims = in_channels, latent_dim, hidden_dims
        self.beta, self.img_size, self.network, self.patch = beta, img_size, network, patch
        self.encoder = Encoder(in_channels, latent_dim, hidden_dims, img_size, network, patch)
        self.decoder = Decoder(in_channels, latent_dim, hidden_dims, img_size, network, patch)

    @classmethod
    def from_config(cls, config) -> "BetaVAE":
        """Build the model that a ``Config`` describes."""
        return cls(config.in_channels, config.latent_dim, config.hidden_dims, config.beta, config.img_size,
                   config.network, config.patch)

    def reparameterize(self, mu: Tensor, logvar: Tensor, epsilon: Tensor | None = None) -> Tensor:
        """z = mu + sigma * epsilon with epsilon ~ N(0, I): (B, D) -> (B, D). Kingma & Welling 2014, sec. 2.4."""
        epsilon = torch.randn_like(mu) if epsilon is None else epsilon
        return mu + torch.exp(0.5 * logvar) * epsilon

    def run(self, x: Tensor, epsilon: Tensor | None = None) -> Pass:
        """Encode, sample, decode: images (B, C, S, S) in [0, 1] -> a ``Pass``. ``epsilon`` (B, D): the noise to use."""
        mu, logvar = self.encoder(x)
        z = self.reparameterize(mu, logvar, epsilon)
        return Pass(self.decoder.logits(z).float(), z, mu, logvar)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, C, S, S) in [0, 1] -> ``(recon, mu, logvar)``, recon in [0, 1]."""
        logits, _, mu, logvar = self.run(x)
        return torch.sigmoid(logits), mu, logvar

    def encode(self, x: Tensor) -> Tensor:
        """Images (B, C, S, S) in [0, 1] -> the means ``mu`` (B, D), which serve as the images' codes."""
        return self.encoder(x)[0]

    def sample(self, num_samples: int, device: torch.device | str | None = None) -> Tensor:
        """Decode ``num_samples`` draws from the prior N(0, I) -> images (num_samples, C, S, S)."""
        device = next(self.parameters()).device if device is None else device
        return self.decoder(torch.randn(num_samples, self.latent_dim, device=device))


def _check_images(x, shape):
    """Raise ValueError unless ``x`` is a batch of float images of the given shape (C, S, S)."""
    if x.ndim != 4 or tuple(x.shape[1:]) != shape:
        raise ValueError(f"this model takes images of shape (B, {', '.join(map(str, shape))}), got {tuple(x.shape)}: "
                         f"make them {shape[1]} x {shape[2]} pixels with {shape[0]} channels, as ImageFolder(path, "
                         f"img_size={shape[1]}, in_channels={shape[0]}) does")
    if not x.is_floating_point():
        raise ValueError(f"images must be floats in [0, 1], got {x.dtype}; divide uint8 images by 255")


def _check_sizes(in_channels, latent_dim, hidden_dims, beta, img_size, network, patch):
    """Raise ValueError, with what to change, for sizes that do not fit together."""
    if network not in NETWORKS:
        raise ValueError(f"network must be {' or '.join(NETWORKS)}, got {network!r}")
    if not hidden_dims or min(in_channels, latent_dim, patch, *hidden_dims) < 1:
        raise ValueError("in_channels, latent_dim, patch and every one of hidden_dims must be at least 1, "
                         f"got {in_channels}, {latent_dim}, {patch}, {hidden_dims}")
    if not (math.isfinite(beta) and beta >= 0):
        raise ValueError(f"beta must be 0 or more, got {beta}")
    step = patch * 2 ** len(hidden_dims)
    if img_size < step or img_size % step:
        patches = f"patches of {patch} pixels times " if patch > 1 else ""
        raise ValueError(f"img_size must be a multiple of {step} ({patches}2 to the power of {len(hidden_dims)} "
                         f"blocks), got {img_size}; use {max(step, round(img_size / step) * step)} or another number "
                         "of hidden_dims")


def count_parameters(module: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def default_device() -> torch.device:
    """CUDA if this machine has it, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside the wrappers of ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel``."""
    while hasattr(model, "_orig_mod") or isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        model = model._orig_mod if hasattr(model, "_orig_mod") else model.module
    return model
