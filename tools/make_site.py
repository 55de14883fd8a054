"""Build the course's website from the notebooks, the guides and the docstrings; no network is needed.

    python tools/make_site.py [--out docs/_build/html]

The pages are prepared in a folder of their own, so that the repository's files stay as they are:

- notebooks keep their committed outputs; the alt texts of their figures move to where MyST-NB looks for them,
  and below each cell that shows an explorer of a shipped model stands the same explorer as a live page;
- the Colab badge is a local picture;
- index.html is the front page that tools/front.py makes, course.html the table of contents;
- one page of reference is made for each public module.
"""

import argparse
import io
import pathlib
import re
import shutil
import sys
import tempfile

import nbformat
from PIL import Image
from sphinx.cmd.build import build_main

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import front  # noqa: E402

from bvae_helpers import checkpoints  # noqa: E402
from bvae_helpers.config import Config  # noqa: E402
from bvae_helpers.data import load_data, render  # noqa: E402
from bvae_helpers.explorer import export  # noqa: E402

COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
COARSE = 0.12      # how much a pixel, 0 to 1, may change at most in a live page, so that the site stays below 12 MB
LIVE = {"two": {"plain VAE, β = 1": "vae", "β-TCVAE": "btcvae"}, "faces": {"faces, told": "faces_labelled"}}
# The live pages of a notebook's explorers, in their order; None: none, since the reader trains the model, or the next
# page has it, too; FRONT: the front page has it
FRONT = '<a href="../index.html#main">The same sliders, live, on the front page</a>'
EXPLORERS = {"00_quickstart": [FRONT, "two"], "05_traversal": [None, "two"], "07_your_images": ["faces", None]}
MODULES = ("config", "model", "losses", "latents", "checkpoints", "data", "metrics", "training", "training.labels",
           "training.sweep", "training.results", "plots", "explorer", "teach")


def shrink(site):
    """Remove what no reader asks for, and store the notebooks' pictures as WebP: the whole site stays below 12 MB."""
    for left_over in (site / ".buildinfo", site / "objects.inv", *site.rglob("*.map")):
        left_over.unlink(missing_ok=True)
    for path in (site / "_images").glob("*.png"):
        path.with_suffix(".webp").write_bytes(as_webp(path))
        path.unlink()
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(r"(_images/[\w.-]+)\.png\b", r"\1.webp", text), encoding="utf-8")


def as_webp(path):
    """The bytes of a picture as WebP: without loss, or with a loss that the eye does not see if that takes fewer."""
    versions = []
    with Image.open(path) as picture:
        for choice in ({"lossless": True}, {"quality": 85}):
            buffer = io.BytesIO()
            picture.convert("RGB").save(buffer, "WEBP", **choice)
            versions.append(buffer.getvalue())
    return min(versions, key=len)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "_build" / "html")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as source:
        prepare(pathlib.Path(source))
        failed = build_main(["-b", "html", "-q", "-E", "-W", "--keep-going", "-d", f"{source}/.doctrees", source,
                             str(args.out)])
    front.write(args.out / "index.html", course="course.html")
    shrink(args.out)
    if not failed:
        size = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
        print(f"{args.out / 'index.html'}: {size / 1e6:.1f} MB in all")
    sys.exit(failed)


def prepare(source):
    """Fill the folder ``source`` with what Sphinx reads."""
    shutil.copytree(ROOT / "docs", source, dirs_exist_ok=True, ignore=shutil.ignore_patterns("_build"))
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, source)
    for path in (source / "guides").glob("*.md"):          # here the notebooks lie one folder nearer
        path.write_text(path.read_text(encoding="utf-8").replace("](../../notebooks/", "](../notebooks/"),
                        encoding="utf-8")
    (source / "notebooks").mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        nbformat.write(prepared(nbformat.read(path, as_version=4), path.stem), source / "notebooks" / path.name)
    (source / "_static" / "live").mkdir()
    for name, models in LIVE.items():
        write_live_page(models, source / "_static" / "live" / f"{name}.html")
    write_reference(source / "api")


def prepared(notebook, name):
    """A notebook as the site shows it."""
    pages = iter(EXPLORERS.get(name, []))
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = inline(markdown(cell.source), cell.pop("attachments", {}))
        elif cell.cell_type == "code":
            pictures = [output.metadata["image/png"] for output in cell.outputs
                        if "image/png" in output.get("metadata", {})]
            if pictures:
                cell.metadata["mystnb"] = {"image": look(pictures[0])}
            page = next(pages, None) if "LatentExplorer(" in cell.source else None
            if page is not None:
                cells.append(nbformat.v4.new_markdown_cell(
                    page if page == FRONT else f'<iframe class="live" src="../_static/live/{page}.html" loading="lazy" '
                    'title="The same sliders, live in this page"></iframe>'))
    notebook.cells = cells
    return notebook


def look(picture):
    """How the site shows a figure with this metadata: its alt text, and the width that a notebook gives it."""
    width = {"width": f"{picture['width']}px"} if "width" in picture else {}
    return {"alt": picture["alt"], **width}


def markdown(text):
    """Markdown with this site's badge, and a blank line after </summary>, without which formulas stay raw."""
    text = text.replace(COLAB_BADGE, "../_static/colab-badge.svg")
    return re.sub(r"</summary>[ \t]*\n(?!\n)", "</summary>\n\n", text)


def inline(text, attachments):
    """Markdown with its attached pictures written into it, because MyST-NB does not read attachments."""
    for name, versions in attachments.items():
        (kind, data), = versions.items()
        text = text.replace(f"](attachment:{name})", f"](data:{kind};base64,{data})")
    return text


def write_live_page(models, path):
    """The explorer of shipped models as one HTML file; ``models``: their titles -> their names."""
    loaded = {title: checkpoints.load_pretrained(name) for title, name in models.items()}
    first = next(iter(loaded.values()))
    data = load_data(Config(**first.card["config"]))
    images, factors = render(data, 1000, seed=1)
    export(loaded if len(loaded) > 1 else first, images, data, factors, path, coarse=COARSE)


def write_reference(folder):
    """One page for each public module, and an index."""
    folder.mkdir()
    for name in MODULES:
        package = (ROOT / "bvae_helpers" / name / "__init__.py").exists()
        options = "   :imported-members:\n" if package else ""
        title = f"bvae_helpers.{name}"
        (folder / f"{name}.rst").write_text(
            f"{title}\n{'=' * len(title)}\n\n.. automodule:: {title}\n{options}", encoding="utf-8")
    index = ["Reference", "=========", "", "Import what you need: ``from bvae_helpers import training``.", "",
             ".. toctree::", "   :maxdepth: 1", "", *(f"   {name}" for name in MODULES), ""]
    (folder / "index.rst").write_text("\n".join(index), encoding="utf-8")


if __name__ == "__main__":
    main()
