"""Waking latents that fell asleep: beginning again with what the others do not tell.

A latent on which the KL weighs too much at first ends with mu = 0 and sigma = 1 for every image, and a
decoder that has learned to overlook it. It stays so when beta is lowered: whatever it would say drowns in its
noise before encoder and decoder can agree on what it means. (Posterior collapse; growing latents one after
another: Li et al. 2020, "Progressive Learning and Disentanglement of Hierarchical Representations".)

Shapes: N images, D latents, H units before the latents.
"""

import torch
from torch import nn

from . import latents
from .data import Images, to_batch


def hidden(model, images, batch_size=256):
    """What the encoder knows just before its latents: images (N, C, S, S) -> (N, H), on the CPU."""
    source, device = images if isinstance(images, Images) else Images(images), next(model.parameters()).device
    with latents.evaluating(model):
        return torch.cat([model.encoder.features(to_batch(source.take(index), device)).float().cpu()
                          for index in torch.arange(len(source)).split(batch_size)])


def untold(h, mu):
    """What the codes do not tell of the hidden units: (N, H), (N, L) -> (N, H).

    The residual of least squares on the codes' powers up to the third and products of two.
    Raises ValueError for fewer than two images a term, which would be told by heart.
    """
    rows, columns = torch.triu_indices(mu.shape[1], mu.shape[1])
    told = torch.cat([torch.ones(len(mu), 1), mu, mu ** 3, mu[:, rows] * mu[:, columns]], dim=1)
    if len(mu) < 2 * told.shape[1]:
        raise ValueError(f"{mu.shape[1]} live latents need at least {2 * told.shape[1]:,} images, got {len(mu):,}")
    return h - told @ torch.linalg.lstsq(told, h).solution


@torch.no_grad()
def wake(model, images, count, logvar=-3.0, voice=0.3, seed=0):
    """Begin again with ``count`` sleeping latents, in place -> their indices.

    The mean of each becomes a principal direction of what the live latents do not tell of the hidden units over
    ``images`` (N, C, S, S), N being some thousands, with a standard deviation of 1; its noise is small at first
    (``logvar``), and its weights into the decoder are drawn anew, ``voice`` times as long as those of the live ones. What
    the live latents mean stays as it is. Train on with ``fit``.

    Raises ValueError when fewer than ``count`` latents are asleep (KL below 0.1 nats), or all are, or for too few images.
    """
    mu, spread = latents.encode(model, images)
    live = latents.active(mu, spread)
    asleep = (~live).nonzero().flatten()[:count]
    if count < 1 or len(asleep) < count or not live.any():
        raise ValueError(f"{int((~live).sum())} of {len(live)} latents are asleep: can't wake {count}; at least one must "
                         "be awake")
    h = hidden(model, images)
    rest = untold(h, mu[:, live])
    directions = torch.linalg.svd(rest - rest.mean(0), full_matrices=False).Vh[:count]
    first = next(m for m in model.decoder.decoder_input.modules() if isinstance(m, nn.Linear))
    generator = torch.Generator().manual_seed(seed)
    for d, direction in zip(asleep, directions):
        means = h @ direction
        model.encoder.fc_mu.weight[d] = direction / means.std()
        model.encoder.fc_mu.bias[d] = -means.mean() / means.std()
        model.encoder.fc_var.weight[d], model.encoder.fc_var.bias[d] = 0.0, logvar
        column = torch.randn(len(first.weight), generator=generator)
        first.weight[:, d] = column * (voice * first.weight[:, live].norm(dim=0).mean().cpu() / column.norm())
    return asleep
