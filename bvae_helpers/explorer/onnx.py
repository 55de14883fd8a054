"""A model as ONNX files, for everybody else's tools: encoder and decoder apart, batches of any size."""

import copy
import importlib.util
import os
import pathlib
from typing import Any

import torch
from torch import nn

from ..data import as_images, to_batch
from ..data.files import write_whole
from ..model import unwrap

__all__ = ["export_onnx"]


def export_onnx(model: nn.Module, images: Any, path: str | os.PathLike) -> tuple[pathlib.Path, pathlib.Path]:
    """Write ``PATH-encoder.onnx`` and ``PATH-decoder.onnx`` -> their paths.

    The encoder takes ``images`` (N, C, S, S) in [0, 1] and gives ``mu`` and ``logvar`` (N, D); the decoder takes ``z``
    (N, D) and gives ``images``; all are float32, and N is free. ``images``: two or more that the model takes, as in
    ``data.as_images``; only their shape counts. Raises ImportError where onnx or onnxscript is not installed.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"ONNX files are written with {' and '.join(missing)}, not installed here: "
                          "pip install onnx onnxscript")
    model = copy.deepcopy(unwrap(model)).cpu().float().eval()
    images = to_batch(as_images(images).take(torch.arange(2))).contiguous()
    with torch.no_grad():
        mu, _ = model.encoder(images)
    encoder, decoder = pathlib.Path(f"{os.fspath(path)}-encoder.onnx"), pathlib.Path(f"{os.fspath(path)}-decoder.onnx")
    _write(model.encoder, images, ["images"], ["mu", "logvar"], encoder)
    _write(model.decoder, mu, ["z"], ["images"], decoder)
    return encoder, decoder


def _write(network: nn.Module, example: torch.Tensor, inputs: list[str], outputs: list[str],
           path: pathlib.Path) -> None:
    """One network as one ONNX file, its weights inside."""
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(network, (example,), dynamo=True, input_names=inputs, output_names=outputs,
                                dynamic_shapes=({0: batch},), verbose=False)
    write_whole(path, lambda file: file.write(program.model_proto.SerializeToString()))
