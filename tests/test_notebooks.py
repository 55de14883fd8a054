"""Every notebook keeps to the course's rules for notebooks, and runs top to bottom in the tiny profile.

    python -m pytest tests/test_notebooks.py -k 02_model      # one notebook
    python -m pytest tests/test_notebooks.py -k "not runs"    # the rules only, in a second
"""

import ast
import base64
import importlib.util
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CHECKED = "nbval-check-output"
MOST_KB, MOST_CELLS, MOST_WORDS = 1024, 105, 2500
UNWATCHED = {"03": 5}           # notebook -> its trainings of fewer than 5 seconds without a live view

spec = importlib.util.spec_from_file_location("stamp", ROOT / "tools" / "stamp.py")
stamp = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stamp)


def text_of(cell):
    return "".join(cell["source"])


def is_setup(text):
    return "from bvae_helpers.teach import setup" in text and "pip" in text


class Notebook:
    def __init__(self, path):
        self.path, self.name = path, path.stem
        self.json = json.loads(path.read_text(encoding="utf-8"))
        self.cells = self.json["cells"]
        self.code = [c for c in self.cells if c["cell_type"] == "code"]
        self.prose = "\n\n".join(text_of(c) for c in self.cells if c["cell_type"] == "markdown")
        self.outputs = [(i, o) for i, c in enumerate(self.code) for o in c["outputs"]]


@pytest.fixture(params=PATHS, ids=[p.stem for p in PATHS])
def notebook(request):
    return Notebook(request.param)


def test_there_are_notebooks():
    assert [p.stem[:2] for p in PATHS] == [f"{n:02d}" for n in range(10)]


# Length

def test_is_an_evening(notebook):
    cells, words = len(notebook.cells), len(notebook.prose.split())
    assert cells <= MOST_CELLS and words <= MOST_WORDS, f"{cells} cells, {words} words"


# Cells

def test_cells_are_short(notebook):
    lines = [text_of(c).splitlines() for c in notebook.code]
    assert max(map(len, lines)) <= 25, f"a cell of {max(map(len, lines))} lines"
    assert statistics.median(map(len, lines)) <= 8
    wide = [line for c, cell in zip(notebook.code, lines) if not is_setup(text_of(c)) for line in cell
            if len(line) > 88]
    assert not wide, f"wider than 88 columns: {wide[0]}"


def test_definitions_stand_in_exercises_only(notebook):
    """``def`` and ``class`` come after a heading "Your turn" and before the next heading."""
    in_exercise = False
    for cell in notebook.cells:
        text = text_of(cell)
        if cell["cell_type"] == "markdown":
            for heading in re.findall(r"^#{1,4} .*", text, re.MULTILINE):
                in_exercise = "Your turn" in heading
        elif not in_exercise:
            found = [n.name for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
            assert not found, f"{found[0]} is defined outside of an exercise"


def test_code_is_plain_python_with_its_imports_on_top(notebook):
    """No magics and no shell: every cell parses. Imports: in the set-up cell and in the one after it."""
    for i, cell in enumerate(notebook.code):
        tree = ast.parse(text_of(cell))
        assert i < 2 or not any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in ast.walk(tree)), text_of(cell)
        assert "get_ipython" not in text_of(cell)


def test_setup_cell_and_badge_are_stamped(notebook):
    assert text_of(notebook.code[0]) == stamp.setup_cell(), "run: python tools/stamp.py"
    assert stamp.badge(notebook.name) in text_of(notebook.cells[0]), "run: python tools/stamp.py"


def test_exercises(notebook):
    stubs = [c for c in notebook.code if "raise NotImplementedError" in text_of(c)]
    assert all(re.search(r"^check_\w+\(\w+\)\s*$", text_of(c), re.MULTILINE) for c in stubs), "a stub without its check"
    assert notebook.prose.count("<details>") == notebook.prose.count("</details>")
    if "01" <= notebook.name[:2] <= "06":
        assert len(stubs) >= 3, f"{len(stubs)} exercises; three are wanted"


def test_links_to_files_lead_somewhere(notebook):
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", notebook.prose):
        if not re.match(r"https?:|attachment:|mailto:", link):
            assert (notebook.path.parent / link).exists(), f"no file at {link}"


# Claims

NO_NUMBER = (r"\[[^\]]*\]\([^)]*\)|`[^`]*`|\$[^$]*\$"                                 # links, code, formulas
             r"|\(?sections? \d[\d., and]*|\((?:\d\d, )?\d(?:\.\d)?\)|\beq\. \d|et al\. \(?\d{4}"     # places and years
             r"|\bz\d|[\wβγ]+ = [\d.,]+")                                          # names of latents, settings


