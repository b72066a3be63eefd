"""
The CPU kernels beside plain PyTorch, operation by operation, for every build.

    OMP_NUM_THREADS=1 python benchmarks/kernels.py

prints a table in Markdown and writes kernels.csv beside this file: milliseconds of processor time,
the least of several runs, and how many times faster the kernels are. For avx2 and portable PyTorch
and its libraries use AVX2 at most, as on a processor that has no more.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rows import write_rows
from torch import Tensor
from vs_rl4co import AVX2_ALONE

from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.data.native import runnable
from nco.data.seeding import seeded
from nco.decoding import Greedy, Sampling, rollout
from nco.envs import PROBLEMS, problem
from nco.envs import native as env_native
from nco.policies import AttentionPolicy, native
from nco.policies.layers import EncoderLayer, Norm, SelfAttention, attend, point

HERE = Path(__file__).parent
Case = tuple[str, Callable[[], Callable[[], object]]]


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=seeded(1))


def both_ways(name: str, run: Callable[[], Tensor], inputs: list[Tensor]) -> Iterator[Case]:
    """An operation without a gradient, and with one."""

    def forward() -> object:
        with torch.no_grad():
            return run()

    def backward() -> object:
        out = run()
        return torch.autograd.grad(out.where(out.isfinite(), 0).sum(), inputs)

    yield name, lambda: forward
    yield f"{name}, gradient", lambda: backward


def attentions() -> Iterator[Case]:
    for batch, heads, queries, nodes, d in (
        *((64, 8, 50, 51, 16), (64, 8, 8, 101, 16), (1, 8, 1, 101, 16), (1, 8, 100, 1001, 16)),
        *((16, 4, 50, 51, 32), (16, 8, 101, 101, 64)),
    ):
        # As a linear layer leaves them: the heads of a node side by side.
        q, k, v = (
            randn(batch, n, heads, d).transpose(1, 2).requires_grad_()
            for n in (queries, nodes, nodes)
        )
        mask = torch.rand(batch, 1, queries, nodes, generator=seeded(2)) < 0.7
        mask[..., 0] = True
        name = f"attention {batch} x {heads} x {queries} x {nodes} x {d}"
        yield from both_ways(name, lambda q=q, k=k, v=v, m=mask: attend(q, k, v, m), [q, k, v])


def layers() -> Iterator[Case]:
    torch.manual_seed(1)
    for batch, nodes, dim in (
        *((64, 51, 128), (512, 101, 128), (1, 101, 128), (1, 1001, 128)),
        *((16, 101, 256), (64, 21, 32)),
    ):
        x = randn(batch, nodes, dim).requires_grad_()
        for kind in ("instance", "batch"):
            layer = EncoderLayer(dim, 8 if dim >= 128 else 2, 4 * dim, kind)  # type: ignore[arg-type]
            name = f"encoder layer, {kind}, {batch} x {nodes} x {dim}"
            inputs = [x, *layer.parameters()]
            yield from both_ways(name, lambda layer=layer, x=x: layer(x), inputs)
        attention, norm = SelfAttention(dim, 8 if dim >= 128 else 2), Norm(dim, "instance")
        name = f"self-attention {batch} x {nodes} x {dim}"
        yield from both_ways(name, lambda a=attention, x=x: a(x), [x, *attention.parameters()])
        name = f"instance norm {batch} x {nodes} x {dim}"
        yield from both_ways(name, lambda n=norm, x=x: n(x), [x, *norm.parameters()])


def pointers() -> Iterator[Case]:
    for shape in ((64, 50, 51), (1, 1, 101), (8, 100, 101), (1, 1, 1001)):
        x = randn(*shape).requires_grad_()
        mask = torch.rand(shape, generator=seeded(2)) < 0.5
        mask[..., 0] = True
        name = f"pointer {' x '.join(map(str, shape))}"
        yield from both_ways(name, lambda x=x, m=mask: point(x, None, m, 10.0, 0.1), [x])


def rollouts() -> Iterator[Case]:
    kinds: dict[str, dict[str, Any]] = {
        "POMO": {"layers": 1, "norm": "instance", "graph_context": False},
        "ReLD": {"layers": 1, "residual": True, "distance_bias": True},
    }
    for name, kind, size, batch, starts in (
        *(("cvrp", "POMO", 50, 64, 50), ("cvrp", "POMO", 100, 1, 1), ("cvrp", "POMO", 20, 64, 1)),
        *(("cvrp", "ReLD", 100, 1, 100), ("tsp", "POMO", 100, 16, 100), ("tsp", "ReLD", 500, 1, 1)),
    ):
        env, torch_seed = problem(name), 1
        torch.manual_seed(torch_seed)
        policy = AttentionPolicy(env, **kinds[kind]).eval()
        instance = (CVRPGenerator if name == "cvrp" else TSPGenerator)(size)(batch, seeded(1))

        def decode(env=env, policy=policy, instance=instance, starts=starts) -> object:  # type: ignore[no-untyped-def]
            return rollout(env, policy, instance, Greedy(), starts)

        def train(env=env, policy=policy, instance=instance, starts=starts) -> object:  # type: ignore[no-untyped-def]
            with torch.no_grad():
                drawn = rollout(
                    env, policy, instance, Sampling(), starts, rng=seeded(3), record=True
                )
            embeddings = policy.encode(env.features(instance))
            total = policy.evaluate(embeddings, drawn.trajectory).sum()
            return torch.autograd.grad(total, list(policy.parameters()), allow_unused=True)

        title = f"rollout {name} {kind}, {batch} x {starts} x {size}"
        yield title, lambda decode=decode: decode
        if size < 200:
            yield f"{title}, gradient", lambda train=train: train


def steps() -> Iterator[Case]:
    for name, size, batch, starts in (
        *(("cvrp", 50, 64, 50), ("vrptw", 50, 64, 50), ("vrptw", 20, 1, 1), ("cvrp", 500, 1, 1)),
    ):
        env, instance = problem(name), PROBLEMS[name].generator(size)(batch, seeded(1))

        def prepare(env=env, instance=instance, starts=starts) -> Callable[[], object]:  # type: ignore[no-untyped-def]
            rng, actions = seeded(2), list[Tensor]()
            state = env.reset(instance, starts)
            while not env.done(state).all():
                weights = env.mask(state).float().flatten(0, 1)
                action = weights.multinomial(1, generator=rng).view(state.current.shape)
                actions.append(action)
                state = env.step(state, action)

            def walk() -> object:
                state = env.reset(instance, starts)
                for action in actions:
                    state = env.step(state, action)
                    env.mask(state)
                return state

            return walk

        yield f"steps {name}, {batch} x {starts} x {size}", prepare


@contextmanager
def plain() -> Iterator[None]:
    """Without kernels."""
    kept = env_native.library, native.library
    env_native.library = native.library = lambda: None
    try:
        yield
    finally:
        env_native.library, native.library = kept


def milliseconds(run: Callable[[], object], patience: float) -> float:
    """Of processor time, the least of several calls that take so many seconds together."""
    best, begun = float("inf"), time.perf_counter()
    run()
    while time.perf_counter() - begun < patience or best == float("inf"):
        before = time.process_time()
        run()
        best = min(best, time.process_time() - before)
    return 1000 * best


def measure(words: list[str], patience: float) -> None:
    """All cases with the build that the environment asks for: one line of JSON each."""
    for part in (attentions, layers, pointers, rollouts, steps):
        for name, prepare in part():
            if not all(word in name for word in words):
                continue
            run = prepare()
            mine = milliseconds(run, patience)
            with plain():
                theirs = milliseconds(run, patience)
            print(json.dumps({"case": name, "kernels": mine, "plain": theirs}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--builds", nargs="+", default=runnable())
    parser.add_argument("--cases", nargs="*", default=[], help="words that their names contain")
    parser.add_argument("--seconds", type=float, default=0.5, help="for every number")
    parser.add_argument("--out", type=Path, default=HERE / "kernels.csv")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        return measure(options.cases, options.seconds)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for build in options.builds:
        limits = AVX2_ALONE if build in ("avx2", "portable") else {}
        command = [sys.executable, __file__, "--measure", "--seconds", str(options.seconds)]
        environment = os.environ | limits | {"NCO_KERNELS": build}
        done = subprocess.run(
            [*command, "--cases", *options.cases],
            env=environment, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        for line in map(json.loads, done.stdout.splitlines()):
            table.setdefault(line.pop("case"), {})[build] = line
    print(f"| | {' | '.join(options.builds)} |\n|---{'|---' * len(options.builds)}|")
    for case, found in table.items():
        cells = (
            f"{x['kernels']:.3g} / {x['plain']:.3g} ms, {x['plain'] / x['kernels']:.1f}"
            for x in found.values()
        )
        print(f"| {case} | {' | '.join(cells)} |")
    write_rows(
        options.out,
        (
            {"case": case, "build": build, **times}
            for case, found in table.items()
            for build, times in found.items()
        ),
    )
    return None


if __name__ == "__main__":
    main()
