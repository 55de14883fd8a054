"""Working in latent space: encode, rank, traverse, interpolate. Tensors in, tensors out.

A model is anybody's: an ``encoder(x)`` -> ``(mu, logvar)``, a ``decoder(z)`` -> images in [0, 1] and a ``latent_dim``;
see ``bvae_helpers.model``. It works in eval mode and without gradients here, and gets its own mode back. Results are
float32 on the CPU.

Shapes: N images, D latents, K steps of a traversal.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import Tensor, nn

from .data import as_images, to_batch
from .data.files import first_line
from .losses import kl_divergence
from .model import unwrap

__all__ = ["ACTIVE_NATS", "active", "decode", "encode", "evaluating", "interpolate", "kl_per_latent", "latent_ranges",
           "lerp", "rank_latents", "reconstruct", "slerp", "traversal_limits", "traversals", "traverse"]

SIDES = (64, 28, 32, 128, 16, 8, 48, 96, 224, 256)     # of images, tried when those given do not fit an encoder
ACTIVE_NATS = 0.1       # a latent with a larger mean KL is active, any other is collapsed


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Put ``model`` in eval mode, without gradients, inside the ``with`` block, and back afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        model.train(training)


def encode(model: nn.Module, images, batch_size: int = 256) -> tuple[Tensor, Tensor]:
    """Images (N, C, S, S), uint8 or float in [0, 1] -> ``mu``, ``logvar`` (N, D).

    ``images``: all that ``data.as_images`` takes: a tensor, a NumPy array, a Dataset, data with factors.
    """
    source = as_images(images)
    model = unwrap(model)
    device, dtype = _where(model)
    parts = []
    with evaluating(model):
        for index in torch.arange(len(source)).split(batch_size):
            x = to_batch(source.take(index), device).to(dtype)
            parts.append(torch.stack(_pair(_encoded(model, x), len(x))).float().cpu())
    return torch.cat(parts, dim=1).unbind(0)


def _encoded(model, x):
    """``model.encoder(x)``; ValueError, naming the shape that it takes, for images of another."""
    try:
        return model.encoder(x)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        fitting = _fitting_shape(model, x)
        takes = f"takes images of shape {fitting}" if fitting else "cannot take these images"
        raise ValueError(f"the encoder {takes}, got {tuple(x.shape[1:])}: give images of the size and the channels "
                         f"that the model was made for ({first_line(error)})") from error


def _fitting_shape(model, x):
    """The shape (C, S, S) of images that an encoder takes, found by trying usual ones; None if it takes none."""
    for channels, side in itertools.product((1, 3, x.shape[1]), SIDES):
        with suppress(RuntimeError, ValueError):
            _pair(model.encoder(x.new_zeros(1, channels, side, side)), 1)
            return channels, side, side
    return None


def decode(model: nn.Module, z: Tensor, batch_size: int = 256) -> Tensor:
    """Latents (N, D) -> images (N, C, S, S) in [0, 1]."""
    model = unwrap(model)
    device, dtype = _where(model)
    d = getattr(model, "latent_dim", z.shape[-1])
    if z.ndim != 2 or z.shape[1] != d:
        raise ValueError(f"this model has {d} latents: z must have shape (N, {d}), got {tuple(z.shape)}")
    with evaluating(model):
        images = torch.cat([_decoded(model, part.to(device, dtype)).float().cpu() for part in z.split(batch_size)])
    if images.ndim != 4 or images.shape[2] != images.shape[3]:
        raise ValueError(f"the decoder must return images (N, C, S, S), got {tuple(images.shape)}")
    return images


def _decoded(model, z):
    """``model.decoder(z)``; ValueError if it takes another number of latents."""
    try:
        return model.decoder(z)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ValueError(f"the decoder cannot take codes of shape {tuple(z.shape)}, though the encoder gives them or "
                         f"latent_dim says so ({first_line(error)})") from error


def _pair(codes, n):
    """What an encoder returned for n images, if it is ``(mu, logvar)``, both (n, D); ValueError otherwise."""
    fits = isinstance(codes, (tuple, list)) and len(codes) == 2 and all(isinstance(part, Tensor) for part in codes)
    if not fits or codes[0].ndim != 2 or len(codes[0]) != n or codes[0].shape != codes[1].shape:
        shapes = [tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
                  for part in (codes if isinstance(codes, (tuple, list)) else [codes])]
        raise ValueError(f"the encoder must return (mu, logvar), each ({n}, D), got {', '.join(map(str, shapes))}")
    return tuple(codes)


def _where(model):
    """The device and the precision in which a model works: those of its first weight. TypeError if it is no model."""
    if not isinstance(model, nn.Module) or not hasattr(model, "encoder") or not hasattr(model, "decoder"):
        raise TypeError(f"a model is an nn.Module with an encoder and a decoder (see bvae_helpers.model), got a "
                        f"{type(model).__name__}; checkpoints.load_model(path) opens a file")
    tensors = itertools.chain(model.parameters(), model.buffers(), [torch.zeros(())])
    weight = next(tensor for tensor in tensors if tensor.is_floating_point())
    return weight.device, weight.dtype


def reconstruct(model: nn.Module, images) -> Tensor:
    """Images -> their reconstructions from the mean code, (N, C, S, S) in [0, 1].

    Raises ValueError for a decoder whose images have another shape than the encoder's.
    """
    images = as_images(images)
    pictures = decode(model, encode(model, images)[0])
    _check_alike(pictures, images)
    return pictures


def _check_alike(pictures, images):
    """Raise ValueError unless a decoder's pictures have the shape of the images, which the encoder takes."""
    if tuple(pictures.shape[1:]) != images.shape:
        raise ValueError(f"the decoder returns images of shape {tuple(pictures.shape[1:])}, the encoder takes "
                         f"{images.shape}: they must be alike")


