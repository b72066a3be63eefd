"""
Where the training of the policy `vrp` starts: the weights of the shipped `cvrp`, and zeros.

The wider problem has more features of nodes, vehicles and steps. With zeros for all of them the
policy does on the CVRP what `cvrp` does, and training goes on from there.

    python benchmarks/vrp_start.py runs/vrp_start
"""

import argparse
from pathlib import Path

import torch

from nco.envs import problem
from nco.hub.released import save_policy, shipped_policy
from nco.policies import ForesightPolicy


def widened() -> ForesightPolicy:
    """The policy for all variants that decides as the shipped one for the CVRP."""
    old = shipped_policy("cvrp").policy.state_dict()
    policy = ForesightPolicy(problem("anyvrp"))
    new = policy.state_dict()
    dim = len(old["decoder.graph.weight"])
    with torch.no_grad():
        for name, value in new.items():
            if name in old and old[name].shape == value.shape:
                value.copy_(old[name])
            elif name != "decoder.meanings.weight":  # else nothing would ever move
                value.zero_()
        # Coordinates and demand come first among the features of nodes, the room of the vehicle
        # first among the scalars, and the current node last among the context nodes.
        name = "encoder.embedding.customer.weight"
        new[name][:, : old[name].shape[1]] = old[name]
        new["decoder.scalars.weight"][:, :1] = old["decoder.scalars.weight"]
        new["decoder.no_node"][-1:] = old["decoder.no_node"]
        name = "decoder.node_tables.weight"
        new[name][: 3 * dim] = old[name][: 3 * dim]
        new[name][-dim:] = old[name][-dim:]
    policy.load_state_dict(new)
    return policy


def main() -> None:
    """Writes a folder that ``--model.weights`` takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    card = {
        "env": {"class_path": "nco.envs.problem", "init_args": {"name": "anyvrp"}},
        "policy": {"class_path": "nco.policies.ForesightPolicy"},
    }
    save_policy(options.out, widened(), card)


if __name__ == "__main__":
    main()
