"""CelebA's lists: a table with one line of whole numbers per picture, as text or as any spreadsheet saves it."""

import csv
import os
import pathlib

from .decoding import SUFFIXES

__all__ = ["key_of", "read_list"]

WORDS = {"true": 1, "false": 0}
INDEX = {"", "index", "unnamed: 0"}           # headers of the column of row numbers that pandas writes


def read_list(file: pathlib.Path) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """Read a list -> (column names, {picture: values}); a picture is called by its ``key_of``.

    The columns may be separated by spaces, commas, semicolons or tabs; the text be UTF-8, UTF-16 or Windows's, with a
    byte-order mark or without; values be 1, 0 and -1, 1.0, or True and False. The first column with a picture's name
    is that of the pictures, whatever it is called. In front of the header may stand the number of pictures, as in the
    official lists; without a header, the column names are (). Raises ValueError, with the line, for anything else:
    names and values always belong together.
    """
    lines = _text(file).splitlines()
    separator = _separator(lines)
    table = _split(file, lines, separator)
    first, pictures = _first_picture(file, table)
    above = [row for row in table[:first] if any(row) and not (len(row) == 1 and row[0].isdigit())]
    names = _column_names(file, above[-1], table[first], pictures, separator) if above else ()
    width, rows = len(names) or len(table[first]) - pictures - 1, {}
    for n, row in enumerate(table[first:], first + 1):
        if not any(row):
            continue
        values = _numbers(row[pictures + 1:], width) if len(row) > pictures and _is_picture(row[pictures]) else None
        if values is None:
            raise ValueError(f"line {n} of {str(file)!r} is damaged: {lines[n - 1][:80]!r}. Expected: a picture's name "
                             f"and {width} values, each 1, 0 or -1 (or True, False)")
        key = key_of(row[pictures])
        if rows.setdefault(key, values) != values:
            raise ValueError(f"line {n} of {str(file)!r} gives {key!r} other values than a line before it")
    return names, rows


def key_of(name: str) -> str:
    """A picture's name without its suffix, so that a list of JPEGs also fits the PNGs made from them."""
    return os.path.splitext(name.replace("\\", "/"))[0]


def _text(file: pathlib.Path) -> str:
    """The text of a file in UTF-8, UTF-16 with a byte-order mark, or Windows-1252; raise ValueError for no text."""
    data = file.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    if "\0" in text:
        raise ValueError(f"{str(file)!r} is no text: save it as CSV, in UTF-8")
    return text


def _separator(lines: list[str]) -> str | None:
    """What separates the columns in the first line with a picture's name: tab, semicolon, comma; None for spaces."""
    for line in lines:
        if any(suffix in line.lower() for suffix in SUFFIXES):
            return next((separator for separator in "\t;," if separator in line), None)
    return None


def _split(file: pathlib.Path, lines: list[str], separator: str | None) -> list[list[str]]:
    """The cells of each line, without blanks around them; ``separator`` None: at spaces."""
    if separator is None:
        return [line.split() for line in lines]
    try:
        return [[cell.strip() for row in csv.reader([line], delimiter=separator) for cell in row] for line in lines]
    except csv.Error as error:
        raise ValueError(f"{str(file)!r} is damaged: {error}") from error


def _first_picture(file: pathlib.Path, table: list[list[str]]) -> tuple[int, int]:
    """(row, column) of the first picture's name in a table; raise ValueError if there is none."""
    for n, row in enumerate(table):
        for column, cell in enumerate(row):
            if _is_picture(cell):
                return n, column
    raise ValueError(f"{str(file)!r} names no picture: its first column must hold names such as 000001.jpg")


def _is_picture(cell: str) -> bool:
    """Whether a cell is the name of a picture file."""
    return os.path.splitext(cell)[1].lower() in SUFFIXES


def _column_names(file: pathlib.Path, header: list[str], row: list[str], pictures: int,
                  separator: str | None) -> tuple[str, ...]:
    """The names of the columns of values. ``row`` is the first line of values, cell ``pictures`` of it the picture."""
    while header and not header[-1]:                            # empty columns on the right
        header = header[:-1]
    if separator is None and pictures == 0 and len(header) == len(row) - 1:
        header = ["", *header]                                  # the official lists do not name the first column
    names = tuple(header[pictures + 1:])
    if len(row) < len(header) or any(row[len(header):]):
        raise ValueError(f"{str(file)!r} has {len(header)} columns in its header, but its first picture has {len(row)}:"
                         f" {header} and {row}")
    before = [name for name in header[:pictures] if name.lower() not in INDEX]
    if before:
        raise ValueError(f"the pictures must be the first column of {str(file)!r}, not {before[0]!r}")
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(f"every column of {str(file)!r} needs a name of its own, got {names}")
    return names


def _numbers(cells: list[str], width: int) -> list[int] | None:
    """``width`` whole numbers from cells, of which those beyond must be empty; None if they are not."""
    if len(cells) < width or any(cells[width:]):
        return None
    try:
        return [int(cell) for cell in cells[:width]]
    except ValueError:
        numbers = [_number(cell) for cell in cells[:width]]
        return None if None in numbers else numbers


def _number(cell: str) -> int | None:
    """The whole number that a spreadsheet writes as 1, 1.0, "1,0" or TRUE; None for anything else."""
    if cell.lower() in WORDS:
        return WORDS[cell.lower()]
    try:
        value = float(cell.replace(",", "."))
        return int(value) if value == int(value) else None
    except (ValueError, OverflowError):       # no number; NaN; infinity
        return None
