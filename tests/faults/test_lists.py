"""Lists of attributes as any spreadsheet saves them: read exactly, or refused with the line; never shifted."""

import csv
import io
import random

from bvae_helpers.data.lists import read_list

NAMES = ("Smiling", "Big Nose", "5_o_Clock_Shadow", "Lächelnd", "Male", "Young", "No_Beard", "Eyeglasses")
WRITTEN = ({1: "1", 0: "-1"}, {1: "1", 0: "0"}, {1: "1.0", 0: "0.0"}, {1: "True", 0: "False"},
           {1: "TRUE", 0: "FALSE"}, {1: "1.0", 0: "-1.0"}, {1: "1,0", 0: "-1,0"}, {1: " 1", 0: "-1 "})


def table(rng):
    """Column names, and 0 or 1 for each picture: {key: values}."""
    names = rng.sample(NAMES, rng.randrange(1, len(NAMES)))
    pictures = rng.sample(range(1, 999), rng.randrange(2, 30))
    return names, {f"{n:06d}": [rng.randrange(2) for _ in names] for n in pictures}


def write(names, rows, rng):
    """One of the ways in which programs write a table -> its bytes, and the numbers that they stand for."""
    words, suffix = rng.choice(WRITTEN), rng.choice((".jpg", ".png", ".JPG"))
    means = {value: value if word.lower() in ("true", "false") else int(float(word.replace(",", ".")))
             for value, word in words.items()}
    lines = [[f"{key}{suffix}", *(words[value] for value in values)] for key, values in rows.items()]
    first = rng.choice(("image_id", "File Name", "", "filename", "Bild"))
    separator = rng.choice(",;\t ")
    if words[1] == "1,0" and separator in ", ":
        separator = ";"
    if separator == " ":                                    # the official layout: a count, names, lines
        names = [name.replace(" ", "_") for name in names]
        table = [[str(len(rows))], names, *([cell.strip() for cell in line] for line in lines)]
        text = "".join("  ".join(line) + "\n" for line in table)
    else:
        header, index = [first, *names], rng.random() < 0.2
        if index:                                           # pandas writes the rows' numbers first
            header = [rng.choice(("", "Unnamed: 0")), *header]
            lines = [[str(n), *line] for n, line in enumerate(lines)]
        if rng.random() < 0.2:                              # empty columns on the right
            header, lines = [*header, "", ""], [[*line, "", ""] for line in lines]
        file = io.StringIO()
        quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
        writer = csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=rng.choice(("\n", "\r\n")))
        writer.writerows([header, *lines])
        text = file.getvalue()
    numbers = {key: [means[value] for value in values] for key, values in rows.items()}
    encoding = rng.choice(("utf-8", "utf-8-sig", "utf-16", "cp1252"))
    return text.encode(encoding), tuple(names), numbers


def broken(names, rows, rng):
    """A comma-separated table with one thing wrong that must be noticed."""
    lines = [["image_id", *names], *([f"{key}.jpg", *map(str, values)] for key, values in rows.items())]
    at = rng.randrange(1, len(lines))
    way = rng.randrange(8)
    if way == 0:
        del lines[at][-1]
    elif way == 1:
        lines[at].append("1")
    elif way == 2:
        lines[at][-1] = rng.choice(("yes", "0.5", "nan", "inf", "1e400", "", "--1", "#REF!"))
    elif way == 3:
        lines[at][0] = rng.choice(("", "000001", "total"))
        if at == 1:
            lines[at][0], lines[2][0] = lines[2][0], lines[at][0]
    elif way == 4:
        del lines[0][0]  # the first column's name: all others would be shifted by one
    elif way == 5:
        lines[0].append("Another")
    elif way == 6:
        lines = [[*line[1:2], line[0], *line[2:]] for line in lines]        # the pictures are the second column
    else:
        lines.append([lines[1][0], *("1" if value == "0" else "0" for value in lines[1][1:])])
    return "\n".join(",".join(line) for line in lines).encode()


def run(count, seed, folder):
    """``count`` lists: a half sound, a quarter broken in a known way, a quarter with bytes changed at random."""
    file, read, refused = folder / "list_attr_celeba.csv", 0, 0
    for n in range(count):
        rng, name = random.Random(f"{seed} {n}"), f"list {n} of seed {seed}"
        names, rows = table(rng)
        data, columns, numbers = write(names, rows, rng)
        if n % 4 == 2:
            data = broken(names, rows, rng)
        elif n % 4 == 3:
            data = bytearray(data)
            for _ in range(rng.choice((1, 5, 50))):
                data[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(bytes(data))
        try:
            found = read_list(file)
        except ValueError as error:
            assert n % 4 > 1, f"{name}: a sound one is refused ({error})"
            assert str(file) in str(error), f"{name}: the file is not named ({error})"
            refused += 1
            continue
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__} is not documented ({error})") from error
        assert n % 4 != 2, f"{name}: a broken one is read\n{data.decode()}"
        if n % 4 < 2:
            assert found == (columns, numbers), f"{name}: misread\n{data!r}\n{found}"
            read += 1
    return f"{count} lists: {read} sound ones read exactly, {refused} of {count - read} others refused"


def test_a_few(tmp_path):
    run(300, 0, tmp_path)
