"""How much memory a call takes, measured in a process of its own."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

MEGABYTE = 10**6


def refused_within(call: Callable[[], object], megabytes: int, error: type[Exception]) -> str:
    """
    The message of the error with which a call ends, in a fork that may not grow by more.

    Growth is that of the resident memory, which is what another program has not.
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(read)
            torch.set_num_threads(1)  # other threads of the parent's pool are not in the fork
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
            before = _peak()
            try:
                call()
                text = "none"
            except error as refused:
                text = f"refused {refused}"
            except BaseException as other:
                text = f"{type(other).__name__} {other}"
            grown = (_peak() - before) // MEGABYTE
            os.write(write, f"{grown} {text}".encode()[:4000])
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    grown, kind, message = (*answer.split(" ", 2), "", "")[:3]
    assert kind == "refused", answer or "the process ended"
    assert int(grown) <= megabytes, f"{grown} MB"
    return message


def _peak() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
