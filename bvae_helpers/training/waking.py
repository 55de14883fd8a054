"""Re-initialise collapsed latents.

If the KL is weighted too heavily early in training, some latents collapse: mu = 0 and sigma = 1 for every image, and
the decoder learns to ignore them (posterior collapse; Bowman et al. 2016, "Generating Sentences from a Continuous
Space"). They usually stay collapsed when beta is lowered, because any signal the encoder adds is drowned in noise
before encoder and decoder can agree on its meaning.
"""

from collections.abc import Sequence

import torch
from torch import nn

from .. import latents
from ..model import BetaVAE

__all__ = ["wake"]


@torch.no_grad()
def wake(model: BetaVAE, images: torch.Tensor | Sequence, count: int, logvar: float = -3.0, decoder_scale: float = 0.3,
         seed: int = 0) -> torch.Tensor:
    """Re-initialise ``count`` collapsed latents of ``model`` in place and return their indices (count,).

    Over ``images`` (N, C, S, S), each of these latents then has means with mean 0 and standard deviation 1, and the log
    variance ``logvar``. Its weights into the decoder get ``decoder_scale`` times the mean norm of the active latents'
    weights. The active latents' codes do not change. Continue the training with ``fit``.

    Raises ValueError when fewer than ``count`` latents are collapsed (KL below 0.1 nats), when all are, and for fewer
    than two images.
    """
    if len(images) < 2:
        raise ValueError(f"re-initialising latents takes some hundreds of different images, got {len(images)}")
    active = latents.active(*latents.encode(model, images))
    chosen = (~active).nonzero().flatten()[:count]
    if count < 1 or len(chosen) < count:
        raise ValueError(f"{int((~active).sum())} of {len(active)} latents are collapsed: cannot re-initialise {count}")
    if not active.any():
        raise ValueError(f"all {len(active)} latents are collapsed: at least one must be active; train with a lower "
                         "beta first")
    generator = torch.Generator().manual_seed(seed)
    to_mu, to_logvar = model.encoder.fc_mu, model.encoder.fc_var
    first = next(m for m in model.decoder.decoder_input.modules() if isinstance(m, nn.Linear))
    columns = torch.randn(len(first.weight), count, generator=generator)
    length = decoder_scale * first.weight[:, active].norm(dim=0).mean().cpu()
    first.weight[:, chosen] = (length * columns / columns.norm(dim=0)).to(first.weight)
    to_logvar.weight[chosen], to_logvar.bias[chosen] = 0.0, logvar
    to_mu.weight[chosen] = torch.randn(count, to_mu.in_features, generator=generator).to(to_mu.weight)
    mu = latents.encode(model, images)[0][:, chosen].to(to_mu.weight)
    to_mu.bias[chosen] = (to_mu.bias[chosen] - mu.mean(0)) / mu.std(0)
    to_mu.weight[chosen] /= mu.std(0)[:, None]
    return chosen
