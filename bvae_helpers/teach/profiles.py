"""Profiles: how much of everything a notebook runs."""

import os
from typing import NamedTuple

from ..model import default_device

__all__ = ["PROFILES", "STEPS_PER_SECOND", "Profile", "expected_time", "profile"]

# Training steps a second of the sprite network, 64 images each. H100: measured in 2026 on a step recorded as one CUDA
# graph. T4: not measured, taken to be a sixth of the H100's. Two CPU cores: measured (docs/guides/gpu-and-colab.md).
STEPS_PER_SECOND = {"an H100": 850, "a T4 (assumed)": 142, "2 CPU cores": 17}


class Profile(NamedTuple):
    """How much to run. A profile changes amounts only, never shapes or code paths."""

    name: str
    images: int    # sprites to train on
    epochs: int    # passes over them
    samples: int   # images to measure with
    seeds: int     # evaluation seeds to measure with


# The scores are computed on the processor, so that *gpu* measures with as many images as *laptop*. *paper* is the scale
# of the literature, 300,000 steps or more, and is never chosen unless it is named.
PROFILES = {p.name: p for p in (Profile("tiny", 512, 2, 300, 1), Profile("laptop", 20_000, 3, 5_000, 3),
                                Profile("gpu", 40_000, 5, 5_000, 3), Profile("paper", 737_280, 30, 10_000, 5))}


def profile(name: str | None = None) -> Profile:
    """The profile called ``name``; by default $BVAE_PROFILE, else "gpu" with CUDA and "laptop" without.

    Raises ValueError for an unknown name.
    """
    name = name or os.environ.get("BVAE_PROFILE") or ("gpu" if default_device().type == "cuda" else "laptop")
    if name not in PROFILES:
        raise ValueError(f"the profile (BVAE_PROFILE) must be {' or '.join(PROFILES)}, got {name!r}")
    return PROFILES[name]


def expected_time(profile: Profile) -> str:
    """In one line, how long one training on all images of a profile takes on three kinds of machine."""
    steps = profile.epochs * profile.images // 64
    each = ", ".join(f"{steps / rate / 60:,.0f} min on {machine}" for machine, rate in STEPS_PER_SECOND.items())
    return f"profile {profile.name}: each training on all {profile.images:,} images is {steps:,} steps, about {each}"
