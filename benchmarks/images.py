"""Training on a folder of JPEGs: a plain Dataset + DataLoader against ImageFolder and fit(), interleaved in one run.

    python benchmarks/images.py [--folder PICTURES] [--images 2000] [--rounds 3] [--crop 148]

Without --folder, cartoon faces are written as JPEGs of CelebA's size, 178 x 218, first. The model is the
classic one, 64 x 64. The plain loop is that of the tutorials: PIL, torchvision's transforms, a DataLoader
with 0 or 2 workers, Adam, ``.item()`` at every step. Every contender runs in a process of its own.
Also measured: the data's share of a training step and, on 10,000 files (the same pictures under several
names), decoding once against PIL's plain loop and the peak memory over an interpreter that has imported torch.
"""

import argparse
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

MANY = 10_000                                            # files to decode
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024      # of ru_maxrss, in bytes


def peak():
    """The largest memory this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT


IMPORTED = peak()                                        # an interpreter with torch, and nothing else

from PIL import Image  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402
from torchvision import transforms  # noqa: E402

from bvae_helpers import losses  # noqa: E402
from bvae_helpers.config import Config  # noqa: E402
from bvae_helpers.data import Images, to_batch  # noqa: E402
from bvae_helpers.data.faces import CartoonFaces  # noqa: E402
from bvae_helpers.data.folder import ImageFolder, find_images  # noqa: E402
from bvae_helpers.model import BetaVAE  # noqa: E402
from bvae_helpers.training import fit  # noqa: E402


class PlainFolder(Dataset):
    """The data set of the tutorials: a file is opened, decoded and shrunk each time it is asked for."""

    def __init__(self, args):
        self.files = find_images(args.folder)[:args.images]
        cut = [transforms.CenterCrop(args.crop), transforms.Resize((64, 64)), transforms.ToTensor()]
        self.transform = transforms.Compose(cut)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return self.transform(Image.open(self.files[index]).convert("RGB"))


def settings(args, precision="float32", **more):
    return Config(data_path=args.folder, batch_size=args.batch, crop=args.crop, num_images=args.images,
                  val_fraction=0.0, epochs=1, precision=precision, **more)


def plain(args, workers):
    """One epoch of the tutorials' loop -> images/s."""
    config = settings(args)
    model = BetaVAE.from_config(config)
    loader = DataLoader(PlainFolder(args), batch_size=config.batch_size, shuffle=True, drop_last=True,
                        num_workers=workers)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    total, start = 0.0, time.perf_counter()
    for x in loader:
        loss = losses.objective(model, x, config, config.beta)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return {"rate": len(loader) * config.batch_size / (time.perf_counter() - start)}


def open_folder(args, **more):
    return ImageFolder(args.folder, 64, crop=args.crop, num_images=args.images, cache=args.cache, progress=False,
                       **more)


def ours(args, precision):
    """One epoch of fit, with its logs and its progress bar -> images/s; and the data's share of a step."""
    folder = open_folder(args)
    with tempfile.TemporaryDirectory() as records:
        config = settings(args, precision, save_dir=f"{records}/checkpoints", log_dir=f"{records}/runs")
        rate = fit(BetaVAE.from_config(config), folder, config)["images_per_second"][-1]
    images, order = Images(folder.pixels), torch.randperm(len(folder)).split(args.batch)
    start = time.perf_counter()
    for index in order:
        to_batch(images.take(index))
    return {"rate": rate, "share": (time.perf_counter() - start) / len(folder) * rate}


def decode_by_pil(args):
    """PIL's plain loop: find, open, convert, cut, resize -> images/s."""
    start = time.perf_counter()
    files = find_images(args.folder)
    for file in files:
        picture = Image.open(file).convert("RGB")
        left, top = (picture.width - args.crop) // 2, (picture.height - args.crop) // 2
        picture.crop((left, top, left + args.crop, top + args.crop)).resize((64, 64), Image.Resampling.BILINEAR)
    return {"rate": len(files) / (time.perf_counter() - start)}


def decode_by_us(args):
    """Decoding into the cache, from the scan to the pixels read back -> images/s."""
    start = time.perf_counter()
    folder = open_folder(args, rebuild=True)
    return {"rate": len(folder) / (time.perf_counter() - start)}


