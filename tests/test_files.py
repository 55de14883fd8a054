"""Files are replaced whole or not at all, and a killed process leaves nothing behind for ever."""

import os
import signal
import subprocess
import sys

import pytest

from bvae_helpers.data import files
from bvae_helpers.data.files import first_line, write_whole


def test_the_new_file_or_the_old_one(tmp_path):
    path = tmp_path / "deep" / "note.txt"
    write_whole(path, lambda file: file.write(b"old"))

    def torn(file):
        file.write(b"ne")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_whole(path, torn)
    assert path.read_bytes() == b"old" and os.listdir(path.parent) == ["note.txt"]
    write_whole(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"


WRITER = f"""import runpy, sys, time
write_whole = runpy.run_path({files.__file__!r})["write_whole"]     # without torch: the test starts sooner
def write(file):
    print("writing", flush=True)
    time.sleep(600)
write_whole(sys.argv[1], write)"""


def test_parts_of_killed_processes_are_removed_and_those_of_living_ones_kept(tmp_path):
    path = tmp_path / "last [1].pt"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "writing\n"
        writers[0].send_signal(signal.SIGKILL)
        writers[0].wait()
        assert len(list(tmp_path.glob(".last*.part"))) == 2
        write_whole(path, lambda file: file.write(b"whole"))
        assert {part.name for part in tmp_path.glob(".last*.part")} == {f".{path.name}.{writers[1].pid}.part"}
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def test_first_line():
    assert first_line(ValueError("\n one\ntwo")) == "one"
    assert first_line(KeyboardInterrupt()) == "KeyboardInterrupt"
