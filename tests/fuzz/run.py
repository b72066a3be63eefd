"""
The long run: ``python tests/fuzz/run.py --count 100000 --resume FILE``.

Mutations are numbered; number and seed say all of one, so that a run goes on where it was
interrupted, and a failure is looked at again with ``--only NUMBER``.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from tests.fuzz.campaign import Outcome, contents, mutation, run
from tests.fuzz.cases import all_cases

CHUNK = 500


def main() -> int:
    """Runs what is left, and prints the numbers; 1 where a mutation failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="mutations in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", type=Path, help="file that keeps what was done")
    parser.add_argument("--only", type=int, help="writes one mutation to a file and uses it here")
    words = parser.parse_args()
    torch.set_num_threads(1)
    cases = all_cases()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = contents(cases, folder)
        if words.only is not None:
            return _only(words.only, words.seed, cases, sound)
        done, outcome = 0, Outcome()
        if words.resume is not None and words.resume.exists():
            kept = json.loads(words.resume.read_text())
            if kept["seed"] != words.seed or kept["cases"] != sorted(sound):
                parser.error(f"{words.resume}: of another seed or other files")
            done, outcome = kept["done"], Outcome(**kept["outcome"])
            outcome.by_case = type(Outcome().by_case)(outcome.by_case)
        while done < words.count:
            numbers = range(done, min(done + CHUNK, words.count))
            run(numbers, words.seed, cases, sound, folder, outcome)
            done = numbers.stop
            if words.resume is not None:
                kept = {"seed": words.seed, "cases": sorted(sound), "done": done}
                part = words.resume.with_suffix(".part")
                part.write_text(json.dumps(kept | {"outcome": vars(outcome)}))
                part.replace(words.resume)
            print(
                f"{done} {outcome.read} read, {outcome.refused} refused, "
                f"{len(outcome.failures)} failed",
                flush=True,
            )
    for failure in outcome.failures:
        print(f"\n{failure['number']} {failure['case']}: {failure['what']}")
    return 1 if outcome.failures else 0


def _only(number: int, seed: int, cases, sound) -> int:
    name, content = mutation(number, seed, cases, sound)
    path = Path(tempfile.mkdtemp()) / f"mutated{cases[name].suffix}"
    path.write_bytes(content)
    print(f"{name}: {path}", flush=True)
    cases[name].use(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
