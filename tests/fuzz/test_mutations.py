"""A sample of the campaign that `run.py` runs at length: every case, seeded."""

from pathlib import Path

from tests.fuzz.campaign import Outcome, contents, mutation, run
from tests.fuzz.cases import all_cases

SAMPLE = 2000


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    """Some thousand files, each changed in a way that its format means something by: no traceback,
    no crash, no gigabyte, no five seconds of a processor; some are read, most are refused."""
    cases = all_cases()
    sound = contents(cases, tmp_path)
    outcome = Outcome()
    run(range(SAMPLE), 1, cases, sound, tmp_path, outcome)
    assert outcome.failures == []
    assert outcome.read + outcome.refused == SAMPLE and len(outcome.by_case) == len(sound)
    assert outcome.read > SAMPLE // 20 and outcome.refused > SAMPLE // 3


def test_a_number_says_all_of_a_mutation(tmp_path: Path) -> None:
    """The same number and seed give the same content, others another."""
    cases = all_cases()
    sound = contents(cases, tmp_path)
    some = [mutation(k, 1, cases, sound) for k in range(200)]
    assert some == [mutation(k, 1, cases, sound) for k in range(200)]
    assert some != [mutation(k, 2, cases, sound) for k in range(200)]
    assert sum(content != sound[name] for name, content in some) > 180


def test_failures_are_noticed(tmp_path: Path) -> None:
    """A reader that crashes, takes memory or time, or fails in another way is found out, and the
    run goes on behind it."""
    import os
    import signal

    from tests.fuzz import campaign
    from tests.fuzz.cases import Case

    def crash(path: Path) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def eat(path: Path) -> None:
        bytearray(b"x") * 1_100_000_000

    def stick(path: Path) -> None:
        while True:
            pass

    def fail(path: Path) -> None:
        raise KeyError("x")

    kinds = {"crash": crash, "eat": eat, "fail": fail, "fine": len, "stick": stick}
    cases = {name: Case(".txt", lambda folder: b"1 2\n", lambda path: None) for name in kinds}
    sound = contents(cases, tmp_path)
    bad = {name: Case(".txt", case.make, kinds[name]) for name, case in cases.items()}
    bad["fine"] = cases["fine"]
    outcome = Outcome()
    campaign.run(range(10), 1, bad, sound, tmp_path, outcome)
    whats = {failure["case"]: failure["what"] for failure in outcome.failures}
    assert (
        outcome.read == 2 and len(outcome.failures) == 8 and whats.keys() == kinds.keys() - {"fine"}
    )
    assert "status" in whats["crash"] and "GB" in whats["eat"] and "KeyError" in whats["fail"]
    assert "more than 5 s" in whats["stick"]
