"""
Decoding one large CVRP instance with an untrained policy that looks at near nodes only.

    OMP_NUM_THREADS=1 python benchmarks/large_decoding.py --size 5000 --starts 8

prints CPU seconds and peak memory of the process; the solution is checked. Linux only (/proc).
"""

import argparse
import time
from pathlib import Path

import torch

from nco.data.generators import CVRPGenerator
from nco.data.seeding import seeded
from nco.decoding import MultiStart, Search, Single
from nco.envs import FeatureSpec, problem
from nco.policies import AttentionPolicy
from nco.policies.encoder import AttentionEncoder, Encoder
from nco.policies.graph import GatedGCN


def peak_mib() -> float:
    """The most memory that this process ever held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--size", type=int, default=5000)
    parser.add_argument("--starts", type=int, default=1)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--encoder", choices=["graph", "dense"], default="graph")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    def encoder(spec: FeatureSpec) -> Encoder:
        if options.encoder == "graph":
            return GatedGCN(spec, layers=3, neighbours=16)
        return AttentionEncoder(spec, layers=3, norm="instance")

    env = problem("cvrp")
    policy = AttentionPolicy(
        env, residual=True, distance_bias=True, neighbours=options.neighbours, encoder=encoder
    ).eval()
    instance = CVRPGenerator(options.size)(1, seeded(1))
    search: Search = Single() if options.starts == 1 else MultiStart(options.starts)
    begun = time.process_time()
    actions, cost = search(env, policy, instance).best()
    took = time.process_time() - begun
    broken = env.check(instance, env.visits.routes(instance, actions[0].tolist()))
    print(
        f"n = {options.size}, {options.encoder} encoder, {options.starts} starts: "
        f"cost {float(cost):.2f}, {took:.1f} CPU seconds, peak {peak_mib():.0f} MiB, "
        f"{'infeasible: ' + broken[0].message if broken else 'feasible'}"
    )


if __name__ == "__main__":
    main()
