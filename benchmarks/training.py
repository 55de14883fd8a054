"""Images/s of fit() against a textbook loop of the same model on the same images, interleaved in one run.

    python benchmarks/training.py [--batches 64 256] [--rounds 3]

The textbook loop: Dataset + DataLoader, Adam, float32, ``.item()`` at every step. It runs in a process
of its own, where the C allocator is as the system set it. ``fit`` runs as a user runs it: progress
and TensorBoard on. pythae's trainer joins where pythae is installed. The last lines give the
arithmetic rate of a training step over that of a large matrix product.
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from bvae_helpers import losses, training  # noqa: E402
from bvae_helpers.config import Config  # noqa: E402
from bvae_helpers.data import (  # noqa: E402
    Sprites,  # noqa: E402
    render,
    to_batch,
)
from bvae_helpers.model import BetaVAE  # noqa: E402


def settings(batch, precision="float32", **more):
    return Config.sprites(batch_size=batch, precision=precision, val_fraction=0.0, epochs=1, **more)


def textbook(images, batch):
    """The loop of the tutorials -> images/s over one epoch."""
    config = settings(batch)
    model = BetaVAE.from_config(config)
    loader = DataLoader(TensorDataset(images.float() / 255), batch_size=batch, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    total, start = 0.0, time.perf_counter()
    for (x,) in loader:
        loss = losses.objective(model, x, config, config.beta)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return len(loader) * batch / (time.perf_counter() - start)


def ours(images, batch, precision):
    """fit, with its logs and its progress bar -> images/s over one epoch, as its history reports."""
    with tempfile.TemporaryDirectory() as folder:
        config = settings(batch, precision, save_dir=f"{folder}/checkpoints", log_dir=f"{folder}/runs")
        history = training.fit(BetaVAE.from_config(config), images, config)
    return history["images_per_second"][-1]


def pythae(images, batch):
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
            output_dir=folder, num_epochs=1, per_device_train_batch_size=batch, learning_rate=5e-4))
        start = time.perf_counter()
        trainer.train()
        return len(images) / (time.perf_counter() - start)


def one(kind, batch, count):
    """Run one contender in this process and print its images/s."""
    images, _ = render(Sprites(), count, seed=0)
    contenders = {"textbook": lambda n: textbook(images[:n], batch), "pythae": lambda n: pythae(images[:n], batch),
                  "float32": lambda n: ours(images[:n], batch, "float32"),
                  "bfloat16": lambda n: ours(images[:n], batch, "bfloat16")}
    contenders[kind](batch * 8)          # warm up
    print(json.dumps(contenders[kind](count)))


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=8192)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "BATCH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one[0], int(args.one[1]), args.images)
        return
    kinds = ["textbook", "float32", "bfloat16"]
    try:
        import pythae  # noqa: F401
        kinds.append("pythae")
    except ImportError:
        print("pythae is not installed: left out")
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
          f"{args.images:,} sprites an epoch, median of {args.rounds} interleaved rounds")
    for batch in args.batches:
        rates = {kind: [] for kind in kinds}
        for _ in range(args.rounds):
            for kind in kinds:
                done = subprocess.run([sys.executable, __file__, "--one", kind, str(batch), "--images", str(args.images)],
                                      capture_output=True, text=True, check=True)
                rates[kind].append(float(done.stdout.strip().splitlines()[-1]))
        middle = {kind: statistics.median(values) for kind, values in rates.items()}
        for kind in kinds:
            ratio = middle[kind] / middle["textbook"]
            print(f"batch {batch:4d}  {kind:9s} {middle[kind]:7,.0f} images/s   {ratio:.2f} x textbook")
        rate, peak = middle["float32"] * flops_per_image(settings(batch)), sgemm_rate()
        print(f"batch {batch:4d}  float32 step {rate / 1e9:.0f} GFLOP/s, large sgemm {peak / 1e9:.0f} GFLOP/s: {rate / peak:.2f}")


if __name__ == "__main__":
    main()
