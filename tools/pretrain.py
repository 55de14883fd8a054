"""Make the models in bvae_helpers/pretrained/, each with its card.

    python tools/pretrain.py btcvae --threads 1     # stop it at any time; the same command goes on

Weights are stored in float16, and scored as stored.
"""

import argparse
import json
import pathlib
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
from bvae_helpers.training.waking import wake  # noqa: E402

COMMON = dict(num_images=200_000, val_fraction=0.05, batch_size=64, lr=1e-3, lr_schedule="cosine")
WOKEN = dict(objective="btcvae_gamma", beta=1.2, gamma=0.2, beta_schedule="constant")
RECIPES = {
    "vae": Config.sprites(objective="beta_vae", beta=1.0, epochs=8, **COMMON),
    "btcvae": Config.sprites(objective="btcvae", beta=6.0, epochs=20, **COMMON),
    "factorvae": Config.sprites(objective="factorvae", beta=20.0, discriminator_width=256, discriminator_lr=5e-4, epochs=4,
                                **COMMON),
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
    # the faces' classic network at half the width: weights of 0.6 MB, and a third of the time a step
    "faces": Config.faces(hidden_dims=[16, 32, 64, 128], objective="btcvae", beta=4.0, val_fraction=0.05, batch_size=32,
                          lr=2e-3, lr_schedule="cosine", epochs=16),
}
# begins with another recipe's weights, in which so many sleeping latents are woken
AFTER = {"annealed": ("beta4", 2), "waking": ("falling", 2), "waking2": ("waking", 0), "woken": ("waking2", 0)}
EVALUATION_SEEDS = (100, 101, 102)      # none of them is a training seed
SAMPLES = 6_000
PROTOCOL = (f"{SAMPLES:,} images drawn afresh for each evaluation seed, mean codes, disentanglement_lib's protocols; "
            "SAP trained on 4,000 and tested on 2,000 of them, DCI on 1,000 and 500, FactorVAE in groups drawn from all")


def disentanglement(model, mu, factors, seed):
    """Scores of codes ``mu`` (N, D) of images with ``factors`` (N, K), by ``PROTOCOL``: name -> number."""
    train, test = slice(0, 4000), slice(4000, None)
    dci = metrics.dci(mu[:1000], factors[:1000], mu[1000:1500], factors[1000:1500], seed=seed)
    return {"mig": metrics.mig(mu, factors), "sap": metrics.sap(mu[train], factors[train], mu[test], factors[test]),
            "modularity": metrics.modularity(mu, factors),
            "dci_disentanglement": dci["disentanglement"], "dci_completeness": dci["completeness"],
            "factor_vae": metrics.factor_vae_score(metrics.Bank(mu, factors), seed=seed)}


def scores(model, config, seed):
    """What a model scores on ``SAMPLES`` images drawn afresh from ``seed``; codes are the means."""
    images, factors = render(load_data(config), SAMPLES, seed)
    mu, logvar = latents.encode(model, images)
    kl = latents.kl_per_latent(mu, logvar)
    x = images[:2000].float() / 255
    with torch.no_grad():
        reconstruction = RECONSTRUCTIONS[config.reconstruction](model.decoder.logits(mu[:2000]), x, config.sigma)
    return {**disentanglement(model, mu, factors, seed), "kl": float(kl.sum()), "kl_per_latent": kl.tolist(),
            "reconstruction_of_mean": float(reconstruction),
            "mutual_information": metrics.mutual_information(mu, factors).tolist()}


def scored(model, config):
    """The part of a card that says how well the model does."""
    rows = [scores(model, config, seed) for seed in EVALUATION_SEEDS]
    return {"evaluation": f"{PROTOCOL}; seeds {', '.join(map(str, EVALUATION_SEEDS))}",
            "scores": {k: np.mean([r[k] for r in rows], axis=0).round(4).tolist() for k in rows[0]},
            "range_over_evaluation_seeds": {k: float(np.ptp([r[k] for r in rows]).round(4)) for k in rows[0]
                                            if np.ndim(rows[0][k]) == 0}}


def config_of(name, seed, folder):
    return RECIPES[name].replace(seed=seed, save_dir=str(folder), log_dir=None)


