"""Make the models in bvae_helpers/pretrained/, each with its card.

    python tools/pretrain.py btcvae --threads 1      # the shipped seed; stopped at any time, the command resumes it
    python tools/pretrain.py --rescore vae btcvae    # do not train: score the published weights again
    python tools/pretrain.py --sweep checkpoints     # do not train: publish the median seed of each beta of a sweep

Weights are stored in float16, and scored as stored. Each model is trained with several seeds if time allows, and chosen
by its scores over ``SELECTION_SEEDS``; the card's scores are over ``EVALUATION_SEEDS``, which had no part in that
choice.
"""

import argparse
import json
import pathlib
import platform
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from bvae_helpers import checkpoints, latents, metrics  # noqa: E402
from bvae_helpers.config import Config  # noqa: E402
from bvae_helpers.data import load_data, render  # noqa: E402
from bvae_helpers.losses import RECONSTRUCTIONS  # noqa: E402
from bvae_helpers.model import BetaVAE, count_parameters  # noqa: E402
from bvae_helpers.training import fit  # noqa: E402
from bvae_helpers.training.labels import fit_labelled  # noqa: E402
from bvae_helpers.training.sweep import runs_of  # noqa: E402
from bvae_helpers.training.waking import wake  # noqa: E402

COMMON = dict(num_images=200_000, val_fraction=0.05, batch_size=64, lr=1e-3, lr_schedule="cosine")
WOKEN = dict(objective="btcvae_gamma", beta=1.2, gamma=0.2, beta_schedule="constant")
RECIPES = {
    "vae": Config.sprites(objective="beta_vae", beta=1.0, epochs=8, **COMMON),
    "btcvae": Config.sprites(objective="btcvae", beta=6.0, epochs=20, **COMMON),
    "factorvae": Config.sprites(objective="factorvae", beta=20.0, discriminator_width=256, discriminator_lr=5e-4,
                                epochs=4, **COMMON),
    "falling": Config.falling(),
    "beta4": Config.falling(objective="beta_vae", beta_start=40.0),
    "vae_falling": Config.falling(objective="beta_vae", beta=1.0, beta_start=40.0),
    # beta4 is what this objective is while C = 0; from there C rises
    "annealed": Config.falling(objective="annealed", beta_schedule="constant", capacity_max=25.0, capacity_steps=25_000,
                               epochs=10),
    # three runs, each with the learning rate at 1e-3 again: warm restarts (Loshchilov & Hutter 2017)
    "waking": Config.falling(batch_size=256, epochs=16, **WOKEN),
    "waking2": Config.falling(batch_size=128, epochs=6, **WOKEN),
    "woken": Config.falling(batch_size=128, epochs=4, **WOKEN),
    # semi-supervised, with smaller patches: more is seen of a shape's outline
    "labelled": Config.falling(objective="beta_vae", beta=1.0, beta_schedule="constant", latent_dim=5, patch=2,
                               hidden_dims=[16, 32, 64], precision="bfloat16", num_images=737_280, batch_size=128,
                               lr=2e-3, epochs=18),
    # the faces' classic network at half the width: weights of 0.6 MB, and a third of the time a step
    "faces": Config.faces(hidden_dims=[16, 32, 64, 128], objective="btcvae", beta=4.0, val_fraction=0.05, batch_size=32,
                          lr=2e-3, lr_schedule="cosine", epochs=16),
    # the same network, semi-supervised
    "faces_labelled": Config.faces(hidden_dims=[16, 32, 64, 128], objective="beta_vae", beta=1.0, latent_dim=9,
                                   precision="bfloat16", batch_size=32, lr=2e-3, lr_schedule="cosine", epochs=20),
}
# the shipped sweep (training.results.shipped) at five of its eight values of beta: more would exceed 20 MB of weights
SWEEP = {f"sweep_beta{beta}": Config.falling(objective="beta_vae", beta_schedule="constant", beta=beta, epochs=6,
                                             num_images=210_526) for beta in (1, 4, 8, 16, 32)}
RECIPES |= SWEEP
# recipe -> (the recipe whose weights it begins with, how many of their collapsed latents are re-initialised)
AFTER = {"annealed": ("beta4", 2), "waking": ("falling", 2), "waking2": ("waking", 0), "woken": ("waking2", 0)}
STAGES = "waking", "waking2"            # trained on the way to another recipe, not published
# recipe -> the step after which the shipped model was stopped by hand
STOPPED = {"btcvae": 56_775}
# recipe -> of how many images, drawn with replacement, fit_labelled knows the factors: about one sprite in ten
LABELS = {"labelled": 73_728, "faces_labelled": 50_000}
SELECTION_SEEDS = (100, 101, 102)       # of the images by whose scores a model was chosen; none is a training seed
EVALUATION_SEEDS = (200, 201, 202)      # of the images of the cards' scores; no choice was made by these
SAMPLES = 6_000
PROTOCOL = (f"{SAMPLES:,} images drawn from all for each evaluation seed, mean codes, disentanglement_lib's protocols; "
            "SAP trained on 4,000 and tested on 2,000 of them, DCI on 1,000 and 500, FactorVAE in groups drawn from "
            "all")
