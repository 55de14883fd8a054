"""What a data set is here: the readers of real files, splits, batches, fingerprints."""

import numpy as np
import pytest
import torch
from conftest import small_pictures
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bvae_helpers.config import Config
from bvae_helpers import data as D
from bvae_helpers.data import DSprites, Sprites

SIZES = (3, 2, 2, 2, 2)


class SmallDSprites(DSprites):
    """The reader of the real file on a lattice of 48 images."""

    factor_sizes = SIZES


class Bomb:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


@pytest.fixture
def dsprites_file(tmp_path):
    """A file laid out like the real one; its metadata is a pickle that must never be opened."""
    pixels = np.random.default_rng(0).integers(0, 2, (48, 64, 64), dtype=np.uint8)
    np.savez(tmp_path / "dsprites.npz", imgs=pixels, metadata=np.array(Bomb(tmp_path / "opened"), dtype=object))
    return tmp_path / "dsprites.npz", pixels


def test_dsprites_reads_in_lattice_order_and_opens_no_pickle(dsprites_file):
    path, pixels = dsprites_file
    data = SmallDSprites(path)
    images = data.images(torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [2, 1, 1, 1, 1]]))
    assert images.shape == (4, 1, 64, 64) and images.dtype == torch.uint8
    assert np.array_equal(images[:, 0].numpy(), pixels[[0, 1, 2, 47]] * 255)
    assert len(data) == 48 and not (path.parent / "opened").exists()
    np.load(path, allow_pickle=True)["metadata"]         # the trap does work
    assert (path.parent / "opened").exists()


def test_dsprites_answers_like_sprites(dsprites_file):
    data = SmallDSprites(dsprites_file[0])
    assert isinstance(data, D.FactorData)
    factors = data.sample_factors(200, torch.Generator().manual_seed(0))
    assert factors.shape == (200, 5) and [int(c.max()) + 1 for c in factors.T] == list(SIZES)
    assert len(D.as_images(data)) == 48
    with pytest.raises(ValueError, match="scale must be 0 to 1"):
        data.images(torch.tensor([[0, 2, 0, 0, 0]]))


@pytest.mark.parametrize("reader", (D.DSprites, D.Shapes3D))
def test_a_missing_file_says_where_to_get_it(reader, tmp_path):
    with pytest.raises(FileNotFoundError, match="no file at .*nothing.*https://github.com/google-deepmind.*Sprites()"):
        reader(tmp_path / "nothing.npz")


@pytest.mark.parametrize("content", (b"", b"text", "half", "other"))
def test_a_file_that_is_not_dsprites_is_named(dsprites_file, tmp_path, content):
    path = tmp_path / "wrong.npz"
    if content == "other":
        np.savez(path, weights=np.zeros(3))
    else:
        path.write_bytes(content if isinstance(content, bytes) else dsprites_file[0].read_bytes()[:-200])
    with pytest.raises(ValueError, match="wrong.npz' is not dSprites, or not all of it"):
        D.DSprites(path)


def test_load_data_chooses_the_reader(dsprites_file, tmp_path, monkeypatch):
    assert isinstance(D.load_data(Config.sprites()), Sprites)
    monkeypatch.setattr(DSprites, "factor_sizes", SIZES)
    assert isinstance(D.load_data(Config.sprites(data_path=dsprites_file[0])), DSprites)
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    assert D.load_data(Config(data_path=tmp_path, img_size=16)).shape == (1, 3, 16, 16)


def test_lattice_positions_and_classes():
    index = torch.arange(48)
    factors = D.factors_of(index, SIZES)
    assert torch.equal(D.index_of(factors, SIZES), index)
    assert factors[1].tolist() == [0, 0, 0, 0, 1] and factors[16].tolist() == [1, 0, 0, 0, 0]


def test_render_draws_n_or_all():
    images, factors = D.render(Sprites(), 7, seed=3)
    again, same = D.render(Sprites(), 7, seed=3)
    other = D.render(Sprites(), 7, seed=4)[1]
    assert images.shape == (7, 1, 64, 64) and torch.equal(images, again) and torch.equal(factors, same)
    assert not torch.equal(factors, other)
    assert torch.equal(images, Sprites().images(factors))


