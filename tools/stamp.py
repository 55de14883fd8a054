"""Write the repository's address, read from pyproject.toml, into the notebooks, the README and the guides.

    python tools/stamp.py           # after a fork: edit project.urls in pyproject.toml, then this
    python tools/stamp.py --check   # change nothing; exit code 1 if a file needs it

It also gives every notebook the same set-up cell, the one below, with the package's version: run it after a release,
too.
"""

import argparse
import json
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLAB = "https://colab.research.google.com"

SETUP_CELL = '''\
REPO_URL = "git+{address}"
import importlib.util, pathlib, subprocess, sys
root = pathlib.Path("..").resolve()
if (root / "bvae_helpers").is_dir():                    # a clone
    sys.path.insert(0, str(root))
elif importlib.util.find_spec("bvae_helpers") is None:  # Colab, Kaggle
    subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", "--no-deps", REPO_URL])
    importlib.invalidate_caches()
from bvae_helpers.teach import setup
env = setup(made_with="{version}")   # profile, seed, device, style: one printed line'''


def address():
    """The repository's address, as in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["repository"].rstrip("/")


def site():
    """The website's address, where GitHub Pages publishes what .github/workflows/site.yml builds."""
    owner, name = address().removeprefix("https://github.com/").split("/")
    return f"https://{owner.lower()}.github.io/{name}/"


def version():
    """The package's version, which the notebooks carry as the one they were made with."""
    text = (ROOT / "bvae_helpers" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.+)"', text)[1]


def setup_cell():
    """The set-up cell that every notebook has."""
    return SETUP_CELL.format(address=address(), version=version())


def badge(name):
    """The Colab badge of notebooks/<name>.ipynb, in Markdown."""
    repository = address().removeprefix("https://github.com/")
    return (f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]"
            f"({COLAB}/github/{repository}/blob/main/notebooks/{name}.ipynb)")


def stamp_text(text):
    """Text with the address in badges, in ``git clone`` and ``git+`` lines, and that of the site. Other links stay."""
    repository = address().removeprefix("https://github.com/")
    text = re.sub(r"https://[\w-]+\.github\.io/[\w.-]+/", site(), text)
    text = re.sub(rf"{re.escape(COLAB)}/github/[^/\s]+/[^/\s]+/blob/", f"{COLAB}/github/{repository}/blob/", text)
    return re.sub(r"(git clone |git\+)https://github\.com/[\w.-]+/[\w.-]+", rf"\g<1>{address()}", text)


def stamp_notebook(text):
    """A notebook's JSON with the set-up cell and the address in its text."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            source = stamp_text(source)
        elif "from bvae_helpers.teach import setup" in source and "pip" in source:
            source = setup_cell()
        cell["source"] = source.splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if a file needs stamping")
    args = parser.parse_args()
    stale = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")),
                 *sorted((ROOT / "notebooks").glob("*.ipynb"))]:
        old = path.read_text(encoding="utf-8")
        new = stamp_notebook(old) if path.suffix == ".ipynb" else stamp_text(old)
        changed = json.loads(old) != json.loads(new) if path.suffix == ".ipynb" else old != new
        if changed:
            stale.append(path)
            if not args.check:
                path.write_text(new, encoding="utf-8")
    for path in stale:
        print(f"{'needs stamping' if args.check else 'stamped'}: {path.relative_to(ROOT)}")
    sys.exit(1 if args.check and stale else 0)


if __name__ == "__main__":
    main()
