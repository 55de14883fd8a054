"""β-VAE, taught and tested: data, model, losses, training and live sliders behind the notebooks of this course.

Import the modules you need (``from bvae_helpers import model, training``): this file imports none, so it costs nothing.
"""

__version__ = "1.1.0"
