"""The field's files: each reader on a small file of exactly the published layout, editions of dSprites, and wrong
files."""

import io
import zipfile

import h5py
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from field_files import DSPRITES as SIZES
from field_files import DRAWN, FILES, GREY, dsprites_part, expect_small, lattice, write, write_norb_parts
from scipy.io import savemat

from bvae_helpers import metrics, plots
from bvae_helpers.__main__ import main
from bvae_helpers.config import Config
from bvae_helpers.data import (MPI3D, Cars3D, ColourSprites, DSprites, FactorData, NoisySprites, PictureSprites,
                               Shapes3D, SmallNORB, Sprites, factors_of, load_data, render)
from bvae_helpers.explorer import LatentExplorer
from bvae_helpers.metrics import _evaluation
from bvae_helpers.model import BetaVAE
from bvae_helpers.training import fit, results

RNG = np.random.default_rng(0)


# dSprites



@pytest.fixture
def part():
    """A part of the lattice of the real thing: images, and classes counted in this part with the colour before them."""
    return dsprites_part()


@pytest.mark.parametrize("pixels", (lambda p: p // 255, lambda p: p, lambda p: p > 0,
                                    lambda p: (p / 255).astype(np.float32),
                                    lambda p: (p // 255)[:, None], lambda p: p[..., None].astype(">i8")))
@pytest.mark.parametrize("columns", (slice(0, 6), slice(1, 6)))
def test_any_edition_of_dsprites_is_the_same_data(part, tmp_path, pixels, columns, capsys):
    images, classes = part
    np.savez(tmp_path / "d.npz", imgs=pixels(images), latents_classes=classes[:, columns])
    data = DSprites(tmp_path / "d.npz")
    assert data.factor_sizes == SIZES and len(data) == len(images)
    assert np.array_equal(data.images(lattice(SIZES))[:, 0].numpy(), images)
    assert "a part of dSprites, 600 images" in capsys.readouterr().out


def test_rows_in_any_order_and_classes_of_the_whole_set_are_found(part, tmp_path):
    images, classes = part
    order = RNG.permutation(len(images))
    whole = classes[:, 1:] * [1, 5, 10, 6, 6]                       # counted in all of dSprites, with gaps
    np.savez_compressed(tmp_path / "d.npz", imgs=images[order], latents_classes=whole[order])
    assert np.array_equal(DSprites(tmp_path / "d.npz").images(lattice(SIZES))[:, 0].numpy(), images)


@pytest.mark.parametrize("spoil, said", [
    (lambda i, c: (i[:-1], c[:-1]), "each of the 600 combinations"),
    (lambda i, c: (i, c[:-1]), "of shape .600, 5., got int64 .599, 5."),
    (lambda i, c: (i, c[:, 1:] * np.nan), "finite numbers"), (lambda i, c: (i, c[:, ::-1]), "the colour"),
    (lambda i, c: (i, c[:, :0:-1]), "in another order"), (lambda i, c: (i[:, :32], c), "shape .N, 64, 64."),
    (lambda i, c: (i // 2, c), "0 or 255"), (lambda i, c: (i * 0, c), "values from 0 to 0"),
    (lambda i, c: (i, np.repeat(c[:1], len(c), 0)), "combinations")])
def test_what_is_not_dsprites_is_refused_with_the_reason(part, tmp_path, spoil, said):
    images, classes = spoil(*part)
    np.savez(tmp_path / "d.npz", imgs=images, latents_classes=classes)
    with pytest.raises(ValueError, match=f"d.npz' is not dSprites, or not all of it: .*{said}"):
        DSprites(tmp_path / "d.npz")


def test_values_stand_for_classes(part, tmp_path):
    images, classes = part
    np.savez(tmp_path / "d.npz", imgs=images, latents_values=1 + classes / 7)
    assert np.array_equal(DSprites(tmp_path / "d.npz").images(lattice(SIZES))[:, 0].numpy(), images)


def test_an_array_is_looked_at_before_it_is_read(tmp_path):
    """An .npz of a few hundred bytes whose header says 40 TB."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10 ** 10, 64, 64)})
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as file:
        file.writestr("imgs.npy", header.getvalue())
    with pytest.raises(ValueError, match="images take 40960 GB"):
        DSprites(tmp_path / "d.npz")
    np.savez(tmp_path / "e.npz", x_train=np.zeros(3))
    with pytest.raises(ValueError, match="it holds x_train, no 'imgs'"):
        load_data(Config(data_path=tmp_path / "e.npz"))


def test_a_part_without_classes_is_refused(part, tmp_path):
    np.savez(tmp_path / "d.npz", imgs=part[0])
    with pytest.raises(ValueError, match="without 'latents_classes' it must hold all 737,280 images, got 600"):
        DSprites(tmp_path / "d.npz")


# 3D Shapes

class SmallShapes(Shapes3D):
    factor_sizes = (2, 2, 2, 2, 2, 3)


@pytest.mark.parametrize("storage", ({}, {"chunks": (5, 64, 64, 3), "compression": "gzip"}))
def test_shapes3d_reads_any_rows_in_any_order(tmp_path, storage):
    pixels = RNG.integers(0, 256, (96, 64, 64, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "3dshapes.h5", "w") as file:
        file.create_dataset("images", data=pixels, **storage)
    data, rows = SmallShapes(tmp_path / "3dshapes.h5"), RNG.integers(0, 96, 200)
    images = data.images(factors_of(torch.from_numpy(rows), data.factor_sizes))
    assert images.dtype == torch.uint8 and np.array_equal(images.numpy(), pixels[rows].transpose(0, 3, 1, 2))


def test_shapes3d_finds_its_order_in_its_labels(tmp_path):
    """A part of the lattice, shuffled, and labels that are no whole numbers."""
    sizes = (2, 1, 3, 2, 2, 4)
    pixels, order = RNG.integers(0, 256, (96, 64, 64, 3), dtype=np.uint8), RNG.permutation(96)
    with h5py.File(tmp_path / "3dshapes.h5", "w") as file:
        file["images"], file["labels"] = pixels[order], lattice(sizes).numpy()[order] / 10
    data = Shapes3D(tmp_path / "3dshapes.h5")
    assert data.factor_sizes == sizes
    assert np.array_equal(data.images(lattice(sizes)).numpy(), pixels.transpose(0, 3, 1, 2))


def test_shapes3d_names_the_images_that_are_damaged(tmp_path):
    path = tmp_path / "3dshapes.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=RNG.integers(0, 256, (96, 64, 64, 3), dtype=np.uint8), chunks=(8, 64, 64, 3),
                            compression="gzip")
        at = file["images"].id.get_chunk_info(3).byte_offset
    content = bytearray(path.read_bytes())
    content[at + 500:at + 600] = bytes(100)
    path.write_bytes(content)
    data = SmallShapes(path)
    data.images(lattice(data.factor_sizes)[:24])
    with pytest.raises(ValueError, match="images 24 to 31 cannot be read"):
        data.images(lattice(data.factor_sizes))


@pytest.mark.parametrize("held, said", [({"weights": np.zeros(3)}, "holds weights, no array 'images'"),
                                        ({"images": np.zeros((4, 64, 64, 3), np.uint8)},
                                         "must hold all 480,000 images, got 4"),
                                        ({"images": np.zeros((4, 64, 64, 3))},
                                         "must be uint8 .N, 64, 64, 3., got float64"),
                                        ({"images": np.zeros((4, 3, 64, 64), np.uint8)},
                                         "must be uint8 .N, 64, 64, 3."),
                                        ({"images": np.zeros((4, 64, 64, 3), np.uint8), "labels": np.zeros((3, 6))},
                                         "'labels' must have shape .4, 6., got .3, 6."),
                                        ({"images": np.zeros((4, 64, 64, 3), np.uint8), "labels": np.zeros((4, 6))},
                                         "each of the 1 combinations of its classes once"),
                                        ({"images/of": np.zeros(3)}, "holds images, no array 'images'"),
                                        (None, "not 3D Shapes, or not all of it")])
def test_another_h5_file_is_named(tmp_path, held, said):
    path = tmp_path / "other.h5"
    if held is None:
        path.write_bytes(b"text")
    else:
        with h5py.File(path, "w") as file:
            file.update(held)
    with pytest.raises(ValueError, match=said):
        Shapes3D(path)


# MPI3D, Cars3D, SmallNORB

class SmallMPI3D(MPI3D):
    editions = ((2, 2, 2, 1, 1, 2, 3), (2, 2, 1, 1, 1, 2, 2))


@pytest.mark.parametrize("edition", (0, 1))
def test_mpi3d(tmp_path, edition):
    sizes = SmallMPI3D.editions[edition]
    pixels = RNG.integers(0, 256, (int(np.prod(sizes)), 64, 64, 3), dtype=np.uint8)
    np.savez(tmp_path / "mpi3d.npz", images=pixels)
    data = SmallMPI3D(tmp_path / "mpi3d.npz")
    assert data.factor_sizes == sizes
    assert np.array_equal(data.images(lattice(sizes)[[5, 1]]).numpy(), pixels[[5, 1]].transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match="must be uint8 .* with N 1,036,800 or 460,800"):
        load_data(Config(data_path=tmp_path / "mpi3d.npz"))


def test_cars3d_reads_a_folder_of_matrices(tmp_path):
    class SmallCars(Cars3D):
        factor_sizes = (4, 24, 3)

    cars = RNG.integers(0, 256, (3, 128, 128, 3, 24, 4), dtype=np.uint8)
    for k, car in enumerate(cars):
        savemat(tmp_path / f"car_{k:03d}_mesh.mat", {"im": car})
    data = SmallCars(tmp_path)
    image = data.images(torch.tensor([[3, 7, 2]]))[0].numpy()            # elevation, azimuth, car
    expected = cars[2, :, :, :, 7, 3].astype(float).reshape(64, 2, 64, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert abs(image - expected).max() <= 1          # pillow rounds twice
    with pytest.raises(ValueError, match="must hold 183 .mat files, got 3"):
        Cars3D(tmp_path)
    for held, said in (({"im": cars[0, :64]}, "'im' must be uint8"),
                       ({"other": cars[0, :1]}, "'im' must be uint8 .*, got none"),
                       ({"im": "text"}, "'im' must be uint8")):
        savemat(tmp_path / "car_001_mesh.mat", held)
        with pytest.raises(ValueError, match=f"car_001_mesh.mat cannot be read .{said}"):
            SmallCars(tmp_path)
    (tmp_path / "car_001_mesh.mat").write_bytes(b"no matrix" * 100)
    with pytest.raises(ValueError, match="car_001_mesh.mat cannot be read"):
        SmallCars(tmp_path)


@pytest.fixture
def norb(tmp_path):
    """Both parts, with 2 of 2 categories, 1 instance each, 2 elevations, 2 azimuths (counted by twos), 2 lightings."""
    return tmp_path, write_norb_parts(tmp_path, RNG)


class SmallerNORB(SmallNORB):
    factor_sizes = (2, 2, 2, 2, 2)


def test_smallnorb_puts_both_parts_into_one_lattice(norb):
    folder, held = norb
    data = SmallerNORB(folder)
    factors = lattice(data.factor_sizes)
    images = data.images(factors)
    assert images.shape == (32, 1, 64, 64)
    for (category, instance, elevation, azimuth, light), image in zip(factors.tolist(), images):
        original = held[category, (1, 4)[instance], elevation, 2 * azimuth, light]
        assert abs(float(image.float().mean()) - original.mean()) < 2          # areas keep the mean
    with pytest.raises(ValueError, match="its factors must take .5, 10, 9, 18, 6. values, got .2, 2, 2, 2, 2."):
        load_data(Config(data_path=folder))


def test_a_norb_file_that_is_missing_or_packed_is_named(norb):
    folder, _ = norb
    file = folder / "smallnorb-testing-info.mat"
    file.rename(f"{file}.gz")
    with pytest.raises(ValueError, match="must hold one file .testing-info.mat, got 0; unpack the .mat.gz files first"):
        load_data(Config(data_path=folder))
    (folder / f"{file.name}.gz").unlink()
    with pytest.raises(ValueError, match="must hold one file .testing-info.mat, got 0. Get it from"):
        load_data(Config(data_path=folder))


def test_a_damaged_norb_matrix_is_named(norb):
    folder, _ = norb
    path = folder / "smallnorb-testing-dat.mat"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="testing-dat.mat is not as long as its shape"):
        SmallerNORB(folder)
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="testing-dat.mat does not begin"):
        SmallerNORB(folder)


# Drawn editions

@pytest.mark.parametrize("name, kind", [("sprites-colour", ColourSprites), ("sprites-noise", NoisySprites),
                                        ("sprites-picture", PictureSprites)])
def test_an_edition_draws_the_same_image_of_the_same_factors(name, kind):
    data = load_data(Config.sprites(data_path=name, in_channels=3))
    factors = data.sample_factors(300, torch.Generator().manual_seed(0))
    images = data.images(factors)
    assert type(data) is kind and isinstance(data, FactorData)
    assert images.shape == (300, 3, 64, 64) and images.dtype == torch.uint8
    assert torch.equal(images[7:9], data.images(factors[7:9])) and not torch.equal(images, kind(seed=1).images(factors))


def test_what_the_editions_draw():
    factors = Sprites().sample_factors(300, torch.Generator().manual_seed(0))
    inside = Sprites().images(factors).expand(-1, 3, -1, -1) > 0
    colour, noise, picture = (kind().images(factors) for kind in (ColourSprites, NoisySprites, PictureSprites))
    assert (colour[~inside] == 0).all() and colour[inside].min() >= 127
    each = [image[:, mask[0]] for image, mask in zip(colour, inside)]
    assert all((c == c[:, :1]).all() for c in each) and len({tuple(c[:, 0].tolist()) for c in each}) > 290
    assert (noise[inside] == 255).all()
    values = noise[~inside].float() / 255
    assert abs(values.mean() - 0.5) < 0.005 and abs(values.std() - 12 ** -0.5) < 0.005
    plain = PictureSprites(picture=torch.full((3, 64, 64), 100, dtype=torch.uint8)).images(factors[:1]).float()[0]
    for channel, mask in zip(plain, inside[0]):
        assert channel[mask].unique() + channel[~mask].unique() == 255                 # inverted
    assert picture.float().std(0).mean() > 30                                          # backgrounds differ
    with pytest.raises(ValueError, match="picture must be uint8 .3, H, W."):
        PictureSprites(picture=torch.zeros(3, 64, 64))


# What takes sprites takes them all

SMALL_RUN = dict(patch=4, hidden_dims=[4, 4], latent_dim=3, epochs=1, num_images=60, batch_size=16, log_dir=None)


@pytest.mark.parametrize("kind", (*DRAWN, *FILES))
def test_training_scores_figures_and_sliders_take_the_data(kind, tmp_path, monkeypatch):
    expect_small(monkeypatch)
    config = Config.sprites(data_path=write(kind, tmp_path), in_channels=1 if kind in GREY else 3, save_dir=None,
                            **SMALL_RUN)
    data = load_data(config)
    images, factors = render(data, 60, seed=0)
    assert isinstance(data, FactorData) and images.shape[1:] == (config.in_channels, 64, 64)
    assert images.dtype == torch.uint8
    torch.manual_seed(0)
    model = BetaVAE.from_config(config)
    assert len(fit(model, data, config, progress=False, device="cpu")["val_loss"]) == 1
    found = metrics.evaluate(model, data, (0,), 60, 30, dci=False, verbose=False, against=())
    assert 0 <= found.mean("mig") <= 1 and 0 <= found.mean("factor_vae") <= 1
    plt.close(plots.signature(model, images, factors, data.factor_names))
    explorer = LatentExplorer(model, images, data, factors)
    before, first = explorer.picture.value, explorer.order[0]
    explorer.set(first, explorer.sliders[first].max)
    assert explorer.picture.value != before


@pytest.mark.parametrize("kind", (*DRAWN, *FILES))
def test_the_command_line_takes_the_data(kind, tmp_path, monkeypatch, capsys):
    """Train, evaluate, draw, export and sweep. Of the scores, DCI takes minutes for all kinds: test_cli has it."""
    expect_small(monkeypatch)
    monkeypatch.setattr(_evaluation, "SCORES", [score for score in _evaluation.SCORES if score[0] != "dci"])
    monkeypatch.chdir(tmp_path)
    path = write(kind, tmp_path)
    small = ["--preset", "sprites", "--data-path", path, "--in-channels", "1" if kind in GREY else "3", "--patch", "4",
             "--hidden-dims", "4", "4", "--num-images", "64", "--epochs", "1", "--latent-dim", "3", "--log-dir", "none",
             "--device", "cpu"]
    main(["train", *small, "--save-dir", "run"])
    main(["evaluate", "run/final_model.pt", "--scores", "--no-baselines", "--images", "90", "--device", "cpu"])
    said = capsys.readouterr().out
    assert "MIG" in said and "factor_vae" in said
    seen = ["run/final_model.pt", "--images", "60", "--data-path", path, "--device", "cpu"]
    main(["traverse", *seen, "--out", "t.png"])
    main(["export", *seen, "--out", "t.html"])
    assert (tmp_path / "t.png").stat().st_size > 1000 and (tmp_path / "t.html").stat().st_size > 10_000
    main(["sweep", *small, "--save-dir", "runs", "--beta", "1,4", "--samples", "100", "--no-dci", "--table", "t.csv"])
    assert [row["beta"] for row in results.read("t.csv")] == [1, 4]