SELECTED_BY = ("mig", "dci_disentanglement", "factor_vae", "kl")


def disentanglement(mu, factors, seed):
    """Scores of codes ``mu`` (N, D) of images with ``factors`` (N, K), by ``PROTOCOL``: name -> number."""
    cut = 2 * len(mu) // 3
    train, test, few = slice(0, cut), slice(cut, None), min(1000, cut)
    fewer = slice(few, few + few // 2)
    dci = metrics.dci(mu[:few], factors[:few], mu[fewer], factors[fewer], seed=seed)
    return {"mig": metrics.mig(mu, factors), "sap": metrics.sap(mu[train], factors[train], mu[test], factors[test]),
            "modularity": metrics.modularity(mu, factors),
            "dci_disentanglement": dci["disentanglement"], "dci_completeness": dci["completeness"],
            "factor_vae": metrics.factor_vae_score(metrics.Bank(mu, factors), seed=seed),
            "gaussian_total_correlation": metrics.gaussian_total_correlation(mu)}


def scores(model, config, seed):
    """Scores of a model on ``SAMPLES`` images drawn with ``seed``: of all latents, and of the active ones alone."""
    images, factors = render(load_data(config), SAMPLES, seed)
    mu, logvar = latents.encode(model, images)
    kl = latents.kl_per_latent(mu, logvar)
    x = images[:2000].float() / 255
    with torch.no_grad():
        reconstruction = RECONSTRUCTIONS[config.reconstruction](model.decoder.logits(mu[:2000]), x, config.sigma)
    of_all = disentanglement(mu, factors, seed)
    active = latents.active(mu, logvar)
    of_active = of_all if active.all() else disentanglement(metrics.active_codes(mu, logvar), factors, seed)
    return {**of_all, "kl": float(kl.sum()), "kl_per_latent": kl.tolist(), "active_latents": int(active.sum()),
            "reconstruction_of_mean": float(reconstruction),
            "mutual_information": metrics.mutual_information(mu, factors).tolist()}, of_active


def mean_of(rows):
    """The mean of each score over evaluation seeds."""
    return {name: np.mean([row[name] for row in rows], axis=0).round(4).tolist() for name in rows[0]}


def range_of(rows):
    """Largest - smallest of each score that is a number, over evaluation seeds."""
    numbers = [name for name in rows[0] if np.ndim(rows[0][name]) == 0]
    return {name: float(np.ptp([row[name] for row in rows]).round(4)) for name in numbers}


def scored(model, config):
    """The part of a card about how good the model is: means over ``EVALUATION_SEEDS``, and their range."""
    found = [scores(model, config, seed) for seed in EVALUATION_SEEDS]
    of_all, of_active = [row for row, _ in found], [row for _, row in found]
    return {"evaluation": f"{PROTOCOL}; seeds {', '.join(map(str, EVALUATION_SEEDS))}, by which nothing was chosen",
            "evaluation_seeds": list(EVALUATION_SEEDS), "scores": mean_of(of_all),
            "range_over_evaluation_seeds": range_of(of_all), "scores_of_active_latents": mean_of(of_active)}


def selection_scores(model, config):
    """The scores by which one training seed is preferred to another: means over ``SELECTION_SEEDS``."""
    rows = []
    for seed in SELECTION_SEEDS:
        images, factors = render(load_data(config), SAMPLES, seed)
        mu, logvar = latents.encode(model, images)
        rows.append({**disentanglement(mu, factors, seed), "kl": float(latents.kl_per_latent(mu, logvar).sum())})
    return mean_of(rows)


def published(name):
    """The card of the model that ships under this name; empty without one."""
    path = checkpoints.PRETRAINED / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def choice(name, seed, scores_then, how, others):
    """The part of a card about the training seeds: how many, how the shipped one was chosen, the scores of all.

    ``how``, ``others``: if None, what the published card of this seed says.
    """
    before = published(name) if published(name).get("seed") == seed else {}
    others = before.get("other_training_seeds", {}) if others is None else others
    seeds = ", ".join(map(str, SELECTION_SEEDS))
    measured = any(isinstance(found, dict) for found in others.values())
    return {"training_seeds": 1 + sum(other.isdigit() for other in others),     # without those of other recipes
            "chosen": how or before.get("chosen", "the only seed trained"),
            "chosen_by": f"scores_when_chosen are over evaluation seeds {seeds}"
                         + (", and so are those of other_training_seeds" if measured else ""),
            "scores_when_chosen": {name: scores_then[name] for name in SELECTED_BY}, "other_training_seeds": others}


def machine(name):
    """What a recipe is trained on here: the GPU, or the processor and the number of threads."""
    if torch.cuda.is_available() and name not in LABELS:                # fit_labelled trains on the processor
        return torch.cuda.get_device_name()
    info = pathlib.Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", info.read_text()) if info.is_file() else []
    threads = torch.get_num_threads()
    return f"{(names or [platform.machine()])[0]}, {threads} thread{'s' * (threads > 1)}"


def config_of(name, seed, folder):
    return RECIPES[name].replace(seed=seed, save_dir=str(folder), log_dir=None)


def begin(name, config):
    """The model that a recipe begins with: a new one, or that of the recipe before it, which is trained first."""
    torch.manual_seed(config.seed)
    model = BetaVAE.from_config(config)
    if name in AFTER:
        before, count = AFTER[name]
        model.load_state_dict(train(before, config.seed, pathlib.Path(config.save_dir) / before).state_dict())
        if count:
            wake(model, render(load_data(config), SAMPLES, config.seed)[0], count, seed=config.seed)
    return model


def train(name, seed, folder):
    """Train a recipe, or resume it -> the model."""
    config = config_of(name, seed, folder)
    model = begin(name, config)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine.txt").write_text(machine(name), encoding="utf-8")
    if name in LABELS:
        fit_labelled(model, load_data(config), config, labels=LABELS[name])
    else:
        fit(model, load_data(config), config, stop_after=steps_left(name, folder))
    return model


def trained_on(name, seed, folder):
    """The machine on which the run in ``folder`` was trained; if it is not written there, what the published card says.
    """
    told = folder / "machine.txt"
    if told.is_file():
        return told.read_text(encoding="utf-8")
    return published(name).get("machine", "not recorded") if published(name).get("seed") == seed else "not recorded"


def steps_left(name, folder):
    """How many steps of a recipe of ``STOPPED`` are left in ``folder``; None for the others: all."""
    if name not in STOPPED:
        return None
    newest = folder / "last.pt"
    done = checkpoints.load(newest)["step"] if newest.is_file() else 0
    if done > STOPPED[name]:
        raise SystemExit(f"the run in {str(folder)!r} is at step {done:,}, and {name} was stopped at step "
                         f"{STOPPED[name]:,}: train in another --folder, or publish this run with --publish-only")
    return STOPPED[name] - done


def what_came_before(name, folder):
    """For the card: the recipe that was trained before this one, if any, and those before it."""
    if name not in AFTER:
        return {}
    before, count = AFTER[name]
    state = checkpoints.load(folder / before / "last.pt")
    return {"after": {"name": before, "steps": state["step"], "training_minutes": round(state["seconds"] / 60, 1),
                      "config": {**state["config"], "save_dir": None, "log_dir": None}, "latents_woken": count,
                      **what_came_before(before, folder / before)}}


def total(made):
    """A card whose steps, minutes and images seen are the sums over all its stages."""
    stages = [made]
    while "after" in stages[-1]:
        stages.append(stages[-1]["after"])
    return {**made, "steps": sum(s["steps"] for s in stages),
            "training_minutes": round(sum(s["training_minutes"] for s in stages), 1),
            "images_seen": sum(s["steps"] * s["config"]["batch_size"] for s in stages)}


def card(name, model, state, where, how=None, others=None):
    """Description and scores of a model that was trained on the machine ``where``, as plain values; ``how``,
    ``others``: as ``choice`` takes them.
    """
    config = Config(**state["config"])
    data = load_data(config)
    images = f"the {len(data):,} procedural {config.data_path}"
    drawn = f"{config.num_images:,} of {images}, drawn with seed {config.seed}"
    if name in LABELS:
        drawn = f"{images}, drawn at random; for {LABELS[name]:,} random draws of them the factors were known"
    return {
        "name": name, "data": drawn, **({"labels": LABELS[name]} if name in LABELS else {}),
        "parameters": count_parameters(model), "weights": "float16", "steps": state["step"], "epochs": state["epoch"],
        "seed": config.seed, "training_minutes": round(state["seconds"] / 60, 1), "torch": torch.__version__,
        "machine": where, "config": {**config.to_dict(), "save_dir": None, "log_dir": None},
        "factor_names": list(data.factor_names),
        **scored(model, config), **choice(name, config.seed, selection_scores(model, config), how, others),
    }


def rescore(name):
    """Score the weights that are published again, and update their card."""
    model = checkpoints.load_pretrained(name)
    made = {**model.card, **scored(model, Config(**model.card["config"]))}
    write(checkpoints.PRETRAINED / f"{name}.json", made)


def write(path, made):
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in made["scores"].items() if np.ndim(v) == 0}))


