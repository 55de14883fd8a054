"""How well a recipe disentangles, and how soon; and the models of the zoo beside the published weights.

    python benchmarks/quality.py btcvae --minutes 10 --threads 2 --seed 0 1 2
    python benchmarks/quality.py beta4 --steps 5000 --set beta=6 lr=2e-3 batch_size=256
    python benchmarks/quality.py --compare [vae btcvae ...]
    python benchmarks/quality.py --draw docs/how_soon.png

A recipe of tools/pretrain.py is trained within the budget: fewer passes over as many of its images, its
schedules shortened to fit; one that starts from another run's weights takes those of its full training, which is not
counted. Minutes count training alone, not the scoring in between. The results are kept
in checkpoints/quality/ as JSON, and --draw draws them; the same command resumes a stopped run.
"""

import argparse
import json
import math
import pathlib
import platform
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from pretrain import EVALUATION_SEEDS, LABELS, PROTOCOL, RECIPES, SAMPLES, SELECTION_SEEDS, begin, scores  # noqa: E402

from bvae_helpers import checkpoints, latents, metrics  # noqa: E402
from bvae_helpers.config import Config  # noqa: E402
from bvae_helpers.data import as_images, load_data, render, to_batch  # noqa: E402
from bvae_helpers.losses import beta_at  # noqa: E402
from bvae_helpers.model import BetaVAE  # noqa: E402
from bvae_helpers.plots import COLOURS, set_style  # noqa: E402
from bvae_helpers.training import fit, train_step  # noqa: E402
from bvae_helpers.training import system as machine  # noqa: E402
from bvae_helpers.training.run import Run  # noqa: E402

# The best published dSprites weights we know, by PROTOCOL: 10 latents, a network like that of `vae`.
COLUMNS = ("kl", "mig", "sap", "modularity", "dci_disentanglement", "dci_completeness", "factor_vae")
TITLES = ("KL", "MIG", "SAP", "modularity", "DCI-D", "DCI-C", "FactorVAE")
PUBLISHED = {"vae": (25.09, .101, .055, .834, .102, .089), "beta4": (15.27, .153, .067, .801, .204, .173),
             "annealed": (25.02, .286, .019, .831, .264, .312), "factorvae": (21.86, .178, .057, .794, .163, .162),
             "btcvae": (13.51, .137, .039, .841, .263, .265)}
SAME = {"vae_falling": "vae", "falling": "btcvae", "woken": "btcvae"}      # has the objective of that row
GOAL = 0.30             # the MIG whose time is asked for
CURVE_SEED = 99         # of the images for the curve; the final scores have others


# Training within a budget

def within(config, steps):
    """The config with at most ``steps`` steps: fewer epochs of as many images, schedules shortened alike."""
    kept = 1 - config.val_fraction
    per_epoch = config.num_images * kept / config.batch_size
    epochs = math.ceil(steps / per_epoch)
    share = min(1.0, steps / (per_epoch * config.epochs))
    images = min(config.num_images, math.ceil(steps / epochs * config.batch_size / kept))
    return config.replace(epochs=epochs, num_images=images, schedule_steps=round(config.schedule_steps * share),
                          capacity_steps=max(1, round(config.capacity_steps * share)))


def steps_per_minute(config, steps=30):
    """The rate of training on this machine now, from ``steps`` steps of a model that is thrown away."""
    machine.keep_memory()
    images = as_images(load_data(config), 4 * config.batch_size, config.seed)
    run = Run(BetaVAE.from_config(config), images, config)
    x = to_batch(images.take(torch.arange(config.batch_size)), run.device)
    for step in range(-5, steps):
        if step == 0:
            start = time.perf_counter()
        train_step(run, x, beta_at(0, config))
    return 60 * steps / (time.perf_counter() - start)


def point(model, state, pictures, factors):
    """One point of the curve: a row of numbers, which is printed, too."""
    mu, logvar = latents.encode(model, pictures)
    row = {"steps": state["step"], "minutes": state["seconds"] / 60, "mig": metrics.mig(mu, factors),
           "kl": float(latents.kl_per_latent(mu, logvar).sum()), "active": int(latents.active(mu, logvar).sum())}
    print(f"  {row['steps']:7,} steps  {row['minutes']:6.1f} min   MIG {row['mig']:.3f}   KL {row['kl']:5.2f} "
          f"in {row['active']} latents", flush=True)
    return row


def curve(model, config, points):
    """Train, scoring some ``points`` times -> the curve, a list of rows."""
    data = load_data(config)
    images, scored = as_images(data, config.num_images, config.seed), render(data, SAMPLES, CURVE_SEED)
    last = checkpoints.folder(config.save_dir) / "last.pt"
    kept = last.with_name("curve.json")
    rows, done = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else [], False
    every = math.ceil(Run(model, images, config).total_steps / points)
    while not done:
        before = checkpoints.load(last)["step"] if last.is_file() else 0
        done = fit(model, images, config, progress=False, stop_after=every - before % every).complete
        state = checkpoints.load(last)
        rows = [row for row in rows if row["steps"] < state["step"]] + [point(model, state, *scored)]
        kept.write_text(json.dumps(rows) + "\n", encoding="utf-8")
    return rows


# Tables

