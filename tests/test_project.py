"""The repository's own files agree with each other, and the package stays cheap to import."""

import ast
import base64
import importlib.util
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import nbformat
import numpy as np
import pytest
from PIL import Image

import bvae_helpers

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
SKIPPED = {".git", ".venv", ".venv-colab", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".ruff_cache",
           "checkpoints", "runs", "build", "_build", "dist", "bvae_helpers.egg-info"}


def own_files(*suffixes):
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in SKIPPED)
        yield from (pathlib.Path(folder, f) for f in sorted(files) if pathlib.Path(f).suffix in suffixes
                    and f not in SKIPPED)


def full_environment():
    """What `make test` installs: the run-time packages and those of all extras."""
    extras = PROJECT["optional-dependencies"]
    return sorted([*PROJECT["dependencies"], *(line for name in extras if name != "dev" for line in extras[name])])


# Dependencies

def test_requirements_txt_is_the_full_environment():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(line for line in lines if not line.startswith("#")) == full_environment()


def test_environment_yml_is_the_full_environment():
    lines = re.findall(r"^ +- (.+)$", (ROOT / "environment.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(set(lines) - {"conda-forge", "pip", "pip:"}) == sorted(
        full_environment() + [f"python{PROJECT['requires-python']}"])


def test_dependencies_are_floors_only():
    for line in full_environment():
        assert re.fullmatch(r"[\w.-]+>=[\d.]+", line) or line == "ipywidgets>=7.7,<9", line


def test_make_test_installs_every_extra_and_make_lab_only_the_lab():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["dev"]
    assert set(re.search(r"\[(.+)\]", everything)[1].split(",")) == extras.keys() - {"dev"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^lab: \.venv/\.lab$", makefile, re.MULTILINE) and "-e '.[lab]'" in makefile
    assert re.search(r"^test: \.venv/\.dev$", makefile, re.MULTILINE) and "-e '.[dev]'" in makefile


def test_make_lab_opens_the_quickstart_without_a_question():
    """``default_url`` is in the address that JupyterLab prints, too, so that --no-browser leads to the quickstart."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^lab: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1]
    url = re.search(r"--LabApp\.default_url=/lab/tree/(\S+) \$\(LAB_ARGS\)", recipe)[1]
    assert (ROOT / url).name == "00_quickstart.ipynb" and (ROOT / url).is_file()
    assert 'JUPYTER_CONFIG_PATH="tools/jupyter:' in recipe


def test_what_a_hosted_notebook_has_is_all_that_run_time_asks_for():
    """Colab must not have to reinstall JupyterLab, nor anything else that only the tests need."""
    names = {re.split(r"[><=]", line)[0] for line in PROJECT["dependencies"]}
    assert names == {"torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "tqdm", "pillow", "tensorboard",
                     "scikit-learn"}


def test_the_package_imports_only_what_it_declares():
    declared = {"torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "tqdm", "PIL", "tensorboard", "sklearn"}
    optional = {"h5py", "ray", "pyarrow"}
    with_them = {"IPython", "threadpoolctl", "scipy"}         # these come with ipywidgets and scikit-learn
    known = declared | optional | with_them | {"bvae_helpers"}
    for path in own_files(".py"):
        if path.is_relative_to(ROOT / "bvae_helpers"):
            code = re.sub(r'"""[\s\S]*?"""', "", path.read_text(encoding="utf-8"))
            found = set(re.findall(r"^\s*(?:import|from) (\w+)", code, re.MULTILINE)) - sys.stdlib_module_names
            assert found <= known, f"{path.name} imports {found - known}"


def test_version_is_stated_once():
    assert PROJECT["dynamic"] == ["version"] and re.fullmatch(r"\d+\.\d+\.\d+", bvae_helpers.__version__)


def test_pretrained_models_travel_with_the_package():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["bvae_helpers"]
    files = {p for p in (ROOT / "bvae_helpers").rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    packed = {p for pattern in patterns for p in (ROOT / "bvae_helpers").glob(pattern)}
    assert files and files == packed
    assert all(p.stat().st_size <= 2.5e6 for p in files)
    assert {p.stem for p in packed if p.suffix == ".pt"} == {p.stem for p in packed if p.suffix == ".json"}


# The package

def python(code):
    """What a fresh interpreter prints, started in the repository."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_import_loads_nothing_heavy():
    loaded = set(python("import sys, bvae_helpers; print(*{m.split('.')[0] for m in sys.modules})").split())
    assert "bvae_helpers" in loaded
    assert not loaded & {"torch", "numpy", "matplotlib", "tensorboard", "sklearn", "ipywidgets", "PIL"}


TORCH = {"torch", "numpy"}
DATA = TORCH | {"torchvision", "PIL"}
FIGURES = DATA | {"matplotlib"}
LOADED = {"config": TORCH, "losses": TORCH, "model": TORCH, "data": DATA, "latents": DATA, "checkpoints": DATA,
          "metrics": DATA, "training": DATA, "plots": FIGURES, "explorer": FIGURES | {"ipywidgets"}, "teach": FIGURES,
          "__main__": DATA}


@pytest.mark.parametrize("last", ("training __main__", "plots teach explorer"))
def test_a_wing_loads_no_other_package(last):
    """A slider or a training run loads no classifier, and a score no figure. What other packages import counts too."""
    wings = ["config", "losses", "model", "data", "latents", "checkpoints", "metrics", *last.split()]
    said = python(f"import importlib, sys\nfor wing in {wings}:\n    importlib.import_module('bvae_helpers.' + wing)\n"
                  "    print(wing, *{m.split('.')[0] for m in sys.modules})")
    heavy = {"matplotlib", "ipywidgets", "tensorboard", "sklearn", "scipy", "pandas", "ray", "h5py", "pyarrow"}
    for line in said.splitlines():
        wing, *loaded = line.split()
        assert set(loaded) & (DATA | heavy) <= LOADED[wing], wing
    assert len(said.splitlines()) == len(wings)


def test_the_top_level_stays_small():
    names = {path.name for path in (ROOT / "bvae_helpers").iterdir()} - {"__pycache__"}
    assert len(names) <= 15, sorted(names)


WINGS = ("config", "model", "losses", "data", "checkpoints", "latents", "metrics", "training", "plots", "explorer",
         "teach", "__main__")     # from the bottom up: a wing imports only what stands before it


def imported(path, package):
    """The modules of the package that a file imports, as dotted names from the top of the package."""
    here = path.relative_to(package).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.removeprefix("bvae_helpers.") for name in node.names
                        if name.name.startswith("bvae_helpers"))
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0 and (node.module or "").split(".")[0] != "bvae_helpers":
                continue
            base = list(here[:len(here) - node.level + 1]) if node.level else []
            module = (node.module or "").removeprefix("bvae_helpers").strip(".")
            base += module.split(".") if module else []
            yield from (".".join([*base, name.name]) for name in node.names)


def arrows_up(package):
    """Imports of a package's files that lead to a wing above their own: lines of text."""
    for path in sorted(package.rglob("*.py")):
        wing = path.relative_to(package).parts[0].removesuffix(".py")
        for module in imported(path, package):
            target = module.split(".")[0]
            if target == "__version__":
                continue
            if wing == "__init__" or WINGS.index(target) > WINGS.index(wing):
                yield f"{path.relative_to(package)} imports {module}"


def test_arrows_run_one_way():
    assert not list(arrows_up(ROOT / "bvae_helpers"))


@pytest.mark.parametrize("file, line", [
    ("data/batches.py", "from ..training.loop import fit"), ("model.py", "from .losses import reconstruct"),
    ("metrics/_groups.py", "from .. import plots"), ("plots.py", "import bvae_helpers.explorer"),
    ("latents.py", "def f():\n    from bvae_helpers.metrics import (\n        mig,\n    )"),
    ("__init__.py", "from . import model")])
def test_one_import_turned_round_is_noticed(tmp_path, file, line):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(f"import torch\n{line}\n", encoding="utf-8")
    (notice,) = arrows_up(tmp_path)
    assert notice.startswith(file)


# Words and addresses

def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_address_is_stamped_everywhere():
    run = subprocess.run([sys.executable, "tools/stamp.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_stamping_a_fork_changes_badges_and_clones_and_leaves_the_citation(monkeypatch):
    stamp = load_tool("stamp")
    text = f"{stamp.badge('00_quickstart')} git clone {stamp.address()}.git; the original: {stamp.address()}"
    monkeypatch.setattr(stamp, "address", lambda: "https://github.com/someone/fork")
    stamped = stamp.stamp_text(text)
    assert stamp.badge("00_quickstart") in stamped and "git clone https://github.com/someone/fork" in stamped
    assert stamped.endswith(f"the original: {PROJECT['urls']['repository']}")
    cells = [{"cell_type": "code", "source": ["from bvae_helpers.teach import setup\n", "# pip"]}]
    made = json.loads(stamp.stamp_notebook(json.dumps({"cells": cells})))["cells"][0]["source"]
    assert "".join(made) == stamp.setup_cell() and "someone/fork" in made[0]


def test_committed_outputs_are_smaller_and_the_same_to_the_pixel():
    execute = load_tool("execute")
    for colour in ((200, 200, 200, 255), (10, 200, 30, 255), (200, 200, 200, 90)):
        picture = Image.new("RGBA", (64, 48), (255, 255, 255, 255))
        picture.paste(colour, (5, 6, 40, 30))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", compress_level=1)
        old = base64.b64encode(buffer.getvalue()).decode()
        new = execute.smaller(old)
        assert len(new) < len(old)
        assert Image.open(io.BytesIO(base64.b64decode(new))).convert("RGBA").tobytes() == picture.tobytes()


def test_committed_pictures_keep_their_colours():
    """A ramp of 4,096 colours as it is; noise around twelve colours, too large for that, with each near to its own."""
    execute = load_tool("execute")
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    ramp = np.stack([4 * x, 4 * y, 0 * x], axis=2).repeat(2, axis=0)
    noise = np.random.default_rng(0).integers(-12, 13, (12, 20, 200, 3))
    faces = (noise + np.array([[40 + 15 * k, 200 - 12 * k, 30 + 60 * (k % 4)] for k in range(12)])[:, None, None])
    for pixels, most in ((ramp, 0), (faces.reshape(-1, 200, 3), 6)):
        buffer = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
        new = execute.smaller(base64.b64encode(buffer.getvalue()).decode())
        made = np.asarray(Image.open(io.BytesIO(base64.b64decode(new))).convert("RGB")).astype(int)
        assert abs(made - pixels).mean() <= most


def test_committed_outputs_are_neither_stderr_nor_widgets():
    execute, node = load_tool("execute"), nbformat.from_dict
    assert execute.clean(node({"output_type": "stream", "name": "stderr", "text": "a warning"})) is None
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "HBox()"}
    assert execute.clean(node({"output_type": "display_data", "data": widget, "metadata": {}})) is None
    kept = node({"output_type": "stream", "name": "stdout", "text": "a result"})
    assert execute.clean(kept) == kept


@pytest.mark.parametrize("path", list(own_files(".py", ".md", ".toml", ".yml", ".yaml", ".txt", ".json", "")),
                         ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_names_a_folder_of_a_machine(path):
    """Nobody else has it. (Notebooks: tests/test_notebooks.py.)"""
    pattern = r"(?<![\w.])/" + r"(?:home|root|Users|work|mnt|tmp)/\w"
    found = re.search(pattern, path.read_text(encoding="utf-8"))
    assert not found, found[0]


IDIOM = re.compile(r"\b(?:(?:go|goes|went) on(?! the)|anew|asleep|sleeping|sleepers?|wakes? up)\b")


@pytest.mark.parametrize("path",
                         [*(ROOT / "bvae_helpers").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
                         ids=lambda p: str(p.relative_to(ROOT)))
def test_words_are_those_of_the_field(path):
    """A run is resumed, latents are active or collapsed: no private idiom."""
    found = IDIOM.search(path.read_text(encoding="utf-8"))
    assert not found, found[0]


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = [page.read_text(encoding="utf-8") for page in PAGES]


def test_readme_is_a_front_page():
    assert len(SHOWN[0].splitlines()) <= 140


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_of_the_pages_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert link.startswith("http") or (page.parent / link).exists(), f"no file at {link}"


def test_readme_names_every_notebook_and_every_guide():
    stamp = load_tool("stamp")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(notebooks/{path.name})" in SHOWN[0] and stamp.badge(path.stem) in SHOWN[0], path.name
    for path in (ROOT / "docs" / "guides").glob("*.md"):
        assert f"(docs/guides/{path.name})" in SHOWN[0], path.name


def test_commands_of_the_pages_are_real():
    """Every ``make`` target, script and command-line flag that a page shows exists."""
    from bvae_helpers.__main__ import make_parser

    text = "\n".join(SHOWN).replace("\\\n", " ")
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"lab", "test"} <= set(re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE)) <= targets
    for script in re.findall(r"python ((?:tools|benchmarks)/[\w/]+\.py)", text):
        assert (ROOT / script).is_file(), script
    commands = re.findall(r"python -m bvae_helpers (\w+ [^\n`#]+)", text)
    assert len(commands) > 10
    for command in commands:
        make_parser().parse_args([word for word in command.split() if word != "--help"])


@pytest.mark.parametrize("page", ("README.md", "docs/guides/models.md"))
def test_scores_of_the_pages_are_those_of_the_cards(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = {name: numbers for name, *numbers in re.findall(
        r"^\| `(\w+)` \|[^|]+\| ([\d.]+)[^|]*\| ([\d.]+)[^|]*\| ([\d.]+) \| ([\d.]+) \|", text, re.MULTILINE)}
    cards = {path.stem: json.loads(path.read_text(encoding="utf-8"))
             for path in (ROOT / "bvae_helpers" / "pretrained").glob("*.json")
             if not path.stem.startswith("sweep_")}         # these are compared with one another, in 06
    assert rows.keys() == {name for name, card in cards.items() if card["config"]["data_path"] == "sprites"}
    for name, numbers in rows.items():
        scores = cards[name]["scores"]
        assert numbers == [f"{scores['mig']:.2f}", f"{scores['dci_disentanglement']:.2f}",
                           f"{scores['factor_vae']:.2f}", f"{scores['kl']:.1f}"], name


def test_the_changelog_names_this_version():
    assert f"\n## {bvae_helpers.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_ci_covers_the_floors():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    floor = dict(line.split(">=") for line in PROJECT["dependencies"])
    for name in ("torch", "torchvision"):
        assert f"{name}=={floor[name]}.*" in text
    assert '"3.11"' in text and '"3.13"' in text and '"7.7.*"' in text and '"8.*"' in text
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("page", ("README.md", "docs/guides/python.md"))
def test_python_of_the_pages_runs(page, tmp_path, monkeypatch):
    """A page's Python blocks, in order, on a folder of a few pictures, for one epoch."""
    (tmp_path / "my_pictures").mkdir()
    for k in range(10):
        Image.new("RGB", (70, 64), (25 * k, 90, 200)).save(tmp_path / "my_pictures" / f"{k}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)     # on the CPU, whatever the machine has
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL))
    for amount, less in (("epochs=50", "epochs=1"), ("10_000", "300"),
                         ("seeds=(0, 1, 2)", "seeds=(0,), train=200, test=100, against=()")):
        code = code.replace(amount, less)
    names = {}
    exec(code, names)
    assert len(names["history"]["val_loss"]) == 1
    if page.endswith("python.md"):
        samples = Image.open("samples.png")
        assert names["row"].shape == (9, 3, 64, 64) and samples.size == (8 * 66 + 2, 2 * 66 + 2)
        assert samples.getpixel((0, 0)) == samples.getpixel((66, 30)) == (255, 255, 255)     # white between the images
        assert pathlib.Path("latents.html").stat().st_size > 100_000
