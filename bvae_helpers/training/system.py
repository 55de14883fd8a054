"""What depends on the machine: memory kept between steps, random generators, signals to stop."""

import ctypes
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

import torch

from ..data import Images
from ..data.files import fcntl

__all__ = ["Stop", "folder_lock", "keep_memory", "leave", "occupy", "renew_generator", "resident", "seeded",
           "stop_signals"]

RUNNING = ".running"                             # locked by each run that is under way in its folder
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3      # glibc's malloc.h


def keep_memory():
    """Let the C allocator keep the memory that a training step frees, so that the next step can use it.

    By default glibc returns large blocks to the kernel, which has to map them again at every step: a third to two
    thirds of the speed on a CPU. Does nothing on systems without glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 2 ** 30)
        mallopt(M_TRIM_THRESHOLD, 2 ** 31 - 1)
    except (OSError, AttributeError):            # musl and others have no mallopt
        pass


def resident(images: Images, device: torch.device) -> Images:
    """The images in the device's own memory if they take less than half of what is free there, else as they are."""
    if device.type != "cuda" or not isinstance(images.source, torch.Tensor):
        return images
    return images.to(device) if images.source.nbytes < torch.cuda.mem_get_info(device)[0] / 2 else images


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Draw from ``seed`` inside the block; torch's generators of the CPU and of ``device`` are restored afterwards.

    ``torch.manual_seed`` would also reseed all other devices, and nothing would restore those.
    """
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for card in cuda:
            with torch.cuda.device(card):
                torch.cuda.manual_seed(seed)
        yield


def renew_generator(device: torch.device, state: torch.Tensor):
    """Let torch's generator of a CUDA device continue from ``state`` (``torch.cuda.get_rng_state``) in a new object.

    When the recording of a CUDA graph fails, the generator's own object counts as recording for ever, and every draw
    raises an error (torch before 2.12: pytorch issue 171263).
    """
    fresh = torch.Generator(device)
    fresh.set_state(state)
    torch.cuda.default_generators[device.index].graphsafe_set_state(fresh)


@contextmanager
def folder_lock(folder: pathlib.Path | None) -> Iterator[None]:
    """Hold a lock on ``folder`` inside the block, so that only one process at a time looks for its checkpoints.

    Makes the folder if necessary. Does nothing for None, on Windows, and on file systems without locks.
    """
    if folder is None or fcntl is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def occupy(folder: pathlib.Path | None, alone: bool) -> IO | None:
    """Note that a run is under way in ``folder``, until ``leave`` gets what is returned or the process ends.

    To be called, like ``leave``, by who holds the ``folder_lock``. Raises ValueError if the run must be ``alone`` and
    another is under way there. Does nothing, and returns None, for no folder, on Windows, and in folders that cannot be
    written to.
    """
    if folder is None or fcntl is None:
        return None
    try:
        file = open(folder / RUNNING, "a")
    except OSError:
        return None
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_SH)
    except BlockingIOError:
        file.close()
        raise ValueError(f"another run is under way in {str(folder)!r}, and a new one would move its files aside: use "
                         "another save_dir, or stop that run first") from None
    except OSError:                              # a file system without locks
        pass
    return file


def leave(folder: pathlib.Path, file: IO | None) -> None:
    """End what ``occupy`` began, and remove its file if no other run is under way."""
    if file is None:
        return
    with file, suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / RUNNING).unlink()


class Stop:
    """Whether a signal has asked the training to stop."""

    requested = False


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Turn Ctrl-C, a kernel interrupt or SIGTERM into a request that training reads between two steps.

    A second signal interrupts at once. Outside the main thread, where Python allows no handlers, signals keep their
    usual effect.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    over = False

    def handler(number, frame):
        if stop.requested and not over:
            raise KeyboardInterrupt
        stop.requested = True

    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)}
    try:                                         # from here on, a second signal may come between any two lines
        for number in before:
            signal.signal(number, handler)
        yield stop
    finally:
        over = True
        for number, previous in before.items():
            signal.signal(number, previous)