def table(model, name, config, seeds):
    """Print a model's scores for each evaluation seed, mean, range, and the published row -> the rows."""
    rows = [scores(model, config, seed)[0] for seed in seeds]
    print(f"\n{name:14s}" + "".join(f"{title:>12s}" for title in TITLES))
    lines = {f"seed {seed}": [row[c] for c in COLUMNS] for seed, row in zip(seeds, rows)}
    values = np.array(list(lines.values()))
    lines |= {"mean": values.mean(0), "range": np.ptp(values, axis=0)}
    row = PUBLISHED.get(SAME.get(name, name))
    lines |= {"published": row} if row else {}
    for label, line in lines.items():
        print(f"  {label:12s}"
              + "".join(f"{value:12.2f}" if c == "kl" else f"{value:12.3f}" for c, value in zip(COLUMNS, line)))
    return rows


def compare(names):
    """One table for each model of the zoo, then all beside the published weights."""
    print(PROTOCOL)
    mean = {}
    for name in names:
        model = checkpoints.load_pretrained(name)
        rows = table(model, name, model.config, EVALUATION_SEEDS)
        mean[name] = [np.mean([row[c] for row in rows]) for c in COLUMNS]
    print("\n| model | " + " | ".join(TITLES) + " |\n|" + "---|" * (1 + len(TITLES)))
    for name in names:
        other = PUBLISHED.get(SAME.get(name, name), ()) + (None,) * len(COLUMNS)
        cells = [f"{ours:.2f}" if c == "kl" else f"{ours:.3f}" for c, ours in zip(COLUMNS, mean[name])]
        cells = [cell if theirs is None else f"{cell} ({theirs:.2f})" if c == "kl" else f"{cell} ({theirs:.3f})"
                 for c, cell, theirs in zip(COLUMNS, cells, other)]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("In brackets: the published weights of the same objective.")


def draw(folder, path):
    """MIG against minutes of training: a line for each result in ``folder``, a colour for each recipe."""
    found = {}
    for file in sorted(folder.glob("*/result.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        label = " ".join([result["name"], *(f"{name}={value}" for name, value in result["changes"].items())])
        found.setdefault(label, []).append([(0, 0), *((row["minutes"], row["mig"]) for row in result["curve"])])
    set_style()
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    for colour, (label, curves) in zip(COLOURS, found.items()):
        for line in curves:
            ax.plot(*zip(*line), "o-", color=colour, markersize=3, label=label if line is curves[0] else None)
    ax.axhline(GOAL, color="black", linestyle="--", linewidth=1)
    ax.set(xlabel="minutes of training", ylabel="MIG", ylim=(0, None))
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=100)


def trained(args, seed):
    """Train the recipe with a training seed, print and keep what it scores -> the result."""
    changes = dict(read_setting(text) for text in args.set)
    config = RECIPES[args.name].replace(**changes, seed=seed, log_dir=None)
    budget = f"{args.minutes:g}min" if args.minutes else f"{args.steps}steps"
    folder = args.folder / "-".join([args.name, *sorted(args.set), budget, f"seed{seed}"])
    if (folder / "last.pt").is_file():
        config = Config(**checkpoints.load(folder / "last.pt")["config"])  # the budget in steps that it began with
    else:
        steps = args.steps or max(1, round(args.minutes * steps_per_minute(config)))
        config = within(config, steps).replace(save_dir=str(folder))
    print(f"\n{args.name}, training seed {seed}: {config.epochs} epochs of {config.num_images:,} sprites, "
          f"batch {config.batch_size}, {torch.get_num_threads()} threads, torch {torch.__version__}", flush=True)
    model = begin(args.name, config)
    rows = curve(model, config, args.points)
    reached = next((row["minutes"] for row in rows if row["mig"] >= GOAL), None)
    print(f"  MIG {GOAL:.2f}: " + ("not reached" if reached is None else f"after {reached:.1f} minutes"))
    result = {"name": args.name, "changes": changes, "machine": platform.machine(), "threads": torch.get_num_threads(),
              "config": config.to_dict(), "curve": rows, "minutes_to_goal": reached, "protocol": PROTOCOL,
              "scores": table(model, args.name, config, SELECTION_SEEDS)}
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def read_setting(text):
    """``lr=1e-3`` -> ("lr", 0.001); what is not JSON is a string."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=[name for name in RECIPES if name not in LABELS],
                        help="recipe to train")
    parser.add_argument("--compare", nargs="*", metavar="MODEL",
                        help="score models of the zoo (default: all that are there)")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help="of training, on this machine")
    budget.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="training seeds, one run each")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE",
                        help="settings that differ from the recipe")
    parser.add_argument("--draw", type=pathlib.Path, metavar="PNG", help="draw the curves of all results in --folder")
    parser.add_argument("--points", type=int, default=20, help="how often to score on the way")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "checkpoints" / "quality")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.draw:
        draw(args.folder, args.draw)
    elif args.compare is not None:
        compare(args.compare or [name for name in checkpoints.pretrained_names()
                                 if checkpoints.load_pretrained(name).config.data_path == "sprites"])
    elif not args.name or not (args.minutes or args.steps):
        parser.error("name a recipe and a budget (--minutes or --steps), or --compare models of the zoo, or --draw the "
                     "results")
    else:
        results = [trained(args, seed) for seed in args.seed]
        final = [np.mean([row["mig"] for row in result["scores"]]) for result in results]
        print(f"\nMIG over {len(final)} training seeds: mean {np.mean(final):.3f}, from {min(final):.3f} to "
              f"{max(final):.3f}")


if __name__ == "__main__":
    main()
