"""How many threads torch computes with."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread inside the ``with`` block.

    For operations that take microseconds: to split them over threads costs more than it saves, and twenty times as
    much on a busy machine.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
