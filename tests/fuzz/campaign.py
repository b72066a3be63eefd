"""Runs numbered mutations in a process of its own, and notes how each of them ends."""

import json
import os
import re
import select
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from nco.data.errors import InputError, InputWarning
from tests.fuzz.cases import Case
from tests.fuzz.mutations import mutated

MAX_SECONDS = 5  # of a processor
MAX_GROWTH = 10**9  # bytes of resident memory
SILENCE = 120  # seconds without a word after which a process is taken for stuck


class TooLong(BaseException):
    """A mutation took more than its time; no ``except Exception`` may swallow it."""


@dataclass
class Outcome:
    """
    What came of some mutations.

    Parameters
    ----------
    read, refused
        How many were read, and how many ended in an `InputError` of one line.
    failures
        The others: number, case and what happened.
    by_case
        How many of each case.
    """

    read: int = 0
    refused: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    by_case: Counter[str] = field(default_factory=Counter)


def contents(cases: dict[str, Case], folder: Path) -> dict[str, bytes]:
    """The sound contents of all cases whose files there are; each was used once."""
    found = {}
    for name, case in cases.items():
        place = folder / re.sub(r"\W+", "_", name)
        place.mkdir(parents=True, exist_ok=True)
        try:
            found[name] = case.make(place)
        except pytest.skip.Exception:  # no benchmark data
            continue
        path = place / f"sound{case.suffix}"
        path.write_bytes(found[name])
        with warnings.catch_warnings():  # whatever libraries say when they are imported
            warnings.simplefilter("ignore")
            with suppress(InputError):
                case.use(path)
    return found


def mutation(
    number: int, seed: int, cases: dict[str, Case], sound: dict[str, bytes]
) -> tuple[str, bytes]:
    """The case and the content of a numbered mutation: the same in every run."""
    names = sorted(sound)
    name = names[number % len(names)]
    rng = Random(f"{seed}:{number}")
    suffix = cases[name].suffix
    others = [sound[other] for other in names if cases[other].suffix == suffix]
    return name, mutated(sound[name], suffix, rng, others)


def run(
    numbers: Sequence[int],
    seed: int,
    cases: dict[str, Case],
    sound: dict[str, bytes],
    folder: Path,
    outcome: Outcome,
) -> None:
    """Uses numbered mutations in forks; a fork that crashes or sticks costs one of them."""
    todo = list(numbers)
    while todo:
        done = _fork(todo, seed, cases, sound, folder, outcome)
        todo = todo[done:]


def _fork(
    numbers: Sequence[int],
    seed: int,
    cases: dict[str, Case],
    sound: dict[str, bytes],
    folder: Path,
    outcome: Outcome,
) -> int:
    """How many of the mutations were dealt with before the fork ended."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        torch.set_num_threads(1)  # other threads of the parent's pool are not in the fork
        try:
            with os.fdopen(write, "w") as pipe:
                for number in numbers:
                    print(
                        json.dumps(_use(number, seed, cases, sound, folder)), file=pipe, flush=True
                    )
        finally:
            os._exit(0)
    os.close(write)
    done = 0
    with os.fdopen(read) as pipe:
        while True:
            if not select.select([pipe], [], [], SILENCE)[0]:
                os.kill(child, signal.SIGKILL)
                break
            line = pipe.readline()
            if not line.endswith("\n"):
                break
            _note(json.loads(line), outcome)
            done += 1
    _, status = os.waitpid(child, 0)
    if done < len(numbers):
        name, _ = mutation(numbers[done], seed, cases, sound)
        what = f"the process ended with status {status}"
        outcome.failures.append({"number": numbers[done], "case": name, "what": what})
        done += 1
    return done


def _note(result: dict[str, Any], outcome: Outcome) -> None:
    outcome.by_case[result["case"]] += 1
    if result["what"] == "read":
        outcome.read += 1
    elif result["what"] == "refused":
        outcome.refused += 1
    else:
        outcome.failures.append(result)


def _use(
    number: int, seed: int, cases: dict[str, Case], sound: dict[str, bytes], folder: Path
) -> dict[str, Any]:
    """Uses one mutation, here."""
    name, content = mutation(number, seed, cases, sound)
    place = folder / re.sub(r"\W+", "_", name)
    path = place / f"mutated{cases[name].suffix}"
    path.write_bytes(content)
    result = {"number": number, "case": name, "what": "read"}
    signal.signal(signal.SIGPROF, _ring)
    before = _peak(reset=True)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", InputWarning)
            cases[name].use(path)
    except InputError as error:
        message = str(error)
        result["what"] = "refused"
        if "\n" in message or len(message) > 4000:
            result["what"] = f"a message of {len(message)} characters: {message[:200]!r}"
    except TooLong:
        result["what"] = f"more than {MAX_SECONDS} s"
    except BaseException:
        result["what"] = traceback.format_exc()[-1500:]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    grown = _peak() - before
    if grown > MAX_GROWTH:
        result["what"] = f"{grown / 10**9:.1f} GB: {result['what'][:200]}"
    return result


def _ring(*_: object) -> None:
    raise TooLong


def _peak(reset: bool = False) -> int:
    """The most resident memory of this process since the last reset, in bytes (Linux)."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
