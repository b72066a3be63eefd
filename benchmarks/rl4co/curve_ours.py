"""nco's half of `time_to_gap.py`: POMO."""

from typing import Any

import torch
from curve import curve
from ours import instances

from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.data.seeding import seeded
from nco.decoding import MultiStart
from nco.envs import problem
from nco.policies import AttentionPolicy
from nco.training import REINFORCE


def build(options: dict[str, Any]) -> Any:
    """A training step and a validation; the network is that of the other side."""
    env = problem(options["problem"])
    generator = {"cvrp": CVRPGenerator, "tsp": TSPGenerator}[options["problem"]](options["size"])
    policy = AttentionPolicy(env, layers=6, norm="instance", graph_context=False)
    module = REINFORCE(env, policy, starts=options["starts"])
    module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer
    optimizer = torch.optim.Adam(policy.parameters(), lr=options["rate"], weight_decay=1e-6)
    held_out = instances({"data": options["instances"]})

    def train(k: int, spent: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = options["rate"] * max(0.03, 1 - spent / options["plan"])
        with torch.autocast("cpu", torch.bfloat16, enabled=options["autocast"]):
            loss = module.training_step(generator(options["batch"], seeded(k + 1)), k)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()

    def validate() -> float:
        policy.eval()
        cost = MultiStart()(env, policy, held_out).best()[1].mean()
        policy.train()
        return float(cost)

    return train, validate


if __name__ == "__main__":
    curve(build)
