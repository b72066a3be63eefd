"""Work spread over processes, one task lost at most when a process dies."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any

Task = tuple[int, tuple[Any, ...]]  # a key and the arguments


def in_processes(
    function: Callable[..., Any], tasks: Iterable[Task], workers: int
) -> Iterator[tuple[int, Any]]:
    """
    Results in the order in which they are ready.

    Parameters
    ----------
    function
        Found by its module and name, so that a fresh process can import it.
    tasks
        Pairs of a key and the arguments; taken as they are needed.
    workers
        Processes; 0 runs the tasks one after another in this one.

    Yields
    ------
    tuple
        The key, and what the function returned or the exception that it raised. A task that ends
        its process comes as a `ProcessDied`.
    """
    remaining = iter(tasks)
    if workers == 0:
        yield from ((key, _attempt(function, arguments)) for key, arguments in remaining)
        return
    suspects: list[Task] = []
    finished = False
    while not finished:
        finished = True
        for task, result in _one_pool(function, remaining, workers):
            if isinstance(result, BrokenProcessPool):
                suspects.append(task)
                finished = False
            else:
                yield task[0], result
        # The pool does not tell which task ended the process: each is tried on its own.
        for task in suspects:
            ((_, result),) = _one_pool(function, iter([task]), 1)
            died = isinstance(result, BrokenProcessPool)
            yield task[0], ProcessDied("the solver ended its process") if died else result
        suspects.clear()


class ProcessDied(Exception):
    """A task ended the process that it ran in."""


def _one_pool(
    function: Callable[..., Any], tasks: Iterator[Task], workers: int
) -> Iterator[tuple[Task, Any]]:
    """Runs tasks until there are no more, or a process died: then those under way come broken."""
    # Spawned: a forked child of a process with threads (torch's) may never wake up.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_prepare)
    running: dict[Future[Any], Task] = {}
    broken = False
    try:
        while True:
            while not broken and len(running) < 2 * workers:
                task = next(tasks, None)
                if task is None:
                    break
                running[pool.submit(function, *task[1])] = task
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                error = future.exception()
                broken |= isinstance(error, BrokenProcessPool)
                yield running.pop(future), future.result() if error is None else error
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except Exception as error:  # whatever it is, it is the result
        return error


def _prepare() -> None:
    """An interrupt is the parent's business; a worker whose parent died has none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None  # of a spawned process
    parent.join()
    os._exit(1)
