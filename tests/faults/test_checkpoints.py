"""Mutated checkpoints, loaded, looked at and resumed: each works, or is refused with a ValueError, within its own
size."""

import copy
import random
import resource
import time

import torch
from conftest import new_model, small_config, small_pictures

from bvae_helpers import checkpoints, latents
from bvae_helpers.training import fit

PICTURES = small_pictures(40)
RUNS = (dict(), dict(objective="factorvae", discriminator_width=4, lr_schedule="cosine", network="classic"),
        dict(objective="annealed", lr_schedule="constant"))
SECONDS, MEGABYTES = 5, 2000        # what a single case may take


def originals(folder):
    """One stopped run of each kind: its config and its last.pt."""
    for n, settings in enumerate(RUNS):
        config = small_config(str(folder / f"run{n}"), **settings)
        fit(new_model(config), PICTURES, config, progress=False, device="cpu", stop_after=6)
        yield config, folder / f"run{n}" / "last.pt"


# Damage to the bytes of a file

def flip(content, rng):
    for _ in range(rng.choice((1, 1, 3, 100))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def cut(content, rng):
    del content[rng.randrange(len(content)):]


def leave_out(content, rng):
    start = rng.randrange(len(content))
    del content[start:start + rng.choice((1, 7, 500))]


def put_in(content, rng):
    start = rng.randrange(len(content))
    content[start:start] = rng.randbytes(rng.choice((1, 7, 500)))


def overwrite(content, rng):
    start, size = rng.randrange(len(content)), rng.choice((4, 64, 5000))
    content[start:start + size] = bytes(len(content[start:start + size]))


# Another content, written whole

VALUES = (None, True, 0, -1, 10 ** 9, 2 ** 70, float("nan"), float("inf"), "", "text", "../../x", b"bytes", [], {}, (),
          [1, 2],
          {"a": 1}, torch.zeros(()), torch.zeros(3), torch.zeros(2, 3), torch.zeros(0), torch.full((5,), float("nan")),
          torch.zeros(1).expand(10 ** 9), torch.arange(6), torch.zeros(2, 2).to_sparse(),
          torch.zeros(2, dtype=torch.complex64),
          torch.zeros(2, device="meta"), 1e308, "sprites", [[1, 2], [3]], {1: 2}, torch.Size([1, 2]))


def places(value, path=()):
    """The paths of all parts of nested dicts and lists; of a long list the first three."""
    yield path
    items = value.items() if isinstance(value,
                                        dict) else enumerate(value[:3]) if isinstance(value, (list, tuple)) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def change(state, rng):
    """Replace, remove, or add one part; or give a tensor another shape, type or size."""
    path = rng.choice([place for place in places(state) if place])
    if rng.random() < 0.5:          # half of the changes at the top: there, most parts are curves and weights
        path = path[:2]
    parent = state
    for key in path[:-1]:
        if isinstance(parent[key], tuple):
            parent[key] = list(parent[key])         # a change of type, too
        parent = parent[key]
    old, kind = parent[path[-1]], rng.randrange(4)
    if kind == 0:
        del parent[path[-1]]
    elif kind == 1 and isinstance(parent, dict):
        parent[rng.choice(("more", 7, path[-1] * 2 if isinstance(path[-1], str) else "x"))] = rng.choice(VALUES)
    elif kind == 2 and isinstance(old, torch.Tensor):
        parent[path[-1]] = rng.choice((lambda t: t[..., None], lambda t: torch.cat([t.flatten()] * 2),
                                       lambda t: t.double(),
                                       lambda t: t.flatten()[:1], lambda t: t.flatten()[:0], lambda t: t * float("nan"),
                                       lambda t: t.half(), lambda t: t.flatten()[:1].expand(10 ** 8)))(old)
    else:
        parent[path[-1]] = rng.choice(VALUES)


def load_and_look(path):
    """What ``evaluate`` and ``traverse`` do with a model."""
    model = checkpoints.load_model(path)
    if model.in_channels == 1 and model.img_size == 16:
        mu, logvar = latents.encode(model, PICTURES[:4])
        if mu.isfinite().all():
            latents.traversals(model, mu[0], latents.rank_latents(mu, logvar)[:2], steps=3)


def resume(path, config):
    fit(new_model(config), PICTURES, config, progress=False, device="cpu", stop_after=3)


def attempt(action, *arguments):
    """Whether an action works; False where it is refused in a documented way. Other errors fail the case."""
    try:
        action(*arguments)
        return True
    except (ValueError, FloatingPointError) as error:
        assert len(str(error)) > 20 and len(str(error).splitlines()) <= 7, f"a poor message: {error}"
        return False


def run(count, seed, folder):
    """``count`` mutations of three kinds of run; a line with how many were refused."""
    rng = random.Random(seed)
    whole = [(config, path, path.read_bytes(), checkpoints.load(path)) for config, path in originals(folder)]
    refused, slowest = {"model": 0, "resume": 0}, 0.0
    for case in range(count):
        config, path, content, state = rng.choice(whole)
        if rng.random() < 0.4:
            damaged = bytearray(content)
            rng.choice((flip, cut, leave_out, put_in, overwrite))(damaged, rng)
            path.write_bytes(damaged)
            alike = True
        else:
            changed = copy.deepcopy(state)
            for _ in range(rng.choice((1, 1, 2))):
                change(changed, rng)
            torch.save(changed, path)
            alike = False
        start = time.monotonic()
        try:
            refused["model"] += not attempt(load_and_look, path)
            if alike and attempt(checkpoints.load, path):
                assert same(checkpoints.load(path), state), "damaged bytes were read as other content"
            refused["resume"] += not attempt(resume, path, config)
        except Exception as error:
            raise AssertionError(f"case {case} of seed {seed}: {type(error).__name__}: {error}") from error
        slowest = max(slowest, time.monotonic() - start)
        assert slowest < SECONDS, f"case {case} of seed {seed} took {slowest:.1f} s"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        assert peak < MEGABYTES, f"case {case} of seed {seed}: {peak:.0f} MB in memory"
        for file in path.parent.glob("*.pt"):
            file.unlink()
    return (f"{count} checkpoints, {refused['model']} refused as a model, {refused['resume']} refused to resume, "
            f"slowest {slowest:.1f} s, peak {peak:.0f} MB")


def same(one, two):
    """Whether two nested states hold the same values, to the bit."""
    if isinstance(two, torch.Tensor):
        return isinstance(one, torch.Tensor) and torch.equal(one, two)
    if isinstance(two, dict):
        return isinstance(one, dict) and one.keys() == two.keys() and all(same(one[key], two[key]) for key in two)
    if isinstance(two, (list, tuple)):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


def test_mutated_checkpoints(tmp_path):
    run(60, 0, tmp_path)
