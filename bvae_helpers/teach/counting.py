"""How much a piece of work asks for: the number of operations that it starts."""

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class _Counter(TorchDispatchMode):
    """Counts the operations on tensors inside a ``with`` block, gradients included."""

    count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if not operation.is_view:
            self.count += 1
        return operation(*args, **(kwargs or {}))


def count_operations(work: Callable, *arguments: Any) -> int:
    """The number of operations that ``work(*arguments)`` starts: on a GPU each is one kernel, or a few.

    Those that only look at the same numbers in another shape (views) start nothing and do not count.
    """
    with _Counter() as counter:
        work(*arguments)
    return counter.count
