"""What the notebooks stand on: set-up, showing the package's source, agreeing with it, exercises."""

from ._progress import progress
from .checking import attempt
from .notebook import Environment, Markdown, agree, setup, show_source

__all__ = ["Environment", "Markdown", "agree", "attempt", "progress", "setup", "show_source"]
