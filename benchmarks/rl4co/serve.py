"""The measured side of `vs_rl4co.py`: runs one job again and again, whenever it is told to."""

import json
import sys
import time
from collections.abc import Callable
from resource import RUSAGE_SELF, getrusage

import torch

Job = Callable[[], float]  # returns a number that shows what was computed: a cost or a loss


def serve(jobs: dict[str, Callable[[dict], Job]], versions: dict[str, str]) -> None:
    """
    Reads what to set up from the command line, warms up, and runs once for every line of input.

    Every answer is one line of JSON: ``wall`` and ``cpu`` seconds, what the job returned, and the
    peak memory of the process so far, and before the job, in MiB.
    """
    out = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    options = json.loads(sys.argv[1])
    torch.set_num_threads(options["threads"])
    torch.manual_seed(0)
    job = jobs[options["row"]](options)
    before = _peak()
    for _ in range(options["warmup"]):
        job()
    print(json.dumps(versions), file=out, flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        value = job()
        answer = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        answer |= {"value": value, "peak": _peak(), "before": before}
        print(json.dumps(answer), file=out, flush=True)


def _peak() -> float:
    return getrusage(RUSAGE_SELF).ru_maxrss / 1024
