"""Trains for some minutes and prints the validation cost on the way, for `time_to_gap.py`."""

import json
import sys
import time
from collections.abc import Callable

import torch


def curve(
    build: Callable[[dict], tuple[Callable[[int, float], None], Callable[[], float]]],
) -> None:
    """
    Lines of JSON: seconds of training (validation does not count), steps, validation cost.

    Parameters
    ----------
    build
        Makes, from the options on the command line, what takes training step k, given the seconds
        before it, and what validates.
    """
    out, sys.stdout = sys.stdout, sys.stderr
    options = json.loads(sys.argv[1])
    torch.set_num_threads(options["threads"])
    torch.manual_seed(0)
    train, validate = build(options)
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[options["clock"]]
    spent, next_look, k = 0.0, 0.0, 0
    while True:
        if spent >= next_look:
            cost = validate()
            print(json.dumps({"seconds": spent, "steps": k, "cost": cost}), file=out, flush=True)
            next_look += options["every"]
            if spent >= options["seconds"] or cost <= options["target"]:
                return
        begun = clock()
        train(k, spent)
        spent += clock() - begun
        k += 1
