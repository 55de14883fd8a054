"""Data with known factors: one image for every combination of integer classes, a *lattice*.

Shapes: N images, K factors. The lattice is in the order of ``itertools.product``: the last factor moves fastest.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["FactorData", "check_factors", "factors_of", "index_of"]


class FactorData(ABC):
    """Base class of data with known factors. A subclass has the two names below and ``images``.

    ``factor_names``: what the K factors are called. ``factor_sizes``: how many classes each has.
    """

    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]

    @abstractmethod
    def images(self, factors: Tensor) -> Tensor:
        """The images of integer classes (N, K) -> uint8 (N, C, S, S), 0 to 255.

        Raises ValueError for a wrong shape or a class out of range: ``check_factors`` does.
        """

    def __len__(self) -> int:
        """The number of images in the lattice."""
        return math.prod(self.factor_sizes)

    def visible(self, factors: Tensor) -> Tensor:
        """Integer classes (N, K) -> the part of them that images show, each from 0 to 1, float32 (N, K).

        Here class / (number of classes - 1). A subclass whose different classes look the same returns the same number.
        """
        factors = check_factors(factors, self.factor_sizes, self.factor_names)
        return factors / (torch.tensor(self.factor_sizes, device=factors.device) - 1).clamp(min=1)

    def sample_factors(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n independent uniform draws of every factor -> long (n, K)."""
        return torch.stack([torch.randint(size, (n,), generator=generator) for size in self.factor_sizes], dim=1)


def factors_of(index: Tensor, sizes: Sequence[int]) -> Tensor:
    """Position in the lattice -> integer classes: (N,) -> (N, K)."""
    columns = []
    for size in reversed(sizes):
        columns.insert(0, index % size)
        index = index // size
    return torch.stack(columns, dim=1)


def index_of(factors: Tensor, sizes: Sequence[int]) -> Tensor:
    """Integer classes -> position in the lattice: (N, K) -> (N,)."""
    index = torch.zeros(len(factors), dtype=torch.long)
    for column, size in zip(factors.cpu().unbind(1), sizes):
        index = index * size + column
    return index


def check_factors(factors, sizes: Sequence[int], names: Sequence[str]) -> Tensor:
    """Integer classes within their ranges, as a long tensor (N, K).

    Raises ValueError for another shape, for numbers that are not whole, and for a class out of range, which it names.
    """
    factors = torch.as_tensor(factors)
    if factors.ndim != 2 or factors.shape[1] != len(sizes):
        raise ValueError(f"factors must have shape (N, {len(sizes)}), one column each for {', '.join(names)}; "
                         f"got {tuple(factors.shape)}")
    if factors.is_floating_point() or factors.is_complex() or factors.dtype == torch.bool:
        raise ValueError(f"factors must be integer classes, got {factors.dtype}")
    for name, size, column in zip(names, sizes, factors.unbind(1)):
        bad = column[(column < 0) | (column >= size)]
        if len(bad):
            raise ValueError(f"{name} must be 0 to {size - 1}, got {int(bad[0])}")
    return factors.long()