def claims(notebook):
    """(cell, code cells above it) of each paragraph *What to notice* that names a number: those since the paragraph
    before."""
    above = []
    for cell in notebook.cells:
        if cell["cell_type"] == "code":
            above.append(cell)
        elif "**What to notice.**" in text_of(cell):
            said = re.split(r"\n#+ ", text_of(cell).split("**What to notice.**")[1])[0]
            if re.search(r"\d", re.sub(NO_NUMBER, "", said)):
                yield cell, above
            above = []


def test_a_claim_with_a_number_is_held_by_an_assert(notebook):
    """By an assert in a cell above, or by an output above that is compared exactly."""
    loose = [cell["id"] for cell, above in claims(notebook)
             if not any("assert " in text_of(c) or CHECKED in c["metadata"].get("tags", []) for c in above)]
    assert not loose, f"cells {loose}: no assert above holds what they say"


# Outputs

def test_was_run_from_top_to_bottom(notebook):
    counts = [c["execution_count"] for c in notebook.code]
    assert counts == list(range(1, len(counts) + 1)), "run: make notebooks"


def test_outputs_are_clean(notebook):
    for i, output in notebook.outputs:
        assert output["output_type"] != "error", f"code cell {i + 1} failed: {output.get('evalue')}"
        assert output.get("name") != "stderr", f"code cell {i + 1} wrote to stderr: {output.get('text')}"
        assert not any("widget" in kind for kind in output.get("data", {})), f"code cell {i + 1} keeps a widget's state"
    assert "widgets" not in notebook.json["metadata"]
    assert notebook.json["metadata"]["kernelspec"]["name"] == "python3"


def test_results_are_no_raw_dumps(notebook):
    """Nobody reads a history or a tensor of thousands of letters."""
    for _, output in notebook.outputs:
        if set(output.get("data", {})) == {"text/plain"}:
            shown = "".join(output["data"]["text/plain"])
            assert len(shown) <= 500, shown[:200]


def test_a_training_is_watched_or_known_to_be_short(notebook):
    """No cell is silent for more than 5 s: UNWATCHED counts the trainings that take less than that in *laptop*."""
    unwatched = [text_of(c) for c in notebook.code if re.search(r"\bfit\(", text_of(c))
                 and not re.search(r"watch=|stop_after=|print\(", text_of(c))]
    assert len(unwatched) <= UNWATCHED.get(notebook.name[:2], 0), unwatched


def test_is_small(notebook):
    assert notebook.path.stat().st_size <= MOST_KB * 1024


def test_pictures_have_words_for_the_blind(notebook):
    for i, output in notebook.outputs:
        if "image/png" in output.get("data", {}):
            alt = output["metadata"].get("image/png", {}).get("alt", "")
            assert len(alt) >= 20, f"code cell {i + 1}: a figure without alt text; use plots.show(figure, alt=…)"


def test_figures_are_sharp(notebook):
    """160 dots per inch, shown at 100, as ``plots.show`` makes them: all of a notebook, or none."""
    pictures = [o for _, o in notebook.outputs if "image/png" in o.get("data", {})]
    shown = [o["metadata"]["image/png"].get("width") for o in pictures]
    pixels = [int.from_bytes(base64.b64decode("".join(o["data"]["image/png"]))[16:20], "big") for o in pictures]
    assert not any(shown) or shown == [round(width * 100 / 160) for width in pixels], "run: make notebooks"


def test_names_no_folder_of_a_machine(notebook):
    for i, output in notebook.outputs:
        text = json.dumps({k: v for k, v in output.items() if k != "metadata"} | {"data": {
            k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}})
        assert not re.search(r"/(home|root|Users|work|tmp)/", text), f"code cell {i + 1}: {text[:300]}"


def test_enough_outputs_are_compared(notebook):
    tagged = [c for c in notebook.code if CHECKED in c["metadata"].get("tags", [])]
    assert len(tagged) >= 4, f"{len(tagged)} cells are tagged {CHECKED}; four are wanted"
    for cell in tagged:       # nbval passes a tagged cell in silence when it has nothing to compare
        assert cell["execution_count"] and cell["outputs"], f"nothing to compare: {text_of(cell)}"
        kinds = [k for o in cell["outputs"] for k in o.get("data", {"text/plain": 0})]
        assert any(k in ("text/plain", "text/markdown") for k in kinds), f"only pictures: {text_of(cell)}"


# Running

@pytest.mark.parametrize("path", PATHS, ids=[p.stem for p in PATHS])
def test_runs(path):
    """In its own process, in the tiny profile; the outputs of the tagged cells are the committed ones."""
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-q",
               str(path.relative_to(ROOT))]
    tiny = {**os.environ, "BVAE_PROFILE": "tiny", "TQDM_DISABLE": "1"}
    run = subprocess.run(command, cwd=ROOT, env=tiny, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