def kl_per_latent(mu: Tensor, logvar: Tensor) -> Tensor:
    """Mean KL of each latent over the images, in nats: (N, D), (N, D) -> (D,)."""
    return kl_divergence(mu, logvar).mean(0)


def rank_latents(mu: Tensor, logvar: Tensor) -> Tensor:
    """Indices of the latents (D,), sorted by KL, the largest first."""
    return kl_per_latent(mu, logvar).argsort(descending=True)


def active(mu: Tensor, logvar: Tensor, threshold: float = ACTIVE_NATS) -> Tensor:
    """Which latents carry information: those with a mean KL above ``threshold`` nats -> bool (D,)."""
    return kl_per_latent(mu, logvar) > threshold


def latent_ranges(mu: Tensor, low: float = 0.01, high: float = 0.99) -> tuple[Tensor, Tensor]:
    """Where the codes of real images lie: two percentiles of each latent, (N, D) -> (D,) each."""
    limits = torch.tensor([low, high])
    low, high = torch.stack([torch.quantile(codes, limits) for codes in mu.float().unbind(1)], dim=1)
    return low, high


def traversal_limits(mu: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
    """The ends of each latent's traversal: (N, D) and bool (D,) -> (D,) each.

    For an active latent, the 1st and 99th percentile of its codes, rounded outwards to hundredths, so that a slider in
    steps of 0.01 reaches both ends and 0; -2 and 2 for a collapsed one, whose codes are all alike.
    """
    low, high = latent_ranges(mu)
    low, high = torch.floor(100 * low) / 100, torch.ceil(100 * high) / 100
    return torch.where(active, low, -2.0), torch.where(active, high, 2.0)


def traverse(model: nn.Module, z: Tensor, latent: int, values: Sequence[float] | Tensor) -> Tensor:
    """Decode ``z`` (D,) with one latent set to each of ``values`` (K,) -> images (K, C, S, S)."""
    codes = z.detach().cpu().repeat(len(values), 1)
    codes[:, latent] = torch.as_tensor(values, dtype=codes.dtype)
    return decode(model, codes)


def traversals(model: nn.Module, z: Tensor, latents: Sequence[int] | Tensor, low: float | Tensor = -2.0,
               high: float | Tensor = 2.0, steps: int = 9) -> Tensor:
    """One traversal per latent, from ``low`` to ``high`` (numbers, or (D,)) -> (len(latents), steps, C, S, S)."""
    low, high = (torch.as_tensor(v, dtype=torch.float32).expand(len(z)) for v in (low, high))
    rows = [traverse(model, z, d, torch.linspace(float(low[d]), float(high[d]), steps)) for d in map(int, latents)]
    return torch.stack(rows)


def lerp(z0: Tensor, z1: Tensor, t: Tensor) -> Tensor:
    """The straight line (1 - t) z0 + t z1 between z0 and z1 (D,), at each of t (K,) -> (K, D)."""
    return torch.lerp(z0, z1, t[:, None])


def slerp(z0: Tensor, z1: Tensor, t: Tensor) -> Tensor:
    """The great circle between z0 and z1 (D,), at each of t (K,) -> (K, D). Shoemake 1985, "Animating rotation".

    The prior's mass lies near a sphere of radius sqrt(D), and a straight line leaves it. Between vectors of different
    lengths the length changes steadily. Along one line, or at the origin, the result is that of ``lerp``.
    """
    angle = torch.arccos((z0 @ z1 / (z0.norm() * z1.norm())).clamp(-1, 1))
    if not torch.sin(angle) > 1e-4:                   # along one line, or NaN: at the origin
        return lerp(z0, z1, t)
    t = t[:, None]
    return (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / torch.sin(angle)


def interpolate(model: nn.Module, z0: Tensor, z1: Tensor, steps: int = 9,
                path: Callable[[Tensor, Tensor, Tensor], Tensor] = lerp) -> Tensor:
    """Decode ``steps`` points on the way from z0 to z1 (D,) -> images (steps, C, S, S).

    ``path``: ``lerp`` or ``slerp``.
    """
    return decode(model, path(z0.cpu(), z1.cpu(), torch.linspace(0, 1, steps)))
