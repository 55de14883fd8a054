"""Profiles: how much of everything a notebook runs."""

import os
from typing import NamedTuple

from ..model import default_device

__all__ = ["PROFILES", "Profile", "profile"]


class Profile(NamedTuple):
    """How much to run. A profile changes amounts only, never shapes or code paths."""

    name: str
    images: int    # sprites to train on
    epochs: int    # passes over them
    samples: int   # images to measure with
    seeds: int     # evaluation seeds to measure with


PROFILES = {p.name: p for p in (Profile("tiny", 512, 2, 300, 1), Profile("laptop", 20_000, 3, 5_000, 3),
                                Profile("gpu", 737_280, 30, 10_000, 5))}


def profile(name: str | None = None) -> Profile:
    """The profile called ``name``; by default $BVAE_PROFILE, else "gpu" with CUDA and "laptop" without.

    Raises ValueError for an unknown name.
    """
    name = name or os.environ.get("BVAE_PROFILE") or ("gpu" if default_device().type == "cuda" else "laptop")
    if name not in PROFILES:
        raise ValueError(f"the profile (BVAE_PROFILE) must be {' or '.join(PROFILES)}, got {name!r}")
    return PROFILES[name]
