"""What depends on the machine: memory kept between steps, number formats, signals to stop."""

import ctypes
import signal
import sys
import threading
import warnings
from contextlib import contextmanager

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3      # glibc's malloc.h


@contextmanager
def one_thread():
    """Numerics in one thread: operations of microseconds are split only at a loss, twentyfold on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def keep_memory():
    """Let the C allocator keep the memory a training step frees, for the next step to use.

    By default glibc gives big blocks back to the kernel and faults them in again at every step,
    which costs a third to two thirds of the speed on a CPU. Elsewhere than on glibc: nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 2 ** 30)
        mallopt(M_TRIM_THRESHOLD, 2 ** 31 - 1)
    except (OSError, AttributeError):            # musl and others have no mallopt
        pass


def precision(name, device):
    """The dtype of the convolutions. ``auto``: float32 on a CPU; on CUDA bfloat16, or float16 where
    the card has no bfloat16. Warns of 16 bits on a CPU that would have to imitate them."""
    if name != "auto":
        if device.type == "cpu" and name != "float32" and torch.backends.cpu.get_cpu_capability() in ("AVX2", "DEFAULT"):
            warnings.warn(f"this CPU seems to have no arithmetic for {name}: one with AVX2 alone took ten times as long as in "
                          "float32; precision='float32' is the default there", stacklevel=2)
        return getattr(torch, name)
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def resident(images, device):
    """The images in the device's own memory, if they take less than half of what is free there."""
    if device.type != "cuda" or not isinstance(images.source, torch.Tensor):
        return images
    return images.to(device) if images.source.nbytes < torch.cuda.mem_get_info(device)[0] / 2 else images


class Stop:
    requested = False


@contextmanager
def stop_signals():
    """Turn Ctrl-C, a kernel interrupt or SIGTERM into a request, heeded between two steps.

    A second signal interrupts at once. Off the main thread, where Python allows no handlers,
    signals are left as they are.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handler(number, frame):
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
