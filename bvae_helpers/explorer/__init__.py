"""The live explorer: sliders over the latents of a model, in a notebook or as a page."""

from .export import export
from .onnx import export_onnx
from .widget import LatentExplorer
