"""Settings of any kind: accepted ones come back from a checkpoint as they were, others are refused with a range."""

import enum
import fractions
import json
import pathlib
import random
from dataclasses import fields

import numpy as np
import torch
from faults.test_checkpoints import VALUES

from bvae_helpers import checkpoints
from bvae_helpers.config import Config


class Word(str, enum.Enum):         # noqa: UP042 (not a StrEnum: str() of it is its name)
    """A string that is more."""

    SPRITES = "sprites"
    CONSTANT = "constant"


ODD = (np.str_("sprites"), Word.SPRITES, Word.CONSTANT, pathlib.Path("a/b"), np.int16(16), np.uint64(2 ** 63),
       np.float16(0.5),
       np.array(3), np.array([4, 8]), np.array([[4]]), torch.tensor(2), torch.tensor([4, 8]), torch.tensor(0.5),
       torch.tensor(True), np.bool_(True), fractions.Fraction(1, 2), 2 + 0j, range(2, 5), (4, 8), {4, 8}, iter([4]),
       "16", "0.5",
       "1e3", b"sprites", 10 ** 30, -10 ** 30, 10 ** 5000, 1e300, -0.0, 5e-324, [10 ** 30], [0], [4.0, 8.0], [True],
       ["4"],
       [None], [[4]], [4] * 17, "x" * 100_000, "a\0b", "\ud800", object(), print, Config, float, type(None), ...,
       slice(3),
       memoryview(b"a"), bytearray(b"a"), np.datetime64("2020-01-01"), np.float128(4) if hasattr(np, "float128") else 4)
NAMES = [f.name for f in fields(Config)]
WORDS = ("beta_", "latent_dims", "", "learningrate", "Beta", "save_dir ", "__init__", "self", "cls", "compile",
         "learning_rate")


def settings(rng):
    """One or two settings, most of them known ones, with any value."""
    values = [*ODD, *VALUES, *Config().to_dict().values()]
    names = [rng.choice(NAMES) if rng.random() < 0.9 else rng.choice(WORDS) for _ in range(rng.choice((1, 1, 2)))]
    return {name: rng.choice(values) for name in names}


def from_file(chosen, rng, folder):
    """The same settings through a file, damaged at times; values that JSON cannot hold become text."""
    path = folder / rng.choice(("run.json", "run.JSON", "run.toml", "run.txt"))
    content = bytearray(json.dumps(chosen, default=str).encode("utf-8", "surrogatepass"))
    if rng.random() < 0.5 and content:
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(rng.choice((b"", b"", b"\xef\xbb\xbf")) + bytes(content))
    return Config.load(path)


def run(count, seed, folder):
    """``count`` settings; a line with how many were refused."""
    rng, refused = random.Random(seed), 0
    for n in range(count):
        chosen, name = settings(rng), f"settings {n} of seed {seed}"
        try:
            config = from_file(chosen, rng, folder) if rng.random() < 0.3 else Config(**chosen)
        except (ValueError, TypeError) as error:
            said = str(error)
            assert 20 < len(said) < 700 and "\n" not in said.strip(), f"{name}: a poor message ({said[:900]})"
            refused += 1
            continue
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__} is not documented ({error})") from error
        kept = config.to_dict()
        assert all(type(value) in (int, float, str, bool, list, type(None)) for value in kept.values()), name
        if n % 10 == 0:                                     # through a file, as a run's settings go
            torch.save({"config": kept}, folder / "c.pt")
            kept = checkpoints.load(folder / "c.pt")["config"]
        assert Config(**kept).to_dict() == config.to_dict(), f"{name}: others come back"
    return f"{count} settings: {refused} refused, the others came back as they were"


def test_a_few(tmp_path):
    run(500, 0, tmp_path)
