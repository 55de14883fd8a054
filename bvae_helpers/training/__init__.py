"""Training: one readable loop, the state of a run, several processes, sweeps (``training.sweep``)."""

from .history import History
from .loop import fit, validate
from .run import Run
from .step import train_step
from .waking import wake
