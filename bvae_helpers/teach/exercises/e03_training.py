"""Checks of 03_training: saving the best, a warm-up that waits, and two bug hunts."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..notebook import attempt


@attempt
def check_saves_best(fn):
    got = fn([5.0, 4.0, 4.5, 4.2, 3.0])
    assert list(got) == [1, 2, 5], (f"losses 5, 4, 4.5, 4.2, 3 gave {got}, not [1, 2, 5]: an epoch is saved "
                                    "when it is better than all before it, and epochs count from 1")
    got = fn([2.0, 2.0, 1.0])
    assert list(got) == [1, 3], f"losses 2, 2, 1 gave {got}, not [1, 3]: a tie is not better"
    got = fn([math.nan, 3.0, math.nan, 2.0])
    assert list(got) == [2, 4], (f"losses NaN, 3, NaN, 2 gave {got}, not [2, 4]: NaN is never the best, "
                                 "and must not block later epochs")
    assert list(fn([])) == [], "no epochs: nothing is saved"
    return "correct: better than all before, ties and NaN left out"


@attempt
def check_warmup(fn):
    assert fn(0, 10, 20, 4.0) == 0 and fn(9, 10, 20, 4.0) == 0, "beta must be 0 for the first `hold` steps"
    middle = fn(20, 10, 20, 4.0)
    assert middle != 4.0 * 20 / 30, "you count the ramp from step 0; it begins at `hold`"
    assert math.isclose(middle, 2.0), f"half-way up the ramp beta is {middle}, not half of 4"
    assert fn(30, 10, 20, 4.0) == 4.0, f"at hold + ramp beta is {fn(30, 10, 20, 4.0)}, not 4"
    late = fn(1000, 10, 20, 4.0)
    assert late == 4.0, f"long after the ramp beta is {late}; it must stay at 4"
    try:
        sudden = fn(10, 10, 0, 4.0)
    except ZeroDivisionError:
        raise AssertionError("ramp = 0 divides by zero; beta should jump to its value at `hold`") from None
    assert sudden == 4.0, f"with ramp = 0 beta at `hold` is {sudden}, not 4"
    return "correct: it waits, rises, and stays"


class Fragile(nn.Module):
    """A tiny autoencoder-like model that behaves differently in train and in eval mode."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.drop, self.layer = nn.BatchNorm2d(1), nn.Dropout(0.5), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        recon = torch.sigmoid(self.layer(self.drop(self.norm(x))))
        return recon, x.mean((1, 2, 3))[:, None], torch.zeros(len(x), 1)


@attempt
def check_validate(fn):
    images = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    images[8:] *= 3                                   # the last two are harder: a mean of means shows
    model = Fragile().train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    reference = Fragile().eval()
    with torch.no_grad():
        errors = (reference(images)[0] - images).square().sum((1, 2, 3))   # (10,)
    got = fn(model, images, 4)
    changed = [k for k, v in model.state_dict().items() if not torch.equal(v, before[k])]
    assert not changed, f"validation changed {', '.join(changed)}: the model was left in train mode"
    assert not (isinstance(got, torch.Tensor) and got.requires_grad), "the result carries a graph: use .item()"
    assert isinstance(got, float), f"return a float, not a {type(got).__name__}"
    means = sum(float(e.mean()) for e in errors.split(4)) / 3
    assert not math.isclose(got, means, rel_tol=1e-5), "a mean of the batches' means: wrong weights"
    want = float(errors.mean())
    assert math.isclose(got, want, rel_tol=1e-5), f"{want:.4f} is wanted, you have {got:.4f}: sum over pixels"
    assert model.training, "the model came in train mode and left in eval mode: put it back"
    fn(model.eval(), images, 4)
    assert not model.training, "the model came in eval mode and left in train mode"
    return "correct: eval mode, no graph, every image counts the same"


@attempt
def check_train_epoch(fn):
    batches = list(torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(2)).unbind(0))
    graph = []

    def loss_of(model, x):
        assert model.training, "the model is in eval mode: a validation left it so; call model.train()"
        assert torch.is_grad_enabled(), "gradients are off: nothing can be learned"
        loss = F.mse_loss(model(x), x.sum(1, keepdim=True))
        graph.append(loss)
        return loss

    def run(train):
        torch.manual_seed(3)
        model = nn.Linear(3, 1).eval()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return model, train(model, batches, optimizer, loss_of)

    def reference(model, batches, optimizer, loss_of):
        model.train()
        values = []
        for x in batches:
            optimizer.zero_grad()
            loss_of(model, x).backward()
            optimizer.step()
            values.append(graph[-1].item())
        return sum(values) / len(values)

    model, got = run(fn)
    right, want = run(reference)
    gap = float((model.weight - right.weight).detach().abs().max())
    assert gap < 1e-6, f"the weights are off by {gap:.2g}: is each gradient of its own batch only (zero_grad)?"
    assert isinstance(got, float), f"return a float, not a {type(got).__name__}: a tensor keeps its graph in memory"
    assert math.isclose(got, want, rel_tol=1e-5), f"the mean of the batches' losses is {want:.4f}, you have {got:.4f}"
    return "correct: fresh gradients, train mode, a plain number"
