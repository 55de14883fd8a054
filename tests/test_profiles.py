"""Profiles: how much of everything a notebook runs."""

import pytest

from bvae_helpers.teach.profiles import PROFILES, profile


def test_profiles(monkeypatch):
    monkeypatch.setenv("BVAE_PROFILE", "tiny")
    assert profile() == PROFILES["tiny"] and profile("laptop").name == "laptop"
    monkeypatch.setenv("BVAE_PROFILE", "huge")
    with pytest.raises(ValueError, match="tiny or laptop or gpu"):
        profile()
    monkeypatch.delenv("BVAE_PROFILE")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert profile().name == "gpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert profile().name == "laptop"
    assert PROFILES["tiny"].images < PROFILES["laptop"].images < PROFILES["gpu"].images
