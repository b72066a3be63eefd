"""
Processes that work at once, started within milliseconds and kept for the next instance.

They are forked where the system can: a child has the instance in memory and imports nothing, where
a spawned one imports torch for seconds. A forked child of a process with threads must not wait for
locks that a thread held, or use a pool of threads that it has not: torch computes with one thread
there, and PyVRP and OR-Tools use one.
"""

import contextlib
import os
import pickle
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from multiprocessing import connection, get_all_start_methods, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

import torch

from nco.data.errors import InputError

HERE = -1

Work = Callable[[Any], Any]


class WorkerPool:
    """
    Workers, each a process of its own with at most one task at a time.

    Parameters
    ----------
    work
        Called with each task; what it returns or raises is the result.
    size
        Number of workers. Fewer come where the system refuses; one that dies is replaced by
        `refill` alone. Where there is none (any more), this process is the worker `HERE`.
    """

    def __init__(self, work: Work, size: int):
        self._links: dict[int, tuple[Connection, BaseProcess]] = {}
        self._gone: list[BaseProcess] = []  # killed: the end of a large process takes a moment
        self._work, self._size, self._home = work, size, os.getpid()
        self._results: list[tuple[int, Any]] = []  # of this process
        self.idle: list[int] = []
        self.busy: set[int] = set()
        self.refill()

    def refill(self) -> None:
        """Replaces workers that died or were ended."""
        try:
            with _uninterrupted():
                self._join_ended()
                self._start_missing()
        except BaseException:
            self.close()
            raise
        self._use_this_process()

    def _start_missing(self) -> None:
        for number in range(self._size):
            if number in self._links:
                continue
            try:
                self._links[number] = _start(self._work)
            except (OSError, AssertionError):  # no process left, or children are not allowed to us
                break
            self.idle.append(number)
        if self._links and HERE in self.idle:
            self.idle.remove(HERE)

    def _use_this_process(self) -> None:
        if not self._links:
            self.idle = [HERE]

    def end_busy(self) -> None:
        """Ends those workers that are still busy, and drops what they would have found."""
        for worker in list(self.busy):
            if worker in self._links:
                self._end(worker)
        self.busy.clear()
        self._results.clear()
        self._use_this_process()

    def submit(self, worker: int, task: object) -> None:
        """Hands a task to an idle worker; this process carries it out at once."""
        self.idle.remove(worker)
        self.busy.add(worker)
        if worker == HERE:
            self._results.append((worker, _attempt(self._work, task)))
            return
        with contextlib.suppress(OSError):  # it died: `wait` finds out
            _send(self._links[worker][0], task)

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """
        What workers finished meanwhile: as soon as one has, or nothing once the time is over.

        Returns
        -------
        list
            Pairs of worker and result. A result may be an exception: that of the task, or a
            `WorkerDied`, after which the worker is no more.
        """
        if self._results:
            results, self._results = self._results, []
            self.busy.remove(HERE)
            self.idle.append(HERE)
            return results
        links = {self._links[worker][0]: worker for worker in self.busy}
        results = []
        for link in connection.wait(list(links), max(0.0, seconds)) if links else []:
            worker = links[link]  # type: ignore[index]  # no sockets among them
            self.busy.remove(worker)
            try:
                results.append((worker, _receive(self._links[worker][0])))
                self.idle.append(worker)
            except (EOFError, OSError):
                self._end(worker)
                self._use_this_process()
                results.append((worker, WorkerDied("a worker process died")))
        return results

    @property
    def ours(self) -> bool:
        """Whether this process started the workers: a forked copy of it did not."""
        return self._home == os.getpid()

    def close(self) -> None:
        """Ends all workers at once, whatever they do; those of another process are left alone."""
        if not self.ours:
            return
        for worker in list(self._links):
            self._end(worker)
        self._join_ended()

    def _end(self, worker: int) -> None:
        link, process = self._links.pop(worker)
        self.busy.discard(worker)
        if worker in self.idle:
            self.idle.remove(worker)
        process.kill()
        link.close()
        self._gone.append(process)

    def _join_ended(self) -> None:
        for process in self._gone:
            process.join()
            process.close()
        self._gone.clear()

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class WorkerDied(Exception):
    """A worker ended before its task."""


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """
    Holds an interrupt back: forking runs hooks that would swallow it, and no child is to see one
    before it ignores them.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # interrupts come to the main thread, if they come at all
        return
    seen: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: seen.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if seen:
        before(*seen[0])


def _start(work: Work) -> tuple[Connection, BaseProcess]:
    # By name: that a system without forks has no such context is all that the types say.
    context: Any = get_context("fork" if "fork" in get_all_start_methods() else "spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: see above
        process.start()
    theirs.close()
    return ours, process


def _serve(link: Connection, work: Work) -> None:
    """What a worker does, until it is ended or its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's business
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    while True:
        try:
            task = _receive(link)
        except (EOFError, OSError):
            os._exit(0)
        with contextlib.suppress(OSError):
            _send(link, _attempt(work, task))


def _send(link: Connection, message: object) -> None:
    """As bytes: torch would send tensors by shared memory, which one side may not live to fetch."""
    link.send_bytes(pickle.dumps(message))


def _receive(link: Connection) -> Any:
    return pickle.loads(link.recv_bytes())  # of our own process


def _attempt(work: Work, task: object) -> Any:
    try:
        return work(task)
    except InputError as error:
        return error
    except Exception as error:  # whatever it is, it is the result; some cannot be sent
        return RuntimeError(f"{type(error).__name__}: {error}")


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
