"""Work in processes: all results come back, errors and deaths of processes among them."""

import os

from nco.labelling.processes import ProcessDied, in_processes


def task(number: int) -> int:
    """Squares; 3 is an error and 5 ends the process."""
    if number == 3:
        raise ValueError("three")
    if number == 5:
        os._exit(1)
    return number * number


def test_every_task_comes_back_once() -> None:
    """One task that raises and one that kills its process cost no other result."""
    results = dict(in_processes(task, [(n, (n,)) for n in range(8)], 2))
    assert sorted(results) == list(range(8))
    assert {n: r for n, r in results.items() if n not in (3, 5)} == {
        n: n * n for n in range(8) if n not in (3, 5)
    }
    assert isinstance(results[3], ValueError)
    assert isinstance(results[5], ProcessDied)
