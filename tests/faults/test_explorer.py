"""Random events in the live explorer, hostile ones among them: it shows what its sliders say, and errors in words."""

import gc
import io
import random
import resource

import ipywidgets as widgets
import numpy as np
import torch
from conftest import new_model, small_config
from faults.test_interrupts import Tiny
from PIL import Image

from bvae_helpers import latents
from bvae_helpers.data import render
from bvae_helpers.explorer import LatentExplorer, frames
from bvae_helpers.explorer.panel import GAP

EVERY = 50                        # events between two looks at everything
ODD = (None, -1, 10 ** 9, 3.5, "", "nowhere.png", b"x", object(), float("nan"), [], {}, torch.zeros(3),
       torch.zeros(1, 16, 16),
       torch.full((1, 16, 16), 7.0), torch.zeros(1, 16, 16, dtype=torch.uint8), torch.full((1, 16, 16), float("nan")),
       True, "zero")
NUMBERS = (0.0, 1.5, -1e300, 1e300, float("inf"), -float("inf"), float("nan"), 7, 1e-300)


def explorer_of(rng):
    """An explorer of one or two models of five latents, two of which are folded away where they have collapsed."""
    config = small_config(latent_dim=rng.choice((1, 5, 14)))
    images, factors = render(Tiny(), 40, seed=0)
    models = [new_model(config, seed) for seed in range(rng.choice((1, 1, 2)))]
    for model in models:
        with torch.no_grad():
            model.encoder.fc_mu.weight.mul_(rng.choice((1.0, 20.0)))
    return LatentExplorer(models[0] if len(models) == 1 else dict(zip("a<", models)), images, Tiny(), factors)


def living():
    """How many widgets the process holds, in ipywidgets 8 or 7."""
    return len(widgets.widget._instances if hasattr(widgets.widget, "_instances") else widgets.Widget.widgets)


def buttons(widget):
    """All buttons under a widget."""
    found = [widget] if isinstance(widget, widgets.Button) else []
    for child in getattr(widget, "children", ()):
        found += buttons(child)
    return found


def event(explorer, rng):
    """One thing that a person, or code in a cell, does; the errors that code may see are documented ones."""
    way = rng.randrange(12)
    panel = rng.choice(list(explorer.panels.values()))
    if way < 5:
        d = rng.choice(panel.order)
        slider = panel.sliders[d]
        slider.value = rng.choice(NUMBERS) if rng.random() < 0.05 else rng.uniform(slider.min, slider.max)
    elif way == 5:
        rng.choice([b for b in buttons(explorer.widget) if "make" not in b.description]).click()
    elif way == 6:
        explorer.t.value = rng.random()
    elif way == 7:
        explorer.toward.value = rng.randrange(len(explorer.codes))
    elif way == 8:
        explorer.play.value = rng.randrange(10 ** 6)
    elif way == 9:
        box = rng.choice((explorer.wide, explorer.difference))
        box.value = not box.value
    else:
        attempt(explorer.start if way == 10 else lambda value: explorer.set(value, rng.choice(NUMBERS)),
                rng.choice(ODD))


def attempt(action, value):
    """Call with an odd value; refusals must be documented: ValueError, IndexError, TypeError, OSError."""
    try:
        action(value)
    except (ValueError, IndexError, TypeError, OSError) as error:
        assert str(error), f"{type(error).__name__} without a word for {value!r}"


def look(explorer, name):
    """Everything that is shown must fit the code z: finite, in the sliders, in the picture."""
    for panel in explorer.panels.values():
        assert panel.z.isfinite().all(), f"{name}: z is {panel.z.tolist()}"
        for d, slider in panel.sliders.items():
            near = abs(slider.value - panel.z[d]) <= 0.02 * max(1, abs(slider.value))
            assert near, f"{name}: slider {d} is at {slider.value}"
            assert slider.min <= slider.value <= slider.max, f"{name}: slider {d} is out of range"
        now = latents.decode(panel.model, panel.z[None])[0]
        picture = frames.row(panel.triple(now), panel.side, GAP)
        shown = torch.from_numpy(np.array(Image.open(io.BytesIO(panel.picture.value)))[..., 0])
        off = (shown.int() - picture[0].int()).abs().max()
        assert off <= 2, f"{name}: the picture is not that of z"             # decoded in another batch: rounding


def run(count, seed, folder):
    """``count`` events, a new explorer after every thousandth."""
    rng, alive, first, explorer, before = random.Random(seed), [], None, None, living()
    for n in range(count):
        if n % 1000 == 0:
            if explorer is not None:
                explorer.close()
            explorer = explorer_of(rng)
            gc.collect()
            alive.append(living() - before)
        event(explorer, rng)
        if n % EVERY == EVERY - 1:
            look(explorer, f"after event {n} of seed {seed}")
        if n == count // 4:
            first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    explorer.close()
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - first) / 1e3
    assert max(alive) < 600, f"widgets alive at each new explorer: {alive}"
    return f"{count} events; widgets alive at most {max(alive)}; over the last three quarters {more:.0f} MB more memory"


def test_a_few(tmp_path):
    run(150, 0, tmp_path)
