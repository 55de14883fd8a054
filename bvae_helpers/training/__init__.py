"""Training: one readable loop, the state of a run, several processes, sweeps (``training.sweep``)."""

from .history import History
from .loop import fit, train_step, validate
from .run import Run
from .waking import wake
