"""The explorer as a page: one HTML file with sliders, pictures and the decoder; it needs no kernel and no network.

The decoder becomes a list of layers and their weights; ``page/decoder.js`` computes with them in the browser.
"""

import base64
import copy
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from .. import latents as L
from ..data import Images, as_images, to_uint8
from ..data.files import write_whole
from ..model import unwrap
from ..plots import latent_labels

__all__ = ["PAGE", "describe", "export", "fill", "network", "page"]

PAGE = pathlib.Path(__file__).parent / "page"
LARGEST_DIFFERENCE = 1e-4       # of a pixel, 0 to 1, between weights of 16 and of 32 bits; a grey level is 4e-3
TITLE = "What each latent does"
HOW_TO_READ = ("Latents are sorted by their KL in nats, the most that each can carry about a picture; collapsed ones "
               "carry nothing. A slider spans the values that the model gave to 98 of 100 pictures.")
FACTORS = (" The name in a label is the factor that the latent carries most of; the number after it is the share, "
           "from 0 to 1, of the information about this factor that is found in the latent.")
LARGE = 2 ** 15                 # weights of a matrix that is worth 8 bits
WITHOUT_EFFECT = (nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout2d)     # in eval mode, on numbers that lie in a row


def export(models: nn.Module | dict[str, nn.Module], images: Any, data: Any = None,
           factors: torch.Tensor | None = None, path: str | os.PathLike = "latents.html", choices: int = 8,
           title: str = TITLE, coarse: float = 0.0) -> pathlib.Path:
    """Write the explorer of one model, or of several side by side, as one HTML file -> its path.

    The arguments are those of ``LatentExplorer``: ``models`` is a model or a dict, name -> model; on ``images``
    (N, C, S, S), all that ``data.as_images`` takes, the KL of each latent is measured, in nats, and the range of its
    slider; the first ``choices`` of them are the starting points. ``factors`` (N, K), named by ``data.factor_names``,
    are those that the labels give to the latents.

    The file holds all it needs and asks no network for anything: it opens from the disk and by mail. Weights are
    stored in 16 bits where no pixel changes by more than 1e-4 for it, else in 32; large matrices in 8 bits, which
    halves the file, where no pixel (0 to 1) changes by more than ``coarse``.

    Raises ValueError for images that are neither grey nor RGB, or a decoder with a layer that the page does not know.
    """
    content = page(models, images, data, factors, choices, title, coarse)
    write_whole(path, lambda file: file.write(content))
    return pathlib.Path(path)


def page(models: nn.Module | dict[str, nn.Module], images: Any, data: Any = None, factors: torch.Tensor | None = None,
         choices: int = 8, title: str = TITLE, coarse: float = 0.0) -> bytes:
    """The file that ``export`` writes; the arguments and errors are the same."""
    content = {**describe(models, images, data, factors, choices, coarse), "title": title}
    return fill(PAGE / "page.html", [PAGE / "page.css"], [PAGE / "decoder.js", PAGE / "page.js"],
                content).encode("utf-8")


def describe(models: nn.Module | dict[str, nn.Module], images: Any, data: Any = None,
             factors: torch.Tensor | None = None, choices: int = 8, coarse: float = 0.0) -> dict:
    """What the page shows, as ``page/page.js`` reads it; the arguments and errors are those of ``export``."""
    images = as_images(images)
    if images.shape[0] not in (1, 3):
        raise ValueError(f"the page shows grey or RGB images (N, 1 or 3, S, S), got {len(images)} of "
                         f"shape {images.shape}")
    models = models if isinstance(models, dict) else {"": models}
    if not models:
        raise ValueError("models is empty: give a model, or a dict, name -> model")
    names = [] if factors is None else getattr(data, "factor_names", [f"factor {k}" for k in range(factors.shape[1])])
    shown = images.take(torch.arange(min(choices, len(images))))
    shown = shown if shown.dtype == torch.uint8 else to_uint8(shown)
    return {"note": HOW_TO_READ if factors is None else HOW_TO_READ + FACTORS,
            "shape": list(images.shape), "images": _base64(shown.numpy().tobytes()),
            "kernel": _base64((PAGE / "kernel.wasm").read_bytes()),
            "models": [_panel(name, model, images, factors, names, choices, coarse) for name, model in models.items()]}


