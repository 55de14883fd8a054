"""A table of results in a CSV file, one row a run: rows are added whole or not at all, and never twice.

Where pyarrow is installed, the same table stands beside it as Parquet.
"""

import csv
import importlib
import io
import pathlib

from ..data.files import locked, write_whole


def number(text):
    """The text of a cell -> a whole number, a number or text; nothing is None."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text or None


def read(path):
    """The rows of a table, dicts; none where no file is."""
    path = pathlib.Path(path)
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [{name: text if name == "key" else number(text) for name, text in row.items()} for row in csv.DictReader(file)]


def add(path, row):
    """Add a row, unless one with its ``key`` is there. Columns that only some rows have are empty in the others."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(open(path.with_name(f".{path.name}.lock"), "w")):
        rows = read(path)
        if row["key"] in (old["key"] for old in rows):
            return
        rows.append(row)
        names = list(dict.fromkeys(name for old in rows for name in old))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(path, lambda file: file.write(text.getvalue().encode()))
        parquet = parquet_of(rows, names)
        if parquet is not None:
            write_whole(path.with_suffix(".parquet"), lambda file: file.write(parquet))


def parquet_of(rows, names):
    """The rows as the bytes of a Parquet file; None without pyarrow."""
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        return None
    file = io.BytesIO()
    parquet.write_table(arrow.table({name: [row.get(name) for row in rows] for name in names}), file)
    return file.getvalue()
