"""What the notebooks stand on: set-up, the package's source, exercises and their progress; ``teach.live`` apart."""

from ._progress import progress
from .checking import attempt
from .counting import count_operations
from .notebook import Environment, Markdown, agree, setup, show_source

__all__ = ["Environment", "Markdown", "agree", "attempt", "count_operations", "progress", "setup", "show_source"]
