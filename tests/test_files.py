"""Files are replaced whole or not at all, and a killed process leaves nothing behind for ever."""

import io
import os
import signal
import subprocess
import sys

import pytest

from bvae_helpers.data import files
from bvae_helpers.data.files import cpus, first_line, printable, say, write_whole


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


def test_what_cannot_be_written_is_named(tmp_path):
    """A folder in the place of the file, a file in the place of the folder."""
    write_whole(tmp_path / "a", lambda file: file.write(b"old"))
    for path in (tmp_path, tmp_path / "a" / "b"):
        with pytest.raises(OSError, match=f"'{path}' could not be written .*; what was there before is kept"):
            write_whole(path, lambda file: file.write(b"new"))
    assert (tmp_path / "a").read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]


WRITER = f"""import runpy, sys, time
write_whole = runpy.run_path({files.__file__!r})["write_whole"]     # without torch: the test starts sooner
def write(file):
    print("writing", flush=True)
    time.sleep(600)
write_whole(sys.argv[1], write)"""


def test_parts_of_killed_processes_are_removed_and_those_of_living_ones_kept(tmp_path):
    path = tmp_path / "last [1].pt"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True)
               for _ in range(2)]
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


def test_cpus_of_this_process_not_of_the_machine(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    assert cpus() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cpus() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpus() == 1


def test_names_in_a_terminal():
    """Nothing in a name moves the cursor, sets a title or turns the text round; letters of any script stay."""
    assert printable("Zoë 猫.png") == "Zoë 猫.png"
    assert printable("a\x1b[2J\x07\u202egnp.exe\n\udcff") == r"a\x1b[2J\x07\u202egnp.exe\n\udcff"


def test_a_line_on_a_terminal_of_ascii(monkeypatch):
    for encoding, shown in (("ascii", b"caf\\xe9 \\u2026\n"), ("utf-8", "café …\n".encode())):
        terminal = io.TextIOWrapper(io.BytesIO(), encoding)
        monkeypatch.setattr(sys, "stdout", terminal)
        say("café …")
        assert terminal.buffer.getvalue() == shown
