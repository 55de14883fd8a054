"""evaluate: every score with mean, spread and timing, beside baselines whose place is known."""

import warnings

import numpy as np
import pytest
import torch

from bvae_helpers import checkpoints, metrics
from bvae_helpers.data import Sprites, render

SCORES = ("beta_vae", "factor_vae", "mig", "sap", "modularity", "explicitness", "irs", "infomec_modularity",
          "infomec_compactness", "infomec_explicitness", "gaussian_total_correlation", "active_units", "kl")
AGAINST = ("untrained encoder", "ground truth", "rotated ground truth")


@pytest.fixture(scope="module")
def model():
    return checkpoints.load_pretrained("btcvae")


@pytest.fixture(scope="module")
def found(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return metrics.evaluate(model, Sprites(), (0, 1), 400, 200, dci=False, verbose=False, against=AGAINST)


def test_every_score_has_its_mean_spread_and_time(found):
    assert tuple(found.scores) == SCORES and found.seeds == (0, 1)
    for name in SCORES:
        one, two = found.scores[name]
        assert np.isfinite([one, two]).all() and found.mean(name) == pytest.approx((one + two) / 2)
        assert found.spread(name) == pytest.approx(abs(one - two))
        assert len(found.seconds[name]) == 2 and min(found.seconds[name]) >= 0
    assert found.spread("mig") > 0                                   # other images, other numbers
    assert found.mean("kl") > 1 and found.mean("active_units") >= 3


def test_baselines_stand_where_they_must(found):
    assert tuple(found.baselines) == AGAINST
    for name in ("mig", "sap", "modularity", "irs", "infomec_modularity"):
        truth = found.mean(name, "ground truth")
        assert truth > found.mean(name) > found.mean(name, "untrained encoder")
        assert truth > found.mean(name, "rotated ground truth") + 0.05
    read_off = [found.mean("explicitness", f"{kind}ground truth") for kind in ("", "rotated ")]
    assert read_off[0] == pytest.approx(read_off[1], abs=0.01)          # rotation is nothing to a linear rule
    assert found.mean("active_units", "ground truth") == len(Sprites.factor_names)


def test_printed_it_is_a_table(found):
    lines = str(found).splitlines()
    assert len(lines) == len(SCORES) + 2 and len({len(line) for line in lines[:-1]}) == 1
    for column in ("model", *AGAINST, "seconds"):
        assert column in lines[0]
    row = next(line for line in lines if line.startswith("mig"))
    assert f"{found.mean('mig'):.3f} ± {found.spread('mig') / 2:.3f}" in row
    assert "evaluation seeds 0, 1" in lines[-1]
    html = found._repr_html_()
    assert html.count("<tr>") == html.count("</tr>") == len(SCORES) + 1 and "rotated ground truth" in html


def test_evaluate_prints_unless_told_not_to_and_is_the_same_again(model, capsys):
    one, two = (metrics.evaluate(model, Sprites(), (3,), 100, 50, dci=False, against=AGAINST[1:2]) for _ in range(2))
    assert capsys.readouterr().out == f"{one}\n{two}\n"
    assert one.scores == two.scores and one.baselines == two.baselines
    assert set(one.baselines) == {"ground truth"} and "dci" not in str(one)


@pytest.mark.parametrize("options, said", [
    ({"against": ("luck",)}, "against may hold .* got luck"), ({"seeds": ()}, "at least one")])
def test_evaluate_says_what_is_wrong(model, options, said):
    with pytest.raises(ValueError, match=said):
        metrics.evaluate(model, Sprites(), **options)


def test_baselines_are_what_they_are_called(model):
    codes, factors = metrics.baselines(model, Sprites(), 300, seed=2)
    assert tuple(codes) == ("model", *metrics.BASELINES)
    images, again = render(Sprites(), 300, 2)
    assert torch.equal(factors, again)
    truth, rotated = codes["ground truth"], codes["rotated ground truth"]
    assert np.abs([np.corrcoef(t, v)[0, 1] for t, v in zip(truth.T, factors.numpy().T)]) == pytest.approx(1)
    assert rotated @ rotated.T == pytest.approx(truth @ truth.T, abs=1e-8)          # nothing but rotated
    pixels = images.flatten(1).numpy() / 255.0
    strength = np.linalg.svd(pixels - pixels.mean(0), compute_uv=False)[:3]
    assert np.linalg.norm(codes["pixels' PCA"], axis=0)[:3] == pytest.approx(strength, rel=0.02)
    before = {name: p.clone() for name, p in model.state_dict().items()}
    assert not np.allclose(codes["untrained encoder"], codes["model"], atol=0.1)
    assert all(torch.equal(p, before[name]) for name, p in model.state_dict().items())