def begin(name, config):
    """The model that a recipe begins with: a new one, or that of the recipe it goes on from, which is trained first."""
    torch.manual_seed(config.seed)
    model = BetaVAE.from_config(config)
    if name in AFTER:
        before, count = AFTER[name]
        model.load_state_dict(train(before, config.seed, pathlib.Path(config.save_dir) / before).state_dict())
        if count:
            wake(model, render(load_data(config), SAMPLES, config.seed)[0], count, seed=config.seed)
    return model


def train(name, seed, folder):
    """Train a recipe, or go on with what is there -> the model."""
    config = config_of(name, seed, folder)
    model = begin(name, config)
    fit(model, load_data(config), config)
    return model


def what_came_before(name, folder):
    """For the card: the recipe that was trained first, if one was; and what came before that one."""
    if name not in AFTER:
        return {}
    before, count = AFTER[name]
    state = checkpoints.load(folder / before / "last.pt")
    return {"after": {"name": before, "steps": state["step"], "training_minutes": round(state["seconds"] / 60, 1),
                      "config": {**state["config"], "save_dir": None, "log_dir": None}, "latents_woken": count,
                      **what_came_before(before, folder / before)}}


def total(made):
    """A card, its steps, minutes and images seen being those of all its stages together."""
    stages = [made]
    while "after" in stages[-1]:
        stages.append(stages[-1]["after"])
    return {**made, "steps": sum(s["steps"] for s in stages),
            "training_minutes": round(sum(s["training_minutes"] for s in stages), 1),
            "images_seen": sum(s["steps"] * s["config"]["batch_size"] for s in stages)}


def card(name, model, state, others):
    """What the model is and scores, as plain values."""
    config = Config(**state["config"])
    data = load_data(config)
    return {
        "name": name,
        "data": f"{config.num_images:,} of the {len(data):,} procedural {config.data_path}, drawn with seed {config.seed}",
        "parameters": count_parameters(model), "weights": "float16", "steps": state["step"], "epochs": state["epoch"],
        "seed": config.seed, "training_minutes": round(state["seconds"] / 60, 1), "torch": torch.__version__,
        "config": {**config.to_dict(), "save_dir": None, "log_dir": None}, "factor_names": list(data.factor_names),
        **scored(model, config), "other_training_seeds": others,
    }


def rescore(name):
    """Score the weights that are published again, and write their card anew."""
    model = checkpoints.load_pretrained(name)
    write(checkpoints.PRETRAINED / f"{name}.json", {**model.card, **scored(model, Config(**model.card["config"]))})


def write(path, made):
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in made["scores"].items() if np.ndim(v) == 0}))


def publish(name, folder, others):
    """Write pretrained/<name>.pt and .json from a run's newest checkpoint."""
    state = checkpoints.load(folder / "last.pt")
    target = checkpoints.PRETRAINED / f"{name}.pt"
    config = {**state["config"], "save_dir": None, "log_dir": None}
    weights = {k: v.half() if v.is_floating_point() else v for k, v in state["model_state_dict"].items()}
    checkpoints.save({"model_state_dict": weights, "config": config}, target)
    made = {**card(name, checkpoints.load_model(target), state, others), **what_came_before(name, folder)}
    write(target.with_suffix(".json"), total(made))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    parser.add_argument("--folder", type=pathlib.Path, help="checkpoints (default: checkpoints/pretrain/<name>-<seed>)")
    parser.add_argument("--publish-only", action="store_true", help="do not train: publish the newest checkpoint")
    parser.add_argument("--score-only", action="store_true", help="only print the scores of the newest checkpoint")
    parser.add_argument("--rescore", action="store_true", help="do not train: score the published weights again")
    parser.add_argument("--other-seeds", default="{}", help="JSON: what other training seeds scored, for the card")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    folder = args.folder or ROOT / "checkpoints" / "pretrain" / f"{args.name}-{args.seed}"
    if args.rescore:
        rescore(args.name)
        return
    if args.score_only:
        model = checkpoints.load_model(folder / "last.pt")
        print(json.dumps(scores(model, model.config, EVALUATION_SEEDS[0])))
        return
    if not args.publish_only:
        train(args.name, args.seed, folder)
    publish(args.name, folder, json.loads(args.other_seeds))


if __name__ == "__main__":
    main()
