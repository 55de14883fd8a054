"""CelebA's lists as other people's programs save them: read exactly, or refused in words; never shifted."""

import pytest
import torch
from PIL import Image

from bvae_helpers.data.celeba import CelebA
from bvae_helpers.data.lists import read_list

NAMES, ROWS = ("Smiling", "Male"), {"000001": [1, -1], "000002": [0, 1]}
TABLE = {
    "the official layout": "2\nSmiling Male\n000001.jpg  1 -1\n000002.jpg  0  1\n",
    "Kaggle's": "image_id,Smiling,Male\n000001.jpg,1,-1\n000002.jpg,0,1\n",
    "another first column": "File Name,Smiling,Male\n000001.jpg,1,-1\n000002.jpg,0,1\n",
    "semicolons, empty columns": "image_id;Smiling;Male;;\n000001.jpg;1;-1;;\n000002.jpg;0;1;;\n;;;;\n",
    "a line for the spreadsheet": "sep=;\nimage_id;Smiling;Male\n000001.jpg;1;-1\n000002.jpg;0;1\n",
    "tabs": "image_id\tSmiling\tMale\n000001.jpg\t1\t-1\n000002.jpg\t0\t1\n",
    "quotes": '"image_id","Smiling","Male"\n"000001.jpg","1","-1"\n"000002.jpg","0","1"\n',
    "floats": "image_id,Smiling,Male\n000001.jpg,1.0,-1.0\n000002.jpg,0.0,1.0\n",
    "decimal commas": "image_id;Smiling;Male\n000001.jpg;1,0;-1,0\n000002.jpg;0,0;1,0\n",
    "an index of pandas": ",image_id,Smiling,Male\n0,000001.jpg,1,-1\n1,000002.jpg,0,1\n",
    "another edition": "image_id,Smiling,Male\n000001.png,1,-1\n000002.PNG,0,1\n",
    "lines of Windows": "image_id,Smiling,Male\r\n000001.jpg,1,-1\r\n000002.jpg,0,1\r\n",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("name", TABLE)
def test_tables_of_every_program(tmp_path, name, encoding):
    (tmp_path / "list.csv").write_bytes(TABLE[name].encode(encoding))
    assert read_list(tmp_path / "list.csv") == (NAMES, ROWS)


def test_true_and_false(tmp_path):
    (tmp_path / "list.csv").write_text("image_id,Smiling,Male\n1.jpg,True,False\n2.jpg,FALSE,TRUE\n")
    assert read_list(tmp_path / "list.csv") == (NAMES, {"1": [1, 0], "2": [0, 1]})


@pytest.mark.parametrize("text, said", [
    ("image_id,Smiling\n1.jpg,1,1\n", "has 2 columns in its header, but its first picture has 3"),
    ("Smiling,Male\n1.jpg,1,1\n", "has 2 columns in its header, but its first picture has 3"),  # its first cell deleted
    ("image_id,Smiling,Male,Young\n1.jpg,1,1\n", "has 4 columns in its header"),
    ("Smiling,image_id,Male\n1,1.jpg,1\n", "pictures must be the first column of .*, not 'Smiling'"),
    ("image_id,Male,Male\n1.jpg,1,1\n", "needs a name of its own"),
    ("image_id,,Male\n1.jpg,1,1\n", "needs a name of its own"),
    ("image_id,Smiling,Male\n1.jpg,1,yes\n",
     r"line 2 of .*'1.jpg,1,yes'. Expected: .* 2 values, each 1, 0 or -1 \(or True"),
    ("image_id,Smiling,Male\n1.jpg,1,0.5\n", "line 2 of .*damaged"),
    ("image_id,Smiling,Male\n1.jpg,1,1\n2.jpg,1\n", "line 3 of .*damaged"),
    ("image_id,Smiling,Male\n1.jpg,1,1\n2,1,1\n", "line 3 of .*damaged"),
    ("image_id,Smiling,Male\n1.jpg,1,1\n1.png,1,-1\n", "line 3 of .*gives '1' other values"),
    ("image_id,Smiling,Male\n1,1,1\n", "names no picture: its first column must hold names such as 000001.jpg"),
    ("", "names no picture"), ("PK\x03\x04\x00\x00.jpg", "is no text: save it as CSV")])
def test_tables_that_could_be_misread(tmp_path, text, said):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_list(tmp_path / "list.csv")


def faces(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), "red").save(folder / name)
    return folder


def test_the_png_edition_with_the_list_of_jpegs(tmp_path):
    folder = faces(tmp_path / "img_align_celeba_png", ["000001.png", "000002.png"])
    (tmp_path / "list_attr_celeba.txt").write_text(TABLE["the official layout"])
    images = CelebA(folder, 8)
    assert images.attributes.tolist() == [[True, False], [False, True]] and images.described.all()


def test_two_pictures_of_one_name_do_not_share_a_line(tmp_path):
    """Paths in the list tell them apart; without paths, neither is described."""
    folder = faces(tmp_path / "pictures", ["a/1.png", "b/1.png", "b/2.png"])
    file = tmp_path / "list_attr_celeba.csv"
    file.write_text("image_id,Smiling\n1.png,1\n2.png,1\n")
    with pytest.warns(UserWarning, match="2 of 3 pictures have no line of their own .*a/1.png"):
        assert CelebA(folder, 8).described.tolist() == [False, False, True]
    file.write_text("image_id,Smiling\na/1.png,1\nb\\1.png,0\n2.png,1\n")
    images = CelebA(folder, 8)
    assert images.attributes[:, 0].tolist() == [True, False, True] and images.described.all()


@pytest.mark.parametrize("name, text, said", [
    ("list_attr_celeba.csv", "image_id,Smiling\n1.png,5\n", r"value 5: .* in \[-1, 0, 1\]"),
    ("list_eval_partition.csv", "image_id,partition\n1.png,7\n", r"value 7: .*\[0, 1, 2\]"),
    ("list_eval_partition.csv", "image_id,a,b\n1.png,0,0\n", "2 columns .*expected 1")])
def test_values_that_such_a_list_does_not_hold(tmp_path, name, text, said):
    folder = faces(tmp_path / "pictures", ["1.png"])
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        CelebA(folder, 8)


def test_the_split_of_pictures_without_a_line(tmp_path):
    folder = faces(tmp_path / "pictures", ["1.png", "2.png"])
    (tmp_path / "list_eval_partition.csv").write_text("image_id,partition\n2.jpg,1\n")
    with pytest.warns(UserWarning, match="1 of 2 pictures"):
        assert torch.equal(CelebA(folder, 8).partition, torch.tensor([-1, 1]))
