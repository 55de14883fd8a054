"""Which exercises are done: today, from what the checks found, and on other days, from a small file.

The file lies beside the notebook and holds the day on which each check first passed. ``BVAE_PROGRESS`` names another
file; set to nothing, and in the *tiny* profile or outside a notebook, no file is read or written.
"""

import contextlib
import datetime
import importlib
import json
import os
import pathlib
import pkgutil

from ..data.files import write_whole
from .front_end import attended

TODAY: dict[str, bool] = {}     # check name -> whether the latest attempt in this session passed


def record(check: str, done: bool | None) -> None:
    """Note the outcome of a check: True for passed, False for a wrong answer, None for an untouched stub."""
    if done is None:
        return
    TODAY[check] = done
    path, days = _file(), _days()
    if done and path is not None and check not in days:
        _write(path, days | {check: datetime.date.today().isoformat()})


def progress(notebook: str) -> None:
    """Print one line for each exercise of a notebook ("01", "02" …): ✓ done, ✗ not right yet, · not attempted.

    What was done on another day counts as done, with its date. Raises ValueError for a notebook without exercises.
    """
    names, days = _checks(notebook), _days()
    done = 0
    for name in names:
        passed = TODAY.get(name)
        if passed is None and name in days:
            mark, when = "✓", f"  (on {days[name]})"
        else:
            mark, when = {True: "✓", False: "✗", None: "·"}[passed], ""
        done += mark == "✓"
        print(f"{mark} {name.removeprefix('check_').replace('_', ' ')}{when}")
    print(f"{done} of {len(names)} exercises done")


def _checks(notebook: str) -> list[str]:
    """The names of a notebook's checks, in its order."""
    from . import exercises
    found = [m.name for m in pkgutil.iter_modules(exercises.__path__) if m.name.startswith(f"e{notebook}_")]
    if not found:
        raise ValueError(f"no notebook with exercises is called {notebook!r}; they are 01 to 09")
    module = importlib.import_module(f"{exercises.__name__}.{found[0]}")
    return [name for name, check in vars(module).items() if name.startswith("check_") and hasattr(check, "__wrapped__")]


def _file() -> pathlib.Path | None:
    """The file of past days, or None where nothing is to be kept."""
    if not attended():
        return None
    name = os.environ.get("BVAE_PROGRESS", "progress.json")
    return pathlib.Path(name) if name else None


def _days() -> dict[str, str]:
    """Check name -> the day on which it first passed; empty if there is no file, or none that can be read."""
    path = _file()
    try:
        return {} if path is None else {str(k): str(v) for k, v in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _write(path: pathlib.Path, days: dict[str, str]) -> None:
    """Write the file whole; where the folder cannot be written to, the notebook remembers nothing."""
    with contextlib.suppress(OSError):
        write_whole(path, lambda file: file.write(json.dumps(days, indent=1).encode()))
