"""A table of results in a CSV file, one row per run: rows are added whole or not at all, and each run once.

If pyarrow is installed, the same table is written as Parquet beside it.
"""

import csv
import importlib
import io
import os
import pathlib
import re

from ..checkpoints import PRETRAINED
from ..data.files import locked, write_whole

__all__ = ["add", "read", "shipped"]

Row = dict[str, int | float | str | None]

# Excel and others run a text cell that begins like this as a formula; such text gets an apostrophe, or one more
FORMULA = re.compile(r"'*[=+\-@\t\r]")


def read(path: str | os.PathLike) -> list[Row]:
    """Rows of the CSV as dicts, numbers as numbers and empty cells as None; an empty list if the file does not exist.

    Separated by commas, or by semicolons with decimal commas, as some spreadsheets save it. Raises ValueError for a
    file that is not such a table.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_file() or path.stat().st_size == 0:
        return []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:       # -sig: spreadsheets add a byte-order mark
            head = file.readline()
            semicolons = ";" in head and "," not in head                 # where the comma is the decimal point
            file.seek(0)
            table = csv.DictReader(file, restval="", strict=True, delimiter=";" if semicolons else ",")
            rows = list(table)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} is not a table of results in CSV ({error})") from error
    if "key" not in (table.fieldnames or ()) or any(None in row for row in rows):
        raise ValueError(f"{str(path)!r} is not a table of results: it needs a column 'key', and no row longer than "
                         "the first")
    value = _value_with_comma if semicolons else _value
    return [{name: _text(cell) if name == "key" else value(cell) for name, cell in row.items()} for row in rows]


def add(path: str | os.PathLike, row: Row) -> None:
    """Add a row, unless the table has one with its ``key``. A column that a row lacks is empty there."""
    path = pathlib.Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(open(path.with_name(f".{path.name}.lock"), "w")):
        rows = read(path)
        if row["key"] in (old["key"] for old in rows):
            return
        rows.append(row)
        names = list(dict.fromkeys(name for old in rows for name in old))
        content = _csv_of(rows, names)
        write_whole(path, lambda file: file.write(content))
        parquet = _parquet_of(rows, names)
        if parquet is not None:
            write_whole(path.with_suffix(".parquet"), lambda file: file.write(parquet))


def shipped(long: bool = False) -> list[Row]:
    """Rows of a sweep over beta that ships with the package: constant beta, one network, 1.2 million images per run.

    Made by ``python -m bvae_helpers sweep --preset falling --beta-schedule constant --objective beta_vae,btcvae
    --num-images 210526 --epochs 6 --beta 1,2,4,8,16,24,32,64 --seed 0:5``; of btcvae, seeds 0 to 2 only.

    ``long``: 5 million images per run instead, made by ``python -m bvae_helpers sweep --preset falling --beta-schedule
    constant --objective beta_vae --num-images 210526 --epochs 25 --beta 1,4,16,32 --seed 0:3``.

    Each run was measured on 10,000 images (``training.sweep.measure``).
    """
    return read(PRETRAINED / ("sweep_long.csv" if long else "sweep.csv"))


def _value(cell: str) -> int | float | str | None:
    """The value of a cell: a whole number, a number, text, or None for an empty one."""
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            pass
    return _text(cell) or None


def _value_with_comma(cell: str) -> int | float | str | None:
    """As ``_value``, for a table whose numbers have a decimal comma."""
    value = _value(cell.replace(",", "."))
    return value if isinstance(value, (int, float)) else _value(cell)


def _text(cell: str) -> str:
    """The text of a cell, without the apostrophe that keeps a spreadsheet from running it."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def _cell(value: int | float | str | None) -> int | float | str | None:
    """What is written for a value: text that a spreadsheet would run gets an apostrophe in front."""
    return "'" + value if isinstance(value, str) and FORMULA.match(value) else value


def _csv_of(rows: list[Row], names: list[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _parquet_of(rows: list[Row], names: list[str]) -> bytes | None:
    """The rows as the bytes of a Parquet file; None without pyarrow."""
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        return None
    file = io.BytesIO()
    parquet.write_table(arrow.table({name: [row.get(name) for row in rows] for name in names}), file)
    return file.getvalue()
