"""Waking latents that fell asleep.

A latent on which the KL weighs too much at first ends with mu = 0 and sigma = 1 for every image, and a
decoder that has learned to overlook it (posterior collapse; Bowman et al. 2016, "Generating Sentences from a
Continuous Space"). It stays so when beta is lowered: whatever it would say drowns in its noise before
encoder and decoder can agree on what it means.
"""

import torch
from torch import nn

from .. import latents


@torch.no_grad()
def wake(model, images, count, logvar=-3.0, voice=0.3, seed=0):
    """Let ``count`` sleeping latents begin again, in place -> their indices. Train on with ``fit``.

    Their rows of the encoder's last layers and their columns of the decoder's first are drawn anew, so that over ``images``
    (N, C, S, S) the means have mean 0 and standard deviation 1, the noise is small (``logvar``), and the weights
    into the decoder are ``voice`` times as long as those of live latents. What the live ones say stays as it is.

    Raises ValueError when fewer than ``count`` latents are asleep (KL below 0.1 nats), or all are; or for a single image.
    """
    if len(images) < 2:
        raise ValueError(f"waking needs images that differ, some hundreds of them, got {len(images)}")
    live = latents.active(*latents.encode(model, images))
    asleep = (~live).nonzero().flatten()[:count]
    if count < 1 or len(asleep) < count or not live.any():
        raise ValueError(f"{int((~live).sum())} of {len(live)} latents are asleep: can't wake {count}; at least one must "
                         "be awake")
    generator = torch.Generator().manual_seed(seed)
    to_mu, to_logvar = model.encoder.fc_mu, model.encoder.fc_var
    first = next(m for m in model.decoder.decoder_input.modules() if isinstance(m, nn.Linear))
    columns = torch.randn(len(first.weight), count, generator=generator)
    length = voice * first.weight[:, live].norm(dim=0).mean().cpu()
    first.weight[:, asleep] = (length * columns / columns.norm(dim=0)).to(first.weight)
    to_logvar.weight[asleep], to_logvar.bias[asleep] = 0.0, logvar
    to_mu.weight[asleep] = torch.randn(count, to_mu.in_features, generator=generator).to(to_mu.weight)
    mu = latents.encode(model, images)[0][:, asleep].to(to_mu.weight)
    to_mu.bias[asleep] = (to_mu.bias[asleep] - mu.mean(0)) / mu.std(0)
    to_mu.weight[asleep] /= mu.std(0)[:, None]
    return asleep
