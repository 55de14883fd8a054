"""evaluate: every score with mean, spread and timing, beside baselines whose place is known."""

import warnings

import numpy as np
import pytest
import torch

from bvae_helpers import checkpoints, latents, metrics
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
        warnings.simplefilter("error", RuntimeWarning)          # a division by 0, an invalid value
        return metrics.evaluate(model, Sprites(), (0, 1), 400, 200, dci=False, verbose=False, against=AGAINST)


def test_every_score_has_its_mean_spread_and_time(found):
    assert tuple(found.scores) == SCORES and found.seeds == (0, 1)
    for name in SCORES:
        one, two = found.scores[name]
        assert np.isfinite([one, two]).all() and found.mean(name) == pytest.approx((one + two) / 2)
        assert found.spread(name) == pytest.approx(abs(one - two))
        assert len(found.seconds[name]) == 2
    assert found.spread("mig") > 0                                   # other images, other numbers
    assert found.mean("kl") > 1 and found.mean("active_units") >= 3
    assert found.seconds["kl"] == [0, 0] and min(found.seconds["mig"]) > 0
    assert found.seconds["infomec_modularity"] == found.seconds["infomec_explicitness"]      # one computation


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
    for column in ("model", "active latents", *AGAINST, "seconds"):
        assert column in lines[0]
    row = next(line for line in lines if line.startswith("mig"))
    assert f"{found.mean('mig'):.3f} ± {found.spread('mig') / 2:.3f}" in row
    assert "evaluation seeds 0, 1" in lines[-1]
    page = found._repr_html_()
    assert page.count("<tr>") == page.count("</tr>") == len(SCORES) + 1 and "rotated ground truth" in page


def test_names_are_text_on_the_page():
    found = metrics.Evaluation({"<b>": [1.0]}, {"<b>": [0.1]}, (0,))
    assert "<td>&lt;b&gt;</td>" in found._repr_html_()


def test_the_active_latents_have_a_column_of_their_own(found, model):
    images, factors = render(Sprites(), 600, 0)
    mu, logvar = latents.encode(model, images)
    alive = latents.active(mu, logvar)
    assert 3 <= alive.sum() < model.latent_dim                              # some are collapsed
    z = mu[:, alive]
    expected, _ = metrics.score_codes(z[:400], factors[:400], z[400:], factors[400:], 0, dci=False)
    assert {name: values[0] for name, values in found.active.items()} == expected
    assert found.mean("modularity", "active latents") != found.mean("modularity") and "kl" not in found.active
    kl_row = next(line for line in found.table() if line[0] == "kl")
    assert kl_row[2] == ""                                                  # the KL is the model's
    without = metrics.evaluate(model, Sprites(), (0,), 100, 50, dci=False, verbose=False, against=(), active=False)
    assert without.active == {} and list(without.columns) == ["model"]


class Factors(torch.nn.Module):
    """Somebody else's model: an encoder, a decoder, a latent_dim, nothing more. It sees where the pixels are."""

    latent_dim = 2

    def __init__(self):
        super().__init__()
        self.decoder = torch.nn.Linear(2, 1)

    def encoder(self, x):
        mass, ramp = x.sum((1, 2, 3)), torch.linspace(-1, 1, x.shape[-1])
        mu = torch.stack([(x * ramp).sum((1, 2, 3)), (x * ramp[:, None]).sum((1, 2, 3))], 1) / mass[:, None]
        return mu, torch.full_like(mu, -4.0)


def test_somebody_elses_model_is_scored():
    model = Factors()
    found = metrics.evaluate(model, Sprites(), (0,), 300, 150, dci=False, verbose=False)
    assert found.mean("mig") > 0.15 and found.active == {}                  # both positions, and all latents are active
    assert list(found.baselines) == [name for name in metrics.BASELINES if name != "untrained encoder"]
    few = {"train": 20, "test": 10, "samples": 100}
    assert metrics.factor_vae_score(model, Sprites(), **few) > 0.2


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