def test_as_images_takes_every_kind():
    pictures = small_pictures(6)
    for source in (pictures, pictures.numpy(), pictures.float() / 255, TensorDataset(pictures, torch.arange(6)),
                   [Image.fromarray(p[0].numpy()) for p in pictures]):
        images = D.as_images(source)
        taken = images.take(torch.tensor([4, 1]))
        assert (len(images), images.shape) == (6, (1, 16, 16))
        assert torch.equal(D.to_batch(taken), pictures[[4, 1]] / 255)
    assert len(D.as_images(pictures, 4)) == len(D.as_images(TensorDataset(pictures), 4)) == 4
    assert len(D.as_images(Sprites(), 9)) == 9


@pytest.mark.parametrize("source, error, said", [
    (torch.zeros(3, 16, 15), ValueError, r"shape \(N, C, S, S\)"),
    (torch.zeros(0, 1, 8, 8), ValueError, "no images"), ([torch.zeros(8)], ValueError, r"shape \(C, S, S\)"),
    (DataLoader(TensorDataset(torch.zeros(3, 1, 8, 8))), TypeError, "DataLoader"), (7, TypeError, "int")])
def test_as_images_says_what_it_cannot_take(source, error, said):
    with pytest.raises(error, match=said):
        D.as_images(source)


def test_split_is_a_partition_that_follows_the_seed():
    train, held_out = D.split(100, 0.2, seed=5)
    assert (len(train), len(held_out)) == (80, 20)
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(100))
    assert torch.equal(D.split(100, 0.2, seed=5)[0], train) and not torch.equal(D.split(100, 0.2, seed=6)[0], train)
    assert [len(part) for part in D.split(3, 0.1)] == [2, 1]       # never an empty one, where one is wanted
    assert [len(part) for part in D.split(10, 0.0)] == [10, 0]


def test_to_batch_is_float_in_0_1_and_leaves_its_argument_alone():
    pictures = small_pictures(2)
    before = pictures.clone()
    x = D.to_batch(pictures)
    assert x.dtype == torch.float32 and x.max() == 1 and torch.equal(pictures, before)
    colour = D.to_batch(torch.zeros(2, 3, 8, 8))
    assert colour.is_contiguous(memory_format=torch.channels_last)


def test_the_fingerprint_changes_with_the_images():
    pictures = small_pictures(10)
    other = pictures.clone()
    other[0, 0, 0, 0] ^= 1
    prints = {D.Images(source).fingerprint() for source in (pictures, other, pictures[:9], TensorDataset(pictures))}
    assert len(prints) == 4 and D.Images(pictures.clone()).fingerprint() in prints


# Arrays as people have them

GREY = torch.arange(2 * 16 * 16).view(2, 1, 16, 16) % 256


@pytest.mark.parametrize("images, expected, said", [
    (GREY.to(torch.uint8), GREY, ""), (GREY.int(), GREY, ""), (GREY.numpy().astype(np.uint16), GREY, ""),
    (GREY.numpy().astype(">i4"), GREY, ""), (GREY[:, 0], GREY, "taken for grey ones"),
    (GREY * 257, GREY, "16 bits"), ((GREY.numpy() * 257).astype(np.uint16), GREY, "16 bits"),
    (GREY > 99, (GREY > 99) * 255, ""), ((GREY > 99).to(torch.uint8), (GREY > 99) * 255, "black and white"),
    ((GREY > 99).numpy().astype(np.int8), (GREY > 99) * 255, "black and white"),
    *[(GREY.permute(0, 2, 3, 1).to(torch.uint8).expand(-1, -1, -1, c), GREY.expand(-1, c, -1, -1), "channels last")
      for c in (3, 5, 13)], (np.ma.masked_array(GREY.numpy()), GREY, "")])
def test_common_forms_of_images_are_recognised(images, expected, said, capsys):
    found = D.as_images(images)
    assert found.source.dtype == torch.uint8 and torch.equal(found.source.long(), expected.long())
    out = capsys.readouterr().out
    assert said in out and bool(out) == bool(said)


@pytest.mark.parametrize("images, said", [
    (GREY.float(), "divide by 255"), (GREY.float() / 51, "values from 0 to 5: rescale"),
    (np.ma.masked_array(GREY.numpy(), GREY.numpy() > 250), "10 values of the images are masked, .*array.filled.0."),
    (GREY.float() / 127.5 - 1, "rescale"), (GREY.float() * float("nan"), "NaN"),
    (GREY - 1, "values from -1 to 254"), (GREY * 70000, "0 to 255"), (GREY.to(torch.complex64), "uint8 or float"),
    (torch.zeros(3, 1, 0, 0), "uint8 or float"), (torch.zeros(4, 5), "shape .N, C, S, S."),
    (np.array(["a"]), "must be numbers"), (np.array([None]), "must be numbers")])
