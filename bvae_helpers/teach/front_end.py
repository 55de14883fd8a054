"""Whether a notebook's reader is there to see what changes in place, and to come back on another day."""

import os


def attended() -> bool:
    """Whether this is a notebook in use: a kernel runs the code, not in the *tiny* profile and not under pytest."""
    if os.environ.get("BVAE_PROFILE") == "tiny" or "PYTEST_CURRENT_TEST" in os.environ:
        return False
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None