def publish(name, folder, how=None, others=None):
    """Write pretrained/<name>.pt and .json from a run's newest checkpoint; ``how``, ``others``: see ``choice``."""
    state = checkpoints.load(folder / "last.pt")
    config = {**state["config"], "save_dir": None, "log_dir": None}
    weights = {k: v.half() if v.is_floating_point() else v for k, v in state["model_state_dict"].items()}
    stored = {"model_state_dict": weights, "config": config}
    checkpoints.save(stored, folder / "published.pt")
    where = trained_on(name, config["seed"], folder)
    made = {**card(name, checkpoints.load_model(folder / "published.pt"), state, where, how, others),
            **what_came_before(name, folder)}
    checkpoints.save(stored, checkpoints.PRETRAINED / f"{name}.pt")      # not before there is a card for it
    write(checkpoints.PRETRAINED / f"{name}.json", total(made))


def publish_sweep(folder):
    """Publish, for each beta of ``SWEEP``, the run with the median MIG of a sweep finished in ``folder``."""
    for name, recipe in SWEEP.items():
        all_runs = runs_of(recipe.replace(save_dir=str(folder), log_dir=None), {"seed": range(5)}).values()
        runs = {run.seed: pathlib.Path(run.save_dir) for run in all_runs}
        runs = {seed: run for seed, run in runs.items() if (run / "final_model.pt").is_file()}
        if not runs:
            print(f"{name}: no finished run in {str(folder)!r}")
            continue
        found = {seed: selection_scores(checkpoints.load_model(run / "final_model.pt"), recipe)
                 for seed, run in runs.items()}
        by_mig = sorted(found, key=lambda seed: found[seed]["mig"])
        median = by_mig[(len(by_mig) - 1) // 2]                  # of an even number, the lower of the two in the middle
        how = f"the median MIG of {len(runs)} seeds" if len(runs) > 1 else "the only seed trained"
        others = {str(seed): {score: found[seed][score] for score in SELECTED_BY} for seed in runs if seed != median}
        publish(name, runs[median], how, others)


def other_seeds(text):
    """The argument of --other-seeds."""
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(value, dict | str) for value in found.values()):
        raise argparse.ArgumentTypeError(f"{text!r} is not an object whose values are scores or text, as in "
                                         '{"1": {"mig": 0.41}, "2, stopped": "MIG 0.03"}')
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=[name for name in RECIPES if name not in STAGES],
                        help="recipe to train and publish")
    parser.add_argument("--seed", type=int, help="default: that of the shipped model")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    parser.add_argument("--folder", type=pathlib.Path, help="checkpoints (default: checkpoints/pretrain/<name>-<seed>)")
    parser.add_argument("--publish-only", action="store_true", help="do not train: publish the newest checkpoint")
    parser.add_argument("--score-only", action="store_true",
                        help="only print the newest checkpoint's scores for choosing")
    parser.add_argument("--rescore", nargs="*", choices=checkpoints.pretrained_names(), metavar="MODEL",
                        help="do not train: score published weights again (default: all)")
    parser.add_argument("--sweep", type=pathlib.Path, metavar="FOLDER",
                        help="do not train: publish the median seed of each beta, of the sweep whose runs are in "
                             "FOLDER")
    parser.add_argument("--other-seeds", type=other_seeds, metavar="JSON",
                        help="scores of other training seeds, for the card (default: what it says)")
    parser.add_argument("--chosen", help="how this seed was chosen, for the card (default: what it says)")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.rescore is not None:
        for name in args.rescore or checkpoints.pretrained_names():
            print(name, flush=True)
            rescore(name)
        return
    if args.sweep:
        publish_sweep(args.sweep)
        return
    if args.name is None:
        parser.error("name a recipe, --rescore or --sweep")
    shipped = published(args.name).get("seed", 0)
    seed = shipped if args.seed is None else args.seed
    if not args.chosen and (seed != shipped or args.other_seeds is not None) and not args.score_only:
        parser.error(f"the card would be another one than that of the shipped seed {shipped}: say with --chosen how "
                     "this seed was chosen, and with --other-seeds what the other seeds scored")
    folder = args.folder or ROOT / "checkpoints" / "pretrain" / f"{args.name}-{seed}"
    if args.score_only:
        model = checkpoints.load_model(folder / "last.pt")
        print(json.dumps(selection_scores(model, model.config)))
        return
    if not args.publish_only:
        train(args.name, seed, folder)
    publish(args.name, folder, args.chosen, args.other_seeds)


if __name__ == "__main__":
    main()