def network(module: nn.Module, inputs: torch.Tensor, coarse: float = 0.0) -> dict:
    """A network as the page reads it: its ``layers``, and their weights in base64.

    ``module``: layers that work one after the other, in the order in which they were registered. That this is so, and
    how much weights of 16 bits change its output, is measured on ``inputs`` (N, …). ``coarse``: if large matrices
    of 8 bits change it by less than this, they are stored in 8 bits, which nearly halves the page; 0 for never.
    Raises ValueError for a layer that the page does not know, or a module that does more than its layers in a row.
    """
    module = copy.deepcopy(module).cpu().float().eval()
    row, inputs = nn.Sequential(*_leaves(module)), inputs.detach().cpu().float()
    with torch.no_grad():
        wanted = module(inputs).flatten(1)
        if not _computes(row, inputs, wanted, 1e-6):
            kinds = ", ".join(type(leaf).__name__ for leaf in row)
            raise ValueError(f"the page cannot compute a {type(module).__name__}: its output is not that of its "
                             f"layers, one after the other in the order of their registration ({kinds})")
        allowed = {8: coarse, 16: LARGEST_DIFFERENCE}
        bits = next((b for b in allowed if _computes(_rounded(row, b), inputs, wanted, allowed[b])), 32)
    layers, weights = [], b""
    for leaf in row:
        if not isinstance(leaf, WITHOUT_EFFECT):
            layer, tensors = _description(leaf)
            layer["bits"] = _bits(leaf, bits)
            layers.append(layer)
            weights += _stored(leaf) if layer["bits"] == 8 else _bytes(tensors, layer["bits"])
    return {"layers": layers, "weights": _base64(weights)}


def _panel(name: str, model: nn.Module, images: Images, factors: torch.Tensor | None, factor_names: list[str],
           choices: int, coarse: float) -> dict:
    """What the page shows of one model."""
    mu, logvar = L.encode(model, images)
    labels, collapsed = latent_labels(mu, logvar, factors, factor_names, shares=True)
    L.reconstruct(model, Images(images.take(torch.tensor([0]))))     # raises an error for a decoder of another size
    low, high = L.traversal_limits(mu, ~collapsed)
    order = L.rank_latents(mu, logvar).tolist()
    noise = torch.randn(96, mu.shape[1], generator=torch.Generator().manual_seed(0))
    codes = torch.cat([mu[:96], noise, 3 * noise])
    sliders = [{"latent": d, "label": labels[d], "collapsed": bool(collapsed[d]), "low": low[d].item(),
                "high": high[d].item()} for d in order]
    return {"name": name, "nats": L.kl_per_latent(mu, logvar).sum().item(), "sliders": sliders,
            "codes": mu[:choices].tolist(), "decoder": network(unwrap(model).decoder, codes, coarse)}


# A network as a list of layers

def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of a network, in the order of their registration."""
    children = list(module.children())
    if not children and not isinstance(module, nn.Sequential):
        yield module
    for child in children:
        yield from _leaves(child)


def _computes(row: nn.Sequential, inputs: torch.Tensor, wanted: torch.Tensor, difference: float) -> bool:
    """Whether the layers, one after the other, give the ``wanted`` outputs (N, ...), but for a ``difference``."""
    try:
        outputs = row(inputs).flatten(1)
    except RuntimeError:            # shapes that do not fit: these layers do not follow one another
        return False
    return outputs.shape == wanted.shape and (outputs - wanted).abs().max().item() < difference


def _bits(layer: nn.Module, bits: int) -> int:
    """The bits of each weight of a layer in a page of ``bits``: only large matrices are stored in 8."""
    if isinstance(layer, nn.BatchNorm2d):
        return 32
    small = bits == 8 and not (isinstance(layer, nn.Linear) and layer.weight.numel() >= LARGE)
    return 16 if small else bits


def _rounded(row: nn.Sequential, bits: int) -> nn.Sequential:
    """The network with its weights rounded as a page of ``bits`` stores them."""
    row = copy.deepcopy(row)
    for layer in row:
        if _bits(layer, bits) == 8:
            whole, scales = _whole(layer.weight)
            layer.weight.copy_(whole * scales[:, None])
        elif _bits(layer, bits) == 16:
            for parameter in layer.parameters():
                parameter.copy_(parameter.half().float())
    return row


def _whole(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix (outputs, inputs) as whole numbers from -127 to 127, and a scale for each output, (outputs,)."""
    scales = matrix.abs().amax(1).clamp_min(1e-12) / 127
    return (matrix / scales[:, None]).round(), scales


