"""Command line: python -m bvae_helpers train | evaluate | traverse | export | sweep | tradeoff.

One flag for each setting of ``Config``. Each command imports what it needs, so that ``--help`` answers quickly.
"""

import argparse
import pathlib
import re
import sys
from dataclasses import MISSING, fields

from .config import Config, is_optional, kind_of

PRESETS = {"classic": Config, "sprites": Config.sprites, "falling": Config.falling, "faces": Config.faces}
FIGURES = (".png", ".pdf", ".svg", ".jpg")
MOST_LINES = 20     # of an error's message
MOST_VALUES = 100_000       # of a range
EXPECTED = (ValueError, TypeError, OSError, ImportError, ArithmeticError, RuntimeError)  # their messages are sentences

TRAIN = """Train a beta-VAE.

Settings come from --preset or --config; a flag of its own wins over both.

  python -m bvae_helpers train --preset falling
  python -m bvae_helpers train --preset sprites --num-images 20000 --epochs 3
  python -m bvae_helpers train --data-path ./CelebA/img_align_celeba --beta 4
  python -m bvae_helpers train --config run.toml --device cuda

To resume a run that was stopped, repeat the command. To watch it: tensorboard --logdir runs"""
EVALUATE = """Print the terms of a model's loss and, where the factors of the images are known, its MIG.

Measured on new draws where the factors are known, otherwise on the run's validation images.

  python -m bvae_helpers evaluate btcvae
  python -m bvae_helpers evaluate btcvae --scores --images 15000
  python -m bvae_helpers evaluate checkpoints/best_model.pt"""
TRAVERSE = """Draw what each latent changes, as a PNG: originals, reconstructions, one row per latent.

  python -m bvae_helpers traverse btcvae --out traversal.png"""
EXPORT = """Write a model's sliders as one HTML file that works without Python and without a network.

Several models stand side by side in it. --onnx writes ONNX files for other tools, too.

  python -m bvae_helpers export btcvae --out btcvae.html
  python -m bvae_helpers export vae checkpoints/best_model.pt --out two.html"""
SWEEP = """Train one run for every combination of settings and write a table of results.

A setting may have several values: 1,2,4 or, for whole numbers, 0:5, which means 0 to 4. To resume a sweep that
was stopped, repeat the command.

  python -m bvae_helpers sweep --preset sprites --num-images 20000 --epochs 3 --beta 1,2,4,8,16 --seed 0:5
  python -m bvae_helpers sweep --preset sprites --beta 1,4,16 --seed 0:50 --engine ray --address auto --gpus 0.25"""
TRADEOFF = """Draw rate, distortion and MIG against beta from the table of a sweep, as a PNG.

  python -m bvae_helpers tradeoff sweep.csv --out tradeoff.png"""


# The parser

