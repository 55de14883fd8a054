"""What the notebooks stand on."""

import pytest
import torch

from bvae_helpers import losses, teach


def test_setup_prints_one_line_and_seeds(capsys, monkeypatch):
    monkeypatch.setenv("BVAE_PROFILE", "tiny")
    env = teach.setup(seed=3)
    first = torch.rand(1)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "profile tiny" in said
    teach.setup(seed=3)
    assert torch.equal(first, torch.rand(1))
    assert env.folder("03") == "checkpoints/03-tiny"


def test_show_source_is_the_packages_code():
    shown = teach.show_source(losses.kl_divergence)._repr_markdown_()
    assert shown.startswith("```python\ndef kl_divergence") and shown.endswith("```")
    assert "0.5 * (mu.square() + logvar.exp() - 1 - logvar)" in shown


def test_show_source_of_a_method_stands_at_the_margin():
    from bvae_helpers.model import BetaVAE
    assert "\ndef reparameterize" in teach.show_source(BetaVAE.reparameterize).text


def test_agree_asserts(capsys):
    teach.agree("same", torch.ones(2), [1.0, 1.0])
    assert "same: agree, exactly" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="0.1"):
        teach.agree("off", torch.tensor(1.0), torch.tensor(1.1))
    with pytest.raises(AssertionError, match="shapes"):
        teach.agree("shape", torch.ones(2), torch.ones(3))
    with pytest.raises(AssertionError):
        teach.agree("nan", torch.tensor(float("nan")), torch.tensor(0.0))


def test_attempt_tells_stub_success_and_mistake_apart(capsys):
    @teach.attempt
    def check_one(fn):
        assert fn() == 1, "you returned something else"
        return "correct"

    def stub():
        raise NotImplementedError

    check_one(stub)
    check_one(lambda: 1)
    assert capsys.readouterr().out == "check_one: not attempted yet\ncorrect\n"
    with pytest.raises(AssertionError, match="something else"):
        check_one(lambda: 2)
