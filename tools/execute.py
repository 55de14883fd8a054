"""Run notebooks from top to bottom and keep their outputs in them, as this course commits them.

    python tools/execute.py                              # all notebooks, in the laptop profile
    python tools/execute.py notebooks/02_model.ipynb     # one
    BVAE_PROFILE=tiny python tools/execute.py            # another profile

A notebook that fails is left as it was, and the exit code is 1.
"""

import argparse
import base64
import io
import os
import pathlib
import sys
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image, ImageChops

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bvae_helpers.data.files import write_whole  # noqa: E402

METADATA = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"}}
VISIBLE, MOST_CHANGED = 6, 0.001      # a change of a channel, of 255, and the share of pixels that may change by more
SMALL = 1 << 16                       # bytes


def execute(path):
    """Run a notebook in its own kernel, in its folder, and rewrite it; returns warnings."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=None, kernel_name="python3", store_widget_state=False, record_timing=False,
                   coalesce_streams=True, resources={"metadata": {"path": str(path.parent)}}).execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    warnings = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            warnings += [f"cell [{cell.execution_count}] wrote to stderr: {o.text.strip().splitlines()[-1]}"
                         for o in cell.outputs if o.get("name") == "stderr"]
            cell.outputs = [o for o in map(clean, cell.outputs) if o is not None]
    nbformat.validate(notebook)
    write_whole(path, lambda file: file.write(f"{nbformat.writes(notebook).rstrip()}\n".encode()))
    return warnings


def clean(output):
    """An output as it is committed. None for what is not: stderr, and widgets, dead without a kernel."""
    if output.get("name") == "stderr" or any("widget" in kind for kind in output.get("data", {})):
        return None
    if "image/png" in output.get("data", {}):
        output.data["image/png"] = smaller(output.data["image/png"])
    return output


def smaller(png):
    """The same picture in fewer bytes (base64 in, base64 out): one channel if all is grey, no opaque alpha, and the
    colours that ``with_palette`` finds."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    if picture.mode == "RGB":
        red, green, blue = (channel.tobytes() for channel in picture.split())
        picture = picture.getchannel("R") if red == green == blue else with_palette(picture)
    return base64.b64encode(encoded(picture)).decode()


def with_palette(picture):
    """An RGB picture in as few colours as leave nearly all pixels as they are. If 256 are too few for that (a gradient,
    faces), it stays as it is up to ``SMALL`` bytes, and gets the 128 colours nearest to all its pixels above."""
    for colours in (64, 128, 256):
        indexed = picture.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        if changed(picture, indexed.convert("RGB")) < MOST_CHANGED:
            return min(picture, indexed, key=lambda version: len(encoded(version)))
    if len(encoded(picture)) <= SMALL:
        return picture
    return picture.quantize(128, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)


def changed(old, new):
    """The share of pixels of which a channel differs by more than ``VISIBLE`` between two RGB pictures."""
    red, green, blue = ImageChops.difference(old, new).split()
    largest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return sum(largest.histogram()[VISIBLE + 1:]) / (old.width * old.height)


def encoded(picture):
    """The bytes of a picture as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=pathlib.Path, help="default: all in notebooks/")
    args = parser.parse_args()
    os.environ.setdefault("BVAE_PROFILE", "laptop")     # the kernels inherit these
    os.environ["TQDM_DISABLE"] = "1"
    failed = False
    for path in args.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb")):
        start = time.monotonic()
        try:
            warnings = execute(path.resolve())
        except CellExecutionError as error:
            failed = True
            print(f"{path.name}: FAILED after {time.monotonic() - start:.0f} s\n{error}", flush=True)
            continue
        print(f"{path.name}: {time.monotonic() - start:.0f} s in the {os.environ['BVAE_PROFILE']} profile, "
              f"{path.stat().st_size // 1024} KB", *warnings, sep="\n  ", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