class Parser(argparse.ArgumentParser):
    """argparse, with errors in one line."""

    def error(self, message):
        self.exit(2, plain(f"{self.prog}: error: {message} (see --help)\n"))


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; parsed arguments carry the command's function as ``run``."""
    parser = Parser(prog="python -m bvae_helpers",
                    description="Train a beta-VAE, measure it, and draw what its latents do.")
    commands = parser.add_subparsers(dest="command", required=True,
                                     metavar="train | evaluate | traverse | export | sweep | tradeoff")

    train = _add_command(commands, "train", TRAIN, run_train, "[--preset NAME | --config FILE] [settings]")
    train.add_argument("--no-resume", action="store_true",
                       help="start a new run; older checkpoints are moved to SAVE_DIR/previous-N")
    add_settings(train)

    evaluate = _add_command(commands, "evaluate", EVALUATE, run_evaluate, "MODEL [options]")
    _add_model(evaluate, images=10_000)
    evaluate.add_argument("--scores", action="store_true",
                          help="also compute every disentanglement score, over three seeds, for the model and for "
                               "baselines (minutes)")
    evaluate.add_argument("--no-baselines", action="store_true",
                          help="with --scores: the model only, six times as fast")

    traverse = _add_command(commands, "traverse", TRAVERSE, run_traverse, "MODEL [options]")
    _add_model(traverse, images=1_000)
    traverse.add_argument("--out", default="traversal.png", metavar="FILE", type=figure_file,
                          help="picture to write (default %(default)s)")
    traverse.add_argument("--steps", type=int, default=9, metavar="K", help="images in a row (default %(default)s)")

    export = _add_command(commands, "export", EXPORT, run_export, "MODEL [MODEL ...] [options]")
    export.add_argument("models", nargs="+", metavar="MODEL",
                        help="checkpoint files or names, as in evaluate; the images are those of the first model's "
                             "data")
    _add_images(export, images=1_000)
    export.add_argument("--out", default="latents.html", metavar="FILE", help="page to write (default %(default)s)")
    export.add_argument("--onnx", action="store_true",
                        help="write MODEL-encoder.onnx and MODEL-decoder.onnx beside it, too")

    sweep = _add_command(commands, "sweep", SWEEP, run_sweep, "[--preset NAME | --config FILE] [settings] [options]")
    sweep.add_argument("--table", default="sweep.csv", metavar="FILE", help="table of results (default %(default)s)")
    sweep.add_argument("--engine", default="process", metavar="NAME",
                       help="process: one run after the other, here; ray: on a Ray cluster (default %(default)s)")
    sweep.add_argument("--address", help="ray: address of the cluster; auto: the cluster of this machine "
                                         "(default: this machine alone)")
    sweep.add_argument("--cpus", type=float, default=1, metavar="N",
                       help="ray: CPUs for each run (default %(default)s)")
    sweep.add_argument("--gpus", type=float, default=0, metavar="N",
                       help="ray: GPUs for each run; 0.25: four runs share one")
    sweep.add_argument("--retries", type=int, default=2, metavar="N",
                       help="attempts after a failed one (default %(default)s)")
    sweep.add_argument("--samples", type=int, default=10_000, metavar="N",
                       help="images to measure with (default %(default)s)")
    sweep.add_argument("--no-train", action="store_true", help="only measure the runs that are finished")
    sweep.add_argument("--no-dci", action="store_true", help="leave out DCI, the slowest score")
    add_settings(sweep, several=True)

    tradeoff = _add_command(commands, "tradeoff", TRADEOFF, run_tradeoff, "TABLE [--out FILE]")
    tradeoff.add_argument("table", metavar="TABLE", help="the table of a sweep")
    tradeoff.add_argument("--out", default="tradeoff.png", metavar="FILE", type=figure_file,
                          help="picture to write (default %(default)s)")
    return parser


def _add_command(commands, name, text, run, usage):
    """A sub-command, with the options that all have."""
    command = commands.add_parser(name, description=text, help=text.split("\n\n")[0].rstrip("."),
                                  usage=f"%(prog)s {usage}", formatter_class=argparse.RawDescriptionHelpFormatter)
    command.set_defaults(run=run)
    command.add_argument("--device", type=device_of, help="cpu, cuda or cuda:N (default: CUDA if available)")
    command.add_argument("--traceback", action="store_true", help="show where in the code an error came from")
    return command


def _add_model(command, images):
    """The options that name a model and the images to try it on."""
    command.add_argument("model", metavar="MODEL", help="a checkpoint file, or the name of a model that ships with the "
                                                        "course, such as btcvae (a wrong name lists all)")
    _add_images(command, images)


def _add_images(command, images):
    """The options that choose the images to try a model on."""
    command.add_argument("--data-path", help="other data than the model was trained on: 'sprites', 'faces', a folder "
                                             "of pictures, a dSprites .npz or a 3D Shapes .h5")
    command.add_argument("--images", type=int, default=images, metavar="N",
                         help="images to look at (default %(default)s)")
    command.add_argument("--seed", type=int, default=100, help="seed of the images and the noise (default %(default)s)")


