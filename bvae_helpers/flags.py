"""The flags of the command line: one for each setting, and what they change."""

import argparse
from dataclasses import MISSING, fields

from .config import Config, is_optional, kind_of

PRESETS = {"classic": Config, "sprites": Config.sprites, "falling": Config.falling, "faces": Config.faces}


class Parser(argparse.ArgumentParser):
    """argparse, with errors in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def value_reader(f):
    """The function that turns a flag's text into a value of the field ``f``; "none" is None where it may be."""
    kind = int if kind_of(f) == list[int] else kind_of(f)

    def read(text):
        return None if is_optional(f) and text.lower() == "none" else kind(text)

    read.__name__ = kind.__name__          # argparse names it in its errors
    return read


def takes_several(f):
    """Whether a sweep may have several values of the field ``f``: numbers and choices."""
    return kind_of(f) in (int, float) or f.metadata["choices"] is not None


def values_reader(f):
    """The function that turns "1,2,4", or "0:5" for whole numbers, into a list of values of the field ``f``."""
    def read(text):
        if kind_of(f) is int and ":" in text:
            return list(range(*map(int, text.split(":")))) or [int(text)]      # an empty range is an error
        return [value_reader(f)(part) for part in text.split(",")]

    read.__name__ = f"{kind_of(f).__name__} or list"
    return read


def flag_help(f):
    """What a setting means, its range and its default."""
    low, high, choices = (f.metadata[k] for k in ("low", "high", "choices"))
    default = f.default_factory() if f.default is MISSING else f.default
    notes = [f"{'-inf' if low is None else f'{low:g}'} to {high:g}"] if high is not None else []
    notes += [f"at least {low:g}"] if high is None and low is not None else []
    notes += [" or ".join(choices)] if choices else []
    shown = " ".join(map(str, default)) if isinstance(default, list) else "none" if default is None else default
    notes += [f"default {shown}"]
    return f"{f.metadata['help']} [{'; '.join(notes)}]".replace("%", "%%")


def add_settings(parser, several=False):
    """One flag for each field of Config: --data-path, --hidden-dims 32 64, --compile / --no-compile; and what they
    change. ``several``: numbers and choices are lists of values."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--preset", choices=PRESETS, default="classic",
                        help="classic: colour photographs, 128 latents; sprites: dSprites, 10 latents, no file needed; "
                             "falling: sprites whose causes separate within minutes on a CPU; "
                             "faces: drawn faces in colour, 16 latents, no file needed")
    source.add_argument("--config", metavar="FILE", help="a .json or .toml file of settings")
    group = parser.add_argument_group("settings (defaults: the classic ones)")
    for f in fields(Config):
        flag = "--" + f.name.replace("_", "-")
        options = {"dest": f.name, "default": argparse.SUPPRESS, "help": flag_help(f)}
        if kind_of(f) is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
        else:
            many = {"nargs": "+"} if kind_of(f) == list[int] else {}
            reader = values_reader(f) if several and takes_several(f) else value_reader(f)
            group.add_argument(flag, type=reader, metavar=f.name.upper().split("_")[-1], **many, **options)


def given(args):
    """The settings on the command line."""
    return {f.name: getattr(args, f.name) for f in fields(Config) if hasattr(args, f.name)}


def config_of(args, changes):
    """The Config of --preset or --config, with changes."""
    if args.config:
        return Config.load(args.config, **changes)
    return PRESETS[args.preset](**changes)


def grid_of(args):
    """What a sweep starts from and varies: (the settings with one value, those with several -> their values)."""
    several = {f.name for f in fields(Config) if takes_several(f)}
    grid = {name: values for name, values in given(args).items() if name in several and len(values) > 1}
    one = {name: value[0] if name in several else value for name, value in given(args).items() if name not in grid}
    return one, grid