def test_other_values_are_refused_with_the_remedy(images, said):
    with pytest.raises(ValueError, match=said):
        D.as_images(images)


@pytest.mark.parametrize("item", (lambda x: {"image": x, "label": 3}, lambda x: {"label": 3, "picture": x, "name": "a"},
                                  lambda x: {"pixel_values": x.numpy()}, lambda x: (x, 1), lambda x: x[0],
                                  lambda x: x.permute(1, 2, 0).numpy(), lambda x: np.ma.masked_array(x.numpy())))
def test_items_of_a_dataset_are_understood(item):
    image = GREY[0].to(torch.uint8)
    assert torch.equal(D.image_of(item(image)), image)


def test_channels_last_of_any_number():
    image = GREY[0].to(torch.uint8).expand(7, -1, -1)
    assert torch.equal(D.image_of(image.permute(1, 2, 0).numpy()), image)


def test_a_dict_without_an_image_is_named():
    with pytest.raises(ValueError, match="no image .* keys label, name: call it 'image'"):
        D.image_of({"label": 3, "name": "a"})


# What a Dataset holds

class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, n):
        return self.items[n]


BYTES = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)


@pytest.mark.parametrize("item", [BYTES.long(), BYTES.short(), BYTES.to(torch.uint16), BYTES.numpy().astype(">i4"),
                                  BYTES.tolist(), (BYTES, 3), {"image": BYTES}, Image.fromarray(BYTES[0].numpy())])
def test_whole_numbers_of_a_dataset_are_bytes(item):
    image = D.as_images(Items([item] * 3)).take(torch.arange(3))
    assert image.dtype == torch.uint8 and torch.equal(image[1], BYTES)


@pytest.mark.parametrize("items, said", [
    ([BYTES.int() + 9], "from 0 to 255, or floats from 0 to 1, got torch.int64 from 9 to 264: rescale them"),
    ([BYTES / 255, BYTES / 255 + 4], "got torch.float32 from 4 to 5: leave out Normalize"),
    ([BYTES, BYTES / 255], "must have one type and one shape"),
    ([BYTES, BYTES[:, :8, :8]], "must have one type and one shape"),
    ([BYTES, np.ma.masked_array(BYTES.numpy(), BYTES.numpy() > 3)], "252 values of the images are masked"),
    ([BYTES * 0] * 60 + [(BYTES > 3).long()], "hold 0 and 1 as whole numbers, of 255: make them bool"),
    ([None], "no image in a Dataset's item: a NoneType"),
    (["cat.png"], "no image in a Dataset's item: a str"), ([BYTES.float().to_sparse()], "must be a plain tensor"),
    ([BYTES.to(torch.complex64)], "must be a plain tensor of numbers")])
def test_a_dataset_with_other_values_is_refused_whichever_image_has_them(items, said):
    with pytest.raises(ValueError, match=said):
        D.as_images(Items(items)).take(torch.arange(len(items)))


def test_a_dark_dataset_is_warned_of():
    for items in ([BYTES * 0] * 60 + [BYTES // 20], [BYTES / 255 / 20] * 3):
        with pytest.warns(UserWarning, match="almost black: their largest value is 12"):
            D.as_images(Items(items))


@pytest.mark.parametrize("data, said", [("sprites", "open a path first"), ({"imgs": BYTES}, "no images in a dict"),
                                        (DataLoader(Items([BYTES])), "give its dataset"),
                                        (iter([BYTES]), "give a tensor")])
def test_what_holds_no_images_is_named(data, said):
    with pytest.raises(TypeError, match=said):
        D.as_images(data)


def test_tensors_of_any_kind_have_a_fingerprint():
    images = torch.linspace(0, 0.9, 192).view(3, 1, 8, 8)
    for kind in (images.bfloat16(), images.half(), images.double(), images.clone().requires_grad_(), images > 0.5):
        assert D.as_images(kind).fingerprint().startswith("3 x (1, 8, 8), ")
    with pytest.raises(ValueError, match="must be a plain tensor"):
        D.as_images(images.to_sparse())
    with pytest.warns(UserWarning, match="almost black: their largest value is 0.9"):
        D.as_images(images / 255)
