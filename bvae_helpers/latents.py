"""Working in latent space: encode, rank, traverse, interpolate. Tensors in, tensors out.

Shapes: N images, D latents, K steps of a traversal. Models are put in eval mode for the work and
put back; nothing here keeps gradients.
"""

from contextlib import contextmanager

import torch

from .data import Images, to_batch
from .losses import kl_divergence


@contextmanager
def evaluating(model):
    """The model in eval mode, without gradients; back in its own mode afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        model.train(training)


def encode(model, images, batch_size=256):
    """Images (N, C, S, S), uint8 or float in [0, 1] -> ``mu``, ``logvar`` (N, D) on the CPU."""
    source = images if isinstance(images, Images) else Images(images)
    device = next(model.parameters()).device
    parts = []
    with evaluating(model):
        for index in torch.arange(len(source)).split(batch_size):
            x = to_batch(source.take(index), device)
            model.check_images(x)
            parts.append(torch.stack(model.encoder(x)).cpu())
    return torch.cat(parts, dim=1).unbind(0)


def decode(model, z, batch_size=256):
    """Latents (N, D) -> images (N, C, S, S) in [0, 1] on the CPU."""
    device = next(model.parameters()).device
    with evaluating(model):
        return torch.cat([model.decoder(part.to(device)).float().cpu() for part in z.split(batch_size)])


def reconstruct(model, images):
    """Images -> their reconstructions from the mean code, (N, C, S, S) in [0, 1] on the CPU."""
    return decode(model, encode(model, images)[0])


def kl_per_latent(mu, logvar):
    """Mean KL of each latent over the images, in nats: (N, D), (N, D) -> (D,)."""
    return kl_divergence(mu, logvar).mean(0)


def rank_latents(mu, logvar):
    """Latents sorted by KL, the most informative first: indices (D,)."""
    return kl_per_latent(mu, logvar).argsort(descending=True)


def active(mu, logvar, threshold=0.1):
    """Which latents carry information: mean KL above ``threshold`` nats -> bool (D,)."""
    return kl_per_latent(mu, logvar) > threshold


def latent_ranges(mu, low=0.01, high=0.99):
    """Where the codes of real images lie: the 1st and 99th percentile of each latent, (D,) each."""
    low, high = torch.quantile(mu, torch.tensor([low, high]), dim=0)
    return low, high


def traverse(model, z, latent, values):
    """Decode ``z`` (D,) with one latent set to each of ``values`` (K,) -> images (K, C, S, S)."""
    codes = z.detach().cpu().repeat(len(values), 1)
    codes[:, latent] = torch.as_tensor(values, dtype=codes.dtype)
    return decode(model, codes)


def traversals(model, z, latents, low=-2.0, high=2.0, steps=9):
    """One traversal a latent from ``low`` to ``high`` (numbers, or (D,)) -> (len(latents), steps, C, S, S)."""
    low, high = (torch.as_tensor(v, dtype=torch.float32).expand(len(z)) for v in (low, high))
    rows = [traverse(model, z, d, torch.linspace(float(low[d]), float(high[d]), steps)) for d in map(int, latents)]
    return torch.stack(rows)


def lerp(z0, z1, t):
    """The straight line: (1 - t) z0 + t z1; z0, z1 (D,), t (K,) -> (K, D)."""
    return torch.lerp(z0, z1, t[:, None])


def slerp(z0, z1, t):
    """The great circle through z0 and z1, length interpolated alongside (Shoemake 1985): (K, D).

    The prior's mass lies near a sphere of radius sqrt(D); a straight line cuts through its hollow.
    """
    angle = torch.arccos((z0 @ z1 / (z0.norm() * z1.norm())).clamp(-1, 1))
    if angle < 1e-4 or not angle.isfinite():
        return lerp(z0, z1, t)
    t = t[:, None]
    return (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / torch.sin(angle)


def interpolate(model, z0, z1, steps=9, path=lerp):
    """Decode ``steps`` points on the way from z0 to z1 (D,) -> images (steps, C, S, S)."""
    return decode(model, path(z0.cpu(), z1.cpu(), torch.linspace(0, 1, steps)))
