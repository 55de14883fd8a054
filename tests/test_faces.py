"""The cartoon faces: nine causes, each seen in the image and in no other's place; and their folder of JPEGs."""

import pytest
import torch
from PIL import Image

from bvae_helpers.__main__ import main
from bvae_helpers.checkpoints import load_model
from bvae_helpers.config import Config
from bvae_helpers.data import load_data, render
from bvae_helpers.data.celeba import CelebA
from bvae_helpers.data.faces import ATTRIBUTES, CHUNK, FACTOR_NAMES, FACTOR_SIZES, CartoonFaces

FACES = CartoonFaces()
FACTORS = list(range(len(FACTOR_NAMES)))


def several(n=24, seed=0):
    return FACES.sample_factors(n, torch.Generator().manual_seed(seed))


def classes_of(factor, others):
    """Every class of one factor on faces that otherwise are ``others`` (N, 9) -> float images (size, N, 3, 64, 64)."""
    rows = []
    for value in range(FACTOR_SIZES[factor]):
        changed = others.clone()
        changed[:, factor] = value
        rows.append(FACES.images(changed).float())
    return torch.stack(rows)


def test_contract():
    factors = several(5)
    images = FACES.images(factors)
    assert FACES.factor_names == FACTOR_NAMES and FACES.factor_sizes == FACTOR_SIZES
    assert len(FACTOR_NAMES) >= 8 and len(FACES) == torch.tensor(FACTOR_SIZES).prod() >= 100_000
    assert images.shape == (5, 3, 64, 64) and images.dtype == torch.uint8
    assert FACES.images(factors[:0]).shape == (0, 3, 64, 64)
    assert torch.equal(images, CartoonFaces().images(factors))


def test_an_image_depends_on_its_own_factors_only():
    factors = several(2 * CHUNK + 3, seed=1)                    # several chunks, the last one short
    together = FACES.images(factors)
    some = torch.arange(0, len(factors), 51)
    assert torch.equal(together[some], torch.cat([FACES.images(factors[i:i + 1]) for i in some]))


