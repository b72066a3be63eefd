"""What `vs_rl4co.py` measures of nco."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from serve import Job, serve
from tensordict import TensorDict
from torch import Tensor

from nco import __version__
from nco.data.generators import CVRPGenerator
from nco.data.instance import from_tensors
from nco.data.seeding import seeded
from nco.decoding import Augment, MultiStart, Search, Single
from nco.envs import RoutingEnv, problem
from nco.envs.problems.table import PROBLEMS
from nco.policies import AttentionPolicy
from nco.training import REINFORCE, GreedyRollout

KIND = {"POMO": {"layers": 6, "norm": "instance", "graph_context": False}, "AM": {}}


def instances(options: dict[str, Any]) -> TensorDict:
    """Those that both sides solve."""
    stored = np.load(options["data"])
    return from_tensors(**{name: torch.from_numpy(stored[name]) for name in stored.files})


def network(env: RoutingEnv, options: dict[str, Any]) -> AttentionPolicy:
    """The policy with the weights that both sides have."""
    policy = AttentionPolicy(env, **KIND[options["model"]])
    policy.load_state_dict(torch.load(options["weights"], weights_only=True))
    return policy


def training(module: REINFORCE, instance: TensorDict, autocast: bool) -> Job:
    """One optimizer step on the same instances, drawn solutions differing."""
    module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer
    optimizer = torch.optim.Adam(module.policy.parameters(), lr=1e-4)
    count = 0

    def step() -> float:
        nonlocal count
        count += 1
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = module.training_step(instance, count)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.policy.parameters(), 1.0)
        optimizer.step()
        return float(loss)

    return step


def pomo_step(options: dict[str, Any]) -> Job:
    """POMO: all starts, all of them back-propagated."""
    env = problem("cvrp")
    module = REINFORCE(env, network(env, options).train(), starts=-1)
    return training(module, instances(options), options["autocast"])


def am_step(options: dict[str, Any]) -> Job:
    """The Attention Model with its greedy rollout baseline."""
    env = problem("cvrp")
    baseline = GreedyRollout(CVRPGenerator(50), warmup_epochs=0)
    module = REINFORCE(env, network(env, options).train(), baseline=baseline)
    return training(module, instances(options), options["autocast"])


def decoding(search: Search) -> Any:
    """Solving instances by a search."""

    def prepare(options: dict[str, Any]) -> Job:
        env = problem("cvrp")
        policy, instance = network(env, options).eval(), instances(options)

        def decode() -> float:
            with (
                torch.inference_mode(),
                torch.autocast("cpu", torch.bfloat16, enabled=options["autocast"]),
            ):
                return float(search(env, policy, instance).best()[1].mean())

        return decode

    return prepare


def env_step(name: str) -> Any:
    """All steps of recorded random rollouts, masks included, without any network."""

    def prepare(options: dict[str, Any]) -> Job:
        env = problem(name)
        generator = PROBLEMS[name].generator(50)
        instance = generator(64, seeded(1))
        rng = seeded(2)
        state, actions = env.reset(instance, 50), list[Tensor]()
        while not env.done(state).all():
            weights = env.mask(state).float().flatten(0, 1)
            action = weights.multinomial(1, generator=rng).view(state.current.shape)
            actions.append(action)
            state = env.step(state, action)

        def drive() -> float:
            state = env.reset(instance, 50)
            for action in actions:
                state = env.step(state, action)
                env.mask(state)
            return float(len(actions))

        return drive

    return prepare


def prepare(options: dict[str, Any]) -> None:
    """
    Writes the instances and the weights that both sides use.

    The weights come from a few steps of training: an untrained network goes home after
    every customer, and its rollouts are far longer than those of any training that matters.
    """
    for size, count in ((50, 64), (50, 512), (100, 1), (100, 16), (100, 512)):
        instance = CVRPGenerator(size)(count, seeded(size))
        fields = {name: value.numpy() for name, value in instance.items()}
        np.savez(Path(options["folder"]) / f"cvrp{size}_{count}.npz", **fields)
    env = problem("cvrp")
    for model, settings in KIND.items():
        torch.manual_seed(1)
        policy = AttentionPolicy(env, **settings)
        module = REINFORCE(env, policy, samples=8)
        module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
        optimizer = torch.optim.Adam(policy.parameters(), lr=5e-4)
        for k in range(options["steps"]):
            loss = module.training_step(CVRPGenerator(20)(64, seeded(k)), k)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.save(policy.state_dict(), Path(options["folder"]) / f"{model}.pt")


JOBS = {
    "pomo step": pomo_step,
    "am step": am_step,
    "greedy": decoding(Single()),
    "multi-start": decoding(Augment(MultiStart(), 8)),
    "latency": decoding(Single()),
    "env step cvrp": env_step("cvrp"),
    "env step cvrptw": env_step("vrptw"),
    "memory": pomo_step,
}

if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare({"folder": sys.argv[2], "steps": int(sys.argv[3])})
    else:
        serve(JOBS, {"nco": __version__, "torch": torch.__version__})
