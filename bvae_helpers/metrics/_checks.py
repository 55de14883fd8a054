"""Checks and small helpers that all scores share.

Codes (N, D): latent means, a row per image; factors (N, K): whole numbers.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike


def as_array(x: ArrayLike | torch.Tensor) -> np.ndarray:
    """Convert a tensor, on any device and with or without gradients, or anything else that numpy reads.

    Raises ValueError for an array with masked values: a score needs them all.
    """
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        return (x.float() if x.dtype is torch.bfloat16 else x).numpy()          # numpy knows no bfloat16
    if np.ma.is_masked(x):
        raise ValueError(f"{np.ma.count_masked(x):,} values are masked: leave out their samples, or fill them")
    return np.asarray(x)


def check_codes(codes: ArrayLike) -> np.ndarray:
    """Return codes as float64 (N, D); raise ValueError for another shape, NaN or infinite values."""
    codes = as_array(codes).astype(np.float64)
    if codes.ndim != 2 or len(codes) < 2 or codes.shape[1] < 1:
        raise ValueError(f"codes must be (N, D) with at least 2 samples and 1 latent, got {codes.shape}")
    if not np.isfinite(codes).all():
        raise ValueError(f"codes hold NaN or infinite values: {(~np.isfinite(codes)).sum():,} of {codes.size:,}")
    return codes


def check_arrays(codes: ArrayLike, factors: ArrayLike, samples: int = 2, bins: int = 1
                 ) -> tuple[np.ndarray, np.ndarray]:
    """Return codes as float64 and factors as int64; raise ValueError, naming what is wrong, if they cannot be scored.

    ``bins``: number of bins that the score sorts the codes into; ``samples``: number of samples that it needs.
    """
    codes, factors = as_array(codes), as_array(factors)
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
        raise ValueError("codes must be (N, D) and factors (N, K) with the same N, "
                         f"got {codes.shape} and {factors.shape}")
    codes = check_codes(codes)
    if not np.equal(np.mod(factors, 1), 0).all():
        raise ValueError("factors must be discrete: whole numbers. Put continuous ones into bins first: "
                         "discretize(factors)")
    if len(codes) < bins:
        raise ValueError(f"{len(codes)} samples are fewer than the {bins} bins: score more images")
    if len(codes) < samples:
        raise ValueError(f"{len(codes)} samples are too few, at least {samples} are needed")
    for k, v in enumerate(factors.T):
        if (v == v[0]).all():
            raise ValueError(f"factor {k} has only one value, {v[0]}, among the {len(v):,} samples: leave it out, "
                             "or score more images")
    return codes, factors.astype(np.int64)


def check_split(codes_train: ArrayLike, factors_train: ArrayLike, codes_test: ArrayLike, factors_test: ArrayLike
                ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Check the four arrays of a score that is trained on some samples and tested on others; ValueError as
    ``check_arrays``.

    A factor may have a single value among the test samples, but not among the training samples.
    """
    train, y_train = check_arrays(codes_train, factors_train)
    test, y_test = check_codes(codes_test), as_array(factors_test)
    if test.shape[1] != train.shape[1] or y_test.shape != (len(test), y_train.shape[1]):
        raise ValueError(f"the test arrays must be (N, {train.shape[1]}) and (N, {y_train.shape[1]}) with the same N, "
                         f"got {test.shape} and {y_test.shape}")
    return train, y_train, test, y_test


def varying(factors: ArrayLike) -> np.ndarray:
    """Which of the factors (N, K) take more than one value among the samples -> bool (K,).

    Raises ValueError if none does.
    """
    factors = as_array(factors)
    varied = (factors != factors[:1]).any(0)
    if not varied.any():
        raise ValueError(f"no factor takes more than one value among the {len(factors):,} samples: nothing can be "
                         "scored")
    return varied


def standardised(x: np.ndarray, by: np.ndarray | None = None) -> np.ndarray:
    """Shift and scale columns (N, D) by the mean and standard deviation of the columns of ``by`` (default: their own).

    Columns that are constant in ``by`` are only shifted.
    """
    by = x if by is None else by
    return (x - by.mean(0)) / np.where(np.ptp(by, axis=0) > 0, by.std(0), 1)


def ranks(x: np.ndarray) -> np.ndarray:
    """Ranks within each column (N, D); equal values share their mean rank."""
    columns = [np.unique(column, return_inverse=True, return_counts=True)[1:] for column in x.T]
    return np.stack([(counts.cumsum() - (counts - 1) / 2)[place] for place, counts in columns], axis=1)