def test_sample_factors_reach_every_class_and_follow_the_generator():
    draws = [several(500, seed) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert [len(column.unique()) for column in draws[0].T] == list(FACTOR_SIZES)


@pytest.mark.parametrize("factor", FACTORS, ids=FACTOR_NAMES)
def test_every_class_is_seen_on_every_face(factor):
    rows = classes_of(factor, several())
    for one, next_one in zip(rows, rows[1:]):
        changed = (one - next_one).abs().amax(dim=1) > 20       # of 255, any channel: (N, 64, 64)
        assert changed.sum((1, 2)).min() >= 10                  # pixels, on the face where it shows least


@pytest.mark.parametrize("factor", FACTORS, ids=FACTOR_NAMES)
def test_neighbours_look_most_alike(factor):
    flat = classes_of(factor, several()).flatten(2).transpose(0, 1)             # (N, size, pixels)
    apart = torch.cdist(flat, flat).mean(0).fill_diagonal_(float("inf"))        # of every two classes, on average
    assert ((apart.argmin(1) - torch.arange(len(apart))).abs() == 1).all()


def test_what_the_names_say():
    """Measured on the pixels: where the colour is, and to which side things move."""
    base = several(1)
    for factor in ("background", "skin", "hair_colour"):
        shown = classes_of(FACTOR_NAMES.index(factor), base)[:, 0]
        where = {"background": (2, 2), "skin": (49, 32), "hair_colour": (17, 26)}[factor]       # row, column
        assert len({tuple(pixel.tolist()) for pixel in shown[:, :, where[0], where[1]]}) == len(shown)
    dark = classes_of(FACTOR_NAMES.index("skin"), base)[:, 0, :, 49, 32].sum(1)
    assert (dark.diff() < 0).all()                              # light to dark
    front = torch.tensor([[5, 0, 2, 0, 4, 2, 2, 3, 3]])         # pale, eyes wide, straight ahead
    irises = 255 - classes_of(FACTOR_NAMES.index("gaze"), front)[:, 0, 0, 31:39, 14:50]        # they lack red
    columns = torch.arange(irises.shape[-1]) + 0.5
    centre = (irises.sum(1) * columns).sum(1) / irises.sum((1, 2))
    assert (centre.diff() > 0).all()                            # rightwards


def test_turning_left_mirrors_turning_right_but_for_the_parting():
    front = torch.tensor([[5, 1, 2, 0, 4, 2, 2, 3, 3]])
    turned = classes_of(FACTOR_NAMES.index("turn"), front)[:, 0]
    mouth = slice(44, 54)                                       # rows; eyes and hair are lit from one side
    assert (turned[0, :, mouth] - turned[-1, :, mouth].flip(-1)).abs().max() <= 2


@pytest.mark.parametrize("img_size", (16, 32, 128))
def test_other_sizes_show_the_same_face(img_size):
    images = CartoonFaces(img_size=img_size).images(several(4))
    assert images.shape == (4, 3, img_size, img_size)
    ours, small = (torch.nn.functional.adaptive_avg_pool2d(i.float(), 8) for i in (images, FACES.images(several(4))))
    assert (ours - small).abs().mean() < 6                      # of 255, on average over blocks


@pytest.mark.parametrize("factors, said", [
    (torch.zeros(2, 5, dtype=torch.long), r"shape \(N, 9\)"), (torch.zeros(9, dtype=torch.long), r"shape \(N, 9\)"),
    (torch.zeros(1, 9), "integer"), (torch.zeros(1, 9, dtype=torch.bool), "integer"),
    (torch.tensor([[8, 0, 0, 0, 0, 0, 0, 0, 0]]), "background must be 0 to 7, got 8"),
    (torch.tensor([[0, 0, 0, 0, 0, 0, 0, 0, -1]]), "turn must be 0 to 6, got -1")])
def test_wrong_factors_are_named(factors, said):
    with pytest.raises(ValueError, match=said):
        FACES.images(factors)


def test_a_size_without_a_face_is_refused():
    with pytest.raises(ValueError, match="img_size must be 16 or more, got 8"):
        CartoonFaces(img_size=8)


def test_attributes_follow_the_factors():
    factors = several(200)
    held = FACES.attributes(factors)
    assert held.shape == (200, len(ATTRIBUTES)) and set(held.unique().tolist()) == {-1, 1}
    smiling = held[:, list(ATTRIBUTES).index("Smiling")] == 1
    smile = factors[:, FACTOR_NAMES.index("smile")]
    assert smile[smiling].min() > smile[~smiling].max()
    assert all(column.min() < column.max() for column in held.T)        # each is there on some faces, not on all


def test_the_written_folder_loads_back(tmp_path):
    pictures = FACES.write_folder(tmp_path / "drawn", 30, seed=3)
    images, factors = render(FACES, 30, 3)
    back = CelebA(pictures, crop=None)
    assert back.attribute_names == tuple(ATTRIBUTES)
    assert torch.equal(back.attributes, FACES.attributes(factors) > 0)
    assert back.pixels.shape == images.shape
    assert (back.pixels.float() - images.float()).abs().mean() < 8  # of 255: JPEG halves the resolution of colour


def test_nobodys_pictures_are_overwritten(tmp_path):
    (tmp_path / "img_align_celeba").mkdir()
    (tmp_path / "img_align_celeba" / "000001.jpg").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="already holds pictures"):
        FACES.write_folder(tmp_path, 3)
    assert (tmp_path / "img_align_celeba" / "000001.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize("error, said", [(OSError(28, "No space left"), "cannot be written .*No space left.*with room"),
                                         (KeyboardInterrupt(), "")])
def test_half_a_folder_is_not_left(tmp_path, monkeypatch, error, said):
    """A full disk left pictures without their list, and then they were taken for somebody's."""
    save, saved = Image.Image.save, []

    def fills_up(picture, path, **options):
        saved.append(path)
        if len(saved) == 5:
            raise error
        save(picture, path, **options)

    with monkeypatch.context() as patch, pytest.raises(type(error), match=said):
        patch.setattr(Image.Image, "save", fills_up)
        FACES.write_folder(tmp_path, 8)
    assert list(tmp_path.iterdir()) == []
    assert len(list(FACES.write_folder(tmp_path, 8).iterdir())) == 8


def test_the_preset_names_these_data():
    config = Config.faces(num_images=20)
    data = load_data(config)
    assert isinstance(data, CartoonFaces)
    assert data.images(several(2)).shape == (2, config.in_channels, config.img_size, config.img_size)


def test_the_preset_on_the_command_line(tmp_path):
    main(["train", "--preset", "faces", "--num-images", "40", "--epochs", "1", "--hidden-dims", "4", "--latent-dim",
          "2", "--save-dir", str(tmp_path), "--log-dir", "none", "--device", "cpu"])
    model = load_model(tmp_path / "final_model.pt")
    assert model.config.data_path == "faces" and model.config.sigma == Config.faces().sigma


def test_drawing_all_ten_million_is_refused():
    with pytest.raises(ValueError, match="num_images"):
        render(FACES)
