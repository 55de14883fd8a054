"""Files that are whole at every moment, and locks between the processes of one machine."""

import errno
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

try:
    import fcntl
except ImportError:     # Windows has no flock: there, start one process at a time on a cache or a table
    fcntl = None

__all__ = ["cpus", "first_line", "locked", "printable", "say", "write_whole"]


@contextmanager
def locked(file: IO, waiting: str | None = None) -> Iterator[None]:
    """Hold an exclusive lock on an open file inside the ``with`` block; the file is closed at its end.

    If another process holds the lock, print ``waiting`` and wait. The system frees the lock of a process that dies.
    """
    with file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting:
                    say(waiting)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:              # a file system without locks
                pass
        yield


def write_whole(path: str | os.PathLike, write: Callable[[IO[bytes]], object]) -> None:
    """Replace ``path`` by what ``write(file)`` writes to a binary file: the old bytes stay, or the new ones are whole.

    The bytes go to ``.NAME.PID.part`` in the same folder, reach the disk, and then get their name. If ``write`` raises,
    the old file stays. Parts that killed processes left are removed. Missing folders are made, and ~ is the home
    folder. Raises OSError, naming ``path``, for a folder, a full disk and the like.
    """
    path = pathlib.Path(path).expanduser()
    try:
        _write_whole(path, write)
    except OSError as error:
        raise OSError(error.errno, f"{str(path)!r} could not be written ({error.strerror or error}); what was there "
                                   "before is kept") from error


def _write_whole(path: pathlib.Path, write: Callable[[IO[bytes]], object]) -> None:
    """As ``write_whole``; errors are those of the system."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder: give the name of a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            _try_lock(file)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def cpus() -> int:
    """The number of CPUs that this process may use: ``taskset`` and containers allow fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def printable(text: object) -> str:
    """Text from data, such as a file's name, for a terminal: invisible characters become escapes, as in "\\x1b"."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def say(text: str) -> None:
    """Print a line at once, on terminals of any encoding: characters that one lacks become escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type's name if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _remove_leftovers(path: pathlib.Path) -> None:
    """Remove the parts of ``path`` that no living process is writing: nobody holds their lock."""
    if fcntl is None:
        return
    for part in path.parent.glob(f".{path.name.replace('[', '[[]')}.*.part"):
        with suppress(OSError), open(part, "rb") as file:
            if _try_lock(file):
                part.unlink()


def _try_lock(file: IO) -> bool:
    """Lock an open file without waiting; False if another has the lock or the file system has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (AttributeError, OSError):    # AttributeError: no fcntl
        return False
    return True
