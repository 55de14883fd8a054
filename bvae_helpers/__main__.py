"""Command line: python -m bvae_helpers train | evaluate | traverse | sweep | tradeoff."""

import argparse
import pathlib
from dataclasses import MISSING, fields

import torch

from . import checkpoints, latents, metrics
from .config import Config, is_optional, kind_of
from .data import as_images, load_data, render, split, to_batch
from .model import BetaVAE, count_parameters, default_device
from .training import fit, parallel
from .training import results as table
from .training.objective import Objective, in_batches
from .training.sweep import ENGINES, sweep

PRESETS = {"classic": Config, "sprites": Config.sprites, "falling": Config.falling, "faces": Config.faces}

TRAIN = """Train a beta-VAE.

Settings come from --preset or --config; single flags win over both.

  python -m bvae_helpers train --preset falling
  python -m bvae_helpers train --preset sprites --num-images 20000 --epochs 3
  python -m bvae_helpers train --data-path ./CelebA/img_align_celeba --beta 4
  python -m bvae_helpers train --config run.toml --device cuda

The same command goes on with a run that was stopped. Watch it: tensorboard --logdir runs"""
EVALUATE = """Print the parts of a model's loss and, where the causes of the images are known, its MIG.

The images: fresh draws where the causes are known, else those the run kept for validation.

  python -m bvae_helpers evaluate btcvae
  python -m bvae_helpers evaluate btcvae --scores --images 15000
  python -m bvae_helpers evaluate checkpoints/best_model.pt"""
TRAVERSE = """Draw what each latent does, into a PNG: originals, reconstructions, one row a latent.

  python -m bvae_helpers traverse btcvae --out traversal.png"""

SWEEP = """Train a run for every combination of settings, each once, into a table of results.

A setting may have several values: 1,2,4 or, for whole numbers, 0:5, which is 0 to 4. The same command goes on
with a sweep that was stopped.

  python -m bvae_helpers sweep --preset sprites --num-images 20000 --epochs 3 --beta 1,2,4,8,16 --seed 0:5
  python -m bvae_helpers sweep --preset sprites --beta 1,4,16 --seed 0:50 --engine ray --address auto --gpus 0.25"""
TRADEOFF = """Draw rate, distortion and MIG against beta, from the table of a sweep, into a PNG.

  python -m bvae_helpers tradeoff sweep.csv --out tradeoff.png"""


def device_of(text):
    """A device that torch can use here."""
    try:
        device = torch.device(text)
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"no such device: {text!r}") from None
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise argparse.ArgumentTypeError(f"no {text!r} here: torch {torch.__version__} sees {count} CUDA devices; leave it out")
    return text


