"""Images/s of fit() against a textbook loop of the same model on the same images, interleaved in one run.

    python benchmarks/training.py [--batches 64 256] [--rounds 3]
    python benchmarks/training.py --device cuda            # two to three minutes on one card

The textbook loop: Dataset + DataLoader, Adam, float32, ``.item()`` at every step. ``fit`` runs as a user runs it, with
progress, TensorBoard and checkpoints. The trainers of pythae and of YannDubs/disentangling-vae join where they can be
imported. On a CPU each contender runs in its own process, so that the C allocator of the textbook loop is as the system
set it; the last lines give the arithmetic rate of a training step over that of a large matrix product. On CUDA all run
in this process, on the second of two epochs: ``fit`` step by step (eager), and with the step recorded as a CUDA graph.
"""

import argparse
import importlib.util
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from bvae_helpers import losses, training  # noqa: E402
from bvae_helpers.config import Config  # noqa: E402
from bvae_helpers.data import Sprites, render, to_batch  # noqa: E402
from bvae_helpers.model import BetaVAE  # noqa: E402

PATCH = dict(patch=4, hidden_dims=[32, 64])       # the network of Config.falling()


def settings(batch, precision="float32", **more):
    return Config.sprites(**{"batch_size": batch, "precision": precision, "val_fraction": 0.0, "epochs": 1, **more})


def loader_of(images, batch):
    labels = torch.zeros(len(images))
    return DataLoader(TensorDataset(images.float() / 255, labels), batch_size=batch, shuffle=True, drop_last=True)


def textbook(images, batch, device="cpu"):
    """The loop of the tutorials -> images/s over one epoch."""
    config = settings(batch)
    model = BetaVAE.from_config(config).to(device)
    loader = loader_of(images, batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    total, start = 0.0, time.perf_counter()
    for x, _ in loader:
        loss = losses.objective(model, x.to(device), config, config.beta)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return len(loader) * batch / (time.perf_counter() - start)


def ours(images, batch, precision="float32", device="cpu", **more):
    """fit, with its logs, checkpoints and progress bar -> images/s of the last epoch, as its history reports."""
    with tempfile.TemporaryDirectory() as folder:
        config = settings(batch, precision, save_dir=f"{folder}/checkpoints", log_dir=f"{folder}/runs", **more)
        history = training.fit(BetaVAE.from_config(config), images, config, device=device)
    return history["images_per_second"][-1]


def eager(*args, **options):
    """``ours`` without CUDA graphs."""
    with mock.patch("bvae_helpers.training.run.can_record", lambda run: False):
        return ours(*args, **options)


def disentangling_vae(images, batch, device="cpu"):
    """The trainer of YannDubs/disentangling-vae (its folder on PYTHONPATH) -> images/s over one epoch."""
    from disvae.models.losses import BetaHLoss
    from disvae.models.vae import init_specific_model
    from disvae.training import Trainer
    model = init_specific_model("Burgess", (1, 64, 64), 10)
    loss = BetaHLoss(beta=4, rec_dist="bernoulli", steps_anneal=0)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, torch.optim.Adam(model.parameters(), lr=5e-4), loss, device=torch.device(device),
                          save_dir=folder, is_progress_bar=False)
        loader, start = loader_of(images, batch), time.perf_counter()
        trainer(loader, epochs=1, checkpoint_every=10)
    return len(loader) * batch / (time.perf_counter() - start)


def pythae(images, batch, device="cpu"):
    """pythae's BaseTrainer on a beta-VAE with our encoder and decoder -> images/s over one epoch."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import BetaVAE as TheirVAE
    from pythae.models import BetaVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    parts = BetaVAE.from_config(settings(batch))

    class Encoder(BaseEncoder):
        def __init__(self):
            nn.Module.__init__(self)
            self.net = parts.encoder

        def forward(self, x):
            mu, logvar = self.net(x)
            return ModelOutput(embedding=mu, log_covariance=logvar)

    class Decoder(BaseDecoder):
        def __init__(self):
            nn.Module.__init__(self)
            self.net = parts.decoder

        def forward(self, z):
            return ModelOutput(reconstruction=self.net(z))

    settings_there = BetaVAEConfig(input_dim=(1, 64, 64), latent_dim=10, beta=4.0, reconstruction_loss="bce")
    model = TheirVAE(settings_there, Encoder(), Decoder())
    data = BaseDataset(images.float() / 255, torch.zeros(len(images)))
    with tempfile.TemporaryDirectory() as folder:
        trainer = BaseTrainer(model, data, training_config=BaseTrainerConfig(
            output_dir=folder, num_epochs=1, per_device_train_batch_size=batch, learning_rate=5e-4,
            no_cuda=torch.device(device).type == "cpu"))
        start = time.perf_counter()
        trainer.train()
        return len(images) / (time.perf_counter() - start)


CONTENDERS = {"textbook": textbook, "pythae": pythae, "disentangling-vae": disentangling_vae,
              "float32": lambda images, batch: ours(images, batch, "float32"),
              "bfloat16": lambda images, batch: ours(images, batch, "bfloat16")}


def others():
    """The other trainers that can be imported here."""
    modules = {"pythae": "pythae", "disentangling-vae": "disvae"}
    found = [kind for kind, module in modules.items() if importlib.util.find_spec(module)]
    missing = [kind for kind in modules if kind not in found]
    if missing:
        print(f"not installed, left out: {', '.join(missing)}")
    return found


def one(kind, batch, count):
    """Run one contender in this process and print its images/s."""
    images, _ = render(Sprites(), count, seed=0)
    CONTENDERS[kind](images[:batch * 8], batch)          # warm up
    print(json.dumps(CONTENDERS[kind](images, batch)))


def flops_per_image(config):
    """Floating-point operations of one training step an image, counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode
    model = BetaVAE.from_config(config)
    x = to_batch(torch.zeros(config.batch_size, 1, 64, 64, dtype=torch.uint8))
    with FlopCounterMode(display=False) as counter:
        losses.objective(model, x, config, config.beta)["loss"].backward()
    return counter.get_total_flops() / config.batch_size


