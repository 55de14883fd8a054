"""Files of the field's data sets, mutated: what is read is what was written, everything else is refused in words."""

import random
import resource
import time

import field_files
import h5py
import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from bvae_helpers.config import Config
from bvae_helpers.data import Cars3D, FactorData, load_data

KINDS = ("dsprites", "shapes3d", "mpi3d", "smallnorb", "cars3d")
SECONDS, MEGABYTES = 5, 2000        # what a single case may take
WRONG = (lambda a: a.astype(np.int16), lambda a: a.astype("S1"), lambda a: a[:-1], lambda a: a[..., :-1],
         lambda a: a[None],
         lambda a: a.reshape(-1), lambda a: a[:0], lambda a: a.astype(np.complex64), lambda a: np.array(7, a.dtype),
         lambda a: np.moveaxis(a, -1, 1) if a.ndim > 3 else a[:1], lambda a: a.astype(bool), lambda a: np.array("text"))


class OneCar(Cars3D):
    """Cars3D with a single car, written in a blink."""

    factor_sizes = (4, 24, 1)


def damage(path, rng):
    """Change bytes, cut, remove or insert some, or leave nothing."""
    content = bytearray(path.read_bytes())
    at = rng.randrange(min(len(content), rng.choice((200, 5000, len(content)))))
    way = rng.randrange(6)
    if way == 0:
        content[at] ^= 1 << rng.randrange(8)
    elif way == 1:
        del content[at:]
    elif way == 2:
        del content[at:at + rng.choice((1, 7, 500))]
    elif way == 3:
        content[at:at] = rng.randbytes(rng.choice((1, 7, 500)))
    elif way == 4:
        content[at:at + 64] = rng.randbytes(len(content[at:at + 64]))
    else:
        content = rng.choice((b"", b"PK", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY", bytes(5000)))
    path.write_bytes(content)


def change_npz(path, rng):
    """Write another content: a key missing or renamed, a wrong array, a pickle -> whether it must be refused."""
    with np.load(path) as file:
        held = dict(file)
    name = rng.choice(sorted(held))
    way = rng.randrange(4)
    if way == 0:
        del held[name]
    elif way == 1:
        held["other"] = held.pop(name)
    elif way == 2:
        held[name] = np.array([None, print], dtype=object)
    else:
        held[name] = rng.choice(WRONG)(held[name])
    np.savez(path, **held)


def change_h5(path, rng):
    """Write another content: nothing, a group or a wrong array for the images, or labels of another shape."""
    with h5py.File(path, "r") as file:
        images = file["images"][()]
    with h5py.File(path, "w") as file:
        way = rng.randrange(5)
        if way == 0:
            file["other"] = images
        elif way == 1:
            file["images/inside"] = images
        elif way == 2:
            file["images"] = rng.choice(WRONG[:10])(images)[()]
        elif way == 3:
            file["images"], file["labels"] = images, rng.choice((np.zeros((len(images), 6)), np.zeros(3), b"text"))
        else:
            file["images"] = h5py.SoftLink(rng.choice(("/images", "/nowhere")))


def change_mat(path, rng):
    """Write another matrix of a car, or none."""
    image = loadmat(path)["im"]
    wrong = rng.choice((image[:64], image.astype(float), image[..., None], "text", {"a": 1}))
    savemat(path, rng.choice(({"im": wrong}, {"other": image}, {})))


def mutate(kind, path, rng):
    """Damage a file, take one away, or change its content -> whether it has changed bytes, and no checksum."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    file = rng.choice(files)
    if rng.random() < 0.5:
        damage(file, rng)
        return kind not in ("dsprites", "mpi3d")            # an .npz is a zip, which has checksums
    if kind == "smallnorb" or (kind == "cars3d" and rng.random() < 0.2):
        rng.choice((lambda: file.unlink(), lambda: file.rename(f"{file}.gz")))()
    else:
        {"dsprites": change_npz, "mpi3d": change_npz, "shapes3d": change_h5, "cars3d": change_mat}[kind](file, rng)
    return False


def opened(kind, path):
    """The data at a path, as ``load_data`` reads it; Cars3D with one car."""
    return OneCar(path) if kind == "cars3d" else load_data(Config.sprites(data_path=path))


def run(count, seed, folder, *only):
    """``count`` mutated files, of all KINDS or of some only; a line with how many were refused."""
    refused = same = unseen = 0
    slowest = 0.0
    with pytest.MonkeyPatch.context() as monkeypatch:
        field_files.expect_small(monkeypatch)
        monkeypatch.setattr(field_files, "DSPRITES", (2, 2, 3, 2, 2))
        monkeypatch.setitem(field_files.SMALL, Cars3D, OneCar.factor_sizes)
        for n in range(count):
            rng, name = random.Random(f"{seed} {n}"), f"file {n} of seed {seed}"
            kind = rng.choice(only or KINDS)
            here = folder / str(n)
            here.mkdir()
            path = here / (field_files.write(kind, here, seed=n)[len(str(here)) + 1:])
            data = opened(kind, path)
            factors = field_files.lattice(data.factor_sizes)
            whole = data.images(factors)
            del data                                    # and with it an open HDF5 file
            unsure = mutate(kind, path, rng)
            start = time.process_time()
            try:
                data = opened(kind, path)
                assert isinstance(data, FactorData), f"{name}, {kind}: taken for {type(data).__name__}"
                found = data.images(field_files.lattice(data.factor_sizes))
                assert found.shape == whole.shape, f"{name}, {kind}: another shape"
                if torch.equal(found, whole):
                    same += 1
                else:
                    assert unsure, f"{name}, {kind}: misread"
                    unseen += 1
            except (ValueError, FileNotFoundError) as error:
                assert len(str(error)) > 40 and str(here) in str(error), f"{name}, {kind}: a poor message ({error})"
                refused += 1
            except Exception as error:
                if isinstance(error, AssertionError):
                    raise
                raise AssertionError(f"{name}, {kind}: {type(error).__name__} is not documented ({error})") from error
            slowest = max(slowest, time.process_time() - start)
            assert slowest < SECONDS, f"{name}, {kind} took {slowest:.1f} s"
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3 < MEGABYTES, f"{name}, {kind}: memory"
            for file in sorted(here.rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
    return (f"{count} files: {refused} refused, {same} read as they were written, {unseen} without checksums read with "
            f"other pixels after bytes were changed; slowest {slowest:.1f} s of CPU")


def test_a_few(tmp_path):
    run(40, 0, tmp_path)
