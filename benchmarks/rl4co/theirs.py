"""What `vs_rl4co.py` measures of RL4CO; runs in an environment of its own, without nco."""

import logging
import re
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from serve import Job, serve
from torch import Tensor

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

from rl4co.envs import CVRPEnv, CVRPTWEnv  # noqa: E402
from rl4co.models import POMO, AttentionModel, AttentionModelPolicy  # noqa: E402
from rl4co.utils.ops import batchify  # noqa: E402
from tensordict import TensorDict  # noqa: E402


def instances(options: dict[str, Any]) -> TensorDict:
    """Those that both sides solve, as their generator would draw them."""
    stored = {name: torch.from_numpy(value) for name, value in np.load(options["data"]).items()}
    capacity = stored["capacity"].unsqueeze(-1).float()
    fields = {
        "locs": stored["locs"][:, 1:],
        "depot": stored["locs"][:, 0],
        "demand": stored["demand"][:, 1:] / capacity,
        "capacity": capacity,
    }
    return TensorDict(fields, batch_size=[len(capacity)])


def translated(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of nco under RL4CO's names; biases that nco does without are zero."""
    found = {name: torch.zeros_like(value) for name, value in theirs.items()}
    for name, value in ours.items():
        part = re.match(r"encoder\.layers\.(\d)\.(\w+)\.(.*)", name)
        if part:
            layer = f"encoder.net.layers.{part[1]}"
            rest = part[3].removeprefix("batch.")
            linear = rest.replace("2.", "1.", 1)  # a ReLU is in between
            renamed = {
                "attention": f"{layer}.0.module.{rest}".replace("qkv", "Wqkv").replace(
                    "module.out", "module.out_proj"
                ),
                "norm_attention": f"{layer}.1.normalizer.{rest}",
                "feed_forward": f"{layer}.2.module.lins.{linear}",
                "norm_feed_forward": f"{layer}.3.normalizer.{rest}",
            }[part[2]]
            found[renamed] = value
    encoder, decoder = "encoder.init_embedding", "decoder"
    for one, other in (("depot", "init_embed_depot"), ("customer", "init_embed")):
        for kind in ("weight", "bias"):
            found[f"{encoder}.{other}.{kind}"] = ours[f"encoder.embedding.{one}.{kind}"]
    tables = ours["decoder.node_tables.weight"]
    found[f"{decoder}.project_node_embeddings.weight"] = tables[:384]
    found[f"{decoder}.context_embedding.project_context.weight"] = torch.cat(
        [tables[384:], ours["decoder.scalars.weight"]], dim=1
    )
    found[f"{decoder}.pointer.project_out.weight"] = ours["decoder.out.weight"]
    if "decoder.graph.weight" in ours:
        found[f"{decoder}.project_fixed_context.weight"] = ours["decoder.graph.weight"]
    assert found.keys() == theirs.keys(), found.keys() ^ theirs.keys()
    return found


def network(options: dict[str, Any]) -> AttentionModelPolicy:
    """The policy with the weights that both sides have."""
    pomo = {"num_encoder_layers": 6, "normalization": "instance", "use_graph_context": False}
    settings = pomo if options["model"] == "POMO" else {}
    policy = AttentionModelPolicy(env_name="cvrp", **settings)
    weights = torch.load(options["weights"], weights_only=True)
    policy.load_state_dict(translated(weights, policy.state_dict()))
    return policy


def environment(size: int) -> CVRPEnv:
    """Without the check of solutions, which is a loop in Python."""
    return CVRPEnv(generator_params={"num_loc": size}, check_solution=False)


def training(model: Any, batch: TensorDict, options: dict[str, Any], greedy: bool) -> Job:
    """One optimizer step on the same instances."""
    model.log_metrics = lambda *_, **__: {}  # there is no trainer
    optimizer = torch.optim.Adam(model.policy.parameters(), lr=1e-4)

    def step() -> float:
        one = batch.clone()
        with torch.autocast("cpu", torch.bfloat16, enabled=options["autocast"]):
            if greedy:  # as their RolloutBaseline.wrap_dataset does, batch by batch
                with torch.inference_mode():
                    td = model.env.reset(one.clone())
                    value = model.baseline.policy(td, model.env, decode_type="greedy")["reward"]
                one.set("extra", value.clone())
            loss = model.shared_step(one, 0, "train")["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.policy.parameters(), 1.0)
        optimizer.step()
        return float(loss)

    return step


def pomo_step(options: dict[str, Any]) -> Job:
    """POMO: all starts, all of them back-propagated."""
    model = POMO(environment(50), policy=network(options).train())
    return training(model, instances(options), options, greedy=False)


def am_step(options: dict[str, Any]) -> Job:
    """The Attention Model with its greedy rollout baseline."""
    model = AttentionModel(environment(50), policy=network(options), baseline="rollout_only")
    model.baseline.setup(model.policy, model.env, batch_size=4, dataset_size=4)
    model.policy.train()
    return training(model, instances(options), options, greedy=True)


def greedy(options: dict[str, Any]) -> Job:
    """One greedy rollout of each instance."""
    batch, policy = instances(options), network(options).eval()
    env = environment(batch["locs"].shape[1])

    def decode() -> float:
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=options["autocast"]),
        ):
            td = env.reset(batch.clone())
            return -float(policy(td, env, phase="test", decode_type="greedy")["reward"].mean())

    return decode


def multi_start(options: dict[str, Any]) -> Job:
    """All starts of eight views, the best of which counts."""
    batch = instances(options)
    model = POMO(environment(batch["locs"].shape[1]), policy=network(options).eval(), num_augment=8)
    best: dict[str, Any] = {}

    def keep(out: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        best.update(out)
        return {}

    model.log_metrics = keep

    def decode() -> float:
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=options["autocast"]),
        ):
            model.shared_step(batch.clone(), 0, "test")
        return -float(best["max_aug_reward"].mean())

    return decode


def env_step(kind: type[CVRPEnv]) -> Any:
    """All steps of recorded random rollouts, without any network."""

    def prepare(options: dict[str, Any]) -> Job:
        env = kind(generator_params={"num_loc": 50}, check_solution=False)
        start = batchify(env.reset(batch_size=[64]), 50)
        td, actions = start.clone(), list[Tensor]()
        while not td["done"].all():
            action = td["action_mask"].float().multinomial(1).squeeze(-1)
            actions.append(action)
            td = env.step(td.set("action", action))["next"]

        def drive() -> float:
            td = start.clone()
            for action in actions:
                td = env.step(td.set("action", action))["next"]
            return float(len(actions))

        return drive

    return prepare


JOBS = {
    "pomo step": pomo_step,
    "am step": am_step,
    "greedy": greedy,
    "multi-start": multi_start,
    "latency": greedy,
    "env step cvrp": env_step(CVRPEnv),
    "env step cvrptw": env_step(CVRPTWEnv),
    "memory": pomo_step,
}

if __name__ == "__main__":
    packages = ("rl4co", "torch", "tensordict", "torchrl", "lightning")
    serve(JOBS, {name: version(name) for name in packages})