def sgemm_rate(n=2048):
    a = torch.randn(n, n)
    a @ a
    start = time.perf_counter()
    for _ in range(5):
        a @ a
    return 5 * 2 * n ** 3 / (time.perf_counter() - start)


def on_cpu(args):
    """Every contender, each time in a process of its own."""
    kinds = ["textbook", "float32", "bfloat16", *others()]
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
          f"{args.images:,} sprites an epoch, median of {args.rounds} interleaved rounds")
    for batch in args.batches:
        rates = {kind: [] for kind in kinds}
        for _ in range(args.rounds):
            for kind in kinds:
                done = subprocess.run([sys.executable, __file__, "--one", kind, str(batch), "--images",
                                       str(args.images)],
                                      capture_output=True, text=True, check=True)
                rates[kind].append(float(done.stdout.strip().splitlines()[-1]))
        middle = {kind: statistics.median(values) for kind, values in rates.items()}
        for kind in kinds:
            ratio = middle[kind] / middle["textbook"]
            print(f"batch {batch:4d}  {kind:17s} {middle[kind]:7,.0f} images/s   {ratio:.2f} x textbook")
        rate, peak = middle["float32"] * flops_per_image(settings(batch)), sgemm_rate()
        print(f"batch {batch:4d}  float32 step {rate / 1e9:.0f} GFLOP/s, large sgemm {peak / 1e9:.0f} GFLOP/s: "
              f"{rate / peak:.2f}")


def on_cuda(args):
    """A table: contenders down, batch sizes across; images/s of the second epoch, over the textbook loop's too.

    The most telling rows come first: what does not fit in ``args.limit`` seconds is left out, and named.
    """
    begun = time.monotonic()
    images, _ = render(Sprites(), args.images, seed=0)
    two = dict(device=args.device, epochs=2)
    rows = {"textbook": lambda batch: textbook(images, batch, args.device)}
    for precision in ("float32", "bfloat16", "float16", "auto"):
        rows[f"fit, {precision}"] = lambda batch, p=precision: ours(images, batch, p, **two)
    rows["fit, auto, patch 4"] = lambda batch: ours(images, batch, "auto", **PATCH, **two)
    rows |= {kind: lambda batch, k=kind: CONTENDERS[k](images, batch, args.device) for kind in others()}
    rows["fit, eager, float32"] = lambda batch: eager(images, batch, "float32", **two)
    for objective in ("btcvae", "factorvae"):
        rows[f"fit, auto, {objective}"] = lambda batch, o=objective: ours(images, batch, "auto", objective=o, **two)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; {len(images):,} sprites an epoch; images/s, and "
          "how many times the textbook loop's")
    print(f"{'':24s}" + "".join(f"{'batch ' + str(batch):>18s}" for batch in args.batches))
    textbook(images[:10 * args.batches[0]], args.batches[0], args.device)          # CUDA starts, cuDNN is loaded
    base, left_out = {}, []
    for name, run in rows.items():
        if time.monotonic() - begun > args.limit:
            left_out.append(name)
            continue
        rates = {batch: run(batch) for batch in args.batches}
        base = base or rates
        print(f"{name:24s}" + "".join(f"{rates[b]:10,.0f} ({rates[b] / base[b]:4.1f})" for b in args.batches),
              flush=True)
    if left_out:
        print(f"left out after {args.limit:.0f} s: {'; '.join(left_out)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batches", type=int, nargs="+", help="default: 64 256, on CUDA also 1024")
    parser.add_argument("--rounds", type=int, default=3, help="on a CPU")
    parser.add_argument("--images", type=int, help="images in an epoch (default: 8192, on CUDA 50,000)")
    parser.add_argument("--limit", type=float, default=float("inf"),
                        help="on CUDA: begin no row after this many seconds")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "BATCH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    cuda = args.device == "cuda"
    args.batches = args.batches or [64, 256, 1024][:3 if cuda else 2]
    args.images = args.images or (50_000 if cuda else 8192)
    if args.one:
        one(args.one[0], int(args.one[1]), args.images)
    elif cuda:
        on_cuda(args)
    else:
        on_cpu(args)


if __name__ == "__main__":
    main()
