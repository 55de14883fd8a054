"""Small files of exactly the layouts of the field's data sets, and readers that expect them this small."""

import h5py
import numpy as np
import torch
from scipy.io import savemat

from bvae_helpers.data import MPI3D, Cars3D, Shapes3D, SmallNORB, Sprites, factors_of

DRAWN = ("sprites", "sprites-colour", "sprites-noise", "sprites-picture", "faces")
FILES = ("dsprites", "dsprites-255", "shapes3d", "mpi3d", "cars3d", "smallnorb")
GREY = ("sprites", "dsprites", "dsprites-255", "smallnorb")
DSPRITES = (3, 2, 4, 5, 5)                     # part of the lattice
SMALL = {Shapes3D: (2, 2, 2, 2, 2, 3), MPI3D: (2, 2, 2, 1, 1, 3, 3), Cars3D: (4, 24, 3), SmallNORB: (2, 2, 2, 2, 2)}


def lattice(sizes):
    """All classes of a lattice, (N, K)."""
    return factors_of(torch.arange(int(np.prod(sizes))), sizes)


def expect_small(monkeypatch):
    """Let the readers take the small files."""
    for reader, sizes in SMALL.items():
        monkeypatch.setattr(reader, "factor_sizes", sizes)
    monkeypatch.setattr(MPI3D, "editions", (SMALL[MPI3D], (2, 2, 1, 1, 1, 2, 2)))


def dsprites_part():
    """A part of dSprites: images uint8 (N, 64, 64) of 0 and 255, classes (N, 6) counted in this part, the colour
    first."""
    classes = lattice(DSPRITES)
    images = Sprites().images(classes * torch.tensor([1, 5, 10, 6, 6]))[:, 0].numpy()
    return images, np.concatenate([np.zeros((len(classes), 1), int), classes.numpy()], axis=1)


def write_norb(path, array):
    """A matrix as SmallNORB's files hold it: a code for the type, the shape, the numbers."""
    code = {np.dtype(np.uint8): 0x1E3D4C55, np.dtype("<i4"): 0x1E3D4C54}[array.dtype]
    sizes = [*array.shape, *[1] * (3 - array.ndim)]
    path.write_bytes(np.array([code, array.ndim, *sizes], "<i4").tobytes() + array.tobytes())


def write_norb_parts(folder, rng):
    """Both parts of a small SmallNORB -> (category, instance, elevation, azimuth, lighting) -> image (96, 96).

    Each has 2 categories, 1 instance, 2 elevations, 2 azimuths (counted by twos), 2 lightings.
    """
    held = {}
    for part, instance in (("training", 4), ("testing", 1)):
        classes = lattice((2, 1, 2, 2, 2)).numpy().astype("<i4")
        classes[:, 1], classes[:, 3] = instance, 2 * classes[:, 3]
        classes = classes[rng.permutation(len(classes))]
        images = rng.integers(0, 256, (len(classes), 2, 96, 96), dtype=np.uint8)
        name = f"smallnorb-{part}"
        write_norb(folder / f"{name}-dat.mat", images)
        write_norb(folder / f"{name}-cat.mat", classes[:, 0].copy())
        write_norb(folder / f"{name}-info.mat", classes[:, 1:].copy())
        held |= {tuple(row): image[0] for row, image in zip(classes.tolist(), images)}
    return held


def write(kind, folder, seed=0):
    """Write the small data of a kind in ``folder`` -> the ``data_path`` of a Config. Drawn data need no file."""
    rng = np.random.default_rng(seed)
    if kind in DRAWN:
        return kind
    if kind.startswith("dsprites"):
        images, classes = dsprites_part()
        np.savez(folder / "d.npz", imgs=images if kind == "dsprites-255" else images // 255, latents_classes=classes)
        return str(folder / "d.npz")
    if kind == "shapes3d":
        with h5py.File(folder / "3dshapes.h5", "w") as file:
            file["images"] = rng.integers(0, 256, (int(np.prod(SMALL[Shapes3D])), 64, 64, 3), dtype=np.uint8)
        return str(folder / "3dshapes.h5")
    if kind == "mpi3d":
        np.savez(folder / "mpi3d.npz",
                 images=rng.integers(0, 256, (int(np.prod(SMALL[MPI3D])), 64, 64, 3), dtype=np.uint8))
        return str(folder / "mpi3d.npz")
    if kind == "cars3d":
        (folder / "cars").mkdir()
        for car in range(SMALL[Cars3D][2]):
            pixels = rng.integers(0, 256, (128, 128, 3, 24, 4), dtype=np.uint8)
            savemat(folder / "cars" / f"car_{car + 1:03d}_mesh.mat", {"im": pixels})
        return str(folder / "cars")
    (folder / "norb").mkdir()
    write_norb_parts(folder / "norb", rng)
    return str(folder / "norb")
