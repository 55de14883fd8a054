"""β-VAE, taught and tested: data, model, losses, training and live sliders behind the notebooks of this course.

Import the modules you need (``from bvae_helpers import model, training``): this file imports none, so it costs nothing.

PyTorch's threads spin while they wait for each other, and take the processor from the very thread they wait for if
another program runs beside them. GNU's OpenMP lets them spin 300,000 times; here it is told 6,000, unless the
environment already says how threads wait. It is read when torch is loaded: a program that imports torch first is not
changed. Measured by ``benchmarks/busy.py`` on two processors: as fast alone; beside two busy processes 418 images/s
where the default makes 27.
"""

import os

__version__ = "1.1.0"

if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "6000"