def make_parser():
    parser = Parser(prog="python -m bvae_helpers", description="Train a beta-VAE, measure it, and draw what its latents do.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="train | evaluate | traverse | sweep | tradeoff")

    def command(name, text, run, usage):
        made = commands.add_parser(name, description=text, help=text.split("\n\n")[0].rstrip("."), usage=f"%(prog)s {usage}",
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
        made.set_defaults(run=run)
        made.add_argument("--device", type=device_of, help="cpu, cuda or cuda:N (default: CUDA if there is one)")
        made.add_argument("--traceback", action="store_true", help="show where in the code an error came from")
        return made

    train = command("train", TRAIN, run_train, "[--preset NAME | --config FILE] [settings]")
    train.add_argument("--no-resume", action="store_true",
                       help="train anew; older checkpoints are moved to SAVE_DIR/previous-N")
    add_settings(train)

    made = command("sweep", SWEEP, run_sweep, "[--preset NAME | --config FILE] [settings] [options]")
    made.add_argument("--table", default="sweep.csv", metavar="FILE", help="the table of results (default %(default)s)")
    made.add_argument("--engine", choices=ENGINES, default="process", help="here, one run after the other, or on a Ray cluster")
    made.add_argument("--address", help="ray: the cluster; auto: the one this machine is part of (default: this machine alone)")
    made.add_argument("--cpus", type=float, default=1, metavar="N", help="ray: CPUs for each run (default %(default)s)")
    made.add_argument("--gpus", type=float, default=0, metavar="N", help="ray: GPUs for each run; 0.25: four runs share one")
    made.add_argument("--retries", type=int, default=2, metavar="N", help="try a failed run so often again (default %(default)s)")
    made.add_argument("--samples", type=int, default=10_000, metavar="N", help="measure on so many images (default %(default)s)")
    add_settings(made, several=True)

    made = command("tradeoff", TRADEOFF, run_tradeoff, "TABLE [--out FILE]")
    made.add_argument("table", metavar="TABLE", help="the table of a sweep")
    made.add_argument("--out", default="tradeoff.png", metavar="FILE", help="picture to write (default %(default)s)")

    for name, text, run, count in (("evaluate", EVALUATE, run_evaluate, 10_000), ("traverse", TRAVERSE, run_traverse, 1_000)):
        made = command(name, text, run, "MODEL [options]")
        made.add_argument("model", metavar="MODEL", help="a checkpoint file, or the name of a model that ships with the "
                          f"course: {', '.join(checkpoints.pretrained_names())}")
        made.add_argument("--data-path", help="other data than the model was trained on: 'sprites', a folder of pictures, "
                          "a dSprites .npz or a 3D Shapes .h5")
        made.add_argument("--images", type=int, default=count, metavar="N", help="look at so many images (default %(default)s)")
        made.add_argument("--seed", type=int, default=100, help="of the images and the noise (default %(default)s)")
        if name == "evaluate":
            made.add_argument("--scores", action="store_true", help="all scores of disentanglement, over three seeds, beside "
                              "those of baselines (minutes)")
            made.add_argument("--no-baselines", action="store_true", help="with --scores: the model's alone, six times as fast")
        if name == "traverse":
            made.add_argument("--out", default="traversal.png", metavar="FILE", help="picture to write (default %(default)s)")
            made.add_argument("--steps", type=int, default=9, metavar="K", help="images in a row (default %(default)s)")
    return parser


# Flags: one for each setting

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
    """One flag for each field of Config: --data-path, --hidden-dims 32 64, --flip / --no-flip; and what they
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


# The commands

def run_train(args):
    config = config_of(args, given(args))
    data = load_data(config)
    torch.manual_seed(config.seed)
    model = BetaVAE.from_config(config)
    say = print if parallel.join().first else lambda *a, **k: None
    say(f"{config.network} network, {count_parameters(model):,} parameters, {config.latent_dim} latents, beta {config.beta:g}",
        flush=True)
    fit(model, data, config, resume=not args.no_resume, device=args.device)
    say("trained" if config.save_dir is None else f"trained; the best model is {config.save_dir}/best_model.pt")


def run_sweep(args):
    base, grid = grid_of(args)
    rows = sweep(config_of(args, base), grid, args.table, engine=args.engine, address=args.address, cpus=args.cpus,
                 gpus=args.gpus, retries=args.retries, samples=args.samples, device=args.device)
    print(f"{len(rows)} runs in {args.table}; draw them: python -m bvae_helpers tradeoff {args.table}")


def run_tradeoff(args):
    from . import plots

    plots.set_style()
    save_figure(plots.tradeoff(table.read(args.table)), args.out)


def save_figure(figure, path):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"wrote {path}")


def load_model(name, device):
    """A checkpoint's model, or a pretrained one, on the device."""
    device = device or default_device()
    if name in checkpoints.pretrained_names():
        return checkpoints.load_pretrained(name, device)
    if not pathlib.Path(name).is_file():
        raise FileNotFoundError(f"no checkpoint at {name!r}, and no pretrained model of that name; "
                                f"pretrained are: {', '.join(checkpoints.pretrained_names())}")
    return checkpoints.load_model(name, device)


def images_to_measure(args, config):
    """Fresh draws of data with known factors; otherwise the images that the run kept for validation,
    or all of other data -> (images, data, factors or None)."""
    if args.images < 2:
        raise ValueError(f"--images must be at least 2, got {args.images}")
    changes = {"data_path": args.data_path, "num_images": None} if args.data_path else {}
    config = config.replace(**changes)
    data = load_data(config)
    if hasattr(data, "sample_factors"):
        images, factors = render(data, args.images, args.seed)
        return images, data, factors
    images = as_images(data, config.num_images, config.seed)
    trained, held_out = split(len(images), config.val_fraction, config.seed)
    index = torch.cat([held_out, trained]) if args.data_path or len(held_out) == 0 else held_out
    return images.take(index[:args.images]), data, None


@torch.no_grad()
def loss_terms(model, images, config):
    """The terms of the objective over images, every image counting the same: name -> number or list, in nats."""
    totals, device = {}, next(model.parameters()).device
    if config.objective == "factorvae":     # its discriminator stayed with the run: the same loss, with a batch's own estimate
        config = config.replace(objective="btcvae", beta=config.beta + 1)
    objective = Objective(model, config.replace(precision="float32"), device, len(images))
    for x in in_batches(images, config.batch_size):
        for name, value in objective(to_batch(x, device), config.beta).items():
            totals[name] = totals.get(name, 0) + value.double().cpu() * len(x)
    return {name: (value / len(images)).tolist() for name, value in totals.items()}


def run_evaluate(args):
    model = load_model(args.model, args.device)
    images, data, factors = images_to_measure(args, model.config)
    torch.manual_seed(args.seed)
    terms = loss_terms(model, images, model.config)
    per_latent = terms.pop("kl_per_latent")
    print(f"{len(images):,} images, {model.config.objective}, beta {model.config.beta:g}; nats per image:")
    for name, value in terms.items():
        print(f"  {name:18s} {value:10.3f}")
    mu, logvar = latents.encode(model, images)
    print(f"KL of each latent, in nats ({int(latents.active(mu, logvar).sum())} of {model.latent_dim} above 0.1):")
    order = sorted(range(model.latent_dim), key=lambda d: -per_latent[d])
    print("  " + "  ".join(f"z{d} {per_latent[d]:.2f}" for d in order))
    if factors is not None:
        print(f"MIG {metrics.mig(mu, factors):.3f}")
    if args.scores:
        if factors is None:
            raise ValueError("--scores compares latents with the causes of the images, and these are not known here")
        train = 2 * args.images // 3
        metrics.evaluate(model, data, tuple(args.seed + k for k in range(3)), train, args.images - train,
                         against=() if args.no_baselines else metrics.BASELINES)


def run_traverse(args):
    from . import plots  # matplotlib: only where a picture is drawn

    if args.steps < 2:
        raise ValueError(f"--steps must be at least 2, got {args.steps}")
    model = load_model(args.model, args.device)
    images, data, factors = images_to_measure(args, model.config)
    plots.set_style()
    figure = plots.signature(model, images, factors, getattr(data, "factor_names", ()), args.steps)
    save_figure(figure, args.out)


def main(arguments=None):
    parser = make_parser()
    args = parser.parse_args(arguments)
    try:
        args.run(args)
    except KeyboardInterrupt as stopped:
        parser.exit(130, f"{stopped or 'stopped'}\n")
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, RuntimeError) as error:
        if args.traceback:
            raise
        message = (str(error) or type(error).__name__).splitlines()[0]
        parser.exit(2, f"{parser.prog} {args.command}: error: {message}\n")


if __name__ == "__main__":
    main()