def _stored(layer: nn.Linear) -> bytes:
    """A matrix of 8 bits, a row for each input; then, in 32 bits, a scale and a bias for each output."""
    whole, scales = _whole(layer.weight.detach())
    rows = whole.T.contiguous().to(torch.int8).numpy().tobytes()
    return rows + _bytes([scales, _bias(layer, layer.out_features)], 32)


def _bytes(tensors: list[torch.Tensor], bits: int) -> bytes:
    return b"".join(t.detach().numpy().astype(f"<f{bits // 8}").tobytes() for t in tensors)


def _description(layer: nn.Module) -> tuple[dict, list[torch.Tensor]]:
    """A layer as ``page/decoder.js`` takes it, and its weights in the order in which they are read there."""
    if isinstance(layer, nn.Linear):
        rows = torch.cat([layer.weight.T, _bias(layer, layer.out_features)[None]])
        return {"kind": "dense", "inputs": layer.in_features, "outputs": layer.out_features}, [rows]
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        return _convolution(layer)
    if isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats:
        scale = (layer.running_var + layer.eps).rsqrt() * (1 if layer.weight is None else layer.weight)
        shift = (0 if layer.bias is None else layer.bias) - layer.running_mean * scale
        return {"kind": "norm", "channels": layer.num_features}, [scale, shift]
    if isinstance(layer, nn.ReLU | nn.LeakyReLU):
        return {"kind": "leaky", "slope": getattr(layer, "negative_slope", 0.0)}, []
    if isinstance(layer, nn.Sigmoid):
        return {"kind": "sigmoid"}, []
    if isinstance(layer, nn.Unflatten) and layer.dim == 1:
        return {"kind": "shape", "shape": list(layer.unflattened_size)}, []
    if isinstance(layer, nn.PixelShuffle):
        return {"kind": "shuffle", "factor": layer.upscale_factor}, []
    if isinstance(layer, nn.PixelUnshuffle):
        return {"kind": "unshuffle", "factor": layer.downscale_factor}, []
    raise ValueError(f"the page cannot compute the layer {layer}; it knows Linear, Conv2d, ConvTranspose2d, "
                     "BatchNorm2d, ReLU, LeakyReLU, Sigmoid, Unflatten, PixelShuffle and PixelUnshuffle")


def _convolution(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[dict, list[torch.Tensor]]:
    square = all(isinstance(pair, tuple) and len(set(pair)) == 1
                 for pair in (layer.kernel_size, layer.stride, layer.padding, layer.output_padding))
    if not square or layer.groups != 1 or layer.dilation != (1, 1) or layer.padding_mode != "zeros":
        raise ValueError(f"the page cannot compute the layer {layer}; it knows square kernels with zeros around the "
                         "picture, of one group and without dilation")
    up = isinstance(layer, nn.ConvTranspose2d)
    kernels = layer.weight.transpose(0, 1) if up else layer.weight                    # (outputs, inputs, size, size)
    return {"kind": "up" if up else "conv", "inputs": layer.in_channels, "outputs": layer.out_channels,
            "size": layer.kernel_size[0], "stride": layer.stride[0], "padding": layer.padding[0],
            "extra": layer.output_padding[0]}, [kernels, _bias(layer, layer.out_channels)]


def _bias(layer: nn.Module, outputs: int) -> torch.Tensor:
    return torch.zeros(outputs) if layer.bias is None else layer.bias


# The file

def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def fill(template: pathlib.Path, styles: list[pathlib.Path], scripts: list[pathlib.Path], content: dict) -> str:
    """A page with its styles, scripts and content in it.

    Its security policy lets the browser run these and load nothing.
    """
    parts = {"style": _joined(styles), "script": _joined(scripts), "data": _as_text(content)}
    hashes = {name: "'sha256-" + _base64(hashlib.sha256(parts[name].encode("utf-8")).digest()) + "'"
              for name in ("script", "style")}
    parts["policy"] = (f"default-src 'none'; script-src {hashes['script']} 'wasm-unsafe-eval'; "
                       f"style-src {hashes['style']}; base-uri 'none'; form-action 'none'")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template.read_text(encoding="utf-8"))


def _joined(paths: list[pathlib.Path]) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def _as_text(content: dict) -> str:
    """JSON that stays text wherever it stands in a page: no letter of it opens a tag, none is outside ASCII."""
    return json.dumps(content, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
