"""tools/gpu_check.sh and the table of benchmarks/training.py, as far as a machine without a card can run them."""

import importlib.util
import os
import pathlib
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def check(tmp_path):
    """``check(fails=..., without=...)`` -> the script's exit status, output and commands, with a stand-in for
    Python."""
    def run(fails=(), without=()):
        log, stub = tmp_path / "log", tmp_path / "python"
        log.write_text("")
        stub.write_text(f"""#!{sys.executable}
import sys
words = " ".join(sys.argv[1:])
open({str(log)!r}, "a").write(words + "\\n")
if "-c" not in sys.argv:
    print("3 passed" if "pytest" in words else "the table")
sys.exit(any(name in words for name in {[*fails, *without]!r}))
""")
        stub.chmod(0o755)
        done = subprocess.run([ROOT / "tools" / "gpu_check.sh", stub], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "TMPDIR": str(tmp_path)})
        return done.returncode, done.stdout, done.stderr, log.read_text()
    return run


def test_everything_is_run_and_stands_in_one_table(check):
    status, out, _, commands = check()
    assert status == 0 and "tests/test_cuda.py" in commands
    assert "benchmarks/training.py --device cuda --limit" in commands
    for name in ["tests", *NOTEBOOKS, "benchmark"]:
        assert any(line.split()[:2] == [name, "passed"] for line in out.splitlines())
    assert out.count("the table") == 1 and out.count("3 passed") == 1


@pytest.mark.parametrize("part, shown", [("tests/test_cuda.py", "tests"), (NOTEBOOKS[0], NOTEBOOKS[0]),
                                         ("benchmarks/training.py", "benchmark")])
def test_any_failure_is_named_and_ends_in_an_exit_status(check, part, shown):
    status, out, errors, _ = check(fails=[part])
    assert status == 1 and f"{shown:24s} FAILED" in out and out.count("FAILED") == 1
    assert "3 passed" in errors or "the table" in errors             # what the part printed


def test_without_a_card_or_without_packages_nothing_is_checked(check):
    status, out, errors, commands = check(without=["is_available"])
    assert status == 2 and "no CUDA here" in errors and "test_cuda" not in commands and out == ""
    status, _, errors, commands = check(without=["import matplotlib"])
    assert status == 2 and "pip install -r requirements.txt" in errors and "test_cuda" not in commands


def test_without_nbval_the_notebooks_are_left_out_and_that_is_said(check):
    status, out, _, commands = check(without=["import nbval"])
    assert status == 0 and "the notebooks are left out" in out and "nbval-lax" not in commands


def test_the_table_of_speeds(monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("training_benchmark", ROOT / "benchmarks" / "training.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    monkeypatch.setattr(benchmark, "ours", lambda images, batch, *options, **more: 1000.0 * batch)
    args = SimpleNamespace(device="cpu", images=32, batches=[8, 16], limit=1e9)
    benchmark.on_cuda(args)
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith(("textbook", "fit, "))]
    assert len(rows) == 9 and rows[0].count("( 1.0)") == 2 and all(line.count("(") == 2 for line in rows)
    benchmark.on_cuda(SimpleNamespace(**{**vars(args), "limit": -1}))
    assert "left out after -1 s: textbook; fit, float32" in capsys.readouterr().out
