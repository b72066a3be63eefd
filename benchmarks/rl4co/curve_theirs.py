"""RL4CO's half of `time_to_gap.py`: its POMO with its defaults."""

from typing import Any

import numpy as np
import torch
from curve import curve
from rl4co.envs import TSPEnv
from rl4co.models import POMO, AttentionModelPolicy
from tensordict import TensorDict
from theirs import environment, instances


def build(options: dict[str, Any]) -> Any:
    """A training step and a validation."""
    kind, size = options["problem"], options["size"]
    if kind == "cvrp":
        env, held_out = environment(size), instances({"data": options["instances"]})
    else:
        env = TSPEnv(generator_params={"num_loc": size}, check_solution=False)
        locs = torch.from_numpy(np.load(options["instances"])["locs"])
        held_out = TensorDict({"locs": locs}, batch_size=[len(locs)])
    pomo = {"num_encoder_layers": 6, "normalization": "instance", "use_graph_context": False}
    model = POMO(env, policy=AttentionModelPolicy(env_name=kind, **pomo), num_augment=0)
    found: dict[str, Any] = {}

    def keep(out: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        found.update(out)
        return {}

    model.log_metrics = keep
    parameters = model.policy.parameters()
    optimizer = torch.optim.Adam(parameters, lr=1e-4, weight_decay=1e-6)

    def train(k: int, _: float) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=options["autocast"]):
            loss = model.shared_step(env.generator(64), k, "train")["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.policy.parameters(), 1.0)
        optimizer.step()

    def validate() -> float:
        model.policy.eval()
        with torch.inference_mode():
            model.shared_step(held_out.clone(), 0, "val")
        model.policy.train()
        return -float(found["max_reward"].mean())

    return train, validate


if __name__ == "__main__":
    curve(build)
