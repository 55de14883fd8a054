"""What every score checks of its arrays: codes (N, D), a row of latent means for each image; factors (N, K), whole numbers."""

import numpy as np
import torch


def as_array(x):
    """A tensor, on any device and with or without gradients, or whatever else numpy reads -> array."""
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def check_codes(codes):
    """Codes as float64 (N, D); ValueError for another shape, NaN or infinite values."""
    codes = as_array(codes).astype(np.float64)
    if codes.ndim != 2 or len(codes) < 2:
        raise ValueError(f"codes must be (N, D) with at least 2 samples, got {codes.shape}")
    if not np.isfinite(codes).all():
        raise ValueError(f"codes hold NaN or infinite values: {(~np.isfinite(codes)).sum():,} of {codes.size:,}")
    return codes


def check_arrays(codes, factors, samples=2, bins=1):
    """The arrays as numpy; ValueError, naming what is wrong, where no score can be computed.

    ``bins`` is how many the score sorts the codes into, ``samples`` how many it needs at least.
    """
    codes, factors = as_array(codes), as_array(factors)
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
        raise ValueError(f"codes must be (N, D) and factors (N, K) with the same N, got {codes.shape} and {factors.shape}")
    codes = check_codes(codes)
    if codes.shape[1] < 2:
        raise ValueError(f"a gap needs at least 2 latents, got {codes.shape[1]}")
    if not np.equal(np.mod(factors, 1), 0).all():
        raise ValueError("factors must be discrete: whole numbers. Put continuous ones into bins first: discretize(factors)")
    if len(codes) < bins:
        raise ValueError(f"{len(codes)} samples are fewer than the {bins} bins")
    if len(codes) < samples:
        raise ValueError(f"{len(codes)} samples are too few, at least {samples} are needed")
    for k, v in enumerate(factors.T):
        if (v == v[0]).all():
            raise ValueError(f"factor {k} has only one value, {v[0]}: nothing to find out about it")
    return codes, factors.astype(np.int64)


def check_split(codes_train, factors_train, codes_test, factors_test):
    """The arrays of a score that learns on some samples and is measured on others; ValueError as ``check_arrays``.

    A factor may have one value only among the test samples, not among those it is learned from.
    """
    train, y_train = check_arrays(codes_train, factors_train)
    test, y_test = check_codes(codes_test), as_array(factors_test)
    if test.shape[1] != train.shape[1] or y_test.shape != (len(test), y_train.shape[1]):
        raise ValueError(f"the test arrays must be (N, {train.shape[1]}) and (N, {y_train.shape[1]}) with the same N, "
                         f"got {test.shape} and {y_test.shape}")
    return train, y_train, test, y_test


def standardized(x, by=None):
    """Columns (N, D) less the mean of those of ``by`` (themselves, if None), in units of their standard deviation.

    Columns that are constant in ``by`` are only shifted.
    """
    by = x if by is None else by
    return (x - by.mean(0)) / np.where(np.ptp(by, axis=0) > 0, by.std(0), 1)


def ranks(x):
    """Ranks in every column (N, D); equal values share their mean rank."""
    columns = [np.unique(column, return_inverse=True, return_counts=True)[1:] for column in x.T]
    return np.stack([(counts.cumsum() - (counts - 1) / 2)[place] for place, counts in columns], axis=1)