def add_settings(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Add --preset, --config and one flag for each setting (--hidden-dims 32 64, --flip / --no-flip).

    ``several``: settings that are numbers or choices take lists such as 1,2,4.
    """
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--preset", choices=PRESETS, default="classic",
                        help="classic: colour photographs, 128 latents; sprites: dSprites, 10 latents, no file needed; "
                             "falling: sprites whose factors separate within minutes on a CPU; "
                             "faces: drawn faces in colour, 16 latents, no file needed (default %(default)s)")
    source.add_argument("--config", metavar="FILE", help="a .json or .toml file of settings")
    group = parser.add_argument_group("settings (defaults: those of the classic preset)")
    for f in fields(Config):
        flag = "--" + f.name.replace("_", "-")
        options = {"dest": f.name, "default": argparse.SUPPRESS, "help": _flag_help(f)}
        if kind_of(f) is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
            continue
        if kind_of(f) == list[int]:
            options["nargs"] = "+"
        reader = values_reader(f) if several and takes_several(f) else value_reader(f)
        group.add_argument(flag, type=reader, metavar=f.name.upper().split("_")[-1], **options)


def _flag_help(f):
    """The meaning of a setting, its range and its default."""
    low, high, choices = (f.metadata[k] for k in ("low", "high", "choices"))
    notes = []
    if high is not None:
        notes.append(f"{'-inf' if low is None else f'{low:g}'} to {high:g}")
    elif low is not None:
        notes.append(f"at least {low:g}")
    if choices:
        notes.append(" or ".join(choices))
    default = f.default_factory() if f.default is MISSING else f.default
    if default is None:
        default = "none"
    elif isinstance(default, list):
        default = " ".join(map(str, default))
    notes.append(f"default {default}")
    return f"{f.metadata['help']} [{'; '.join(notes)}]".replace("%", "%%")


def device_of(text: str) -> str:
    """The name of a device, unless torch cannot use it on this machine."""
    import torch

    try:
        device = torch.device(text)
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"no such device: {text!r}") from None
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise argparse.ArgumentTypeError(f"no {text!r} here: torch {torch.__version__} sees {count} CUDA devices; "
                                         "leave it out")
    return text


def figure_file(text: str) -> str:
    """The name of a picture to write, if its suffix is that of a format for figures."""
    if pathlib.Path(text).suffix not in FIGURES:
        raise argparse.ArgumentTypeError(f"{text!r} must end in .png, .pdf, .svg or .jpg")
    return text


def value_reader(f):
    """The function from a flag's text to a value of the field ``f``; "none" is None where that is allowed."""
    kind = int if kind_of(f) == list[int] else kind_of(f)

    def read(text):
        if is_optional(f) and text.lower() == "none":
            return None
        return kind(text)

    read.__name__ = kind.__name__          # argparse names it in its errors
    return read


def takes_several(f) -> bool:
    """Whether a sweep may have several values of the field ``f``: numbers and choices."""
    return kind_of(f) in (int, float) or f.metadata["choices"] is not None


def values_reader(f):
    """The function that turns "1,2,4" or, for whole numbers, "0:5" into a list of values of the field ``f``."""
    read_one = value_reader(f)

    def read(text):
        if kind_of(f) is int and ":" in text:
            return read_range(text)
        return [read_one(part) for part in text.split(",")]

    read.__name__ = f"{read_one.__name__} or list"
    return read


def read_range(text: str) -> list[int]:
    """The whole numbers of "start:stop", stop excluded, as in Python."""
    found = re.fullmatch(r"(-?\d+):(-?\d+)", text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of whole numbers, such as 0:5, which means 0 to 4")
    start, stop = map(int, found.groups())
    if stop <= start:
        raise argparse.ArgumentTypeError(f"the range {text!r} is empty: the second number must be the larger one")
    if stop - start > MOST_VALUES:
        raise argparse.ArgumentTypeError(f"the range {text!r} has more than {MOST_VALUES:,} numbers")
    return list(range(start, stop))


# From arguments to settings

def given(args) -> dict:
    """The settings on the command line."""
    return {f.name: getattr(args, f.name) for f in fields(Config) if hasattr(args, f.name)}


def config_of(args, changes: dict) -> Config:
    """The Config of --preset or --config, with changes."""
    if args.config:
        return Config.load(args.config, **changes)
    return PRESETS[args.preset](**changes)


def grid_of(args) -> tuple[dict, dict]:
    """The settings of a sweep: those with one value (name -> value) and those with several (name -> values)."""
    several = {f.name for f in fields(Config) if takes_several(f)}
    one, grid = {}, {}
    for name, value in given(args).items():
        if name not in several:
            one[name] = value
        elif len(value) == 1:
            one[name] = value[0]
        else:
            grid[name] = value
    return one, grid


# Train and sweep

def run_train(args):
    import torch

    from .data import load_data
    from .model import BetaVAE, count_parameters
    from .training import fit, parallel

    config = config_of(args, given(args))
    data = load_data(config)
    torch.manual_seed(config.seed)
    model = BetaVAE.from_config(config)
    first = parallel.join().first            # under torchrun, one process prints
    if first:
        say(f"{config.network} network, {count_parameters(model):,} parameters, {config.latent_dim} latents, "
            f"beta {config.beta:g}")
    fit(model, data, config, resume=not args.no_resume, device=args.device)
    if first:
        say("trained" if config.save_dir is None else f"trained; the best model is {config.save_dir}/best_model.pt")


def run_sweep(args):
    from .training.sweep import sweep

    base, grid = grid_of(args)
    rows = sweep(config_of(args, base), grid, args.table, engine=args.engine, address=args.address, cpus=args.cpus,
                 gpus=args.gpus, retries=args.retries, samples=args.samples, dci=not args.no_dci,
                 train=not args.no_train, device=args.device)
    say(f"{len(rows)} runs in {args.table}; draw them: python -m bvae_helpers tradeoff {args.table}")


def run_tradeoff(args):
    from . import plots
    from .training import results

    if not pathlib.Path(args.table).expanduser().is_file():
        raise FileNotFoundError(f"no table at {args.table!r}; python -m bvae_helpers sweep makes one")
    plots.set_style()
    save_figure(plots.tradeoff(results.read(args.table)), args.out)


# Evaluate, traverse and export

def load_model(name: str, device: str | None):
    """The model of a checkpoint file, or a pretrained one, on the device."""
    from . import checkpoints
    from .model import default_device

    device = device or default_device()
    pretrained = checkpoints.pretrained_names() + checkpoints.pretrained_names(sweep=True)
    if name in pretrained:
        return checkpoints.load_pretrained(name, device)
    if not pathlib.Path(name).expanduser().is_file():
        raise FileNotFoundError(f"no checkpoint at {name!r}, and no pretrained model of that name; "
                                f"pretrained are: {', '.join(pretrained)}")
    return checkpoints.load_model(name, device)


def images_to_measure(args, model):
    """Images to try a model on -> (images, data, factors or None).

    New draws of data with known factors; otherwise the images that the run kept for validation, or, of other data
    (--data-path), all. Raises ValueError if the data are not those of the run, or not of the model's shape.
    """
    import torch

    from .data import FactorData, as_images, load_data, render, split

    if args.images < 2:
        raise ValueError(f"--images must be at least 2, got {args.images}")
    config = model.config
    if args.data_path:
        config = config.replace(data_path=args.data_path, num_images=None)
    try:
        data = load_data(config)
    except (FileNotFoundError, NotADirectoryError) as error:
        if args.data_path:
            raise
        raise FileNotFoundError(f"{error}. If the images of this run were no file, or have moved: --data-path names "
                                "those to measure on") from error
    if isinstance(data, FactorData):
        images, factors = render(data, args.images, args.seed)
        check_shape(images.shape[1:], model, config)
        return images, data, factors
    images = as_images(data, config.num_images, config.seed)
    check_shape(images.shape, model, config)
    if not args.data_path and model.trained_on not in (None, images.fingerprint()):
        raise ValueError(f"this run was trained on other images ({model.trained_on}) than those in "
                         f"{config.data_path!r} now ({images.fingerprint()}): --data-path names those to measure on")
    trained, held_out = split(len(images), config.val_fraction, config.seed)
    index = held_out
    if args.data_path or len(held_out) == 0:
        index = torch.cat([held_out, trained])
    return images.take(index[:args.images]), data, None


def check_shape(shape, model, config: Config) -> None:
    """Raise ValueError if images of this shape are not what the model takes."""
    wanted = (model.in_channels, model.img_size, model.img_size)
    if tuple(shape) != wanted:
        raise ValueError(f"the model takes images of shape {wanted}, those of {config.data_path!r} have "
                         f"{tuple(shape)}: name others with --data-path")


def loss_terms(model, images, config: Config) -> dict:
    """The terms of the objective, averaged over images: name -> number, or a list of one number per latent; in nats.

    The discriminator of FactorVAE is not part of a model, so its total correlation is estimated from each batch.
    """
    import torch
    from tqdm.auto import tqdm

    from .data import to_batch
    from .training.objective import Objective, in_batches

    if config.objective == "factorvae":
        config = config.replace(objective="btcvae", beta=config.beta + 1)
    totals, device = {}, next(model.parameters()).device
    objective = Objective(model, config.replace(precision="float32"), device, len(images))
    with torch.no_grad(), tqdm(total=len(images), desc="loss", unit=" images", leave=False, disable=None) as bar:
        for x in in_batches(images, config.batch_size):
            for name, value in objective(to_batch(x, device), config.beta).items():
                totals[name] = totals.get(name, 0) + value.cpu().double() * len(x)
            bar.update(len(x))
    return {name: (value / len(images)).tolist() for name, value in totals.items()}


def run_evaluate(args):
    import torch

    from . import latents, metrics

    model = load_model(args.model, args.device)
    config = model.config
    images, data, factors = images_to_measure(args, model)
    if args.scores and factors is None:
        raise ValueError("--scores compares latents with the factors of the images, and those of these images are not "
                         "known")
    torch.manual_seed(args.seed)
    terms = loss_terms(model, images, config)
    per_latent = terms.pop("kl_per_latent")
    say(f"{len(images):,} images, {config.objective}, beta {config.beta:g}; nats per image:")
    for name, value in terms.items():
        say(f"  {name:18s} {value:10.3f}")
    mu, logvar = latents.encode(model, images)
    active = int(latents.active(mu, logvar).sum())
    say(f"KL of each latent, in nats ({active} of {model.latent_dim} active, above 0.1):")
    order = sorted(range(model.latent_dim), key=lambda d: -per_latent[d])
    say("  " + "  ".join(f"z{d} {per_latent[d]:.2f}" for d in order))
    if factors is not None:
        say(f"MIG {metrics.mig(mu, factors[:, metrics.varying(factors)]):.3f}")
    if args.scores:
        say("all scores, over three seeds:")
        train = 2 * args.images // 3
        baselines = () if args.no_baselines else metrics.BASELINES
        metrics.evaluate(model, data, tuple(args.seed + k for k in range(3)), train, args.images - train,
                         against=baselines)


def run_traverse(args):
    from . import plots

    if args.steps < 2:
        raise ValueError(f"--steps must be at least 2, got {args.steps}")
    model = load_model(args.model, args.device)
    images, data, factors = images_to_measure(args, model)
    plots.set_style()
    save_figure(plots.signature(model, images, factors, getattr(data, "factor_names", ()), args.steps), args.out)


def run_export(args):
    from .explorer import export, export_onnx

    models = {name: load_model(name, args.device) for name in args.models}
    images, data, factors = images_to_measure(args, models[args.models[0]])
    say(f"wrote {export(models, images, data, factors, args.out)}")
    if args.onnx:
        for name, model in models.items():
            files = export_onnx(model, images, pathlib.Path(args.out).with_name(pathlib.Path(name).stem))
            say("wrote " + " and ".join(map(str, files)))


# Output

def save_figure(figure, path: str) -> None:
    """Write a figure in the format of the path's suffix; if that fails, an older file stays as it was."""
    from .data.files import write_whole

    kind = pathlib.Path(path).suffix.removeprefix(".")
    write_whole(path, lambda file: figure.savefig(file, format=kind, dpi=150))
    say(f"wrote {path}")


def say(text: str) -> None:
    """Print text at once; names from files and folders are part of it, so it is made plain."""
    print(plain(text), flush=True)


def plain(text: str) -> str:
    """Text without control characters but line breaks: a name of a file or factor cannot steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else " " if c == "\t" else f"\\x{ord(c):02x}" for c in text)


def message_of(error: Exception) -> str:
    """An error's message: all its lines, up to MOST_LINES.

    An error without a message of its own is named by its type.
    """
    lines = str(error).strip().splitlines()
    if not lines or not isinstance(error, EXPECTED):
        lines = [f"{type(error).__name__}: {error} (--traceback shows where)"]
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"... and {len(lines) - MOST_LINES} more lines (--traceback shows all)"]
    return plain("\n".join(lines))


def how_to_resume(args) -> str:
    """A line for whoever stopped a command: what to do if its work is kept, else nothing."""
    kept = args.command == "sweep" or (args.command == "train" and getattr(args, "save_dir", "") is not None)
    return "to resume, repeat the command\n" if kept else ""


def main(arguments: list[str] | None = None) -> None:
    """Run a command; an error ends in its message and exit code 2, Ctrl-C in exit code 130."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")       # a terminal that only knows ASCII shows "?" for the rest
    parser = make_parser()
    args = parser.parse_args(arguments)
    try:
        args.run(args)
    except KeyboardInterrupt as stopped:
        parser.exit(130, f"{plain(str(stopped)) or 'stopped'}\n{how_to_resume(args)}")
    except Exception as error:
        if args.traceback:
            raise
        parser.exit(2, f"{parser.prog} {args.command}: error: {message_of(error)}\n")


if __name__ == "__main__":
    main()