def memory(args):
    """Peak memory over that of an interpreter with torch, in bytes: decoding the files, and an epoch on them."""
    folder = open_folder(args, rebuild=True)
    decoded = peak() - IMPORTED
    config = settings(args, save_dir=None, log_dir=None)
    fit(BetaVAE.from_config(config), folder, config, progress=False)
    return {"imported": IMPORTED, "decoded": decoded, "trained": peak() - IMPORTED}


CONTENDERS = {"plain, 0 workers": lambda args: plain(args, 0), "plain, 2 workers": lambda args: plain(args, 2),
              "ours, float32": lambda args: ours(args, "float32"),
              "ours, bfloat16": lambda args: ours(args, "bfloat16"),
              "PIL's loop": decode_by_pil, "ImageFolder": decode_by_us, "memory": memory}


def write_faces(folder, n):
    """Cartoon faces as JPEGs of CelebA's size."""
    data = CartoonFaces(img_size=218)
    factors = data.sample_factors(n, torch.Generator().manual_seed(0))
    for start in range(0, n, 64):
        for k, image in enumerate(data.images(factors[start:start + 64])[:, :, :, 20:198], start):
            Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(f"{folder}/{k:06d}.jpg", quality=90)


def link(files, folder, n):
    """``n`` links to the files in turns, in a new folder."""
    os.mkdir(folder)
    for k in range(n):
        file = files[k % len(files)]
        os.symlink(file.resolve(), f"{folder}/{k:05d}{file.suffix}")


def compare(args, names):
    """Run the contenders in turns -> {name: the median of each number}."""
    results = {name: [] for name in names}
    for _ in range(args.rounds):
        for name in names:
            command = [sys.executable, __file__, "--one", name, "--cache", args.cache, "--folder", args.folder,
                       "--crop", str(args.crop), "--images", str(args.images), "--batch", str(args.batch)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            results[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    return {name: {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
            for name, rounds in results.items()}


def report(args):
    """Measure everything and print it."""
    open_folder(args)                                    # the cache is there before the race begins
    print(f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch "
          f"{torch.__version__}; {len(find_images(args.folder)[:args.images]):,} pictures of "
          f"{Image.open(find_images(args.folder)[0]).size}, median of {args.rounds} interleaved rounds", flush=True)
    rates = compare(args, ["plain, 0 workers", "plain, 2 workers", "ours, float32", "ours, bfloat16"])
    best = max(rates["plain, 0 workers"]["rate"], rates["plain, 2 workers"]["rate"])
    for name, result in rates.items():
        print(f"an epoch, {name:17s} {result['rate']:7,.0f} images/s   {result['rate'] / best:.2f} x the better plain "
              "one")
    print(f"the data's share of a step of ours: {100 * rates['ours, float32']['share']:.1f} % in float32, "
          f"{100 * rates['ours, bfloat16']['share']:.1f} % in bfloat16", flush=True)
    link(find_images(args.folder)[:args.images], f"{args.cache}-many", MANY)
    args.folder, args.images = f"{args.cache}-many", MANY
    rates = compare(args, ["PIL's loop", "ImageFolder"])
    pil = rates["PIL's loop"]["rate"]
    for name, result in rates.items():
        print(f"decoding {MANY:,}, {name:11s} {result['rate']:7,.0f} images/s   {result['rate'] / pil:.2f} x PIL's "
              "loop")
    used = {key: value / 1e9 for key, value in compare(args, ["memory"])["memory"].items()}
    print(f"peak memory over torch alone ({used['imported']:.2f} GB), {MANY:,} images: {used['decoded']:.2f} GB when "
          f"decoded, {used['trained']:.2f} GB after an epoch")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="a folder of pictures (default: cartoon faces, written first)")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--crop", type=int, default=148, help="side of the central square that is kept")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(CONTENDERS[args.one](args)))
        return
    with tempfile.TemporaryDirectory() as place:
        args.cache = f"{place}/cache"
        if args.folder is None:
            args.folder = f"{place}/faces"
            os.mkdir(args.folder)
            write_faces(args.folder, args.images)
        report(args)


if __name__ == "__main__":
    main()
