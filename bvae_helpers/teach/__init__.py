"""What the notebooks stand on: set-up, showing the package's source, agreeing with it, exercises."""

from .notebook import Environment, Markdown, agree, attempt, setup, show_source
