"""Run many faults of one kind: python -m tests.faults KIND --count 3000 --seed 1."""

import argparse
import importlib
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))        # as pytest does: conftest and faults are imported from there

import faults  # noqa: E402


def main():
    kinds = sorted(path.stem.removeprefix("test_") for path in HERE.glob("test_*.py"))
    parser = argparse.ArgumentParser(description=faults.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--count", type=int, default=1000, help="number of cases (default 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="field_files: of these data sets only")
    args = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        said = importlib.import_module(f"faults.test_{args.kind}").run(
            args.count, args.seed, pathlib.Path(folder), *args.only)
    print(f"{args.kind}, seed {args.seed}: {said}; {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
