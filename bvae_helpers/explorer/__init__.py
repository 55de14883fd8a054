"""The live explorer: sliders over the latents of a model."""

from .widget import LatentExplorer
