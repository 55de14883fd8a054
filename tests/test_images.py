"""Folders of pictures: found, decoded, cut square; broken ones named."""

import pytest
import torch
from PIL import Image

from bvae_helpers.images import find_images, load_folder


def paint(path, colour="red", size=(40, 40), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


def test_nested_folders_and_upper_case_suffixes(tmp_path):
    paint(tmp_path / "b.png", "blue")
    paint(tmp_path / "deep" / "er" / "c.JPG", "red", format="JPEG")
    paint(tmp_path / "a.jpeg", "green")
    (tmp_path / "notes.txt").write_text("no picture")
    assert [p.name for p in find_images(tmp_path)] == ["a.jpeg", "b.png", "c.JPG"]
    images = load_folder(tmp_path, img_size=16)
    assert images.shape == (3, 3, 16, 16) and images.dtype == torch.uint8
    assert images[1].flatten(1).float().mean(1).tolist() == [0, 0, 255]
    assert torch.equal(load_folder(tmp_path, img_size=16, num_images=2), images[:2])


def test_the_central_square_is_kept(tmp_path):
    picture = Image.new("RGB", (90, 30), "red")
    picture.paste("lime", (30, 0, 60, 30))
    picture.save(tmp_path / "a.png")
    lime = torch.tensor([0, 255, 0], dtype=torch.uint8)[:, None, None].expand(3, 10, 10)
    image = load_folder(tmp_path, img_size=10)[0]
    assert torch.equal(image[:, :, 1:-1], lime[:, :, 1:-1])
    # the filter of the outermost columns reaches over the cut
    assert (image[1] > 200).all()


def test_pictures_are_put_upright(tmp_path):
    picture = Image.new("RGB", (20, 20), "black")
    picture.paste("white", (0, 0, 20, 10))               # white above
    exif = Image.Exif()
    exif[0x0112] = 3                                     # taken upside down
    picture.save(tmp_path / "a.png", exif=exif)
    image = load_folder(tmp_path, img_size=20)[0]
    assert image[:, :10].max() == 0 and image[:, 10:].min() == 255


def test_grey_and_other_modes(tmp_path):
    paint(tmp_path / "a.png", 100, mode="L")
    paint(tmp_path / "b.png", (100, 100, 100, 255), mode="RGBA")
    paint(tmp_path / "c.png", 0, mode="P")
    grey = load_folder(tmp_path, img_size=8, in_channels=1)
    assert grey.shape == (3, 1, 8, 8) and (grey[:2] == 100).all()
    assert (load_folder(tmp_path, img_size=8)[:2] == 100).all()
    with pytest.raises(ValueError, match="in_channels 1 .* or 3"):
        load_folder(tmp_path, in_channels=2)


def test_a_broken_picture_is_skipped_and_named(tmp_path):
    for name in "abc":
        paint(tmp_path / f"{name}.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff this is no JPEG")
    paint(tmp_path / "whole.jpg", size=(200, 200))
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"2 of 6 pictures .*broken\.jpg") as said:
        images = load_folder(tmp_path, img_size=8)
    assert len(images) == 4 and "cut.jpg" in str(said[0].message)


def test_more_broken_than_whole_is_an_error(tmp_path):
    paint(tmp_path / "a.png")
    for name in "bc":
        (tmp_path / f"{name}.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="2 of 3 pictures could not be read"):
        load_folder(tmp_path)


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder at .*nowhere.*data_path"):
        load_folder(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match="no pictures .*jpg"):
        load_folder(tmp_path)


def test_photographs(shared_file):
    images = load_folder(shared_file("faces/img_align_celeba"), img_size=64, num_images=20)
    assert images.shape == (20, 3, 64, 64)
    assert (images.float().flatten(1).std(1) > 10).all()     # pictures, not blanks
